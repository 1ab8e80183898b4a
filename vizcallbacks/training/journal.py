"""`Journal`: where the snapshots of a run go: the run's folder, the album of pictures, the log."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from ..pictures.picture import encode
from ..regression.report import Report
from ..regression.snapshot import Snapshot, list_snapshots
from ..tensorboard.drawing import DrawingLog
from ..tensorboard.event_log import EventLog, clean_tag
from ..tensorboard.last_steps import last_steps
from ..view.report_page import report_path
from .album import Album
from .budget import timed
from .concepts import load_concepts
from .jobs import Job, Sink
from .keeping import ALL, Keeping
from .plan import Plan
from .run_folder import RunFolder
from .saving import Saving
from .sinks import TENSORBOARD, Everywhere, Nowhere, SinkLog, open_sinks

PAGE_SECONDS = 30.0  # the page waits so long at most for its newest snapshot
REDRAWN = 24  # at most so many snapshots whose pictures an earlier process did not write are drawn anew


class Journal:
    """Keeps the snapshots of a run, whatever the disk does, and whenever the process ends.

    The .npz file of a snapshot and its curves are written first, in a thread of their own that draws nothing;
    pictures follow from a second thread. A process that is killed so loses pictures only: the next one draws them
    from the .npz files, as far as these hold the maps.

    Parameters
    ----------
    plan : Plan
    logdir : str, os.PathLike or SummaryWriter
        As for `AttentionMonitor`. Nothing is made yet.
    logger : logging.Logger

    Raises
    ------
    TypeError, ValueError
        `logdir` is invalid.
    """

    def __init__(self, plan: Plan, logdir: Any, logger: logging.Logger) -> None:
        own_writer = hasattr(logdir, "add_scalar")
        if own_writer and plan.shard is not None:
            raise ValueError(
                "logdir must be a folder if the probe images are shared out: each worker has a sub-run"
            )
        self._probe, _, numbers = plan.share
        self._logger = logger
        self.folder = RunFolder(logdir, "" if plan.shard is None else f"worker-{plan.shard[0]}", logger)
        self.album = Album(
            self._probe,
            tuple(plan.methods),
            plan.show,
            numbers,
            plan.per_image_curves,
            self.folder.save_picture,
        )
        self._sinks = tuple(plan.sinks)
        self._tensorboard = TENSORBOARD in self._sinks
        self._more: list[SinkLog] = []
        self.log = EventLog(
            Nowhere() if not self._tensorboard else logdir if own_writer else self.folder.path,
            encode=partial(encode, format=plan.image_format),
            logger=logger,
        )
        self._pictures = DrawingLog(self.log, max_pending=max(64, 3 * (2 * plan.show + 4)))  # three snapshots
        self._keeping, self._thinned = Keeping(plan.keep), plan.keep != ALL
        self._newest: int | None = None
        self._report: Report | None = None
        self._written: Mapping[str, int] = {}
        self._saving = Saving(self.folder)
        self.is_open = self.is_closed = False

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def dropped(self) -> int:
        """Jobs that were not written, or not written whole."""
        return sum(log.dropped for log in (self.log, self._pictures, *self._more))

    def open(self, step: int, judge: Callable[[Snapshot], Report | None]) -> Snapshot | None:
        """Take hold of the folder, take in the snapshots before `step`, and open the log.

        Parameters
        ----------
        step : int
            Snapshots of it and later ones are replaced.
        judge : callable
            Called with each earlier snapshot, in order.

        Returns
        -------
        Snapshot or None
            The newest of the earlier ones.

        Raises
        ------
        ValueError
            The folder cannot be used.
        """
        more = open_sinks(self._sinks, self.run, self._logger)
        earlier = self.folder.open(self._probe, step, thinned=self._thinned)
        try:
            written = self._written = _last_steps(self.run)
            if "attention_mean/score" not in written and "attention_score/_mean" in written:
                self._logger.warning(
                    "%s has tags of version 0.1, such as attention_score/; they stay as they are, and the run "
                    "goes on under new names: attention/, attention_mean/, attention_panels/",
                    self.run,
                )
            curves_until = max((written[tag] for tag in written), default=-1)
            pictures_until = min(written.get(clean_tag(tag), -1) for tag in self.album.panel_tags)
            newest: Snapshot | None = None
            curves: list[Job] = []
            pictures: deque[list[Job]] = deque(maxlen=REDRAWN)
            for newest in earlier:
                report = judge(newest)
                self.folder.give_up(self._keeping.add(newest))
                if not self._tensorboard or newest.step < min(curves_until, pictures_until + 1):
                    self.album.add(newest)
                    continue
                jobs = self.album.add(newest, self._stored(newest), report)
                curves += jobs[:1]
                pictures.append(jobs[1:] if newest.step > pictures_until else [])
            if newest is not None:
                self.album.concepts = load_concepts(self.run, self._logger)
            self.log.open()
            self._pictures.open()
            for one in more:
                one.open()
            self._more = more
        except BaseException:
            self.folder.close()
            raise
        self.log.submit(_unwritten(curves, written))
        self._pictures.submit(_unwritten([job for jobs in pictures for job in jobs], written))
        self.is_open = True
        return newest

    def write(
        self,
        taken: Snapshot,
        drawn: Mapping[str, np.ndarray],
        report: Report | None,
        facts: Sequence[Job],
        pictures: Sequence[Job],
        told: Callable[[float, float], None],
        predicted: Mapping[int, np.ndarray] | None = None,
    ) -> None:
        """Hand a snapshot over to the threads that write and draw.

        Parameters
        ----------
        drawn : mapping of str to ndarray
            Method -> maps of the images that the album shows.
        report : Report or None
            What a check found.
        facts, pictures : sequence of jobs
            More of both kinds.
        told : callable
            Called in the end with the time that all jobs took: seconds by the clock, and of the processor's.
        predicted : mapping of int to ndarray, optional
            As for `Album.add`.
        """
        sheets_at, self._report = self.album.sheets_at, report
        curves, *own = self.album.add(taken, drawn, report, predicted)
        if self.album.concepts:
            concepts = dict(self.album.concepts)
            facts = [*facts, lambda sink: self.folder.save_concepts(concepts, taken.step)]
        if predicted:
            facts = [*facts, lambda sink: self.folder.save_predicted(taken, self.album.main, predicted)]
        given_up = self._keeping.add(taken)
        if not self._keeping.wants_panels(taken.step) and (report is None or report.passed):
            own = own[len(self.album.panel_tags) :]
        pages: list[Job] = [] if report is None else [lambda sink: self.folder.save_verdict(report)]
        pages += [] if self.album.sheets_at == sheets_at else [self._page_job(report)]
        logged = self._logged([curves, *facts, *own, *pictures, *pages], taken)
        jobs, spent = timed([self._saving.job(taken, given_up), *logged])
        first = 2 + len(facts)
        for job in jobs[:first]:
            self.log.submit(self._everywhere(job))
        for job in jobs[first:]:
            self._pictures.submit(self._everywhere(job))
        self._pictures.submit(lambda sink: told(spent.seconds, spent.processor))
        self._newest = taken.step

    def _everywhere(self, job: Job) -> Job:
        """The job, writing to TensorBoard and to all other sinks."""
        return (lambda sink: job(Everywhere(sink, self._more))) if self._more else job

    def _logged(self, jobs: list[Job], taken: Snapshot) -> list[Job]:
        """Jobs that do not log again what the process before has logged of the same snapshot, its last one."""
        stored, self.folder.newest = self.folder.newest, None
        if stored is None or not stored.equals(taken):
            return jobs
        return [_unwritten([job], self._written) for job in jobs]

    def _page_job(self, report: Report | None, last: bool = False) -> Job:
        """The job that writes the interactive page over all snapshots so far; the sinks get the last one."""

        def job(sink: Sink) -> None:
            self._saving.wait(PAGE_SECONDS)  # another thread saves the newest snapshot
            if not list_snapshots(self.run):  # none could be written, which the log has said
                return
            self.folder.save_page(report)
            for log in self._more if last else ():
                log.file(report_path(self.run))

        return job

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was handed over is written, at most `timeout` seconds; whether it is."""
        return self.is_open and self._pictures.flush(timeout)

    def drain(self, seconds: float) -> None:
        """Write all snapshots and curves, then pictures while there is time; both at most for `seconds`."""
        until = time.monotonic() + seconds
        if self.log.flush(seconds):
            self._pictures.flush(max(0.0, until - time.monotonic()))

    def close(self, timeout: float = 10.0) -> None:
        """Draw the last sheets, wait `timeout` seconds for what is pending, let go. May be called again."""
        if self.is_open and not self.is_closed:
            if self._newest is not None:
                sheets = self.album.sheets(self._newest)
                for job in [*sheets, self._page_job(self._report, last=True)]:
                    self._pictures.submit(self._everywhere(job))
            self._pictures.close(timeout)
            self.log.submit(self._saving.save_waiting)
            self.log.close()
            for log in self._more:
                log.close()
        self.folder.close()
        self.is_closed = True

    def _stored(self, snapshot: Snapshot) -> dict[str, np.ndarray] | None:
        """The maps that panels can be drawn of; None if the one that matters is not stored."""
        maps = {name: maps[self.album.shown] for name, maps in snapshot.maps.items()}
        return maps if self.album.main in maps else None


def _last_steps(run: Path) -> dict[str, int]:
    try:
        return last_steps(run)
    except OSError as error:
        raise ValueError(f"logdir {str(run)!r} cannot be used: {error}; give another") from error


def _unwritten(jobs: Sequence[Job], written: Mapping[str, int]) -> Job:
    """One job of several, which logs only what comes after the last step written under its tag."""

    def job(sink: Sink) -> None:
        for one in jobs:
            one(_Rest(sink, written))

    return job


class _Rest:
    """A sink that passes on what is not written yet. Older steps would take newer ones away in TensorBoard."""

    def __init__(self, sink: Sink, written: Mapping[str, int]) -> None:
        self._sink, self._written = sink, written

    def scalar(self, tag: str, value: SupportsFloat | None, step: int, description: str = "") -> None:
        if step > self._written.get(clean_tag(tag), -1):
            self._sink.scalar(tag, value, step, description)

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        if step > self._written.get(clean_tag(tag), -1):
            self._sink.image(tag, picture, step)

    def text(self, tag: str, text: str, step: int) -> None:
        if step > self._written.get(clean_tag(tag), -1):
            self._sink.text(tag, text, step)
