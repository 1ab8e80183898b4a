"""What the blocks of a traced net return: compiled, and held to what they returned in an untouched run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..mxnet_door import autograd, mx
from .alike import alike
from .blocks import named
from .graph import INPUT, Entry, cloned, symbol_of
from .tracing import UntraceableError


class Steps:
    """The values of all blocks of a traced net, by one compiled graph without any of the changes made for passes.

    The net's outputs alone do not tell whether a trace is right: a ReLU may hide on one image what differs on
    another. It holds no block and no array.

    Parameters
    ----------
    entries : sequence of Entry
        What each block returned, laid flat, in the order in which they ended.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._count = len(entries)
        self._symbol = symbol_of(cloned(entries)[0]) if entries else None
        self._run: Any = None

    def check(self, inputs: Sequence, arrays: Mapping[str, Any], steps: Sequence[tuple[str, list]]) -> None:
        """Raise UntraceableError for the first block that differs.

        Parameters
        ----------
        inputs : sequence of NDArray
            Of the untouched run.
        arrays : mapping of str to NDArray
            The parameters.
        steps : sequence of (str, list of NDArray)
            A block's path and what it returned there, in the order in which they ended.
        """
        own = [(path, one) for path, made in steps for one in made]
        if len(own) != self._count:
            raise UntraceableError("its blocks run another number of times in the trace")
        if self._symbol is None:
            return
        if self._run is None:
            self._run = mx.nd.CachedOp(self._symbol)
        given = {**arrays, **{f"{INPUT}{number}": one for number, one in enumerate(inputs)}}
        with autograd.pause(train_mode=False):
            found = self._run(*(given[name] for name in self._symbol.list_inputs()))
        for mine, (path, one) in zip(found if isinstance(found, list) else [found], own):
            if not alike(mine, one):
                raise UntraceableError(f"{named(path)} gives another output in the trace")
