"""Attention in numbers: one map -> a number.

`maps` are batches (N, h, w) of real numbers, computed in float64; `masks` are (N, H, W) bool at the image's
size. Every measure returns (N,) float64. Where a measure means nothing it is NaN, never a hit and never a
warning; `mean_defined` averages the rest. Undefined for every measure: a map with a NaN or an infinity.
Undefined for all but `entropy`, `gini` and `dead`: a constant map, whether dead (all zero) or flat.

The measures see a map's positive part: what is below zero speaks against the target and attracts nothing.
(METHODS that end in a ReLU have nothing else.) Masks are compared with the map as it is shown: upsampled
bilinearly, with half-pixel centres.

`MEASURES` lists them by name, with the better direction, the range, and what is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

import numpy as np
from numpy.typing import ArrayLike

FLAT = "a flat or dead map"


@dataclass(frozen=True)
class Measure:
    """A row of the table MEASURES, or of SIMILARITY in `of_two_maps`.

    function(maps), function(maps, masks) if `needs_mask`, or function(first, second) gives (N,) float64
    within `range` or NaN. `better`: "higher", "lower" or None (neither end is good); with a mask it holds for
    a region that the network should look at, and is reversed for one that it should not. `undefined`: in words,
    what gives NaN besides maps that are not finite. `flat`, `dead`: the value for a constant positive and for an
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


def mean_defined(values: ArrayLike) -> tuple[float, int]:
    """Mean of the defined (not NaN) values, and how many there are: (float, int). The mean of none is NaN."""
    values = np.asarray(values, dtype=np.float64)
    defined = values[~np.isnan(values)]
    return (float(defined.mean()) if defined.size else float("nan")), int(defined.size)


def area_share(masks: ArrayLike) -> np.ndarray:
    """Share of the image that each mask (N, H, W) bool covers: (N,) float64 in [0, 1].

    The chance level of `energy`: the score of a network that looks equally at all places.
    """
    return _checked_masks(masks).mean(axis=(1, 2), dtype=np.float64)


def pointing(maps: ArrayLike, masks: ArrayLike) -> np.ndarray:
    """1 where the map's maximum lies in the mask, 0 where it does not.

    The pointing game (Zhang et al., 2016, arXiv:1608.00507). A bilinear surface is highest at a cell's
    centre, so the maximum is found without upsampling: it is the pixel that holds the centre of the highest cell.
    Where a cell is an even number of pixels high or wide, its centre falls between pixels: then the lower or right
    one is taken, though the upsampled map may be highest at the other, beside a higher neighbour. If t cells share
    the maximum, they count 1/t each. No tolerance around the mask, unlike the paper's 15 pixels.

    Undefined: a flat or dead map (Quantus counts a flat one as a hit), an empty mask.
    """
    positive, defined = positive_part(maps)
    masks = _checked_masks(masks, len(positive))
    (height, width), (h, w) = masks.shape[1:], positive.shape[1:]
    rows = (2 * np.arange(h) + 1) * height // (2 * h)
    columns = (2 * np.arange(w) + 1) * width // (2 * w)
    highest = positive == positive.max(axis=(1, 2), keepdims=True)
    hits = highest & masks[:, rows[:, None], columns]
    defined = defined & ~constant(positive) & masks.any(axis=(1, 2))
    return share(hits.sum(axis=(1, 2)), highest.sum(axis=(1, 2)), defined)


def energy(maps: ArrayLike, masks: ArrayLike) -> np.ndarray:
    """Share of the shown map's sum that lies in the mask, in [0, 1].

    The energy-based pointing game (Wang et al., Score-CAM, arXiv:1910.01279): sum(M o U(L)) / sum(U(L)) with
    L the positive part and U bilinear. Computed as L . U'(M) with U' the transpose of U, which is the same
    number without a picture. Compare with `area_share`, the chance level.

    Undefined: a flat or dead map, an empty mask (nothing to look at).
    """
    positive, defined = positive_part(maps)
    masks = _checked_masks(masks, len(positive))
    rows, columns = map(bilinear_weights, masks.shape[1:], positive.shape[1:])
    inside = (positive * (rows.T @ masks.astype(np.float64) @ columns)).sum(axis=(1, 2))
    whole = (positive * np.outer(rows.sum(axis=0), columns.sum(axis=0))).sum(axis=(1, 2))
    # a map finer than the image can have all of its energy in cells that U skips: whole is 0 then
    defined = defined & ~constant(positive) & masks.any(axis=(1, 2)) & (whole > 0)
    return np.clip(share(inside, whole, defined), 0, 1)


def entropy(maps: ArrayLike) -> np.ndarray:
    """How spread out the map is: 0 a single cell, 1 uniform (flat).

    -sum p log p / log(h w) with p = L / sum L, the entropy as a share of its maximum.
    Undefined: a dead map, a map of one cell.
    """
    positive, defined = positive_part(maps)
    cells = positive[0].size if len(positive) else 1
    if cells == 1:
        return np.full(len(positive), np.nan)
    p = positive / np.where(defined, positive.sum(axis=(1, 2)), 1)[:, None, None]
    nats = np.abs((p * np.log(np.where(p > 0, p, 1))).sum(axis=(1, 2)))
    return np.where(defined, np.clip(nats / np.log(cells), 0, 1), np.nan)


