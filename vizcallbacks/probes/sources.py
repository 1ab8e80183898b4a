"""ProbeSet's arguments, read from Gluon datasets and from folders of class folders."""

from __future__ import annotations

import inspect
import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import cv2
import numpy as np

from ..checks import as_numpy, check_whole
from .following import size_of
from .masks import Chosen, masks_of, regions_of
from .photographs import IMAGE_ENDINGS, read_photograph

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


def read_dataset(
    dataset: Any,
    per_class: int,
    transform: Callable | None,
    classes: Sequence[int] | None,
    class_names: Sequence[str] | None,
    picture_transform: Callable | None,
    seed: int | None,
    size: int | None,
    masks: Any,
) -> dict[str, Any]:
    """ProbeSet's arguments out of a dataset; see `ProbeSet.from_dataset`."""
    check_whole("per_class", per_class)
    check_whole("size", size, optional=True)
    _check_indexable(dataset)
    if len(dataset) == 0:
        raise ValueError("the dataset must hold images, got an empty one")
    if classes is None and class_names is not None:
        classes = range(len(class_names))
    is_told = any(isinstance(s, str) and s == "label" for s in _each(masks))
    found: dict[int, list[tuple[int, Any]]] = {int(c): [] for c in (() if classes is None else classes)}
    incomplete = set(found)
    order = np.arange(len(dataset)) if seed is None else np.random.default_rng(seed).permutation(len(dataset))
    for index in map(int, order):
        item = dataset[index]
        label = _largest(item, index) if is_told else _label(item, index)
        if label is None:
            continue
        if class_names is not None and label >= len(class_names):
            raise ValueError(f"labels must be below {len(class_names)} (class_names), got {label} at {index}")
        if classes is not None and label not in found:
            continue
        chosen = found.setdefault(label, [])
        if len(chosen) < per_class:
            chosen.append((index, item))
        if len(chosen) == per_class:
            incomplete.discard(label)
        if classes is not None and not incomplete:
            break
    if not found:
        raise ValueError("the dataset must hold labelled objects, got none in any image")
    short = {label: len(chosen) for label, chosen in sorted(found.items()) if len(chosen) < per_class}
    if short:
        raise ValueError(
            f"each class must have per_class={per_class} images, got (class: images) {short}; "
            "give a smaller per_class, or classes=[...] without them"
        )
    probes = [
        (f"item_{index}", label, index, item, None) for label in sorted(found) for index, item in found[label]
    ]
    return {**_arguments(probes, transform, picture_transform, size, masks), "class_names": class_names}


def read_folder(
    root: str, transform: Callable | None, per_class: int | None, size: int | None, masks: Any
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
    probes: list[tuple] = []
    for label, class_name in enumerate(class_names):
        files = sorted(
            f for f in os.listdir(os.path.join(root, class_name)) if f.lower().endswith(IMAGE_ENDINGS)
        )
        if len(files) < (per_class or 0):
            raise ValueError(
                f"each class must have per_class={per_class} images, got {len(files)} in "
                f"{os.path.join(root, class_name)!r}; give a smaller per_class"
            )
        for file in files[:per_class]:
            picture = read_photograph(os.path.join(root, class_name, file))
            name = f"{class_name}/{file}"
            probes.append((name, label, name, (picture, label), name))
    if not probes:
        raise ValueError(
            f"the class folders must hold images, got none ending in {IMAGE_ENDINGS} in {root!r}"
        )
    return {**_arguments(probes, transform or _scaled, None, size, masks), "class_names": class_names}


def _arguments(
    probes: list[tuple],
    transform: Callable | None,
    picture_transform: Callable | None,
    size: int | None,
    masks: Any,
) -> dict[str, Any]:
    """ProbeSet's arguments of (name, label, index, item, file) of each image."""
    names, labels, _, items, _ = zip(*probes)
    raws = [item[0] if size is None else centre_crop(_pixels(item[0], size), size) for item in items]
    arguments = _transformed(raws, items, list(names), transform, picture_transform)
    arguments.update(labels=list(labels), names=list(names))
    if masks is not None:
        _refuse_chance(transform)
        chosen = [
            Chosen(
                index=index,
                item=item,
                raw=as_numpy(item[0]),
                transform=_on_arrays(transform, item, size),
                name=name,
                label=label,
                file=file,
            )
            for name, label, index, item, file in probes
        ]
        arguments["masks"] = masks_of(masks, chosen, arguments["images"][0].shape[1:])
    return arguments


def _refuse_chance(transform: Any) -> None:
    """ValueError for Gluon's random blocks, also inside others: a flip may come out alike twice."""
    name = type(transform).__name__
    if name.startswith("Random"):
        raise ValueError(f"masks cannot follow {name}; leave random augmentation out, as for validation")
    children = getattr(transform, "_children", None)  # of a Gluon block
    for child in children.values() if isinstance(children, Mapping) else ():
        _refuse_chance(child() if isinstance(child, weakref.ref) else child)


def _each(masks: Any) -> list[Any]:
    return list(masks.values()) if isinstance(masks, Mapping) else [masks]


def _check_indexable(dataset: Any) -> None:
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        way = (
            "give the dataset that the loader was made of, without its augmentation"
            if "Loader" in type(dataset).__name__
            else "give a gluon.data.Dataset, or a list of (image, label)"
        )
        raise TypeError(f"dataset must have len() and [i], got a {type(dataset).__name__}; {way}")


def _label(item: Any, index: int) -> int:
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        raise ValueError(
            f"items of the dataset must be (image, label), got a {type(item).__name__} at {index}; "
            "put both together, e.g. gluon.data.ArrayDataset(images, labels)"
        )
    label = as_numpy(item[1])
    if label.size != 1 or label.dtype.kind not in "iuf" or label != np.floor(label):
        got = f"{item[1]!r}" if label.size < 8 else f"shape {label.shape}"
        way = "; for boxes or class maps, give masks='label'" if label.ndim == 2 else ""
        raise ValueError(f"labels of the dataset must be whole numbers, got {got} at {index}{way}")
    return int(label)


def _largest(item: Any, index: int) -> int | None:
    """The class that covers most of an image, by its boxes or class map; None if there is no object."""
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        _label(item, index)  # raises
    if item[1] is None:  # of GluonCV's COCOInstance: no object
        return None
    regions = regions_of(item, size_of(as_numpy(item[0])), f"item_{index}")
    return max(sorted(regions), key=lambda c: int(regions[c].sum())) if regions else None


def _transformed(
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


def _on_arrays(transform: Callable | None, item: Any, size: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """The way of the item's image to the net, for NumPy arrays that stand in for it."""

    def run(array: np.ndarray) -> np.ndarray:
        if size is not None:
            array = centre_crop(array, size)
        elif hasattr(item[0], "asnumpy"):  # MXNet's, which the transform may rely on
            module = sys.modules["mxnet"]
            space = module.np if isinstance(item[0], module.np.ndarray) else module.nd
            return as_numpy(_apply(transform, space.array(array, dtype=array.dtype), item))
        return as_numpy(_apply(transform, array, item))

    return run


def _pixels(image: Any, size: int) -> np.ndarray:
    image = as_numpy(image)
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            f"size={size} needs images (H, W, 1 or 3) to resize and crop, got shape {image.shape}"
        )
    return image


def _in_colour(picture: np.ndarray) -> np.ndarray:
    picture = picture[..., None] if picture.ndim == 2 else picture
    return np.repeat(picture, 3, axis=2) if picture.shape[2:] == (1,) else picture


def _scaled(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32).transpose(2, 0, 1) / np.float32(255)
