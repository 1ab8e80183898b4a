"""The ways in from outside: the command ``vizcallbacks``, a file for each sub-command, and the pytest fixture.

May import everything below. `main` imports a sub-command's file only if it is asked for, so that ``--help``,
``check`` and ``accept`` work without MXNet.
"""

from .main import main

__all__ = ["main"]
