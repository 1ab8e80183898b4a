"""``vizcallbacks report``: runs as one interactive page, and as a moving picture."""

from __future__ import annotations

import argparse

from ..regression.rules import split_named
from ..view.animation import write_animation
from ..view.report_page import write_report
from ..view.run import open_runs
from .json_out import take_json, write_json
from .terminal import say, take_rules, take_runs

DESCRIPTION = (
    "Writes one HTML file with the maps of all snapshots of the runs, to open in any browser without a "
    "network. With --baseline or --rule, it says what a check of the newest snapshots found. Exit code: 0 "
    "written, 2 not."
)


def run(options: argparse.Namespace) -> int:
    """Write the page, and what else is asked for."""
    if options.out is None and options.animate is None:
        raise ValueError("give --out report.html, --animate evolution.webp, or both")
    rules = split_named(options.rule) if options.rule else None
    if options.out is not None:
        write_report(options.runs, options.out, options.baseline, rules=rules, assets=options.assets)
        say(f"written: {options.out}")
    elif options.assets is not None or options.baseline is not None or rules:
        raise ValueError("--assets, --baseline and --rule concern the page; give --out report.html as well")
    if options.animate is not None:
        write_animation(open_runs(options.runs), options.animate)
        say(f"written: {options.animate}")
    written = [path for path in (options.out, options.animate) if path is not None]
    write_json(options, {"written": written, "runs": list(open_runs(options.runs))})
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    take_runs(parser)
    parser.add_argument("--out", metavar="HTML", help="the page")
    take_rules(parser)
    parser.add_argument(
        "--assets",
        metavar="DIR",
        help="put style, script, data and pictures there instead of into the page, for servers that forbid inline "
        "scripts; made if it does not exist",
    )
    parser.add_argument(
        "--animate",
        metavar="FILE",
        help="also write some images through the epochs as a moving picture: .webp, or .gif (larger)",
    )
    take_json(parser)
