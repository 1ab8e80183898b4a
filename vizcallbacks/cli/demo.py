"""``vizcallbacks demo``: the demo's arguments."""

from __future__ import annotations

import argparse

from ..demo.run import facts_of
from ..demo.run import run as run_demo
from .json_out import take_json, write_json

DESCRIPTION = (
    "Handwritten digits on photographs, with a coloured tag in a corner that gives the digit away in the biased "
    "training only. Both networks are watched; one learns to look at the tag."
)


def run(options: argparse.Namespace) -> int:
    """Train and watch both networks."""
    outcomes = run_demo(options.logdir, options.epochs, options.seed, options.quick)
    write_json(options, facts_of(options.logdir, outcomes))
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument(
        "--logdir", default="runs/demo", help="the folder for TensorBoard's --logdir (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, help="epochs of each training (default: 8, with --quick 2)")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of weights and training pictures (default: 0)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a quarter of the pictures, to see that it works; too few to learn from",
    )
    take_json(parser)
