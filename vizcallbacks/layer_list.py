"""`layers`: which layers of a net the CAM family can look at, and which of them have a part in the score."""

from __future__ import annotations

from dataclasses import dataclass

from mxnet import autograd

from .attribution import channels_first, class_outputs
from .blocks import find_layers
from .inputs import Inputs, initialise
from .instrument import instrumented
from .probe import ProbeSet
from .targets import score_of


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
    """

    path: str
    name: str
    channels: int
    size: tuple[int, int]
    reached: bool

    def __str__(self) -> str:
        rest = "" if self.reached else ", no part in the score"
        return f"{self.path} ({self.name}): {self.channels} x {self.size[0]} x {self.size[1]}{rest}"


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
    choose, first = score_of(targets, probe.labels, len(probe)), slice(0, 1)
    find_layers(net, None)  # raises if there are none
    given = Inputs(net, probe.images, extra).batch(first)
    initialise(net, given)
    with instrumented(net) as instruments:
        paths = {conv: path or conv.name for path, conv in instruments.conv_layers.items()}
        run = instruments.forward(given[0], extra=given[1:])
        with autograd.record(train_mode=False):
            score, _ = choose(run.outputs, class_outputs(run.outputs), first)
        run.tape.close(score)
        reached = run.tape.reached([output for _, output in run.ran])
        shapes = [channels_first(layer, output.asnumpy()).shape for layer, output in run.ran]
    return [
        Layer(paths[layer], layer.name, shape[1], (shape[2], shape[3]), depends)
        for (layer, _), shape, depends in zip(run.ran, shapes, reached)
    ]
