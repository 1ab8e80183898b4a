"""Squares with lines of text below them, set in a grid under a header: what panels and sheets are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .lettering import (
    AMBER,
    GREY,
    INK,
    NEUTRAL,
    PAPER,
    RIGHT,
    TEXT,
    WHITE,
    WRONG,
    Colour,
    fitted,
    mark,
    text_width,
    write,
)

GAP, MARGIN = 8, 16  # px
VERDICT: dict[bool | None, Colour] = {True: RIGHT, False: WRONG, None: NEUTRAL}


@dataclass(frozen=True)
class Header:
    """The strip above a panel: blue with a tick if `right`, orange with a cross if wrong.

    It is grey, without a mark, if `right` is None (no label known). `epoch` is a text ("epoch 12", "before
    training"). `note` is added below in grey. `violation` is added below on amber and puts a thick amber border
    round the picture.
    """

    label: str = ""
    prediction: str = ""
    probability: float | None = None
    epoch: str = ""
    right: bool | None = None
    note: str = ""
    violation: str = ""

    @property
    def percentage(self) -> str:
        """The probability as it is added to a text; "" if there is none."""
        return "" if self.probability is None else f" · {self.probability:.2f}"


@dataclass(frozen=True)
class Line:
    """A line of text below a square: with `right`, a tick or a cross stands before it."""

    text: str
    ink: Colour = INK
    fill: Colour | None = None
    right: bool | None = None


@dataclass(frozen=True)
class Square:
    """A picture (side, side, 3) uint8 and what stands below it; lines of one row share its width."""

    picture: np.ndarray
    rows: Sequence[Sequence[Line]] = ()


def grid(
    squares: Sequence[Square],
    columns: int,
    header: Header | None,
    width: int = 0,
    text: int = TEXT,
) -> np.ndarray:
    """The squares on white, line by line, with the header's strips above and below.

    Parameters
    ----------
    squares : sequence of Square, one at least
        Of one size.
    columns : int
    header : Header or None
    width : int, px
        Of the picture, if the squares leave room.
    text : int, px
        Size of all texts.

    Returns
    -------
    ndarray, (height, width, 3), uint8
    """
    line, strip, side = round(1.18 * text), round(1.63 * text), len(squares[0].picture)
    width = max(width, columns * side + (columns - 1) * GAP + 2 * MARGIN)
    below = [] if header is None else [(header.note, GREY, PAPER), (header.violation, INK, AMBER)]
    below = [entry for entry in below if entry[0]]
    lines = [squares[first : first + columns] for first in range(0, len(squares), columns)]
    heights = [side + 2 + line * max(len(square.rows) for square in one) for one in lines]
    top = strip if header else 0
    height = top + MARGIN + sum(heights) + GAP * len(lines) + strip * len(below)
    canvas = np.full((height, width, 3), 255, np.uint8)
    if header:
        _write_header(canvas[6 if header.violation else 0 : strip], header, text)
    y = top + MARGIN
    for one, tall in zip(lines, heights):
        for place, square in enumerate(one):
            left = MARGIN + place * (side + GAP)
            canvas[y : y + side, left : left + side] = square.picture
            for number, row in enumerate(square.rows):
                start = y + side + 2 + number * line
                _write_row(canvas[start : start + line, left : left + side], row, text)
        y += tall + GAP
    for words, ink, fill in below:
        write(canvas, (0, y, width, y + strip), words, text, ink, "left", fill, margin=MARGIN)
        y += strip
    if header and header.violation:
        for edge in (canvas[:6], canvas[-6:], canvas[:, :6], canvas[:, -6:]):
            edge[:] = AMBER
    return canvas


def _write_row(strip: np.ndarray, row: Sequence[Line], text: int) -> None:
    """Lines side by side, in equal parts of the strip."""
    high, wide = strip.shape[:2]
    for place, one in enumerate(row):
        left, right = (wide * end // len(row) for end in (place, place + 1))
        if one.fill is not None:
            strip[:, left:right] = one.fill
        if one.right is not None:
            size = round(0.72 * high)
            corner = (high - size) // 2
            mark(
                strip[corner : corner + size, left + 2 : left + 2 + size],
                one.right,
                one.ink,
                one.fill or WHITE,
            )
            left += 2 + size
        write(strip, (left, 0, right, high), one.text, text, one.ink, "centre")


def _write_header(strip: np.ndarray, header: Header, text: int) -> None:
    """Label, prediction and probability on the left, the epoch on the right, on the colour of the verdict."""
    strip[:] = VERDICT[header.right]
    height, width = strip.shape[:2]
    left = MARGIN
    if header.right is not None:
        size = round(0.72 * height)
        corner = (height - size) // 2
        mark(
            strip[corner : corner + size, left - 4 : left - 4 + size],
            header.right,
            WHITE,
            VERDICT[header.right],
        )
        left += size + 2
    epoch = fitted("{}", [header.epoch], int(0.4 * width), text)
    room = width - left - MARGIN - (text_width(epoch, text) + MARGIN if epoch else 0)
    if not header.prediction:
        sentence = fitted("{}", [header.label], room, text)
    elif header.right or not header.label:
        sentence = fitted("{}" + header.percentage, [header.prediction], room, text)
    else:
        words = [header.label, header.prediction]
        sentence = fitted("{}, seen as {}" + header.percentage, words, room, text)
    write(strip, (left, 0, left + room, height), sentence, text, WHITE)
    write(strip, (MARGIN, 0, width - MARGIN, height), epoch, text, WHITE, "right")
