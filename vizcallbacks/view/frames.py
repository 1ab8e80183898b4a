"""How a record shows itself: a sandboxed frame in a notebook, a page in the browser, a file.

The package's top names this module to `vizcallbacks.showing`.
"""

from __future__ import annotations

import html
import os
import sys
import tempfile
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import numpy as np

from ..archive import replacing
from ..attribution.methods import METHODS
from ..attribution.result import Attributions
from ..pictures.picture import encode
from ..pictures.sheets import Track, overview
from ..regression.report import Report
from ..regression.snapshot import Snapshot, take
from .document import Pack, bare_probe_part, document, probe_part, run_part, step_part, verdict_part
from .page import one_file
from .report_page import page_of, run_overview
from .run import Run

ALONE = "this snapshot"  # in place of a run's name
HEIGHT = 720  # px of a notebook's frame
SHOWN = 10  # images on a still picture
FINEST = 112  # cells a side, of maps at the image's size
BRIGHTEST = 99.5  # percentile that gets full colour, of the gradient family


def repr_html(record: Any) -> str:
    """The view in a frame that may run its own script and nothing else: no cookies, no access to the notebook."""
    page = html.escape(_page(record).decode())
    return (
        f'<iframe title="vizcallbacks" srcdoc="{page}" sandbox="allow-scripts" '
        f'style="width:100%;height:{HEIGHT}px;border:0"></iframe>'
    )


def show(record: Any) -> None:
    """Show it below the cell in a notebook; elsewhere as a temporary file in the browser."""
    if _in_notebook():
        from IPython.display import display  # there, since this runs inside it

        display(record)
        return
    handle, path = tempfile.mkstemp(prefix="vizcallbacks-", suffix=".html")
    with os.fdopen(handle, "wb") as file:
        file.write(_page(record))
    webbrowser.open(Path(path).as_uri())


def save(record: Any, path: Any) -> None:
    """Write the interactive page (.html) or a still picture (.png); ValueError for another ending.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    ending = os.path.splitext(os.fsdecode(path))[1].lower()
    if ending == ".html":
        data = _page(record)
    elif ending == ".png":
        data = encode(_still(record), "png", levels=32)
    else:
        raise ValueError(
            f"a view is saved as .html or .png, got {os.fsdecode(path)!r}; give one of these endings"
        )
    with replacing(path) as file:
        file.write(data)


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _page(record: Any) -> bytes:
    return _of(record, PAGES)(record)


def _still(record: Any) -> np.ndarray:
    return _of(record, STILLS)(record)


def _of(record: Any, table: dict[type, Callable]) -> Callable:
    return next(function for kind, function in table.items() if isinstance(record, kind))


def _page_of_attributions(result: Attributions) -> bytes:
    pack = Pack()
    maps = {name: _one_value(result, name) for name in result.maps}
    snapshot = replace(take(result, result.probe, step=0, when="now"), maps=maps)
    run = run_part("explained", 0, [step_part(snapshot, pack.put, result.probe)], None, [])
    title = f"Attention of layer {result.layer}"
    return one_file(title, [], [], pack.join(document(title, [probe_part(result.probe, pack.put)], [run])))


def _one_value(result: Attributions, name: str) -> np.ndarray:
    """One value for each cell; clipped for the gradient family, where a few pixels far exceed the rest."""
    if METHODS[name].shape == "layer":
        return result[name]
    values = np.abs(result.at_image_size(name))
    step = -(-max(values.shape[1:]) // FINEST)  # each cell shows the largest of step x step pixels
    height, width = (-(-side // step) * step for side in values.shape[1:])
    padded = np.pad(values, ((0, 0), (0, height - values.shape[1]), (0, width - values.shape[2])))
    cells = padded.reshape(len(values), height // step, step, width // step, step).max(axis=(2, 4))
    return np.minimum(cells, np.percentile(cells, BRIGHTEST, axis=(1, 2), keepdims=True)).astype(np.float32)


def _page_of_snapshot(snapshot: Snapshot, report: Report | None = None) -> bytes:
    pack = Pack()
    names, classes = ((), ()) if report is None else (report.names, report.class_names)
    probe = bare_probe_part(snapshot.digest, len(snapshot.targets), names, classes)
    verdict = None if report is None else verdict_part(report)
    run = run_part(ALONE, 0, [step_part(snapshot, pack.put)], verdict, [])
    verdicts = [] if verdict is None else [{"run": ALONE, **verdict}]
    title = f"Attention of layer {snapshot.layer}, {snapshot.when}"
    return one_file(title, verdicts, [], pack.join(document(title, [probe], [run])))


def _still_of_attributions(result: Attributions) -> np.ndarray:
    methods = [name for name, maps in result.maps.items() if maps.ndim == 3]
    if not methods:
        raise ValueError(
            f"a picture needs maps of one value a cell, got {', '.join(result.maps)}; save as .html"
        )
    probe = result.probe
    rows = [
        Track(probe.names[i], probe.pictures[i], [result.maps[name][i] for name in methods])
        for i in range(min(SHOWN, len(probe)))
    ]
    return overview(rows, methods, corner="image")


def _still_of_snapshot(snapshot: Snapshot) -> np.ndarray:
    if not snapshot.maps:
        raise ValueError("a picture needs maps of the CAM family; take snapshots with the method 'grad_cam'")
    grey = np.full((96, 96, 3), 200, np.uint8)  # a snapshot holds no pictures
    count = min(SHOWN, len(snapshot.targets))
    rows = [Track(f"image {i}", grey, [maps[i] for maps in snapshot.maps.values()]) for i in range(count)]
    return overview(rows, list(snapshot.maps), corner="image")


PAGES: dict[type, Callable[..., bytes]] = {
    Attributions: _page_of_attributions,
    Snapshot: _page_of_snapshot,
    Report: lambda report: _page_of_snapshot(report.snapshot, report),
    Run: lambda run: page_of({run.name: run})[0],
}
STILLS: dict[type, Callable[..., np.ndarray]] = {
    Attributions: _still_of_attributions,
    Snapshot: _still_of_snapshot,
    Report: lambda report: _still_of_snapshot(report.snapshot),
    Run: run_overview,
}
