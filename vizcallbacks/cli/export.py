"""``vizcallbacks export``: all measures of runs as a table."""

from __future__ import annotations

import argparse

from ..view.run import open_runs
from ..view.table import write_table
from .json_out import take_json, write_json
from .terminal import say, take_runs

DESCRIPTION = (
    "Writes a row for each image of each snapshot of each run: name, classes, probability, every measure. "
    "Exit code: 0 written, 2 not."
)


def run(options: argparse.Namespace) -> int:
    """Write the table."""
    count = write_table(open_runs(options.runs), options.out)
    say(f"written: {options.out}, {count} rows")
    write_json(options, {"written": [options.out], "rows": count})
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    take_runs(parser)
    parser.add_argument("--out", required=True, metavar="FILE", help="ending in .csv or .json")
    take_json(parser)
