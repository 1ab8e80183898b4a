"""`find_first_bad`: the first checkpoint from which a check fails and stays failed, by explaining few of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.comparing import compare
from ..regression.report import Report
from ..regression.snapshot import Snapshot
from .checkpoints import Checkpoint
from .monitor import AttentionMonitor
from .replay import DRAWN, first_job, make_plan, record
from .replay_tasks import Answer, answer, given_by
from .source import Source


@dataclass(frozen=True)
class FirstBad:
    """What a bisection found.

    Attributes
    ----------
    step : int or None
        The first bad one; None where the last checkpoint passes.
    path : str or None
        Its checkpoint.
    reports : mapping of int to Report
        Step -> what its check found, of all that were looked at, in the order of their steps.
    count : int
        Checkpoints that there are.
    skipped : mapping of str to str
        Checkpoint -> why it could not be used.
    """

    step: int | None
    path: str | None
    reports: dict[int, Report]
    count: int
    skipped: dict[str, str]


def find_first_bad(
    checkpoints: Any,
    make_net: Callable[[], Any],
    probe: ProbeSet,
    logdir: Any,
    *,
    step_from: str | None = None,
    every: int = 1,
    told: Callable[[int, bool], Any] | None = None,
    **options: Any,
) -> FirstBad:
    """Find the first checkpoint that fails a check which all later ones fail too.

    The last one is looked at, and where it fails, the middle of what is left, again and again: of 1000 checkpoints
    eleven are explained. That finds the first bad one if a fault, once there, stays; where it comes and goes, one
    of the steps at which it came. The snapshots looked at go to the run's folder.

    Parameters
    ----------
    checkpoints, make_net, probe, logdir, step_from, every, **options
        As for `replay`; `baseline` or `thresholds` among the options. Rules on drift are between the snapshots
        looked at, and so not judged.
    told : callable, optional
        Called with each step that was looked at, and whether it passed.

    Returns
    -------
    FirstBad

    Raises
    ------
    ValueError, TypeError
        An argument is invalid; nothing is to be checked; no checkpoint can be used.
    """
    plan = make_plan(probe, options)
    if plan.baseline is None and plan.thresholds is None:
        raise ValueError("a first bad checkpoint needs a check: give baseline=... or thresholds=...")
    if plan.baseline == "best":
        raise ValueError(
            "baseline must be a file or a Baseline here, got 'best', which is of a training in its order"
        )
    given = plan.baseline
    baseline = Baseline.load(given) if isinstance(given, (str, os.PathLike)) else given
    source = Source(checkpoints, Path(logdir), step_from, every, None)
    known = list(source.stream())
    job, _ = first_job(plan, make_net, iter(known), source.skip)
    if job is None:
        raise ValueError(
            f"no checkpoint can be used; the first fault: {next(iter(source.skipped.values()), 'none is left')}"
        )
    found: list[Checkpoint] = [one for one in known if one is not None and one.path not in source.skipped]
    answers: dict[int, Answer] = {}
    reports: dict[int, Report] = {}

    def is_bad(place: int) -> bool | None:
        """Whether a checkpoint fails; None if it cannot be used, and then it is taken out."""
        one = found[place]
        said = answer(job, one)
        if said.fault:
            source.skip(one.path, said.fault)
            del found[place]
            return None
        probe = job.question.probe
        snapshot = Snapshot.from_arrays(probe, one.step, **given_by(said, job))
        report = compare(snapshot, baseline, plan.thresholds, probe=probe)
        answers[one.step], reports[one.step] = said, report
        if told is not None:
            told(one.step, report.passed)
        return not report.passed

    first = _bisect(found, is_bad)
    unchecked = replace(
        plan, baseline=None, thresholds=None
    )  # the checks are made, and would be told out of order
    with AttentionMonitor.of(unchecked, logdir) as monitor:
        for step in sorted(answers):
            record(monitor, answers[step], job)
        monitor.close(DRAWN)
    return FirstBad(
        None if first is None else first.step,
        None if first is None else first.path,
        {step: reports[step] for step in sorted(reports)},
        len(found),
        source.skipped,
    )


def _bisect(found: list[Checkpoint], is_bad: Callable[[int], bool | None]) -> Checkpoint | None:
    """The first bad one; `is_bad` takes those out of the list that cannot be used."""
    last = None
    while found and last is None:
        last = is_bad(len(found) - 1)
    if not last:
        return None
    good, bad = -1, len(found) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        answer = is_bad(middle)
        if answer is None:
            bad -= 1  # those behind it have moved up
        elif answer:
            bad = middle
        else:
            good = middle
    return found[bad]
