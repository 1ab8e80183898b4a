"""`Peaks` as one picture: a row of patches for each class, with how alike they are."""

from __future__ import annotations

import math

import numpy as np

from ..attribution.methods import METHODS
from ..checks import pick_evenly
from .lettering import GREY, INK, WHITE, WRONG, fitted, mark, text_width, write
from .peaks import Peaks
from .picture import letterbox

ROWS, PATCHES = 12, 12  # at most, of classes and of a class's patches in one line
LINES = 8  # where there are fewer classes, each gets several lines
PATCH, GAP, MARGIN = 54, 4, 16  # px
TEXT = 42  # px; its capitals are 2.7 % of a sheet of 1090 px
NUMBER = 108  # px, for a class's sameness
PITCH = PATCH + GAP
STRIP = 60  # px, above and below
LANDSCAPE = 1.6  # width by height, of a card of TensorBoard


def peak_sheet(peaks: Peaks, when: str = "") -> np.ndarray:
    """The patches that a net looks at, a row for each class that the maps explain.

    Up to 12 classes are shown; of more, those whose patches are most alike compared with chance. Each class has 12
    or a few more evenly spaced images. Patches of images that the net gets wrong have a frame and a cross. The
    class's `Sameness.value` is on the right, the value of all patches and its chance level are below.

    Parameters
    ----------
    peaks : Peaks
    when : str
        For the strip above: "epoch 8".

    Returns
    -------
    ndarray, (height, width, 3), uint8
        Landscape: at least 1.6 times as wide as high.
    """
    classes = _shown(peaks)
    rows = [np.flatnonzero(peaks.classes == number) for number in classes]
    names = [peaks.names[number] for number in classes]
    numbers = [_number(peaks.sameness[number].value) for number in classes]
    below = _remarks(peaks, len(classes))
    title = fitted(
        "{}", [f"Where {METHODS[peaks.method].title} peaks" + (f" · {when}" if when else "")], 1200, TEXT
    )
    heading = "sameness" if any(numbers) else ""

    most = max((len(row) for row in rows), default=1)
    lines = min(max(1, LINES // max(1, len(rows))), math.ceil(most / PATCHES))
    across = min(PATCHES, math.ceil(most / lines))
    beside = max(1, (PATCHES + 4) // (across + 4))  # classes in one row
    label = max((text_width(fitted("{}", [name], 300, TEXT), TEXT) for name in names), default=0)
    block = label + MARGIN + across * PITCH + (NUMBER if heading else 0) + 2 * MARGIN
    tall = lines * PITCH + GAP
    high = STRIP * (2 if below else 1) + max(1, math.ceil(len(rows) / beside)) * tall
    needed = [[title, heading], [words for words, _ in below]]
    room = max(sum(text_width(words, TEXT) + 3 * MARGIN for words in line) for line in needed)
    wide = max(beside * block, room + MARGIN, math.ceil(LANDSCAPE * high))
    spare = wide // beside - block
    more = min(spare // PITCH, math.ceil(most / lines) - across)  # patches, where there is room
    across, block, spare = across + more, wide // beside, spare - more * PITCH

    canvas = np.full((high, wide, 3), 255, np.uint8)
    write(canvas, (MARGIN, 0, wide - MARGIN, STRIP), title, TEXT, INK)
    if beside == 1:
        write(canvas, (MARGIN, 0, wide - MARGIN, STRIP), heading, TEXT, GREY, "right")
    for place, row in enumerate(rows):
        top, left = STRIP + place // beside * tall, MARGIN + place % beside * block
        middle = top + (lines * PITCH - GAP - PATCH) // 2
        write(canvas, (left, middle, left + label + spare, middle + PATCH), names[place], TEXT, INK)
        for index, i in enumerate(row[j] for j in pick_evenly(len(row), lines * across)):
            y = top + index // across * PITCH
            x = left + label + spare + MARGIN + index % across * PITCH
            _draw_patch(canvas[y : y + PATCH, x : x + PATCH], peaks, i)
        end = left + block - 2 * MARGIN
        write(canvas, (end - NUMBER, middle, end, middle + PATCH), numbers[place], TEXT, INK, "right")
    _write_below(canvas[-STRIP:], below)
    return canvas


def _shown(peaks: Peaks) -> list[int]:
    """The classes shown, in their order."""

    def likeness(number: int) -> float:
        one = peaks.sameness[number]
        share = one.value / one.chance if one.chance else math.nan
        return share if share == share else math.inf

    return sorted(sorted(peaks.sameness, key=likeness)[:ROWS])


def _draw_patch(square: np.ndarray, peaks: Peaks, i: int) -> None:
    square[:] = letterbox(peaks.patches[i], len(square))
    if peaks.wrong[i]:
        for edge in (square[:4], square[-4:], square[:, :4], square[:, -4:]):
            edge[:] = WRONG
        mark(square[-24:, -24:], False, WHITE, WRONG)


def _remarks(peaks: Peaks, rows: int) -> list[tuple[str, bool]]:
    """The remarks below the rows, each with whether it explains the cross."""
    remarks: list[tuple[str, bool]] = []
    if peaks.wrong.any():
        remarks.append(("predicted as another", True))
    if len(peaks.dead):
        remarks.append((f"{len(peaks.dead)} dead maps left out", False))
    if rows < len(peaks.sameness):
        remarks.append((f"{rows} of {len(peaks.sameness)} classes", False))
    one = peaks.overall
    if one.value == one.value:
        remarks.append((f"all {one.value:.2f} · by chance {one.chance:.2f}", False))
    return remarks


def _write_below(strip: np.ndarray, remarks: list[tuple[str, bool]]) -> None:
    """The remarks in one line, spread over its width."""
    high, wide = strip.shape[:2]
    widths = [text_width(words, TEXT) + (36 if crossed else 0) for words, crossed in remarks]
    gap = (wide - 2 * MARGIN - sum(widths)) // max(1, len(remarks) - 1)
    x = MARGIN
    for (words, crossed), width in zip(remarks, widths):
        if crossed:
            mark(strip[high // 2 - 13 : high // 2 + 13, x : x + 26], False, WHITE, WRONG)
        write(strip, (x, 0, x + width, high), words, TEXT, GREY, "right")
        x += width + gap


def _number(value: float) -> str:
    return "" if value != value else f"{value:.2f}"
