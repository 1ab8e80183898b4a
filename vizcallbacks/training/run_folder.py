"""A run's folder: held by one training at a time; it goes on with what an earlier one left there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import stat
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..archive import replacing
from ..pictures.picture import encode
from ..probes.probe_set import ProbeSet
from ..regression import snapshot as snapshots
from ..regression.predicted import predicted_path, save_predicted
from ..regression.report import Report
from ..regression.snapshot import Snapshot
from ..tensorboard.event_file import check_logdir
from ..view.report_page import report_path, write_checked
from ..view.verdicts import forget_verdict, save_verdict
from .concepts import save_concepts


class RunFolder:
    """The files of a run besides TensorBoard's: ``attention/probe.npz`` and the snapshots.

    While it is open it is locked (``attention/lock``), since the files of two trainings would have the same names.
    The lock is the operating system's and ends with the process, however that ends; forked children (a
    DataLoader's workers) do not keep it. Where the file system has no locks, a warning says so.

    Parameters
    ----------
    target : str, os.PathLike or SummaryWriter
        As for `AttentionMonitor`; made absolute at once, so that a later `chdir` does not move it.
    sub : str
        A sub-folder of it; "": none.
    logger : logging.Logger

    Attributes
    ----------
    newest : Snapshot or None
        What was stored for the step that the training begins at, if nothing was for later ones.

    Raises
    ------
    TypeError, ValueError
        `target` is no folder that can be made and written; nothing is made yet.
    """

    def __init__(self, target: Any, sub: str, logger: logging.Logger) -> None:
        self.path = path_of(target) / sub
        self._logger = logger
        self._lock: int | None = None
        self.newest: Snapshot | None = None

    def open(self, probe: ProbeSet, step: int, *, thinned: bool = False) -> Iterator[Snapshot]:
        """Take hold of the folder, and clear away the snapshots of `step` and later: they are replaced.

        Parameters
        ----------
        thinned : bool
            Whether snapshots are given up on purpose: then only those before `step` can be told to be missing.

        Returns
        -------
        iterator of Snapshot
            The earlier ones, in the order of their steps. Damaged files are left out, with a warning; another
            warning tells which steps are missing.

        Raises
        ------
        ValueError
            Another training writes there; the snapshots there are of another probe set; the folder is unusable.
        """
        folder = self.path / snapshots.FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._take_hold(folder / "lock")
            self._check_probe_set(folder / "probe.npz", probe)
            probe.save(folder / "probe.npz")
            earlier = self._clear(step)
        except OSError as error:
            self.close()
            raise ValueError(f"logdir {str(self.path)!r} cannot be used: {error}; give another") from error
        except BaseException:
            self.close()
            raise
        return self._read(earlier, probe, step, thinned)

    def save(self, snapshot: Snapshot) -> None:
        """Write a snapshot, whole or not at all (OSError); never into a folder that has become another's."""
        self._check_hold()
        snapshot.save(snapshots.snapshot_path(self.path, snapshot.step))

    def give_up(self, steps: Sequence[int]) -> None:
        """Remove the snapshots of steps (OSError); those that are not there are none."""
        for step in steps:
            snapshots.snapshot_path(self.path, step).unlink(missing_ok=True)
            predicted_path(self.path, step).unlink(missing_ok=True)

    def save_picture(self, name: str, picture: np.ndarray) -> None:
        """Write a picture, (H, W, 3) uint8 RGB, as a PNG file of this name, as `save` does a snapshot."""
        self._check_hold()
        with replacing(self.path / name) as file:
            file.write(encode(picture, "png", levels=32))

    def save_page(self, report: Report | None) -> None:
        """Write the interactive page over the snapshots that are there; `report`: what a check found."""
        self._check_hold()
        write_checked(self.path, report, report_path(self.path))

    def save_verdict(self, report: Report) -> None:
        """Write what a check found, as `save` does a snapshot; TensorBoard's tab tells it."""
        self._check_hold()
        save_verdict(self.path, report)

    def save_concepts(self, concepts: Mapping[str, np.ndarray], step: int) -> None:
        """Write the concepts of a snapshot in the order of their colours, as `save` does the snapshot."""
        self._check_hold()
        save_concepts(self.path, concepts, step)

    def save_predicted(self, taken: Snapshot, method: str, maps: Mapping[int, np.ndarray]) -> None:
        """Write the maps of predicted classes that belong to a snapshot, as `save` does the snapshot."""
        self._check_hold()
        save_predicted(self.path, taken, method, maps)

    def _check_hold(self) -> None:
        if self._lock is not None and os.fstat(self._lock).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the run's folder was deleted", str(self.path))

    def close(self) -> None:
        """Let others in. May be called again."""
        if self._lock is not None:
            self._release()
            self._lock = None

    def _take_hold(self, path: Path) -> None:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        self._release = weakref.finalize(self, os.close, lock)
        self._release.atexit = False  # pending snapshots are written at exit
        self._lock = lock
        if not stat.S_ISREG(os.fstat(lock).st_mode):
            raise OSError(errno.EINVAL, "it must be a regular file", str(path))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(_refusal(self.path, os.pread(lock, 1000, 0))) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            message = "%s cannot be locked (%s): take care that no second training writes there"
            self._logger.warning(message, self.path, error.strerror)
            return
        os.register_at_fork(after_in_child=_Forget(self))
        holder = json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode()
        os.ftruncate(lock, 0)
        os.pwrite(lock, holder, 0)

    def _clear(self, step: int) -> list[Path]:
        """Remove the snapshots of `step` and later, and what a killed process left half-written."""
        for left in self.path.glob(f"{snapshots.FOLDER}/*.npz.*.tmp"):
            left.unlink()
        found = snapshots.list_snapshots(self.path)
        replaced = [path for path in found if snapshots.step_of(path) >= step]
        later = [path for path in replaced if snapshots.step_of(path) > step]
        self.newest = None if later else next(_readable(replaced), None)
        for path in replaced:
            path.unlink()
        forget_verdict(self.path, step)
        if later:
            message = "%s: training from step %d on replaces the snapshots of %d later steps"
            self._logger.warning(message, self.path, step, len(later))
        return found[: len(found) - len(replaced)]

    def _check_probe_set(self, stored: Path, probe: ProbeSet) -> None:
        """Refuse to mix probe sets; where the file is gone, each snapshot tells of which one it is."""
        if stored.exists():
            others = {ProbeSet.load(stored).digest}
        else:
            others = {snapshot.digest for snapshot in _readable(snapshots.list_snapshots(self.path))}
        if others - {probe.digest}:
            raise ValueError(
                f"{self.path} holds snapshots of another probe set, with which these could not be compared; "
                "give another logdir"
            )

    def _read(self, paths: list[Path], probe: ProbeSet, step: int, thinned: bool) -> Iterator[Snapshot]:
        damaged: list[Exception] = []
        read = []
        for path in paths:
            try:
                snapshot = Snapshot.load(path)
                if snapshot.digest != probe.digest:
                    raise ValueError(f"{path} is of another probe set than the one beside it")
            except (OSError, ValueError) as error:
                damaged.append(error)
            else:
                read.append(snapshot.step)
                yield snapshot
        if damaged:
            message = "%d of %d earlier snapshots cannot be read and are left out of sheets and drift: %s"
            self._logger.warning(message, len(damaged), len(paths), damaged[0])
        missing = missing_steps([snapshots.step_of(path) for path in paths], step, thinned)
        if missing:
            self._logger.warning("%s: %s", self.path, missing)


