"""The command ``vizcallbacks``."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

from ..demo import run as demo
from . import check as check_command
from . import explain as explain_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    0 well, 1 regressed, 2 wrong arguments or something missing, 130 interrupted by Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except (ImportError, ValueError, OSError) as error:
        print(f"vizcallbacks {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"vizcallbacks {options.command}: interrupted", file=sys.stderr)
        return 130  # as a shell has it for Ctrl-C
    except Exception:  # Python's own exit code for it is 1, which `check` has for a regression
        traceback.print_exc()
        return 2


def _demo(options: argparse.Namespace) -> int:
    demo.run(options.logdir, options.epochs, options.seed, options.quick)
    return 0


COMMANDS = {
    "demo": _demo,
    "explain": explain_command.run,
    "accept": check_command.accept,
    "check": check_command.check,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vizcallbacks", description="Watch what a Gluon convolutional network looks at while it trains."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "demo",
        help="train a network on biased and one on honest pictures, and watch both (about two minutes)",
        description="Handwritten digits on photographs, with a coloured tag in a corner that gives the digit away "
        "in the biased training only. Both networks are watched; one learns to look at the tag.",
    )
    one.add_argument(
        "--logdir", default="runs/demo", help="where TensorBoard will look (default: %(default)s)"
    )
    one.add_argument("--epochs", type=int, help="of each training (default: 8, with --quick 2)")
    one.add_argument("--seed", type=int, default=0, help="of weights and training pictures (default: 0)")
    one.add_argument(
        "--quick", action="store_true", help="a quarter of the pictures: only to see that it works"
    )
    explain_command.add_explain(commands)
    check_command.add_accept(commands)
    check_command.add_check(commands)
    return parser
