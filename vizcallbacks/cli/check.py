"""``vizcallbacks accept`` and ``vizcallbacks check``: regression checks of attention on a run's folder."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace

from ..regression.baseline import Baseline
from ..regression.comparing import compare
from ..regression.report_files import save_json, save_junit, save_picture
from ..regression.rules import split_named
from ..regression.snapshot import read_run
from .terminal import say


def accept(options: argparse.Namespace) -> int:
    """Make a baseline of runs."""
    baseline = Baseline.from_runs(options.runs, options.step)
    baseline.save(options.out)
    count = baseline.targets.shape[1]
    say(f"{options.out}: {count} probe images, layer {baseline.layer!r}, of {'; '.join(baseline.sources)}")
    for name in baseline.thresholds():
        say(f"  {name}: noise of the mean {baseline.margin(name)[0]:.3f}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Check a run: 0 passed, 1 regressed."""
    if options.baseline is None and not options.rule:
        raise ValueError(
            "give --baseline, or at least one --rule that needs none, such as 'energy/tag <= 0.05'"
        )
    snapshot, probe = read_run(options.run, options.step)
    baseline = None if options.baseline is None else Baseline.load(options.baseline)
    report = compare(snapshot, baseline, split_named(options.rule) if options.rule else None, probe=probe)
    if options.baseline is not None:
        step = "" if options.step is None else f" --step {options.step}"
        command = (
            f"vizcallbacks accept {shlex.quote(options.run)}{step} --out {shlex.quote(options.baseline)}"
        )
        report = replace(report, accept=command)
    if options.report is not None:
        save_picture(report, probe, options.report)
        report = replace(report, files=(options.report,))
    if options.junit is not None:
        save_junit(report, options.junit)
    if options.json is not None:
        save_json(report, options.json)
    say(str(report))
    return 0 if report.passed else 1


def add_accept(commands) -> None:
    """Add the command's parser to argparse's sub-parsers."""
    one = commands.add_parser(
        "accept",
        help="make a baseline of one run or several (other seeds)",
        description="Writes a baseline from the newest snapshot of each run. From several runs that differ in "
        "nothing but their seed, the noise is learnt, and with it the default rules of 'check'.",
    )
    one.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, as the handler wrote it")
    one.add_argument(
        "--out", required=True, help="the baseline's file, such as baseline.npz; replaced if there"
    )
    one.add_argument("--step", type=int, help="take this snapshot of each run, not the newest")


def add_check(commands) -> None:
    """Add the command's parser to argparse's sub-parsers."""
    one = commands.add_parser(
        "check",
        help="check a run's attention against a baseline; exit code 1 if it regressed",
        description="Checks the newest snapshot of a run. Exit code: 0 passed, 1 regressed, 2 not comparable or "
        "unreadable.",
    )
    one.add_argument("run", metavar="RUN", help="the run's folder, as the handler wrote it")
    one.add_argument(
        "--baseline", help="a file that 'accept' wrote; without one, rules that need none are checked"
    )
    one.add_argument(
        "--rule",
        action="append",
        metavar="RULE",
        help="such as 'grad_cam/spearman >= 0.7', 'energy/tag <= 0.05 for 90%%', 'dead within noise'; may be "
        "given several times, and takes the place of the default rules",
    )
    one.add_argument("--step", type=int, help="check this snapshot, not the newest")
    one.add_argument("--report", metavar="PNG", help="draw the worst images beside their baseline")
    one.add_argument("--junit", metavar="XML", help="write the outcome as JUnit XML")
    one.add_argument("--json", metavar="JSON", help="write the outcome as JSON")
