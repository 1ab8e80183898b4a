"""Batches of images: forward passes, the walks backwards that methods need, and the methods on the arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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

AGAIN = {"passes", "walks", "above"}
"""Those for which the net is run again."""


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


@dataclass(frozen=True)
class Question:
    """What is asked of each batch.

    Attributes
    ----------
    runner : Runner
    inputs : Inputs
    methods : sequence of str
    target : Target
    batch_size : int
        Images per pass at most.
    """

    runner: Runner
    inputs: Inputs
    methods: Sequence[str]
    target: Target
    batch_size: int

    @cached_property
    def needs(self) -> set[str]:
        """What the methods need."""
        return needs_of(self.methods)

    @property
    def guided(self) -> bool:
        return "guided_gradient" in self.needs

    @property
    def image(self) -> bool:
        """Whether walks go down to the image."""
        return self.guided or "input_gradient" in self.needs or not self.needs & LAYER

    def answers(self, count: int, layers: list | None) -> Iterator[Batch]:
        """Those for all images, a pass at a time; `layers` None: the default layer is looked for, on the first.

        While MXNet runs one pass forward, the maps of the one before are made, unless methods run the net again.
        """
        waiting: Asked | None = None
        for start in range(0, count, self.batch_size):
            for given, part in self._passes(slice(start, min(start + self.batch_size, count)), layers):
                if waiting is not None:
                    waiting.wait()  # else MXNet would run both in turn, and keep what both need
                run = self._forward(given, layers)
                if waiting is not None:
                    yield waiting.answered()
                    waiting = None
                asked = self._ask(run, given, part, layers)
                layers = asked.layers
                if self.needs & AGAIN:
                    yield asked.answered()
                else:
                    waiting = asked
        if waiting is not None:
            yield waiting.answered()

    def _passes(self, part: slice, layers: list | None) -> Iterator[tuple[list, slice]]:
        """A batch's inputs: at once, or in parts where that is cheaper (`vizcallbacks.nets.together`)."""
        given = self.inputs.batch(part)
        count = size = part.stop - part.start
        if self.image and not (layers is None and self.target.spatial):
            with self.inputs.told(given[0]):
                size = self.runner.together(given[0], layers, given[1:], image=self.image, guided=self.guided)
        if size >= count:
            yield given, part
            return
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield [one[start:stop] for one in given], slice(part.start + start, part.start + stop)

    def _forward(self, given: list, layers: list | None) -> Forward:
        """Run the net forward; MXNet computes in the background."""
        images, *extra = given
        with self.inputs.told(images):
            if layers is None and not self.target.spatial:
                return self.runner.forward_to_last(images, extra, image=self.image, guided=self.guided)
            return self.runner.forward(images, layers, extra, image=self.image, guided=self.guided)

    def _ask(self, run: Forward, given: list, part: slice, layers: list | None) -> Asked:
        """Ask for as many walks backwards as the methods need."""
        runner, guided = self.runner, self.guided
        images, *extra = given
        with self.inputs.told(images):
            picked = self.target.pick(part)
            try:
                chosen, score = scored(run, picked)
            except IndependentError as error:
                if not layers or self.image:
                    raise
                raise ValueError(no_part(runner, images, extra, picked, layers)) from error
            remarks: tuple[str, ...] = ()
            if layers is None:
                found, remarks = default_layer(run, self.target.spatial)
                layers = [found]
            tapped = taps(run, layers, runner)
            if layers and not any(run.tape.reached(tapped)):
                raise ValueError(no_part(runner, images, extra, picked, layers))
            plain = tapped + ([run.images] if "input_gradient" in self.needs else [])
            gradients = run.tape.gradients(plain, last=not guided) if plain else []
            if guided and "input_gradient" in self.needs:
                for one in gradients:
                    one.wait_to_read()  # else MXNet would run both walks in turn, and keep what both need
            rectified = run.tape.gradients([run.images], guided=True, last=True) if guided else []
        return Asked(self, part, run, layers, tapped, chosen, score, gradients, rectified, remarks)


@dataclass
class Asked:
    """A pass whose walks backwards MXNet has been asked for.

    Attributes
    ----------
    question : Question
    part : slice
        Its images.
    run : Forward
    layers : list
    tapped, gradients, rectified : list of NDArray
        What the layers returned; the gradients there, and at the image if methods need it; the guided one.
    target : Target
        Of these images.
    score : NDArray, (n,)
    remarks : tuple of str
    """

    question: Question
    part: slice
    run: Forward
    layers: list
    tapped: list
    target: Target
    score: Any
    gradients: list
    rectified: list
    remarks: tuple[str, ...]

    def wait(self) -> None:
        """Wait until MXNet has walked back."""
        with self.question.inputs.told(self.question.inputs.images[self.part]):
            for one in (*self.gradients, *self.rectified):
                one.wait_to_read()

    def answered(self) -> Batch:
        """The maps; waits for the walks."""
        question, run = self.question, self.run
        images = question.inputs.images[self.part]
        outputs = self.target.answers(run.outputs)
        shared: dict[str, Any] = {"images": images, "baselines": question.inputs.images}
        with question.inputs.told(images):
            gradients = [one.asnumpy() for one in self.gradients]
            if "input_gradient" in question.needs:
                shared["input_gradient"] = _single(gradients[-1])
            if self.rectified:
                shared["guided_gradient"] = _single(self.rectified[0].asnumpy())
            activations = [tap.asnumpy() for tap in self.tapped]
            score = _single(self.score.asnumpy())
            above = self._above() if "above" in question.needs else []
            compiled, given, _ = run.origin
            shared["walks"] = Walks(compiled, given, images, self.target.score)
            # and with it the record: methods of many passes need the memory
            del run, self.run, self.gradients, self.rectified, self.tapped
            shared["passes"] = Passes(
                question.runner,
                images,
                question.inputs.to_net,
                list(given[1:]),
                self.target.score,
                question.batch_size,
            )
            maps, notes, kept = [], [], []
            joint = [name for name in question.methods if METHODS[name].jointly]
            single = [name for name in question.methods if name not in joint]
            for index in range(max(1, len(self.layers))):
                own: dict[str, Any] = {}
                if self.layers:
                    own["activation"] = channels_first(self.layers[index], activations[index])
                    own["gradient"] = channels_first(self.layers[index], gradients[index])
                if above:
                    own["above"] = above[index]
                arrays = {**shared, **own}
                applied = apply_methods(single, arrays)
                maps.append(applied[0])
                notes.append(applied[1])
                kept.append({need: arrays[need] for need in needs_of(joint)})
        answers = None if outputs is None else _single(outputs.asnumpy())
        return Batch(self.layers, maps, notes, kept, answers, self.target, score, self.remarks)

    def _above(self) -> list[Above]:
        """The part of the net above each of the layers' outputs."""
        run, question = self.run, self.question
        outputs = [id(output) for _, output in run.ran]
        several = question.runner.route == "traced"
        return [
            Above(run, outputs.index(id(one)), self.target.score, question.batch_size, several)
            for one in self.tapped
        ]


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
