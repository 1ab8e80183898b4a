"""What a check found, kept beside a run's snapshots, so that the tab in TensorBoard can show it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..archive import replacing
from ..regression.report import Report
from ..regression.snapshot import FOLDER
from .document import verdict_part

FORMAT, SCHEMA = "vizcallbacks verdict", 1
LARGEST = 20_000_000  # bytes; a hundred thousand images need less


def verdict_path(run: str | os.PathLike[str]) -> Path:
    """Where the verdict on a run lies: ``<logdir>/attention/verdict.json``."""
    return Path(run) / FOLDER / "verdict.json"


def save_verdict(run: str | os.PathLike[str], report: Report) -> None:
    """Write what a check of one of the run's snapshots found, whole or not at all (OSError)."""
    snapshot = report.snapshot
    found = {
        "format": FORMAT,
        "schema": SCHEMA,
        "step": int(snapshot.step),
        "digest": snapshot.digest,
        **verdict_part(report),
    }
    with replacing(verdict_path(run)) as file:
        file.write(json.dumps(found, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace"))


def read_verdict(run: str | os.PathLike[str], digest: str, images: int) -> dict[str, Any] | None:
    """The verdict on a run, as `document.verdict_part` makes it, with the "step" that was checked.

    Parameters
    ----------
    run : str or os.PathLike
    digest : str
        Of the run's probe set.
    images : int
        How many it has.

    Returns
    -------
    dict or None
        None: no check was kept.

    Raises
    ------
    ValueError
        The file is damaged, foreign, or of another probe set.
    OSError
        It cannot be read.
    """
    path = verdict_path(run)
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text) if len(text) <= LARGEST else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or (found.get("format"), found.get("schema")) != (FORMAT, SCHEMA):
        raise ValueError(f"{path} is no verdict of this version; check the run again")
    if found.get("digest") != digest:
        raise ValueError(f"{path} is of another probe set; check the run again")
    if not _is_whole(found, images):
        raise ValueError(f"{path} is damaged; check the run again")
    return {name: found[name] for name in ("step", *_FIELDS)}


def forget_verdict(run: str | os.PathLike[str], step: int) -> None:
    """Remove a run's verdict if it is about a snapshot of `step` or later, or cannot be read (OSError)."""
    path = verdict_path(run)
    try:
        known = json.loads(path.read_bytes())["step"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        known = step
    if not isinstance(known, int) or known >= step:
        path.unlink(missing_ok=True)


_FIELDS = ("passed", "when", "title", "rules", "order", "violations", "flips")
_RULE: dict[str, Any] = {
    "rule": str,
    "told": str,
    "passed": bool,
    "measure": str,
    "of_mean": bool,
    "low": (int, float, type(None)),
    "high": (int, float, type(None)),
    "failing": int,
}


def _is_whole(found: dict[str, Any], images: int) -> bool:
    """Whether all that the view shows is there, has the right type, and is about images that exist."""

    def are_images(numbers: Any) -> bool:
        return isinstance(numbers, list) and all(type(i) is int and 0 <= i < images for i in numbers)

    def is_rule(rule: Any) -> bool:
        return isinstance(rule, dict) and all(
            isinstance(rule.get(name, ...), kind) for name, kind in _RULE.items()
        )

    violations = found.get("violations")
    return (
        type(found.get("step")) is int
        and isinstance(found.get("passed"), bool)
        and all(isinstance(found.get(name), str) for name in ("when", "title"))
        and isinstance(found.get("rules"), list)
        and all(map(is_rule, found["rules"]))
        and are_images(found.get("order"))
        and are_images(found.get("flips"))
        and isinstance(violations, dict)
        and all(key.isdecimal() and int(key) < images for key in violations)
        and all(isinstance(words, str) for words in violations.values())
    )
