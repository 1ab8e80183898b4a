"""A traced graph -> one with the same values in predict mode whose gradients are right, and cheap.

It will run in train mode, where oneDNN keeps what its backward passes need. So what differs between the modes
is fixed to predict mode's way first, and operators with wrong gradients on MXNet 1.9.1 get others
(`nn.REPLACED` does the same to a net that runs operator by operator). Then every BatchNorm behind a
convolution becomes a part of its weights: two of the three passes over memory that the net's maps cost are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..mxnet_door import mx
from .graph import Entry, Node, ordered, replace


def _dropout(node: Node) -> Entry:
    return node.inputs[0]


def _batch_norm(node: Node) -> Entry:
    node.attrs["use_global_stats"] = "True"
    return node, 0


def _sync_batch_norm(node: Node) -> Entry:
    node.op = "BatchNorm"
    node.attrs = {name: node.attrs[name] for name in ("eps", "fix_gamma") if name in node.attrs}
    return _batch_norm(node)


def _batch_norm_relu(node: Node) -> Entry:
    # its own gradient is zero after a forward pass in predict mode
    node.op = "BatchNorm"
    return _relu(Node("relu", f"{node.name}_relu", {}, [_batch_norm(node)]))


def _relu(node: Node) -> Entry:
    # relu is no oneDNN operator and takes ten times as long
    node.op, node.attrs = "Activation", {"act_type": "relu"}
    return node, 0


def _leaky_relu(node: Node) -> Entry:
    if node.attrs.get("act_type") == "rrelu":
        raise ValueError(f"LeakyReLU {node.name!r} has a random slope")
    if node.attrs.get("act_type") == "selu":  # MXNet's own gradient is wrong below zero
        node.attrs = {"act_type": "elu", "slope": "1.6732632423543772"}
        return Node("_mul_scalar", f"{node.name}_scale", {"scalar": "1.0507009873554805"}, [(node, 0)]), 0
    return node, 0


def _box_decode(node: Node) -> Entry:
    # boxes get no gradient: MXNet's own is zero, or crashes the process
    return Node("BlockGrad", f"{node.name}_values", {}, [(node, 0)]), 0


REWRITES: dict[str, Callable[[Node], Entry]] = {
    "Dropout": _dropout,
    "BatchNorm": _batch_norm,
    "_contrib_SyncBatchNorm": _sync_batch_norm,
    "_contrib_BatchNormWithReLU": _batch_norm_relu,
    "relu": _relu,
    "LeakyReLU": _leaky_relu,
    "_contrib_box_decode": _box_decode,
}
"""Operator -> its node -> what takes the place of its first output; the node may be changed."""

REFUSED = ("RNN", "Custom", "_random_", "_sample_", "random_", "sample_")
"""Beginnings of operators that would not run as they do in predict mode: random ones, and Python's."""


def rewritten(heads: Sequence[Entry]) -> list[Entry]:
    """Apply `REWRITES` to a graph.

    Raises
    ------
    ValueError
        If it holds an operator of `REFUSED`, or uses more than the first output of one that is rewritten.
    """
    found: dict[Entry, Entry] = {}
    nodes = ordered(heads)
    for source, output in (*(entry for node in nodes for entry in node.inputs), *heads):
        if output and source.op in REWRITES:
            raise ValueError(f"output {output} of {source.op} {source.name!r} is used, which is not kept")
    for node in nodes:
        if node.op.startswith(REFUSED):
            raise ValueError(f"{node.op} {node.name!r} is random, or an operator in Python")
        node.inputs = [found.get(entry, entry) for entry in node.inputs]
        if node.op in REWRITES:
            found[node, 0] = REWRITES[node.op](node)
    return [found.get(entry, entry) for entry in heads]


def fold(
    heads: Sequence[Entry], arrays: Mapping[str, Any], keep: Collection[Entry]
) -> tuple[list[Entry], dict[str, Any]]:
    """Make each BatchNorm that only shifts and scales a convolution's output a part of its weights and bias.

    gamma (w x + b - mean) / sqrt(var + eps) + beta, on the running statistics: exact but for rounding.

    Parameters
    ----------
    heads : sequence of Entry
        Of a graph that `rewritten` made.
    arrays : mapping of str to NDArray
        Parameters by name; they stay as they are.
    keep : collection of Entry
        Outputs that must stay what they are.

    Returns
    -------
    list of Entry
    dict of str to NDArray
        The weights made, by the names of their variables.
    """
    nodes = ordered(heads)
    uses = Counter(entry for node in nodes for entry in node.inputs) + Counter(heads)
    pairs = [
        (node, node.inputs[0][0])
        for node in nodes
        if node.op == "BatchNorm"
        and int(node.attrs.get("axis", 1)) == 1
        and node.inputs[0][0].op == "Convolution"
        and node.inputs[0] not in keep
        and uses[node.inputs[0]] == 1
        and uses[node, 1] == uses[node, 2] == 0
        and all(source.name in arrays for source, _ in (*node.inputs[1:], *node.inputs[0][0].inputs[1:]))
    ]
    made = _fixed_gammas([node for node in nodes if node not in dict(pairs)], arrays)
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
    return norm.attrs.get("fix_gamma", "True") in ("True", "1")


def _fixed_gammas(nodes: Sequence[Node], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Ones for BatchNorms whose gamma is fixed to 1: MXNet would write them into the parameter."""
    made: dict[str, Any] = {}
    for norm in (node for node in nodes if node.op == "BatchNorm" and _has_fixed_gamma(node)):
        gamma = norm.inputs[1][0]
        if gamma.name in arrays:
            name = f"{gamma.name}_fixed"
            made[name] = mx.nd.ones_like(arrays[gamma.name])
            norm.inputs[1] = (Node("null", name), 0)
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
