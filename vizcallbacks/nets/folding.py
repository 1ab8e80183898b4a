"""A net's graph -> one that is right to differentiate (`rewritten`) and cheap (`fold`).

Every BatchNorm behind a convolution becomes a part of its weights: two of the three passes over memory that
the net's maps cost are gone. What the remaining operators write in a forward pass are copies, never the net's
own arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mxnet_door import mx
from .graph import INPUT, Entry, Node, ordered, rewired
from .operators import DrawsError, drawing, is_true, known
from .replacements import FIRST_ONLY

LARGEST = 2**19
"""Numbers of a weight, up to which folding it is cheaper than the passes over its layer's maps that it saves.

Larger weights belong to deep layers, whose maps are small: scaling them anew for each explanation writes more
memory than their BatchNorms do (resnet18 of 8 images of 224 px, processor time: default methods 1.00 > 0.97 s,
Grad-CAM 0.36 > 0.33 s).
"""


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


@dataclass(frozen=True)
class Folded:
    """A convolution with the BatchNorm behind it: the names of what they take, and of what is made of it."""

    weight: str
    bias: str | None
    norm: tuple[str, str, str, str]  # gamma, beta, running mean, running variance
    eps: float
    fixed: bool  # gamma counts as 1
    made: tuple[str, str]


@dataclass(frozen=True)
class Folding:
    """Which parameters become which: a graph's structure alone, so that it can be kept while these change.

    Attributes
    ----------
    pairs : list of Folded
    copies : dict of str to (str, bool)
        Name of what an operator writes -> the parameter of which it is a copy, and whether all of it counts as 1.
    biases : dict of str to str
        Name of a convolution's bias of zeros -> its weight.
    """

    pairs: list[Folded]
    copies: dict[str, tuple[str, bool]]
    biases: dict[str, str]

    def arrays(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The weights, biases and copies that the graph takes, of today's parameters, which stay as they are."""
        made = {
            name: mx.nd.ones_like(given[source]) if ones else given[source].copy()
            for name, (source, ones) in self.copies.items()
        }
        for name, source in self.biases.items():
            weight = given[source]
            made[name] = mx.nd.zeros(weight.shape[:1], ctx=weight.ctx, dtype=weight.dtype)
        if not self.pairs:
            return made
        norms = _fetched([given[name] for one in self.pairs for name in one.norm])
        own = iter(_fetched([given[one.bias] for one in self.pairs if one.bias is not None]))
        weights = [given[one.weight] for one in self.pairs]
        scales, biases = [], []
        for number, one in enumerate(self.pairs):
            gamma, beta, mean, var = norms[4 * number : 4 * number + 4]
            scale = 1 / np.sqrt(var + one.eps)
            if not one.fixed:
                scale = scale * gamma
            scales.append(scale)
            biases.append(beta + ((0.0 if one.bias is None else next(own)) - mean) * scale)
        sent = _uploaded([*scales, *biases], [*weights, *weights])
        for number, (one, weight) in enumerate(zip(self.pairs, weights)):
            scale = sent[number].reshape((-1, 1, 1, 1))
            made[one.made[0]] = mx.nd.broadcast_mul(weight, scale)
            made[one.made[1]] = sent[len(weights) + number]
        return made


