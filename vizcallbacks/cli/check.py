"""``vizcallbacks check``: a run's attention against a baseline."""

from __future__ import annotations

import argparse

from ..regression.baseline import Baseline
from ..regression.comparing import compare
from ..regression.report import accept_command
from ..regression.report_files import save_json, save_junit, save_picture
from ..regression.rules import split_named
from ..regression.snapshot import read_run
from ..view.report_page import write_checked
from ..view.summary import add_to_job_summary
from .terminal import say

DESCRIPTION = (
    "Checks the newest snapshot of a run. Exit code: 0 passed, 1 regressed, 2 not comparable or unreadable. "
    "The outcome is also added to the file that $GITHUB_STEP_SUMMARY names, where that is set."
)


def run(options: argparse.Namespace) -> int:
    """Check a run: 0 passed, 1 regressed."""
    if options.baseline is None and not options.rule:
        raise ValueError(
            "give --baseline, or at least one --rule that needs none, such as 'energy/tag <= 0.05'"
        )
    snapshot, probe = read_run(options.run, options.step)
    baseline = None if options.baseline is None else Baseline.load(options.baseline)
    accept = "" if baseline is None else accept_command([options.run], options.baseline, options.step)
    rules = split_named(options.rule) if options.rule else None
    report = compare(snapshot, baseline, rules, probe=probe, accept=accept)
    if options.report is not None:
        report = save_picture(report, probe, options.report)
    if options.junit is not None:
        save_junit(report, options.junit)
    if options.json is not None:
        save_json(report, options.json)
    if options.html is not None:
        write_checked(options.run, report, options.html)
    add_to_job_summary(report)
    say(*str(report).split("\n"))
    return 0 if report.passed else 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder, as the handler wrote it")
    parser.add_argument(
        "--baseline", help="a file that 'accept' wrote; without one, rules that need none are checked"
    )
    parser.add_argument(
        "--rule",
        action="append",
        metavar="RULE",
        help="such as 'grad_cam/spearman >= 0.7', 'energy/tag <= 0.05 for 90%%', 'dead within noise'; may be "
        "given several times, and takes the place of the default rules",
    )
    parser.add_argument("--step", type=int, help="check this snapshot, not the newest")
    parser.add_argument("--report", metavar="PNG", help="draw the worst images beside their baseline")
    parser.add_argument("--junit", metavar="XML", help="write the outcome as JUnit XML")
    parser.add_argument(
        "--html", metavar="HTML", help="write the run as an interactive page, the outcome on top"
    )
    parser.add_argument("--json", metavar="JSON", help="write the outcome as JSON")
