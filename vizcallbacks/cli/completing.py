"""Completion by the Tab key: the shell calls the command with ``_ARGCOMPLETE`` set; extra ``[completion]``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Collection


def complete(names: Collection[str], parser_of: Callable[[str | None], argparse.ArgumentParser]) -> None:
    """If the shell asks for completions, answer and end the process. Without argcomplete, do nothing.

    Parameters
    ----------
    names : collection of str
        Of the sub-commands.
    parser_of : callable
        The parser that has the arguments of one sub-command, or of none.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete  # an extra: completion is a convenience of the shell
    except ImportError:
        return
    line = os.environ.get("COMP_LINE", "")
    typed = line[: int(os.environ.get("COMP_POINT", len(line)))].split()
    asked = next((word for word in typed[1:] if not word.startswith("-")), None)
    argcomplete.autocomplete(parser_of(asked if asked in names else None))
