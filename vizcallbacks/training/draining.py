"""`Draining`: on a signal, write what is pending before the process ends; only if asked for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SECONDS = 5.0


class Draining:
    """Handles one signal between `install` and `restore`: drains, then acts as the handler that was there before.

    The signal may come while this thread holds the lock of a queue, which the threads that write need: what takes
    such locks is wrapped in `undisturbed`, and a signal that comes in it is handled at its end.

    Parameters
    ----------
    number : int or None
        None: nothing is installed.
    drain : callable
        Called with the seconds that it may take, in a thread of its own.

    Raises
    ------
    ValueError
        The number is none of a signal that can be handled.
    """

    def __init__(self, number: int | None, drain: Callable[[float], object]) -> None:
        check_signal(number)
        self._number, self._drain = number, drain
        self._before: Any = None
        self._installed = False
        self._depth = 0
        self._waiting: list[FrameType | None] = []

    def check_thread(self) -> None:
        """Raise ValueError outside the main thread, where Python does not let a signal be handled."""
        if self._number is not None and threading.current_thread() is not threading.main_thread():
            raise ValueError("drain_on needs the main thread: start the monitor there, or leave drain_on out")

    def install(self) -> None:
        """Begin to handle the signal."""
        if self._number is None or self._installed:
            return
        self._process = os.getpid()
        self._before = signal.signal(self._number, self._handle)
        self._installed = True

    def restore(self) -> None:
        """Put the earlier handler back, unless another one has been installed since."""
        ours = self._installed and signal.getsignal(self._number or 0) == self._handle
        if ours and threading.current_thread() is threading.main_thread():
            signal.signal(self._number or 0, signal.SIG_DFL if self._before is None else self._before)
            self._installed = False

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """For the length of a ``with`` block, put the signal off."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and self._waiting and self._number is not None:
                self._handle(self._number, self._waiting.pop())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._depth:
            self._waiting = [frame]
            return
        if os.getpid() == self._process:  # not in a DataLoader's worker, which has inherited the handler
            thread = threading.Thread(target=self._drain, args=(SECONDS,), daemon=True)
            thread.start()
            thread.join(SECONDS + 1)
        if callable(self._before):
            self._before(number, frame)
        elif self._before != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def check_signal(number: int | None) -> None:
    """Raise ValueError unless `number` is None or a signal that a process can handle."""
    try:
        known = number is None or signal.Signals(number) not in (signal.SIGKILL, signal.SIGSTOP)
    except ValueError:
        known = False
    if not known or isinstance(number, bool):
        raise ValueError(
            f"drain_on must be a signal that can be handled, such as signal.SIGTERM, got {number!r}"
        )
