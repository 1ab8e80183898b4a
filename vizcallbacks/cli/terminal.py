"""What commands share: printing with the characters that the terminal has, and common arguments."""

from __future__ import annotations

import argparse
import sys
from typing import TextIO

from ..attribution.outputs import OUTPUTS
from ..safe_text import one_line


def say(*lines: str, file: TextIO | None = None) -> None:
    """Print lines; a progress bar under way stays below them. All that the command prints goes through here.

    Parameters
    ----------
    lines : str
        Each is printed as one line, by `one_line`: line breaks, and whatever a terminal or CI would take as a
        command, are escaped. Characters that the terminal's encoding lacks are written as ``\\u1234``.
    file : text stream, optional
        Default: standard output.
    """
    if not lines:
        return
    file = sys.stdout if file is None else file
    encoding = file.encoding or "utf-8"
    text = "\n".join(map(one_line, lines))
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    bars = sys.modules.get("tqdm")  # its import takes a tenth of a second; whoever draws a bar has done it
    if bars is None:
        print(shown, file=file)
    else:
        bars.tqdm.write(shown, file=file)


def take_output(parser: argparse._ActionsContainer) -> None:
    """Add the argument --output."""
    parser.add_argument(
        "--output",
        choices=OUTPUTS,
        help="what the net's outputs are: scores for a softmax, probabilities, or scores for one sigmoid each "
        "(default: probabilities if they look like that, else logits; a single output has none)",
    )


def take_runs(parser: argparse.ArgumentParser) -> None:
    """Add the argument RUN [RUN ...]."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a run's folder, as the handler wrote it, or a folder with runs below",
    )


def take_rules(parser: argparse._ActionsContainer) -> None:
    """Add the arguments --baseline and --rule."""
    parser.add_argument(
        "--baseline",
        metavar="NPZ",
        help="a file that 'accept' wrote, to check against; without one, rules that need none are checked",
    )
    parser.add_argument(
        "--rule",
        action="append",
        metavar="RULE",
        help="such as 'grad_cam/spearman >= 0.7', 'energy/tag <= 0.05 for 90%%', 'dead within noise'; may be "
        "given several times, and replaces the default rules",
    )
