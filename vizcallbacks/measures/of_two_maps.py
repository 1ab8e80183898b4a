"""Attention in numbers: two maps of the same image -> a number.

`first` and `second` are batches (N, h, w) of real numbers, computed in float64; take them at the layer's
resolution, since upsampling inflates rank correlation. Every function returns (N,) float64. Undefined, and
NaN without a warning: a map that is constant, whether dead (all zero) or flat, or has a NaN or an infinity.

`top_k_iou` and `centre_shift` see a map's positive part, as the measures of one map do; the others take signs
as they are.

`SIMILARITY` lists them by name, with the better direction, the range, and what is undefined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .of_one_map import (
    FLAT,
    Measure,
    constant,
    finite_values,
    flattened,
    gaussian_weights,
    positive_part,
    share,
)


def spearman(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Rank correlation in [-1, 1]: Pearson's of the ranks, ties sharing their average rank.

    Unchanged by any increasing function of either map. Undefined: a constant map.
    """
    first, second, defined = _pair(first, second)
    return _correlation(_ranks(first), _ranks(second), defined)


def pearson(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Linear correlation in [-1, 1]; unchanged by either map's scale and offset. Undefined: constant ones."""
    first, second, defined = _pair(first, second)
    return _correlation(flattened(first), flattened(second), defined)


def cosine(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Cosine similarity in [-1, 1] (not the distance); unchanged by the scale of either map.

    Undefined: a constant map; a flat one would seem similar to any broad one.
    """
    first, second, defined = _pair(first, second)
    similarity = (_unit(flattened(first)) * _unit(flattened(second))).sum(axis=1)
    return np.where(defined, np.clip(similarity, -1, 1), np.nan)


def ssim(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Structural similarity in [-1, 1], mean over the cells (Wang et al., 2004, IEEE TIP 13(4)).

    Gaussian window 11 x 11, sigma 1.5, K 0.01 and 0.03; the dynamic range is the joint one of the two maps,
    their common maximum minus their common minimum. Unchanged by a scale common to both, not by one map's
    own. Windows are centred on every cell and cut at the map's edge, their weights made to sum to one again. The
    paper uses whole windows only: a map of 7 x 7 has none, and in one of 12 x 12 they leave out the corners.

    Undefined: a constant map, which would seem similar to any other that is empty there.
    """
    first, second, defined = _pair(first, second)
    peak = np.maximum(np.abs(first).max(axis=(1, 2)), np.abs(second).max(axis=(1, 2)))[:, None, None]
    first, second = (maps / np.where(peak > 0, peak, 1) for maps in (first, second))
    low = np.minimum(first, second).min(axis=(1, 2), keepdims=True)
    extent = np.maximum(first, second).max(axis=(1, 2), keepdims=True) - low
    extent = np.where(extent > 0, extent, 1)
    # from the common minimum, so that an offset does not drown the variances
    similarity = _ssim_cells((first - low) / extent, (second - low) / extent, offset=low / extent)
    return np.where(defined, np.clip(similarity.mean(axis=(1, 2)), -1, 1), np.nan)


def top_k_iou(first: ArrayLike, second: ArrayLike, k: int | None = None) -> np.ndarray:
    """Overlap of the k highest cells: intersection / union, in [0, 1] (Ghorbani et al., arXiv:1710.10547).

    Ties go to the lower index (row by row). Cells at zero are never among the highest, or two sparse maps
    would agree on their emptiness; a map with fewer than k positive cells gives those. `k`: an int from 1 to
    h w; None takes a tenth of the cells, rounded, at least one. Undefined: a map whose positive part is
    constant.
    """
    first, second, defined = _pair(first, second, positive_part)
    cells = int(np.prod(first.shape[1:]))
    k = max(1, round(cells / 10)) if k is None else k
    if k not in range(1, cells + 1):
        raise ValueError(
            f"k must be from 1 to the {cells} cells of a map, got {k}; None takes a tenth of them"
        )
    chosen_first, chosen_second = (_highest_cells(flattened(maps), k) for maps in (first, second))
    union = (chosen_first | chosen_second).sum(axis=1)
    return share((chosen_first & chosen_second).sum(axis=1), union, defined)


def centre_shift(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Distance between the centres of mass as a share of the map's diagonal, in [0, 1].

    In cells of the layer; 0 is the same centre (Ghorbani et al., 2017, arXiv:1710.10547). Undefined: a map
    whose positive part is constant.
    """
    first, second, defined = _pair(first, second, positive_part)
    h, w = first.shape[1:]
    down, right = (
        share((second * at).sum(axis=(1, 2)), second.sum(axis=(1, 2)), defined)
        - share((first * at).sum(axis=(1, 2)), first.sum(axis=(1, 2)), defined)
        for at in (np.arange(h)[:, None], np.arange(w))
    )
    return np.hypot(down, right) / np.hypot(h, w)


SIMILARITY: dict[str, Measure] = {
    "spearman": Measure(spearman, "higher", (-1, 1), FLAT, "Spearman, 1904"),
    "pearson": Measure(pearson, "higher", (-1, 1), FLAT, "Pearson, 1895"),
    "cosine": Measure(cosine, "higher", (-1, 1), FLAT, "the angle between two vectors"),
    "ssim": Measure(ssim, "higher", (-1, 1), FLAT, "Wang et al., 2004, IEEE TIP 13(4)"),
    "top_k_iou": Measure(top_k_iou, "higher", (0, 1), FLAT, "arXiv:1710.10547"),
    "centre_shift": Measure(centre_shift, "lower", (0, 1), FLAT, "arXiv:1710.10547"),
}


def _pair(
    first: ArrayLike,
    second: ArrayLike,
    read: Callable[[ArrayLike], tuple[np.ndarray, np.ndarray]] = finite_values,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both batches as `read` gives them, and where both are defined and not constant."""
    (first, first_defined), (second, second_defined) = read(first), read(second)
    if first.shape != second.shape:
        raise ValueError(
            f"the maps must have one shape, got {first.shape} and {second.shape}; compare a layer with itself"
        )
    return first, second, first_defined & second_defined & ~constant(first) & ~constant(second)


def _ranks(maps: np.ndarray) -> np.ndarray:
    """Ranks of each map's cells, (N, n) from 1; ties share their average rank (SciPy takes a second to import)."""
    rows = flattened(maps)
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    starts = np.ones(rows.shape, bool)  # where a value begins that the one before it is not
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.roll(starts, -1, axis=1)  # the first cell of each row starts, so its last one ends
    place, last = np.arange(rows.shape[1]), rows.shape[1] - 1
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    until = np.minimum.accumulate(np.where(ends, place, last)[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, (first + until) / 2 + 1, axis=1)
    return ranks


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 (zero rows stay zero); scaled to the peak first, or small squares vanish."""
    peak = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(peak > 0, peak, 1)
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return rows / np.where(length > 0, length, 1)


def _correlation(first: np.ndarray, second: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """Pearson's correlation of rows (N, n)."""
    first, second = (_unit(rows) for rows in (first, second))
    first, second = (_unit(rows - rows.mean(axis=1, keepdims=True)) for rows in (first, second))
    return np.where(defined, np.clip((first * second).sum(axis=1), -1, 1), np.nan)


def _highest_cells(rows: np.ndarray, k: int) -> np.ndarray:
    """The k highest of each row (N, n) that are above zero, as bool; ties go to the lower index."""
    order = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen & (rows > 0)


def _ssim_cells(first: np.ndarray, second: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """SSIM of each cell, for maps in [0, 1] that stand for map + offset with dynamic range 1."""
    rows, columns = (gaussian_weights(length, sigma=1.5, radius=5) for length in first.shape[1:])

    def local_mean(maps: np.ndarray) -> np.ndarray:
        return rows @ maps @ columns.T

    mean_1, mean_2 = local_mean(first), local_mean(second)
    spread = local_mean(first**2) - mean_1**2 + local_mean(second**2) - mean_2**2
    together = local_mean(first * second) - mean_1 * mean_2
    mean_1, mean_2 = mean_1 + offset, mean_2 + offset
    luminance = (2 * mean_1 * mean_2 + 0.01**2) / (mean_1**2 + mean_2**2 + 0.01**2)
    return luminance * (2 * together + 0.03**2) / (np.maximum(spread, 0) + 0.03**2)
