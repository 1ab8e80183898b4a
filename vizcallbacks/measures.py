"""Attention in numbers: one map -> a number, two maps of the same image -> a number.

`maps`, `first` and `second` are batches (N, h, w) of real numbers, computed in float64; `masks` are (N, H, W)
bool at the image's size. Every measure returns (N,) float64. Where a measure means nothing it is NaN, never a
hit and never a warning; `mean_defined` averages the rest. Undefined for every measure: a map with a NaN or an
infinity. Undefined for all but `entropy`, `gini` and `dead`: a constant map, be it dead (all zero) or flat.

The measures of one map, `top_k_iou` and `centre_shift` see a map's positive part: what is below zero speaks
against the target and attracts nothing. (METHODS that end in a ReLU have nothing else.) The other
similarities take signs as they are. Similarity is measured at the layer's resolution, since upsampling
inflates rank correlation. Masks are met as the map is shown, under bilinear upsampling with half-pixel
centres.

`MEASURES` and `SIMILARITY` list them by name, with the better direction, the range, and what is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np


@dataclass(frozen=True)
class Measure:
    """A row of the tables MEASURES and SIMILARITY.

    function(maps), function(maps, masks) if `needs_mask`, or function(first, second) gives (N,) float64
    within `range` or NaN. `better`: "higher", "lower" or None (neither end is good); with a mask it holds for
    a region the network should look at, and turns round for one it should not. `undefined`: in words, what
    gives NaN beside maps that are not finite. `flat`, `dead`: the value for a constant positive and for an
    all-zero map.
    """

    function: Callable[..., np.ndarray]
    better: str | None
    range: tuple[float, float]
    undefined: str
    source: str
    needs_mask: bool = False
    flat: float = np.nan
    dead: float = np.nan


def mean_defined(values):
    """Mean of the defined (not NaN) values, and how many there are: (float, int). The mean of none is NaN."""
    values = np.asarray(values, dtype=np.float64)
    defined = values[~np.isnan(values)]
    return (float(defined.mean()) if defined.size else float("nan")), int(defined.size)


def area_share(masks):
    """Share of the image that each mask (N, H, W) bool covers: (N,) float64 in [0, 1].

    The chance level of `energy`: what a network scores that looks everywhere alike.
    """
    return _checked_masks(masks).mean(axis=(1, 2), dtype=np.float64)


def pointing(maps, masks):
    """1 where the map's maximum lies in the mask, 0 where it does not.

    The pointing game (Zhang et al., 2016, arXiv:1608.00507). A bilinear surface is highest at a cell's
    centre, so the picture's maximum is found without upsampling: it is the pixel that holds the centre of the
    highest cell (where the centre falls between pixels, the lower right one). If t cells share the maximum,
    they count 1/t each. No tolerance around the mask, unlike the paper's 15 pixels.

    Undefined: a flat or dead map (Quantus counts a flat one as a hit), an empty mask.
    """
    positive, defined = _positive_part(maps)
    masks = _checked_masks(masks, len(positive))
    (height, width), (h, w) = masks.shape[1:], positive.shape[1:]
    rows = (2 * np.arange(h) + 1) * height // (2 * h)
    columns = (2 * np.arange(w) + 1) * width // (2 * w)
    highest = positive == positive.max(axis=(1, 2), keepdims=True)
    hits = highest & masks[:, rows[:, None], columns]
    defined = defined & ~_constant(positive) & masks.any(axis=(1, 2))
    return _share(hits.sum(axis=(1, 2)), highest.sum(axis=(1, 2)), defined)


def energy(maps, masks):
    """Share of the shown map's sum that lies in the mask, in [0, 1].

    The energy-based pointing game (Wang et al., Score-CAM, arXiv:1910.01279): sum(M o U(L)) / sum(U(L)) with
    L the positive part and U bilinear. Computed as L . U'(M) with U' the transpose of U, which is the same
    number without a picture. Compare with `area_share`, the chance level.

    Undefined: a flat or dead map, an empty mask (nothing to look at).
    """
    positive, defined = _positive_part(maps)
    masks = _checked_masks(masks, len(positive))
    rows, columns = map(bilinear_weights, masks.shape[1:], positive.shape[1:])
    inside = (positive * (rows.T @ masks.astype(np.float64) @ columns)).sum(axis=(1, 2))
    whole = (positive * np.outer(rows.sum(axis=0), columns.sum(axis=0))).sum(axis=(1, 2))
    # a map finer than the image can have all of its energy in cells that U skips: whole is 0 then
    defined = defined & ~_constant(positive) & masks.any(axis=(1, 2)) & (whole > 0)
    return np.clip(_share(inside, whole, defined), 0, 1)


def entropy(maps):
    """How spread out the map is: 0 a single cell, 1 uniform (flat).

    -sum p log p / log(h w) with p = L / sum L, the entropy as a share of its maximum.
    Undefined: a dead map, a map of one cell.
    """
    positive, defined = _positive_part(maps)
    cells = positive[0].size if len(positive) else 1
    if cells == 1:
        return np.full(len(positive), np.nan)
    p = positive / np.where(defined, positive.sum(axis=(1, 2)), 1)[:, None, None]
    nats = np.abs((p * np.log(np.where(p > 0, p, 1))).sum(axis=(1, 2)))
    return np.where(defined, np.clip(nats / np.log(cells), 0, 1), np.nan)


def gini(maps):
    """How unequal the n = h w cells are: 0 uniform (flat), 1 - 1/n a single cell.

    Gini's coefficient, sum_i (2 i - n - 1) x_i / (n sum x), x ascending, i from 1 (Hurley and Rickard, 2009,
    arXiv:0811.4706). Undefined: a dead map, a map of one cell.
    """
    positive, defined = _positive_part(maps)
    ascending = np.sort(_flattened(positive), axis=1)
    n = ascending.shape[1]
    unequal = ascending @ (2.0 * np.arange(1, n + 1) - n - 1)
    return np.clip(_share(unequal, n * ascending.sum(axis=1), defined & (n > 1)), 0, 1)


def dead(maps):
    """1 where no cell of the map is above zero, else 0. Undefined only for a map that is not finite."""
    values, finite = _finite_values(maps)
    return np.where(finite, ~(values > 0).any(axis=(1, 2)), np.nan)


def border_share(maps):
    """Share of the map's sum in its outermost ring of cells, in [0, 1].

    High where the padding answers and not the content. Undefined: a flat or dead map, a map without inner
    cells (h or w below 3).
    """
    positive, defined = _positive_part(maps)
    whole = positive.sum(axis=(1, 2))
    inner = positive[:, 1:-1, 1:-1]
    defined = defined & ~_constant(positive) & (inner[:1].size > 0)
    return np.clip(_share(whole - inner.sum(axis=(1, 2)), whole, defined), 0, 1)


def spearman(first, second):
    """Rank correlation in [-1, 1]: Pearson's of the ranks, ties sharing their average rank.

    Unchanged by any increasing function of either map. Undefined: a constant map.
    """
    first, second, defined = _pair(first, second)
    return _correlation(_average_ranks(_flattened(first)), _average_ranks(_flattened(second)), defined)


def pearson(first, second):
    """Linear correlation in [-1, 1]; unchanged by either map's scale and offset. Undefined: constant ones."""
    first, second, defined = _pair(first, second)
    return _correlation(_flattened(first), _flattened(second), defined)


