"""The net itself, run as it is: watched while it runs, and with everything put back that its own code writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..mxnet_door import autograd, gluon, mx
from .blocks import parameters_of
from .coverage import Purity
from .pieces import marked
from .purity import attributes_kept
from .record import recorded
from .recorder import BlockGraph, Recorder
from .watching import watched


class Untouched:
    """A net whose blocks, instrumented, tell what they return to whoever watches.

    Parameters
    ----------
    net : gluon.Block
    blocks : list of (Block, str)
        Every block once, with its path from the net.

    Attributes
    ----------
    paths : dict of Block to str
    purity : Purity
        What the net's own code wrote while it ran.
    """

    def __init__(self, net: gluon.Block, blocks: list[tuple[gluon.Block, str]]) -> None:
        self.net, self.blocks, self.paths = net, blocks, dict(blocks)
        self.purity = Purity()
        self._thread = threading.get_ident()
        self._watch: Any = None
        self._graphs: dict[Any, BlockGraph] = {}

    @property
    def watch(self) -> Any:
        """Whom blocks tell what they return, in the thread that runs the passes; None between passes."""
        return self._watch if threading.get_ident() == self._thread else None

    def run(self, inputs: Sequence, record: bool, finish: bool = False) -> tuple[Any, Recorder]:
        """Run the net, and put back what it writes.

        Parameters
        ----------
        inputs : sequence of NDArray
        record : bool
            Whether MXNet records the run.
        finish : bool
            Whether to read the record's graph.

        Returns
        -------
        outputs, or with `finish` the Recording
        Recorder
        """
        recorder = Recorder(self.paths, self._graphs, self._told)
        context = inputs[0].ctx
        recorder.parameters(
            [one.data(context) for one in parameters_of(self.blocks) if one._stype == "default"]
        )
        leaves = [marked(one) if record else one for one in inputs]
        given = [one.as_np_ndarray() for one in leaves] if mx.util.is_np_array() else leaves
        with self._unchanged():
            try:
                with watched(recorder), (autograd.record if record else autograd.pause)(train_mode=False):
                    outputs = self._told(recorder, lambda: self.net(*given))
                found = recorded(recorder, outputs, leaves) if finish else outputs
            finally:
                try:
                    self.purity += Purity(tuple(recorder.writes.put_back()))
                except BaseException:  # a signal's, half-way through: once more, then raise
                    recorder.writes.put_back()
                    raise
        return found, recorder

    def traced(self, watch: Any, run: Callable[[], Any]) -> Any:
        """What `run` gives, which traces the net while blocks tell `watch`."""
        with self._unchanged():
            return self._told(watch, run)

    def _told(self, watch: Any, run: Callable[[], Any]) -> Any:
        """Run something while blocks tell `watch`."""
        before, self._watch = self._watch, watch
        try:
            return run()
        finally:
            self._watch = before

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        found: list[str] = []
        try:
            with attributes_kept(self.blocks, found):
                yield
        finally:
            self.purity += Purity(tuple(found))
