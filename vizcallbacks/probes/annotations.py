"""Regions of pictures from annotation files: which picture has which regions, and their masks."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .annotation_files import Annotation, read_file
from .geometry import DRAW

ENDINGS = (".xml", ".json")


@dataclass(frozen=True)
class Annotations:
    """Annotations of many pictures, from one file or several; a source of masks for `ProbeSet.from_folder`.

    Parameters
    ----------
    entries : tuple of Annotation
    only : set of str, optional
        Labels of the regions that count; default: all.
    """

    entries: tuple[Annotation, ...]
    only: frozenset[str] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that occur, sorted."""
        return tuple(sorted({region.label for entry in self.entries for region in entry.regions}))

    def of(self, *labels: str) -> Annotations:
        """The same annotations, but only regions with these labels count.

        Raises
        ------
        ValueError
            No region has one of the labels.
        """
        unknown = sorted(set(labels) - set(self.labels))
        if unknown or not labels:
            raise ValueError(
                f"labels must be among {', '.join(self.labels)}, got {', '.join(unknown) or 'none'}"
            )
        return replace(self, only=frozenset(labels))

    def mask(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """All pixels of a picture that lie in one of its regions.

        Parameters
        ----------
        name : str
            The picture's path, as much of it as is needed to tell it from others: "quokka.jpg", "cat/001.png".
        shape : (h, w)
            The picture's, as annotated.

        Returns
        -------
        ndarray, (h, w), bool
            All False if the picture's annotation has no region that counts.

        Raises
        ------
        ValueError
            The picture has no annotation, or several; its size differs from the annotated one; a region cannot be
            drawn.
        """
        entry = self._entry(name)
        if entry.size is not None and entry.size != tuple(shape):
            raise ValueError(
                f"{name!r} must be {entry.size[1]} x {entry.size[0]} pixels, as {entry.source!r} says, got "
                f"{shape[1]} x {shape[0]}: it was resized or turned since; annotate it as it is"
            )
        mask = np.zeros(shape, bool)
        for region in entry.regions:
            if self.only is None or region.label in self.only:
                try:
                    mask |= DRAW[region.kind](shape, region.numbers)
                except ValueError as error:
                    raise ValueError(
                        f"{entry.source!r}, region {region.label!r} of {name!r}: {error}"
                    ) from error
        return mask

    def _entry(self, name: str) -> Annotation:
        *folders, file = _parts(name)
        found = self._by_stem.get(_stem(file), [])
        if len(found) > 1 and folders:  # of one name in several folders: by the folder's name
            found = [entry for entry in found if any(_parts(n)[-2:-1] == (folders[-1],) for n in entry.names)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise ValueError(
                f"{name!r} has no annotation among those of {len(self.entries)} pictures; annotate it (an "
                "annotation without objects will do), or leave the picture out"
            )
        sources = ", ".join(sorted({repr(entry.source) for entry in found})[:5])
        raise ValueError(
            f"{name!r} must have one annotation, got {len(found)}, in {sources}; leave one of them in"
        )

    @functools.cached_property
    def _by_stem(self) -> dict[str, list[Annotation]]:
        index: dict[str, list[Annotation]] = {}
        for entry in self.entries:
            for stem in {_stem(name) for name in entry.names}:
                index.setdefault(stem, []).append(entry)
        return index


def read_annotations(paths: Any) -> Annotations:
    """Read annotation files.

    Parameters
    ----------
    paths : path, or list of paths
        Files, and folders. Of a folder, all files that end in .xml or .json are read, also in folders below it.
        Pascal VOC: the box of each object, from the upper left corner of pixel (xmin - 1, ymin - 1), as VOC
        counts from 1, to the lower right one of (xmax - 1, ymax - 1). COCO: polygons and run lengths (a crowd's);
        a box where there is neither. LabelMe: polygons, rectangles, circles; points and lines have no area and are
        left out.

    Returns
    -------
    Annotations

    Raises
    ------
    OSError
        A file is not there or may not be read.
    ValueError
        A file is of none of these kinds, damaged or too large; a folder holds no such file.
    """
    places = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    entries: list[Annotation] = []
    for place in (os.fspath(p) for p in places):
        files = list(_files(place)) if os.path.isdir(place) else [place]
        if not files:
            raise ValueError(f"{place!r} must hold annotations, got no file ending in {' or '.join(ENDINGS)}")
        for path in files:
            entries.extend(read_file(path))
    return Annotations(tuple(entries))


def _files(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield os.path.join(folder, name)


def _parts(path: str) -> tuple[str, ...]:
    """The folders and the file of a path, of any system."""
    return tuple(path.replace("\\", "/").split("/"))


def _stem(path: str) -> str:
    return os.path.splitext(_parts(path)[-1])[0]
