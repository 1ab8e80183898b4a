"""Pages about the attention checks of a pytest session: one for each check, and an index over them.

Each check writes its page at once, so the processes of pytest-xdist need not communicate; the index is written at
the end, over those outcomes in the folder that are of this session.
"""

from __future__ import annotations

import html
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..archive import replacing
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.report import Report
from ..regression.snapshot import FOLDER, Snapshot, snapshot_path
from ..view.report_page import page_of
from ..view.run import Run

OUTCOME = ".check.json"


def write_page(
    folder: Path, name: str, test: str, reports: Sequence[Report], baseline: Baseline, probe: ProbeSet
) -> None:
    """Write ``<name>.html``: the baseline and each snapshot checked side by side, with the outcome on top.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    name : str
        The page's, without its ending.
    test : str
        The test's node id.
    reports : sequence of Report
        Of the nets that were checked.
    baseline : Baseline
        What they were checked against.
    probe : ProbeSet
        Theirs.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        several = len(reports) > 1
        names = [report.snapshot.when if several else "now" for report in reports]
        runs = {"baseline": _run(Path(made) / "baseline", _snapshot_of(baseline), probe)}
        for i, (when, report) in enumerate(zip(names, reports)):
            runs[when] = _run(Path(made) / str(i), report.snapshot, probe)
        page, _ = page_of(runs, reports=dict(zip(names, reports)))
    failed = sorted({str(finding.rule) for report in reports for finding in report.failures})
    outcome = {"test": test, "page": f"{name}.html", "failed": failed}
    _write(folder / f"{name}.html", page)
    _write(folder / f"{name}{OUTCOME}", (json.dumps(outcome) + "\n").encode())


def write_index(folder: Path, began: float) -> None:
    """Write ``index.html`` over the pages of the session that began then (seconds since the epoch).

    Those that failed come first. Without any check there is an index that says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(f"*{OUTCOME}"))
        if path.stat().st_mtime >= began - 1  # a file system's clock may be a little behind
    ]
    found.sort(key=lambda one: (not one["failed"], one["test"]))
    count = sum(bool(one["failed"]) for one in found)
    title = (
        f"{len(found)} attention check{'s' * (len(found) > 1)}, {count} failed"
        if found
        else "No attention check was made"
    )
    rows = "\n".join(
        f"<tr><td>{'✗ FAIL' if one['failed'] else '✓ pass'}</td>"
        f'<td><a href="{html.escape(one["page"])}">{html.escape(one["test"])}</a></td>'
        f"<td>{html.escape(', '.join(one['failed']))}</td></tr>"
        for one in found
    )
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem}td{padding-right:.8rem}</style></head>\n"
        f"<body><h1>{title}</h1>\n<table>\n{rows}\n</table></body></html>\n"
    )
    _write(folder / "index.html", text.encode("utf-8", "replace"))


def _snapshot_of(baseline: Baseline) -> Snapshot:
    """The first of a baseline's runs as a snapshot; its confidences are not known."""
    return Snapshot(
        step=0,
        when="baseline",
        layer=baseline.layer,
        maps={name: maps[0] for name, maps in baseline.maps.items()},
        targets=baseline.targets[0],
        predictions=baseline.predictions[0],
        confidence=np.full(len(baseline.names), np.nan, np.float32),
        measures={name: values[0] for name, values in baseline.measures.items()},
        relus=(0, 0),
        digest=baseline.digest,
    )


def _run(folder: Path, snapshot: Snapshot, probe: ProbeSet) -> Run:
    (folder / FOLDER).mkdir(parents=True)
    probe.save(folder / FOLDER / "probe.npz")
    snapshot.save(snapshot_path(folder, snapshot.step))
    return Run(folder)


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)
