"""What oneDNN ran, by its own account."""

from __future__ import annotations

import os
import subprocess
import sys

MARK = "vizcallbacks: from here"


def ran(code: str) -> list[list[str]]:
    """The fields of each line about a kernel that a program in Python ran, after it printed `MARK` if it does.

    The fourth is the kernel, the sixth its direction, the seventh the layouts and the last but one the shapes.
    """
    verbose = {**os.environ, "DNNL_VERBOSE": "1", "MKLDNN_VERBOSE": "1"}
    told = subprocess.run(
        [sys.executable, "-c", code], env=verbose, capture_output=True, text=True, check=True
    )
    lines = told.stdout.split(MARK)[-1].splitlines()
    return [line.split(",") for line in lines if ",exec,cpu," in line]
