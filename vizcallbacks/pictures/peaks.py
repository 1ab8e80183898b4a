"""What the net looks at: the patches of the pictures around the maxima of their maps, by class.

No mask is needed: the rows show whether a net looks at digits or coloured tags, at horses or watermarks.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from ..attribution.methods import METHODS
from ..by_bytes import ByBytes
from ..checks import names_arguments, pick_evenly
from ..probes.probe_set import ProbeSet

SHARE = 1 / 3  # of the picture's shorter side: a patch's side
COLOURS = 4  # patches are compared as so many by so many mean colours
MEASURED = 500  # patches at most that sameness is measured on: its memory grows with their square
SHUFFLES = 50  # groupings by chance, whose median is the chance level


@dataclass(frozen=True)
class Sameness:
    """How alike the patches of a class are: a hint to look at them, not a verdict (all bananas are yellow).

    Attributes
    ----------
    value : float, >= 0
        Median distance of a patch to the nearest one of its class, divided by the median distance to the
        nearest one of another class; distances are Euclidean, between 4 x 4 mean colours in RGB. Small:
        the patches show one thing. NaN (undefined) for a class of one patch, or where there is no other class.
    chance : float, >= 0
        The median of the same quotient if patches are grouped by chance, in groups of the same sizes.
    count : int
        Patches that were measured.
    """

    value: float
    chance: float
    count: int


@dataclass(frozen=True)
class Peaks:
    """Patches around the maxima of M maps, in the order of the images. ``str(peaks)`` is a table.

    Attributes
    ----------
    patches : ndarray, (M, side, side, 3), uint8
        Of the probe set's pictures, a third of their shorter side; beyond the edge, the edge is repeated.
    numbers : ndarray, (M,), int64
        The images' numbers in the probe set.
    positions : ndarray, (M, 2), float64, in (0, 1)
        The middle of the largest cell, (down, across), as shares of the image's height and width.
    classes : ndarray, (M,), int64
        The class that the map explains; -1 where it explains a score of another kind.
    wrong : ndarray, (M,), bool
        Whether the net predicted another class than the label; False where either is unknown.
    dead : ndarray, int64
        Numbers of the images that are left out, because their maps have no peak: they are zero (or the same)
        everywhere, nowhere positive, or not finite.
    sameness : mapping of int to Sameness
        Class -> how alike its patches are.
    overall : Sameness
        Of all patches.
    names : mapping of int to str
        Class -> its name.
    method : str
        Whose maps they are, a name from `vizcallbacks.attribution.methods.METHODS`.
    """

    patches: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    classes: np.ndarray
    wrong: np.ndarray
    dead: np.ndarray
    sameness: Mapping[int, Sameness]
    overall: Sameness
    names: Mapping[int, str]
    method: str

    def __len__(self) -> int:
        return len(self.numbers)

    def __str__(self) -> str:
        lines = [
            f"{METHODS[self.method].title}: patches around {len(self)} maxima, {len(self.dead)} maps dead"
        ]
        lines += [_line(self.names[number], one) for number, one in self.sameness.items()]
        return "\n".join([*lines, _line("all", self.overall)])


@names_arguments
def peaks(found: Any, probe: ProbeSet, method: str | None = None) -> Peaks:
    """The patch of each picture around its map's maximum, by the class that the map explains.

    Parameters
    ----------
    found : Attributions or Snapshot
        Of `probe`. A stored snapshot is enough, and needs no MXNet.
    probe : ProbeSet
    method : str, optional
        Of the CAM family. None: the first of that family.

    Returns
    -------
    Peaks
        Of equal cells the first, row by row, is the maximum.

    Raises
    ------
    ValueError
        The maps are of another probe set, or there is none of the method.

    Notes
    -----
    A related method: SpRAy (Lapuschkin et al., 2019, arXiv:1902.10178) clusters the maps themselves.

    Examples
    --------
    >>> import numpy as np, vizcallbacks as vc
    >>> probe = vc.ProbeSet(np.zeros((2, 3, 12, 12), np.float32), [0, 1], class_names=["cat", "dog"])
    >>> maps = np.zeros((2, 3, 3), np.float32)
    >>> maps[0, 0, 2] = 1  # the second map stays dead
    >>> class Stored:
    ...     maps, targets, predictions, digest = {"grad_cam": maps}, np.array([0, 1]), None, probe.digest
    >>> found = vc.peaks(Stored, probe)
    >>> found.positions.round(2).tolist(), found.dead.tolist()
    ([[0.17, 0.83]], [1])
    """
    digest = found.digest if hasattr(found, "digest") else found.probe.digest
    if digest != probe.digest:
        raise ValueError("the probe set given is not the one that was explained; give that one")
    family = [name for name in found.maps if name in METHODS and METHODS[name].shape == "layer"]
    if not family or method not in (None, *family):
        raise ValueError(
            f"peaks needs maps of the CAM family, got {', '.join(found.maps) or 'none'}"
            f"{'' if method is None else f' and not {method!r}'}; explain with the method 'grad_cam'"
        )
    method = method or family[0]
    maps = np.asarray(found.maps[method], np.float64)
    flat = maps.reshape(len(maps), -1)
    with np.errstate(invalid="ignore"):
        alive = np.isfinite(flat).all(axis=1) & (flat.max(axis=1) > 0) & (np.ptp(flat, axis=1) > 0)
    numbers = np.flatnonzero(alive)
    cells = np.stack(np.unravel_index(flat[numbers].argmax(axis=1), maps.shape[1:]), axis=1)
    positions = (cells + 0.5) / maps.shape[1:]
    classes = np.full(len(maps), -1) if found.targets is None else np.asarray(found.targets)
    patches = _patches(probe.pictures[numbers], positions)
    by_class, overall = sameness(patches, classes[numbers])
    return Peaks(
        patches=patches,
        numbers=numbers,
        positions=positions,
        classes=classes[numbers],
        wrong=_wrong(found, probe)[numbers],
        dead=np.flatnonzero(~alive),
        sameness=MappingProxyType(by_class),
        overall=overall,
        names=MappingProxyType(
            {number: probe.class_name(number) if number >= 0 else "all images" for number in by_class}
        ),
        method=method,
    )


def joined(parts: Sequence[Peaks]) -> Peaks:
    """Peaks of one method on several probe sets, joined as if the sets were one, in the order given.

    Parameters
    ----------
    parts : sequence of Peaks, one at least
        Of pictures of one size; all images of a set are counted, the dead ones too.
    """
    starts = np.cumsum([0] + [len(part) + len(part.dead) for part in parts])
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("patches", "positions", "classes", "wrong")
    }
    numbers, dead = (
        np.concatenate([getattr(part, name) + start for part, start in zip(parts, starts)])
        for name in ("numbers", "dead")
    )
    by_class, overall = sameness(whole["patches"], whole["classes"])
    names = {number: name for part in parts for number, name in part.names.items()}
    return Peaks(
        **whole,
        numbers=numbers,
        dead=dead,
        sameness=MappingProxyType(by_class),
        overall=overall,
        names=MappingProxyType(names),
        method=parts[0].method,
    )


def sameness(patches: np.ndarray, classes: np.ndarray) -> tuple[dict[int, Sameness], Sameness]:
    """How alike patches are within their classes; see `Sameness`.

    Parameters
    ----------
    patches : ndarray, (M, side, side, 3), uint8
        Of more than 500, evenly spaced ones are measured.
    classes : ndarray, (M,), int

    Returns
    -------
    dict of int to Sameness
        For each class among `classes`, in their order.
    Sameness
        Of all.
    """
    all_classes = np.unique(classes)
    rows = pick_evenly(len(patches), MEASURED)
    groups = np.searchsorted(all_classes, classes[rows])
    together = _sameness(ByBytes(patches[rows]), ByBytes(groups), len(all_classes))
    return dict(zip(map(int, all_classes), together)), together[-1]


@functools.lru_cache(maxsize=64)
def _sameness(given_patches: ByBytes, given_groups: ByBytes, number: int) -> tuple[Sameness, ...]:
    """Of patches in each of so many groups, and of all.

    A run's page shows the peaks of all its snapshots, each time that it is written: the last ones are kept.
    """
    patches, groups = given_patches.take(), given_groups.take()
    counts = np.bincount(groups, minlength=number)
    size = (COLOURS, COLOURS)
    colours = [cv2.resize(patch, size, interpolation=cv2.INTER_AREA).ravel() for patch in patches]
    points = np.array(colours, np.float64).reshape(len(patches), 3 * COLOURS**2)
    squares = (points**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0))
    np.fill_diagonal(distances, np.inf)
    generator = np.random.default_rng(0)
    groupings = np.stack([groups, *(generator.permutation(groups) for _ in range(SHUFFLES))])
    found, *by_chance = _quotients(distances, groupings, counts)
    return tuple(
        Sameness(float(value), float(chance), int(count))
        for value, chance, count in zip(found, np.median(by_chance, axis=0), [*counts, len(groups)])
    )


def _quotients(distances: np.ndarray, groupings: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of each class and of all patches, (S, C + 1), for groupings, (S, M), that have the same counts, (C,)."""
    near = np.argsort(distances, axis=1)
    sorted_distances = np.take_along_axis(distances, near, axis=1)
    within, across = np.empty((2, *groupings.shape))
    for place, groups in enumerate(groupings):
        same = groups[near] == groups[:, None]
        within[place], across[place] = _first(sorted_distances, same), _first(sorted_distances, ~same)
    ours, others = (_medians(values, groupings, counts) for values in (within, across))
    defined = np.isfinite(ours) & np.isfinite(others) & (others > 0)
    return np.divide(ours, others, out=np.full(ours.shape, np.nan), where=defined)


