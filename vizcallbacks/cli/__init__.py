"""The command ``vizcallbacks``: a file for each sub-command, `main` puts them together.

Each file imports what it runs when it runs, so that ``--help``, ``check`` and ``accept`` work without MXNet.
"""

from .main import main

__all__ = ["main"]
