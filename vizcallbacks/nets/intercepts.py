"""What a net adds to its values beside the image: biases, and what activations add to their linear part.

At each operator, f(z) = f'(z) z + intercept. The score is the image times its gradient, plus each intercept times
the gradient there: FullGrad's decomposition, exact for every net whose operators are known here (Srinivas and
Fleuret, 2019, arXiv:1905.00780, with its implicit biases of activations that are not piecewise linear).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .graph import INPUT, Entry, Node, dependent, ordered
from .operators import activation_kind, is_true
from .roles import CURVED, PRODUCTS, WEIGHTED
from .variants import op

Values = Sequence[tuple[np.ndarray, np.ndarray]]
"""Value and gradient of each of a term's taps."""


@dataclass(frozen=True)
class Intercept:
    """Of one operator.

    Attributes
    ----------
    taps : tuple of Entry
        Whose values and gradients it takes.
    term : callable
        (values and gradients of the taps) -> intercept times gradient, shaped like the first.
    """

    taps: tuple[Entry, ...]
    term: Callable[[Values], np.ndarray]


def intercepts_of(heads: Sequence[Entry], arrays: Mapping[str, Any]) -> list[Intercept]:
    """The intercepts of a graph, which is changed: identities are put before some operators, to tap there.

    Operators that are not known here count as having none; the completeness gap shows it.
    """
    moving = dependent(heads, f"{INPUT}0")
    found = []
    for node in ordered(heads):
        if node in moving and not node.is_variable:
            found += _of(node, moving, arrays)
    return found


def _of(node: Node, moving: set[Node], arrays: Mapping[str, Any]) -> list[Intercept]:
    sources = [entry for entry in node.inputs if entry[0] in moving]
    out = (node, 0)
    if node.op in WEIGHTED:
        bias = _array(node, 2, arrays) if len(node.inputs) > 2 else None
        return [] if bias is None else [_constant(out, bias, axis=-1 if _is_flat(node) else 1)]
    if node.op == "BatchNorm":
        vectors = [_array(node, place, arrays) for place in (1, 2, 3, 4)]
        if node.training or any(vector is None for vector in vectors):
            return []
        gamma, beta, mean, var = (vector.astype(np.float64) for vector in vectors if vector is not None)
        scale = 1 / np.sqrt(var + float(node.attrs.get("eps", 1e-3)))
        scale = scale if is_true(node.attrs, "fix_gamma", "True") else scale * gamma
        return [_constant(out, beta - mean * scale, int(node.attrs.get("axis", 1)))]
    if len(sources) == 2 and node.op in PRODUCTS:
        return [Intercept((out,), lambda taps: -taps[0][0] * taps[0][1])]
    if len(sources) == 1 and node.op in (*SUMS, *DIFFERENCES):
        turned = node.op.removeprefix("_npi").startswith("_r") or (
            node.op in DIFFERENCES and node.inputs.index(sources[0]) == 1
        )
        sign = -1 if turned else 1
        return [Intercept((out, sources[0]), lambda taps: (taps[0][0] - sign * taps[1][0]) * taps[0][1])]
    kind = activation_kind(node)
    if node.op in CLIPS:
        low, high = (float(node.attrs[name]) for name in ("a_min", "a_max"))
        return [Intercept((out,), lambda taps: _product(taps[0]) * _outside(taps[0][0], low, high))]
    if len(sources) == 1 and (kind in ("gate", "smooth") or (kind is None and node.op in CURVED)):
        before = op("identity", sources[0])  # for the gradient that comes back by this way, and no other
        node.inputs[node.inputs.index(sources[0])] = before
        return [Intercept((out, before), lambda taps: _product(taps[0]) - _product(taps[1]))]
    return []


def _array(node: Node, place: int, arrays: Mapping[str, Any]) -> np.ndarray | None:
    array = arrays.get(node.inputs[place][0].name)
    return None if array is None else array.asnumpy()


def _is_flat(node: Node) -> bool:
    return node.op == "FullyConnected"


def _constant(out: Entry, bias: np.ndarray, axis: int) -> Intercept:
    def term(taps: Values) -> np.ndarray:
        (_, gradient) = taps[0]
        shape = [1] * gradient.ndim
        shape[axis] = -1
        return gradient * bias.reshape(shape).astype(gradient.dtype)

    return Intercept((out,), term)


def _outside(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values <= low) | (values >= high)


def _product(tap: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return tap[0] * tap[1]


CLIPS = ("clip", "_npi_clip")
SUMS = (
    *("_plus_scalar", "_npi_add_scalar", "elemwise_add", "broadcast_add", "_npi_add"),
    *("_rminus_scalar", "_npi_rsubtract_scalar"),
)
DIFFERENCES = (*("_minus_scalar", "_npi_subtract_scalar", "elemwise_sub", "broadcast_sub", "_npi_subtract"),)