def cosine(first, second):
    """Cosine similarity in [-1, 1] (not the distance); unchanged by the scale of either map.

    Undefined: a constant map; a flat one would seem similar to any broad one.
    """
    first, second, defined = _pair(first, second)
    similarity = (_unit(_flattened(first)) * _unit(_flattened(second))).sum(axis=1)
    return np.where(defined, np.clip(similarity, -1, 1), np.nan)


def ssim(first, second):
    """Structural similarity in [-1, 1], mean over the cells (Wang et al., 2004, IEEE TIP 13(4)).

    Gaussian window 11 x 11, sigma 1.5, K 0.01 and 0.03; the dynamic range is the joint one of the two maps,
    their common maximum minus their common minimum. Unchanged by a scale common to both, not by one map's
    own. Windows sit on every cell and are cut at the map's edge, their weights made to sum to one again. The
    paper keeps whole windows only, which a layer's map of 7 x 7 does not have, and which leave the corners of
    one of 12 x 12 unseen.

    Undefined: a constant map; where the other is empty too, it would seem alike.
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


def top_k_iou(first, second, k=None):
    """Overlap of the k highest cells: intersection / union, in [0, 1] (Ghorbani et al., arXiv:1710.10547).

    Ties go to the lower index (row by row). Cells at zero are never among the highest, or two sparse maps
    would agree on their emptiness; a map with fewer than k positive cells gives those. `k`: an int from 1 to
    h w; None takes a tenth of the cells, rounded, at least one. Undefined: a map whose positive part is
    constant.
    """
    first, second, defined = _pair(first, second, _positive_part)
    cells = int(np.prod(first.shape[1:]))
    k = max(1, round(cells / 10)) if k is None else k
    if k not in range(1, cells + 1):
        raise ValueError(
            f"k must be from 1 to the {cells} cells of a map, got {k}; None takes a tenth of them"
        )
    chosen_first, chosen_second = (_highest_cells(_flattened(maps), k) for maps in (first, second))
    union = (chosen_first | chosen_second).sum(axis=1)
    return _share((chosen_first & chosen_second).sum(axis=1), union, defined)


def centre_shift(first, second):
    """Distance between the centres of mass as a share of the map's diagonal, in [0, 1].

    In cells of the layer; 0 is the same centre (Ghorbani et al., 2017, arXiv:1710.10547). Undefined: a map
    whose positive part is constant.
    """
    first, second, defined = _pair(first, second, _positive_part)
    h, w = first.shape[1:]
    down, right = (
        _share((second * at).sum(axis=(1, 2)), second.sum(axis=(1, 2)), defined)
        - _share((first * at).sum(axis=(1, 2)), first.sum(axis=(1, 2)), defined)
        for at in (np.arange(h)[:, None], np.arange(w))
    )
    return np.hypot(down, right) / np.hypot(h, w)


_FLAT = "a flat or dead map"

MEASURES: dict[str, Measure] = {
    "pointing": Measure(
        pointing, "higher", (0, 1), f"{_FLAT}, an empty mask", "arXiv:1608.00507", needs_mask=True
    ),
    "energy": Measure(
        energy, "higher", (0, 1), f"{_FLAT}, an empty mask", "arXiv:1910.01279", needs_mask=True
    ),
    "entropy": Measure(entropy, None, (0, 1), "a dead map, a map of one cell", "Shannon, 1948", flat=1.0),
    "gini": Measure(gini, None, (0, 1), "a dead map, a map of one cell", "arXiv:0811.4706", flat=0.0),
    "dead": Measure(dead, "lower", (0, 1), "nothing else", "this project", flat=0.0, dead=1.0),
    "border_share": Measure(border_share, "lower", (0, 1), f"{_FLAT}, no inner cells", "this project"),
}

SIMILARITY: dict[str, Measure] = {
    "spearman": Measure(spearman, "higher", (-1, 1), _FLAT, "Spearman, 1904"),
    "pearson": Measure(pearson, "higher", (-1, 1), _FLAT, "Pearson, 1895"),
    "cosine": Measure(cosine, "higher", (-1, 1), _FLAT, "the angle between two vectors"),
    "ssim": Measure(ssim, "higher", (-1, 1), _FLAT, "Wang et al., 2004, IEEE TIP 13(4)"),
    "top_k_iou": Measure(top_k_iou, "higher", (0, 1), _FLAT, "arXiv:1710.10547"),
    "centre_shift": Measure(centre_shift, "lower", (0, 1), _FLAT, "arXiv:1710.10547"),
}


def bilinear_weights(pixels, cells):
    """Bilinear upsampling along one side as a matrix (pixels, cells), float64, rows summing to 1.

    U(L) = bilinear_weights(H, h) @ L @ bilinear_weights(W, w).T: half-pixel centres, edges held, as
    cv2.INTER_LINEAR.
    """
    position = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.maximum(0.0, 1 - np.abs(position[:, None] - np.arange(cells)))


def gaussian_weights(length, sigma, radius):
    """Gaussian smoothing along one side as a matrix (length, length), float64; the window ends at `radius`
    and at the edge, and rows sum to 1."""
    distance = np.arange(length)[:, None] - np.arange(length)
    weights = np.where(np.abs(distance) <= radius, np.exp(-0.5 * (distance / sigma) ** 2), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _finite_values(maps):
    """The maps (N, h, w) in float64, all zero where one is not finite, and which are finite (N,)."""
    maps = np.asarray(maps)
    if maps.dtype.kind not in "fiub":
        raise TypeError(f"maps must be real numbers, got {maps.dtype}")
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ValueError(f"maps must be (N, h, w), got {maps.shape}; a single map is maps[None]")
    finite = np.isfinite(maps).all(axis=(1, 2))
    return np.where(finite[:, None, None], maps, 0).astype(np.float64), finite


def _positive_part(maps):
    """ReLU of the maps scaled to a maximum of 1 (no sum can overflow), and which are finite and not dead."""
    values, _ = _finite_values(maps)
    positive = np.maximum(values, 0)
    highest = positive.max(axis=(1, 2))
    return positive / np.where(highest > 0, highest, 1)[:, None, None], highest > 0


def _pair(first, second, read=_finite_values):
    """Both batches as `read` gives them, and where both are defined and not constant."""
    (first, first_defined), (second, second_defined) = read(first), read(second)
    if first.shape != second.shape:
        raise ValueError(
            f"the maps must have one shape, got {first.shape} and {second.shape}; compare a layer with itself"
        )
    return first, second, first_defined & second_defined & ~_constant(first) & ~_constant(second)


def _checked_masks(masks, count=None):
    masks = np.asarray(masks)
    if masks.dtype != np.bool_:
        raise TypeError(f"masks must be bool, True inside the region, got {masks.dtype}; use masks > 0")
    if masks.ndim != 3 or 0 in masks.shape[1:] or count not in (None, len(masks)):
        raise ValueError(
            f"masks must be ({'N' if count is None else count}, H, W), got {masks.shape}; one for each map"
        )
    return masks


def _constant(maps):
    return maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))


def _flattened(maps):
    return maps.reshape(len(maps), maps.shape[1] * maps.shape[2])


def _share(part, whole, defined):
    """part / whole where defined, NaN elsewhere."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=defined)


