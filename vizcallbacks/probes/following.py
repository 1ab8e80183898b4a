"""Masks through the transform of the pictures: the transform itself is run on the masks.

A transform T that moves pixels in a fixed way and treats colours linearly (resize, crop, pad, flip, normalise, in
any library or a function of one's own) turns a mask painted as a picture, black outside and white inside, into
T(black) + cover (T(white) - T(black)), where `cover` is the part of each of the net's pixels that the region
covers. So no list of known transforms is needed, and a transform for which this does not hold is detected and
refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import numpy as np

TOLERANCE = 4 / 255
"""Departure from a linear treatment of colours, as a part of the range from black to white: rounding to uint8
after a resize gives up to 2 / 255."""

_HELP = "give masks of the net's input size, or a transform of resize, crop and normalisation only"


def follow(
    transform: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    masks: Sequence[np.ndarray],
    name: str,
) -> list[np.ndarray]:
    """Where masks of a picture are after its transform.

    Parameters
    ----------
    transform : callable
        Array like `picture` -> (C, H, W) float32.
    picture : ndarray, (h, w), (h, w, C) or (C, h, w), uint8 or float
    masks : sequence of (h, w) bool
    name : str
        The picture's, for errors.

    Returns
    -------
    list of (H, W) bool
        A pixel is inside where the region covers half of it or more.

    Raises
    ------
    ValueError
        The transform gives another result the second time (random augmentation), or does not treat colours
        linearly, as one that standardises each picture by its own mean does. A crop that is chosen by the
        picture's content is not noticed.
    """
    low, high = _range(picture)
    image = transform(picture)
    if not np.array_equal(image, transform(picture)):
        raise ValueError(
            f"masks cannot follow the transform: it gives another result the second time (for {name}); leave "
            "random augmentation out, as for validation"
        )
    dark, bright = transform(np.full_like(picture, low)), transform(np.full_like(picture, high))
    negative = transform((low + high - picture).astype(picture.dtype))
    if not image.shape == dark.shape == bright.shape == negative.shape:
        raise ValueError(
            f"masks cannot follow the transform: the size of what it gives depends on the picture's colours (for "
            f"{name}); {_HELP}"
        )
    span = bright.astype(np.float64) - dark
    largest = np.abs(span).max()
    # for a linear T, T(picture) + T(negative) = T(black) + T(white)
    off = np.abs(image.astype(np.float64) + negative - dark - bright).max()
    if not (np.isfinite(largest) and largest > 0 and off <= TOLERANCE * largest):
        raise ValueError(
            f"masks cannot follow the transform: it does not treat colours linearly (for {name}), as those do "
            f"that standardise or equalise each picture; {_HELP}"
        )
    weight = (span**2).sum(axis=0)
    followed = []
    for mask in masks:
        painted = np.where(_spread(mask, picture), high, low).astype(picture.dtype)
        lit = ((transform(painted) - dark.astype(np.float64)) * span).sum(axis=0)
        followed.append((lit >= 0.5 * weight) & (weight > 0))  # no weight: a border that the transform added
    return followed


def size_of(picture: np.ndarray) -> tuple[int, int]:
    """Height and width of a picture with its channels first, last or left out."""
    if picture.ndim == 3:
        return picture.shape[1:] if _is_channels_first(picture) else picture.shape[:2]  # type: ignore[return-value]
    return picture.shape[:2]  # type: ignore[return-value]


def _is_channels_first(picture: np.ndarray) -> bool:
    return picture.shape[0] in (1, 3, 4) and picture.shape[2] not in (1, 3, 4)


def _spread(mask: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The mask in the shape of the picture, alike in all channels."""
    if picture.ndim == 3:
        mask = mask[None] if _is_channels_first(picture) else mask[..., None]
    return np.broadcast_to(mask, picture.shape)


def _range(picture: np.ndarray) -> tuple[float, float]:
    """Two values for black and white that the picture's type holds, and its own values lie between."""
    if picture.dtype == np.uint8:
        return 0, 255
    low, high = float(picture.min()), float(picture.max())
    return low, high if high > low else low + 1
