"""What the view shows, as one plain document and its binary parts. README.md describes the format.

Maps are stored as whole numbers of 8 bits, each map divided by its own largest magnitude, which stands beside it.
The error is below 0.002 of that for maps without a sign. Values of measures have four significant digits.
"""

from __future__ import annotations

import functools
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable

import cv2
import numpy as np

from ..attribution.methods import METHODS
from ..by_bytes import ByBytes
from ..checks import pick_evenly
from ..measures.of_one_map import area_share
from ..pictures.peaks import peaks
from ..probes.probe_set import ProbeSet
from ..regression.predicted import Predicted
from ..regression.report import Report, describe
from ..regression.snapshot import Snapshot

FORMAT, SCHEMA = "vizcallbacks view", 1
MOST_PIXELS = 10_000_000  # of all pictures of a probe set together: 200 of 224 x 224
MOST_MAP_BYTES = 12_000_000  # of all maps of a document; beyond it, steps are thinned
MASK_SIDE = 112  # px; larger masks are reduced for their outlines

PREDICTED = "of the predicted class"
"""Name of the part that holds maps of predicted classes."""
SAMENESS = "sameness "
"""Begins the name of the part that holds how alike the peaks of a method's maps are."""

Put = Callable[[str, Callable[[], bytes]], Any]
"""Takes a name and what makes the binary part of that name, and gives what refers to it in the document."""


class Pack:
    """Collects binary parts, and joins them with the document to one compressed piece of bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def put(self, name: str, make: Callable[[], bytes]) -> int:
        """Keep a part; its number refers to it."""
        self._parts.append(make())
        return len(self._parts) - 1

    def join(self, document: Mapping[str, Any]) -> bytes:
        """zlib of: length of the JSON (4 bytes, little-endian), the JSON, the parts one after the other."""
        sizes = [len(part) for part in self._parts]
        text = json.dumps({**document, "parts": sizes}, separators=(",", ":"), allow_nan=False).encode()
        return zlib.compress(b"".join([struct.pack("<I", len(text)), text, *self._parts]), 6)


def document(title: str, probes: list[dict], runs: list[dict]) -> dict[str, Any]:
    """The outermost layer."""
    return {"format": FORMAT, "schema": SCHEMA, "title": title, "probes": probes, "runs": runs}


def probe_part(probe: ProbeSet, put: Put) -> dict[str, Any]:
    """A probe set without the net's inputs: names, classes, the pictures as one WebP sheet, masks as bits."""
    sheet, shape = picture_sheet(probe.pictures)
    masks = {}
    for name, mask in probe.masks.items():
        small = _reduced(mask)
        masks[name] = {
            "part": put(f"mask {name}", np.packbits(small.reshape(len(small), -1), axis=1).tobytes),
            "height": small.shape[1],
            "width": small.shape[2],
            "area": round(float(area_share(mask).mean()), 4),
        }
    return {
        "digest": probe.digest,
        "names": list(probe.names),
        "classes": list(probe.class_names),
        "labels": None if probe.labels is None else probe.labels.tolist(),
        "pictures": {"part": put("pictures", lambda: sheet), **shape},
        "masks": masks,
    }


def bare_probe_part(
    digest: str, count: int, names: Sequence[str] = (), class_names: Sequence[str] = ()
) -> dict[str, Any]:
    """The part for a probe set that is not available: names, but neither pictures nor masks."""
    return {
        "digest": digest,
        "names": list(names) or [f"image_{i:03d}" for i in range(count)],
        "classes": list(class_names),
        "labels": None,
        "pictures": None,
        "masks": {},
    }


def run_part(
    name: str, probe: int, steps: list[dict], verdict: dict | None, notes: list[str]
) -> dict[str, Any]:
    """A run: which probe set (its place in the document), its steps, what a check found, remarks."""
    return {"name": name, "probe": probe, "steps": steps, "verdict": verdict, "notes": notes}


def step_part(
    snapshot: Snapshot, put: Put, probe: ProbeSet | None = None, predicted: Predicted | None = None
) -> dict[str, Any]:
    """A snapshot: predictions, measures, maps of each method; with `probe`, also how alike their peaks are; with
    `predicted`, also the maps of the classes that were predicted."""
    maps = {}
    for name, values in snapshot.maps.items():
        maps[name] = _maps_part(name, values, put)
        if probe is not None and name in METHODS and METHODS[name].shape == "layer":
            maps[name]["sameness"] = put(SAMENESS + name, partial(sameness_part, snapshot, probe, name))
    more = {}
    if predicted is not None:
        of = {"method": predicted.method, "images": predicted.images.tolist()}
        more["predicted"] = {**of, **_maps_part(PREDICTED, predicted.maps, put)}
    return {
        **more,
        "step": int(snapshot.step),
        "when": snapshot.when,
        "layer": snapshot.layer,
        "targets": snapshot.targets.tolist(),
        "predictions": snapshot.predictions.tolist(),
        "confidence": numbers(snapshot.confidence),
        "measures": {name: numbers(values) for name, values in snapshot.measures.items()},
        "maps": maps,
    }


