"""Boxes, polygons, circles and run lengths as masks: which pixels of a picture lie in them.

Coordinates are in px, x to the right and y down, and continuous: pixel (x, y) covers [x, x + 1) x [y, y + 1). A
pixel is inside where its centre is; a centre on the left or upper edge is inside, one on the right or lower edge
is not, so that regions which share an edge share no pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import numpy as np

MAX_POINTS = 10_000
"""Corners of one polygon: the most that is drawn; people's outlines have tens to hundreds."""


def box_mask(shape: tuple[int, int], numbers: Sequence[float]) -> np.ndarray:
    """The pixels inside a box.

    Parameters
    ----------
    shape : (h, w)
    numbers : left, top, right, bottom
        In any order of left and right, of top and bottom.

    Returns
    -------
    ndarray, (h, w), bool
    """
    x0, y0, x1, y1 = numbers
    mask = np.zeros(shape, bool)
    rows = slice(_first(min(y0, y1), shape[0]), _first(max(y0, y1), shape[0]))
    mask[rows, _first(min(x0, x1), shape[1]) : _first(max(x0, x1), shape[1])] = True
    return mask


def polygon_mask(shape: tuple[int, int], numbers: Sequence[float]) -> np.ndarray:
    """The pixels inside a polygon; where its outline crosses itself, by the even-odd rule.

    Parameters
    ----------
    shape : (h, w)
    numbers : x0, y0, x1, y1, ...
        Three corners at least; the last is joined to the first.

    Returns
    -------
    ndarray, (h, w), bool
    """
    corners = np.asarray(numbers, np.float64).reshape(-1, 2)
    if not 3 <= len(corners) <= MAX_POINTS:
        raise ValueError(f"a polygon must have 3 to {MAX_POINTS} corners, got {len(corners)}; simplify it")
    height, width = shape
    crossings = np.zeros(
        (height, width + 1), np.int64
    )  # edges that pass between a pixel's centre and the next
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0)):
        rows = np.arange(_first(min(y0, y1), height), _first(max(y0, y1), height))
        if rows.size:
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)] += 1
    return np.cumsum(crossings[:, :width], axis=1) % 2 == 1


def circle_mask(shape: tuple[int, int], numbers: Sequence[float]) -> np.ndarray:
    """The pixels whose centre is nearer to a circle's than its radius.

    Parameters
    ----------
    shape : (h, w)
    numbers : x, y, radius

    Returns
    -------
    ndarray, (h, w), bool
    """
    x, y, radius = numbers
    across, down = np.arange(shape[1]) + 0.5 - x, np.arange(shape[0]) + 0.5 - y
    return across[None] ** 2 + down[:, None] ** 2 < radius**2


def runs_mask(shape: tuple[int, int], numbers: Sequence[float]) -> np.ndarray:
    """The mask of run lengths as COCO writes them: pixels outside, inside, outside ..., column by column.

    Parameters
    ----------
    shape : (h, w)
    numbers : whole numbers >= 0, of which the sum is h w

    Returns
    -------
    ndarray, (h, w), bool
    """
    runs = np.asarray(numbers, np.float64)
    if (runs < 0).any() or (runs != np.floor(runs)).any() or runs.sum() != shape[0] * shape[1]:
        raise ValueError(
            f"run lengths must be whole numbers that add up to {shape[0]} x {shape[1]} pixels, got "
            f"{runs.sum():.12g} in all; decode them for a picture of this size"
        )
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs.astype(np.int64))
    return inside.reshape(shape[1], shape[0]).T


DRAW: dict[str, Callable[[tuple[int, int], Sequence[float]], np.ndarray]] = {
    "box": box_mask,
    "polygon": polygon_mask,
    "circle": circle_mask,
    "runs": runs_mask,
}
"""Kind of region -> function of (shape, numbers) that gives its mask."""


def _first(coordinate: float, count: int) -> int:
    """The first of `count` pixels whose centre is not before the coordinate."""
    return int(np.clip(np.ceil(coordinate - 0.5), 0, count))
