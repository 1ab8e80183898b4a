"""`ask_net`: measures that ask the net again, on the probability of the class that it predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..checks import check_whole, did_you_mean, names_arguments
from ..mxnet_door import gluon
from ..nets.inputs import Inputs
from ..nets.instrument import instrumented
from ..nets.passes import progress
from .explaining import explain
from .faithfulness import CURVES, RATIOS, checked, class_probabilities, full_and_kept, ranks_pixels
from .outputs import probabilities_of
from .removal import generators_of, infidelity, mu_fidelity, road
from .result import Attributions
from .sensitivity import max_sensitivity


@dataclass(frozen=True)
class Asked:
    """What a measure is given.

    Attributes
    ----------
    probabilities : callable
        Images (N, C, H, W) -> (N, classes).
    again : callable
        Images (N, C, H, W) -> the method's maps of them at the image's size, (N, H, W).
    images : ndarray, (N, C, H, W)
    maps : ndarray, (N, H, W), float64
        All zero where they were not finite.
    classes : ndarray, (N,), int
        Those predicted.
    steps, seed : int
    """

    probabilities: Callable[[np.ndarray], np.ndarray]
    again: Callable[[np.ndarray], np.ndarray]
    images: np.ndarray
    maps: np.ndarray
    classes: np.ndarray
    steps: int
    seed: int

    def of_class(self, images: np.ndarray) -> np.ndarray:
        """Probability of each image's class, (N,) float64."""
        return class_probabilities(self.probabilities, images, self.classes)

    @cached_property
    def full_and_kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Probability on the images and on what the maps keep of them."""
        return full_and_kept(self.probabilities, self.images, self.maps, self.classes)


@dataclass(frozen=True)
class Measure:
    """One way to ask.

    Attributes
    ----------
    function : callable
        `Asked` -> (N,) float64.
    passes : callable
        Steps -> how often the net runs over the images, for the progress bar.
    explains : bool
        Whether it takes maps again, and not probabilities.
    """

    function: Callable[[Asked], np.ndarray]
    passes: Callable[[int], int]
    explains: bool = False


def _curve(name: str) -> Measure:
    def function(one: Asked) -> np.ndarray:
        return CURVES[name](one.probabilities, one.images, one.maps, one.classes, one.steps)

    return Measure(function, lambda steps: steps + 1)


def _ratio(name: str) -> Measure:
    return Measure(lambda one: RATIOS[name](*one.full_and_kept), lambda steps: 2)


def _by_parts(function: Callable[..., np.ndarray]) -> Measure:
    return Measure(
        lambda one: function(one.of_class, one.images, one.maps, 10 * one.steps, seed=one.seed),
        lambda steps: 10 * steps + 1,
    )


MEASURES: dict[str, Measure] = {
    **{name: _curve(name) for name in CURVES},
    **{name: _ratio(name) for name in RATIOS},
    "road": Measure(
        lambda one: road(one.of_class, one.images, one.maps, one.steps, seed=one.seed),
        lambda steps: steps + 1,
    ),
    "mu_fidelity": _by_parts(mu_fidelity),
    "infidelity": _by_parts(infidelity),
    "max_sensitivity": Measure(
        lambda one: max_sensitivity(one.again, one.images, one.maps, one.steps, seed=one.seed),
        lambda steps: steps,
        explains=True,
    ),
}
"""Name -> `Measure`. A new one is a function and a line here."""

CHANCE = "/chance"
"""What is added to a measure's name for the same of maps whose values have changed places."""


