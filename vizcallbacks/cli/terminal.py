"""Words for the terminal, in whatever characters it has and beside any progress bar."""

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO

from tqdm import tqdm


def say(text: str, file: TextIO | None = None) -> None:
    """Print lines; a progress bar under way stays below them.

    Names in them are the user's: characters that the terminal's encoding has not are written as ``\\u1234``, and
    so are those that would move its cursor.

    Parameters
    ----------
    file : text stream, optional
        Default: standard output.
    """
    file = sys.stdout if file is None else file
    encoding = file.encoding or "utf-8"
    text = "".join(_harmless(character) for character in text)
    tqdm.write(text.encode(encoding, "backslashreplace").decode(encoding), file=file)


def _harmless(character: str) -> str:
    is_control = unicodedata.category(character) == "Cc" and character != "\n"
    return character.encode("unicode_escape").decode() if is_control else character
