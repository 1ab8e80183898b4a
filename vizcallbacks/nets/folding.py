"""A net's graph -> one that is right to differentiate (`rewritten`) and cheap (`fold`).

Every BatchNorm behind a convolution becomes a part of its weights: two of the three passes over memory that
the net's maps cost are gone. What the remaining operators write in a forward pass are copies, never the net's
own arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..mxnet_door import mx
from .graph import Entry, Node, ordered, replace
from .operators import DrawsError, drawing, inside, is_true, known
from .replacements import FIRST_ONLY


def rewritten(heads: list[Entry]) -> list[Entry]:
    """Put in the place of each operator what the table says, throughout a graph, which is changed.

    Raises
    ------
    DrawsError
        If an operator draws random numbers.
    ValueError
        If it holds an operator in Python, or more than the first output of one that is replaced is used.
    """
    found: dict[Entry, Entry] = {}
    nodes = ordered(heads)
    for source, output in (*(entry for node in nodes for entry in node.inputs), *heads):
        if output and known(source.op).rewrite in FIRST_ONLY:
            raise ValueError(
                f"output {output} of {source.op} {source.name!r} is used, which vizcallbacks does not keep; "
                "use its first output only"
            )
    for node in nodes:
        _check(node)
        node.inputs = [found.get(entry, entry) for entry in node.inputs]
        rewrite = known(node.op).rewrite
        if rewrite is not None:
            found[node, 0] = rewrite(node)
    return [found.get(entry, entry) for entry in heads]


def _check(node: Node) -> None:
    if node.op in ("Custom", "_npi_Custom"):
        raise ValueError(
            f"{node.name!r} is an operator in Python (mx.operator.CustomOp), whose gradient is wrong on "
            "MXNet 1.9.1; "
            "write it with MXNet's own operators, or as an autograd.Function in a plain gluon.Block"
        )
    draws = known(node.op).draws
    if draws is not None and draws(node.attrs, node.training):
        raise DrawsError(drawing(node.op, repr(node.name)))
    for one in inside(node):
        if known(one.op).rewrite is not None and one.op != "relu":
            raise ValueError(
                f"{one.op} {one.name!r} stands inside control flow ({node.op} {node.name!r}), where vizcallbacks "
                "cannot fix it to predict mode; run the net without hybridize(), or move it out of the loop"
            )


def fold(heads: Sequence[Entry], arrays: Mapping[str, Any]) -> tuple[list[Entry], dict[str, Any]]:
    """Make each BatchNorm that only shifts and scales a convolution's output a part of its weights and bias.

    gamma (w x + b - mean) / sqrt(var + eps) + beta, on the running statistics: exact but for rounding.

    Parameters
    ----------
    heads : sequence of Entry
        Of a graph that `rewritten` made.
    arrays : mapping of str to NDArray
        Parameters by name; they stay as they are.

    Returns
    -------
    list of Entry
    dict of str to NDArray
        The weights and copies made, by the names of their variables.
    """
    nodes = ordered(heads)
    uses = Counter(entry for node in nodes for entry in node.inputs) + Counter(heads)
    pairs = [
        (node, node.inputs[0][0])
        for node in nodes
        if node.op == "BatchNorm"
        and not node.training
        and int(node.attrs.get("axis", 1)) == 1
        and node.inputs[0][0].op == "Convolution"
        and uses[node.inputs[0]] == 1
        and uses[node, 1] == uses[node, 2] == 0
        and all(source.name in arrays for source, _ in (*node.inputs[1:], *node.inputs[0][0].inputs[1:]))
    ]
    folded = dict(pairs)
    made = _copies([node for node in nodes if node not in folded], arrays)
    if not pairs:
        return list(heads), made
    gamma, beta, mean, var = (
        _vectors([arrays[norm.inputs[place][0].name] for norm, _ in pairs]) for place in (1, 2, 3, 4)
    )
    weights = [arrays[conv.inputs[1][0].name] for _, conv in pairs]
    scales, biases = [], []
    for number, (norm, conv) in enumerate(pairs):
        scale = 1 / np.sqrt(var[number] + float(norm.attrs.get("eps", 1e-3)))
        if not _has_fixed_gamma(norm):
            scale = scale * gamma[number]
        own = arrays[conv.inputs[2][0].name].asnumpy() if len(conv.inputs) > 2 else 0.0
        scales.append(scale)
        biases.append(beta[number] + (own - mean[number]) * scale)
    places: dict[Entry, Entry] = {}
    vectors = zip(_uploaded(scales, weights), _uploaded(biases, weights))
    for number, ((norm, conv), weight, (scale, bias)) in enumerate(zip(pairs, weights, vectors)):
        names = [f"{conv.name}_{number}_folded_{what}" for what in ("weight", "bias")]
        made[names[0]] = mx.nd.broadcast_mul(weight, scale.reshape((-1, 1, 1, 1)))
        made[names[1]] = bias
        conv.attrs["no_bias"] = "False"
        conv.inputs = [conv.inputs[0], *((Node("null", name), 0) for name in names)]
        places[norm, 0] = (conv, 0)
    return replace(heads, places), made


def _has_fixed_gamma(norm: Node) -> bool:
    return is_true(norm.attrs, "fix_gamma", "True")


def _copies(nodes: Sequence[Node], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What operators write, copied: MXNet would write it into the net's own parameters."""
    made: dict[str, Any] = {}
    for node in nodes:
        writes = known(node.op).writes
        places = () if writes is None else writes(node.attrs)
        if node.op == "BatchNorm" and node.training:
            places += (3, 4)  # its backward pass updates the running statistics
        for place in places:
            source = node.inputs[place][0]
            if source.name in arrays:
                name = f"{source.name}_copy"
                fixed = place == 1 and node.op == "BatchNorm"  # gamma, which counts as 1
                made[name] = mx.nd.ones_like(arrays[source.name]) if fixed else arrays[source.name].copy()
                node.inputs[place] = (Node("null", name), 0)
    return made


def _vectors(arrays: list) -> list[np.ndarray]:
    """Float64 copies of vectors, fetched at once."""
    values = mx.nd.concat(*arrays, dim=0).asnumpy().astype(np.float64)
    return np.split(values, np.cumsum([len(array) for array in arrays])[:-1])


def _uploaded(vectors: list[np.ndarray], like: list) -> list:
    """Vectors of each array's type, where the first is, sent at once."""
    if len({array.dtype for array in like}) > 1:
        return [mx.nd.array(vector, ctx=one.ctx, dtype=one.dtype) for vector, one in zip(vectors, like)]
    sent = mx.nd.array(np.concatenate(vectors), ctx=like[0].ctx, dtype=like[0].dtype)
    ends = np.cumsum([len(vector) for vector in vectors]).tolist()
    return [sent[end - len(vector) : end] for vector, end in zip(vectors, ends)]
