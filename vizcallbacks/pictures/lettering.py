"""Text on pictures: one line in a box, cut to fit, in a font that has its characters.

Pictures are uint8, (H, W, 3), RGB. Any text can be given; what cannot be drawn is replaced, and what does not
fit is cut. Chinese, Japanese and Korean need a font installed on the machine. On one machine, equal texts give
equal pixels.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_logger = logging.getLogger(__name__)
Colour = tuple[int, int, int]
WHITE, PAPER, INK, GREY = (255, 255, 255), (240, 241, 243), (31, 35, 40), (101, 109, 118)
AMBER = (245, 166, 35)  # of what violates a rule
RIGHT, WRONG, NEUTRAL = (
    (0, 90, 181),
    (190, 80, 0),
    (87, 96, 106),
)  # blue and orange: no eye takes one for the other
FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
)
WIDE_FONTS = (
    "NotoSansCJK*-Regular*.[ot]t[cf]",
    "SourceHanSans*-Regular*.[ot]t[cf]",
    "wqy-microhei*.ttc",
    "wqy-zenhei*.ttc",
    "DroidSansFallback*.ttf",
    "PingFang*.ttc",
    "AppleSDGothicNeo*.ttc",
    "unifont*.[ot]tf",
)
TEXT = 27  # px; its capitals are 2.7 % of a panel's 672 px, the least that can be read on TensorBoard's cards


def write(
    canvas: np.ndarray,
    box: tuple[int, int, int, int],
    text: str,
    size: int,
    ink: Colour,
    align: str = "left",
    fill: Colour | None = None,
    margin: int = 0,
) -> None:
    """Write a line into a box of the canvas, in place, centred vertically; nothing is drawn outside the box.

    A centred text shrinks by up to a fifth before it is cut.

    Parameters
    ----------
    canvas : ndarray, (H, W, 3), uint8
    box : (left, top, right, bottom), px
    size : int, px
    ink, fill : (r, g, b)
        Of the text, and of the whole box below it (None: the canvas stays).
    align : {"left", "centre", "right"}
    margin : int, px
        Kept free at the left and right of the box.
    """
    left, top, right, bottom = box
    if fill is not None:
        canvas[top:bottom, left:right] = fill
    found = _lettered(clean(text), size, align, margin, right - left, bottom - top)
    if found is not None:
        y, x, mask = found
        part = canvas[top + y : top + y + mask.shape[0], left + x : left + x + mask.shape[1]]
        part[:] = blend(part, np.array(ink), mask / 255)


@functools.lru_cache(maxsize=512)
def _lettered(
    text: str, size: int, align: str, margin: int, width: int, height: int
) -> tuple[int, int, np.ndarray] | None:
    """A line in a box: where its inked part begins (down, across), and that part, uint8; None if it is empty.

    The last ones are kept, since most captions are the same on all pictures; the array is read-only.
    """
    room = width - 2 * margin
    smallest = math.ceil(0.8 * size) if align == "centre" else size
    size = next((s for s in range(size, smallest, -1) if text_width(text, s) <= room), smallest)
    text = fitted("{}", [text], room, size)
    spare = room - text_width(text, size)
    x = margin + {"left": 0, "centre": spare // 2, "right": spare}[align]
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).text(
        (x, (height + 0.7 * size) / 2), text, fill=255, font=_font(text, size), anchor="ls"
    )
    inked = mask.getbbox()
    return None if inked is None else (inked[1], inked[0], np.asarray(mask.crop(inked)))


def mark(square: np.ndarray, right: bool, ink: Colour, fill: Colour) -> None:
    """Draw a tick (`right` True) or a cross (False) on a square of the canvas, in place.

    Parameters
    ----------
    square : ndarray, (side, side, 3), uint8
        A part of the canvas.
    right : bool
    ink, fill : (r, g, b)
    """
    square[:] = _marked(len(square), right, ink, fill)


@functools.lru_cache(maxsize=64)
def _marked(side: int, right: bool, ink: Colour, fill: Colour) -> np.ndarray:
    """A read-only square with a tick or a cross."""
    strokes = [[(0.2, 0.55), (0.42, 0.78), (0.8, 0.25)]]
    if not right:
        strokes = [[(0.25, 0.25), (0.75, 0.75)], [(0.25, 0.75), (0.75, 0.25)]]
    drawn = np.zeros((8 * side, 8 * side), np.uint8)
    for points in strokes:
        corners = np.rint(np.array(points) * 8 * side).astype(np.int32)
        cv2.polylines(drawn, [corners], False, (255,), max(1, round(1.1 * side)))
    shares = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA) / 255
    square = blend(np.full((side, side, 3), fill, np.uint8), np.array(ink), shares)
    square.flags.writeable = False
    return square


def fitted(template: str, words: Sequence[str], room: int, size: int) -> str:
    """The template filled with the words; the longest is cut with an ellipsis until the text is `room` px wide.

    Parameters
    ----------
    template : str
        With a {} for each word; it is never cut itself.
    words : sequence of str
    size : int, px
    """
    return _fitted(template, tuple(clean(word) for word in words), room, size)


@functools.lru_cache(maxsize=1024)
def _fitted(template: str, words: tuple[str, ...], room: int, size: int) -> str:
    def filled(most: int) -> str:
        return template.format(
            *(word if len(word) <= most else word[: most - 1].rstrip() + "…" for word in words)
        )

    low, high = 1, max(1, *(len(word) for word in words))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width(filled(middle), size) <= room else (low, middle - 1)
    return filled(low)


def wrapped(text: str, room: int, size: int = TEXT) -> list[str]:
    """The text as a list of one line, or of two where it has a space and one is wider than `room` px."""
    words = clean(text).split(" ")
    if len(words) == 1 or text_width(" ".join(words), size) <= room - 8:
        return [" ".join(words)]
    ways = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    return list(min(ways, key=lambda way: max(text_width(line, size) for line in way)))


def clean(text: object) -> str:
    """One line of at most 200 characters. Those that no font has become their base letter or '?', never a box."""
    return _cleaned(str(text)[:1000])


@functools.lru_cache(maxsize=2048)
def _cleaned(text: str) -> str:
    text = " ".join(text.split())[:200]
    # control, format (joiners, direction), lone surrogates, combining marks
    unseen = {"Cc", "Cf", "Cs", "Mn"}
    text = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) not in unseen)
    if _family_of(text) is not None:
        return text
    _tell_once()
    family = _families()[-1]
    plain = ((c, unicodedata.normalize("NFKD", c)[0], "?") for c in text)
    return "".join(next(c for c in ways if c == "?" or _has(family, c)) for ways in plain)


@functools.lru_cache(maxsize=8192)
def text_width(text: str, size: int) -> int:
    """Width in px of a text written in `size` px: int."""
    return math.ceil(_font(text, size).getlength(text))


def blend(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Array `above`, (H, W, 3) or one colour (3,), over `below`, with opacity (H, W) in [0, 1]: uint8."""
    channels = []
    for channel in range(3):  # one at a time: three values are too few for NumPy's loops
        ground = below[..., channel].astype(np.float64)
        mixed = above[..., channel] - ground
        mixed *= opacity
        mixed += ground
        channels.append(np.rint(mixed).astype(np.uint8))
    return cv2.merge(channels)


