"""Reading ProbeSet's arguments from Gluon datasets and from folders of class folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import numpy as np

from ..checks import as_numpy, check_whole
from .following import size_of
from .masks import Chosen, masks_of, regions_of
from .photographs import IMAGE_ENDINGS, read_photograph
from .preparing import EXAMPLE, centre_crop, on_arrays, pixels_of, refuse_chance, scaled, transformed


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
    return {**_arguments(probes, transform or scaled, None, size, masks), "class_names": class_names}


def _arguments(
    probes: list[tuple],
    transform: Callable | None,
    picture_transform: Callable | None,
    size: int | None,
    masks: Any,
) -> dict[str, Any]:
    """ProbeSet's arguments of (name, label, index, item, file) of each image."""
    names, labels, _, items, _ = zip(*probes)
    raws = [item[0] if size is None else centre_crop(pixels_of(item[0], size), size) for item in items]
    arguments = transformed(raws, items, list(names), transform, picture_transform)
    arguments.update(labels=list(labels), names=list(names))
    if masks is not None:
        refuse_chance(transform)
        chosen = [
            Chosen(
                index=index,
                item=item,
                raw=as_numpy(item[0]),
                transform=on_arrays(transform, item, size),
                name=name,
                label=label,
                file=file,
            )
            for name, label, index, item, file in probes
        ]
        arguments["masks"] = masks_of(masks, chosen, arguments["images"][0].shape[1:])
    return arguments


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
