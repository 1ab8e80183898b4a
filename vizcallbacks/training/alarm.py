"""`Alarm`: checks each snapshot of a training, counts violations, and acts when they do not end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..attribution.methods import METHODS
from ..attribution.result import Attributions
from ..checks import check_whole
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.comparable import NotComparableError
from ..regression.comparing import compare
from ..regression.quantities import known_names, no_mask, read_name, tolerance_of
from ..regression.report import Report, accept_command
from ..regression.report_files import picture, save_picture
from ..regression.rules import Thresholds, parse_rules
from ..regression.snapshot import FOLDER, Snapshot
from .best import Best
from .jobs import Job, Sink

BEST = "best"


class AttentionAlarm(RuntimeError):
    """Raised by the action "raise"; `report` says what was violated."""

    def __init__(self, report: Report, violations: int) -> None:
        super().__init__(f"{violations} violating snapshots in a row\n{report}")
        self.report = report


class Alarm:
    """What `AttentionMonitor` asks about each of its snapshots.

    After `patience` violating snapshots in a row it acts, at that one and at each further one. What it knows
    follows from the run's snapshots, so a training that starts again goes on counting: they are judged again.

    Parameters
    ----------
    probe : ProbeSet
    methods : sequence of str
        That are computed.
    baseline : Baseline, path, "best" or None
        "best": the best snapshot of the training so far, once attention has settled (`vizcallbacks.training.best`
        says when). It finds a net that starts to look elsewhere; a net that looked at the wrong thing from the
        start needs a baseline of other runs, or rules on masks. None: the rules need no baseline.
    thresholds : mapping of str to str, or to several
        As for `compare`; None: the baseline's own.
    patience : int
        Violating snapshots in a row before anything is done.
    action : "log", "warn", "stop", "raise" or callable
        A line for the logger, as information or as a warning; a warning and the end of the training
        (`AttentionMonitor.should_stop`); the exception `AttentionAlarm`. A callable gets the `Report`, and ends
        the training if it returns True.
    check_from : int
        Snapshots of earlier steps are not checked: a net that has not learnt yet looks nowhere in particular.

    Raises
    ------
    TypeError, ValueError
        An argument is invalid, or a rule is on something that these snapshots will not have.
    OSError
        The baseline cannot be read.
    """

    def __init__(
        self,
        probe: ProbeSet,
        methods: Sequence[str],
        baseline: Baseline | str | os.PathLike | None = None,
        thresholds: Thresholds | None = None,
        patience: int = 2,
        action: str | Callable[[Report], Any] = "warn",
        check_from: int = 1,
    ) -> None:
        if not callable(action) and action not in ACTIONS:
            raise ValueError(
                f"action must be one of {', '.join(map(repr, ACTIONS))}, or callable, got {action!r}"
            )
        for name, value, least in (("patience", patience, 1), ("check_from", check_from, 0)):
            check_whole(name, value, least)
        self._probe, self._thresholds = probe, thresholds
        self._patience, self._action, self._from = patience, action, check_from
        self._accepted = "baseline.npz"
        from_best = isinstance(baseline, str) and baseline == BEST
        self._baseline: Baseline | None = None
        if isinstance(baseline, (str, os.PathLike)) and not from_best:
            self._accepted, baseline = os.fspath(baseline), Baseline.load(baseline)
        if isinstance(baseline, Baseline):
            self._baseline = baseline
            baseline.check_probe(probe.digest, len(probe))
        elif baseline is not None and not from_best:
            raise TypeError(f"baseline must be a Baseline, its file, 'best' or None, got {baseline!r}")
        if from_best and not any(METHODS[name].shape == "layer" for name in methods):
            raise ValueError(
                "baseline='best' needs maps of the CAM family; compute the method 'grad_cam' as well"
            )
        if thresholds is not None:
            _check_rules(thresholds, probe, methods, self._baseline, from_best)
        elif self._baseline is None and not from_best:
            raise ValueError("an alarm needs a baseline or thresholds, got neither")
        self._best = Best(probe, thresholds) if from_best else None
        self.violations = 0

    @property
    def due(self) -> bool:
        """Whether the last snapshot was the `patience`-th in a row that violates a rule, or a further one."""
        return self.violations >= self._patience

    def check_start(self, first: Attributions, targets: np.ndarray | None) -> None:
        """Raise NotComparableError if snapshots like this attribution of one image cannot be compared.

        `targets`: the classes, (N,), if they are known before the predictions.
        """
        if self._baseline is not None:
            maps = {name: maps for name, maps in first.maps.items() if METHODS[name].shape == "layer"}
            if not maps:
                raise NotComparableError(
                    "a baseline needs maps of the CAM family; compute the method 'grad_cam'"
                )
            self._baseline.check_maps(first.layer, maps)
            if targets is not None and not self._baseline.explains_prediction:
                self._baseline.check_targets(targets)

    def judge(self, taken: Snapshot) -> Report | None:
        """Check a snapshot and count; None if it is not to be checked."""
        if taken.step < self._from:
            return None
        report: Report | None
        if self._best is None:
            report = compare(taken, self._baseline, self._thresholds, probe=self._probe)
        else:
            report = self._best.judge(taken)
        self.violations = 0 if report is None or report.passed else self.violations + 1
        return report

    def act(self, report: Report, logger: logging.Logger) -> bool:
        """Do what was asked for; whether the training is to end."""
        if callable(self._action):
            return self._action(report) is True
        return ACTIONS[self._action](report, self.violations, logger)

    def described(self, report: Report, run: Path) -> tuple[Report, Job]:
        """The report with the picture's path and how to accept, and the job that draws the one and logs both."""
        path = run / FOLDER / f"check-{report.snapshot.step:08d}.png"
        accept = "" if self._baseline is None else accept_command([run], self._accepted, report.snapshot.step)
        report = report.filed(path, accept=accept)

        def job(sink: Sink) -> None:
            sink.text("attention/check_report", f"```\n{report}\n```", report.snapshot.step)
            if report.snapshot.maps:
                sink.image("attention/check_worst", picture(report, self._probe), report.snapshot.step)
                save_picture(report, self._probe, path)

        return report, job


