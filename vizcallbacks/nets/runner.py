"""Passes through an instrumented net: its graph is traced where that can be done, and recorded elsewhere."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from typing import Any

from ..mxnet_door import gluon, mx
from .alike import alike
from .blocks import ConvLayer, cells, conv_layers, parameters_of
from .checking import check_recorded
from .compiled import CompiledNet
from .coverage import Coverage, Purity
from .fingerprint import Fingerprint
from .graph import Entry
from .kept import Kept, Structure
from .plain_words import plain_words
from .planning import OUTPUTS_ONLY, Wanted
from .record import Recording
from .steps import Steps
from .tape import Forward
from .tracing import Tracer, UntraceableError, runs_its_graph, trace, wiring
from .untouched import Untouched

_LOGGER = logging.getLogger(__name__)


_checked: weakref.WeakKeyDictionary[gluon.Block, tuple[Any, list]] = weakref.WeakKeyDictionary()
"""Hybridized net -> the graph that it runs and the trace that was seen to give the same outputs.

The comparison costs a tenth of a snapshot of a small net; it is made again when either graph is another.
"""


class Runner:
    """An instrumented net: its layers, and passes through it.

    Parameters
    ----------
    net : gluon.Block
    blocks : list of (Block, str)
        Every block once, with its path from the net ("features.8.1.body.3"; the net itself: "").
    kept : Kept, optional
        What earlier calls found of the net's structure; this one's goes there, too.

    Attributes
    ----------
    route : "traced", "recorded" or None
        Where the graph of the passes is from: the net's symbols; or the record of one untouched run, for nets that
        cannot be traced. None before the first pass.
    reason : str
        Why the net was not traced.
    coverage : Coverage
        Of the last pass.
    """

    def __init__(
        self, net: gluon.Block, blocks: list[tuple[gluon.Block, str]], kept: Kept | None = None
    ) -> None:
        self.net, self.blocks, self.kept = net, blocks, kept
        self.route: str | None = None
        self.reason = ""
        self.coverage = Coverage()
        self._untouched = Untouched(net, blocks)
        self._traced: CompiledNet | None = None
        self._recorded: tuple[Any, bool, CompiledNet] | None = None
        self._unchecked: Recording | None = None
        self._fitting: dict[tuple, bool] = {}

    @property
    def conv_layers(self) -> dict[str, ConvLayer]:
        """Path -> every Conv2D of the net, in the order of definition."""
        return conv_layers(self.blocks)

    @property
    def relus(self) -> tuple[int, int]:
        """(guided, total) ReLU-like activations of the last pass; (0, 0) before the first."""
        return self.coverage.relus

    @property
    def purity(self) -> Purity:
        """What the net's own code wrote while it ran for passes."""
        return self._untouched.purity

    @property
    def watch(self) -> Any:
        """Whom blocks tell what they return, in the thread that runs the passes; None between passes."""
        return self._untouched.watch

    def forward(
        self,
        images: Any,
        layers: Sequence[ConvLayer] | None = None,
        extra: Sequence = (),
        *,
        record: bool = True,
        image: bool = True,
        guided: bool = True,
    ) -> Forward:
        """Run the net once, in predict mode, keeping what walks backwards need.

        Parameters
        ----------
        images : NDArray, (N, C, H, W)
            On the net's context.
        layers : sequence of Conv2D, optional
            Whose outputs are to be kept, of every run that depends on the image; None: of all.
        extra : sequence of NDArray
            What the net takes beside the images.
        record, image, guided : bool
            Whether there will be walks backwards; down to the image; guided ones.

        Raises
        ------
        ValueError
            If the graph holds what cannot be run right, draws random numbers, or gives other outputs than the net.
        """
        inputs = [one.as_nd_ndarray() for one in (images, *extra)]
        taps = self._taps(self._compiled(inputs), layers)
        return self._run(inputs, taps, Wanted(record, image, guided))

    def forward_to_last(
        self, images: Any, extra: Sequence = (), *, image: bool = True, guided: bool = True
    ) -> Forward:
        """`forward`, keeping the last run of a Conv2D that depends on the image and whose output, larger than
        1 x 1, has a part in the net's.

        Where the graph does not tell which that is, all are kept.
        """
        inputs, wanted = [one.as_nd_ndarray() for one in (images, *extra)], Wanted(True, image, guided)
        for layer, entry in reversed(self._compiled(inputs).reached()):
            run = self._run(inputs, [(layer, entry)], wanted)
            if cells(layer, run.ran[0][1].shape) > 1:
                return run
        return self._run(inputs, self._compiled(inputs).runs, wanted)

    def together(
        self, images: Any, layers: Sequence[ConvLayer] | None, extra: Sequence, *, image: bool, guided: bool
    ) -> int:
        """How many of the images had better share a pass, `forward` or, if `layers` is None, `forward_to_last`."""
        inputs = [one.as_nd_ndarray() for one in (images, *extra)]
        compiled = self._compiled(inputs)
        if self.route != "traced":
            return len(images)
        taps = compiled.reached()[-1:] if layers is None else self._taps(compiled, layers)
        return compiled.together(inputs, taps, Wanted(True, image, guided))

    def runs(self, images: Any, extra: Sequence = ()) -> list[tuple[ConvLayer, Entry]]:
        """The runs of layers that depend on the image, in their order, with their outputs in the net's graph."""
        return self._compiled([one.as_nd_ndarray() for one in (images, *extra)]).runs

    def path_of(self, layer: ConvLayer) -> str:
        """A layer's path, or its name if it is the net itself."""
        found = (path or conv.name for path, conv in self.conv_layers.items() if conv == layer)
        return next(found, layer.name)

    def _taps(
        self, compiled: CompiledNet, layers: Sequence[ConvLayer] | None
    ) -> list[tuple[ConvLayer, Entry]]:
        if layers is None:
            return compiled.runs
        ran = [layer for layer, _ in compiled.runs]
        for layer in layers:
            if layer not in ran:
                paths = ", ".join(path for path, conv in self.conv_layers.items() if conv in ran) or "none"
                raise ValueError(
                    f"layer {layer.name!r} ran, but on nothing that depends on the image, so it "
                    "has no map "
                    f"of it; layers that do: {paths}"
                    if layer in compiled.elsewhere
                    else f"layer {layer.name!r} did not run on these images; layers that ran: {paths}"
                )
        return [run for run in compiled.runs if run[0] in layers]

    def _run(self, inputs: Sequence, taps: Sequence[tuple[ConvLayer, Entry]], wanted: Wanted) -> Forward:
        compiled = self._compiled(inputs)
        run = compiled.forward(inputs, taps, wanted)
        recording, self._unchecked = self._unchecked, None
        if recording is not None:
            check_recorded(compiled, recording, inputs, run.outputs, self._untouched.paths)
        if wanted.record:
            self.coverage = compiled.coverage
        return run

    def _compiled(self, inputs: Sequence) -> CompiledNet:
        """The graph for these inputs: traced once, or recorded as often as it has to be."""
        if self.route is None:
            try:
                self._traced = self._trace(inputs)
                self.route = "traced"
            except UntraceableError as error:
                self.route, self.reason = "recorded", str(error)
                _LOGGER.debug("the net is recorded, not traced: %s", error)
        if self._traced is not None:
            if runs_its_graph(self.net) or self._fits(inputs):
                return self._traced
            self.route, self.reason = "recorded", "its graph does not take these shapes, as its forward does"
            self._traced = None
        shapes = [(one.shape, one.dtype) for one in inputs]
        if self._recorded is not None:
            last, again, compiled = self._recorded
            if last[0] is inputs[0] or (again and shapes == [(one.shape, one.dtype) for one in last]):
                return compiled
        return self._record(inputs)

    def _fits(self, inputs: Sequence) -> bool:
        """Whether the traced graph takes inputs of these shapes; where symbols do not broadcast, arrays may."""
        shapes = tuple(one.shape for one in inputs)
        if shapes not in self._fitting:
            try:
                self._fitting[shapes] = self._traced.infers(inputs)  # type: ignore[union-attr]
            except mx.MXNetError:
                self._fitting[shapes] = False
        return self._fitting[shapes]

    def _trace(self, inputs: Sequence) -> CompiledNet:
        """The net by its trace, or by one that was kept; UntraceableError if there is none that is right."""
        fingerprint, layers = None, self.conv_layers
        if self.kept is not None:
            fingerprint = Fingerprint.of(self.net, self.blocks, len(inputs))
            known = self.kept.structure(fingerprint)
            if known is not None:
                context = inputs[0].ctx
                arrays = {one.name: one.data(context) for one in parameters_of(self.blocks)}
                return CompiledNet(known.graph(layers, arrays), known.plans)
        tracer = Tracer()
        graph = self._untouched.traced(tracer, lambda: trace(self.net, tracer, len(inputs), inputs[0].ctx))
        if self.kept is None or fingerprint is None:
            compiled = CompiledNet(graph)
            self._compare(compiled, inputs, Steps(graph.steps))
            return compiled
        structure = self.kept.same(Structure.of(graph, layers))
        compiled = CompiledNet(structure.graph(layers, graph.arrays), structure.plans)
        self._compare(compiled, inputs, structure.steps)
        self.kept.keep(fingerprint, structure)
        return compiled

    def _compare(self, compiled: CompiledNet, inputs: Sequence, steps: Steps) -> None:
        """Raise UntraceableError if a trace gives other outputs on one image than the net and its blocks do."""
        recording, own_graph = not runs_its_graph(self.net), getattr(self.net, "_cached_graph", None)
        checked = (own_graph[1], wiring(compiled.graph.heads)) if own_graph and not recording else None
        last = _checked.get(self.net)
        # symbols make a symbol of ==
        if checked is not None and last is not None and last[0] is checked[0] and last[1] == checked[1]:
            return
        first = [one[:1] for one in inputs]
        own, recorder = self._untouched.run(first, recording)
        if recording and recorder.modes:
            raise UntraceableError(recorder.modes[0])
        try:
            mine = compiled.forward(first, [], OUTPUTS_ONLY).outputs
        except mx.MXNetError as error:
            if not recording:
                raise
            raise UntraceableError(f"its graph does not run: {plain_words(error)}") from error
        if not alike(mine, own):
            raise UntraceableError("its graph gives other outputs than the net does")
        if recording:
            steps.check(first, compiled.graph.arrays, recorder.steps)
        if checked is not None:
            _checked[self.net] = checked

    def _record(self, inputs: Sequence) -> CompiledNet:
        self._recorded = None
        recording, _ = self._untouched.run(inputs, True, finish=True)
        compiled = CompiledNet(recording.graph)
        self._recorded = (list(inputs), recording.again, compiled)
        self._unchecked = recording
        return compiled