def _unit(rows):
    """Rows of length 1 (zero rows stay zero); scaled to the peak first, or small squares vanish."""
    peak = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(peak > 0, peak, 1)
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return rows / np.where(length > 0, length, 1)


def _correlation(first, second, defined):
    """Pearson's correlation of rows (N, n)."""
    first, second = (_unit(rows) for rows in (first, second))
    first, second = (_unit(rows - rows.mean(axis=1, keepdims=True)) for rows in (first, second))
    return np.where(defined, np.clip((first * second).sum(axis=1), -1, 1), np.nan)


def _average_ranks(rows):
    """Ranks from 1 along each row (N, n); equal values share the mean of the ranks they take up."""
    order = np.argsort(rows, axis=1, kind="stable")
    ascending = np.take_along_axis(rows, order, axis=1)
    place = np.arange(rows.shape[1])
    step = ascending[:, 1:] != ascending[:, :-1]
    edge = np.ones((len(rows), 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, step]), place, 0), axis=1)
    last = np.where(np.hstack([step, edge]), place, place[-1])[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=1)
    return ranks


def _highest_cells(rows, k):
    """The k highest of each row (N, n) that are above zero, as bool; ties go to the lower index."""
    order = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen & (rows > 0)


def _ssim_cells(first, second, offset):
    """SSIM of each cell, for maps in [0, 1] that stand for map + offset with dynamic range 1."""
    rows, columns = (gaussian_weights(length, sigma=1.5, radius=5) for length in first.shape[1:])

    def local_mean(maps):
        return rows @ maps @ columns.T

    mean_1, mean_2 = local_mean(first), local_mean(second)
    spread = local_mean(first**2) - mean_1**2 + local_mean(second**2) - mean_2**2
    together = local_mean(first * second) - mean_1 * mean_2
    mean_1, mean_2 = mean_1 + offset, mean_2 + offset
    luminance = (2 * mean_1 * mean_2 + 0.01**2) / (mean_1**2 + mean_2**2 + 0.01**2)
    return luminance * (2 * together + 0.03**2) / (np.maximum(spread, 0) + 0.03**2)
