"""The pieces of a record: where each starts, and how a gradient goes back through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..mxnet_door import autograd, mx
from .graph import Entry, ordered, read
from .operators import differentiable

Backward = Callable[[list, Callable[[], Any]], list]


@dataclass(frozen=True, eq=False)
class Leaf:
    """The start of a piece of record.

    Attributes
    ----------
    array : NDArray
        What the net goes on with.
    name : str
        MXNet's name for it in recorded graphs ("var17").
    """

    array: Any
    name: str


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of record: from the leaves that it starts at to the outputs behind which it is cut.

    Attributes
    ----------
    backward : callable
        (gradients that arrived at `leaves`, None where none did; a function that gives an array, shaped like the
        first of them, to write into, or None) -> those of `inputs`.
    inputs : tuple of Leaf
    leaves : tuple of Leaf
        The same values as its outputs, the starts of later pieces; empty for the score.
    rectified : bool
        Whether a guided walk lets only positive gradient into this piece.
    fresh : bool
        Whether its backward pass puts each gradient into an array that nobody else holds.
    """

    backward: Backward
    inputs: tuple[Leaf, ...]
    leaves: tuple[Leaf, ...]
    rectified: bool = False
    fresh: bool = False


def marked(array: Any):
    """A view of an array from which MXNet records, whose gradient goes nowhere."""
    leaf = array.detach()
    # MXNet wants a buffer for the gradient; it stays empty, and so takes no memory, as walks get their own
    autograd.mark_variables([leaf], [mx.nd.empty(leaf.shape, ctx=leaf.ctx, dtype=leaf.dtype)])
    return leaf


def starts_of(heads: Sequence[Entry], leaves: Mapping[str, Leaf]) -> tuple[Leaf, ...]:
    """The leaves from which a gradient of the heads comes."""
    reach = differentiable(heads)
    names = dict.fromkeys(node.name for node in ordered(heads) if node.is_variable and node in reach)
    return tuple(leaves[name] for name in names if name in leaves)


def backward_of(output: Any, inputs: tuple[Leaf, ...]) -> Backward:
    """A `Piece.backward` by MXNet's own record, of a piece with one output."""
    arrays = [leaf.array for leaf in inputs]

    def backward(heads: list, spare: Callable[[], Any]) -> list:
        # in train mode: only there does a BatchNorm that a block runs on the batch's own statistics
        # differentiate these; all other operators of the pass are the same in both modes
        return autograd.grad([output], arrays, heads, retain_graph=True, train_mode=True)

    return backward


def backward_in_python(function: Any, outputs: Sequence, places: list[int]) -> Backward:
    """A `Piece.backward` by a function in Python (`autograd.Function`): its inputs at `places` are the leaves."""

    def backward(heads: list, spare: Callable[[], Any]) -> list:
        given = [mx.nd.zeros_like(out) if head is None else head for head, out in zip(heads, outputs)]
        # a copy by NumPy, in the plain layout: MXNet may free what it hands to Python in oneDNN's
        plain = [mx.nd.array(one.asnumpy(), ctx=one.ctx, dtype=one.dtype) for one in given]
        with autograd.pause(train_mode=False):
            found = function.backward(*plain)
        found = [found] if isinstance(found, mx.nd.NDArray) else list(found)
        return [found[place].copy() for place in places]

    return backward


def record_of(array: Any) -> list[Entry]:
    """The graph of an array's record; none if it has none."""
    try:
        return read(autograd.get_symbol(array))
    except mx.MXNetError as error:
        if "not part of a computation graph" in str(error):
            return []
        raise
