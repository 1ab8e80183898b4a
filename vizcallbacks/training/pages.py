"""What an `Album` keeps of earlier snapshots: little of each, and of evenly spaced ones, however long the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from ..pictures.grid import Header

KEPT = 24  # snapshots in memory, for sheets of at most 9: evenly spaced ones, whatever their number


@dataclass(frozen=True)
class Page:
    """What is kept of a snapshot for later sheets; only of the images shown."""

    number: int
    when: str
    headers: list[Header]
    maps: np.ndarray


class Pages:
    """The pages number 0, s, 2 s, ... and the newest; s doubles when they become many.

    Attributes
    ----------
    count : int
        How many pages were added.
    """

    def __init__(self) -> None:
        self._kept: list[Page] = []
        self._stride = 1
        self.count = 0

    def kept(self) -> list[Page]:
        """A new list of those that are kept, in order."""
        return list(self._kept)

    def add(self, when: str, headers: list[Header], maps: np.ndarray) -> None:
        """Keep a page, its maps made small by `small_map`."""
        page = Page(self.count, when, headers, maps)
        if self._kept and self._kept[-1].number % self._stride:
            self._kept.pop()
        self._kept.append(page)
        self.count += 1
        if len(self._kept) > KEPT:
            self._stride *= 2
            self._kept = [p for p in self._kept if p.number % self._stride == 0 or p is page]


def small_map(map_: np.ndarray) -> np.ndarray:
    """A map as sheets need it: (h, w), at most 56 cells a side, magnitude if it has channels."""
    map_ = np.abs(map_).max(axis=0) if map_.ndim == 3 else map_
    height, width = map_.shape
    ratio = min(1.0, 56 / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.array(map_ if ratio == 1 else cv2.resize(map_, size, interpolation=cv2.INTER_AREA))


def maxima(maps: Iterable[np.ndarray]) -> np.ndarray:
    """The largest value of each map; 0 where it has undefined cells."""
    return np.array([map_.max() if np.isfinite(map_).all() else 0.0 for map_ in maps])
