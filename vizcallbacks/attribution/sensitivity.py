"""How far a map moves when its image is changed by so little that nobody sees it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .removal import generators_of


def max_sensitivity(
    again: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    maps: np.ndarray,
    samples: int = 10,
    radius: float = 0.02,
    seed: int = 0,
) -> np.ndarray:
    """The largest change of a map under small noise on its image, as a share of the map: (N,), >= 0.

    max over `samples` of |L(x + e) - L(x)| / |L(x)|, Euclidean norms over the pixels, e uniform in +- `radius`
    times the image's range (Yeh et al., 2019, definition 3, arXiv:1901.09392, a lower bound by sampling, as
    there). Lower is better, 0 a map that does not move; two maps that have nothing in common are about 1.4 apart.
    A map that looks at nothing is stable too, so read it beside a measure of faithfulness. The class explained
    stays that of the image as it is.

    Parameters
    ----------
    again : callable
        Images (N, C, H, W) -> the method's maps of them, (N, H, W).
    images : ndarray, (N, C, H, W), float
    maps : ndarray, (N, H, W), float
    samples : int
    radius : float
    seed : int
        Of the noise, with the image's own bytes.
    """
    norms = np.linalg.norm(maps, axis=(1, 2))
    spans = images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3))
    generators, worst = generators_of(images, seed), np.zeros(len(images))
    for _ in range(samples):
        noise = [radius * span * one.uniform(-1, 1, images.shape[1:]) for one, span in zip(generators, spans)]
        moved = again((images + np.stack(noise)).astype(images.dtype)).astype(np.float64)
        worst = np.maximum(worst, distance(moved, maps, norms))
    return worst


def distance(some: np.ndarray, others: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Euclidean distance of (N, H, W) maps over `norms`, (N,)."""
    apart = np.linalg.norm(some - others, axis=(1, 2))
    return np.divide(apart, norms, out=np.full(len(norms), np.nan), where=norms > 0)