def fold(heads: Sequence[Entry], sizes: Mapping[str, int] | None = None) -> tuple[list[Entry], Folding]:
    """Make each BatchNorm that only shifts and scales a convolution's output a part of its weights and bias.

    gamma (w x + b - mean) / sqrt(var + eps) + beta, on the running statistics: exact but for rounding.

    Parameters
    ----------
    heads : sequence of Entry
        Of a graph that `rewritten` made; it is changed.
    sizes : mapping of str to int, optional
        How many numbers each parameter holds: weights of more than `LARGEST` stay as they are. None: all fold.

    Returns
    -------
    list of Entry
    Folding
        What makes the parameters that the graph takes now.
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
        and all(_is_parameter(one) for one, _ in (*node.inputs[1:], *node.inputs[0][0].inputs[1:]))
        and (sizes is None or sizes[node.inputs[0][0].inputs[1][0].name] <= LARGEST)
    ]
    known = dict(pairs)
    copies = _copies([node for node in nodes if node not in known])
    folded: list[Folded] = []
    places: dict[Entry, Entry] = {}
    for number, (norm, conv) in enumerate(pairs):
        names = [source.name for source, _ in conv.inputs[1:]]
        gamma, beta, mean, var = (source.name for source, _ in norm.inputs[1:])
        made = f"{conv.name}_{number}_folded_weight", f"{conv.name}_{number}_folded_bias"
        eps, fixed = float(norm.attrs.get("eps", 1e-3)), _has_fixed_gamma(norm)
        bias = names[1] if len(names) > 1 else None
        folded.append(Folded(names[0], bias, (gamma, beta, mean, var), eps, fixed, made))
        conv.attrs["no_bias"] = "False"
        conv.inputs = [conv.inputs[0], *((Node("null", name), 0) for name in made)]
        places[norm, 0] = (conv, 0)
    ends = rewired(heads, places) if places else list(heads)
    return ends, Folding(folded, copies, _biases(nodes))


def _biases(nodes: Sequence[Node]) -> dict[str, str]:
    """Give convolutions without a bias one of zeros.

    In its backward pass by oneDNN, MXNet 1.9.1 asks whether a bias's gradient is wanted also where there is no
    bias: it reads past the end of its list, and by what lies there it may compute the weight's gradient, which
    takes as long as that of the maps, for nobody.
    """
    made: dict[str, str] = {}
    for number, node in enumerate(nodes):
        if node.op == "Convolution" and len(node.inputs) == 2 and _is_parameter(node.inputs[1][0]):
            name = f"{node.name}_{number}_no_bias"
            made[name] = node.inputs[1][0].name
            node.attrs["no_bias"] = "False"
            node.inputs = [*node.inputs, (Node("null", name), 0)]
    return made


def _is_parameter(node: Node) -> bool:
    return node.is_variable and not node.name.startswith(INPUT)


def _has_fixed_gamma(norm: Node) -> bool:
    return is_true(norm.attrs, "fix_gamma", "True")


def _copies(nodes: Sequence[Node]) -> dict[str, tuple[str, bool]]:
    """What operators write becomes a copy: MXNet would write it into the net's own parameters."""
    made: dict[str, tuple[str, bool]] = {}
    for node in nodes:
        writes = known(node.op).writes
        places = () if writes is None else writes(node.attrs)
        if node.op == "BatchNorm" and node.training:
            places += (3, 4)  # its backward pass updates the running statistics
        for place in places:
            source = node.inputs[place][0]
            if _is_parameter(source):
                name = f"{source.name}_copy"
                made[name] = source.name, place == 1 and node.op == "BatchNorm"  # gamma, which counts as 1
                node.inputs[place] = (Node("null", name), 0)
    return made


def _fetched(arrays: list) -> list[np.ndarray]:
    """Float64 copies of vectors, those of each type fetched at once."""
    found: list[Any] = [None] * len(arrays)
    for dtype in dict.fromkeys(array.dtype for array in arrays):
        places = [place for place, array in enumerate(arrays) if array.dtype == dtype]
        values = mx.nd.concat(*(arrays[place] for place in places), dim=0).asnumpy().astype(np.float64)
        ends = np.cumsum([len(arrays[place]) for place in places])[:-1]
        for place, part in zip(places, np.split(values, ends)):
            found[place] = part
    return found


def _uploaded(vectors: list[np.ndarray], like: list) -> list:
    """Vectors of each array's type, where the first is, sent at once."""
    if len({array.dtype for array in like}) > 1:
        return [mx.nd.array(vector, ctx=one.ctx, dtype=one.dtype) for vector, one in zip(vectors, like)]
    sent = mx.nd.array(np.concatenate(vectors), ctx=like[0].ctx, dtype=like[0].dtype)
    ends = np.cumsum([len(vector) for vector in vectors]).tolist()
    return [sent[end - len(vector) : end] for vector, end in zip(vectors, ends)]
