"""From the image of a dataset to what the net takes, and to the picture that is shown."""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import cv2
import numpy as np

from ..checks import as_numpy

EXAMPLE = "transform=..., e.g. lambda image: image.astype('float32').transpose((2, 0, 1)) / 255"


def as_pictures(images: np.ndarray) -> np.ndarray:
    """Display pictures of images that have none: (N, C, H, W) float32 to (N, H, W, 3) uint8.

    One scale for all, from their minimum (black) to their maximum (white); a constant set is black. One
    channel is grey, three are RGB, any other number is averaged.
    """
    drawn = images if images.shape[1] in (1, 3) else images.mean(axis=1, keepdims=True)
    low, high = float(drawn.min()), float(drawn.max())
    scaled = (drawn.astype(np.float64) - low) * (255 / (high - low) if high > low else 0.0)
    pictures = np.rint(scaled).astype(np.uint8).transpose(0, 2, 3, 1)
    return np.repeat(pictures, 3, axis=3) if pictures.shape[3] == 1 else pictures


def centre_crop(picture: np.ndarray, size: int, short_side: int | None = None) -> np.ndarray:
    """The central `size` x `size` of a picture, its short side resized to `short_side` (default: `size`)."""
    short_side = size if short_side is None else short_side
    height, width = picture.shape[:2]
    scale = short_side / min(height, width)
    new_height, new_width = max(short_side, round(height * scale)), max(short_side, round(width * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(picture, (new_width, new_height), interpolation=method)
    top, left = (new_height - size) // 2, (new_width - size) // 2
    return picture[top : top + size, left : left + size]


def scaled(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32).transpose(2, 0, 1) / np.float32(255)


def pixels_of(image: Any, size: int) -> np.ndarray:
    image = as_numpy(image)
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            f"size={size} needs images (H, W, 1 or 3) to resize and crop, got shape {image.shape}"
        )
    return image


def refuse_chance(transform: Any) -> None:
    """ValueError for Gluon's random blocks, also inside others: running a flip twice may give the same result."""
    name = type(transform).__name__
    if name.startswith("Random"):
        raise ValueError(f"masks cannot follow {name}; leave random augmentation out, as for validation")
    children = getattr(transform, "_children", None)  # of a Gluon block
    for child in children.values() if isinstance(children, Mapping) else ():
        refuse_chance(child() if isinstance(child, weakref.ref) else child)


def transformed(
    raws: list,
    items: Sequence[Any],
    names: list[str],
    transform: Callable | None,
    picture_transform: Callable | None,
) -> dict[str, Any]:
    """`images` and `pictures` (None if they must be made from the images) of untransformed images."""
    images = [as_numpy(_apply(transform, raw, item)) for raw, item in zip(raws, items)]
    for name, image in zip(names, images):
        shape = image.shape
        channels_last = image.ndim == 3 and shape[2] in (1, 3, 4) and shape[0] not in (1, 3, 4)
        if image.ndim != 3 or image.dtype != np.float32 or channels_last:
            got = f"{shape} {image.dtype} for {name}"
            raise ValueError(f"the net's images must be (C, H, W) float32, got {got}; give {EXAMPLE}")
        if shape != images[0].shape:
            raise ValueError(
                f"the net's images must have one size, got {images[0].shape} for {names[0]} and {shape} for "
                f"{name}; resize or crop them in transform=..."
            )
    if picture_transform is not None:
        return {"images": images, "pictures": [_apply(picture_transform, raw) for raw in raws]}
    pictures = [_in_colour(as_numpy(raw)) for raw in raws]
    fit = all(p.dtype == np.uint8 and p.shape == (*images[0].shape[1:], 3) for p in pictures)
    return {"images": images, "pictures": pictures if fit else None}


def on_arrays(transform: Callable | None, item: Any, size: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """The function that takes NumPy arrays in place of the item's image to the net's input."""

    def run(array: np.ndarray) -> np.ndarray:
        if size is not None:
            array = centre_crop(array, size)
        elif hasattr(item[0], "asnumpy"):  # MXNet's, which the transform may rely on
            module = sys.modules["mxnet"]
            space = module.np if isinstance(item[0], module.np.ndarray) else module.nd
            return as_numpy(_apply(transform, space.array(array, dtype=array.dtype), item))
        return as_numpy(_apply(transform, array, item))

    return run


def _apply(transform: Callable | None, image: Any, item: Any = ()) -> Any:
    # A Gluon block takes MXNet arrays only. Whoever made one has imported mxnet: this module need not.
    mxnet = sys.modules.get("mxnet")
    if transform is None:
        return image
    wants_label = _takes_two(transform)
    if (
        mxnet is not None
        and isinstance(image, np.ndarray)
        and (wants_label or isinstance(transform, mxnet.gluon.Block))
    ):
        image = mxnet.nd.array(image, dtype=image.dtype)
    if wants_label:  # GluonCV's presets for detection take the boxes as well, and return both
        boxes = as_numpy(item[1]) if len(item) > 1 else np.zeros(0)
        boxes = boxes if boxes.ndim == 2 and boxes.shape[1] >= 4 else np.zeros((1, 6))
        return transform(image, boxes.copy())[0]
    return transform(image)


def _takes_two(transform: Callable) -> bool:
    """Whether a transform must be given the label beside the image."""
    try:
        parameters = inspect.signature(transform).parameters.values()
    except (TypeError, ValueError):
        return False  # a function in C
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in plain and p.default is p.empty for p in parameters) == 2


def _in_colour(picture: np.ndarray) -> np.ndarray:
    picture = picture[..., None] if picture.ndim == 2 else picture
    return np.repeat(picture, 3, axis=2) if picture.shape[2:] == (1,) else picture