@names_arguments
def ask_net(
    net: gluon.Block,
    result: Attributions,
    method: str = "grad_cam",
    measures: Sequence[str] | str = ("deletion", "insertion", "drop", "increase"),
    *,
    steps: int = 20,
    batch_size: int = 16,
    extra: Sequence = (),
    seed: int = 0,
    chance: bool = False,
) -> dict[str, np.ndarray]:
    """Ask the net how much of its answer each map accounts for.

    It is measured on the probability of the class predicted on the full image, with maps at the image's size: for
    deletion, insertion and ROAD the net runs steps + 1 times over the images, for drop and increase twice, for
    MuFidelity and infidelity 10 steps + 1 times; for the maximal sensitivity maps are taken `steps` times. A bar
    shows it on a terminal if it takes longer. Like `explain` it leaves the net as it was.

    Parameters
    ----------
    net : gluon.Block
        The one that `result` is of.
    result : Attributions
        With `probabilities`: for a net with one output, explain it with ``output="sigmoid"``.
    method : str
        One that `result` holds.
    measures : sequence of str
        "deletion" (lower is better), "insertion" (higher), "drop" (lower), "increase" (higher: 1 or 0), "road"
        (lower), "mu_fidelity" (higher; 0 is chance), "infidelity" (lower), "max_sensitivity" (lower); their
        definitions and sources are in `vizcallbacks.attribution.faithfulness`, `removal` and `sensitivity` there.
    steps : int, >= 1
    batch_size, extra
        As for `explain`.
    seed : int, >= 0
        Of the noise, parts and squares that measures draw, together with the image's own bytes; the same numbers
        for the same seed.
    chance : bool
        Whether to measure also what maps without sense get: the same maps with their values in other places, those
        of the CAM family at the layer's resolution. Costs as much again.

    Returns
    -------
    dict of str to ndarray, (N,), float64
        NaN for flat or dead maps. With `chance` also "<measure>/chance".

    Raises
    ------
    KeyError
        The method was not computed.
    TypeError, ValueError
        A measure is unknown, further inputs do not fit, or the net's outputs have no probabilities.

    Examples
    --------
    With `net` of two classes, and `images`, (3, 3, 16, 16) float32:

    >>> import numpy as np, vizcallbacks as vc
    >>> found = vc.ask_net(net, vc.explain(net, images, "saliency"), "saliency", steps=4)
    >>> {name: values.shape for name, values in found.items()}
    {'deletion': (3,), 'insertion': (3,), 'drop': (3,), 'increase': (3,)}
    """
    names = (measures,) if isinstance(measures, str) else tuple(measures)
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        hint = did_you_mean(unknown[0], MEASURES) if unknown else ""
        raise ValueError(f"measures must be names from {', '.join(MEASURES)}, got {unknown or 'none'}{hint}")
    check_whole("batch_size", batch_size)
    check_whole("steps", steps)
    check_whole("seed", seed, 0)
    versions = {"": result}
    result[method]  # raises if it was not computed
    predicted = result.predictions
    if result.probabilities is None or predicted is None or (predicted < 0).any():
        raise ValueError(
            "the net must give one (N, classes) array of numbers that have probabilities; for one of "
            "several outputs explain it with targets=vizcallbacks.targets.head(0), for a single "
            "number with output='sigmoid'"
        )
    if chance:
        versions[CHANCE] = _shuffled(result, method, seed)
    total = sum(MEASURES[name].passes(steps) for name in names) * len(versions)
    found = {}
    with progress(total, "Asking the net") as bar:

        def again(images: np.ndarray) -> np.ndarray:
            bar.update()
            options: dict[str, Any] = {"targets": result.target, "batch_size": batch_size, "extra": extra}
            return explain(net, images, method, layer=result.layer, **options).at_image_size(method)

        def measure(some: Sequence[str], probabilities: Callable[[np.ndarray], np.ndarray]) -> None:
            for ending, one in versions.items():
                maps = one.at_image_size(method)
                images, maps, classes = checked(result.probe.images, maps, predicted)
                asked = Asked(probabilities, again, images, maps, classes, steps, seed)
                for name in some:
                    values = MEASURES[name].function(asked)
                    found[name + ending] = np.where(ranks_pixels(maps), values, np.nan)

        explaining = [name for name in names if MEASURES[name].explains]
        with _answers(net, result, batch_size, extra, bar.update) as probabilities:
            measure([name for name in names if name not in explaining], probabilities)
        measure(explaining, probabilities)  # `explain` instruments the net itself
    return {name + ending: found[name + ending] for ending in versions for name in names}


@contextmanager
def _answers(
    net: gluon.Block,
    result: Attributions,
    batch_size: int,
    extra: Sequence,
    each: Callable[[], object],
) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """The net's probabilities, (N, classes), of the images changed; `each` is called for every pass over them."""
    inputs = Inputs(net, result.probe.images, extra)
    with instrumented(net) as runner, inputs.told(result.probe.images):

        def probabilities(images: np.ndarray) -> np.ndarray:
            each()
            parts = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
            return np.concatenate([answered(images[part], inputs.batch(part)[1:]) for part in parts])

        def answered(images: np.ndarray, further: list) -> np.ndarray:
            run = runner.forward(inputs.to_net(images), (), further, record=False)
            outputs = result.target.answers(run.outputs).asnumpy().astype(np.float32)
            values: Any = probabilities_of(outputs, result.output)
            return np.hstack([1 - values, values]) if outputs.shape[1] == 1 else values

        yield probabilities


def _shuffled(result: Attributions, method: str, seed: int) -> Attributions:
    """The result with each map's values in other places, at the resolution that it has."""
    maps = result[method]
    if maps.ndim == 4:
        maps = np.abs(maps).max(axis=1)
    generators = generators_of(result.probe.images, seed)
    mixed = [one.permutation(map_.ravel()).reshape(map_.shape) for one, map_ in zip(generators, maps)]
    return replace(result, maps={method: np.stack(mixed)})
