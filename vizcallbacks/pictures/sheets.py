"""Maps through training: one probe image on a history sheet, many in an overview.

uint8, (height, width, 3), RGB, for TensorBoard, PNG files and slides. Raw maps are drawn by `render`, whose
docstring on scales, dead maps and errors holds here too. Sheets are landscape and can be read on TensorBoard's
cards of 375 x 215 px.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..checks import pick_evenly
from .grid import GAP, MARGIN, VERDICT, Header, Line, Square, grid
from .lettering import GREY, INK, RIGHT, WHITE, WRONG, clean, mark, text_width, wrapped, write
from .picture import checked_picture, letterbox
from .render import common_scale, overlay, tile

LANDSCAPE = 1.6  # width by height, at least
CAPITALS = 0.04  # of the width: a text's size whose capitals are 2.7 % of it

SIDE, SPACE = 104, 4  # px, of an overview's cells, and between them
BELOW = 22  # px, for right or wrong
BREAK = 16  # px, between two steps some between which are left out
AS_ROWS = 5  # images up to which an overview has a row for each and a column for each step
STEPS = 8  # at most in that case
AS_COLUMNS = 10  # images at most that have columns
NAME, SMALL, LEGEND = (
    42,
    28,
    36,
)  # px, sizes of texts: 12 px on a card, which shows every third or fourth pixel


@dataclass(frozen=True)
class Track:
    """One probe image through training: a (h, w) map for each step; `right` puts a tick or cross on each."""

    label: str
    picture: np.ndarray
    maps: Sequence[np.ndarray]
    right: Sequence[bool | None] | None = None


def history_sheet(
    picture: np.ndarray,
    entries: Sequence[tuple[Header, np.ndarray]],
    title: str = "",
    columns: int = 6,
    rows: int = 2,
    scale: float | None = None,
    numbers: Sequence[int] | None = None,
    side: int = 120,
) -> np.ndarray:
    """One probe image through the epochs so far: the input, then a map per epoch, all on one scale.

    If there are more epochs than cells, evenly spaced ones are shown, including the first and the newest. An epoch
    before which others are left out is written "… epoch 8".

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    entries : sequence of (Header, ndarray (h, w) float)
        Oldest first. Each header's epoch is shown, and its probability, or its prediction where that is wrong.
    title : str
        Shown in a strip above, unless empty.
    columns, rows : int
        Of cells; two cells at least.
    scale : float, optional
        None: the largest maximum of all entries, including those not shown.
    numbers : sequence of int, optional
        The entries' numbers among all there were; default: none was left out.
    side : int, px
        Of the cells.

    Returns
    -------
    ndarray, (height, (side + 8) columns + 24, 3), uint8
    """
    picture = checked_picture(picture)
    if columns < 1 or rows < 1 or columns * rows < 2:
        raise ValueError(f"a sheet needs room for the input and one map, got {columns} columns x {rows} rows")
    scale = common_scale([cam for _, cam in entries]) if scale is None else scale
    squares = [Square(letterbox(picture, side), [[Line("input")]])]
    chosen = pick_evenly(len(entries), columns * rows - 1)
    gaps = _gaps(chosen, numbers)
    for index in chosen:
        header, cam = entries[index]
        lines = [[Line(("… " if index in gaps else "") + header.epoch)]]
        if header.prediction:
            seen = header.percentage[3:] if header.right else header.prediction
            lines.append([Line(seen, WHITE, VERDICT[header.right], header.right)])
        squares.append(Square(tile(picture, cam, side, scale=scale, title=header.epoch), lines))
    width = columns * side + (columns - 1) * GAP + 2 * MARGIN
    return grid(squares, columns, Header(label=title) if title else None, width, math.ceil(CAPITALS * width))


def overview(
    tracks: Sequence[Track],
    captions: Sequence[str | int],
    corner: str = "epoch",
    numbers: Sequence[int] | None = None,
) -> np.ndarray:
    """Many probe images through training in one picture, landscape.

    Up to five images have a row each, with the input and up to eight steps beside each other. More images have a
    column each, at most ten, with up to four steps below each other. What does not fit is left out evenly, but the
    first and the last are kept. Dots mark steps that are left out, and the legend counts images that are. Each
    image has one scale, the largest maximum of its maps that are shown.

    Parameters
    ----------
    tracks : sequence of Track, one at least
    captions : sequence of str or int
        What stands at each step: keep it to a few characters, "start" or 12.
    corner : str
        What the captions are.
    numbers : sequence of int, optional
        The steps' numbers among all there were; default: none was left out.

    Returns
    -------
    ndarray, (height, width, 3), uint8
        At least 1.6 times as wide as high.
    """
    for track in tracks:
        for name, values in (("maps", track.maps), ("right", track.right)):
            if values is not None and len(values) != len(captions):
                raise ValueError(
                    f"track '{track.label}' has {len(values)} {name} for {len(captions)} captions; give one each"
                )
    if not tracks or not captions:
        raise ValueError(
            f"an overview needs an image and a step, got {len(tracks)} images and {len(captions)} steps"
        )
    images = pick_evenly(len(tracks), AS_COLUMNS)
    as_rows = len(images) <= AS_ROWS
    steps = pick_evenly(len(captions), STEPS if as_rows else 4 if len(images) > 8 else 3)
    gaps = _gaps(steps, numbers)
    along = [0]  # where the input and each step begin, along the axis of steps
    verdicts = BELOW if any(track.right is not None for track in tracks) else 0
    for one in steps:
        marks = 0 if as_rows or len(along) == 1 else verdicts  # none below the input
        along.append(along[-1] + SIDE + marks + (BREAK if one in gaps else SPACE))
    across = [place * (SIDE + SPACE + (verdicts if as_rows else 0)) for place in range(len(images))]
    texts = (
        [corner, *(tracks[i].label for i in images)] if as_rows else [corner, "input", *map(str, captions)]
    )
    labels = min(240, max(text_width(clean(text), NAME) for text in texts))
    names = [wrapped(tracks[i].label, SIDE, SMALL) for i in images]
    top = 48 if as_rows else max(48, 8 + 34 * max(len(lines) for lines in names))
    legend = _legend([tracks[i] for i in images], steps, len(tracks), bool(gaps))
    down, over = (across, along) if as_rows else (along, across)
    high = top + down[-1] + SIDE + verdicts + 56
    first = 2 * MARGIN + labels
    wide = max(
        first + over[-1] + SIDE + MARGIN, math.ceil(LANDSCAPE * high), _legend_width(legend) + 2 * MARGIN
    )
    first = wide - MARGIN - over[-1] - SIDE  # where the pictures begin
    canvas = np.full((high, wide, 3), 255, np.uint8)
    write(canvas, (MARGIN, 0, first - MARGIN, top), corner, NAME, GREY)
    for place, step in enumerate((None, *steps)):
        caption = "input" if step is None else str(captions[step])
        if as_rows:
            box = (first + along[place], 0, first + along[place] + SIDE, top)
            write(canvas, box, caption, NAME, GREY, "centre")
        else:
            box = (MARGIN, top + along[place], first - MARGIN, top + along[place] + SIDE)
            write(canvas, box, caption, NAME, INK)
        if step in gaps:
            start = along[place] - BREAK // 2 - 2
            for dot in range(0, across[-1] + SIDE, 16):
                y, x = (top + dot, first + start) if as_rows else (top + start, first + dot)
                canvas[y : y + 4, x : x + 4] = GREY
    for place, i in enumerate(images):
        track, scale = tracks[i], common_scale([tracks[i].maps[number] for number in steps])
        y, x = (top + across[place], first) if as_rows else (top, first + across[place])
        if as_rows:
            write(canvas, (MARGIN, y, first - MARGIN, y + SIDE), track.label, NAME, INK)
        else:
            for row, line in enumerate(names[place]):
                start = top - 34 * (len(names[place]) - row) - 4
                write(canvas, (x, start, x + SIDE, start + 34), line, SMALL, INK, "centre")
        canvas[y : y + SIDE, x : x + SIDE] = letterbox(checked_picture(track.picture), SIDE)
        for offset, number in zip(along[1:], steps):
            top_, left = (y, x + offset) if as_rows else (y + offset, x)
            square = canvas[top_ : top_ + SIDE, left : left + SIDE]
            square[:] = tile(track.picture, track.maps[number], SIDE, scale=scale, title=track.label)
            right = None if track.right is None else track.right[number]
            if right is not None:
                strip = canvas[top_ + SIDE : top_ + SIDE + BELOW, left : left + SIDE]
                strip[:] = VERDICT[right]
                middle = (SIDE - BELOW) // 2
                mark(strip[:, middle : middle + BELOW], right, WHITE, VERDICT[right])
    _write_legend(canvas[-56:], legend)
    return canvas


def _gaps(chosen: Sequence[int], numbers: Sequence[int] | None) -> set[int]:
    """Those of the entries chosen before which others are left out."""
    numbers = range(max(chosen, default=0) + 1) if numbers is None else numbers
    return {now for before, now in zip(chosen, chosen[1:]) if numbers[now] > numbers[before] + 1}


def _legend(
    tracks: Sequence[Track], steps: Sequence[int], count: int, gaps: bool
) -> list[tuple[np.ndarray | bool | None, str]]:
    """What the colours and marks on an overview mean, if they are on it: (swatch, words)."""
    ramp = overlay(np.full((24, 96, 3), 255, np.uint8), np.linspace(0, 1, 96)[None], scale=1.0)
    dots = np.full((24, 36, 3), 255, np.uint8)
    dots[10:14] = np.where(np.arange(36)[:, None] % 16 < 4, GREY, 255)
    verdicts = {track.right[index] for track in tracks if track.right is not None for index in steps}
    items: list[tuple[np.ndarray | bool | None, str]] = [(ramp, "0 to the image's maximum")]
    items += [(right, word) for right, word in ((True, "right"), (False, "wrong")) if right in verdicts]
    if gaps:
        items.append((dots, "left out"))
    if len(tracks) < count:
        items.append((None, f"{len(tracks)} of {count} images"))
    return items


def _legend_width(items: Sequence[tuple[np.ndarray | bool | None, str]]) -> int:
    return sum(_swatch_width(swatch) + text_width(words, LEGEND) + 24 for swatch, words in items)


def _swatch_width(swatch: np.ndarray | bool | None) -> int:
    return 0 if swatch is None else (26 if isinstance(swatch, bool) else swatch.shape[1]) + GAP


def _write_legend(strip: np.ndarray, items: Sequence[tuple[np.ndarray | bool | None, str]]) -> None:
    middle, x = len(strip) // 2, MARGIN
    for swatch, words in items:
        if isinstance(swatch, bool):
            mark(strip[middle - 13 : middle + 13, x : x + 26], swatch, WHITE, RIGHT if swatch else WRONG)
        elif swatch is not None:
            strip[middle - 12 : middle + 12, x : x + swatch.shape[1]] = swatch
        x += _swatch_width(swatch)
        write(strip, (x, 0, x + text_width(words, LEGEND), len(strip)), words, LEGEND, GREY)
        x += text_width(words, LEGEND) + 24
