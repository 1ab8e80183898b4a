"""Pictures of maps, set side by side with words: a panel, a comparison, a history, an overview.

uint8, (height, width, 3), RGB, for TensorBoard, PNG files and slides. Maps come in raw and are drawn by
`render`, whose words on scales, dead maps and errors hold here too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..checks import pick_evenly
from .lettering import GREY, INK, PAPER, TEXT, WHITE, clean, fitted, text_width, wrapped, write
from .render import SIGNED, checked_map, checked_picture, common_scale, letterbox, overlay, tile

RIGHT, WRONG, NEUTRAL, AMBER = (26, 127, 55), (190, 48, 42), (87, 96, 106), (245, 166, 35)
VERDICT = {True: RIGHT, False: WRONG, None: NEUTRAL}

WIDTH = 672  # of a panel, px
GAP, MARGIN = 8, 16


@dataclass(frozen=True)
class Header:
    """What the strip above a panel says; green when `right`, red when wrong, grey for None (no label known).

    `epoch` is a text ("epoch 12", "before training"). `note` is added below in grey. `violation` is added
    below on amber and puts a thick amber border round the picture.
    """

    label: str = ""
    prediction: str = ""
    probability: float | None = None
    epoch: str = ""
    right: bool | None = None
    note: str = ""
    violation: str = ""


@dataclass(frozen=True)
class Cell:
    """One titled map of a panel; `kind`, a key of render's KINDS, says how it is drawn.

    "cam" and "difference": (h, w) at the layer's resolution; "intensity": (H, W); "signed": (C, H, W).
    """

    title: str
    map: np.ndarray
    kind: str = "cam"
    scale: float | None = None


@dataclass(frozen=True)
class Row:
    """One probe image of an overview, with a (h, w) map per column; `right` colours a line below each map."""

    label: str
    picture: np.ndarray
    cams: Sequence[np.ndarray]
    right: Sequence[bool | None] | None = None


def panel(picture, cells, header, width=WIDTH):
    """One probe image at one epoch: the input and its maps side by side under a header, `width` px wide.

    Below each map stand its title and its raw maximum (of the absolute values for signed maps), which can
    be compared between epochs. More than four pictures are set in several lines.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    cells : sequence of Cell, one at least
    header : Header
    width : int, px
        Up to a few less, where the columns do not fill it.

    Returns
    -------
    ndarray, (height, width, 3), uint8
    """
    picture = checked_picture(picture)
    if not cells:
        raise ValueError("a panel needs at least one cell, got none; pass Cell(title, map, kind)")
    count = 1 + len(cells)
    columns = math.ceil(count / math.ceil(count / 4))
    side = (width - 2 * MARGIN - GAP * (columns - 1)) // columns
    drawn = [(letterbox(picture, side), [("input", INK, None)])]
    for cell in cells:
        lines = [(line, INK, None) for line in wrapped(cell.title, side)]
        drawn.append(
            (
                tile(picture, cell.map, side, cell.kind, cell.scale, cell.title),
                lines + [(_peak(cell), GREY, None)],
            )
        )
    return _sheet(drawn, columns, side, header)


def side_by_side(picture, baseline_cam, current_cam, header, scale=None, titles=("baseline", "now")):
    """The input, a map of the baseline, the same map now, and the change between them.

    Both maps and their difference share one scale. None: the maximum of both maps.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    baseline_cam, current_cam : ndarray, (h, w), float
        Raw and of one shape.
    header : Header
    titles : pair of str

    Returns
    -------
    ndarray, (height, 672, 3), uint8
    """
    before, now = checked_map(baseline_cam, 2, "baseline_cam"), checked_map(current_cam, 2, "current_cam")
    if before.shape != now.shape:
        raise ValueError(
            f"both maps must have one shape, got baseline {before.shape} and current {now.shape}; "
            "compare maps of the same layer"
        )
    scale = common_scale([before, now]) if scale is None else scale
    with np.errstate(invalid="ignore", over="ignore"):  # infinity - infinity: drawn as undefined
        change = now - before
    cells = [Cell(titles[0], before, "cam", scale), Cell(titles[1], now, "cam", scale)]
    return panel(picture, cells + [Cell("change", change, "difference", scale)], header)


def history_sheet(picture, entries, title="", columns=4, rows=3, scale=None):
    """One probe image through the epochs so far: the input, then a map per epoch, all on one scale.

    Of more epochs than there are cells, evenly spaced ones are shown, the first and the newest among them.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    entries : sequence of (Header, ndarray (h, w) float)
        Oldest first. The header's epoch, prediction, probability and right are shown.
    title : str
        Shown in a strip above, unless empty.
    columns, rows : int
        Of cells, 160 px wide; two cells at least.
    scale : float, optional
        None: the largest maximum among all entries, those not shown included.

    Returns
    -------
    ndarray, (height, 168 columns + 24, 3), uint8
    """
    picture = checked_picture(picture)
    if columns < 1 or rows < 1 or columns * rows < 2:
        raise ValueError(f"a sheet needs room for the input and one map, got {columns} columns x {rows} rows")
    scale = common_scale([cam for _, cam in entries]) if scale is None else scale
    drawn: list[tuple] = [(letterbox(picture, 160), [("input", INK, None)])]
    for index in pick_evenly(len(entries), columns * rows - 1):
        header, cam = entries[index]
        lines: list[tuple] = [(header.epoch, INK, None)]
        if header.prediction:
            seen = fitted("{}" + _probability(header), [header.prediction], 160 - GAP, TEXT)
            lines.append((seen, WHITE, VERDICT[header.right]))
        drawn.append((tile(picture, cam, 160, scale=scale, title=header.epoch), lines))
    return _sheet(drawn, columns, 160, Header(label=title) if title else None)


def overview(rows, columns, corner="epoch"):
    """All probe images (rows) through training (columns) in one picture, at most 900 px wide.

    Each row has one scale, the largest maximum among its maps, those not shown included. Of more than eight
    columns, eight evenly spaced ones are shown, the first and the last among them.

    Parameters
    ----------
    rows : sequence of Row, one at least
    columns : sequence of str or int
        What stands above each column of maps: keep it to a few characters, "start" or 12.
    corner : str
        What the numbers above the columns are.

    Returns
    -------
    ndarray, (height, <= 900, 3), uint8
    """
    for row in rows:
        for name, values in (("cams", row.cams), ("right", row.right)):
            if values is not None and len(values) != len(columns):
                raise ValueError(
                    f"row '{row.label}' has {len(values)} {name} for {len(columns)} columns; give one each"
                )
    if not rows or not columns:
        raise ValueError(
            f"an overview needs a row and a column, got {len(rows)} rows and {len(columns)} columns"
        )
    chosen = pick_evenly(len(columns), 8)
    captions = ["input"] + [str(columns[index]) for index in chosen]
    labels = min(200, max(text_width(clean(text), TEXT) for text in [corner] + [row.label for row in rows]))
    first = MARGIN + labels + MARGIN  # where the pictures begin
    side = min(120, (900 - first - MARGIN + 4) // len(captions) - 4)
    top, pitch, legend = 44, side + 14, 44
    shape = (top + pitch * len(rows) + legend, first + (side + 4) * len(captions) - 4 + MARGIN, 3)
    canvas = np.full(shape, 255, np.uint8)
    write(canvas, (MARGIN, 0, MARGIN + labels, top), corner, TEXT, GREY)
    for place, caption in enumerate(captions):
        left = first + place * (side + 4)
        write(canvas, (left, 0, left + side, top), caption, TEXT, GREY, "centre")
    for number, row in enumerate(rows):
        y = top + number * pitch
        write(canvas, (MARGIN, y, MARGIN + labels, y + side), row.label, TEXT, INK)
        canvas[y : y + side, first : first + side] = letterbox(checked_picture(row.picture), side)
        scale = common_scale(row.cams)
        for place, index in enumerate(chosen, start=1):
            left = first + place * (side + 4)
            drawn = tile(row.picture, row.cams[index], side, scale=scale, title=row.label)
            canvas[y : y + side, left : left + side] = drawn
            if row.right is not None:
                canvas[y + side + 2 : y + side + 7, left : left + side] = VERDICT[row.right[index]]
    _write_legend(canvas[-legend:, first:-MARGIN], any(row.right is not None for row in rows))
    return canvas


def _sheet(drawn, columns, side, header):
    """A grid of (square, [(text, ink, fill), ...]) cells on white, the header's strips above and below."""
    line, strip = 32, 44
    width = columns * side + (columns - 1) * GAP + 2 * MARGIN
    below = [] if header is None else [(header.note, GREY, PAPER), (header.violation, INK, AMBER)]
    below = [entry for entry in below if entry[0]]
    grid = [drawn[first : first + columns] for first in range(0, len(drawn), columns)]
    heights = [side + 2 + line * max(len(lines) for _, lines in cells) for cells in grid]
    top = strip if header else 0
    height = top + MARGIN + sum(heights) + GAP * len(grid) + strip * len(below)
    canvas = np.full((height, width, 3), 255, np.uint8)
    if header:
        _write_header(canvas[6 if header.violation else 0 : strip], header)
    y = top + MARGIN
    for cells, tall in zip(grid, heights):
        for place, (square, lines) in enumerate(cells):
            left = MARGIN + place * (side + GAP)
            canvas[y : y + side, left : left + side] = square
            for number, (text, ink, fill) in enumerate(lines):
                box = (left, y + side + 2 + number * line, left + side, y + side + 2 + (number + 1) * line)
                write(canvas, box, text, TEXT, ink, "centre", fill)
        y += tall + GAP
    for text, ink, fill in below:
        write(canvas, (0, y, width, y + strip), text, TEXT, ink, "left", fill, margin=MARGIN)
        y += strip
    if header and header.violation:
        for edge in (canvas[:6], canvas[-6:], canvas[:, :6], canvas[:, -6:]):
            edge[:] = AMBER
    return canvas


