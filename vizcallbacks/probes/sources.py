"""ProbeSet's arguments: read from Gluon datasets and folders of class folders, and checked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable

import cv2
import numpy as np

from ..checks import as_numpy, check_whole
from .photographs import IMAGE_ENDINGS, read_photograph

EXAMPLE = "transform=..., e.g. lambda image: image.astype('float32').transpose((2, 0, 1)) / 255"


def stacked(what: str, arrays: Any) -> np.ndarray:
    """The NumPy array of an array, or of a list of arrays of one shape (ValueError if of several)."""
    if not isinstance(arrays, (list, tuple)):
        return as_numpy(arrays)
    listed = [as_numpy(array) for array in arrays]
    shapes = sorted({array.shape for array in listed})
    if len(shapes) > 1:
        raise ValueError(f"{what} must all have one shape, got {shapes}; resize or crop them")
    return np.stack(listed) if listed else np.zeros(0)


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


def read_dataset(
    dataset: Any,
    per_class: int,
    transform: Callable | None,
    classes: Sequence[int] | None,
    class_names: Sequence[str] | None,
    picture_transform: Callable | None,
    seed: int | None,
) -> dict[str, Any]:
    """ProbeSet's arguments out of a dataset; see `ProbeSet.from_dataset`."""
    check_whole("per_class", per_class)
    if len(dataset) == 0:
        raise ValueError("the dataset must hold images, got an empty one")
    if classes is None and class_names is not None:
        classes = range(len(class_names))
    found: dict[int, list[tuple[int, Any]]] = {int(c): [] for c in (() if classes is None else classes)}
    incomplete = set(found)
    order = np.arange(len(dataset)) if seed is None else np.random.default_rng(seed).permutation(len(dataset))
    for index in map(int, order):
        image, label = _item(dataset, index)
        if class_names is not None and label >= len(class_names):
            raise ValueError(f"labels must be below {len(class_names)} (class_names), got {label} at {index}")
        if classes is not None and label not in found:
            continue
        chosen = found.setdefault(label, [])
        if len(chosen) < per_class:
            chosen.append((index, image))
        if len(chosen) == per_class:
            incomplete.discard(label)
        if classes is not None and not incomplete:
            break
    short = {label: len(chosen) for label, chosen in sorted(found.items()) if len(chosen) < per_class}
    if short:
        raise ValueError(
            f"each class must have per_class={per_class} images, got (class: images) {short}; "
            "give a smaller per_class, or classes=[...] without them"
        )
    probes = [(label, index, image) for label in sorted(found) for index, image in found[label]]
    labels, names = [label for label, _, _ in probes], [f"item_{index}" for _, index, _ in probes]
    arguments = _transformed([image for _, _, image in probes], names, transform, picture_transform)
    return {**arguments, "labels": labels, "names": names, "class_names": class_names}


def read_folder(
    root: str, transform: Callable | None, per_class: int | None, size: int | None
) -> dict[str, Any]:
    """ProbeSet's arguments out of root/<class>/<image>; see `ProbeSet.from_folder`."""
    if transform is None and size is None:
        raise ValueError(f"from_folder needs size=..., e.g. 224, or a transform; got neither; {EXAMPLE}")
    for name, value in (("per_class", per_class), ("size", size)):
        check_whole(name, value, optional=True)
    if not os.path.isdir(root):
        raise ValueError(
            f"root must be a folder of class folders, got {root!r}, which is none; check the path"
        )
    class_names = sorted(name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name)))
    if not class_names:
        raise ValueError(
            f"root must hold class folders, got {root!r} without any; put images in {root}/<class>/"
        )
    labels: list[int] = []
    names: list[str] = []
    for label, class_name in enumerate(class_names):
        files = sorted(
            f for f in os.listdir(os.path.join(root, class_name)) if f.lower().endswith(IMAGE_ENDINGS)
        )
        if len(files) < (per_class or 0):
            raise ValueError(
                f"each class must have per_class={per_class} images, got {len(files)} in "
                f"{os.path.join(root, class_name)!r}; give a smaller per_class"
            )
        names += [f"{class_name}/{file}" for file in files[:per_class]]
        labels += [label] * (len(names) - len(labels))
    if not names:
        raise ValueError(
            f"the class folders must hold images, got none ending in {IMAGE_ENDINGS} in {root!r}"
        )
    pictures = [read_photograph(os.path.join(root, *name.split("/"))) for name in names]
    if size is not None:
        pictures = [centre_crop(picture, size) for picture in pictures]
    arguments = _transformed(pictures, names, transform or _scaled, None)
    return {**arguments, "labels": labels, "names": names, "class_names": class_names}


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
    """Strings only, and not one string taken for a list of letters."""
    listed = [values] if isinstance(values, str) else list(values)
    if isinstance(values, str) or not all(isinstance(value, str) for value in listed):
        raise TypeError(f"{what} must be a list of str, got {listed[:10]!r}; give one str for each")
    return tuple(map(str, listed))


def check_names(names: Iterable[str], count: int) -> tuple[str, ...]:
    """One string per image, each another."""
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


def _item(dataset: Any, index: int) -> tuple[Any, int]:
    item = dataset[index]
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        raise ValueError(
            f"items of the dataset must be (image, label), got a {type(item).__name__} at {index}; "
            "put both together, e.g. gluon.data.ArrayDataset(images, labels)"
        )
    label = as_numpy(item[1])
    if label.size != 1 or label.dtype.kind not in "iuf" or label != np.floor(label):
        raise ValueError(f"labels of the dataset must be whole numbers, got {item[1]!r} at {index}")
    return item[0], int(label)


def _transformed(
    raws: list, names: list[str], transform: Callable | None, picture_transform: Callable | None
) -> dict[str, Any]:
    """`images` and `pictures` (None if they must be made from the images) of untransformed images."""
    images = [as_numpy(_apply(transform, raw)) for raw in raws]
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


def _apply(transform: Callable | None, image: Any) -> Any:
    # A Gluon block takes MXNet arrays only. Whoever made one has imported mxnet: this module need not.
    mxnet = sys.modules.get("mxnet")
    if mxnet is not None and isinstance(transform, mxnet.gluon.Block) and isinstance(image, np.ndarray):
        image = mxnet.nd.array(image, dtype=image.dtype)
    return image if transform is None else transform(image)


def _in_colour(picture: np.ndarray) -> np.ndarray:
    picture = picture[..., None] if picture.ndim == 2 else picture
    return np.repeat(picture, 3, axis=2) if picture.shape[2:] == (1,) else picture


def _scaled(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32).transpose(2, 0, 1) / np.float32(255)
