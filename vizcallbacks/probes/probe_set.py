"""The probe set: the fixed images on which a network is watched, with their labels, names, pictures and masks."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Callable

import numpy as np

from .. import archive
from ..checks import names_arguments
from .checks import (
    check_images,
    check_labels,
    check_masks,
    check_names,
    check_pictures,
    check_strings,
)
from .describing import describe
from .preparing import as_pictures
from .sources import read_dataset, read_folder

SCHEMA = 1


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ProbeSet:
    """Fixed images, their labels, display pictures, names, masks. Frozen; the arrays are read-only copies.

    MXNet arrays are taken wherever arrays are. `len(probe)` is N; `probe[i]`, `probe[2:5]`, `probe[[4, 0]]`
    are probe sets of those images.

    Parameters
    ----------
    images : (N, C, H, W), float32, finite
        As the net takes them, or a list of N of (C, H, W).
    labels : (N,), whole numbers >= 0, optional
        Classes; kept as int64. Whole floats are taken, since MXNet's labels usually are float32.
    pictures : (N, H', W', 3), uint8 RGB, optional
        For display, showing what `images` show, in any size. Default: `images`, stretched from the minimum to
        the maximum of the whole set. One channel is drawn grey, three as RGB; other numbers are averaged to grey.
    names : N different str, optional
        Default: image_000, image_001, ...
    class_names : sequence of str, optional
        Names of class 0, 1, ...
    masks : mapping of str to (N, H, W), bool, optional
        Named regions of the images: where the object is, where the net must not look.

    Raises
    ------
    ValueError, TypeError
        A shape, range or dtype differs from the above; only labels are converted silently.
    """

    images: np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    masks: Mapping[str, np.ndarray]

    @names_arguments
    def __init__(
        self,
        images: Any,
        labels: Any = None,
        *,
        pictures: Any = None,
        names: Iterable[str] | None = None,
        class_names: Iterable[str] | None = None,
        masks: Mapping[str, Any] | None = None,
    ):
        images = check_images(images)
        count = len(images)
        known = check_strings("class_names", () if class_names is None else class_names)
        names = [f"image_{i:03d}" for i in range(count)] if names is None else names
        regions = check_masks(masks or {}, images.shape)
        fields = {
            "images": _frozen(images),
            "labels": None if labels is None else _frozen(check_labels(labels, count, known)),
            "names": check_names(names, count),
            "class_names": known,
            "masks": MappingProxyType({name: _frozen(mask) for name, mask in regions.items()}),
        }
        if pictures is not None:
            fields["pictures"] = _frozen(check_pictures(pictures, count))
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @functools.cached_property
    def pictures(self) -> np.ndarray:
        """Display pictures, (N, H', W', 3), uint8 RGB: those given, or made of `images` when first asked for."""
        return _frozen(as_pictures(self.images))

    @classmethod
    @names_arguments
    def from_dataset(
        cls,
        dataset: Any,
        per_class: int = 2,
        transform: Callable | None = None,
        *,
        classes: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
        picture_transform: Callable | None = None,
        seed: int | None = None,
        size: int | None = None,
        masks: Any = None,
    ) -> ProbeSet:
        """The first `per_class` images of each class of a Gluon dataset, sorted by class; always the same.

        Items are read, each once, until every class is complete. If neither `classes` nor `class_names` tells
        which classes there are, all items are read: for a large dataset, pass one of them.

        Parameters
        ----------
        dataset : sequence of (image, label)
            It has `len` and `[]`; images are MXNet or NumPy arrays. Pass one without random augmentation. A
            DataLoader does not fit.
        transform : callable, optional
            Item image -> what the net takes, (C, H, W) float32: the transform of validation. It may be a
            Gluon block (`gluon.data.vision.transforms`), or take (image, label) and return both, as GluonCV's
            presets for detection do. Default: the item's image is that already.
        classes : ints, optional
            Only these; default: those of `class_names`, or all there are.
        picture_transform : callable, optional
            Item image -> display picture, (H', W', 3) uint8, with the geometry of `transform`. Default: the
            item's image itself if it is (H, W, 1 or 3) uint8 of the height and width that the net takes.
            Otherwise pictures are made from `images`, as maps do not fit an image that `transform` resized or
            cropped.
        seed : int, optional
            Go through the dataset in an order shuffled by this seed; no global random state is used.
        size : int, optional
            Resize the short side of the item's image, (H, W, 1 or 3), to it and crop the centre, before
            `transform`; the result is the display picture.
        masks : source, or mapping of name to source, optional
            Regions of the images; a single source is named "object". A source is an array (or list) of (h, w)
            bool, one for each item of the dataset; a function of (index, item) that gives one; or "label": the
            items' labels are boxes or class maps, as those of GluonCV's datasets for detection and segmentation.
            The class that covers most of an image is then its label, and the region of this class the mask;
            images without an object are left out. See `masks.regions_of` for the arrays.
            Masks of the size of the item's image go through `transform`, as the image does; masks of the net's
            input size are taken as they are.

        Returns
        -------
        ProbeSet
            Named item_<index in the dataset>.

        Raises
        ------
        ValueError
            The dataset is empty, a class has fewer images than asked for, the transformed images are not
            (C, H, W) float32 of one size; a mask has another size than both, or the transform cannot be followed
            (see `following.follow`).
        TypeError
            The dataset has no `len` or `[]`, a mask is not bool.
        """
        return cls(
            **read_dataset(
                dataset, per_class, transform, classes, class_names, picture_transform, seed, size, masks
            )
        )

    @classmethod
    @names_arguments
    def from_folder(
        cls,
        root: Any,
        transform: Callable | None = None,
        *,
        per_class: int | None = None,
        size: int | None = None,
        masks: Any = None,
    ) -> ProbeSet:
        """The images of root/<class>/<image>, classes and files in alphabetical order.

        As with Gluon's `ImageFolderDataset`, class 0 is the first of the sorted folders and so on.

        Parameters
        ----------
        root : str or os.PathLike
            Files with an ending of `vizcallbacks.probes.photographs.IMAGE_ENDINGS`, such as .jpg or .png, read as
            `read_photograph` does; others are ignored.
        transform : callable, optional
            (H, W, 3) uint8 RGB -> what the net takes, (C, H, W) float32. A Gluon block gets an MXNet array,
            anything else a NumPy array. Default: divided by 255 and transposed; this needs `size`.
        per_class : int, optional
            Take only this many of each class, the first ones; default: all.
        size : int, optional
            Resize the short side to it and crop the centre, before `transform`; the result is the display
            picture. Without it, see `picture_transform` of `from_dataset`.
        masks : source, or mapping of name to source, optional
            As for `from_dataset`: an array or list of the images' masks in their order; a function of
            ("<class>/<file>", (picture, label)). Beside these, a folder of mask files, <class>/<name>.png for
            <class>/<name>.jpg (see `masks.read_mask`); annotation files, or a folder with some: Pascal VOC,
            COCO, LabelMe (see `annotations.read_annotations`, whose result serves as well, so that
            `{"object": a.of("cat"), "tag": a.of("tag")}` tells regions apart by their labels).

        Returns
        -------
        ProbeSet
            Named <class>/<file>, with the folders' names as class names.

        Raises
        ------
        ValueError
            `root` is no folder or holds no class folders; a class has fewer images than asked for; a file
            cannot be read as an image; the transformed images are not (C, H, W) float32 of one size; an image
            has no mask or one of another size, or the transform cannot be followed.
        """
        return cls(**read_folder(os.fspath(root), transform, per_class, size, masks))

    @classmethod
    def load(cls, path: Any) -> ProbeSet:
        """The probe set that `save` wrote; ValueError if the file is foreign, damaged, of another version."""
        arrays, facts = archive.read(path, "probe set", SCHEMA)
        try:
            probe = cls(
                arrays["images"],
                arrays.get("labels"),
                pictures=arrays["pictures"],
                names=facts["names"],
                class_names=facts["class_names"],
                masks={name: arrays[f"mask_{i}"] for i, name in enumerate(facts["masks"])},
            )
            digest = facts["digest"]
        except (KeyError, TypeError, ValueError) as error:
            message = f"{os.fspath(path)!r} holds no probe set ({type(error).__name__}: {error})"
            raise ValueError(f"{message}; save it again") from error
        if probe.digest != digest:
            raise ValueError(f"the probe set in {os.fspath(path)!r} does not match its digest; save it again")
        return probe

    def save(self, path: Any) -> None:
        """Write the probe set to a .npz file, whole or not at all (OSError)."""
        arrays = {"images": self.images, "pictures": self.pictures}
        arrays.update({} if self.labels is None else {"labels": self.labels})
        arrays.update({f"mask_{i}": mask for i, mask in enumerate(self.masks.values())})
        facts = {
            "names": self.names,
            "class_names": self.class_names,
            "masks": list(self.masks),
            "digest": self.digest,
        }
        archive.write(path, "probe set", SCHEMA, arrays, facts)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what comparisons depend on: images, labels, masks; not of pictures and names."""
        labels = {} if self.labels is None else {"labels": self.labels}
        masks = {f"mask {name}": self.masks[name] for name in sorted(self.masks)}
        digest = hashlib.sha256()
        for name, array in {"images": self.images, **labels, **masks}.items():
            array = array.astype(array.dtype.newbyteorder("<"))
            digest.update(json.dumps([name, array.dtype.str, array.shape]).encode() + b"\n")
            digest.update(array.tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """What the set holds, and what it cannot tell: several lines of text."""
        return describe(self)

    def label_name(self, i: int) -> str:
        """The class name of image `i`'s label; the image's own name if there are no labels."""
        return self.names[i] if self.labels is None else self.class_name(self.labels[i])

    def class_name(self, c: int) -> str:
        """The name of class `c`; "class 3" if it has none."""
        return self.class_names[c] if 0 <= c < len(self.class_names) else f"class {c}"

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ProbeSet]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> ProbeSet:
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return ProbeSet(
            self.images[chosen],
            None if self.labels is None else self.labels[chosen],
            pictures=self.pictures[chosen],
            names=[self.names[i] for i in chosen],
            class_names=self.class_names,
            masks={name: mask[chosen] for name, mask in self.masks.items()},
        )

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.images.shape[1:]))
        labels = "no labels" if self.labels is None else f"{len(np.unique(self.labels))} classes"
        return f"ProbeSet({len(self)} images of {shape}, {labels}, masks: {', '.join(self.masks) or 'none'})"


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.array(array, order="C")
    array.flags.writeable = False
    return array
