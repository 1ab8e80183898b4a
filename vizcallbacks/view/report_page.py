"""`write_report`: runs, and what a check of them found, as a page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..archive import replacing
from ..checks import pick_evenly
from ..pictures.sheets import Track, overview
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.comparable import NotComparableError
from ..regression.comparing import compare
from ..regression.predicted import load_predicted
from ..regression.report import Report
from ..regression.report_files import picture
from ..regression.snapshot import FOLDER, Snapshot, snapshot_path
from .document import Pack, chosen_steps, document, probe_part, run_part, step_part, verdict_part, webp
from .page import Picture, one_file, with_assets
from .run import Run, open_runs

Rules = Mapping[str, "str | Iterable[str]"]

STILLS = 6  # images on a still picture


def write_report(
    paths: Any, out: Any, baseline: Any = None, *, rules: Rules | None = None, assets: Any = None
) -> None:
    """Write the interactive page over runs.

    Parameters
    ----------
    paths : str, os.PathLike, or several
        Run folders, or folders with runs below them.
    out : str or os.PathLike
        The HTML file; replaced whole or not at all.
    baseline : str, os.PathLike or Baseline, optional
        The newest snapshot of each run is checked against it; a run that cannot be compared is shown with the
        reason.
    rules : mapping of str to str, or to several, optional
        As for `compare`; default: the baseline's. Without a baseline, only rules that need none.
    assets : str or os.PathLike, optional
        A folder for style, script, data and pictures, beside `out` or below: for servers that forbid inline
        ones. Made if it is not there.

    Raises
    ------
    ValueError
        A path holds no snapshot, or no snapshot can be read; the rules are wrong.
    OSError
        A file cannot be read or written.
    """
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    made = page_of(open_runs(several), baseline, rules=rules, assets=assets, beside=Path(out).parent)
    for name, data in made[1].items():
        os.makedirs(assets, exist_ok=True)
        _write(Path(assets) / name, data)
    _write(out, made[0])


def write_checked(path: Any, report: Report | None, out: Any) -> None:
    """Write the page over one run with what a check of it found, if there was one (ValueError, OSError)."""
    run = Run(path)
    _write(out, page_of({run.name: run}, reports={} if report is None else {run.name: report})[0])


def page_of(
    runs: Mapping[str, Run],
    baseline: Any = None,
    *,
    rules: Rules | None = None,
    assets: Any = None,
    beside: Path = Path("."),
    reports: Mapping[str, Report] | None = None,
) -> tuple[bytes, dict[str, bytes]]:
    """The page, and files of the folder `assets`; as `write_report`. `reports`: of runs that were checked."""
    if baseline is not None and not isinstance(baseline, Baseline):
        baseline = Baseline.load(baseline)
    pack = Pack()
    probes: dict[str, int] = {}
    parts, told, verdicts, stills = [], [], [], []
    for name, run in runs.items():
        steps, notes, newest = _steps(run, pack, len(runs))
        if newest is None:
            raise ValueError(f"no snapshot in {run.path} can be read: {notes[0]}")
        if run.probe.digest not in probes:
            probes[run.probe.digest] = len(probes)
            parts.append(probe_part(run.probe, pack.put))
        known = (reports or {}).get(name)
        report, refused = (known, "") if known else _check(newest, run.probe, baseline, rules)
        verdict = None if report is None else verdict_part(report)
        if verdict is not None:
            verdicts.append({"run": name, **verdict})
        elif refused:
            verdicts.append({"run": name, "refused": refused})
        told.append(run_part(name, probes[run.probe.digest], steps, verdict, notes))
        stills += _still(name, run, report, newest)
    title = f"Attention of {', '.join(runs)}"
    verdicts.sort(key=lambda verdict: verdict.get("passed", False))  # what failed first
    joined = pack.join(document(title, parts, told))
    if assets is None:
        return one_file(title, verdicts, stills, joined), {}
    where = Path(os.path.relpath(assets, beside)).as_posix()
    return with_assets(title, verdicts, stills, joined, where)


def _steps(run: Run, pack: Pack, runs: int) -> tuple[list[dict], list[str], Snapshot | None]:
    """The parts of a run's snapshots, remarks, and the newest that could be read."""
    parts: list[dict] = []
    notes: list[str] = []
    newest = None
    steps = run.steps
    size = snapshot_path(run.path, steps[-1]).stat().st_size // np.dtype(np.float32).itemsize
    chosen = chosen_steps(steps, size, runs)
    if len(chosen) < len(steps):
        notes.append(
            f"{len(chosen)} of {len(steps)} snapshots are shown, evenly spaced; the tab in TensorBoard shows all"
        )
    for step in chosen:
        try:
            newest = run.snapshot(step)
            predicted = load_predicted(run.path, newest)
        except (OSError, ValueError) as error:
            notes.append(f"the snapshot of step {step} is left out: {error}")
        else:
            parts.append(step_part(newest, pack.put, run.probe, predicted))
    return parts, notes, newest


def _check(
    snapshot: Snapshot, probe: ProbeSet, baseline: Baseline | None, rules: Rules | None
) -> tuple[Report | None, str]:
    """What a check found, or why the snapshot is not comparable; (None, "") where nothing was asked for."""
    if baseline is None and rules is None:
        return None, ""
    try:
        return compare(snapshot, baseline, rules, probe=probe), ""
    except NotComparableError as error:
        return None, str(error)


def _still(name: str, run: Run, report: Report | None, newest: Snapshot) -> list[Picture]:
    """What a reader without scripts sees of a run: its worst images, or some images through the epochs."""
    if not newest.maps:
        return []
    if report is not None and not report.passed:
        caption = f"{name}, {newest.when}: the images that violate the rules most"
        return [Picture(webp(picture(report, run.probe), quality=70), caption)]
    if report is not None:
        return []
    return [Picture(webp(run_overview(run, STILLS), quality=70), f"{name}: maps through the epochs")]


def run_overview(run: Run, count: int = 10) -> np.ndarray:
    """Evenly spaced images of a run (rows) at evenly spaced steps (columns), the first method's maps.

    Returns
    -------
    ndarray, (height, width, 3), uint8

    Raises
    ------
    ValueError
        No snapshot can be read, or the newest has no map of the CAM family.
    """
    taken = list(run.readable([run.steps[place] for place in pick_evenly(len(run.steps), 8)]))
    if not taken or not taken[-1].maps:
        raise ValueError(
            f"{run.path} holds no maps of the CAM family; take snapshots with the method 'grad_cam'"
        )
    method, probe = next(iter(taken[-1].maps)), run.probe
    taken = [snapshot for snapshot in taken if method in snapshot.maps]
    rows = [
        Track(probe.names[i], probe.pictures[i], [snapshot.maps[method][i] for snapshot in taken])
        for i in pick_evenly(len(probe), count)
    ]
    return overview(rows, [snapshot.step for snapshot in taken])


def report_path(run: Any) -> Path:
    """Where the page of a run lies: ``<logdir>/attention/report.html``."""
    return Path(run) / FOLDER / "report.html"


def _write(path: Any, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)
