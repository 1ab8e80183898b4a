"""``vizcallbacks accept``: a baseline of runs that are as they should be."""

from __future__ import annotations

import argparse

from ..regression.baseline import Baseline
from .terminal import say

DESCRIPTION = (
    "Writes a baseline from the newest snapshot of each run. From several runs that differ in nothing but "
    "their seed, the noise is learnt, and with it the default rules of 'check'."
)


def run(options: argparse.Namespace) -> int:
    """Make a baseline of runs."""
    baseline = Baseline.from_runs(options.runs, options.step)
    baseline.save(options.out)
    count = baseline.targets.shape[1]
    say(f"{options.out}: {count} probe images, layer {baseline.layer!r}, of {'; '.join(baseline.sources)}")
    for name in baseline.thresholds():
        say(f"  {name}: noise of the mean {baseline.margin(name)[0]:.3f}")
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, as the handler wrote it")
    parser.add_argument(
        "--out", required=True, help="the baseline's file, such as baseline.npz; replaced if there"
    )
    parser.add_argument("--step", type=int, help="take this snapshot of each run, not the newest")
