"""What snapshots cost, and the share of a training's time that they may take."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .jobs import Job, Sink


class Budget:
    """Decides which of the snapshots that are due are taken, so that together they stay under a share of the time.

    A snapshot is taken if the time spent so far plus the costliest of the last three stays within `share` of the
    training's time: the time since the first one that was not spent in snapshots. With steady
    times that is every k-th of those due. Only the first is taken unasked, before there is any training's time.

    A snapshot's cost is the time that the training thread waited for it, and the processor's time that another
    thread used to draw it: on a machine whose cores are all busy that is taken from the training, too.

    Parameters
    ----------
    share : float or None
        Above 0 and below 1. None: all are taken.
    clock : callable
        Seconds.

    Raises
    ------
    ValueError
        `share` is out of range.
    """

    def __init__(self, share: float | None, clock: Callable[[], float] = time.perf_counter) -> None:
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if share is not None and not (number and 0 < share < 1):
            raise ValueError(
                f"max_overhead must be a share above 0 and below 1, such as 0.05, or None, got {share!r}"
            )
        self.share, self._clock = share, clock
        self._lock = threading.Lock()
        self._ended: float | None = None
        self._training = self._spent = 0.0
        self._costs: deque[float] = deque([0.0], maxlen=3)

    @property
    def cost(self) -> float:
        """Seconds of the costliest of the last three snapshots."""
        with self._lock:
            return max(self._costs)

    def begin(self) -> bool:
        """A snapshot is due: whether it is to be taken, which then must be followed by `end`."""
        now = self._clock()
        with self._lock:
            first = self._ended is None
            if not first:
                self._training += now - self._ended  # type: ignore[operator]
            self._ended = now
            fits = self.share is None or self._spent + max(self._costs) <= self.share * self._training
            return first or fits

    def end(self) -> float:
        """The snapshot that began is taken, or has failed; returns the seconds since it began."""
        now = self._clock()
        with self._lock:
            waited = now - self._ended  # type: ignore[operator]
            self._ended = now
            self._spent += waited
            self._costs.append(waited)
        return waited

    def drew(self, seconds: float) -> None:
        """Another thread used so much of the processor's time to draw the last snapshot."""
        with self._lock:
            self._spent += seconds
            self._costs[-1] += seconds


@dataclass
class Drawing:
    """Time of the jobs that have run so far: seconds by the clock, and of the processor's."""

    seconds: float = 0.0
    processor: float = 0.0


def timed(jobs: Sequence[Job]) -> tuple[list[Job], Drawing]:
    """The same jobs, and the record in which they note the time they take; several threads may run them."""
    drawing, lock = Drawing(), threading.Lock()

    def timing(job: Job) -> Job:
        def run(sink: Sink) -> None:
            began, used = time.perf_counter(), time.thread_time()
            try:
                job(sink)
            finally:
                with lock:
                    drawing.seconds += time.perf_counter() - began
                    drawing.processor += time.thread_time() - used

        return run

    return [timing(job) for job in jobs], drawing
