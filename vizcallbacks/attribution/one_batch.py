"""One batch of images: a forward pass, the walks backwards that methods need, and the methods on the arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..nets.above import Above
from ..nets.inputs import Inputs
from ..nets.passes import Passes
from ..nets.runner import Runner
from ..nets.tape import Forward, IndependentError
from ..nets.walks import Walks
from .layer_choice import channels_first, default_layer, no_part, scored, taps
from .methods import METHODS
from .target import Target

LAYER = {"activation", "gradient", "above"}
"""What of a method's needs is of a layer."""


@dataclass(frozen=True)
class Batch:
    """What one batch gave; `maps`, `notes` and `kept` for each of the layers.

    `kept` are the arrays of the methods that take those of all images at once.
    """

    layers: list
    maps: list[dict[str, np.ndarray]]
    notes: list[dict[str, np.ndarray]]
    kept: list[dict[str, np.ndarray]]
    outputs: np.ndarray | None
    target: Target
    scores: np.ndarray
    remarks: tuple[str, ...]


def explain_batches(
    runner: Runner,
    inputs: Inputs,
    part: slice,
    methods: Sequence[str],
    layers: list | None,
    target: Target,
    batch_size: int,
) -> Iterator[Batch]:
    """A batch: at once, or in parts if that is cheaper (`vizcallbacks.nets.together`).

    `layers` None: the default layer is looked for, on the first part.
    """
    given = inputs.batch(part)
    count, size = part.stop - part.start, part.stop - part.start
    _, image, guided = _walks(methods)
    if image and not (layers is None and target.spatial):
        with inputs.told(given[0]):
            size = runner.together(given[0], layers, given[1:], image=image, guided=guided)
    for start in range(0, count, size):
        rows = slice(start, min(start + size, count))
        own = given if size == count else [one[rows] for one in given]
        here = slice(part.start + rows.start, part.start + rows.stop)
        batch = _explained(runner, inputs, own, here, methods, layers, target, batch_size)
        layers = batch.layers
        yield batch


def _walks(methods: Sequence[str]) -> tuple[set[str], bool, bool]:
    """What methods need, and whether walks go down to the image, and guided ones."""
    needs = needs_of(methods)
    guided = "guided_gradient" in needs
    return needs, guided or "input_gradient" in needs or not needs & LAYER, guided


def _explained(
    runner: Runner,
    inputs: Inputs,
    given: Sequence,
    part: slice,
    methods: Sequence[str],
    layers: list | None,
    target: Target,
    batch_size: int,
) -> Batch:
    """A forward pass, then as many walks backwards as the methods need."""
    images, *extra = given
    needs, image, guided = _walks(methods)
    with inputs.told(images):
        if layers is None and target.spatial:
            run = runner.forward(images, None, extra, image=image, guided=guided)
        elif layers is None:
            run = runner.forward_to_last(images, extra, image=image, guided=guided)
        else:
            run = runner.forward(images, layers, extra, image=image, guided=guided)
        try:
            chosen, score = scored(run, target.pick(part))
        except IndependentError as error:
            if not layers or image:
                raise
            raise ValueError(no_part(runner, images, extra, target.pick(part), layers)) from error
        outputs = chosen.answers(run.outputs)
        remarks: tuple[str, ...] = ()
        if layers is None:
            found, remarks = default_layer(run, target.spatial)
            layers = [found]
        tapped = taps(run, layers, runner)
        if layers and not any(run.tape.reached(tapped)):
            raise ValueError(no_part(runner, images, extra, target.pick(part), layers))
        shared: dict[str, Any] = {"images": inputs.images[part], "baselines": inputs.images}
        plain = tapped + ([run.images] if "input_gradient" in needs else [])
        asked = run.tape.gradients(plain, last=not guided) if plain else []
        # asked for before the first is copied: MXNet computes one while Python asks for the other
        rectified = run.tape.gradients([run.images], guided=True, last=True) if guided else []
        gradients = [one.asnumpy() for one in asked]
        if "input_gradient" in needs:
            shared["input_gradient"] = _single(gradients[-1])
        if guided:
            shared["guided_gradient"] = _single(rectified[0].asnumpy())
        activations = [tap.asnumpy() for tap in tapped]
        score = score.asnumpy()
        above = _above(run, tapped, chosen, batch_size, runner) if "above" in needs else []
        compiled, given, _ = run.origin
        shared["walks"] = Walks(compiled, given, inputs.images[part], chosen.score)
        del run  # and with it the record: methods of many passes need the memory
        shared["passes"] = Passes(
            runner,
            inputs.images[part],
            inputs.to_net,
            extra,
            chosen.score,
            batch_size,
        )
        maps, notes, kept = [], [], []
        joint = [name for name in methods if METHODS[name].jointly]
        single = [name for name in methods if name not in joint]
        for index in range(max(1, len(layers))):
            own: dict[str, Any] = {}
            if layers:
                own["activation"] = channels_first(layers[index], activations[index])
                own["gradient"] = channels_first(layers[index], gradients[index])
            if above:
                own["above"] = above[index]
            arrays = {**shared, **own}
            applied = apply_methods(single, arrays)
            maps.append(applied[0])
            notes.append(applied[1])
            kept.append({need: arrays[need] for need in needs_of(joint)})
    outputs = None if outputs is None else _single(outputs.asnumpy())
    return Batch(layers, maps, notes, kept, outputs, chosen, _single(score), remarks)


def _above(run: Forward, tapped: list, target: Target, batch_size: int, runner: Runner) -> list[Above]:
    """The part of the net above each of the layers' outputs."""
    outputs = [id(output) for _, output in run.ran]
    several = runner.route == "traced"
    return [Above(run, outputs.index(id(one)), target.score, batch_size, several) for one in tapped]


def apply_methods(methods: Sequence[str], arrays: Mapping[str, Any]) -> tuple[dict, dict]:
    """Maps by method, and notes by "method/name"."""
    maps: dict[str, np.ndarray] = {}
    notes: dict[str, np.ndarray] = {}
    for name in methods:
        with np.errstate(all="ignore"):  # NaN and infinity of the net pass, and are drawn as undefined
            found = METHODS[name].function(*(arrays[need] for need in METHODS[name].needs))
        if isinstance(found, tuple):
            found, more = found
            notes.update({f"{name}/{key}": value for key, value in more.items()})
        maps[name] = _single(found)
    return maps, notes


def needs_of(methods: Sequence[str]) -> set[str]:
    """What methods need, together."""
    return {need for name in methods for need in METHODS[name].needs}


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)