def _maps_part(name: str, maps: np.ndarray, put: Put) -> dict[str, Any]:
    data, largest, signed = eight_bits(maps)
    return {
        "part": put(name, partial(bytes, data)),
        "height": maps.shape[1],
        "width": maps.shape[2],
        "signed": signed,
        "peaks": numbers(largest),
    }


def sameness_part(snapshot: Snapshot, probe: ProbeSet, method: str) -> bytes:
    """How alike the patches around a method's maxima are, by class, and of all as "class" NaN.

    Returns
    -------
    bytes
        (C + 1) rows of four little-endian float32: class, `Sameness.value`, `.chance` (NaN: undefined), `.count`.
    """
    found = peaks(snapshot, probe, method)
    rows = [*found.sameness.items(), (math.nan, found.overall)]
    return np.array([(number, one.value, one.chance, one.count) for number, one in rows], "<f4").tobytes()


def verdict_part(report: Report) -> dict[str, Any]:
    """What a check found: each rule, and the images in the order in which they violate the failed ones."""
    return {
        "passed": report.passed,
        "when": report.snapshot.when,
        "title": str(report).partition("\n")[0],
        "baseline": None if report.baseline is None else list(report.baseline.sources),
        "rules": [
            {
                "rule": str(finding.rule),
                "told": describe(finding),
                "passed": finding.passed,
                "measure": finding.rule.name,
                "of_mean": finding.rule.share is None,
                "low": _number(finding.low),
                "high": _number(finding.high),
                "failing": len(finding.failing),
            }
            for finding in report.findings
        ],
        "order": report.worst(len(report.names)),
        "violations": {str(i): words for i, words in report.violations().items()},
        "flips": list(report.flips),
    }


def eight_bits(maps: np.ndarray) -> tuple[bytes, np.ndarray, bool]:
    """Maps (N, h, w) as whole numbers in 0..255, or with negative values in -127..127 (int8).

    Returns
    -------
    bytes
        N h w of them.
    ndarray, (N,), float64
        Each map's largest magnitude, by which it was divided; 0: dead; NaN: the map is not finite.
    bool
        Whether they are int8.
    """
    defined = np.isfinite(maps).all(axis=(1, 2))
    known = np.where(defined[:, None, None], maps, 0).astype(np.float64)
    peaks = np.abs(known).max(axis=(1, 2))
    signed = bool((known < 0).any())
    scaled = known / np.where(peaks > 0, peaks, 1)[:, None, None]
    data = np.rint(scaled * 127).astype(np.int8) if signed else np.rint(scaled * 255).astype(np.uint8)
    return data.tobytes(), np.where(defined, peaks, np.nan), signed


def picture_sheet(pictures: np.ndarray) -> tuple[bytes, dict[str, int]]:
    """All pictures in one WebP file, line by line, each in a frame of one pixel that repeats its edge.

    Returns
    -------
    bytes
        The file.
    dict
        "columns" and "rows" of pictures, "height" and "width" of each without its frame, px.
    """
    data, shape = _picture_sheet(ByBytes(pictures))
    return data, dict(shape)


@functools.lru_cache(maxsize=2)
def _picture_sheet(given: ByBytes) -> tuple[bytes, Mapping[str, int]]:
    """A run's pictures stay the same, while its page is written again and again: the last sheets are kept."""
    pictures = given.take()
    count, height, width = pictures.shape[:3]
    shrink = min(1.0, math.sqrt(MOST_PIXELS / (count * height * width)), 512 / max(height, width))
    height, width = (max(1, round(side * shrink)) for side in (height, width))
    columns = math.ceil(math.sqrt(count))
    rows, tall, wide = math.ceil(count / columns), height + 2, width + 2
    sheet = np.zeros((rows * tall, columns * wide, 3), np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * tall, i % columns * wide
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) if shrink < 1 else picture
        sheet[y : y + tall, x : x + wide] = np.pad(small, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return webp(sheet), {"columns": columns, "rows": rows, "height": height, "width": width}


def webp(picture: np.ndarray, quality: int = 82) -> bytes:
    """(H, W, 3) uint8 RGB as a WebP file."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def chosen_steps(steps: tuple[int, ...], bytes_per_step: int, runs: int) -> list[int]:
    """Those of `steps` whose maps fit into MOST_MAP_BYTES shared by `runs` runs, evenly spaced."""
    most = max(2, MOST_MAP_BYTES // max(1, bytes_per_step * runs))
    return [steps[i] for i in pick_evenly(len(steps), most)]


def numbers(values: np.ndarray) -> list[float | None]:
    """As JSON holds them: four significant digits, None for NaN and infinities."""
    return [_number(value) for value in np.asarray(values, np.float64).tolist()]


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _reduced(mask: np.ndarray) -> np.ndarray:
    """Masks (N, H, W) of at most MASK_SIDE px a side; a small pixel is set where half of its area is."""
    height, width = mask.shape[1:]
    shrink = MASK_SIDE / max(height, width)
    if shrink >= 1:
        return mask
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return np.stack(
        [cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5 for one in mask]
    )
