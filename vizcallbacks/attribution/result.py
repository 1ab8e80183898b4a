"""`Attributions`: what `explain` found on the images of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..checks import did_you_mean
from ..nets.coverage import Coverage, Purity
from ..probes.probe_set import ProbeSet
from ..showing import Shown
from .class_targets import Predicted
from .methods import METHODS, upsample
from .target import Target


@dataclass(frozen=True)
class Attributions(Shown):
    """Raw attribution maps of N images, and what the net said about them. ``result[method]`` gives the maps.

    Attributes
    ----------
    maps : mapping of str to ndarray
        Method -> (N, h, w), (N, concepts, h, w), (N, H, W) or (N, C, H, W) float32, as
        `vizcallbacks.attribution.methods.METHODS` says.
    layer : str or None
        Path of the Conv2D that the CAM family looked at ("features.8"), or its name if it is the net itself.
    image_size : (int, int)
        (H, W).
    outputs : ndarray, (N, classes), float32, or None
        What the net returned, before any softmax; None if that is not one (N, classes) array.
    probabilities : ndarray, (N, classes), float32, or None
        Of the outputs, as `output` says; None where they have none.
    predictions : ndarray, (N,), int64, or None
        The class of the highest output; -1 where an output is NaN. Of a single output: 1 where its probability is
        0.5 or more, else 0; None if it has no probability.
    targets : ndarray, (N,), int64, or None
        The classes explained; None if the targets were given as a callable.
    scores : ndarray, (N,), float32
        The explained scores.
    coverage : Coverage
        What guided backpropagation covered of the net's activations; `relus`, `unguided` and `plain_activations`
        tell parts of it.
    target : Target
        What was explained, fixed on these images: as `targets` of another `explain` it is the same question again.
    probe : ProbeSet
        What was explained; made of the images if they were given as an array.
    notes : mapping of str to ndarray, (N,), float32
        What methods found beside their maps: "integrated_gradients/completeness_gap".
    remarks : tuple of str
        What to know about these maps, in sentences.
    output : "logits", "probabilities", "sigmoid" or None
        What the outputs were taken for.
    route : "traced" or "recorded"
        Where the net's graph is from: its symbols, or the record of one run of it.
    reason : str
        Why it was not traced.
    purity : Purity
        What the net's own code wrote while it ran; all of it was put back.
    """

    maps: Mapping[str, np.ndarray]
    layer: str | None
    image_size: tuple[int, int]
    outputs: np.ndarray | None
    probabilities: np.ndarray | None
    predictions: np.ndarray | None
    targets: np.ndarray | None
    scores: np.ndarray
    coverage: Coverage
    probe: ProbeSet
    notes: Mapping[str, np.ndarray] = field(default_factory=dict)
    route: str = "traced"
    reason: str = ""
    purity: Purity = field(default_factory=Purity)
    remarks: tuple[str, ...] = ()
    output: str | None = None
    target: Target = field(default_factory=Predicted)

    @property
    def relus(self) -> tuple[int, int]:
        """ReLU-like activations that guided backpropagation covered, and all that ran."""
        return self.coverage.relus

    @property
    def unguided(self) -> tuple[str, ...]:
        """Places of activations that it could not cover: inside compiled control flow."""
        return self.coverage.unguided

    @property
    def plain_activations(self) -> Mapping[str, int]:
        """Kind -> number of the activations that it leaves to their own derivative: "gate" (sigmoids, hard
        sigmoids), "smooth" (ELU, SELU, GELU, tanh)."""
        return self.coverage.plain_activations

    @property
    def compiled(self) -> bool:
        """Whether the graph is the net's own, traced; see `route`."""
        return self.route == "traced"

    @property
    def confidence(self) -> np.ndarray | None:
        """Probability of the predicted class, (N,) float32; None where there are no probabilities."""
        if self.probabilities is None:
            return None
        several = self.probabilities.shape[1] > 1
        both = self.probabilities if several else np.hstack([self.probabilities, 1 - self.probabilities])
        return both.max(axis=1)

    def __getitem__(self, method: str) -> np.ndarray:
        if method not in self.maps:
            raise KeyError(
                f"method {method!r} was not computed; computed were: {', '.join(self.maps)}"
                f"{did_you_mean(method, self.maps)}"
            )
        return self.maps[method]

    def __repr__(self) -> str:
        height, width = self.image_size
        layer = "" if self.layer is None else f", layer {self.layer!r}"
        return f"Attributions({len(self)} images of {height}x{width}, {', '.join(self.maps)}{layer})"

    def __len__(self) -> int:
        return len(self.scores)

    def at_image_size(self, method: str) -> np.ndarray:
        """One map per image at the image's size, (N, H, W) float32.

        Maps of the CAM family are upsampled bilinearly; of maps with channels the absolute maximum over
        channels is taken, of concepts the maximum over concepts.
        """
        maps = self[method]
        if METHODS[method].shape in ("layer", "concepts"):
            return upsample(maps if maps.ndim == 3 else maps.max(axis=1), self.image_size)
        return np.abs(maps).max(axis=1) if maps.ndim == 4 else maps
