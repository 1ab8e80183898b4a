"""Faithfulness by taking pixels away without leaving holes (ROAD), and over random parts (MuFidelity, infidelity).

The arguments are those of `vizcallbacks.attribution.faithfulness.deletion`, checked there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from ..measures.of_two_maps import spearman
from .multipass import seed_of

Probabilities = Callable[[np.ndarray], np.ndarray]
"""Of the class of each image: (N, C, H, W) -> (N,) float64 in [0, 1]."""

NEIGHBOURS = [(-1, -1, 1), (-1, 0, 2), (-1, 1, 1), (0, -1, 2), (0, 1, 2), (1, -1, 1), (1, 0, 2), (1, 1, 1)]
"""Row and column from a pixel, and the weight in twelfths."""


def road(
    of_class: Probabilities,
    images: np.ndarray,
    maps: np.ndarray,
    steps: int,
    noise: float = 0.01,
    seed: int = 0,
) -> np.ndarray:
    """Area under the class's probability as pixels are imputed, the map's highest first: (N,) in [0, 1].

    Lower is better. As `deletion`, but a pixel that is taken away becomes the weighted mean of its neighbours, as
    `imputed` says, which leaves no hole whose shape could tell the class (ROAD, Rong et al., 2022,
    arXiv:2202.00449, most relevant first). At most steps / (steps + 1) of the pixels go; trapezoidal rule.
    """
    pixels = maps[0].size
    order = np.argsort(-maps.reshape(len(maps), pixels), axis=1, kind="stable")
    curve = [of_class(images)]
    for step in range(1, steps + 1):
        gone = np.zeros((len(maps), pixels), bool)
        np.put_along_axis(gone, order[:, : pixels * step // (steps + 1)], True, axis=1)
        curve.append(of_class(imputed(images, gone.reshape(maps.shape), noise, seed)))
    values = np.stack(curve)
    return (values.sum(axis=0) - values[0] / 2 - values[-1] / 2) / steps


def imputed(images: np.ndarray, gone: np.ndarray, noise: float = 0.01, seed: int = 0) -> np.ndarray:
    """Images without some of their pixels, by noisy linear imputation.

    Each pixel that is gone is 1/6 of every direct and 1/12 of every diagonal neighbour, solved for all of them at
    once (at the edges the weights of the neighbours there are sum to one), plus Gaussian noise (Rong et al.,
    2022, section 4, arXiv:2202.00449). The noise is drawn from a generator seeded by `seed` and the image's own
    bytes.

    Parameters
    ----------
    images : ndarray, (N, C, H, W), float
    gone : ndarray, (N, H, W), bool
        Not all pixels of an image.
    noise : float
        Its standard deviation, in the units of the images.
    """
    filled = np.array(images)
    for image, mask, generator in zip(filled, gone, generators_of(images, seed)):
        if mask.any():
            values = _solved(image, mask)
            image[:, mask] = values + noise * generator.standard_normal(values.shape)
    return filled


def mu_fidelity(
    of_class: Probabilities,
    images: np.ndarray,
    maps: np.ndarray,
    subsets: int,
    cells: int = 9,
    share: float = 0.2,
    seed: int = 0,
) -> np.ndarray:
    """Rank correlation of a map's sum over random parts of the image with how far the probability falls: (N,).

    Higher is better, 0 is chance. Each subset is `share` of the `cells` x `cells` cells of the image, set to zero
    (MuFidelity, Bhatt et al., 2020, section 3.2, arXiv:2005.00631, there Pearson's correlation). Seeded by
    `seed` and the image's own bytes. NaN where all falls, or all sums, are equal.
    """
    height, width = images.shape[2:]
    rows, columns = (np.arange(side) * cells // side for side in (height, width))
    numbers = rows[:, None] * cells + columns
    generators = generators_of(images, seed)

    def covers() -> Iterator[np.ndarray]:
        for _ in range(subsets):
            chosen = [one.permutation(cells**2)[: max(1, round(share * cells**2))] for one in generators]
            yield np.stack([np.isin(numbers, one) for one in chosen])

    sums, falls = _sums_and_falls(of_class, images, maps, covers())
    return spearman(sums.T[:, None], falls.T[:, None])


def infidelity(
    of_class: Probabilities, images: np.ndarray, maps: np.ndarray, squares: int, seed: int = 0
) -> np.ndarray:
    """How badly a map's sum over random squares tells how far the probability falls without them: (N,) in [0, 1].

    min over b >= 0 of mean (b s - d)^2 / mean d^2, s the map's sum over a square, d the fall when it is set to
    zero (Yeh et al., 2019, definition 1 with the squares of section 3.2, arXiv:1901.09392). Lower is better: 0
    where the fall is in proportion to the sum, 1 where it has nothing to do with it. Departure: the paper takes b
    = 1 and does not divide, which asks for maps in units of the probability; those of the CAM family have none.
    Sides are uniform from 1 pixel to a third of the image's shorter side. As larger squares cover more of any map,
    a map without sense is below 1: `ask_net(chance=True)` measures how far. NaN where the probability never falls
    or rises.
    """
    height, width = images.shape[2:]
    longest = max(1, min(height, width) // 3)
    generators = generators_of(images, seed)

    def covers() -> Iterator[np.ndarray]:
        for _ in range(squares):
            covered = np.zeros(maps.shape, bool)
            for mask, one in zip(covered, generators):
                side = int(one.integers(1, longest + 1))
                top, left = (int(one.integers(length - side + 1)) for length in (height, width))
                mask[top : top + side, left : left + side] = True
            yield covered

    told, fall = _sums_and_falls(of_class, images, maps, covers())
    both, own = (told * fall).mean(axis=0), (told**2).mean(axis=0)
    scale = np.divide(np.maximum(both, 0), own, out=np.zeros_like(own), where=own > 0)
    total = (fall**2).mean(axis=0)
    rest = ((scale * told - fall) ** 2).mean(axis=0)
    return np.divide(rest, total, out=np.full_like(total, np.nan), where=total > 0)


def _sums_and_falls(
    of_class: Probabilities, images: np.ndarray, maps: np.ndarray, covers: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A map's sum over each cover, (N, H, W) bool, and how far the probability falls with it set to zero.

    Two arrays, (covers, N).
    """
    full, sums, falls = of_class(images), [], []
    for covered in covers:
        sums.append((maps * covered).sum(axis=(1, 2)))
        falls.append(full - of_class(np.where(covered[:, None], 0, images).astype(images.dtype)))
    return np.stack(sums), np.stack(falls)


def generators_of(images: np.ndarray, seed: int = 0) -> list[np.random.Generator]:
    """One for each image, seeded by `seed` and the image's own bytes: the same wherever the image is."""
    return [np.random.default_rng([seed, seed_of(image)]) for image in images]


def _solved(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The values, (C, gone), of the pixels that are gone."""
    height, width = mask.shape
    places = np.argwhere(mask)
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(len(places))
    total = np.zeros(len(places))
    known = np.zeros((len(places), len(image)))
    entries = []
    for down, right, weight in NEIGHBOURS:
        at = places + (down, right)
        inside = ((at >= 0) & (at < (height, width))).all(axis=1)
        mine, (row, column) = np.flatnonzero(inside), at[inside].T
        total[mine] += weight
        other = number[row, column]
        known[mine[other < 0]] += weight * image[:, row[other < 0], column[other < 0]].T
        entries.append((mine[other >= 0], other[other >= 0], np.full((other >= 0).sum(), -float(weight))))
    entries.append((np.arange(len(places)), np.arange(len(places)), total))
    first, second, values = (np.concatenate(part) for part in zip(*entries))
    matrix = coo_matrix((values, (first, second))).tocsc()
    return spsolve(matrix, known).reshape(len(places), -1).T
