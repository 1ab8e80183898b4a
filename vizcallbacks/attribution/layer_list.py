"""`layers`: which layers of a net the CAM family can look at, and which of them have a part in the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..checks import names_arguments
from ..mxnet_door import gluon
from ..nets.blocks import ConvLayer, find_layers
from ..nets.graph import INPUT
from ..nets.inputs import Inputs
from ..nets.instrument import instrumented
from ..nets.receptive_field import receptive_fields
from ..probes.probe_set import ProbeSet
from .layer_choice import channels_first, scored
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
        behind operators of unknown reach.
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


@names_arguments
def layers(net: gluon.Block, images: Any, *, targets: Any = None, extra: Sequence = ()) -> list[Layer]:
    """List the layers that `explain` can map, in the order in which they run on the first of `images`.

    A layer that runs several times counts where `explain` would take it. Layers that run on nothing that
    depends on the image are left out.

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

    Examples
    --------
    With `net` of two classes, and `images`, (3, 3, 16, 16) float32:

    >>> import numpy as np, vizcallbacks as vc
    >>> print(*vc.layers(net, images), sep="\\n")
    0 (conv...): 8 x 14 x 14, a cell sees 3 x 3 px
    """
    probe = images if isinstance(images, ProbeSet) else ProbeSet(images)
    target, first = target_of(targets, probe.labels, len(probe)), slice(0, 1)
    find_layers(net, None)  # raises if there are none
    inputs = Inputs(net, probe.images, extra)
    inputs.initialise(net)
    given = inputs.batch(first)
    with instrumented(net) as runner, inputs.told(given[0]):
        entries = [entry for _, entry in runner.runs(given[0], given[1:])]
        paths = {conv: path or conv.name for path, conv in runner.conv_layers.items()}
        run = runner.forward(given[0], extra=given[1:])
        scored(run, target.pick(first))
        reached = run.tape.reached([output for _, output in run.ran])
        shapes = [channels_first(layer, output.asnumpy()).shape for layer, output in run.ran]
    height, width = probe.images.shape[2:]
    fields = receptive_fields(entries, f"{INPUT}0", (height, width))
    counting: dict[ConvLayer, int] = {}
    for place, (layer, _) in enumerate(run.ran):
        if reached[place] or layer not in counting or not reached[counting[layer]]:
            counting[layer] = place
    return [
        Layer(paths[layer], layer.name, shapes[i][1], (shapes[i][2], shapes[i][3]), reached[i], fields[i])
        for layer, i in sorted(counting.items(), key=lambda item: item[1])
    ]
