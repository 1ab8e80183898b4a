"""Checks of ProbeSet's arguments: arrays of the right shape, dtype and range, or an error that says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..checks import as_numpy


def stacked(what: str, arrays: Any) -> np.ndarray:
    """The NumPy array of an array, or of a list of arrays of one shape (ValueError if of several)."""
    if not isinstance(arrays, (list, tuple)):
        return as_numpy(arrays)
    listed = [as_numpy(array) for array in arrays]
    shapes = sorted({array.shape for array in listed})
    if len(shapes) > 1:
        raise ValueError(f"{what} must all have one shape, got {shapes}; resize or crop them")
    return np.stack(listed) if listed else np.zeros(0)


def check_images(images: Any) -> np.ndarray:
    """(N, C, H, W) float32, finite."""
    images = stacked("images", images)
    shape = images.shape
    if 0 in shape:
        raise ValueError(f"images must hold at least one image and pixel, got shape {shape}")
    if images.ndim != 4:
        hint = "; for a single image give images[None]" if images.ndim == 3 else ""
        raise ValueError(f"images must be (N, C, H, W), got {images.ndim} dimensions {shape}{hint}")
    if shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4):
        raise ValueError(
            f"images must be (N, C, H, W), got {shape}: looks like NHWC; images.transpose(0, 3, 1, 2)"
        )
    if images.dtype != np.float32:
        way = (
            "apply the net's transform, and give these as pictures="
            if images.dtype == np.uint8
            else "convert"
        )
        raise TypeError(f"images must be float32, as the net takes them, got {images.dtype}; {way}")
    bad = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
    if bad.size:
        raise ValueError(
            f"images must be finite, got NaN or infinity in {_listed(bad)}; check their transform"
        )
    return images


def check_labels(labels: Any, count: int, class_names: tuple[str, ...]) -> np.ndarray:
    """(N,) int64, each the number of a class."""
    labels = stacked("labels", labels)
    if labels.shape == (count, 1):  # MXNet has no 0-d arrays: a list of its numbers comes out so
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise ValueError(f"labels must be one number per image, ({count},), got shape {labels.shape}")
    if labels.dtype.kind not in "iuf":
        raise TypeError(f"labels must be whole numbers, got {labels.dtype}; give class numbers, not names")
    limit = float(len(class_names) or np.iinfo(np.int64).max)
    bad = np.flatnonzero(~((labels >= 0) & (labels < limit) & (np.floor(labels) == labels)))
    if bad.size:
        bound = f"below {len(class_names)}, the number of class_names" if class_names else "0 or more"
        raise ValueError(
            f"labels must be whole numbers {bound}, got {labels[bad][:10].tolist()} for {_listed(bad)}"
        )
    return labels.astype(np.int64)


def check_pictures(pictures: Any, count: int) -> np.ndarray:
    """(N, H, W, 3) uint8."""
    pictures = stacked("pictures", pictures)
    if pictures.ndim != 4 or len(pictures) != count or pictures.shape[3] != 3 or 0 in pictures.shape:
        raise ValueError(f"pictures must be ({count}, H, W, 3), one per image, got shape {pictures.shape}")
    if pictures.dtype != np.uint8:
        raise TypeError(f"pictures must be uint8, got {pictures.dtype}; scale to 0..255 and convert")
    return pictures


def check_strings(what: str, values: Iterable[str]) -> tuple[str, ...]:
    """Strings only; a single string is refused, since it would pass as a list of letters."""
    listed = [values] if isinstance(values, str) else list(values)
    if isinstance(values, str) or not all(isinstance(value, str) for value in listed):
        raise TypeError(f"{what} must be a list of str, got {listed[:10]!r}; give one str for each")
    return tuple(map(str, listed))


def check_names(names: Iterable[str], count: int) -> tuple[str, ...]:
    """One string per image, all different."""
    names = check_strings("names", names)
    if len(names) != count:
        raise ValueError(f"names must be one per image, {count}, got {len(names)}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"names must differ from one another, got {twice[:10]} more than once; number them")
    return names


def check_masks(masks: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Names with (N, H, W) bool, of the size of the images' `shape`."""
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks must be a dict of name to array, got {type(masks).__name__}; name them")
    checked = {}
    wanted = (shape[0], *shape[2:])
    for name in check_strings("names of masks", masks):
        mask = stacked(f"masks[{name!r}]", masks[name])
        if mask.shape != wanted:
            raise ValueError(
                f"masks[{name!r}] must be (N, H, W) as the images, {wanted}, got shape {mask.shape}"
            )
        if mask.dtype != bool:
            raise TypeError(
                f"masks[{name!r}] must be bool, got {mask.dtype}; say where it is, e.g. mask > 0.5"
            )
        checked[name] = mask
    return checked


def _listed(indices: np.ndarray) -> str:
    return f"image {', '.join(map(str, indices[:10]))}{', ...' if len(indices) > 10 else ''}"