def _write_header(strip, header):
    """Label, prediction and probability on the left, the epoch on the right, on the colour of the verdict."""
    strip[:] = VERDICT[header.right]
    height, width = strip.shape[:2]
    epoch = fitted("{}", [header.epoch], int(0.4 * width), TEXT)
    room = width - 2 * MARGIN - (text_width(epoch, TEXT) + MARGIN if epoch else 0)
    if not header.prediction:
        sentence = fitted("{}", [header.label], room, TEXT)
    elif header.right or not header.label:
        sentence = fitted("{}" + _probability(header), [header.prediction], room, TEXT)
    else:
        sentence = fitted(
            "{}, seen as {}" + _probability(header), [header.label, header.prediction], room, TEXT
        )
    write(strip, (MARGIN, 0, MARGIN + room, height), sentence, TEXT, WHITE)
    write(strip, (MARGIN, 0, width - MARGIN, height), epoch, TEXT, WHITE, "right")


def _write_legend(strip, verdicts):
    """What the colours of an overview mean, in one line; the words that do not fit are left out."""
    height, width = strip.shape[:2]
    ramp = overlay(np.full((10, 96, 3), 255, np.uint8), np.linspace(0, 1, 96)[None], scale=1.0)
    items = [(ramp, "0 to the row's maximum")]
    if verdicts:
        marks = ((RIGHT, "right"), (WRONG, "wrong"))
        items += [(np.full((5, 28, 3), ink, np.uint8), word) for ink, word in marks]
    x = 0
    for swatch, word in items:
        tall, wide = swatch.shape[:2]
        end = x + wide + GAP + text_width(word, 20)
        if end > width:
            return
        y = (height - tall) // 2
        strip[y : y + tall, x : x + wide] = swatch
        write(strip, (x + wide + GAP, 0, end, height), word, 20, GREY)
        x = end + 3 * GAP


def _probability(header):
    return "" if header.probability is None else f" · {header.probability:.2f}"


def _peak(cell):
    """The largest raw value, or absolute value of a signed map, as a caption."""
    if not np.isfinite(cell.map).all():
        return ""
    return f"max {(np.abs(cell.map) if cell.kind in SIGNED else cell.map).max():.2g}"
