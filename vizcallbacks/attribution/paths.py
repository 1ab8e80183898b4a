"""Gradients collected on straight ways from baselines to the image; `multipass` says what `passes` are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
