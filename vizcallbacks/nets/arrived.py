"""The gradients of one walk backwards, under way: which have arrived where, and whose memory is free.

The first use of memory costs more than what a ReLU or a sum does to it. So what nobody else holds is written over,
and an array whose gradient has gone on takes the next one of its shape.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..mxnet_door import mx
from .by_hand import added
from .pieces import Leaf, Piece


class Arrived:
    """Gradients at leaves.

    Parameters
    ----------
    wanted : collection of str
        Names of leaves whose gradients are to be kept.
    """

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._found: dict[str, tuple[Any, bool]] = {}  # and whether nobody else holds the array
        self._spare: dict[tuple, Any] = {}

    def at(self, leaf: Leaf | None) -> Any:
        """What has arrived there; None if nothing has."""
        return None if leaf is None or leaf.name not in self._found else self._found[leaf.name][0]

    def through(self, piece: Piece, guided: bool) -> None:
        """Hand on what has arrived at the end of a piece, if anything has, to where the piece starts."""
        found = [self._taken(leaf) for leaf in piece.leaves]
        if found and all(array is None for array, _ in found):
            return
        if guided and piece.rectified:
            found = [_rectified(*found[0])]
        heads = [array for array, _ in found]
        parts = piece.backward(heads, lambda: self._spare.pop(_kind(heads[0]), None))
        for leaf, part in zip(piece.inputs, parts):
            self._add(leaf, part, piece.fresh)
        for array, own in found:
            if own and all(array is not part for part in parts):
                self._spare[_kind(array)] = array

    def _taken(self, leaf: Leaf) -> tuple[Any, bool]:
        if leaf.name in self._wanted:
            return self.at(leaf), False
        return self._found.pop(leaf.name, (None, False))

    def _add(self, leaf: Leaf, part: Any, own: bool) -> None:
        known, free = self._found.get(leaf.name, (None, False))
        if known is None:
            self._found[leaf.name] = part, own
        else:
            self._found[leaf.name] = added(known, part, 0 if free else 1 if own else None), True


def _rectified(gradient: Any, own: bool) -> tuple[Any, bool]:
    """The positive part of a gradient."""
    return mx.nd.Activation(gradient, act_type="relu", out=gradient if own else None), True


def _kind(array: Any) -> tuple:
    return array.shape, array.dtype
