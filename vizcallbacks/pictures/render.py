"""Maps as pictures: uint8, (H, W, 3), RGB.

Raw maps are scaled for the eye here and nowhere else. A `scale` is the raw value drawn at full strength:
pictures drawn with one scale can be compared; None takes it from the map itself. A dead map (all zero) or an
undefined one (with a NaN or an infinity) is hatched and labelled, never stretched. No argument is
written to, and equal arguments give equal pixels. Each function raises ValueError for an array of another
shape, dtype or range than it states.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np

from .lettering import GREY, INK, TEXT, WHITE, blend, text_width, write
from .picture import checked_picture, described, fit, letterbox

CONCEPTS = ((230, 159, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0))
"""Colours that most colour-blind people can tell apart (Okabe and Ito, 2008)."""
BLUE, RED = (33, 102, 190), (200, 24, 43)


def colour(values: np.ndarray) -> np.ndarray:
    """Colours of numbers on OpenCV's turbo map, from dark blue over green to dark red.

    Parameters
    ----------
    values : ndarray, (h, w), float, in [0, 1]

    Returns
    -------
    ndarray, (h, w, 3), uint8, RGB
    """
    values = checked_map(values, 2, "values")
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"values must lie in [0, 1], got {values.min():.4g} to {values.max():.4g}; scale and clip first"
        )
    return cv2.LUT(_threefold(np.rint(values * 255).astype(np.uint8)), _turbo())


@functools.cache
def _turbo() -> np.ndarray:
    """The map's colours, (1, 256, 3) uint8, RGB; OpenCV makes them anew for each picture."""
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_TURBO)[..., ::-1].copy()
    table.flags.writeable = False
    return table


def overlay(picture: np.ndarray, cam: np.ndarray, scale: float | None = None) -> np.ndarray:
    """A class activation map over the photograph; where the map is low, the photograph shows through.

    Upsampled bilinearly, divided by `scale` and clipped to v in [0, 1]; the colour of v covers 0.85 v^0.85
    of the photograph in grey, as coloured objects look like heat otherwise. Negative values, which HiResCAM and
    EigenCAM have, are drawn as zero.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    cam : ndarray, (h, w), float
        Raw, at the layer's resolution.
    scale : float, optional
        The value that gets full colour. None: the map's maximum.

    Returns
    -------
    ndarray, (H, W, 3), uint8
    """
    picture, cam = checked_picture(picture), checked_map(cam, 2, "cam")
    state = _state(cam, "cam")
    if state:
        return _marked(picture, state)
    heat = np.clip(_upsampled(cam, picture) / _checked_scale(scale, cam.max()), 0, 1)
    return blend(_grey(picture), colour(heat), _opacity(heat))


def difference(picture: np.ndarray, change: np.ndarray, scale: float | None = None) -> np.ndarray:
    """A signed change of a (h, w) map over a grey photograph: red where there is more, blue where less.

    Parameters, result and errors as in `overlay`; `scale` applies to the absolute value.
    """
    picture, change = checked_picture(picture), checked_map(change, 2, "change")
    state = _state(change, "difference")
    if state:
        return _marked(picture, state)
    amount = np.clip(_upsampled(change, picture) / _checked_scale(scale, np.abs(change).max()), -1, 1)
    hue = np.where(amount[..., None] > 0, np.array(RED), np.array(BLUE))
    return blend(_greyed(picture), hue, _opacity(np.abs(amount)))


def signed_picture(gradient: np.ndarray, scale: float | None = None) -> np.ndarray:
    """A signed gradient as a picture about mid grey: brighter is positive, darker negative.

    Parameters
    ----------
    gradient : ndarray, (C, H, W), float
        Three channels are drawn as RGB; for any other number, their mean is drawn in grey.
    scale : float, optional
        The absolute value drawn as black or white. None: the 99.5th percentile of the absolute values, as a
        few single pixels are often ten times as large as all others; the maximum where that percentile is
        zero.

    Returns
    -------
    ndarray, (H, W, 3), uint8
    """
    gradient = checked_map(gradient, 3, "gradient")
    state = _state(gradient, "signed")
    if state:
        return _marked(np.full(gradient.shape[1:] + (3,), 128, np.uint8), state)
    drawn = gradient if len(gradient) == 3 else np.repeat(gradient.mean(axis=0, keepdims=True), 3, axis=0)
    amount = drawn / _checked_scale(scale, robust_maximum(np.abs(drawn), 99.5))
    np.clip(amount, -1, 1, out=amount)
    amount *= 127.5
    amount += 127.5
    return cv2.merge([*np.rint(amount, out=amount).astype(np.uint8)])


def intensity(map_: np.ndarray, scale: float | None = None) -> np.ndarray:
    """A non-negative map in grey, zero black: saliency.

    As MXNet's tutorial draws its third picture, with white at the 99th percentile; black is zero here and
    not the minimum, so that brightness is in proportion to the value.

    Parameters
    ----------
    map_ : ndarray, (H, W), float
        Negative values are drawn as zero.
    scale : float, optional
        The value drawn white. None: the 99th percentile, or the maximum where that is zero.

    Returns
    -------
    ndarray, (H, W, 3), uint8
    """
    map_ = checked_map(map_, 2, "map")
    state = _state(map_, "intensity")
    if state:
        return _marked(np.zeros(map_.shape + (3,), np.uint8), state)
    grey = np.clip(map_ / _checked_scale(scale, robust_maximum(np.maximum(map_, 0), 99)), 0, 1)
    return _threefold(np.rint(255 * grey).astype(np.uint8))


