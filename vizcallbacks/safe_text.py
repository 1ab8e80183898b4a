"""Text from outside, made safe to print: names of images, classes and files are the user's, or a stranger's."""

from __future__ import annotations

import re

_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\w*\[)")
"""What CI systems take for orders in a log: ``::error::`` at a line's start, ``##[group]`` anywhere."""


def one_line(text: str) -> str:
    """A text on one line, with nothing in it that a terminal, a log or CI would obey.

    Characters that are not printable are escaped as Python writes them: line breaks, escape sequences, those that
    turn the direction of writing. So is the first character of an order to GitHub's, Azure's or TeamCity's CI.

    >>> one_line("cat\\n::error::all failed")
    'cat\\\\n::error::all failed'
    >>> one_line("::error::all failed")
    '\\\\x3a:error::all failed'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return _COMMAND.sub(lambda found: f"{found[1] or ''}\\x{ord(found[0][-1]):02x}", shown)
