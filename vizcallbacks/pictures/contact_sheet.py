"""A contact sheet: the probe images side by side, their regions outlined, to see what a probe set holds."""

from __future__ import annotations

import cv2
import numpy as np

from ..checks import pick_evenly
from ..probes.probe_set import ProbeSet
from .lettering import GREY, INK, text_width, write
from .picture import letterbox

OUTLINES = ((0, 158, 115), (213, 94, 0), (86, 180, 233), (204, 121, 167), (240, 228, 66))
"""Colours of the first, second ... mask, which differ for colour-blind readers too (Okabe and Ito, 2008)."""

SIDE, GAP, MARGIN, LINE = 176, 8, 16, 32  # px
CAPTION = 20  # px, the size of letters below a picture
MOST = 60  # images shown; of more, evenly spaced ones


def contact_sheet(probe: ProbeSet, columns: int = 6) -> np.ndarray:
    """All images of a probe set, each with its class and the outlines of its masks.

    The outline runs inside its region, beside a dark line outside it, so that it is visible on any picture. Of
    more than 60 images, 60 evenly spaced ones are shown, including the first and the last.

    Parameters
    ----------
    probe : ProbeSet
    columns : int
        Pictures in a line, 176 px wide.

    Returns
    -------
    ndarray, (height, width, 3), uint8
    """
    chosen = pick_evenly(len(probe), MOST)
    columns = min(columns, max(3, len(chosen)))
    lines = -(-len(chosen) // columns)
    width = columns * SIDE + (columns - 1) * GAP + 2 * MARGIN
    top = MARGIN + LINE
    canvas = np.full((top + lines * (SIDE + LINE + GAP) + MARGIN, width, 3), 255, np.uint8)
    _write_legend(canvas[MARGIN : MARGIN + LINE, MARGIN:-MARGIN], probe, len(chosen))
    for place, index in enumerate(chosen):
        line, column = divmod(place, columns)
        y, x = top + line * (SIDE + LINE + GAP), MARGIN + column * (SIDE + GAP)
        canvas[y : y + SIDE, x : x + SIDE] = _outlined(probe, index)
        box = (x, y + SIDE, x + SIDE, y + SIDE + LINE)
        write(canvas, box, probe.label_name(index), CAPTION, INK, "centre")
    return canvas


def _outlined(probe: ProbeSet, index: int) -> np.ndarray:
    square = letterbox(probe.pictures[index], SIDE)
    height, width = probe.pictures.shape[1:3]
    for mask, colour in zip(probe.masks.values(), _colours(probe)):
        # the mask in the picture's proportions, then as the picture on the square
        painted = np.repeat(np.where(mask[index], 255, 0).astype(np.uint8)[..., None], 3, axis=2)
        painted = cv2.resize(painted, (width, height), interpolation=cv2.INTER_NEAREST)
        longer = max(height, width)
        if longer < SIDE:  # as letterbox would, but with straight edges
            fit = (max(1, round(width * SIDE / longer)), max(1, round(height * SIDE / longer)))
            painted = cv2.resize(painted, fit, interpolation=cv2.INTER_NEAREST)
        inside = (letterbox(painted, SIDE)[..., 0] >= 128) & _within(height, width)
        thin = np.ones((3, 3), np.uint8)
        solid = inside.astype(np.uint8)
        square[(cv2.dilate(solid, thin) - solid).astype(bool) & _within(height, width)] = INK
        square[(solid - cv2.erode(solid, np.ones((5, 5), np.uint8), borderValue=(0,))).astype(bool)] = colour
    return square


def _within(height: int, width: int) -> np.ndarray:
    """Which pixels of the square the picture covers."""
    return (letterbox(np.zeros((height, width, 3), np.uint8), SIDE) == 0).all(axis=2)


def _colours(probe: ProbeSet) -> list[tuple[int, int, int]]:
    return [OUTLINES[i % len(OUTLINES)] for i in range(len(probe.masks))]


def _write_legend(strip: np.ndarray, probe: ProbeSet, shown: int) -> None:
    """Write how many images there are, and which colour outlines which mask, as far as it fits."""
    height, width = strip.shape[:2]
    count = f"{len(probe)} images" + (f", {shown} shown" if shown < len(probe) else "")
    write(strip, (0, 0, width, height), count, CAPTION, GREY)
    x = text_width(count, CAPTION) + 3 * GAP
    for name, colour in zip(probe.masks, _colours(probe)):
        end = x + 28 + GAP + text_width(name, CAPTION)
        if end > width:
            return
        strip[height // 2 - 3 : height // 2 + 3, x : x + 28] = colour
        write(strip, (x + 28 + GAP, 0, end, height), name, CAPTION, INK)
        x = end + 3 * GAP
