"""`Source`: the checkpoints that a replay takes, as they are found or as another process writes them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..regression.snapshot import list_snapshots, step_of
from .checkpoints import Checkpoint, find_checkpoints, read_stored

PATIENCE = 60.0  # seconds after which a checkpoint that does not grow any more is taken for damaged
POLL = 1.0  # seconds between two looks at the folder


@dataclass(frozen=True)
class Follow:
    """When following a folder ends: after the step `until`, or `idle` seconds without a new checkpoint."""

    until: int | None = None
    idle: float | None = None


class Source:
    """The checkpoints that are to be taken, in the order of their steps, as they come.

    Steps up to the newest in the run's folder are done: TensorBoard draws steps in ascending order, and what is
    there is never taken away.
    """

    def __init__(
        self, places: Any, run: Path, step_from: str | None, every: int, follow: Follow | None
    ) -> None:
        self._places, self._step_from, self._every, self._follow = places, step_from, every, follow
        done = [step_of(path) for path in list_snapshots(run)]
        self._last = max(done, default=-1)
        self._done = set(done)
        self.skipped: dict[str, str] = {}
        self.total: int | None = None
        self._find()  # raises if there is none, or names are wrong

    def skip(self, path: str, reason: str) -> None:
        """A checkpoint cannot be used."""
        self.skipped[path] = reason

    def stream(self) -> Iterator[Checkpoint | None]:
        """Checkpoints; None where there is nothing new for now."""
        if self._follow is None:
            found = self._find()
            whole = [one for one in found if self._is_whole(one)]
            self.total = len(whole)
            yield from whole
            return
        since = time.monotonic()
        while True:
            for one in self._find():
                if not self._is_whole(one):
                    break  # those after it wait as well: steps ascend
                self._last = one.step
                self._done.add(one.step)
                since = time.monotonic()
                yield one
            if self._follow.until is not None and self._last >= self._follow.until:
                return
            if self._follow.idle is not None and time.monotonic() - since > self._follow.idle:
                return
            yield None
            time.sleep(POLL)

    def _find(self) -> list[Checkpoint]:
        """What is there and not done; in a folder that is followed, nothing yet is no error."""
        try:
            found = find_checkpoints(self._places, self._step_from, self._every)
        except FileNotFoundError:
            if self._follow is None:
                raise
            return []
        for one in found:
            if one.step < self._last and one.step not in self._done and one.path not in self.skipped:
                self.skip(
                    one.path,
                    f"step {one.step} is before the newest in the run's folder, {self._last}; replay into another "
                    "folder to have it",
                )
        until = None if self._follow is None else self._follow.until
        return [
            one
            for one in found
            if one.step > self._last and one.path not in self.skipped and (until is None or one.step <= until)
        ]

    def _is_whole(self, one: Checkpoint) -> bool:
        """Whether a file is complete; one that is not is skipped, in a folder that is followed after a while."""
        try:
            read_stored(one.path)
            return True
        except (OSError, ValueError) as error:
            age = time.time() - os.stat(one.path).st_mtime if os.path.exists(one.path) else PATIENCE
            if self._follow is None or age >= PATIENCE:
                self.skip(one.path, str(error))
            return False