def _first(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The first of each row's values that is chosen; infinity for none."""
    if not len(values):
        return np.empty(0)
    places = np.arange(len(values)), chosen.argmax(axis=1)
    return np.where(chosen[places], values[places], np.inf)


def _medians(values: np.ndarray, groupings: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Medians of values, (S, M), of each class and of all patches that have another of their class: (S, C + 1)."""
    ordered = np.take_along_axis(values, np.lexsort((values, groupings)), axis=1)
    starts = np.cumsum(counts) - counts
    several = counts > 1
    medians = np.full((len(values), len(counts) + 1), np.inf)
    medians[:, :-1][:, several] = _middle(ordered, starts[several], counts[several])
    whole = np.sort(np.where(several[groupings], values, np.inf), axis=1)
    if several.any():
        medians[:, -1] = _middle(whole, 0, counts[several].sum())
    return medians


def _middle(ordered: np.ndarray, starts: Any, counts: Any) -> np.ndarray:
    """Medians of sorted runs of columns."""
    return (ordered[:, starts + (counts - 1) // 2] + ordered[:, starts + counts // 2]) / 2


def _patches(pictures: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Squares of the pictures, (M, H, W, 3), around positions, (M, 2), in shares of the sides."""
    height, width = pictures.shape[1:3]
    side = max(1, round(min(height, width) * SHARE))
    starts = np.rint(positions * (height, width) - side / 2).astype(int)
    places = starts[:, :, None] + np.arange(side)  # (M, 2, side)
    rows, columns = places[:, 0].clip(0, height - 1), places[:, 1].clip(0, width - 1)
    return pictures[np.arange(len(pictures))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _wrong(found: Any, probe: ProbeSet) -> np.ndarray:
    if probe.labels is None or found.predictions is None:
        return np.zeros(len(probe), bool)
    return (found.predictions >= 0) & (found.predictions != probe.labels)


def _line(name: str, one: Sameness) -> str:
    return f"  {name}: {one.count} patches, sameness {one.value:.2f}, by chance {one.chance:.2f}"
