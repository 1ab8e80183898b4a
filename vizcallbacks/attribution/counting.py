"""What methods of many passes will cost: how many passes they ask for, and how long a pass takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..mxnet_door import gluon
from ..nets.inputs import Inputs
from ..nets.instrument import instrumented
from ..nets.passes import Passes
from .methods import METHODS


@dataclass(frozen=True)
class Counted:
    """What a method runs for each image.

    Attributes
    ----------
    passes : int
        Forward passes through the whole net.
    walks : bool
        Whether a walk back to the image follows each.
    """

    passes: int
    walks: bool


def count_passes(methods: Sequence[str], images: np.ndarray, activation: np.ndarray) -> dict[str, Counted]:
    """Method -> what it will run for each image, for those that have passes of their own. No pass is run.

    Counted is what a method asks for first, which is nearly all; that of methods that run only the part above a
    layer is not.

    Parameters
    ----------
    images : ndarray, (n, C, H, W), float32
        Explained together; only their shapes matter, and for some methods their number.
    activation : ndarray, (n, K, h, w), float32
        Of the layer's shape.
    """
    known = {"passes": _Asked(images), "images": images, "baselines": images}
    known.update(input_gradient=images, guided_gradient=images, activation=activation, gradient=activation)
    found = {}
    for name in methods:
        needs = METHODS[name].needs
        if "passes" in needs and all(need in known for need in needs):
            try:
                METHODS[name].function(*(known[need] for need in needs))
            except _Answer as answer:
                found[name] = answer.counted
    return found


def time_passes(net: gluon.Block, images: np.ndarray) -> tuple[float, float]:
    """Seconds for each image that a forward pass of these images takes, and one with a walk back to the image.

    Each is run twice, and the second one counts: the first compiles the net. The net returns (n, classes).
    """
    inputs, found = Inputs(net, images, ()), []
    inputs.initialise(net)
    with instrumented(net) as runner, inputs.told(inputs.batch(slice(0, 1))[0]):
        passes = Passes(runner, images, inputs.to_net, [], lambda outputs: outputs[:, 0], len(images))
        for run in (passes.scores, passes.gradients):
            for _ in range(2):
                start = time.perf_counter()
                list(run([images], 1, ""))
                taken = time.perf_counter() - start
            found.append(taken / len(images))
    return found[0], found[1]


class _Answer(Exception):
    def __init__(self, counted: Counted) -> None:
        super().__init__(counted)
        self.counted = counted


class _Asked:
    """In the place of `vizcallbacks.nets.passes.Passes`: raises what is asked for."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def scores(self, batches: Any, count: int, title: str) -> NoReturn:
        raise _Answer(Counted(count, False))

    def gradients(self, batches: Any, count: int, title: str) -> NoReturn:
        raise _Answer(Counted(count, True))
