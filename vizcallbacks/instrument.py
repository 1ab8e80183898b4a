"""Swap instrumented layers into a net for the length of a ``with`` block, and take them out in any event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mxnet as mx
from mxnet import autograd, gluon

from .nn import ATTACHED, instrumented_class
from .tape import Tape


@contextmanager
def instrumented(net: gluon.Block) -> Iterator[Instruments]:
    """Instrument every layer of `net`; restore the net when the block is left, also by an exception.

    Each block keeps its identity and gets another class for a while; parameters are exchanged for views of the
    same memory that record no gradient. Compiled graphs, hybridization flags, ``.grad``, running statistics,
    hooks and random states stay as they are. Called directly, the net still works as before.

    Parameters
    ----------
    net : gluon.Block
        An initialised net (deferred initialisation: run one batch first).

    Yields
    ------
    Instruments
        Its ``conv_layers`` and, after a pass, ``relus`` as (guided, total).

    Raises
    ------
    TypeError
        If `net` is no Gluon block.
    ValueError
        If a part of the net is a `SymbolBlock`, or the net is not initialised.
    RuntimeError
        If the net, or a part that it shares, is instrumented already.
    """
    blocks = block_paths(net)
    parameters = list(net.collect_params().values())
    _check(blocks, parameters)
    session = Instruments(net, blocks)
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
    tape : Tape or None
        The pass under way.
    """

    net: gluon.Block
    blocks: list[tuple[gluon.Block, str]]
    tape: Any = None
    _ran: dict[int, tuple[gluon.Block, Any]] = field(default_factory=dict)
    _tapped: set[int] | None = None
    _last: Tape | None = None

    @property
    def conv_layers(self) -> dict[str, gluon.nn.Conv2D]:
        """Path -> every Conv2D of the net, in the order of definition."""
        return {path: block for block, path in self.blocks if isinstance(block, gluon.nn.Conv2D)}

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

    def forward(self, images, layers=None, extra=(), record: bool = True) -> Pass:
        """Run the net once, in predict mode, keeping what walks backwards need.

        Parameters
        ----------
        images : NDArray, (N, C, H, W)
            On the net's context.
        layers : sequence of Conv2D, optional
            Whose outputs are to be kept; None: of all.
        extra : sequence of NDArray
            What the net takes beside the images.
        record : bool
            False: for the outputs alone.
        """
        tape = Tape()
        self._ran = {}
        self._tapped = None if layers is None else {id(layer) for layer in layers}
        inputs = tape.start(images).array
        self.tape = tape
        try:
            with (autograd.record if record else autograd.pause)(train_mode=False):
                outputs = self.net(inputs, *extra)
        finally:
            self.tape = None
        self._last = tape if record else self._last
        ran, self._ran = self._ran, {}
        return Pass(tape, inputs, outputs, list(ran.values()))

    def finish(self, block: gluon.Block, output):
        """Take a block's output on its way: cut the tape behind composite blocks and tapped layers."""
        is_conv = isinstance(block, gluon.nn.Conv2D)
        tapped = is_conv and (self._tapped is None or id(block) in self._tapped)
        if tapped or block._children or not type(block).__module__.startswith("mxnet.gluon.nn"):
            # composite blocks, lest shared parts are walked again for each ReLU behind them; and blocks with
            # code of their own, so that what cannot be reached in them is reported with their path
            output = self._cut(output, block.__dict__[ATTACHED].path)
        if tapped:
            self._ran.pop(id(block), None)  # a shared layer counts where it ran last
            self._ran[id(block)] = (block, output)
        return output

    def _cut(self, output, path: str):
        if isinstance(output, (list, tuple)):
            return type(output)(self._cut(part, path) for part in output)
        return self.tape.cut(output, path) if isinstance(output, mx.nd.NDArray) else output


@dataclass
class Pass:
    """One forward pass through an instrumented net.

    Attributes
    ----------
    outputs : NDArray, or what else the net returns
    ran : list of (Conv2D, NDArray)
        The tapped layers in the order in which they ran, with their outputs, in the layer's own layout.
    """

    tape: Tape
    images: Any
    outputs: Any
    ran: list[tuple[gluon.nn.Conv2D, Any]]


def block_paths(net: gluon.Block) -> list[tuple[gluon.Block, str]]:
    """Every block of `net` once, parents first, with the path of its first appearance."""
    if not isinstance(net, gluon.Block):
        raise TypeError(f"net must be a mxnet.gluon.Block, got {type(net).__name__}")
    seen: set[int] = set()
    found: list[tuple[gluon.Block, str]] = []

    def visit(block, path):
        if id(block) in seen:
            return
        seen.add(id(block))
        found.append((block, path))
        for key, child in block._children.items():
            visit(child, f"{path}.{key}" if path else key)

    visit(net, "")
    return found


def find_layers(net: gluon.Block, layer) -> list[gluon.nn.Conv2D] | None:
    """Resolve an argument `layer`: a Conv2D, its name or path, or a sequence of these, to a list of layers.

    None stays None: to be found by running the net.

    Raises
    ------
    ValueError
        The net has no such Conv2D; the message lists those it has.
    """
    convs = {path: block for block, path in block_paths(net) if isinstance(block, gluon.nn.Conv2D)}
    if not convs:
        raise ValueError(
            "the net has no gluon.nn.Conv2D layer for the CAM family to look at; "
            "use methods that need no layer, such as 'saliency'"
        )
    if layer is None:
        return None
    wanted = list(layer) if isinstance(layer, (list, tuple)) else [layer]
    if not wanted:
        raise ValueError("layer must name at least one Conv2D, got an empty sequence")
    resolved = []
    for one in wanted:
        match = [conv for path, conv in convs.items() if one is conv or one in (path, conv.name)]
        if not match:
            shown = one.name if isinstance(one, gluon.Block) else one
            names = ", ".join(f"{path} ({conv.name})" if path else conv.name for path, conv in convs.items())
            raise ValueError(f"layer {shown!r} is not a Conv2D of this net; its Conv2D layers are: {names}")
        resolved.append(match[0])
    return resolved


def _check(blocks, parameters) -> None:
    for block, path in blocks:
        place = f"block {path!r}" if path else "the net"
        if ATTACHED in block.__dict__:
            raise RuntimeError(
                f"{place} is instrumented already; leave the first instrumented(...) block before the next"
            )
        if isinstance(block, gluon.SymbolBlock):
            raise ValueError(
                f"{place} is a SymbolBlock, a closed graph whose layers cannot be reached; "
                "build the net from its Gluon definition and load the parameters into it"
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
