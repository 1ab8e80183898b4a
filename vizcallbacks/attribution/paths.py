"""Gradients collected on straight ways from baselines to the image; `multipass` says what `passes` are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .multipass import seed_of

if TYPE_CHECKING:
    from ..nets.passes import Passes


def integrated_gradients(passes: Passes, steps: int = 32):
    """What each pixel adds to the score on the straight way from an image of zeros, signed.

    (x - x') o mean gradient at x' + t (x - x'), x' = 0, by the midpoint rule, t = (j + 1/2) / steps
    (Sundararajan et al., 2017, eq. 1 and 3, arXiv:1703.01365). The sum over an image must be y(x) - y(x'); by
    how much it is not is the completeness gap. Zero is the net's own, after its normalisation.

    Parameters
    ----------
    passes : Passes
    steps : int

    Returns
    -------
    ndarray, (N, C, H, W), float32
    dict
        "completeness_gap": (N,) float32, sum minus rise, in units of the score.
    """
    images = passes.images
    path = (images * np.float32((j + 0.5) / steps) for j in range(steps))
    total = np.zeros_like(images)
    for _, gradient in passes.gradients(path, steps, "Integrated Gradients"):
        total += gradient
    maps = images * (total / np.float32(steps))
    end, start = passes.scores([images, np.zeros_like(images)], 2, "Integrated Gradients").astype(np.float64)
    gap = maps.sum(axis=(1, 2, 3), dtype=np.float64) - (end - start)
    return maps, {"completeness_gap": gap.astype(np.float32)}


def expected_gradients(passes: Passes, baselines: np.ndarray, most: int = 8, steps: int = 8):
    """What each pixel adds to the score on the straight ways from other images, their mean, signed.

    mean over baselines x' of (x - x') o mean gradient at x' + t (x - x') (Erion et al., 2019, eq. 4,
    arXiv:1906.10670). The sum over an image must be y(x) minus the mean of y(x'); by how much it is not is the
    completeness gap. Baselines are those given that differ from the image and are finite; of more than `most`,
    some are drawn by a generator seeded by the image's own bytes. If there is none, an image of zeros is taken, as
    in `integrated_gradients`. Departure: the paper draws t at random, which needs more passes for the same gap;
    here it is the midpoint rule.

    Parameters
    ----------
    passes : Passes
    baselines : ndarray, (M, C, H, W), float32
        In the table: all images that are explained together, such as the probe set. For others put an entry of
        your own into `METHODS`: ``replace(METHODS["expected_gradients"], needs=("passes",),
        function=partial(expected_gradients, baselines=mine))``.
    most : int
        Baselines for each image.
    steps : int
        On the way from each.

    Returns
    -------
    The same two as `integrated_gradients`: maps (N, C, H, W), float32, and the gap.
    """
    images = passes.images
    pool = {seed_of(one): one for one in baselines if np.isfinite(one).all()}
    chosen = [_drawn(image, pool, most) for image in images]
    count = max(len(own) for own in chosen)
    # an image with fewer baselines than another repeats some, which then count for nothing
    weights = np.array([[(j < len(own)) / len(own) for own in chosen] for j in range(count)], np.float32)
    starts = [np.stack([own[j % len(own)] for own in chosen]) for j in range(count)]

    def ways() -> Iterator[np.ndarray]:
        for start in starts:
            for j in range(steps):
                yield start + (images - start) * np.float32((j + 0.5) / steps)

    maps = np.zeros_like(images)
    walked = passes.gradients(ways(), count * steps, "Expected Gradients")
    for number, (_, gradient) in enumerate(walked):
        one, share = starts[number // steps], weights[number // steps] / np.float32(steps)
        maps += share[:, None, None, None] * (images - one) * gradient
    scores = passes.scores([images, *starts], count + 1, "Expected Gradients").astype(np.float64)
    rise = scores[0] - (weights * scores[1:]).sum(axis=0)
    gap = maps.sum(axis=(1, 2, 3), dtype=np.float64) - rise
    return maps, {"completeness_gap": gap.astype(np.float32)}


def _drawn(image: np.ndarray, pool: dict[int, np.ndarray], most: int) -> list[np.ndarray]:
    """An image's baselines: whatever the order in which they are given, the same."""
    own = seed_of(image)
    others = sorted(number for number in pool if number != own)
    if not others:
        return [np.zeros_like(image)]
    if len(others) > most:
        others = list(np.random.default_rng(own).choice(np.array(others, dtype=object), most, replace=False))
    return [pool[number] for number in others]