def gini(maps: ArrayLike) -> np.ndarray:
    """How unequal the n = h w cells are: 0 uniform (flat), 1 - 1/n a single cell.

    Gini's coefficient, sum_i (2 i - n - 1) x_i / (n sum x), x ascending, i from 1 (Hurley and Rickard, 2009,
    arXiv:0811.4706). Undefined: a dead map, a map of one cell.
    """
    positive, defined = positive_part(maps)
    ascending = np.sort(flattened(positive), axis=1)
    n = ascending.shape[1]
    unequal = ascending @ (2.0 * np.arange(1, n + 1) - n - 1)
    return np.clip(share(unequal, n * ascending.sum(axis=1), defined & (n > 1)), 0, 1)


def dead(maps: ArrayLike) -> np.ndarray:
    """1 where no cell of the map is above zero, else 0. Undefined only for a map that is not finite."""
    values, finite = finite_values(maps)
    return np.where(finite, ~(values > 0).any(axis=(1, 2)), np.nan)


def border_share(maps: ArrayLike) -> np.ndarray:
    """Share of the map's sum in its outermost ring of cells, in [0, 1].

    High where the net responds to the padding rather than to the content. Undefined: a flat or dead map, a map
    without inner cells (h or w below 3).
    """
    positive, defined = positive_part(maps)
    whole = positive.sum(axis=(1, 2))
    inner = positive[:, 1:-1, 1:-1]
    defined = defined & ~constant(positive) & (inner[:1].size > 0)
    return np.clip(share(whole - inner.sum(axis=(1, 2)), whole, defined), 0, 1)


MEASURES: dict[str, Measure] = {
    "pointing": Measure(
        pointing, "higher", (0, 1), f"{FLAT}, an empty mask", "arXiv:1608.00507", needs_mask=True
    ),
    "energy": Measure(
        energy, "higher", (0, 1), f"{FLAT}, an empty mask", "arXiv:1910.01279", needs_mask=True
    ),
    "entropy": Measure(entropy, None, (0, 1), "a dead map, a map of one cell", "Shannon, 1948", flat=1.0),
    "gini": Measure(gini, None, (0, 1), "a dead map, a map of one cell", "arXiv:0811.4706", flat=0.0),
    "dead": Measure(dead, "lower", (0, 1), "nothing else", "this project", flat=0.0, dead=1.0),
    "border_share": Measure(border_share, "lower", (0, 1), f"{FLAT}, no inner cells", "this project"),
}


def bilinear_weights(pixels: int, cells: int) -> np.ndarray:
    """Bilinear upsampling along one side as a matrix (pixels, cells), float64, rows summing to 1.

    U(L) = bilinear_weights(H, h) @ L @ bilinear_weights(W, w).T: half-pixel centres, edges held, as
    cv2.INTER_LINEAR.
    """
    position = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.maximum(0.0, 1 - np.abs(position[:, None] - np.arange(cells)))


def gaussian_weights(length: int, sigma: float, radius: float) -> np.ndarray:
    """Gaussian smoothing along one side as a matrix (length, length), float64; the window ends at `radius`
    and at the edge, and rows sum to 1."""
    distance = np.arange(length)[:, None] - np.arange(length)
    weights = np.where(np.abs(distance) <= radius, np.exp(-0.5 * (distance / sigma) ** 2), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def finite_values(maps: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The maps (N, h, w) in float64, all zero where one is not finite, and which are finite (N,)."""
    maps = np.asarray(maps)
    if maps.dtype.kind not in "fiub":
        raise TypeError(f"maps must be real numbers, got {maps.dtype}")
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ValueError(f"maps must be (N, h, w), got {maps.shape}; a single map is maps[None]")
    finite = np.isfinite(maps).all(axis=(1, 2))
    return np.where(finite[:, None, None], maps, 0).astype(np.float64), finite


def positive_part(maps: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """ReLU of the maps scaled to a maximum of 1 (no sum can overflow), and which are finite and not dead."""
    values, _ = finite_values(maps)
    positive = np.maximum(values, 0)
    highest = positive.max(axis=(1, 2))
    return positive / np.where(highest > 0, highest, 1)[:, None, None], highest > 0


def constant(maps: np.ndarray) -> np.ndarray:
    """Where all cells of a map (N, h, w) are equal: (N,) bool."""
    return maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))


def flattened(maps: np.ndarray) -> np.ndarray:
    """Maps (N, h, w) as rows (N, h w)."""
    return maps.reshape(len(maps), maps.shape[1] * maps.shape[2])


def share(part: np.ndarray, whole: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """part / whole where `defined`, NaN elsewhere: all (N,)."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=defined)


def _checked_masks(masks: ArrayLike, count: int | None = None) -> np.ndarray:
    masks = np.asarray(masks)
    if masks.dtype != np.bool_:
        raise TypeError(f"masks must be bool, True inside the region, got {masks.dtype}; use masks > 0")
    if masks.ndim != 3 or 0 in masks.shape[1:] or count not in (None, len(masks)):
        raise ValueError(
            f"masks must be ({'N' if count is None else count}, H, W), got {masks.shape}; one for each map"
        )
    return masks


def measure_maps(maps: np.ndarray, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All measures of maps, (N, h, w): name, or name/mask, -> (N,) float64, NaN where undefined.

    Examples
    --------
    >>> import numpy as np
    >>> inside = np.array([[[True, False], [False, False]]])
    >>> measure_maps(np.array([[[3.0, 1.0], [0.0, 0.0]]]), {"object": inside})["energy/object"]
    array([0.75])
    """
    values = {}
    for name, measure in MEASURES.items():
        if not measure.needs_mask:
            values[name] = measure.function(maps)
        for mask, region in masks.items() if measure.needs_mask else ():
            values[f"{name}/{mask}"] = measure.function(maps, region)
    return values
