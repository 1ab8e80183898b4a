"""Maps through the epochs as a moving picture: an animated WebP, or a GIF, which is some ten times larger."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ..archive import replacing
from ..checks import pick_evenly
from ..pictures.lettering import INK, TEXT, write
from ..pictures.render import tile
from ..regression.snapshot import Snapshot
from .run import Run

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".webp": ("WEBP", {"quality": 80, "method": 4}),
    ".gif": ("GIF", {"optimize": False}),
}
"""Ending -> Pillow's format and how it is saved."""

SIDE, GAP, LINE = 112, 6, 36  # px: an image, between images, a line of text
IMAGES, FRAMES = 8, 60  # at most
PAUSE, LAST = 500, 1500  # ms that a frame, and the last one, stands


def write_animation(runs: Mapping[str, Run], path: Any) -> None:
    """Write evenly spaced images (columns) of the runs (rows) through their steps, one frame for each step.

    Every image has one scale over all steps of a run. A run without a snapshot at a step shows the one before.

    Raises
    ------
    ValueError
        The path ends in neither .webp nor .gif; the runs have no maps, or other images than each other.
    OSError
        A file cannot be read or written.
    """
    ending = os.path.splitext(os.fsdecode(path))[1].lower()
    if ending not in FORMATS:
        known = " or ".join(FORMATS)
        raise ValueError(
            f"a moving picture must end in {known}, got {os.fsdecode(path)!r}; give one of these endings"
        )
    frames = [Image.fromarray(frame) for frame in frames_of(runs)]
    kind, options = FORMATS[ending]
    durations = [PAUSE] * (len(frames) - 1) + [LAST]
    with replacing(path) as file:
        frames[0].save(
            file, kind, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
        )


def frames_of(runs: Mapping[str, Run]) -> list[np.ndarray]:
    """The frames, each (height, width, 3) uint8, of at most FRAMES evenly spaced steps."""
    first = next(iter(runs.values()))
    others = [name for name, run in runs.items() if run.probe.digest != first.probe.digest]
    if others:
        raise ValueError(
            f"the runs of one moving picture must have the same probe images, those of "
            f"{', '.join(others)} differ; write one for each"
        )
    taken = {name: list(run) for name, run in runs.items()}
    method = next((method for all_ in taken.values() for one in all_ for method in one.maps), None)
    if method is None:
        raise ValueError(
            "a moving picture needs maps of the CAM family; take snapshots with the method 'grad_cam'"
        )
    taken = {name: [one for one in all_ if method in one.maps] for name, all_ in taken.items()}
    taken = {name: all_ for name, all_ in taken.items() if all_}
    steps = {one.step: one.when for all_ in taken.values() for one in all_}
    chosen = [sorted(steps)[i] for i in pick_evenly(len(steps), FRAMES)]
    shown = pick_evenly(len(first.probe), IMAGES)
    pictures = [_small(first.probe.pictures[i]) for i in shown]
    scales = {
        name: [max(_peak(one.maps[method][i]) for one in all_) for i in shown] for name, all_ in taken.items()
    }
    return [
        _frame(
            f"{steps[step]}, {method}",
            {
                name: [
                    tile(picture, _at(all_, step).maps[method][i], SIDE, scale=scale or None)
                    for i, picture, scale in zip(shown, pictures, scales[name])
                ]
                for name, all_ in taken.items()
            },
        )
        for step in chosen
    ]


def _frame(title: str, rows: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    """A line of text, then for each run its name and its tiles."""
    columns = max(len(tiles) for tiles in rows.values())
    width = max(360, columns * (SIDE + GAP) + GAP)
    canvas = np.full((LINE + len(rows) * (LINE + SIDE + GAP), width, 3), 255, np.uint8)
    write(canvas, (GAP, 0, width - GAP, LINE), title, TEXT, INK)
    for row, (name, tiles) in enumerate(rows.items()):
        y = LINE + row * (LINE + SIDE + GAP)
        write(canvas, (GAP, y, width - GAP, y + LINE), name, TEXT, INK)
        for column, drawn in enumerate(tiles):
            x = GAP + column * (SIDE + GAP)
            canvas[y + LINE : y + LINE + SIDE, x : x + SIDE] = drawn
    return canvas


def _at(snapshots: list[Snapshot], step: int) -> Snapshot:
    """The one at a step, else the last before it, else the first."""
    return ([one for one in snapshots if one.step <= step] or snapshots[:1])[-1]


def _peak(map_: np.ndarray) -> float:
    peak = float(np.abs(map_).max())
    return peak if np.isfinite(peak) else 0.0


def _small(picture: np.ndarray) -> np.ndarray:
    """At most twice SIDE a side: `tile` fits it anyway, for every frame anew."""
    shrink = 2 * SIDE / max(picture.shape[:2])
    return (
        picture
        if shrink >= 1
        else cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    )
