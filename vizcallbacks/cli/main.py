"""The command ``vizcallbacks``: a table of its sub-commands, each a module that is imported when asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from ..version import __version__
from .terminal import say

COMMANDS = {
    "demo": (
        ".demo",
        "train a network on biased and one on honest pictures, and watch both (about two minutes)",
    ),
    "explain": (".explain", "show what a trained network sees in photographs, and where it looks"),
    "probe": (".probe", "make a probe set of a folder or dataset, show it, and say what it can tell"),
    "replay": (".replay", "snapshots from saved checkpoints, after a training or beside it"),
    "accept": (".accept", "make a baseline of one run or several (other seeds)"),
    "check": (".check", "check a run's attention against a baseline; exit code 1 if it regressed"),
    "report": (".report", "write runs as one interactive page, to open in any browser"),
    "export": (".export", "write all measures per image, run and step as CSV or JSON"),
}
"""Name -> module of this room, and a line for the list. The module has ``DESCRIPTION``, ``add_arguments(parser)``
and ``run(options)``, which returns the exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    0 success, 1 attention regressed, 2 wrong arguments or something missing, 130 interrupted by Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = next((word for word in given if not word.startswith("-")), None)
    try:
        module = importlib.import_module(COMMANDS[name][0], __package__) if name in COMMANDS else None
        options = _parser(name, module).parse_args(given)
        return module.run(options)  # type: ignore[union-attr]  # argparse has refused other names
    except (ImportError, ValueError, OSError) as error:
        say(f"vizcallbacks {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say(f"vizcallbacks {name}: interrupted", file=sys.stderr)
        return 130  # the exit code that shells give to Ctrl-C
    except Exception:  # Python's own exit code for it is 1, which `check` has for a regression
        say(*traceback.format_exc().splitlines(), file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    """Says its errors and help by `say`: what they repeat may be a file's name, by a shell's *."""

    def _print_message(self, message: str, file: Any = None) -> None:
        say(*message.rstrip("\n").split("\n"), file=file or sys.stderr)


def _parser(asked: str | None, module: Any) -> argparse.ArgumentParser:
    """The whole command's parser; of the sub-commands only the one that is asked for has its arguments."""
    parser = _Parser(
        prog="vizcallbacks", description="Watch what a Gluon convolutional network looks at while it trains."
    )
    parser.add_argument("--version", action="version", version=f"vizcallbacks {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, line) in COMMANDS.items():
        if name == asked:
            module.add_arguments(commands.add_parser(name, help=line, description=module.DESCRIPTION))
        else:
            commands.add_parser(name, help=line)
    return parser
