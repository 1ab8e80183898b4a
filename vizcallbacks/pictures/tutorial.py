"""The pictures of MXNet's tutorial, as its module `gradcam` names them, drawn as everywhere in this package."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import as_numpy
from .render import overlay, robust_maximum


def get_img_heatmap(orig_img: Any, activation_map: np.ndarray) -> np.ndarray:
    """A class activation map over the image, as `vizcallbacks.pictures.render.overlay` draws it.

    Parameters
    ----------
    orig_img : ndarray or NDArray, (H, W, 3), RGB in [0, 255]
        uint8, or any other numbers in that range, as OpenCV and MXNet give them; they are rounded.
    activation_map : ndarray, (H, W), float, in [0, 1]
        From `get_cam`. One that is all zero is marked as dead.

    Returns
    -------
    ndarray, (H, W, 3), uint8

    Examples
    --------
    >>> import numpy as np
    >>> from vizcallbacks import gradcam
    >>> gradcam.get_img_heatmap(np.full((8, 8, 3), 128, np.uint8), np.eye(8)).shape
    (8, 8, 3)
    """
    picture = checked_picture(orig_img)
    if np.shape(activation_map) != picture.shape[:2]:
        raise ValueError(
            f"activation_map must have the image's size, {picture.shape[:2]}, got {np.shape(activation_map)}; "
            "get_cam(..., size=orig_img.shape[:2])"
        )
    if np.max(activation_map) > 1:
        raise ValueError(
            f"activation_map must lie in [0, 1], got {np.max(activation_map):.4g}; divide it by its maximum"
        )
    return overlay(picture, activation_map, scale=1.0)


def grad_to_image(gradient: np.ndarray) -> np.ndarray:
    """A gradient (C, H, W) as a picture, (H, W, C) uint8.

    With values below zero, zero is mid grey, brighter is positive; without, zero is black. Full strength is the
    99.5th percentile of the absolute values, as in
    `vizcallbacks.pictures.render.signed_picture`. (The tutorial draws from the minimum to the maximum, where a
    few extreme pixels leave all others one flat grey.)

    Examples
    --------
    >>> import numpy as np
    >>> from vizcallbacks import gradcam
    >>> gradcam.grad_to_image(np.array([[[-1, 0, 1]]])).ravel()
    array([  0, 128, 255], dtype=uint8)
    """
    if not np.isfinite(gradient).all():
        raise ValueError(
            "gradient must be finite, got NaN or infinity; check the net's weights and its outputs on this image"
        )
    shown = np.clip(gradient / robust_maximum(np.abs(gradient), 99.5), -1, 1)
    shown = shown / 2 + 0.5 if shown.min() < 0 else shown
    return np.rint(255 * shown).astype(np.uint8).transpose(1, 2, 0)


def to_grayscale(cv2im: np.ndarray) -> np.ndarray:
    """Absolute sum over channels of a gradient (C, H, W): (1, H, W) float32, in [0, 1].

    0 at its minimum and 1 from its 99th percentile on; from its maximum on where that percentile is the minimum;
    all zero where the sum is flat.

    Examples
    --------
    >>> import numpy as np
    >>> from vizcallbacks import gradcam
    >>> gradcam.to_grayscale(np.array([[[-1, 0, 3]], [[1, 0, -3]]]))[0, 0, :2].round(2)
    array([0.34, 0.  ])
    """
    total = np.abs(cv2im).sum(axis=0, keepdims=True)
    low, high = total.min(), np.percentile(total, 99)
    high = high if high > low else total.max()
    return np.clip((total - low) / (high - low), 0, 1) if high > low else np.zeros_like(total)


def checked_picture(orig_img: Any) -> np.ndarray:
    """The tutorial's `orig_img` as (H, W, 3) uint8; ValueError if it is no picture in [0, 255]."""
    picture = as_numpy(orig_img)
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(
            f"orig_img must be (H, W, 3) RGB, got shape {picture.shape}; "
            "a grey one: np.repeat(grey[..., None], 3, axis=2)"
        )
    if picture.dtype == np.uint8:
        return picture
    numbers = picture.dtype.kind in "iuf"
    if not numbers or not (picture.min() >= 0 and picture.max() <= 255) or _is_scaled_to_one(picture):
        found = f"{picture.min():.4g} to {picture.max():.4g}" if numbers else "no numbers"
        raise ValueError(
            f"orig_img must be RGB in [0, 255], got {picture.dtype}, {found}; "
            "give the picture before it was normalised, or scale it: np.uint8(255 * orig_img)"
        )
    return np.rint(picture).astype(np.uint8)


def _is_scaled_to_one(picture: np.ndarray) -> bool:
    return picture.dtype.kind == "f" and 0 < picture.max() <= 1


def unit(values: np.ndarray) -> np.ndarray:
    """Values divided by the highest, if that is above zero."""
    highest = values.max()
    return values / highest if highest > 0 else values
