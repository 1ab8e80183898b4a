"""`layers`: which layers of a net the CAM family can look at, and which of them have a part in the score."""

from __future__ import annotations

from dataclasses import dataclass

from ..mxnet_door import gluon
from ..nets.blocks import ConvLayer, block_paths, find_layers
from ..nets.inputs import Inputs, initialise
from ..nets.instrument import Instruments, instrumented
from ..nets.receptive_field import receptive_fields
from ..nets.tracing import INPUT, UntraceableError
from ..probes.probe_set import ProbeSet
from .explaining import channels_first, scored
from .targets import target_of


@dataclass(frozen=True)
class Layer:
    """A Conv2D that ran.

    Attributes
    ----------
    path : str
        For ``explain(layer=)``: its place in the net ("features.8.1.body.3"); its name if it is the net itself.
    name : str
        Gluon's.
    channels : int
    size : (int, int)
        (h, w) of its output, and of its maps.
    reached : bool
        Whether the target's score depends on it. Where not, maps of the CAM family are dead.
    receptive_field : (int, int) or None
        Pixels of the image, (height, width), that one of its cells can depend on, at most the whole image; None
        if the net has no graph to read it from, or one with operators of unknown reach.
    """

    path: str
    name: str
    channels: int
    size: tuple[int, int]
    reached: bool
    receptive_field: tuple[int, int] | None

    def __str__(self) -> str:
        field = self.receptive_field
        seen = "" if field is None else f", a cell sees {field[0]} x {field[1]} px"
        rest = "" if self.reached else ", no part in the score"
        return f"{self.path} ({self.name}): {self.channels} x {self.size[0]} x {self.size[1]}{seen}{rest}"


def layers(net, images, *, targets=None, extra=()) -> list[Layer]:
    """List the layers that `explain` can map, in the order in which they run on the first of `images`.

    The deeper a layer, the more it knows of classes and the coarser its maps: the last few that are reached and
    larger than 1 x 1 are the usual choice. The net is left as it was, to the bit.

    Parameters
    ----------
    net, images, targets, extra
        As for `explain`.

    Returns
    -------
    list of Layer

    Raises
    ------
    TypeError, ValueError
        As `explain` does.
    """
    probe = images if isinstance(images, ProbeSet) else ProbeSet(images)
    target, first = target_of(targets, probe.labels, len(probe)), slice(0, 1)
    find_layers(net, None)  # raises if there are none
    given = Inputs(net, probe.images, extra).batch(first)
    initialise(net, given)
    closed = any(isinstance(block, gluon.SymbolBlock) for block, _ in block_paths(net))
    # a layer that has no part in the output is in no graph
    with instrumented(net, compiled=None if closed else False) as instruments:
        fields = _receptive_fields(instruments, given)
        paths = {conv: path or conv.name for path, conv in instruments.conv_layers.items()}
        run = instruments.forward(given[0], extra=given[1:])
        scored(run, target.pick(first))
        reached = run.tape.reached([output for _, output in run.ran])
        shapes = [channels_first(layer, output.asnumpy()).shape for layer, output in run.ran]
    return [
        Layer(paths[layer], layer.name, shape[1], (shape[2], shape[3]), depends, fields.get(layer))
        for (layer, _), shape, depends in zip(run.ran, shapes, reached)
    ]


def _receptive_fields(instruments: Instruments, given: list) -> dict[ConvLayer, tuple[int, int] | None]:
    try:
        found = instruments.trace(len(given)).layers
    except UntraceableError:
        return {}
    fields = receptive_fields(found.values(), f"{INPUT}0", given[0].shape[2:])
    return dict(zip(found, fields))
