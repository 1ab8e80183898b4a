"""``--json``: what a command found, as JSON alone on standard output, or in a file."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..archive import replacing

STDOUT = "-"
"""In the place of a file's name: standard output."""


def take_json(parser: argparse.ArgumentParser) -> None:
    """Add the argument --json."""
    parser.add_argument(
        "--json",
        nargs="?",
        const=STDOUT,
        metavar="FILE.json",
        help="write what was found as JSON, into the file; or, without a file, alone to standard output: all "
        "other text then goes to standard error",
    )


def without_file(given: Sequence[str]) -> list[str]:
    """The arguments; a --json without a .json file after it means standard output, and takes no RUN."""
    found = []
    for word, after in zip(given, [*given[1:], ""]):
        alone = word == "--json" and not after.endswith(".json") and after != STDOUT
        found.append(f"--json={STDOUT}" if alone else word)
    return found


@contextlib.contextmanager
def alone(options: argparse.Namespace) -> Iterator[None]:
    """Within the ``with`` block, send all text to standard error if JSON goes to standard output."""
    if getattr(options, "json", None) != STDOUT:
        yield
        return
    options.json_stream = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        yield


def write_json(options: argparse.Namespace, found: Mapping[str, Any]) -> None:
    """Write what was found where --json asks for it, if it was given; NaN and infinity become null."""
    if getattr(options, "json", None) is None:
        return
    text = json.dumps(_plain(found), indent=2, allow_nan=False) + "\n"
    if options.json == STDOUT:
        options.json_stream.write(text)
        options.json_stream.flush()
        options.json_stream = None
        return
    with replacing(options.json) as file:
        file.write(text.encode())


def write_error(options: argparse.Namespace | None, message: str) -> None:
    """Write {"error": message} to standard output if JSON is expected there and none was written."""
    stream = getattr(options, "json_stream", None)
    if stream is not None:
        stream.write(json.dumps({"error": message}, indent=2) + "\n")


def _plain(value: Any) -> Any:
    """Python's own types for NumPy's, and None for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
