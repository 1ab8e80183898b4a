"""Photograph files, found in folders and read: any kind -> (h, w, 3) uint8 RGB, upright; or words on why not."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".gif", ".jp2", ".ppm", ".pgm"),
)
"""What is taken for a photograph in a folder; the contents then decide."""

MAX_PIXELS = 2**27  # more than the 108 million of telephones; reading them takes a gigabyte
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


def read_photograph(path) -> np.ndarray:
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
        It is no such file, is damaged, has more than `MAX_PIXELS` pixels or one side more than `MAX_RATIO` times
        the other, or values whose range is not known (float, 32 bits). The message names the file.
    """
    path = os.fsdecode(path)
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
        raise ValueError(f"{path!r} must be an image, but is no file; give files, or folders with files")
    Image.init()  # all of Pillow's readers, or it fails on names of formats that it has not loaded yet
    with open(path, "rb") as file, _strict(), warnings.catch_warnings():
        # Pillow warns of damaged remarks beside the pixels, and of large pictures, for which the limit is below
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=_FORMATS) as image:
                fault = _fault(image)
                if not fault:
                    return _pixels(image)
        except Image.DecompressionBombError:
            fault = f"has far more than {MAX_PIXELS // 10**6} million pixels; make it smaller first"
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
        Files, which are taken as they are, and folders, of which all files with an ending of `IMAGE_ENDINGS`
        are taken, in alphabetical order, those in folders below as well; what is hidden (.name) is not.
    leave_out : str, optional
        A folder that is not looked into.

    Returns
    -------
    paths, faults : lists of str
        Faults are words on folders without photographs, and those that may not be read.
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
    if width * height > MAX_PIXELS:
        return (
            f"has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million; make it smaller first"
        )
    if max(width, height) > MAX_RATIO * min(width, height):
        return f"has {width} x {height} pixels, one side over {MAX_RATIO} times the other; crop it first"
    if image.mode in ("I", "F") and not _is_deep(image):
        kind = {"I": "whole numbers of 32 bits", "F": "floats"}[image.mode]
        return f"holds {kind}, and which of them is white is not known; convert it to 8 or 16 bits"
    return ""


def _is_deep(image: Image.Image) -> bool:
    """Whether it is grey of 16 bits, which Pillow has two modes for."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def _pixels(image: Image.Image) -> np.ndarray:
    if _is_deep(image):
        # Pillow turns white and black of such TIFFs (PhotometricInterpretation 0) for 8 bits only
        is_negative = getattr(image, "tag_v2", {}).get(262) == 0
        upper = np.asarray(_upright(image)).astype(np.int32) >> 8
        grey = np.clip(255 - upper if is_negative else upper, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    image = _upright(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _upright(image: Image.Image) -> Image.Image:
    return ImageOps.exif_transpose(image)