def _log(report: Report, violations: int, logger: logging.Logger) -> bool:
    logger.info("%s", report)
    return False


def _warn(report: Report, violations: int, logger: logging.Logger) -> bool:
    logger.warning("%d violating snapshots in a row\n%s", violations, report)
    return False


def _stop(report: Report, violations: int, logger: logging.Logger) -> bool:
    logger.warning("%d violating snapshots in a row: the training is stopped\n%s", violations, report)
    return True


def _raise(report: Report, violations: int, logger: logging.Logger) -> bool:
    raise AttentionAlarm(report, violations)


ACTIONS: dict[str, Callable[[Report, int, logging.Logger], bool]] = {
    "log": _log,
    "warn": _warn,
    "stop": _stop,
    "raise": _raise,
}
"""Name -> function of the report, the violating snapshots in a row and a logger: whether the training ends."""


def _check_rules(
    thresholds: Any, probe: ProbeSet, methods: Any, baseline: Baseline | None, from_best: bool
) -> None:
    """Raise ValueError for rules that could never be judged, so that it is known before the training."""
    maps = [name for name in methods if METHODS[name].shape == "layer"]
    compared = [name for name in maps if baseline is None or name in baseline.maps]
    relative = baseline is not None or from_best
    known = known_names(compared, tuple(probe.masks), relative, maps=bool(maps))
    for rule in parse_rules(thresholds):
        try:
            found = read_name(rule.name)
        except ValueError:
            raise ValueError(f"there will be no measure {rule.name!r}; {known}") from None
        quantity = found.quantity
        if quantity.of == "mask" and maps and found.of not in probe.masks:
            raise ValueError(
                f"there will be no measure {rule.name!r}, {no_mask(found.of, tuple(probe.masks))}"
            )
        if (
            (quantity.needs_maps and not maps and rule.name != "drift")
            or (quantity.needs_baseline and not relative)
            or (quantity.of == "method" and found.of not in compared)
        ):
            raise ValueError(f"there will be no measure {rule.name!r}; {known}")
        if rule.needs_baseline and (not relative or rule.name == "drift"):
            raise ValueError(f"the rule '{rule}' needs a baseline; give one, or a bound that is a number")
        if rule.needs_baseline and rule.bound is None:
            tolerance_of(rule.name)