def _readable(paths: list[Path]) -> Iterator[Snapshot]:
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            yield Snapshot.load(path)


def missing_steps(steps: Sequence[int], next_step: int, thinned: bool = False) -> str:
    """Say in words which steps between those stored, and before `next_step`, have no snapshot; "" if none.

    The usual distance of two steps is the most frequent one, if three in four distances are that: then larger
    ones are holes. Otherwise, or if they were thinned out on purpose, only the distance to `next_step` is judged,
    by the largest that there is.
    """
    every = [*steps, next_step]
    distances = [b - a for a, b in zip(every, every[1:])]
    if len(distances) < 2:
        return ""
    usual, count = Counter(distances[:-1]).most_common(1)[0]
    regular = not thinned and 4 * count >= 3 * (len(distances) - 1)
    if not regular:
        usual, every, distances = max(distances[:-1]), every[-2:], distances[-1:]
    holes = [_hole(a, b, usual if regular else b - a) for a, b in zip(every, every[1:]) if b - a > usual]
    if not holes:
        return ""
    told = holes if len(holes) <= 10 else [f"{len(holes) - 9} earlier ones", *holes[-9:]]
    return f"snapshots are missing: {', '.join(told)}; an earlier process did not write them"


def _hole(before: int, after: int, usual: int) -> str:
    steps = range(before + usual, after, usual)
    if not steps:
        return f"between steps {before} and {after}"
    every = f" (every {usual})" if usual > 1 and len(steps) > 1 else ""
    return f"steps {steps[0]} to {steps[-1]}{every}" if len(steps) > 1 else f"step {steps[0]}"


_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class _Forget:
    """In a forked child: close its copy of the lock, so that no orphan holds the lock after the training."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = weakref.ref(folder)

    def __call__(self) -> None:
        folder = self._folder()
        if folder is not None:
            folder.close()


def _refusal(path: Path, holder: bytes) -> str:
    process, host = None, None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        facts = json.loads(holder)
        process, host = facts["process"], facts["host"]
    if (process, host) == (os.getpid(), socket.gethostname()):
        return (
            f"logdir {str(path)!r} is in use by an earlier monitor of this process that was not closed; "
            "close it (monitor.close(), or handler.monitor.close()), or give another logdir"
        )
    who = "another training" if process is None else f"another training (process {process} on {host})"
    return f"logdir {str(path)!r} is in use by {who}, whose files would be overwritten; give another logdir"


def path_of(target: Any) -> Path:
    """The absolute folder of an argument `logdir`; TypeError or ValueError if it can be none. Nothing is made."""
    if hasattr(target, "add_scalar"):
        folder = getattr(target, "logdir", None) or getattr(target, "log_dir", None)
        if folder is None:
            raise ValueError(f"logdir must be a folder or a writer that knows its own, got {target!r}")
        return Path(os.path.abspath(folder))
    if not isinstance(target, (str, os.PathLike)):
        raise TypeError(f"logdir must be a path or a SummaryWriter, got {type(target).__name__}")
    target = os.path.expanduser(target)
    check_logdir(target)
    return Path(os.path.abspath(os.fsdecode(target)))
