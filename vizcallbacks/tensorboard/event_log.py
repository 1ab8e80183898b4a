"""The TensorBoard writer that cannot hang training.

The training thread hands over closures and one daemon thread runs them, so a disk that is full, slow or gone, or
never answers, holds up that thread alone. Rendering, encoding and other files go there too.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import re
import threading
import time
from typing import Any, Callable, SupportsFloat

import numpy as np

from .event_file import REFUSED, EventFile, StillDownError, check_logdir


class EventLog:
    """A queue of jobs that write to a TensorBoard run in a thread of their own.

    A job is a callable that gets a `Sink`. It is dropped, and counted in `dropped`, when

    - `max_pending` jobs are waiting and none finishes within `wait_seconds`. Until one has finished, later
      submissions do not wait again: a disk that never answers costs the training `wait_seconds` once;
    - it or the disk raises: one warning for all errors of the system (OSError), one for each other kind of
      exception. A job ends at its first failing write; put independent work into separate jobs.

    After a failing write the file is cut back to its last whole record. Every `retry_seconds` a job tries a
    new file beside it, in which the log continues. A folder that is deleted during a run is not made again.

    An interpreter that exits without `close()` still writes what is pending, for at most `close_seconds`.
    In a forked child every method does nothing. A log is opened once and closed once, like a file.

    Parameters
    ----------
    target : str, os.PathLike, or a SummaryWriter
        The run's folder, made when missing; or the user's own writer (`add_scalar`, `add_image`, `add_text`,
        `flush`), which is flushed but never closed. tensorboardX's writer blocks for ever on a full disk: that
        holds up the log's thread only, but the writer's own queue may keep the process from exiting, and its
        `flush` does not drain that queue.
    encode : callable, picture -> bytes, optional
        PNG or JPEG of a (H, W, 3) uint8 picture; default: tensorboardX's PNG. A SummaryWriter has its own.
    filename_suffix : str
        Ends the event file's name, which is unique already (process and a random part).
    max_pending : int, >= 1
        Jobs that may wait; the bound on memory.
    wait_seconds, retry_seconds, close_seconds : float, >= 0
        See above; `close_seconds` is also the default timeout of `flush` and `close`.
    logger : logging.Logger, optional
        Gets the warnings; default: this module's.

    Raises
    ------
    ValueError
        `target` is not a folder that can be made and written (nothing is made yet); a number is out of range.
    """

    def __init__(
        self,
        target: Any,
        *,
        encode: Callable[[np.ndarray], bytes] | None = None,
        filename_suffix: str = "",
        max_pending: int = 64,
        wait_seconds: float = 5.0,
        retry_seconds: float = 60.0,
        close_seconds: float = 10.0,
        logger: logging.Logger | None = None,
    ):
        if max_pending < 1:
            raise ValueError(
                f"max_pending must be at least 1, got {max_pending}: jobs pass through the queue"
            )
        if not all(0 <= s <= threading.TIMEOUT_MAX for s in (wait_seconds, retry_seconds, close_seconds)):
            values = (wait_seconds, retry_seconds, close_seconds)
            raise ValueError(f"wait_seconds, retry_seconds, close_seconds must be 0 or more, got {values}")
        self._name, self._backend, self._encode = "the given SummaryWriter", target, encode
        if not hasattr(target, "add_scalar"):
            check_logdir(target)
            self._name = os.fsdecode(target)
            self._backend = EventFile(self._name, clean_label(filename_suffix), encode, retry_seconds)
        self._queue: queue.Queue[Any] = queue.Queue(max_pending)
        self._wait_seconds, self._close_seconds = wait_seconds, close_seconds
        self._logger = logger or logging.getLogger(__name__)
        self._reported: set[str] = set()
        self._thread: threading.Thread | None = None
        self._closed = self._abandoned = self._stalled = self._failing = False
        self._refused = self._lost = self._unsynced = 0

    @property
    def dropped(self) -> int:
        """Jobs that were not written, or not written whole."""
        return self._refused + self._lost

    def open(self) -> EventLog:
        """Make the folder and the event file, so that an unusable one raises (ValueError) before training."""
        if self._thread is not None:
            raise RuntimeError("an EventLog is opened once; make a new one for a new run")
        if isinstance(self._backend, EventFile):
            try:
                os.makedirs(self._name, exist_ok=True)
                self._backend.open()
            except OSError as error:
                raise ValueError(f"{REFUSED} {self._name!r}: {error}; give another path") from error
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._work, name="vizcallbacks-eventlog", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        return self

    def encoded(self, picture: np.ndarray) -> bytes | None:
        """A picture as this log would write it, so that another thread may encode; None if it has no encoder."""
        return self._encode(picture) if self._encode and isinstance(self._backend, EventFile) else None

    def submit(self, job: Callable[[Sink], object], wall_time: float | None = None) -> bool:
        """Whether the job was taken. It runs later, in order; its events carry `wall_time`, default now."""
        if self._thread is None or self._closed:
            raise RuntimeError("the log must be open to take jobs; call open() first, or use a with block")
        if os.getpid() != self._pid:  # before the queue's locks, which may have been held at the fork
            return False
        try:
            self._queue.put(
                (time.time() if wall_time is None else wall_time, job),
                timeout=0.0 if self._stalled else self._wait_seconds,
            )
        except queue.Full:
            self._stalled = True
            self._refused += 1
            message = (
                "%s is slower than training: still %d jobs queued after %g s; "
                "dropping new jobs until one finishes"
            )
            self._warn_once("full", message, (self._name, self._queue.maxsize, self._wait_seconds))
            return False
        return True

    def flush(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds; True if every job ran and was flushed to disk."""
        return self._pass_through(_Marker(last=False), timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Write what is pending for at most `timeout` seconds, then let go; may be called again.

        True if every job ran and was flushed to disk.
        """
        marker = _Marker(last=True)
        done = self._pass_through(marker, timeout)
        if self._thread is not None and not self._closed and os.getpid() == self._pid:
            self._closed = True
            atexit.unregister(self.close)
            if not marker.done.is_set():
                self._abandoned = True
                self._warn_once(
                    "close", "%s took too long; %d jobs are lost", (self._name, self._queue.qsize())
                )
        return done

    def __enter__(self) -> EventLog:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pass_through(self, marker: _Marker, timeout: float | None) -> bool:
        if self._thread is None or self._closed or os.getpid() != self._pid:
            return False
        deadline = time.monotonic() + (self._close_seconds if timeout is None else timeout)
        try:
            self._queue.put(marker, timeout=max(0.0, deadline - time.monotonic()))
        except queue.Full:
            return False
        return marker.done.wait(max(0.0, deadline - time.monotonic())) and marker.synced

    def _work(self) -> None:
        sink = Sink(self._backend)
        last = None
        while not (last or self._abandoned):
            item = self._queue.get()
            if not isinstance(item, _Marker):
                sink.wall_time, job = item
                self._run(job, sink)
                del job, item  # frees the job's arrays before the next one comes
                if self._queue.empty():
                    self._sync()
                continue
            item.synced = self._sync()
            if item.last:
                last = item
            else:
                item.done.set()
        if isinstance(self._backend, EventFile):
            self._backend.close()
        if last:
            last.done.set()

    def _run(self, job: Callable[[Sink], object], sink: Sink) -> None:
        try:
            job(sink)
            self._unsynced += 1
        except Exception as error:
            self._lost += 1
            self._report(error)
        self._stalled = False

    def _sync(self) -> bool:
        try:
            self._backend.flush()
        except Exception as error:
            if not isinstance(error, StillDownError):  # which was reported, and kept its whole records
                self._lost += self._unsynced
                self._report(error)
            self._unsynced = 0
            return False
        self._unsynced = 0
        if self._failing:
            self._failing = False
            self._logger.info("%s is written again; %d jobs were dropped", self._name, self.dropped)
        return True

    def _report(self, error: Exception) -> None:
        system = isinstance(error, OSError)
        self._failing = self._failing or system
        message = "logging to %s failed (%s: %s); training goes on, more errors of this kind are only counted"
        kind = "system" if system else type(error).__name__
        self._warn_once(kind, message, (self._name, type(error).__name__, error), None if system else error)

    def _warn_once(self, kind: str, message: str, values: tuple, error: Exception | None = None) -> None:
        if kind not in self._reported:
            self._reported.add(kind)
            self._logger.warning(message, *values, exc_info=error)


class Sink:
    """What a job writes to. Tags are cleaned by `clean_tag`."""

    def __init__(self, backend: Any):
        self._backend = backend
        self.wall_time = 0.0

    def scalar(self, tag: str, value: SupportsFloat | None, step: int, description: str = "") -> None:
        """One point of a curve; None and NaN (an undefined measure) are left out.

        The description, a sentence, stands beside the curve; a SummaryWriter has no place for it.
        """
        if value is not None and value == value:
            more = (
                {"description": description} if description and isinstance(self._backend, EventFile) else {}
            )
            self._backend.add_scalar(clean_tag(tag), float(value), step, walltime=self.wall_time, **more)

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        """One picture, (H, W, 3) uint8 RGB; it is encoded here."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(
                f"{tag!r} must be (H, W, 3) uint8, got {picture.shape} {picture.dtype}; render it"
            )
        self._backend.add_image(clean_tag(tag), picture, step, walltime=self.wall_time, dataformats="HWC")

    def encoded(self, tag: str, data: bytes, size: tuple[int, ...], step: int) -> None:
        """One picture of (height, width), encoded already; for an `EventFile` only."""
        self._backend.add_encoded(clean_tag(tag), data, size, step, walltime=self.wall_time)

    def text(self, tag: str, text: str, step: int) -> None:
        """One text, in Markdown."""
        self._backend.add_text(clean_tag(tag), text, step, walltime=self.wall_time)


def clean_tag(text: str) -> str:
    """A tag as TensorBoard takes it: `_` for all but ASCII letters, digits and `-_./`; no leading slashes."""
    return re.sub(r"[^A-Za-z0-9\-_./]", "_", text).lstrip("/")


def clean_label(text: str, limit: int = 40) -> str:
    """One part of a tag or file name: as `clean_tag`, `_` for slashes and leading dots, cut to `limit`."""
    text = clean_tag(text[:limit].replace("/", "_"))
    return text.lstrip(".").rjust(len(text), "_")


class _Marker:
    """Passes through the queue behind the jobs; `done` once they have run."""

    def __init__(self, last: bool):
        self.last = last
        self.synced = False
        self.done = threading.Event()
