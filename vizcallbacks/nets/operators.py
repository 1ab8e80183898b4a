"""What a recorded graph holds: activations by kind, poolings, closed graphs, and the ways of the gradient.

A graph is the list of the nodes of a symbol's JSON, inputs first; a node has "op", "name", "inputs", "attrs".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..mxnet_door import autograd, mx

KINDS = ("relu", "gate", "smooth")
PIECEWISE = ("leaky", "prelu", "rrelu")

ACTIVATIONS: dict[str, Callable[[dict[str, str]], str | None]] = {
    "relu": lambda attrs: "relu",
    "_npx_relu": lambda attrs: "relu",
    "Activation": lambda attrs: {"relu": "relu", "sigmoid": "gate"}.get(attrs["act_type"], "smooth"),
    "LeakyReLU": lambda attrs: "relu" if attrs.get("act_type", "leaky") in PIECEWISE else "smooth",
    "clip": lambda attrs: "relu" if float(attrs["a_min"]) == 0 else None,
    "_maximum_scalar": lambda attrs: "relu" if float(attrs["scalar"]) == 0 else None,
    "_contrib_BatchNormWithReLU": lambda attrs: "relu",
    "sigmoid": lambda attrs: "gate",
    "_npx_sigmoid": lambda attrs: "gate",
    "hard_sigmoid": lambda attrs: "gate",
    "tanh": lambda attrs: "smooth",
    "_npi_tanh": lambda attrs: "smooth",
    "softsign": lambda attrs: "smooth",
    "erf": lambda attrs: "smooth",
}
"""Operator in a recorded graph -> its attributes -> what guided backpropagation makes of it.

"relu": piecewise linear with a kink at zero (ReLU, ReLU6, leaky, PReLU, max(x, 0)); only positive gradient enters.
"gate": from 0 to 1, multiplied with something (sigmoid, hard sigmoid, also as a part of swish and hard swish);
"smooth": the others (ELU, SELU, GELU, tanh, soft ReLU). Gates and smooth ones keep their own derivative: they let
negative gradient through, as they let negative values through. None: no activation.
"""

POOLINGS = {"Pooling": lambda attrs: attrs.get("pool_type", "max") == "max"}
OPAQUE = {"_CachedOp": lambda attrs: True}
NO_GRADIENT = {
    "BlockGrad",
    "_contrib_box_decode",
    "zeros_like",
    "ones_like",
    "sign",
    "floor",
    "ceil",
    "round",
    "rint",
    "fix",
    "trunc",
    "argmax",
    "argmin",
    "argsort",
    "one_hot",
    *(
        f"_{name}_scalar"
        for name in ("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal")
    ),
    *(
        f"{prefix}{name}"
        for name in ("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal")
        for prefix in ("_", "broadcast_")
    ),
}
"""Operators that let no gradient through, as those of other networks than image classifiers use them."""
SHIFTS = ("_plus_scalar", "_npi_add_scalar")


def differentiable(nodes: list[dict[str, Any]]) -> list[int]:
    """Indices of the nodes from which a gradient of the last one can come."""
    reached = {len(nodes) - 1} if nodes else set()
    for i in range(len(nodes) - 1, -1, -1):
        node = nodes[i]
        if i in reached and node["op"] not in NO_GRADIENT:
            # the first input of `where` is its condition
            reached.update(j for j, *_ in node["inputs"][node["op"] == "where" :])
    return sorted(reached)


def activation_kind(nodes: list[dict[str, Any]], index: int = -1) -> str | None:
    """Which of `KINDS` a node of a graph is, by `ACTIVATIONS`; None if it is no activation, or the graph is empty.

    Parameters
    ----------
    nodes : list of dict
        "nodes" of a symbol's JSON.
    """
    node: dict[str, Any] = nodes[index] if nodes else {"op": "null"}
    if node["op"] not in ACTIVATIONS:
        return None
    kind = ACTIVATIONS[node["op"]](node.get("attrs", {}))
    if node["op"] == "clip" and kind and nodes[node["inputs"][0][0]]["op"] in SHIFTS:
        return (
            "gate"  # clip(x + 3, 0, 6): a hard sigmoid, in MobileNetV3 its squeeze-excitation and hard swish
        )
    return kind


def graph_of(output) -> list[dict[str, Any]]:
    """The nodes of an array's record, inputs first; empty if it has none."""
    try:
        symbol = autograd.get_symbol(output)
    except mx.MXNetError as error:
        if "not part of a computation graph" in str(error):
            return []
        raise
    return json.loads(symbol.tojson())["nodes"]
