"""Finding and reading photograph files: any kind -> (h, w, 3) uint8 RGB, upright; an error says why not."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from typing import Callable

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ..files import memory, open_regular

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".gif", ".jp2", ".ppm", ".pgm"),
)
"""What is taken for a photograph in a folder; the contents then decide."""

MAX_PIXELS = 2**27  # more than the 108 million of telephones
BYTES_PER_PIXEL = (
    26  # that reading takes at most: measured for JPEG 2000 with transparency; PNG and JPEG take 11
)
MAX_RATIO = 100  # of the sides: its short side enlarged to a net's size, a long strip would fill the memory

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "PPM")
# Pillow's others are no photographs, and one of them, EPS, runs a program

_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AttributeError,
    OverflowError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers raise on bytes that are not theirs."""


def read_photograph(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a photograph from a file.

    The first picture of a file with several (animated GIF and WebP, TIFF of many pages, a telephone's MPO).
    Turned as its EXIF says. Transparent parts are white. Of 16 bits the upper eight are taken. CMYK is converted
    as (255 - C) (255 - K) / 255; colour profiles are not applied, as nets' training data are read without them.

    Parameters
    ----------
    path : str or os.PathLike
        JPEG, PNG, TIFF, WebP, GIF, BMP, JPEG 2000 or PPM, whatever its name ends in.

    Returns
    -------
    ndarray, (h, w, 3), uint8, RGB

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        It is no such file, is damaged, has more than `most_pixels` pixels or one side more than `MAX_RATIO` times
        the other, or values whose range is not known (float, 32 bits). The message names the file.
    """
    path = os.fsdecode(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path!r} must be an image, but is no file; give files, or folders with files")
    Image.init()  # all of Pillow's readers, or it fails on names of formats that it has not loaded yet
    with open_regular(path) as file, _strict(), warnings.catch_warnings():
        # Pillow warns of damaged remarks beside the pixels, and of large pictures, for which the limit is below
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=_FORMATS) as image:
                fault = _fault(image)
                if not fault:
                    return _pixels(image)
        except Image.DecompressionBombError:
            fault = f"has far more than {_BOUND.format(most_pixels() / 1e6)}; make it smaller first"
        except UnidentifiedImageError:
            fault = (
                "cannot be read as one: JPEG, PNG, TIFF, WebP, GIF, BMP, JPEG 2000 and PPM can; convert it "
                "(HEIC, RAW, PDF, ...), repair or remove it"
            )
        except _DAMAGE as error:
            raise ValueError(
                f"{path!r} must be an image, but cannot be read as one ({error}); repair or remove it"
            ) from error
    raise ValueError(f"{path!r} must be an image, but {fault}")


def most_pixels() -> int:
    """The most pixels that a photograph may have here: `MAX_PIXELS`, or what fits in half of the memory."""
    return min(MAX_PIXELS, memory() // 2 // BYTES_PER_PIXEL)


_BOUND = "{:.3g} million pixels, the most that is read with the memory here"


@contextlib.contextmanager
def _strict() -> Iterator[None]:
    """Have Pillow refuse a file whose end is missing: GluonCV, once imported, lets it fill the rest with grey."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def find_photographs(places: Sequence[str], leave_out: str | None = None) -> tuple[list[str], list[str]]:
    """The files of photographs at these places, in their order, each once.

    Parameters
    ----------
    places : sequence of str
        Files, which are taken as they are, and folders. Of a folder, all files with an ending of `IMAGE_ENDINGS`
        are taken in alphabetical order, also in folders below it, but nothing hidden (.name).
    leave_out : str, optional
        A folder that is skipped.

    Returns
    -------
    paths, faults : lists of str
        Faults name folders that have no photographs or may not be read.
    """
    found: dict[str, str] = {}  # real path -> path
    faults: list[str] = []
    for place in places:
        listed = [place]
        if os.path.isdir(place):
            before = len(faults)
            listed = list(_walk(place, leave_out, faults))
            if not listed and len(faults) == before:
                faults.append(
                    f"{place!r} must hold photographs, got none ending in {', '.join(IMAGE_ENDINGS)}"
                )
        for path in listed:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values()), faults


def _walk(root: str, leave_out: str | None, faults: list[str]) -> Iterator[str]:
    skipped = None if leave_out is None else os.path.realpath(leave_out)
    for folder, folders, files in os.walk(root, onerror=lambda error: faults.append(str(error))):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(folder, name)) != skipped
        )
        for name in sorted(files):
            if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith("."):
                yield os.path.join(folder, name)


def _fault(image: Image.Image) -> str:
    """What keeps a picture from being read, known before its pixels are; or ""."""
    width, height = image.size
    if width * height > most_pixels():
        bound = _BOUND.format(most_pixels() / 1e6)
        return f"has {width} x {height} pixels, more than {bound}; make it smaller first"
    if max(width, height) > MAX_RATIO * min(width, height):
        return f"has {width} x {height} pixels, one side over {MAX_RATIO} times the other; crop it first"
    if image.mode in ("I", "F") and not _is_deep(image):
        kind = {"I": "whole numbers of 32 bits", "F": "floats"}[image.mode]
        return f"holds {kind}, and which of them is white is not known; convert it to 8 or 16 bits"
    return ""


def _is_deep(image: Image.Image) -> bool:
    """Whether it is grey of 16 bits, which Pillow has two modes for."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


STRIP = (
    2**22
)  # pixels that are converted at a time: whole pictures beside the first would take several times its memory


def _pixels(image: Image.Image) -> np.ndarray:
    convert = _converter(image)
    image = _upright(image)
    width, height = image.size
    rows = max(1, STRIP // width)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        below = min(top + rows, height)
        pixels[top:below] = convert(image.crop((0, top, width, below)))
    return pixels


def _converter(image: Image.Image) -> Callable[[Image.Image], np.ndarray]:
    """What makes RGB (or grey, (h, w, 1)) of a strip of the picture."""
    if _is_deep(image):
        # Pillow turns white and black of such TIFFs (PhotometricInterpretation 0) for 8 bits only
        is_negative = getattr(image, "tag_v2", {}).get(262) == 0
        return lambda strip: _upper_bits(strip, is_negative)
    if image.has_transparency_data:
        return _over_white
    return lambda strip: np.asarray(strip.convert("RGB"))


def _upper_bits(strip: Image.Image, is_negative: bool) -> np.ndarray:
    upper = np.asarray(strip).astype(np.int32) >> 8
    return np.clip(255 - upper if is_negative else upper, 0, 255).astype(np.uint8)[..., None]


def _over_white(strip: Image.Image) -> np.ndarray:
    white = Image.new("RGBA", strip.size, "white")
    return np.asarray(Image.alpha_composite(white, strip.convert("RGBA")).convert("RGB"))


def _upright(image: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)  # a copy would take its memory once more
    return image
