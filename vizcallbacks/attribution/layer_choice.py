"""Which layer the maps are of: the one asked for or the default, found among the runs of a pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mxnet_door import autograd
from ..nets.blocks import ConvLayer, cells, layout_of
from ..nets.runner import Runner
from ..nets.tape import Forward
from .target import Target


def channels_first(layer: Any, array: np.ndarray) -> np.ndarray:
    """A Conv2D's (N, K, h, w) from what it returns, in single precision."""
    axes = [layout_of(layer).index(letter) for letter in "NCHW"]
    return array.transpose(axes).astype(np.float32, copy=False)


def default_layer(run: Forward, spatial: bool = False) -> tuple[ConvLayer, tuple[str, ...]]:
    """The last Conv2D to run with an output larger than 1 x 1 and a part in the score; ValueError if none.

    For spatial targets the last with another Conv2D between it and the score, if there is one. Second: remarks.
    """
    outputs = [output for _, output in run.ran]
    remarks: tuple[str, ...] = ()
    reached = run.tape.reached(outputs, through=True) if spatial else []
    if not any(reached):
        reached = run.tape.reached(outputs)
        if spatial:
            remarks = (
                "the layer computes the scores themselves, as no other Conv2D is between it and them: its maps "
                "show the net's output",
            )
    large = [
        layer
        for (layer, output), by_gradient in zip(run.ran, reached)
        if by_gradient and cells(layer, output.shape) > 1
    ]
    if not large:
        raise ValueError(
            "no Conv2D on the way from the image to the target's score gave an output larger than 1 x 1, so there "
            "is nothing to map; use larger images, or name a layer"
        )
    return large[-1], remarks


def taps(run: Forward, layers: list, runner: Runner) -> list:
    """The layers' outputs of a pass, NDArrays in the layers' own layout.

    Of a layer that ran several times: where it ran last on the way from the image to the score; if it never has a
    part in that, where it ran last on the image.

    Raises
    ------
    ValueError
        If a layer gave another number of maps than there are images.
    """
    reached = run.tape.reached([output for _, output in run.ran])
    found = []
    for layer in layers:
        runs = [
            (by_gradient, place) for place, by_gradient in enumerate(reached) if run.ran[place][0] == layer
        ]
        output = run.ran[max(runs)[1]][1]
        count, wanted = output.shape[layout_of(layer).index("N")], run.images.shape[0]
        if count != wanted:
            raise ValueError(
                f"layer {runner.path_of(layer)!r} gave {count} maps for {wanted} images: the net folds "
                "something into "
                "the batch axis before it (views, frames or patches), so its maps are not the images'; name "
                "a layer "
                "that runs on whole images, or explain one view as the image of a wrapper"
            )
        found.append(output)
    return found


def no_part(runner: Runner, images: Any, extra: list, target: Target, layers: list[ConvLayer]) -> str:
    """What to say of layers on which the score does not depend."""
    run = runner.forward(images, None, extra, guided=False)
    scored(run, target)
    reached = run.tape.reached([output for _, output in run.ran])
    paths = dict.fromkeys(runner.path_of(one) for (one, _), depends in zip(run.ran, reached) if depends)
    named = ", ".join(repr(runner.path_of(one)) for one in layers)
    return (
        f"layer {named} has no part in the target's score, so there is nothing to map; layers that have: "
        f"{', '.join(paths) or 'none'}"
    )


def scored(run: Forward, target: Target) -> tuple[Target, Any]:
    """Fix a target of a pass's images on its outputs, score them, (n,) NDArray, and close the pass's record."""
    chosen = target.fixed(run.outputs)
    with autograd.record(train_mode=False):
        score = chosen.score(run.outputs)
    run.tape.close(score)
    return chosen, score
