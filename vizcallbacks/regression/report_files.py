"""A `Report` as files for people and for CI: a picture of the worst images, JUnit XML, JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..archive import replacing
from ..measures.of_two_maps import SIMILARITY
from ..pictures.panels import WIDTH, TitledMap, header_of, panel, side_by_side
from ..pictures.picture import encode
from ..probes.probe_set import ProbeSet
from .comparable import NotComparableError
from .course import failed_rules, first_bad
from .report import Report, describe

SHOWN = 4  # images on a picture
GAP = 16  # px, between them


def picture(report: Report, probe: ProbeSet, count: int = SHOWN) -> np.ndarray:
    """The images that violate the rules most, two by two: of each the input, baseline, now, change.

    They are the worst of each failed rule in turn, of different classes where there are such. Each map is drawn on
    its own scale, the baseline's as the mean of its runs. Without a baseline there are the input and the map.

    Parameters
    ----------
    probe : ProbeSet
        The one that was checked, for its display pictures.
    count : int
        How many images are drawn at most.

    Returns
    -------
    ndarray, (height, 672 or 1360, 3), uint8

    Raises
    ------
    NotComparableError
        It is another probe set.
    """
    if probe.digest != report.snapshot.digest:
        raise NotComparableError("the probe set given is not the one that was checked; give that one")
    violations, snapshot = report.violations(), report.snapshot
    if not snapshot.maps:
        raise ValueError("a picture needs maps of the CAM family; take snapshots with the method 'grad_cam'")
    method = _method(report)
    drawn = []
    for i in _various(report, count):
        header = header_of(
            probe,
            i,
            int(snapshot.predictions[i]),
            float(snapshot.confidence[i]),
            epoch=snapshot.when,
            note=report.names[i],
            violation=violations.get(i, ""),
        )
        outlines = [mask[i] for mask in probe.masks.values()]
        now = _scaled(snapshot.maps[method][i])
        if report.baseline is None:
            drawn.append(panel(probe.pictures[i], [TitledMap("now", now)], header, outlines=outlines))
        else:
            before = _scaled(np.mean([_scaled(maps) for maps in report.baseline.maps[method][:, i]], axis=0))
            drawn.append(side_by_side(probe.pictures[i], before, now, header, outlines=outlines))
    return _two_by_two(drawn)


def save_picture(report: Report, probe: ProbeSet, path: str | os.PathLike[str]) -> Report:
    """Write `picture` as a PNG file, whole or not at all (OSError); the report that names it."""
    _write_whole(path, encode(picture(report, probe), "png", levels=32))
    return report.filed(path)


def save_json(report: Report, path: str | os.PathLike[str]) -> None:
    """Write the report as JSON: passed, step, layer, rules with value, bounds and failing images, flips."""
    _write_json(as_json(report), path)


def save_course_json(reports: Sequence[Report], path: str | os.PathLike[str]) -> None:
    """Write the reports of a run's steps as JSON: each as `save_json` does, and the first bad step or null."""
    _write_json(course_as_json(reports), path)


def course_as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """What `save_course_json` writes."""
    bad = first_bad(reports)
    return {"first_bad": None if bad is None else bad.snapshot.step, "steps": list(map(as_json, reports))}


def as_json(report: Report) -> dict[str, Any]:
    """What `save_json` writes."""
    return {
        "passed": report.passed,
        "when": report.snapshot.when,
        "step": report.snapshot.step,
        "layer": report.snapshot.layer,
        "images": len(report.names),
        "baseline": None if report.baseline is None else list(report.baseline.sources),
        "rules": [
            {
                "rule": str(finding.rule),
                "passed": finding.passed,
                "value": _json_number(finding.value),
                "low": _json_number(finding.low),
                "high": _json_number(finding.high),
                "excess": _json_number(finding.excess),
                "baseline": _json_number(finding.baseline),
                "failing_images": [report.names[i] for i in finding.failing],
            }
            for finding in report.findings
        ],
        "flips": [report.names[i] for i in report.flips],
        "files": list(report.files),
    }


