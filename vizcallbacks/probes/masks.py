"""Masks of a probe set's images, from arrays, a function, mask files, annotations or labels.

A source gives the mask of an image as it is before the transform; `masks_of` takes it to the net's input size
through the transform of the image itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
from PIL import Image

from ..checks import as_numpy
from .annotations import ENDINGS, Annotations, read_annotations
from .following import follow, size_of
from .geometry import DRAW
from .photographs import _DAMAGE, IMAGE_ENDINGS, _strict

MASK_FORMATS = ("PNG", "TIFF", "BMP", "GIF", "PPM", "WEBP", "JPEG")
VOID = 255  # in files of class numbers: pixels that belong to no class, as VOC marks outlines


@dataclass(frozen=True)
class Chosen:
    """An image of the future probe set: `index` and `item` for the user's function, `file` for mask files.

    `raw` is the image before the transform and `transform` takes such arrays to (C, H, W) float32; both NumPy.
    `label` is its class.
    """

    index: Any
    item: Any
    raw: np.ndarray
    transform: Callable[[np.ndarray], np.ndarray]
    name: str
    label: int
    file: str | None = None


def masks_of(masks: Any, chosen: Sequence[Chosen], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """All masks at the net's input size.

    Parameters
    ----------
    masks : mapping of str to source, or one source, which is called "object"
        See `ProbeSet.from_dataset` and `from_folder` for sources.
    chosen : sequence of Chosen
    size : (H, W)
        The net's input size.

    Returns
    -------
    dict of str to (N, H, W) bool

    Raises
    ------
    ValueError, TypeError
        A source is of no known kind; it gives no mask for an image, or one that has another size or is not bool;
        the transform cannot be followed (see `following.follow`).
    """
    sources = masks if isinstance(masks, Mapping) else {"object": masks}
    readers = {name: _reader(source, name, chosen) for name, source in sources.items()}
    found: dict[str, list[np.ndarray]] = {name: [] for name in sources}
    for image in chosen:
        raw = {name: _checked(read(image), image, size, name) for name, read in readers.items()}
        own = size_of(image.raw)
        moving = {name: mask for name, mask in raw.items() if mask.shape == own}
        moved = follow(image.transform, image.raw, list(moving.values()), image.name) if moving else []
        raw.update(zip(moving, moved))
        for name, mask in raw.items():
            found[name].append(mask)
    return {name: np.stack(listed) for name, listed in found.items()}


def _checked(mask: Any, image: Chosen, size: tuple[int, int], name: str) -> np.ndarray:
    mask = as_numpy(mask)
    if mask.dtype != bool:
        raise TypeError(
            f"masks {name!r} must be bool, got {mask.dtype} for {image.name}; say where it is, e.g. mask > 0.5"
        )
    if mask.shape not in (size_of(image.raw), size):
        (h, w), (net_h, net_w) = size_of(image.raw), size
        raise ValueError(
            f"masks {name!r} must be ({h}, {w}), as the image before its transform, or ({net_h}, {net_w}), as the "
            f"net takes it, got {mask.shape} for {image.name}"
        )
    return mask


def _reader(source: Any, name: str, chosen: Sequence[Chosen]) -> Callable[[Chosen], Any]:
    """The function that gives the source's mask of an image."""
    if callable(source):
        return lambda image: source(image.index, image.item)
    if isinstance(source, Annotations):
        return lambda image: source.mask(_file_of(image), size_of(image.raw))
    if isinstance(source, str) and source == "label" and chosen[0].file is None:
        return lambda image: regions_of(image.item, size_of(image.raw), image.name)[image.label]
    if isinstance(source, (list, tuple)) and all(isinstance(path, (str, os.PathLike)) for path in source):
        return _reader(read_annotations(source), name, chosen)
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if path.lower().endswith(ENDINGS) or _holds_annotations(path):
            return _reader(read_annotations(path), name, chosen)
        return lambda image: read_mask(_mask_file(path, _file_of(image)), size_of(image.raw))
    if not hasattr(source, "__getitem__"):
        raise TypeError(
            f"masks {name!r} must be an array of masks, a function of (index, item), a folder, annotation files "
            f"or annotations, got {type(source).__name__}"
        )
    if isinstance(chosen[0].index, int) and len(source) <= max(image.index for image in chosen):
        raise ValueError(f"masks {name!r} must be one for each item of the dataset, got {len(source)}")
    if not isinstance(chosen[0].index, int) and len(source) != len(chosen):
        raise ValueError(f"masks {name!r} must be one for each of {len(chosen)} images, got {len(source)}")
    positions = {image.name: i for i, image in enumerate(chosen)}
    return lambda image: source[image.index if isinstance(image.index, int) else positions[image.name]]


def _file_of(image: Chosen) -> str:
    if image.file is None:
        raise ValueError(
            "masks from files need the images' names, which a dataset does not tell; use ProbeSet.from_folder, or "
            "give a function of (index, item) that reads the file of this index"
        )
    return image.file


