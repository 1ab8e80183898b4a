"""Words for the terminal, in whatever characters it has and beside any progress bar."""

from __future__ import annotations

import sys
from typing import TextIO

from tqdm import tqdm

from ..safe_text import one_line


def say(*lines: str, file: TextIO | None = None) -> None:
    """Print lines; a progress bar under way stays below them. All that the command prints goes through here.

    Parameters
    ----------
    lines : str
        Each is printed as one line, by `one_line`: what would obey a terminal or CI is escaped, line breaks too.
        Characters that the terminal's encoding lacks are written as ``\\u1234``.
    file : text stream, optional
        Default: standard output.
    """
    file = sys.stdout if file is None else file
    encoding = file.encoding or "utf-8"
    text = "\n".join(map(one_line, lines))
    tqdm.write(text.encode(encoding, "backslashreplace").decode(encoding), file=file)
