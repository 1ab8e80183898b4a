"""The command ``vizcallbacks``: a table of its sub-commands, each a module that is imported when asked for."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from ..checks import did_you_mean
from ..version import __version__
from .completing import complete
from .json_out import alone, without_file, write_error
from .terminal import say

COMMANDS = {
    "demo": (
        ".demo",
        "train a network on biased and one on honest pictures, and watch both (about two minutes)",
    ),
    "explain": (".explain", "show what a trained network sees in photographs, and where it looks"),
    "probe": (".probe", "make a probe set of a folder or dataset, show it, and say what it cannot tell"),
    "replay": (".replay", "take snapshots from saved checkpoints, after a training or while it runs"),
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
    complete(COMMANDS, lambda asked: _parser(asked, _module_of(asked)))
    given = without_file(sys.argv[1:] if arguments is None else arguments)
    options = None
    name = next((word for word in given if not word.startswith("-")), None)
    try:
        module = _module_of(name)
        options = _options(name, _parser(name, module), given)
        with alone(options):
            return module.run(options)
    except (ImportError, ValueError, OSError) as error:
        told = str(error)
        if isinstance(error, FileNotFoundError) and error.filename is not None:
            told = f"there is no file {os.fsdecode(error.filename)!r}; check the path"
        say(f"vizcallbacks {name}: {told}", file=sys.stderr)
        write_error(options, told)
        return 2
    except KeyboardInterrupt:
        say(f"vizcallbacks {name}: interrupted", file=sys.stderr)
        return 130  # the exit code that shells give to Ctrl-C
    except Exception:  # Python's own exit code for it is 1, which `check` has for a regression
        say(*traceback.format_exc().splitlines(), file=sys.stderr)
        write_error(options, traceback.format_exc().splitlines()[-1])
        return 2


def _options(name: str | None, parser: _Parser, given: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; a misspelt one ends the program with exit code 2 and a suggestion."""
    if name is not None and name not in COMMANDS:
        parser.error(
            f"there is no command {name!r}{did_you_mean(name, COMMANDS)}; commands are {', '.join(COMMANDS)}"
        )
    options, rest = parser.parse_known_args(given)
    if rest:
        asked = parser.asked or parser
        word, known = (
            rest[0].split("=")[0],
            [text for action in asked._actions for text in action.option_strings],
        )
        what = f"there is no argument {word!r}" if word.startswith("-") else f"{word!r} is one word too many"
        asked.error(f"{what}{did_you_mean(word, known)}")
    return options


def _module_of(name: str | None) -> Any:
    """The module of a sub-command; None for any other word, which argparse refuses."""
    return importlib.import_module(COMMANDS[name][0], __package__) if name in COMMANDS else None


class _Parser(argparse.ArgumentParser):
    """Prints its errors and help by `say`, since they may repeat a hostile file name that the shell put for a *.

    `asked`: the parser of the sub-command that is asked for.
    """

    asked: _Parser | None = None

    def _print_message(self, message: str, file: Any = None) -> None:
        say(*message.rstrip("\n").split("\n"), file=file or sys.stderr)


def _parser(asked: str | None, module: Any) -> _Parser:
    """The whole command's parser; only the sub-command that is asked for has its arguments."""
    parser = _Parser(
        prog="vizcallbacks", description="Watch what a Gluon convolutional network looks at while it trains."
    )
    parser.add_argument("--version", action="version", version=f"vizcallbacks {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, line) in COMMANDS.items():
        if name == asked:
            parser.asked = commands.add_parser(name, help=line, description=module.DESCRIPTION)
            module.add_arguments(parser.asked)
        else:
            commands.add_parser(name, help=line)
    return parser