def _font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """The first font that has all characters of the text, else the last of those that are always there."""
    family = _family_of(text)
    return _loaded(_families()[-1] if family is None else family, size)


def _family_of(text: str) -> str | None:
    for families in (_families, _wide_families):  # the second is looked for only where it is needed
        for family in families():
            if all(_has(family, c) for c in text):
                return family
    return None


@functools.cache
def _wide_families() -> tuple[str, ...]:
    """The machine's fonts with Chinese, Japanese and Korean characters, one of each name."""
    found = []
    for pattern in WIDE_FONTS:
        places = (path for folder in FONT_FOLDERS for path in Path(folder).expanduser().rglob(pattern))
        found += [str(path) for path in sorted(places)[:1]]
    return tuple(found)


@functools.cache
def _tell_once() -> None:
    _logger.warning(
        "some names have characters that no font here has; pictures show '?' for them; install a font with them, "
        "such as Debian's fonts-noto-cjk"
    )


@functools.cache
def _families() -> tuple[str, ...]:
    """Pillow's own font, with little beyond English; then matplotlib's, for accents, Greek and Cyrillic."""
    matplotlib = importlib.util.find_spec("matplotlib")
    folders = matplotlib.submodule_search_locations if matplotlib else None
    paths = [Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf") for folder in folders or ()]
    return ("", *(str(path) for path in paths if path.exists()))


@functools.lru_cache(maxsize=64)
def _loaded(family: str, size: int) -> ImageFont.FreeTypeFont:
    if not family:
        return ImageFont.load_default(size)  # type: ignore[return-value]  # with a size, it is a FreeTypeFont
    return ImageFont.truetype(family, size, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=4096)
def _has(family: str, character: str) -> bool:
    """Whether the font draws the character differently from one that no font has."""
    font = _loaded(family, TEXT)
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask("\U0010fffe"))
