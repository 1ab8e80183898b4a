"""A whole run checked, step by step: when did it begin to fail for good?"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..probes.probe_set import ProbeSet
from .baseline import Baseline
from .comparing import compare
from .report import Report
from .rules import Thresholds
from .snapshot import Snapshot, list_snapshots, read_run


def check_course(
    run: str | os.PathLike[str],
    baseline: Baseline | None,
    thresholds: Thresholds | None = None,
) -> tuple[list[Report], ProbeSet]:
    """Check every snapshot of a run.

    Parameters
    ----------
    run : str or os.PathLike
        The run's folder.
    baseline, thresholds
        As for `compare`.

    Returns
    -------
    list of Report
        In the order of the steps.
    ProbeSet
        The run's.

    Raises
    ------
    NotComparableError, ValueError, OSError
        There is no snapshot, one cannot be read, or cannot be compared.
    """
    _, probe = read_run(run)
    snapshots = (Snapshot.load(path) for path in list_snapshots(run))
    return [compare(one, baseline, thresholds, probe=probe) for one in snapshots], probe


def first_bad(reports: Sequence[Report]) -> Report | None:
    """The first report from which on all fail; None if the last one passed, or there is none."""
    bad = None
    for report in reversed(reports):
        if report.passed:
            break
        bad = report
    return bad


def failed_rules(report: Report) -> str:
    """The rules that failed, in a line; "" if none did."""
    return ", ".join(str(finding.rule) for finding in report.failures)


def course_lines(reports: Sequence[Report]) -> list[str]:
    """A line for each step: whether it passed, and the rules that failed."""
    width = max((len(str(report.snapshot.step)) for report in reports), default=0)
    return [
        f"step {report.snapshot.step:>{width}}  "
        + (f"FAIL  {failed_rules(report)}" if report.failures else "pass")
        for report in reports
    ]
