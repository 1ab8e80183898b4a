"""`Saving`: snapshots on their way to disk, kept in memory until they are there."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from ..regression.snapshot import Snapshot
from .jobs import Job, Sink
from .run_folder import RunFolder

WAIT_SECONDS = 1.0  # a snapshot waits so long at most until the one before is on disk
KEPT_BYTES = 64 * 2**20  # of maps that wait for a disk that is full or gone


class Saving:
    """Makes the jobs that save snapshots; what could not be saved is tried again with the next one.

    So a disk that is full, read-only or gone for a while costs no snapshot, unless the process ends before it is
    back, or more wait than `KEPT_BYTES` hold: then the oldest are lost.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._waiting: deque[Snapshot] = deque()
        self._saved, self._stalled = threading.Event(), False
        self._saved.set()

    def job(self, taken: Snapshot, given_up: Sequence[int]) -> Job:
        """The job that saves a snapshot and removes those at the steps `given_up`.

        First it waits a little until the one before is on disk: so a kill loses one at most. A disk that does not
        answer costs the training this once, until it answers.
        """
        if not self._stalled or self._saved.is_set():
            self._stalled = not self._saved.wait(WAIT_SECONDS)
        self._waiting.append(taken)
        while len(self._waiting) > 1 and sum(map(_size, list(self._waiting))) > KEPT_BYTES:
            self._waiting.popleft()
        self._saved = saved = threading.Event()

        def save(sink: Sink) -> None:
            try:
                self.save_waiting(sink)
                self._folder.give_up(given_up)
            finally:
                saved.set()

        return save

    def save_waiting(self, sink: Sink | None = None) -> None:
        """Save all that wait, oldest first (OSError: those from the failing one on wait on); itself a job."""
        while self._waiting:
            first = self._waiting[0]
            self._folder.save(first)
            if self._waiting and self._waiting[0] is first:
                self._waiting.popleft()

    def wait(self, seconds: float) -> bool:
        """Wait until the newest has been tried; whether it has."""
        return self._saved.wait(seconds)


def _size(snapshot: Snapshot) -> int:
    return sum(maps.nbytes for maps in snapshot.maps.values()) + 4096
