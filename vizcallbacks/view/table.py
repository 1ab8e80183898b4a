"""All measures per image, run and step, as CSV or JSON; the same numbers that the snapshots hold."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..archive import replacing
from .run import Run

FIXED = ("run", "step", "when", "layer", "image", "label", "target", "prediction", "confidence")
"""Columns of every table; measures follow. Classes are numbers; "target" is the class that was explained."""


def rows_of(runs: Mapping[str, Run]) -> Iterator[dict[str, Any]]:
    """A row for each image of each readable snapshot; None where a value is undefined or unknown."""
    for name, run in runs.items():
        probe = run.probe
        for snapshot in run:
            for i, image in enumerate(probe.names):
                yield {
                    "run": name,
                    "step": snapshot.step,
                    "when": snapshot.when,
                    "layer": snapshot.layer,
                    "image": image,
                    "label": None if probe.labels is None else int(probe.labels[i]),
                    "target": _known(snapshot.targets[i]),
                    "prediction": _known(snapshot.predictions[i]),
                    "confidence": _finite(snapshot.confidence[i]),
                    **{measure: _finite(values[i]) for measure, values in snapshot.measures.items()},
                }


def write_table(runs: Mapping[str, Run], path: Any) -> int:
    """Write the table; the path's ending chooses among WRITERS. Returns the number of rows.

    Raises
    ------
    ValueError
        The ending is another, or a run's probe set is damaged.
    OSError
        A file cannot be read or written.
    """
    ending = os.path.splitext(os.fsdecode(path))[1].lower()
    if ending not in WRITERS:
        known = " or ".join(WRITERS)
        raise ValueError(f"a table must end in {known}, got {os.fsdecode(path)!r}; give one of these endings")
    rows = list(rows_of(runs))
    with replacing(path) as file:
        file.write(WRITERS[ending](rows).encode("utf-8", "replace"))
    return len(rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    measures = dict.fromkeys(name for row in rows for name in row if name not in FIXED)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*FIXED, *measures], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: inert(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def inert(value: Any) -> Any:
    """Text that no spreadsheet reads as a formula: images and runs may have any names."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=1) + "\n"


WRITERS: dict[str, Callable[[list[dict[str, Any]]], str]] = {".csv": _csv, ".json": _json}
"""Ending -> text of the rows."""


def _known(number: Any) -> int | None:
    return int(number) if number >= 0 else None


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
