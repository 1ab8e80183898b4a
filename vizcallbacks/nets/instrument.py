"""Swap instrumented layers into a net for the length of a ``with`` block, and take them out again, always."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ..checks import names_arguments
from ..mxnet_door import autograd, gluon, mx
from .blocks import block_paths, named, parameters_of
from .kept import Kept
from .layers import ATTACHED, instrumented_class
from .runner import Runner


@names_arguments
@contextmanager
def instrumented(net: gluon.Block, kept: Kept | None = None) -> Iterator[Runner]:
    """Instrument every layer of `net`; restore the net when the block is left, also by an exception.

    Each block keeps its identity and gets another class for a while; parameters are exchanged for views of the
    same memory that record no gradient. Compiled graphs, hybridization flags, ``.grad``, running statistics,
    hooks and random states stay as they are. Called directly, the net still works as before.

    Parameters
    ----------
    net : gluon.Block
        An initialised net (deferred initialisation: run one batch first).
    kept : Kept, optional
        What is kept of the net's structure between calls (`vizcallbacks.nets.kept`).

    Yields
    ------
    Runner
        Its ``conv_layers`` and, after a pass, ``relus`` as (guided, total).

    Raises
    ------
    TypeError
        If `net` is no Gluon block.
    ValueError
        If the net is not initialised.
    RuntimeError
        If the net, or a part that it shares, is instrumented already.

    Examples
    --------
    >>> import vizcallbacks as vc
    >>> from vizcallbacks.mxnet_door import mx, nn
    >>> net = nn.HybridSequential()
    >>> net.add(nn.Conv2D(4, 3, activation="relu"), nn.Dense(2))
    >>> net.initialize()
    >>> net(mx.nd.ones((1, 3, 8, 8))).shape
    (1, 2)
    >>> with vc.instrumented(net) as view:
    ...     run = view.forward(mx.nd.ones((1, 3, 8, 8)))
    >>> list(view.conv_layers), view.relus
    (['0'], (1, 1))
    """
    blocks = block_paths(net)
    parameters = parameters_of(blocks)
    _check(blocks, parameters)
    runner = Runner(net, blocks, kept)
    classes = [(block, type(block)) for block, _ in blocks]
    data = [(parameter, parameter._data) for parameter in parameters if parameter._stype == "default"]
    modes = autograd.is_recording(), autograd.is_training()
    try:
        for block, path in blocks:
            block.__dict__[ATTACHED] = Attachment(runner, path)
            object.__setattr__(block, "__class__", instrumented_class(type(block)))  # type: ignore[arg-type]
        for parameter, arrays in data:
            # the pass is to write no parameter's .grad, wherever the net fetches the parameter from
            parameter._data = [array.detach() for array in arrays]
        yield runner
        # in predict mode MXNet lays convolutions' weights out anew, in the background; whoever reads a parameter
        # meanwhile gets a mixture of both layouts, now and then (seen without vizcallbacks as well)
        mx.nd.waitall()
    except Exception:
        with suppress(mx.MXNetError):
            mx.nd.waitall()  # an operator that failed later raises here, not in the training's next waitall
        raise
    finally:
        try:
            _restore(classes, data, modes)
        except BaseException:  # a signal's, such as Ctrl-C, half-way through: all of it once more, then raise
            _restore(classes, data, modes)
            raise


@dataclass(frozen=True)
class Attachment:
    """What an instrumented block knows: its place in the net and who runs it."""

    runner: Runner
    path: str

    @property
    def watch(self) -> Any:
        """Whom the block tells in this thread; None outside a pass."""
        return self.runner.watch


def _check(blocks: Sequence[tuple[gluon.Block, str]], parameters: Sequence[gluon.Parameter]) -> None:
    for block, path in blocks:
        if ATTACHED in block.__dict__:
            raise RuntimeError(
                f"{named(path)} is instrumented already; leave the first instrumented(...) block before the next"
            )
    missing = [parameter.name for parameter in parameters if parameter._data is None]
    if missing:
        raise ValueError(
            f"the net must be initialised, but {missing[0]!r} ({len(missing)} parameters in all) has no data; "
            "call net.initialize() and run one batch through it"
        )


def _restore(classes: list, data: list, modes: tuple[bool, bool]) -> None:
    """Put everything back; done twice it does no harm."""
    for parameter, arrays in reversed(data):
        parameter._data = arrays
    for block, cls in reversed(classes):
        object.__setattr__(block, "__class__", cls)
        block.__dict__.pop(ATTACHED, None)
    # MXNet's own scopes lose their note of these when a signal interrupts their first lines
    autograd.set_recording(modes[0])
    autograd.set_training(modes[1])
