"""What a net's own code writes while it runs for a pass, and putting it back, to the bit.

Blocks may keep state in `forward`: spectral normalisation, moving averages, counters. What they write is
noticed where it is written, copied before, and put back after the pass: arrays where MXNet writes them,
attributes of blocks, and the random streams of Python and NumPy. What no copy of a block's attributes shows
(a list inside a list, a file, another object's attributes) stays as the block left it.
"""

from __future__ import annotations

import ctypes
import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..mxnet_door import autograd, gluon, mx
from .layers import ATTACHED
from .watching import unwatched

GLUONS = (ATTACHED, "_forward_hooks", "_forward_pre_hooks") + (
    "_cached_graph",
    "_cached_op",
    "_cached_op_args",
    "_in_format",
    "_out_format",
)
"""Attributes that our own passes change; they are put back, and are nobody's state."""

COPIED: tuple[type, ...] = (list, dict, set, deque)


class Writes:
    """Arrays that are written during a pass, with copies of what they held before."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[Any, Any, str | None]] = {}
        self._fresh: list[Any] = []

    def __contains__(self, array: Any) -> bool:
        return id(array) in self._before

    def share(self, array: Any) -> bool:
        """Whether an array lies where one does that was written."""
        return bool(self._before) and any(shared(array, one) for one, _, _ in self._before.values())

    def made(self, array: Any) -> None:
        """Note an array that was made during the pass: nobody's state."""
        self._fresh.append(array)

    def before(self, array: Any, place: str | None) -> None:
        """Keep what an array holds, which the block at `place` is about to write; None: MXNet by itself."""
        if id(array) in self._before or not isinstance(array, mx.nd.NDArray) or array.stype != "default":
            return
        with autograd.pause(), unwatched():
            self._before[id(array)] = (array, array.copy(), place)

    def put_back(self) -> list[str]:
        """Put everything back; the places of the blocks that wrote arrays from before the pass."""
        written = list(self._before.values())
        fresh = [_memory(array) for array in self._fresh] if written else []
        places = []
        with autograd.pause():
            for array, copy, place in reversed(written):
                start, _ = _memory(array)
                if any(low <= start < high for low, high in fresh):
                    continue
                if place is not None and array.asnumpy().tobytes() != copy.asnumpy().tobytes():
                    places.append(place)
                copy.copyto(array)
        self._before.clear()
        self._fresh.clear()
        return places[::-1]


def shared(one: Any, other: Any) -> bool:
    """Whether two arrays share memory."""
    (start, end), (low, high) = _memory(one), _memory(other)
    return start < high and low < end


def _memory(array: Any) -> tuple[int, int]:
    """Where an array lies.

    Asked while an operator that makes the array is under way, MXNet would allocate its memory twice, and the
    values be lost: so all that is under way is waited for.
    """
    mx.nd.waitall()
    start = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(start)))
    size = int(np.prod(array.shape)) * np.dtype(array.dtype).itemsize
    return start.value or 0, (start.value or 0) + max(size, 1)


@contextmanager
def attributes_kept(blocks: Sequence[tuple[gluon.Block, str]], found: list[str]) -> Iterator[None]:
    """Put back the attributes of blocks, and the random streams; note in `found` which blocks changed theirs."""
    streams = random.getstate(), np.random.get_state()
    before = [(block, path, dict(block.__dict__), _contents(block)) for block, path in blocks]
    try:
        yield
    finally:
        try:
            _put_back(before, streams, found)
        except BaseException:  # a signal's, half-way through: once more, then raise
            _put_back(before, streams, found)
            raise


def _contents(block: gluon.Block) -> dict[str, Any]:
    """Copies of a block's own lists, dicts and sets; not of Gluon's."""
    return {
        name: one.copy() for name, one in block.__dict__.items() if type(one) in COPIED and name not in GLUONS
    }


def _put_back(before: Any, streams: Any, found: list[str]) -> None:
    random.setstate(streams[0])
    np.random.set_state(streams[1])
    for block, path, attributes, contents in before:
        now = block.__dict__
        # after Ctrl-C this may run late, when the net is out of its instruments already: these must not come back
        attributes = {**{n: one for n, one in attributes.items() if n != ATTACHED}, **_attached(now)}
        own = not type(block).__module__.startswith("mxnet.")
        if now.keys() != attributes.keys() or any(now[name] is not one for name, one in attributes.items()):
            changed = [
                n for n in {*now, *attributes} if n not in GLUONS and now.get(n) is not attributes.get(n)
            ]
            now.clear()
            now.update(attributes)
            if changed and own:
                found.append(path)
        for name, copy in contents.items():
            if not _same(now[name], copy):
                _refill(now[name], copy)
                found.append(path)


def _attached(attributes: dict[str, Any]) -> dict[str, Any]:
    return {ATTACHED: attributes[ATTACHED]} if ATTACHED in attributes else {}


def _same(one: Any, other: Any) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, dict):
        return all(key in other and other[key] is value for key, value in one.items())
    if isinstance(one, set):
        return one == other
    return all(first is second for first, second in zip(one, other))


def _refill(one: Any, copy: Any) -> None:
    one.clear()
    one.extend(copy) if isinstance(one, (list, deque)) else one.update(copy)
