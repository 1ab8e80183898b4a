"""`Run`: the folder of a training, read back without MXNet and without writing to it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..probes.probe_set import ProbeSet
from ..regression.snapshot import FOLDER, Snapshot, list_snapshots, snapshot_path, step_of
from ..showing import Shown


class Run(Shown):
    """A run's folder, as `AttentionMonitor` wrote it. Files are read when they are asked for, one at a time.

    Parameters
    ----------
    path : str or os.PathLike
        What `logdir` was.

    Attributes
    ----------
    path : Path
    name : str
        The folder's name.
    unreadable : tuple of str
        Why snapshots were left out of the last iteration: damaged, or of another probe set.

    Raises
    ------
    ValueError
        The folder holds no snapshot.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.resolve().name
        self.unreadable: tuple[str, ...] = ()
        if not self.steps:
            raise ValueError(
                f"{self.path} holds no attention snapshot; give the folder of a run, as `logdir` was"
            )

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps with a snapshot on disk now, ascending."""
        return tuple(step_of(path) for path in list_snapshots(self.path))

    @functools.cached_property
    def probe(self) -> ProbeSet:
        """The images that were watched (ValueError, OSError)."""
        return ProbeSet.load(self.path / FOLDER / "probe.npz")

    def snapshot(self, step: int | None = None) -> Snapshot:
        """The snapshot at `step`, or the newest.

        Raises
        ------
        ValueError
            There is none at that step, or the file is damaged or of another probe set.
        OSError
            It cannot be read.
        """
        wanted = next(iter(self.steps[-1:]), None) if step is None else step
        if (
            wanted is None or not snapshot_path(self.path, wanted).exists()
        ):  # thousands: listed only to be told
            known = ", ".join(map(str, self.steps)) or "none"
            raise ValueError(f"{self.path} holds no snapshot of step {step}; its steps are {known}")
        found = Snapshot.load(snapshot_path(self.path, wanted))
        if found.digest != self.probe.digest:
            raise ValueError(
                f"the snapshot of step {wanted} in {self.path} is of another probe set than probe.npz"
            )
        return found

    def __iter__(self) -> Iterator[Snapshot]:
        """The snapshots in the order of their steps; what cannot be read is left out, see `unreadable`."""
        return self.readable(self.steps)

    def readable(self, steps: Iterable[int]) -> Iterator[Snapshot]:
        """The snapshots of some steps, such as every tenth; what cannot be read is left out, see `unreadable`."""
        unreadable = []
        for step in steps:
            try:
                yield self.snapshot(step)
            except (OSError, ValueError) as error:
                unreadable.append(str(error))
        self.unreadable = tuple(unreadable)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def measures(self) -> Mapping[str, np.ndarray]:
        """Measure -> (S, N) float64, a row for each readable snapshot; NaN where undefined or not measured."""
        taken = [(snapshot.measures, len(snapshot.targets)) for snapshot in self]
        names = dict.fromkeys(name for measures, _ in taken for name in measures)
        rows = {
            name: np.stack([measures.get(name, np.full(count, np.nan)) for measures, count in taken])
            for name in names
        }
        return MappingProxyType(rows)

    def __repr__(self) -> str:
        steps = self.steps
        return f"Run({str(self.path)!r}: {len(steps)} snapshots, steps {steps[0]} to {steps[-1]})"


def find_runs(root: str | os.PathLike[str]) -> dict[str, Path]:
    """Folders at or below `root` that hold snapshots: name relative to `root` ("." for itself) -> path.

    Links to folders are not followed, and nothing below an ``attention`` folder is looked at.
    """
    found = {}
    for place, folders, _ in os.walk(root):
        if FOLDER in folders and list_snapshots(place):
            found[Path(os.path.relpath(place, root)).as_posix()] = Path(place)
        folders[:] = sorted(name for name in folders if name != FOLDER)
    return found


def open_runs(paths: list) -> dict[str, Run]:
    """The runs at or below several paths, each under a short name that no other has.

    Raises
    ------
    ValueError
        Nothing is below a path, or nothing was given.
    """
    places: list[Path] = []
    for path in paths:
        found = list(find_runs(path).values())
        if not found:
            raise ValueError(
                f"{path} holds no attention snapshot; give the folder of a run, as `logdir` was"
                if os.path.isdir(path)
                else f"there is no folder {os.fspath(path)!r}; give the folder of a run, as `logdir` was"
            )
        places += [place for place in found if place.resolve() not in {other.resolve() for other in places}]
    if not places:
        raise ValueError("give at least one run's folder, got none")
    return dict(zip(_short_names([place.resolve() for place in places]), map(Run, places)))


def _short_names(places: list[Path]) -> list[str]:
    """The folders' names, with as many of their parents' as tell all of them apart."""
    for count in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-count:]) for place in places]
        if len(set(names)) == len(names):
            break
    return names
