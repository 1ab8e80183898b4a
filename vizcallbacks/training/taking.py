"""`Taking`: how the snapshots of one run are taken, one after the other: asked for, checked, handed over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..checks import as_numpy
from ..regression import snapshot as snapshots
from ..regression.report import Report
from ..regression.snapshot import Snapshot
from .beside import check_alone
from .budget import Budget
from .draining import Draining
from .jobs import Job, sanity_job
from .journal import Journal
from .plan import Plan
from .telling import Telling

if TYPE_CHECKING:
    from ..mxnet_door import gluon
    from .question import Question


class Taking:
    """What lies between two snapshots of a run, and the steps of taking one.

    Attributes
    ----------
    journal : Journal
    draining : Draining
    previous : Snapshot or None
        The one before.
    report : Report or None
        What the check of the last snapshot found.
    failures : int
        Snapshots that failed.
    should_stop : bool
        Whether the alarm's action asked for the end of the training.
    """

    def __init__(self, plan: Plan, logdir: Any, logger: logging.Logger) -> None:
        self._plan, self._logger = plan, logger
        self.journal = Journal(plan, logdir, logger)
        self.draining = Draining(plan.drain_on, self.journal.drain)
        self._budget = Budget(plan.max_overhead)
        self._telling = Telling(plan, self.journal.run, self._budget, logger)
        self._alarm = plan.alarm()
        self._question: Question | None = None
        self.previous: Snapshot | None = None
        self.report: Report | None = None
        self.failures = self._taken = 0
        self.should_stop = False

    def try_out(self, net: gluon.Block) -> None:
        """Explain one image, and keep the layer that was found; errors as for `AttentionMonitor.check`."""
        from .question import Kept, Question  # MXNet is imported here, where a net is run

        probe, targets, _ = self._plan.share
        plan = self._plan
        kept = Kept() if plan.keep_trace else None
        given = (tuple(plan.methods), plan.layer, targets, plan.batch_size, plan.extra)
        question = Question(probe, *given, kept, plan.output)
        check_alone(net)
        first, classes = question.try_out(net)
        if self._alarm is not None:
            self._alarm.check_start(first, classes)
        self._question = replace(question, layer=first.layer)

    def start(self, step: int, net: gluon.Block | None = None) -> None:
        """Open the run's folder before its first snapshot, going on with what is there; errors as for `check`."""
        if self.journal.is_closed:
            raise RuntimeError("the monitor is closed; make a new one, which goes on in the same folder")
        if net is not None and self._question is None:
            self.try_out(net)
        if not self.journal.is_open:
            self.draining.check_thread()
            self.previous = self.journal.open(step, self._judge)
            self.draining.install()

    def of_net(self, net: gluon.Block, step: int, when: str) -> Snapshot | None:
        """A snapshot of a net; None if it failed, or the budget leaves it out."""
        if not self._budget.begin():
            self.report = None
            self._telling.of_thinning()
            return None
        try:
            return self._guarded(step, lambda: self._ask(net, step, when))
        finally:
            self._budget.end()
            self._act()

    def of_maps(
        self, step: int, maps: Mapping[str, Any], outputs: Any, targets: Any, **more: Any
    ) -> Snapshot | None:
        """A snapshot of maps that something else computed; arguments, errors: `AttentionMonitor.record`."""
        probe, planned, _ = self._plan.share
        album = self.journal.album
        if album.main not in maps:
            raise ValueError(
                f"maps must hold {album.main!r}, which the monitor was made for, got {', '.join(maps) or 'none'}; "
                "make it with methods=... of what you record"
            )
        given = (step, maps, outputs, planned if targets is None else targets)
        more.setdefault("output", self._plan.output)
        Snapshot.from_arrays(probe, *given, **more)  # raises before the folder is touched
        self.start(step)

        def keep() -> Snapshot:
            began = time.perf_counter()
            taken = Snapshot.from_arrays(probe, *given, previous=self.previous, **more)
            drawn = {name: as_numpy(maps[name])[album.shown] for name in self._plan.methods if name in maps}
            return self._keep(taken, drawn, [], began)

        try:
            return self._guarded(step, keep)
        finally:
            self._act()

    def _judge(self, taken: Snapshot) -> Report | None:
        return None if self._alarm is None else self._alarm.judge(taken)

    def _guarded(self, step: int, make: Callable[[], Snapshot]) -> Snapshot | None:
        """What `make` returns; None, with one warning, if it fails and `on_error` is "warn"."""
        self.report = None
        try:
            return make()
        except Exception as error:
            self.failures += 1
            if self._plan.on_error == "raise":
                raise
            if self.failures == 1:
                self._logger.warning(
                    "the attention snapshot at step %d failed (%s: %s); training goes on, and so do snapshots; "
                    "more failures are only counted",
                    step,
                    type(error).__name__,
                    error,
                )
            return None

    def _act(self) -> None:
        if self._alarm is not None and self.report is not None and self._alarm.due:
            self.should_stop = self._alarm.act(self.report, self._logger) or self.should_stop

    def _ask(self, net: gluon.Block, step: int, when: str) -> Snapshot:
        if self._question is None:
            raise RuntimeError("the monitor has no question yet; call start")
        check_alone(net)
        began = time.perf_counter()
        album = self.journal.album
        result, drawn = self._question.ask(net, album.shown)
        also = self._plan.wrong == "also predicted"
        why = self._question.ask_why(net, result, album.shown, album.main) if also else {}
        passed = time.perf_counter()
        self._telling.of_written(snapshots.written_by(result))
        taken = snapshots.take(result, result.probe, step, when, self.previous)
        period, facts = self._plan.sanity_period, []
        if period is not None and (self._taken + 1) % period == 0:
            facts.append(sanity_job(self._question.sanity(net), step))
        return self._keep(taken, drawn, facts, began, passed, why)

    def _keep(
        self,
        taken: Snapshot,
        drawn: Mapping[str, Any],
        facts: list[Job],
        began: float,
        passed: float | None = None,
        why: Mapping[int, Any] | None = None,
    ) -> Snapshot:
        passed = time.perf_counter() if passed is None else passed
        self.report, pictures = self._judge(taken), []
        if self._alarm is not None and self.report is not None and self._alarm.due:
            self.report, job = self._alarm.described(self.report, self.journal.run)
            pictures.append(job)
        self._taken += 1
        self.previous = taken
        handed = [0.0]

        def drew(seconds: float, processor: float) -> None:
            self._budget.drew(processor)
            self._telling.of_snapshot(taken, passed - began, handed[0], seconds)

        with self.draining.undisturbed():
            self.journal.write(taken, drawn, self.report, facts, pictures, drew, why)
        handed[0] = time.perf_counter() - passed
        return taken
