"""Photographs, (H, W, 3) uint8 RGB: checking them, fitting them to a square, outlining regions, encoding a file.

No argument is written to. Each function raises ValueError for an array of another shape or dtype than it states.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from .lettering import PAPER


def checked_picture(picture: Any) -> np.ndarray:
    """The picture; ValueError if it is empty or not an (H, W, 3) uint8 array."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
        raise ValueError(f"a picture must be a (H, W, 3) uint8 array, got {described(picture)}")
    if not picture.size:
        raise ValueError(f"a picture must not be empty, got {described(picture)}")
    return picture


def letterbox(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture, whole and in its proportions, on a light square: (side, side, 3) uint8."""
    fitted = fit(picture, side)
    height, width = fitted.shape[:2]
    if height == width:
        return fitted
    square = np.full((side, side, 3), PAPER, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = fitted
    return square


def fit(picture: np.ndarray, side: int) -> np.ndarray:
    """Resized in its proportions, the longer edge to `side`; below 24 px, pixels stay visible."""
    longer = max(picture.shape[:2])
    height, width = _fitted_size(picture, side)
    enlarged = cv2.INTER_NEAREST if longer < 24 else cv2.INTER_CUBIC
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if longer > side else enlarged)


def _fitted_size(picture: np.ndarray, side: int) -> tuple[int, int]:
    longer = max(picture.shape[:2])
    height, width = (max(1, round(edge * side / longer)) for edge in picture.shape[:2])
    return height, width


def outlined(
    picture: np.ndarray, masks: Sequence[np.ndarray], side: int, drawn: np.ndarray | None = None
) -> np.ndarray:
    """A square of the picture with the edges of regions, white between dark lines, visible on any ground.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    masks : sequence of ndarray, (H', W'), bool
        Of the whole picture, in any size.
    side : int, px
    drawn : ndarray, (side, side, 3), uint8, optional
        Of the same picture, such as a tile; default: its `letterbox`.

    Returns
    -------
    ndarray, (side, side, 3), uint8
    """
    square = (letterbox(picture, side) if drawn is None else drawn).copy()
    height, width = _fitted_size(picture, side)
    corner = ((side - width) // 2, (side - height) // 2)
    for mask in masks:
        shares = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        edges, _ = cv2.findContours(
            (shares >= 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=corner
        )
        for ink, thickness in (((0, 0, 0), 2 if side < 150 else 3), ((255, 255, 255), 1)):
            cv2.drawContours(square, edges, -1, ink, thickness)
    return square


def encode(picture: np.ndarray, format: str = "jpeg", levels: int = 256) -> bytes:
    """The picture as the bytes of a file.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    format : {"jpeg", "png"}
        JPEG has quality 80 and colour at full resolution (4:4:4): OpenCV's default of 4:2:0 fades thin lines.
        (WebP would be smaller, but TensorBoard serves it without its type.)
    levels : int, in [2, 256]
        Levels of each colour. With 32, photographs and maps look the same and a PNG has half of the bytes. (A
        palette of 256 colours has a third, but loses small areas of pure colour.) A PNG of
        fewer levels is searched for runs of equal pixels only: a third of the time, and 6 % fewer (panels) to 7 %
        more bytes (sheets).

    Returns
    -------
    bytes
    """
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    small = [cv2.IMWRITE_JPEG_QUALITY, 80, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    runs = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    options = {"jpeg": (".jpg", small + full_colour), "png": (".png", runs if levels < 256 else [])}
    if format not in options:
        raise ValueError(f"format must be one of {', '.join(options)}, got {format!r}")
    extension, parameters = options[format]
    bgr = cv2.cvtColor(checked_picture(picture), cv2.COLOR_RGB2BGR)
    if levels < 256:
        bgr = cv2.LUT(bgr, _steps(levels))
    return cv2.imencode(extension, bgr, parameters)[1].tobytes()


@functools.lru_cache(maxsize=8)
def _steps(levels: int) -> np.ndarray:
    """For each value in 0 ... 255, the nearest of so many evenly spaced ones: (256,) uint8."""
    steps = np.rint(np.rint(np.arange(256) * ((levels - 1) / 255)) * (255 / (levels - 1))).astype(np.uint8)
    steps.flags.writeable = False
    return steps


def described(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