# Mask files


def _holds_annotations(path: str) -> bool:
    if not os.path.isdir(path):
        raise ValueError(
            f"masks must be a folder of mask files or of annotations, or an annotation file ending in "
            f"{' or '.join(ENDINGS)}, got {path!r}, which is none; check the path"
        )
    return any(name.lower().endswith(ENDINGS) for _, _, names in os.walk(path) for name in names)


def _mask_file(root: str, file: str) -> str:
    """The mask of root/<class>/<stem>.<any ending> for the image <class>/<stem>.jpg."""
    folder, name = os.path.split(os.path.join(root, *file.split("/")))
    stem = os.path.splitext(name)[0]
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = [n for n in sorted(names) if os.path.splitext(n)[0] == stem and n.lower().endswith(IMAGE_ENDINGS)]
    if len(found) != 1:
        raise ValueError(
            f"{file!r} must have one mask, {os.path.join(folder, stem)}.png or of another ending, got "
            f"{', '.join(found) or 'none'}"
        )
    return os.path.join(folder, found[0])


def read_mask(path: str, shape: tuple[int, int]) -> np.ndarray:
    """The mask in an image file.

    The inside of the mask depends on the file: opaque pixels if it has transparency (a cut-out); class numbers 1
    to 254 if it has a palette (as VOC's); 1 if it holds 0 and 1 only; otherwise pixels lighter than mid grey.

    Parameters
    ----------
    path : str
        PNG or another format of `MASK_FORMATS`.
    shape : (h, w)
        That it must have.

    Returns
    -------
    ndarray, (h, w), bool

    Raises
    ------
    ValueError
        It is no such file, is damaged or has another size; all of it is dark, but not only 0 and 1: such a file
        holds class numbers without a palette, and it is unknown which of them are meant.
    """
    try:
        with _strict(), Image.open(path, formats=MASK_FORMATS) as image:
            size = image.size[::-1]  # known before its pixels are read
            if size == tuple(shape):
                values, kind = _values(image)
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise ValueError(f"{path!r} must be a mask, but cannot be read as an image ({error})") from error
    if size != tuple(shape):
        raise ValueError(
            f"{path!r} must have its image's {shape[1]} x {shape[0]} pixels, got {size[1]} x {size[0]}"
        )
    if kind == "numbers":
        return (values > 0) & (values != VOID)
    if kind == "grey" and 1 < values.max() < 128:
        raise ValueError(
            f"{path!r} must be black outside and white inside, got values up to {values.max()}: if they are class "
            "numbers, give a function, e.g. lambda index, item: numbers == 3"
        )
    return values >= 128 if values.max() > 1 else values == 1


def _values(image: Image.Image) -> tuple[np.ndarray, str]:
    """What an open file's pixels tell, (h, w) uint8, and what that is: "numbers", "opacity" or "grey"."""
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA").getchannel("A")), "opacity"
    if image.mode == "P":
        return np.asarray(image), "numbers"
    return np.asarray(image.convert("L")), "grey"


# Labels of GluonCV's datasets


def regions_of(item: Sequence, shape: tuple[int, int], name: str) -> dict[int, np.ndarray]:
    """The regions that the label of a dataset's item tells, by class.

    Parameters
    ----------
    item : (image, boxes), (image, class map) or (image, boxes, polygons)
        As GluonCV's datasets give them. Boxes: (M, 5 or more), left, top, right, bottom, class; the first and the
        last pixels that belong to the box. Class map: (h, w) whole numbers; 0 and less is background. Polygons:
        for each box a list of (corners, 2), which take its place.
    shape : (h, w)
        The image's.

    Returns
    -------
    dict of int to (h, w) bool
        Classes without a pixel are left out.
    """
    label = as_numpy(item[1])
    if label.shape == shape:
        return {int(c): label == c for c in np.unique(label) if c > 0}
    if label.size and (label.ndim != 2 or label.shape[1] < 5):
        raise ValueError(
            f"labels must be boxes (M, 5 or more: left, top, right, bottom, class) or a class map of the image's "
            f"size {shape}, got shape {label.shape} for {name}; give masks as a function of (index, item)"
        )
    outlines = item[2] if len(item) > 2 and isinstance(item[2], list) else [None] * len(label)
    found: dict[int, np.ndarray] = {}
    for row, outline in zip(label, outlines):
        c = int(row[4])
        if c >= 0:  # GluonCV pads with -1
            mask = found.setdefault(c, np.zeros(shape, bool))
            if outline is None:
                mask |= DRAW["box"](shape, (row[0], row[1], row[2] + 1, row[3] + 1))
            for corners in outline or ():
                mask |= DRAW["polygon"](shape, as_numpy(corners).ravel().tolist())
    return {c: mask for c, mask in found.items() if mask.any()}
