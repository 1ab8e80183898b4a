"""Swap instrumented layers into a net for the length of a ``with`` block, and take them out in any event."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..mxnet_door import autograd, gluon, mx
from .blocks import ConvLayer, block_paths, cells, conv_layers, parameters_of
from .compiled import CompiledNet
from .layers import ATTACHED, instrumented_class
from .record import Pass, Tape
from .tracing import Trace, Tracer, UntraceableError, trace

_LOGGER = logging.getLogger(__name__)


@contextmanager
def instrumented(net: gluon.Block, compiled: bool | None = None) -> Iterator[Instruments]:
    """Instrument every layer of `net`; restore the net when the block is left, also by an exception.

    Each block keeps its identity and gets another class for a while; parameters are exchanged for views of the
    same memory that record no gradient. Compiled graphs, hybridization flags, ``.grad``, running statistics,
    hooks and random states stay as they are. Called directly, the net still works as before.

    Parameters
    ----------
    net : gluon.Block
        An initialised net (deferred initialisation: run one batch first).
    compiled : bool or None
        The way that passes go, as for `Instruments`.

    Yields
    ------
    Instruments
        Its ``conv_layers`` and, after a pass, ``relus`` as (guided, total).

    Raises
    ------
    TypeError
        If `net` is no Gluon block.
    ValueError
        If the net is not initialised.
    RuntimeError
        If the net, or a part that it shares, is instrumented already.
    """
    blocks = block_paths(net)
    parameters = parameters_of(blocks)
    _check(blocks, parameters)
    session = Instruments(net, blocks, compiled)
    classes = [(block, type(block)) for block, _ in blocks]
    data = [(parameter, parameter._data) for parameter in parameters if parameter._stype == "default"]
    modes = autograd.is_recording(), autograd.is_training()
    try:
        for block, path in blocks:
            block.__dict__[ATTACHED] = Attachment(session, path)
            object.__setattr__(block, "__class__", instrumented_class(type(block)))  # type: ignore[arg-type]
        for parameter, arrays in data:
            # the pass is to write no parameter's .grad, wherever the net fetches the parameter from
            parameter._data = [array.detach() for array in arrays]
        yield session
    finally:
        try:
            _restore(classes, data, modes)
        except BaseException:  # a signal's, such as Ctrl-C, half-way through: all of it once more, then raise
            _restore(classes, data, modes)
            raise


@dataclass(frozen=True)
class Attachment:
    """What an instrumented block knows: its place in the net and whom to tell."""

    session: Instruments
    path: str


@dataclass
class Instruments:
    """An instrumented net: its layers, and passes through it.

    Attributes
    ----------
    net : gluon.Block
    blocks : list of (Block, str)
        Every block once, with its path from the net ("features.8.1.body.3"; the net itself: "").
    compiled : bool or None
        Whether passes go through the net's compiled graph, or through its layers operator by operator. None:
        through the graph if the net can be traced and, where it is not hybridized and runs no graph itself, the
        graph agrees with its forward.
    tape : Tape, Tracer or None
        The pass under way.
    """

    net: gluon.Block
    blocks: list[tuple[gluon.Block, str]]
    compiled: bool | None = None
    tape: Any = None
    _ran: dict[ConvLayer, Any] = field(default_factory=dict)
    _tapped: frozenset[ConvLayer] | None = None
    _last: Tape | None = None
    _graph: CompiledNet | None = None
    _decided: bool = False

    @property
    def conv_layers(self) -> dict[str, ConvLayer]:
        """Path -> every Conv2D of the net, in the order of definition."""
        return conv_layers(self.blocks)

    @property
    def relus(self) -> tuple[int, int]:
        """(guided, total) ReLU-like activations of the last pass; (0, 0) before the first."""
        return (0, 0) if self._last is None else self._last.relus

    @property
    def unguided(self) -> list[str]:
        """Paths of the blocks with ReLU-like activations that a guided pass cannot reach."""
        return [] if self._last is None else self._last.unguided

    @property
    def plain_activations(self) -> dict[str, int]:
        """Kind -> number of the last pass's activations that a guided pass leaves to their own derivative."""
        return Tape().plain_activations if self._last is None else self._last.plain_activations

    @property
    def by_graph(self) -> bool:
        """Whether passes go through the net's compiled graph; decided by the first."""
        return self._graph is not None

    def forward(
        self, images, layers=None, extra=(), *, record: bool = True, image: bool = True, guided: bool = True
    ) -> Pass:
        """Run the net once, in predict mode, keeping what walks backwards need.

        Parameters
        ----------
        images : NDArray, (N, C, H, W)
            On the net's context.
        layers : sequence of Conv2D, optional
            Whose outputs are to be kept; None: of all.
        extra : sequence of NDArray
            What the net takes beside the images.
        record, image, guided : bool
            Whether there will be walks backwards; down to the image; guided ones.
        """
        if self._compiled_net(images, extra) is None:
            return self._by_operators(images, layers, extra, record)
        try:
            run = self._graph.forward((images, *extra), layers, record, image, guided)  # type: ignore[union-attr]
            if not self._decided:
                self._compare(run.outputs, images, extra)
                self._decided = True
        except (UntraceableError, mx.MXNetError, ValueError) as error:
            self._give_up(error)
            return self._by_operators(images, layers, extra, record)
        self._last = run.tape if record else self._last
        return run

    def forward_to_last(self, images, extra=(), *, image: bool = True, guided: bool = True) -> Pass:
        """`forward`, keeping the last Conv2D to run with an output larger than 1 x 1 on which the net's depends.

        Where the graph does not tell which that is, all layers are kept.
        """
        graph = self._compiled_net(images, extra)
        for layer in reversed([] if graph is None else graph.reached()):
            run = self.forward(images, [layer], extra, image=image, guided=guided)
            if run.ran and cells(layer, run.ran[0][1].shape) > 1:
                return run
        return self.forward(images, None, extra, image=image, guided=guided)

    def trace(self, inputs: int = 1) -> Trace:
        """The net's graph; UntraceableError if it has none."""
        tracer = Tracer()
        self.tape = tracer
        try:
            return trace(self.net, tracer, inputs, self.blocks)
        finally:
            self.tape = None

    def finish(self, block: gluon.Block, output):
        """Take a block's output on its way: cut the tape behind composite blocks and tapped layers."""
        if isinstance(self.tape, Tracer):
            return self.tape.finish(block, output)
        is_conv = isinstance(block, gluon.nn.Conv2D)
        tapped = is_conv and (self._tapped is None or block in self._tapped)
        if tapped or block._children or not type(block).__module__.startswith("mxnet.gluon.nn"):
            # composite blocks, lest shared parts are walked again for each ReLU behind them; and blocks with
            # code of their own, so that what cannot be reached in them is reported with their path
            output = self._cut(output, block.__dict__[ATTACHED].path)
        if tapped:
            self._ran.pop(block, None)  # a shared layer counts where it ran last
            self._ran[block] = output
        return output

    def _compiled_net(self, images, extra) -> CompiledNet | None:
        if self._graph is None and not self._decided and self.compiled is not False:
            try:
                found = self.trace(1 + len(extra))
                arrays = {one.name: one.data(images.ctx) for one in parameters_of(self.blocks)}
                self._graph = CompiledNet(found, arrays)
            except (UntraceableError, RuntimeError) as error:
                self._give_up(error)
        return self._graph

    def _give_up(self, error: Exception) -> None:
        if self.compiled:
            raise ValueError(f"the net cannot be compiled: {error}; leave out compiled=True") from error
        _LOGGER.debug("the net is explained operator by operator: %s", error)
        self._graph, self._decided = None, True

    def _compare(self, outputs, images, extra) -> None:
        """Hold the graph of a net that is not hybridized, and so runs no graph itself, to its own forward pass."""
        if getattr(self.net, "_active", False) or self._closed:
            return
        own = self._by_operators(images[:1], (), [one[:1] for one in extra], record=False).outputs
        for mine, theirs in zip(_flat(outputs), _flat(own)):
            expected, found = theirs.asnumpy(), mine[:1].asnumpy()
            if expected.shape != found.shape or not np.allclose(
                found, expected, rtol=0, atol=1e-3 * np.abs(expected).max(initial=0), equal_nan=True
            ):
                raise UntraceableError("its graph gives other outputs than its forward")

    @property
    def _closed(self) -> str | None:
        """The place of a SymbolBlock, if there is one."""
        found = (path for block, path in self.blocks if isinstance(block, gluon.SymbolBlock))
        return next((f"block {path!r}" if path else "the net" for path in found), None)

    def _by_operators(self, images, layers, extra, record: bool) -> Pass:
        if self._closed:
            raise ValueError(
                f"{self._closed} is a SymbolBlock, a closed graph whose operators can only be reached where the "
                "whole net can be traced, and this one cannot; build it from its Gluon definition and load the "
                "parameters into that, or write the blocks around it as HybridBlocks"
            )
        tape = Tape()
        self._ran = {}
        self._tapped = None if layers is None else frozenset(layers)
        inputs = tape.start(images).array
        self.tape = tape
        try:
            with (autograd.record if record else autograd.pause)(train_mode=False):
                outputs = self.net(inputs, *extra)
        finally:
            self.tape = None
        self._last = tape if record else self._last
        ran, self._ran = self._ran, {}
        return Pass(tape, inputs, outputs, list(ran.items()))

    def _cut(self, output, path: str):
        if isinstance(output, (list, tuple)):
            return type(output)(self._cut(part, path) for part in output)
        return self.tape.cut(output, path) if isinstance(output, mx.nd.NDArray) else output


def _flat(outputs) -> list:
    if isinstance(outputs, (list, tuple)):
        return [array for part in outputs for array in _flat(part)]
    return [outputs]


def _check(blocks, parameters) -> None:
    for block, path in blocks:
        place = f"block {path!r}" if path else "the net"
        if ATTACHED in block.__dict__:
            raise RuntimeError(
                f"{place} is instrumented already; leave the first instrumented(...) block before the next"
            )
    missing = [parameter.name for parameter in parameters if parameter._data is None]
    if missing:
        raise ValueError(
            f"the net must be initialised, but {missing[0]!r} ({len(missing)} parameters in all) has no data; "
            "call net.initialize() and run one batch through it"
        )


def _restore(classes, data, modes) -> None:
    """Put everything back; done twice it does no harm."""
    for parameter, arrays in reversed(data):
        parameter._data = arrays
    for block, cls in reversed(classes):
        object.__setattr__(block, "__class__", cls)
        block.__dict__.pop(ATTACHED, None)
    # MXNet's own scopes lose their note of these when a signal interrupts their first lines
    autograd.set_recording(modes[0])
    autograd.set_training(modes[1])