def _write_json(found: dict[str, Any], path: str | os.PathLike[str]) -> None:
    _write_whole(path, (json.dumps(found, indent=2) + "\n").encode())


def save_junit(report: Report, path: str | os.PathLike[str]) -> None:
    """Write the report as JUnit XML, a test case for each rule; the first failure holds the whole report."""
    cases = []
    for finding in report.findings:
        first = not finding.passed and finding is report.failures[0]
        whole = "\n".join(report.lines())
        text = "" if finding.passed else whole if first else f"see {report.failures[0].rule}"
        cases.append((str(finding.rule), describe(finding), text))
    _write_junit(cases, path)


def save_course_junit(reports: Sequence[Report], path: str | os.PathLike[str]) -> None:
    """Write the reports of a run's steps as JUnit XML, a test case for each step."""
    texts = ["" if one.passed else "\n".join(one.lines()) for one in reports]
    steps = [f"step {one.snapshot.step}" for one in reports]
    _write_junit(list(zip(steps, map(failed_rules, reports), texts)), path)


def _write_junit(cases: Sequence[tuple[str, str, str]], path: str | os.PathLike[str]) -> None:
    """Test cases: name, message, and text of the failure, "" where it passed."""
    failures = sum(bool(text) for _, _, text in cases)
    suite = ElementTree.Element(
        "testsuite",
        name="attention",
        tests=str(len(cases)),
        failures=str(failures),
        errors="0",
        skipped="0",
    )
    for name, message, text in cases:
        case = ElementTree.SubElement(
            suite, "testcase", classname="attention", name=_xml_text(name), time="0"
        )
        if text:
            failure = ElementTree.SubElement(case, "failure", message=_xml_text(message))
            failure.text = _xml_text(text)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    _write_whole(path, ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def _various(report: Report, count: int) -> list[int]:
    """The worst images, those first that are of a class not seen yet among the images that violate a rule."""
    violations, snapshot = report.violations(), report.snapshot
    worst = report.worst(len(report.names))
    seen: set[int] = set()
    first = []
    for i in worst:
        kind = int(snapshot.targets[i])
        if i in violations and (kind < 0 or kind not in seen):
            first.append(i)
            seen.add(kind)
    return list(dict.fromkeys([*first[:count], *worst]))[:count]


def _two_by_two(panels: list[np.ndarray]) -> np.ndarray:
    """Panels beside and below each other, on white; a single one as it is."""
    if len(panels) == 1:
        return panels[0]
    rows = []
    for start in range(0, len(panels), 2):
        pair = panels[start : start + 2]
        row = np.full((max(map(len, pair)), 2 * WIDTH + GAP, 3), 255, np.uint8)
        for place, one in enumerate(pair):
            row[: len(one), place * (WIDTH + GAP) :][:, :WIDTH] = one
        rows += [row, np.full((GAP, 2 * WIDTH + GAP, 3), 255, np.uint8)]
    return np.concatenate(rows[:-1])


def _method(report: Report) -> str:
    """Whose maps are drawn: those of the first failed similarity, else the snapshot's first."""
    methods = [
        f.rule.name.partition("/") for f in report.failures if f.rule.name not in report.snapshot.measures
    ]
    found = [method for method, _, name in methods if name in SIMILARITY and method in report.snapshot.maps]
    return (found or list(report.snapshot.maps))[0]


def _scaled(map_: np.ndarray) -> np.ndarray:
    """A map with its largest magnitude 1: each net and seed has a scale of its own, which no measure sees."""
    peak = np.abs(map_).max()
    return (map_ / peak if 0 < peak < np.inf else map_).astype(np.float64)


def _write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _xml_text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair becomes "?"
    return "".join(c for c in text if c in "\n\t" or (c >= " " and c not in "\ufffe\uffff"))
