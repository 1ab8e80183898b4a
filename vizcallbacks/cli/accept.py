"""``vizcallbacks accept``: a baseline of runs that are as they should be."""

from __future__ import annotations

import argparse
from typing import Any

from ..regression.accepting import Learnt, accept_images, doubts, learnt
from ..regression.baseline import Baseline
from ..regression.snapshot import read_run
from .json_out import take_json, write_json
from .terminal import say

DESCRIPTION = (
    "Writes a baseline from the newest snapshot of each run. From several runs that differ in nothing but "
    "their seed, it learns the noise, and with it the default rules of 'check'. It names runs that contradict "
    "each other, and refuses them if a rule would then forbid nothing, unless --force is given. Exit code: 0 "
    "written, 2 not."
)


def run(options: argparse.Namespace) -> int:
    """Make a baseline of runs, or change some images of one."""
    baseline = _some_images(options) if options.only else Baseline.from_runs(options.runs, options.step)
    doubted = doubts(baseline)
    for one in doubted:
        say(f"warning: {one.doubt()}")
    vacuous = [one.rule.name for one in doubted if one.vacuous]
    if vacuous and not options.force:
        raise ValueError(
            f"the rules on {', '.join(vacuous)} would forbid next to nothing; leave the odd run out, or write the "
            "baseline all the same with --force"
        )
    baseline.save(options.out)
    count = baseline.targets.shape[1]
    say(f"{options.out}: {count} probe images, layer {baseline.layer!r}, of {'; '.join(baseline.sources)}")
    rules = learnt(baseline)
    for one in rules:
        say(f"  {one}")
    write_json(options, _as_json(options, baseline, rules))
    return 0


def _some_images(options: argparse.Namespace) -> Baseline:
    found = [read_run(folder, options.step)[0] for folder in options.runs]
    source = ", ".join(f"{folder}, {one.when}" for folder, one in zip(options.runs, found))
    return accept_images(Baseline.load(options.out), options.only, found, source)


def _as_json(options: argparse.Namespace, baseline: Baseline, rules: tuple[Learnt, ...]) -> dict[str, Any]:
    return {
        "baseline": options.out,
        "images": len(baseline.names),
        "layer": baseline.layer,
        "sources": list(baseline.sources),
        "rules": [
            {
                "measure": one.rule.name,
                "margin": one.margin,
                "assumed": one.assumed,
                "allowed": list(one.bounds),
                "doubt": one.doubt() if one.doubtful else None,
            }
            for one in rules
        ],
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, as the handler wrote it")
    parser.add_argument(
        "--out", required=True, help="the baseline's file, such as baseline.npz; replaced if it exists"
    )
    parser.add_argument("--step", type=int, help="take this snapshot of each run, not the newest")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="change nothing but these images of the baseline --out; all others stay as they were accepted",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="write it even where the runs differ so much that a rule forbids nothing",
    )
    take_json(parser)
