"""A second thread for what is slow: pictures are drawn and encoded here, and written by the `EventLog`'s thread.

So what must not be lost (files, curves) never waits behind a picture, whichever snapshot it is of.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .event_file import StillDownError
from .event_log import EventLog


class DrawingLog(EventLog):
    """Runs jobs as an `EventLog` does, and hands what they write over to `log`, with the time of their submission.

    An error that occurs in both gives one warning.

    Parameters
    ----------
    log : EventLog
        Open while this one is; it writes.
    max_pending : int, >= 1
        Jobs that may wait here.
    """

    def __init__(self, log: EventLog, max_pending: int) -> None:
        super().__init__(_Handover(log), max_pending=max_pending, logger=log._logger)
        self._name, self._reported = log._name, log._reported


class _Handover:
    """The methods of a SummaryWriter that `Sink` needs, each a job for another log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def add_scalar(self, tag: str, value: float, step: int, walltime: float) -> None:
        self._log.submit(lambda sink: sink.scalar(tag, value, step), walltime)

    def add_image(self, tag: str, picture: np.ndarray, step: int, walltime: float, **_: Any) -> None:
        data = self._log.encoded(picture)
        if data is None:  # the user's own writer, which encodes
            self._log.submit(lambda sink: sink.image(tag, picture, step), walltime)
        else:
            size = picture.shape[:2]
            self._log.submit(lambda sink: sink.encoded(tag, data, size, step), walltime)

    def add_text(self, tag: str, text: str, step: int, walltime: float) -> None:
        self._log.submit(lambda sink: sink.text(tag, text, step), walltime)

    def flush(self) -> None:
        if not self._log.flush():
            raise StillDownError("the log could not write, and has warned of it")
