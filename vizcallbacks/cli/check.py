"""``vizcallbacks check``: a run's attention against a baseline."""

from __future__ import annotations

import argparse
import os

from ..regression.baseline import Baseline
from ..regression.comparing import compare
from ..regression.course import check_course, course_lines, first_bad
from ..regression.report import accept_command
from ..regression.report_files import (
    as_json,
    course_as_json,
    save_course_junit,
    save_junit,
    save_picture,
)
from ..regression.rules import Thresholds, split_named
from ..regression.snapshot import read_run
from ..view.report_page import write_checked
from ..view.summary import add_to_job_summary
from ..view.verdicts import save_verdict
from .json_out import take_json, write_json
from .terminal import say, take_rules

DESCRIPTION = (
    "Checks the newest snapshot of a run, or all of them. Exit code: 0 the newest passed, 1 it regressed, 2 not "
    "comparable or unreadable. The outcome is also added to the file that $GITHUB_STEP_SUMMARY names, if that "
    "is set."
)


def run(options: argparse.Namespace) -> int:
    """Check a run: 0 passed, 1 regressed."""
    if not os.path.isdir(options.run):
        raise ValueError(f"there is no folder {options.run!r}; give the folder that the training logged to")
    if options.baseline is None and not options.rule:
        raise ValueError(
            "give --baseline, or at least one --rule that needs none, such as 'energy/tag <= 0.05'"
        )
    baseline = None if options.baseline is None else Baseline.load(options.baseline)
    rules = split_named(options.rule) if options.rule else None
    if options.all or options.first_bad:
        return _course(options, baseline, rules)
    accept = "" if baseline is None else accept_command([options.run], options.baseline, options.step)
    snapshot, probe = read_run(options.run, options.step)
    report = compare(snapshot, baseline, rules, probe=probe, accept=accept)
    if options.report is not None:
        report = save_picture(report, probe, options.report)
    if options.junit is not None:
        save_junit(report, options.junit)
    write_json(options, as_json(report))
    if options.html is not None:
        write_checked(options.run, report, options.html)
    if options.tab:
        save_verdict(options.run, report)
    add_to_job_summary(report)
    say(*str(report).split("\n"))
    return 0 if report.passed else 1


def _course(options: argparse.Namespace, baseline: Baseline | None, rules: Thresholds | None) -> int:
    """Check every step of a run: 1 if the newest regressed."""
    reports, probe = check_course(options.run, baseline, rules)
    bad = first_bad(reports)
    if options.junit is not None:
        save_course_junit(reports, options.junit)
    write_json(options, course_as_json(reports))
    if options.all:
        say(*course_lines(reports))
    told = reports[-1] if bad is None or not options.first_bad else bad
    if baseline is not None:
        told = told.filed(accept=accept_command([options.run], options.baseline, told.snapshot.step))
    if options.report is not None:
        told = save_picture(told, probe, options.report)
    if options.html is not None:
        write_checked(options.run, told, options.html)
    if options.tab:
        save_verdict(options.run, reports[-1])
    add_to_job_summary(told)
    if bad is None:
        passed = sum(report.passed for report in reports)
        say(f"no step from which the rules stay failed: {passed} of {len(reports)} passed, the newest too")
        return 0
    count = len(reports) - reports.index(bad)
    say(
        f"first bad step: {bad.snapshot.step} ({bad.snapshot.when}); from it on the rules fail and stay failed, "
        f"{count} of {len(reports)} steps"
    )
    say(*str(told).split("\n"))
    return 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder, as the handler wrote it")
    take_rules(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--step", type=int, help="check this snapshot, not the newest")
    which.add_argument("--all", action="store_true", help="check every snapshot, a line for each step")
    which.add_argument(
        "--first-bad",
        action="store_true",
        help="check every snapshot, and tell the first from which the rules fail and stay failed",
    )
    parser.add_argument("--report", metavar="PNG", help="draw the worst images beside their baseline")
    parser.add_argument(
        "--junit",
        metavar="XML",
        help="write the outcome as JUnit XML: a case for each rule, or for each step",
    )
    parser.add_argument(
        "--html", metavar="HTML", help="write the run as an interactive page, with the outcome on top"
    )
    parser.add_argument(
        "--tab",
        action="store_true",
        help="also write the outcome to RUN/attention/verdict.json, so that TensorBoard's tab Attention shows it",
    )
    take_json(parser)
