"""Attribution methods that run the net many times on changed images: never on by default.

Each gets `passes`, a `vizcallbacks.nets.passes.Passes` for one batch of n images: ``passes.images``, (n, C, H, W)
float32; ``passes.scores(batches, count, title)`` -> (count, n) float32, the target's scores on `count` changed
batches; ``passes.gradients(batches, count, title)`` -> for each batch its scores, (n,), and their gradient, (n,
C, H, W). Batches are made one after another as they are needed, and are (n, C, H, W) each: image i stays in
place i. The target of an image is fixed by the image as it is, also where that is the predicted class. For
other settings than the defaults put an entry of your own into `METHODS`: ``replace(METHODS["occlusion"],
function=partial(occlusion, patch=8))``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .cams import upsample

if TYPE_CHECKING:
    from ..nets.passes import Passes


def smooth_grad(passes: Passes, samples: int = 25, spread: float = 0.15):
    """The gradient's mean over noisy copies of the image (SmoothGrad), signed.

    mean over `samples` of dy/dx at x + noise, sigma = spread * (max x - min x) (Smilkov et al., 2017,
    arXiv:1706.03825). The noise is drawn from a generator seeded by the image's own bytes: an image gets the same
    noise at every epoch and in every batch, and no global random stream moves.

    Parameters
    ----------
    passes : Passes
    samples : int
        Noisy copies of each image; a walk for each.
    spread : float
        The noise's standard deviation, as a share of the image's range.

    Returns
    -------
    ndarray, (N, C, H, W), float32
    """
    total = np.zeros_like(passes.images)
    for gradient in _noisy_gradients(passes, samples, spread, "SmoothGrad"):
        total += gradient
    return total / np.float32(samples)


def smooth_grad_squared(passes: Passes, samples: int = 25, spread: float = 0.15):
    """The squared gradient's mean over noisy copies of the image (SmoothGrad-Squared).

    mean over `samples` of (dy/dx)^2 at x + noise, the same noise as `smooth_grad` (Hooker et al., 2019, section 3,
    arXiv:1806.10758). Pixels whose gradients of both signs cancel in SmoothGrad count here.

    `passes`, `samples` and `spread` as for `smooth_grad`; returns (N, C, H, W), float32, >= 0.
    """
    total = np.zeros_like(passes.images)
    for gradient in _noisy_gradients(passes, samples, spread, "SmoothGrad-Squared"):
        total += gradient**2
    return total / np.float32(samples)


def var_grad(passes: Passes, samples: int = 25, spread: float = 0.15):
    """The gradient's variance over noisy copies of the image (VarGrad).

    The same noise as `smooth_grad`; variance over the `samples`, not corrected for their number (Adebayo et al.,
    2018, arXiv:1810.03292; Hooker et al., 2019, section 3, arXiv:1806.10758).

    `passes`, `samples` and `spread` as for `smooth_grad`; returns (N, C, H, W), float32, >= 0.
    """
    mean, squares = np.zeros_like(passes.images), np.zeros_like(passes.images)
    for number, gradient in enumerate(_noisy_gradients(passes, samples, spread, "VarGrad"), 1):
        step = gradient - mean
        mean += step / np.float32(number)
        squares += step * (gradient - mean)  # Welford's way: sums of squares would cancel
    return np.maximum(squares, 0) / np.float32(samples)


def _noisy_gradients(passes: Passes, samples: int, spread: float, title: str) -> Iterator[np.ndarray]:
    """The gradient, (N, C, H, W), at `samples` noisy copies of the images."""
    images = passes.images
    generators = [np.random.default_rng(seed_of(image)) for image in images]
    sigmas = spread * (images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3)))

    def noisy():
        for _ in range(samples):
            noise = [
                sigma * generator.standard_normal(images.shape[1:], np.float32)
                for sigma, generator in zip(sigmas, generators)
            ]
            yield images + np.stack(noise).astype(np.float32)

    return (gradient for _, gradient in passes.gradients(noisy(), samples, title))


def seed_of(image: np.ndarray) -> int:
    """From an image's own bytes: the same wherever the image is."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()[:8], "little")