def concepts(picture: np.ndarray, maps: np.ndarray, scale: float | None = None) -> np.ndarray:
    """The strongest concept at each place, in a colour of its own, over the photograph in grey.

    Upsampled bilinearly; the strongest concept's value, divided by `scale` and clipped to v in [0, 1], covers 0.85
    v^0.85 of the photograph. Concept number i has colour i of `CONCEPTS`, whose first follows its last.

    Parameters, result and errors as in `overlay`, but for `maps`, (concepts, h, w), float, >= 0; `scale` applies
    to all of them.
    """
    picture, maps = checked_picture(picture), checked_map(maps, 3, "maps")
    state = _state(maps, "concepts")
    if state:
        return _marked(picture, state)
    large = np.stack([_upsampled(map_, picture) for map_ in maps])
    hue = np.array(CONCEPTS)[large.argmax(axis=0) % len(CONCEPTS)]
    amount = np.clip(large.max(axis=0) / _checked_scale(scale, maps.max()), 0, 1)
    return blend(_grey(picture), hue, _opacity(amount))


DRAWERS: dict[str, Callable[[np.ndarray, np.ndarray, float | None], np.ndarray]] = {
    "cam": overlay,
    "signed": lambda picture, gradient, scale: signed_picture(gradient, scale),
    "intensity": lambda picture, map_, scale: intensity(map_, scale),
    "difference": difference,
    "concepts": concepts,
}
"""How a map is drawn at a photograph's place: name -> function of (picture, map, scale)."""

SIGNED = ("signed", "difference")
"""Those kinds whose maps have a sign."""

SEVERAL = ("signed", "concepts")
"""Those kinds that take several values for a place: (C, H, W) or (concepts, h, w)."""


def tile(
    picture: np.ndarray,
    map_: np.ndarray,
    side: int,
    kind: str = "cam",
    scale: float | None = None,
    title: str = "",
) -> np.ndarray:
    """A map drawn at the picture's place, on a square: (side, side, 3) uint8.

    The map has the shape that `kind`, a key of DRAWERS, asks for; `title` names it in errors. A dead or
    undefined one is marked on the greyed photograph.
    """
    if kind not in DRAWERS:
        raise ValueError(f"kind must be one of {', '.join(DRAWERS)}, got {kind!r}")
    map_ = checked_map(map_, 3 if kind in SEVERAL else 2, f"map of cell '{title}'")
    state = _state(map_, kind)
    if state:
        return _marked(letterbox(picture, side), state)
    return letterbox(DRAWERS[kind](fit(picture, side), map_, scale), side)


def common_scale(maps: Iterable[np.ndarray]) -> float | None:
    """The largest value among those of the maps, (h, w), that are finite; None where none is above zero."""
    peaks = [checked_map(map_, 2, "cam").max() for map_ in maps]
    return max(
        (peak for peak, map_ in zip(peaks, maps) if np.isfinite(map_).all() and peak > 0), default=None
    )


def checked_map(map_: Any, ndim: int, name: str) -> np.ndarray:
    """The map in float64, where sums and quotients of large float32 values stay finite, or a ValueError."""
    axes = {2: "(h, w)", 3: "(C, H, W)"}[ndim]
    if not isinstance(map_, np.ndarray) or map_.dtype.kind != "f" or map_.ndim != ndim or not map_.size:
        raise ValueError(f"{name} must be a {axes} float array, not empty, got {described(map_)}")
    return map_.astype(np.float64, copy=False)


def _state(map_: np.ndarray, kind: str) -> str:
    """Why a map cannot be drawn, in words; empty if it can."""
    least, most = map_.min(), map_.max()
    if not (np.isfinite(least) and np.isfinite(most)):  # which a NaN becomes as well
        return "undefined"
    if least == most == 0:
        return "no change" if kind == "difference" else "dead map"
    return "not positive" if kind not in SIGNED and most <= 0 else ""


def _marked(picture: np.ndarray, words: str) -> np.ndarray:
    """The picture greyed, hatched and framed, with the words on it where they fit."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    canvas = blend(_greyed(picture), np.array(GREY), 0.35 * ((x + y) % 12 < 1))
    for edge in (canvas[:2], canvas[-2:], canvas[:, :2], canvas[:, -2:]):
        edge[:] = GREY
    size = next((size for size in range(TEXT, 8, -1) if text_width(words, size) <= width - 12), 0)
    if size and height >= 2 * size:
        across, up = math.ceil(text_width(words, size) / 2) + 4, int(0.75 * size)
        box = (width // 2 - across, height // 2 - up, width // 2 + across, height // 2 + up)
        write(canvas, box, words, size, INK, "centre", WHITE)
    return canvas


def robust_maximum(values: np.ndarray, percentile: float) -> float:
    """A positive scale for values >= 0; 1 if all are zero, such as the mean of channels that cancel out."""
    return np.percentile(values, percentile) or values.max() or 1.0


def _upsampled(map_: np.ndarray, picture: np.ndarray) -> np.ndarray:
    return cv2.resize(map_, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _opacity(amount: np.ndarray) -> np.ndarray:
    return 0.85 * amount**0.85


def _grey(picture: np.ndarray) -> np.ndarray:
    return _threefold(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def _threefold(values: np.ndarray) -> np.ndarray:
    """(H, W) -> (H, W, 3)"""
    return cv2.merge([values, values, values])


def _greyed(picture: np.ndarray) -> np.ndarray:
    """Grey with little contrast and light, so that what is drawn on it stands out."""
    return (110 + _grey(picture).astype(np.uint16) // 2).astype(np.uint8)


def _checked_scale(scale: float | None, maximum: float) -> float:
    if scale is None:
        return maximum
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive finite number or None, got {scale!r}")
    return scale
