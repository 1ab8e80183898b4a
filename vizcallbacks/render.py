"""Maps as pictures: uint8, (H, W, 3), RGB, for TensorBoard, PNG files and slides.

Raw maps come in, and only here are they scaled, for the eye. A `scale` is the raw value drawn at full
strength: pictures drawn with one scale can be compared; None takes it from the map itself. A dead map (all
zero) or an undefined one (NaN or infinity in it) is hatched and named, never stretched. No argument is
written to, and equal arguments give equal pixels. Each function raises ValueError for an array of another
shape or dtype than it states.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WHITE, PAPER, INK, GREY = (255, 255, 255), (240, 241, 243), (31, 35, 40), (101, 109, 118)
RIGHT, WRONG, NEUTRAL, AMBER = (26, 127, 55), (190, 48, 42), (87, 96, 106), (245, 166, 35)
BLUE, RED = (33, 102, 190), (200, 24, 43)
VERDICT = {True: RIGHT, False: WRONG, None: NEUTRAL}

WIDTH = 672  # of a panel, px
TEXT = 27  # px; its capitals are 2.7 % of WIDTH, the least that can be read on a card (TENSORBOARD.md)
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
    """One titled map of a panel; `kind`, a key of KINDS, says how it is drawn.

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


def colour(values):
    """Colours of numbers on OpenCV's turbo map, from dark blue over green to dark red.

    Parameters
    ----------
    values : ndarray, (h, w), float, in [0, 1]

    Returns
    -------
    ndarray, (h, w, 3), uint8, RGB

    Raises
    ------
    ValueError
        For another shape or dtype, or a value outside [0, 1].
    """
    values = _checked_map(values, 2, "values")
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"values must lie in [0, 1], got {values.min():.4g} to {values.max():.4g}; scale and clip first"
        )
    return cv2.applyColorMap(np.rint(values * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1].copy()


def overlay(picture, cam, scale=None):
    """A class activation map over the photograph; where the map is low, the photograph shows through.

    Upsampled bilinearly, divided by `scale` and clipped to v in [0, 1]; the colour of v covers 0.85 v^0.85
    of a photograph that has lost half of its own colour. Negative values, which HiResCAM and EigenCAM have,
    are drawn as zero.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    cam : ndarray, (h, w), float
        Raw, at the layer's resolution.
    scale : float, optional
        The value that gets full colour. None: the map's maximum.

    Returns
    -------
    ndarray, (H, W, 3), uint8
    """
    picture, cam = _checked_picture(picture), _checked_map(cam, 2, "cam")
    state = _state(cam, "cam")
    if state:
        return _marked(picture, state)
    heat = np.clip(_upsampled(cam, picture.shape) / _checked_scale(scale, cam.max()), 0, 1)
    return _blend(_faded(picture), colour(heat), _opacity(heat))


def difference(picture, change, scale=None):
    """A signed change of a (h, w) map over a grey photograph: red where there is more, blue where less.

    Parameters, result and errors as in `overlay`; `scale` applies to the absolute value.
    """
    picture, change = _checked_picture(picture), _checked_map(change, 2, "change")
    state = _state(change, "difference")
    if state:
        return _marked(picture, state)
    amount = np.clip(_upsampled(change, picture.shape) / _checked_scale(scale, np.abs(change).max()), -1, 1)
    hue = np.where(amount[..., None] > 0, np.array(RED), np.array(BLUE))
    return _blend(_greyed(picture), hue, _opacity(np.abs(amount)))


def signed_picture(gradient, scale=None):
    """A signed gradient as a picture about mid grey: brighter is positive, darker negative.

    Parameters
    ----------
    gradient : ndarray, (C, H, W), float
        Three channels are drawn as RGB; for any other number, their mean is drawn in grey.
    scale : float, optional
        The absolute value drawn as black or white. None: the 99.5th percentile of the absolute values, as a
        few single pixels are often ten times as large as all others; the maximum where that percentile is
        zero.

    Returns
    -------
    ndarray, (H, W, 3), uint8
    """
    gradient = _checked_map(gradient, 3, "gradient")
    state = _state(gradient, "signed")
    if state:
        return _marked(np.full(gradient.shape[1:] + (3,), 128, np.uint8), state)
    drawn = gradient if len(gradient) == 3 else np.repeat(gradient.mean(axis=0, keepdims=True), 3, axis=0)
    amount = drawn / _checked_scale(scale, _robust_maximum(np.abs(drawn), 99.5))
    return np.rint(127.5 + 127.5 * np.clip(amount, -1, 1)).astype(np.uint8).transpose(1, 2, 0).copy()


def intensity(map_, scale=None):
    """A non-negative map in grey, zero black: saliency.

    As MXNet's tutorial draws its third picture, with white at the 99th percentile; black is zero here and
    not the minimum, so that brightness is in proportion to the value.

    Parameters
    ----------
    map_ : ndarray, (H, W), float
        Negative values are drawn as zero.
    scale : float, optional
        The value drawn white. None: the 99th percentile, or the maximum where that is zero.

    Returns
    -------
    ndarray, (H, W, 3), uint8
    """
    map_ = _checked_map(map_, 2, "map")
    state = _state(map_, "intensity")
    if state:
        return _marked(np.zeros(map_.shape + (3,), np.uint8), state)
    grey = np.clip(map_ / _checked_scale(scale, _robust_maximum(np.maximum(map_, 0), 99)), 0, 1)
    return np.repeat(np.rint(255 * grey).astype(np.uint8)[..., None], 3, axis=2)


#: How a map is drawn at a photograph's place: name -> function of (picture, map, scale).
KINDS = {
    "cam": overlay,
    "signed": lambda picture, gradient, scale: signed_picture(gradient, scale),
    "intensity": lambda picture, map_, scale: intensity(map_, scale),
    "difference": difference,
}
SIGNED = ("signed", "difference")


def panel(picture, cells, header):
    """One probe image at one epoch: the input and its maps side by side under a header, 672 px wide.

    Below each map stand its title and its raw maximum (of the absolute values for signed maps), which can
    be compared between epochs. More than four pictures are set in several lines.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    cells : sequence of Cell, one at least
    header : Header

    Returns
    -------
    ndarray, (height, 672, 3), uint8
    """
    picture = _checked_picture(picture)
    if not cells:
        raise ValueError("a panel needs at least one cell, got none; pass Cell(title, map, kind)")
    count = 1 + len(cells)
    columns = math.ceil(count / math.ceil(count / 4))
    side = (WIDTH - 2 * MARGIN - GAP * (columns - 1)) // columns
    drawn = [(_square(picture, side), [("input", INK, None)])]
    for cell in cells:
        lines = [(line, INK, None) for line in _wrapped(cell.title, side)]
        drawn.append((_drawn(picture, cell, side), lines + [(_peak(cell), GREY, None)]))
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
    before, now = _checked_map(baseline_cam, 2, "baseline_cam"), _checked_map(current_cam, 2, "current_cam")
    if before.shape != now.shape:
        raise ValueError(
            f"both maps must have one shape, got baseline {before.shape} and current {now.shape}; "
            "compare maps of the same layer"
        )
    scale = _common_scale([before, now]) if scale is None else scale
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
    picture = _checked_picture(picture)
    if columns < 1 or rows < 1 or columns * rows < 2:
        raise ValueError(f"a sheet needs room for the input and one map, got {columns} columns x {rows} rows")
    scale = _common_scale([cam for _, cam in entries]) if scale is None else scale
    drawn: list[tuple] = [(_square(picture, 160), [("input", INK, None)])]
    for index in pick_evenly(len(entries), columns * rows - 1):
        header, cam = entries[index]
        lines: list[tuple] = [(header.epoch, INK, None)]
        if header.prediction:
            seen = _fitted("{}" + _probability(header), [header.prediction], 160 - GAP, TEXT)
            lines.append((seen, WHITE, VERDICT[header.right]))
        drawn.append((_drawn(picture, Cell(header.epoch, cam, "cam", scale), 160), lines))
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
    labels = min(200, max(_width(_clean(text), TEXT) for text in [corner] + [row.label for row in rows]))
    first = MARGIN + labels + MARGIN  # where the pictures begin
    side = min(120, (900 - first - MARGIN + 4) // len(captions) - 4)
    top, pitch, legend = 44, side + 14, 44
    shape = (top + pitch * len(rows) + legend, first + (side + 4) * len(captions) - 4 + MARGIN, 3)
    canvas = np.full(shape, 255, np.uint8)
    _write(canvas, (MARGIN, 0, MARGIN + labels, top), corner, TEXT, GREY)
    for place, caption in enumerate(captions):
        left = first + place * (side + 4)
        _write(canvas, (left, 0, left + side, top), caption, TEXT, GREY, "centre")
    for number, row in enumerate(rows):
        y = top + number * pitch
        _write(canvas, (MARGIN, y, MARGIN + labels, y + side), row.label, TEXT, INK)
        canvas[y : y + side, first : first + side] = _square(_checked_picture(row.picture), side)
        scale = _common_scale(row.cams)
        for place, index in enumerate(chosen, start=1):
            left = first + place * (side + 4)
            cell = Cell(row.label, row.cams[index], "cam", scale)
            canvas[y : y + side, left : left + side] = _drawn(row.picture, cell, side)
            if row.right is not None:
                canvas[y + side + 2 : y + side + 7, left : left + side] = VERDICT[row.right[index]]
    _write_legend(canvas[-legend:, first:-MARGIN], any(row.right is not None for row in rows))
    return canvas


def pick_evenly(count, most):
    """Indices of at most `most` of `count` entries, evenly spaced, the first and the last among them.

    If only one may be picked, it is the last. Halves are rounded up.

    Returns
    -------
    list of int, ascending
    """
    if count < 0 or most < 1:
        raise ValueError(f"count must be at least 0 and most at least 1, got {count} and {most}")
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return [(2 * i * (count - 1) + most - 1) // (2 * (most - 1)) for i in range(most)]


def encode(picture, format="jpeg"):
    """The picture as the bytes of a file.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    format : {"jpeg", "png"}
        JPEG has quality 90 and colour at full resolution (4:4:4): OpenCV's default of 4:2:0 fades thin lines.

    Returns
    -------
    bytes
    """
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    options = {"jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 90] + full_colour), "png": (".png", [])}
    if format not in options:
        raise ValueError(f"format must be one of {', '.join(options)}, got {format!r}")
    extension, parameters = options[format]
    return cv2.imencode(extension, _checked_picture(picture)[..., ::-1], parameters)[1].tobytes()


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
                _write(canvas, box, text, TEXT, ink, "centre", fill)
        y += tall + GAP
    for text, ink, fill in below:
        _write(canvas, (0, y, width, y + strip), text, TEXT, ink, "left", fill, margin=MARGIN)
        y += strip
    if header and header.violation:
        for edge in (canvas[:6], canvas[-6:], canvas[:, :6], canvas[:, -6:]):
            edge[:] = AMBER
    return canvas


def _write_header(strip, header):
    """Label, prediction and probability on the left, the epoch on the right, on the colour of the verdict."""
    strip[:] = VERDICT[header.right]
    height, width = strip.shape[:2]
    epoch = _fitted("{}", [header.epoch], int(0.4 * width), TEXT)
    room = width - 2 * MARGIN - (_width(epoch, TEXT) + MARGIN if epoch else 0)
    if not header.prediction:
        sentence = _fitted("{}", [header.label], room, TEXT)
    elif header.right or not header.label:
        sentence = _fitted("{}" + _probability(header), [header.prediction], room, TEXT)
    else:
        sentence = _fitted(
            "{}, seen as {}" + _probability(header), [header.label, header.prediction], room, TEXT
        )
    _write(strip, (MARGIN, 0, MARGIN + room, height), sentence, TEXT, WHITE)
    _write(strip, (MARGIN, 0, width - MARGIN, height), epoch, TEXT, WHITE, "right")


def _write_legend(strip, verdicts):
    """What the colours of an overview mean, in one line; the words that do not fit are left out."""
    height, width = strip.shape[:2]
    ramp = np.linspace(0, 1, 96)[None]
    white = np.full((1, 96, 3), 255, np.uint8)
    items = [(np.repeat(_blend(white, colour(ramp), _opacity(ramp)), 10, axis=0), "0 to the row's maximum")]
    if verdicts:
        items += [
            (np.full((5, 28, 3), ink, np.uint8), word) for ink, word in ((RIGHT, "right"), (WRONG, "wrong"))
        ]
    x = 0
    for swatch, word in items:
        tall, wide = swatch.shape[:2]
        end = x + wide + GAP + _width(word, 20)
        if end > width:
            return
        y = (height - tall) // 2
        strip[y : y + tall, x : x + wide] = swatch
        _write(strip, (x + wide + GAP, 0, end, height), word, 20, GREY)
        x = end + 3 * GAP


def _probability(header):
    return "" if header.probability is None else f" · {header.probability:.2f}"


def _drawn(picture, cell, side):
    """A cell's map as a (side, side, 3) picture; a dead or undefined map on the greyed photograph."""
    if cell.kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {cell.kind!r}")
    map_ = _checked_map(cell.map, 3 if cell.kind == "signed" else 2, f"map of cell '{cell.title}'")
    state = _state(map_, cell.kind)
    if state:
        return _marked(_square(picture, side), state)
    return _square(KINDS[cell.kind](_fit(picture, side), map_, cell.scale), side)


def _state(map_, kind):
    """Why a map cannot be drawn, in words; empty if it can."""
    if not np.isfinite(map_).all():
        return "undefined"
    if not map_.any():
        return "no change" if kind == "difference" else "dead map"
    return "not positive" if kind not in SIGNED and map_.max() <= 0 else ""


def _marked(picture, words):
    """The picture greyed, hatched and framed, with the words on it where they fit."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    canvas = _blend(_greyed(picture), np.array(GREY), 0.35 * ((x + y) % 12 < 1))
    for edge in (canvas[:2], canvas[-2:], canvas[:, :2], canvas[:, -2:]):
        edge[:] = GREY
    size = next((size for size in range(TEXT, 8, -1) if _width(words, size) <= width - 12), 0)
    if size and height >= 2 * size:
        across, up = math.ceil(_width(words, size) / 2) + 4, int(0.75 * size)
        box = (width // 2 - across, height // 2 - up, width // 2 + across, height // 2 + up)
        _write(canvas, box, words, size, INK, "centre", WHITE)
    return canvas


def _peak(cell):
    """The largest raw value, or absolute value of a signed map, as a caption."""
    if not np.isfinite(cell.map).all():
        return ""
    return f"max {(np.abs(cell.map) if cell.kind in SIGNED else cell.map).max():.2g}"


def _robust_maximum(values, percentile):
    """A positive scale for values >= 0; 1 where all are zero, as the mean of channels that cancel out is."""
    return np.percentile(values, percentile) or values.max() or 1.0


def _common_scale(maps):
    """The largest value among the finite maps; None where there is none above zero."""
    peaks = [_checked_map(map_, 2, "cam").max() for map_ in maps]
    return max(
        (peak for peak, map_ in zip(peaks, maps) if np.isfinite(map_).all() and peak > 0), default=None
    )


def _blend(below, above, opacity):
    return np.rint(below + opacity[..., None] * (above - below.astype(np.float64))).astype(np.uint8)


def _opacity(amount):
    return 0.85 * amount**0.85


def _faded(picture):
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    return ((picture.astype(np.uint16) + grey) // 2).astype(np.uint8)


def _greyed(picture):
    """Grey with little contrast and light, so that what is drawn on it stands out."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.repeat((110 + grey.astype(np.uint16) // 2).astype(np.uint8)[..., None], 3, axis=2)


def _upsampled(map_, shape):
    return cv2.resize(map_, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _fit(picture, side):
    """Resized in its proportions, the longer edge to `side`; below 24 px, pixels stay visible."""
    longer = max(picture.shape[:2])
    height, width = (max(1, round(edge * side / longer)) for edge in picture.shape[:2])
    enlarged = cv2.INTER_NEAREST if longer < 24 else cv2.INTER_CUBIC
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if longer > side else enlarged)


def _square(picture, side):
    """Fitted and centred on a light square."""
    fitted = _fit(picture, side)
    height, width = fitted.shape[:2]
    square = np.full((side, side, 3), PAPER, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = fitted
    return square


def _write(canvas, box, text, size, ink, align="left", fill=None, margin=0):
    """Writes a line into box (left, top, right, bottom), centred vertically; nothing leaves the box.

    A centred text gives up a fifth of its size before it is cut.
    """
    left, top, right, bottom = box
    if fill is not None:
        canvas[top:bottom, left:right] = fill
    width, height = right - left, bottom - top
    room, text = width - 2 * margin, _clean(text)
    smallest = math.ceil(0.8 * size) if align == "centre" else size
    size = next((s for s in range(size, smallest, -1) if _width(text, s) <= room), smallest)
    text = _fitted("{}", [text], room, size)
    spare = room - _width(text, size)
    x = margin + {"left": 0, "centre": spare // 2, "right": spare}[align]
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).text(
        (x, (height + 0.7 * size) / 2), text, fill=255, font=_font(text, size), anchor="ls"
    )
    canvas[top:bottom, left:right] = _blend(
        canvas[top:bottom, left:right], np.array(ink), np.asarray(mask) / 255
    )


def _fitted(template, words, room, size):
    """The template filled with the words, the longest cut with an ellipsis until it is `room` wide."""
    words = [_clean(word) for word in words]

    def filled(most):
        return template.format(
            *(word if len(word) <= most else word[: most - 1].rstrip() + "…" for word in words)
        )

    low, high = 1, max(1, *(len(word) for word in words))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _width(filled(middle), size) <= room else (low, middle - 1)
    return filled(low)


def _wrapped(text, room):
    """The text in one line, or in two where it has a space and one does not hold it."""
    words = _clean(text).split(" ")
    if len(words) == 1 or _width(" ".join(words), TEXT) <= room - 8:
        return [" ".join(words)]
    ways = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    return list(min(ways, key=lambda way: max(_width(line, TEXT) for line in way)))


def _clean(text):
    """One line of at most 200 characters that the fonts have; others become their base letter or '?'."""
    text = " ".join(str(text)[:1000].split())[:200]
    # control, format (joiners, direction), lone surrogates, combining marks
    unseen = {"Cc", "Cf", "Cs", "Mn"}
    text = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) not in unseen)
    if any(all(_has(family, c) for c in text) for family in _families()):
        return text
    family = _families()[-1]
    plain = ((c, unicodedata.normalize("NFKD", c)[0], "?") for c in text)
    return "".join(next(c for c in ways if c == "?" or _has(family, c)) for ways in plain)


def _width(text, size):
    return math.ceil(_font(text, size).getlength(text))


def _font(text, size):
    """The first font that has all characters of the text, else the last."""
    return _loaded(next((f for f in _families() if all(_has(f, c) for c in text)), _families()[-1]), size)


@functools.cache
def _families():
    """Pillow's own font, with little beyond English; then matplotlib's, for accents, Greek and Cyrillic."""
    matplotlib = importlib.util.find_spec("matplotlib")
    folders = matplotlib.submodule_search_locations if matplotlib else None
    paths = [Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf") for folder in folders or ()]
    return ("", *(str(path) for path in paths if path.exists()))


@functools.lru_cache(maxsize=64)
def _loaded(family, size):
    if not family:
        return ImageFont.load_default(size)
    return ImageFont.truetype(family, size, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=4096)
def _has(family, character):
    """Whether the font draws the character otherwise than one that no font has."""
    font = _loaded(family, TEXT)
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask("\U0010fffe"))


def _checked_picture(picture):
    if (
        not isinstance(picture, np.ndarray)
        or picture.dtype != np.uint8
        or picture.ndim != 3
        or picture.shape[2] != 3
    ):
        raise ValueError(f"a picture must be a (H, W, 3) uint8 array, got {_described(picture)}")
    if not picture.size:
        raise ValueError(f"a picture must not be empty, got {_described(picture)}")
    return picture


def _checked_map(map_, ndim, name):
    """The map in float64: sums and quotients of large float32 values stay finite."""
    axes = {2: "(h, w)", 3: "(C, H, W)"}[ndim]
    if not isinstance(map_, np.ndarray) or map_.dtype.kind != "f" or map_.ndim != ndim or not map_.size:
        raise ValueError(f"{name} must be a {axes} float array, not empty, got {_described(map_)}")
    return map_.astype(np.float64)


def _checked_scale(scale, maximum):
    if scale is None:
        return maximum
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive finite number or None, got {scale!r}")
    return scale


def _described(value):
    return f"{value.shape} {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