def occlusion(passes: Passes, patch: int | None = None, stride: int | None = None):
    """How far the score falls when a patch of the image is covered: for each pixel its patches' mean, signed.

    Patches of `patch` x `patch` pixels are set to zero, the net's own after its normalisation, at every
    `stride` pixels and at the far edges (Zeiler and Fergus, 2013, section 4.2, arXiv:1311.2901). A pixel's
    value is the mean of y(x) - y(covered) over the patches that cover it.

    Parameters
    ----------
    passes : Passes
    patch : int, optional
        Default: an eighth of the image's shorter side, at least 1.
    stride : int, optional
        Default: half of `patch`, at least 1.

    Returns
    -------
    ndarray, (N, H, W), float32
    """
    images = passes.images
    height, width = images.shape[2:]
    patch = max(1, min(height, width) // 8) if patch is None else patch
    stride = max(1, patch // 2) if stride is None else stride
    places = [(top, left) for top in _starts(height, patch, stride) for left in _starts(width, patch, stride)]

    def covered():
        yield images
        for top, left in places:
            changed = images.copy()
            changed[:, :, top : top + patch, left : left + patch] = 0
            yield changed

    scores = passes.scores(covered(), len(places) + 1, "Occlusion").astype(np.float64)
    drops, coverage = np.zeros((len(images), height, width)), np.zeros((height, width))
    for (top, left), drop in zip(places, scores[0] - scores[1:]):
        drops[:, top : top + patch, left : left + patch] += drop[:, None, None]
        coverage[top : top + patch, left : left + patch] += 1
    return (drops / coverage).astype(np.float32)


def rise(passes: Passes, masks: int = 4000, cells: int = 7, share: float = 0.5):
    """How far the score is above its mean where a pixel is seen, over random smooth masks (RISE), signed.

    sum_i (y(x o M_i) - mean y) M_i / (masks * share): M_i is a grid of `cells` x `cells` zeros and ones, each one
    with probability `share`, upsampled bilinearly and cut out at a random shift (Petsiuk et al., 2018, eq. 6,
    arXiv:1806.07421). The masks are drawn from a generator seeded by the image's own bytes. Departure: the paper
    weights by a probability, which has a zero; a score has none, so its mean over the masks is taken off, which
    moves the map by a constant and takes the noise of uneven coverage away.

    Parameters
    ----------
    passes : Passes
    masks : int
        Forward passes for each image. Fewer make noisier maps, by the root of their number.
    cells : int
    share : float, in (0, 1)

    Returns
    -------
    ndarray, (N, H, W), float32
    """
    images = passes.images
    height, width = images.shape[2:]

    def drawn() -> Iterator[np.ndarray]:
        generators = [np.random.default_rng(seed_of(image)) for image in images]
        for _ in range(masks):
            yield np.stack([_mask(generator, height, width, cells, share) for generator in generators])

    seen = (images * one[:, None] for one in drawn())
    scores = passes.scores(seen, masks, "RISE").astype(np.float64)
    maps = np.zeros((len(images), height, width))
    for one, score in zip(drawn(), scores - scores.mean(axis=0)):
        maps += score[:, None, None] * one
    return (maps / (masks * share)).astype(np.float32)


def _mask(generator: np.random.Generator, height: int, width: int, cells: int, share: float) -> np.ndarray:
    """(H, W) float32 in [0, 1]: a random grid, upsampled to a cell more than the image and cut at random."""
    grid = (generator.random((cells, cells)) < share).astype(np.float32)
    down, right = -(-height // cells), -(-width // cells)  # pixels of a cell, rounded up
    whole = upsample(grid[None], ((cells + 1) * down, (cells + 1) * right))[0]
    top, left = generator.integers(down), generator.integers(right)
    return whole[top : top + height, left : left + width]


def _starts(length: int, patch: int, stride: int) -> list[int]:
    """Where patches begin, so that they cover all of `length`."""
    if not (1 <= patch <= length and 1 <= stride <= patch):
        raise ValueError(
            f"patch must be from 1 to the image's {length} pixels and stride from 1 to patch, "
            f"got {patch} and {stride}"
        )
    return sorted({*range(0, length - patch + 1, stride), length - patch})
