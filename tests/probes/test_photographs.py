"""Photograph files of every kind, made here pixel by pixel, are read as these pixels, or refused with words."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from vizcallbacks.probes import photographs
from vizcallbacks.probes.photographs import BYTES_PER_PIXEL, MAX_PIXELS, read_photograph

ROOT = Path(__file__).parents[2]

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
GREY = RGB[..., 0]
ALPHA = np.zeros((6, 8), np.uint8)
ALPHA[:, 2:5], ALPHA[:, 5:] = 128, 255
DEEP = np.linspace(0, 65535, 48 * 64).astype(np.uint16).reshape(48, 64)


def grey_rgb(grey):
    return np.stack([grey] * 3, axis=2)


def over_white(rgb):
    alpha = ALPHA[..., None] / 255
    return np.rint(rgb * alpha + 255 * (1 - alpha))


def smooth(height=48, width=64):
    """Colours that JPEG keeps within a few levels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=2).astype(np.uint8)


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)
    image.save(path, **options)
    return path


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


EXACT = {
    "RGB": ("a.png", lambda p: saved(p, RGB), RGB, 0),
    "grey": ("a.png", lambda p: saved(p, GREY), grey_rgb(GREY), 0),
    "black and white": (
        "a.png",
        lambda p: saved(p, GREY > 127),
        grey_rgb(np.where(GREY > 127, 255, 0)),
        0,
    ),
    "grey and alpha": (
        "a.png",
        lambda p: saved(p, np.dstack([GREY, ALPHA])),
        over_white(grey_rgb(GREY)),
        1,
    ),
    "RGBA": ("a.png", lambda p: saved(p, np.dstack([RGB, ALPHA])), over_white(RGB), 1),
    "RGBA WebP": (
        "a.webp",
        lambda p: saved(p, np.dstack([RGB, ALPHA]), lossless=True, exact=True),
        over_white(RGB),
        1,
    ),
    "BMP": ("a.bmp", lambda p: saved(p, RGB), RGB, 0),
    "TIFF": ("a.tif", lambda p: saved(p, RGB, compression="tiff_lzw"), RGB, 0),
    "PPM": ("a.ppm", lambda p: saved(p, RGB), RGB, 0),
    "JPEG 2000": ("a.jp2", lambda p: saved(p, RGB, irreversible=False), RGB, 0),
    "the ending lies": ("a.jpg", lambda p: saved(p, RGB, format="PNG"), RGB, 0),
    "no ending": ("photograph", lambda p: saved(p, RGB, format="PNG"), RGB, 0),
    "odd name": ("ein schönes Bild (1)\n\U0001f600 -x.png", lambda p: saved(p, RGB), RGB, 0),
}


@pytest.mark.parametrize("case", EXACT)
def test_the_pixels_of_the_file_are_read(case, tmp_path):
    name, make, expected, tolerance = EXACT[case]
    picture = read_photograph(make(tmp_path / name))
    assert picture.dtype == np.uint8
    assert picture.shape == (6, 8, 3)
    assert np.abs(picture.astype(int) - expected).max() <= tolerance


def test_palettes_and_their_transparent_colour(tmp_path):
    indices = np.arange(48, dtype=np.uint8).reshape(6, 8) % 3
    image = Image.fromarray(indices, mode=None).convert("P")
    image.putdata(indices.ravel().tolist())
    image.putpalette([255, 0, 0, 0, 200, 0, 0, 0, 100])
    colours = np.array([[255, 0, 0], [0, 200, 0], [0, 0, 100]])
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "a.gif")
    np.testing.assert_array_equal(read_photograph(tmp_path / "a.png"), colours[indices])
    np.testing.assert_array_equal(read_photograph(tmp_path / "a.gif"), colours[indices])
    colours[1] = 255
    for name in ("clear.png", "clear.gif"):
        image.save(tmp_path / name, transparency=1)
        np.testing.assert_array_equal(read_photograph(tmp_path / name), colours[indices])


@pytest.mark.parametrize("ending", ["png", "tif", "jp2", "pgm"])
def test_16_bits_of_grey_are_scaled_not_wrapped(ending, tmp_path):
    cv2.imwrite(str(tmp_path / f"a.{ending}"), DEEP)
    picture = read_photograph(tmp_path / f"a.{ending}")
    assert np.abs(picture - grey_rgb(DEEP / 257)).max() < 1
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("ending", ["png", "tif", "ppm"])
def test_16_bits_of_colour_are_scaled_not_wrapped(ending, tmp_path):
    deep = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], axis=2)
    cv2.imwrite(str(tmp_path / f"a.{ending}"), deep[..., ::-1])
    assert np.abs(read_photograph(tmp_path / f"a.{ending}") - deep / 257).max() < 1


def test_16_bits_of_colour_and_alpha_are_laid_on_white(tmp_path):
    deep = np.dstack([np.stack([DEEP] * 3, axis=2), np.full_like(DEEP, 128 * 257)])
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    expected = grey_rgb(DEEP / 257 * 128 / 255 + 255 * (1 - 128 / 255))
    assert np.abs(read_photograph(tmp_path / "a.png") - expected).max() <= 1.5


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_tiff_in_which_zero_is_white(kind, tmp_path):
    values = GREY if kind == np.uint8 else DEEP
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    bits = values.dtype.itemsize * 8
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 0), (273, 8), (277, 1), (278, height)]
    tags.append((279, len(data)))
    directory = b"".join(
        tag.to_bytes(2, "little") + b"\x04\x00\x01\x00\x00\x00" + value.to_bytes(4, "little")
        for tag, value in tags
    )
    start = 8 + len(data)
    header = b"II*\x00" + start.to_bytes(4, "little")
    path = tmp_path / "a.tif"
    path.write_bytes(header + data + len(tags).to_bytes(2, "little") + directory + bytes(4))
    whole = np.iinfo(kind).max
    assert np.abs(read_photograph(path) - grey_rgb((whole - values.astype(float)) * 255 / whole)).max() < 1


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_photograph_stands_as_its_exif_says(orientation, ending, tmp_path):
    """The tag's definition: where the stored first row and first column are in the upright picture."""
    stored = smooth()
    upright = {
        1: stored,
        2: stored[:, ::-1],  # row 0 is at the top, column 0 at the right
        3: stored[::-1, ::-1],  # bottom, right
        4: stored[::-1],  # bottom, left
        5: stored.transpose(1, 0, 2),  # left, top
        6: stored.transpose(1, 0, 2)[:, ::-1],  # right, top
        7: stored.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: stored.transpose(1, 0, 2)[::-1],  # left, bottom
    }[orientation]
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(ending, {})
    path = saved(tmp_path / f"a.{ending}", stored, exif=exif(orientation), **options)
    picture = read_photograph(path)
    assert picture.shape == upright.shape
    assert np.abs(picture.astype(int) - upright).max() <= (3 if ending == "jpg" else 0)


def test_deep_grey_stands_as_its_exif_says(tmp_path):
    saved(tmp_path / "a.png", DEEP, exif=exif(6))
    assert np.abs(read_photograph(tmp_path / "a.png") - grey_rgb(DEEP.T[:, ::-1] / 257)).max() < 1


def test_a_damaged_exif_block_leaves_the_pixels(tmp_path):
    for number, block in enumerate(
        (b"Exif\x00\x00nonsense", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00")
    ):
        path = saved(tmp_path / f"{number}.jpg", smooth(), quality=100, subsampling=0, exif=block)
        assert np.abs(read_photograph(path).astype(int) - smooth()).max() <= 3


INK = np.zeros((16, 32, 4), np.uint8)  # of CMYK: no ink, cyan, black, half magenta
INK[:, 8:16, 0], INK[:, 16:24, 3], INK[:, 24:, 1] = 255, 255, 128
SEEN = np.full((16, 32, 3), 255)
SEEN[:, 8:16], SEEN[:, 16:24], SEEN[:, 24:] = (0, 255, 255), (0, 0, 0), (255, 127, 255)


def test_a_cmyk_tiff(tmp_path):
    Image.frombytes("CMYK", (32, 16), INK.tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_photograph(tmp_path / "a.tif"), SEEN)


def test_a_cmyk_jpeg_is_inverted_as_adobe_writes_it(tmp_path):
    """The stored numbers are checked to be the inverted ones, and OpenCV's own decoder has the last word."""
    path = tmp_path / "a.jpg"
    Image.frombytes("CMYK", (32, 16), INK.tobytes()).save(path, quality=100)
    data = path.read_bytes()
    assert b"Adobe" in data
    assert np.abs(read_photograph(path).astype(int) - SEEN).max() <= 3
    assert np.abs(cv2.imread(str(path))[..., ::-1].astype(int) - SEEN).max() <= 3


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.tif", "a.png"])
def test_the_first_of_several_pictures_is_read(name, tmp_path):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"a.webp": {"lossless": True}}.get(name, {})
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    with Image.open(tmp_path / name) as image:
        assert image.n_frames == 3
    np.testing.assert_array_equal(read_photograph(tmp_path / name), np.full((6, 8, 3), (250, 0, 0)))


def png(width, height, pixels=b""):
    """A PNG file that claims a size, whatever its pixels."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def part(kind):
    """The first seven tenths of a file."""
    file = io.BytesIO()
    Image.fromarray(smooth()).save(file, kind)
    return file.getvalue()[: int(0.7 * len(file.getvalue()))]


REFUSED = {
    "a text": (b"no image", "cannot be read as one: JPEG, PNG.* convert it"),
    "nothing": (b"", "cannot be read as one: JPEG, PNG"),
    "part of a JPEG": (part("JPEG"), "cannot be read as one .*truncated.*; repair or remove it"),
    "part of a PNG": (part("PNG"), "cannot be read as one .*truncated.*; repair or remove it"),
    "a bomb": (png(20000, 20000), "has .*more than 134 million.*; make it smaller first"),
    "a bigger bomb": (png(2**31 - 1, 2**31 - 1), "has .*more than 134 million"),
    "just too large": (
        png(16384, MAX_PIXELS // 16384 + 1),
        "has 16384 x 8193 pixels, more than 134 million",
    ),
    "a strip": (png(2000, 10, bytes(6001 * 10)), "has 2000 x 10 pixels, one side over 100 times the other"),
    "a program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "cannot be read as one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_photograph_is_refused_by_name(case, tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "memory", lambda: 2**40)  # so that memory is not the bound
    content, message = REFUSED[case]
    path = tmp_path / "cat.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"cat.png' must be an image, but {message}"):
        read_photograph(path)


def test_the_pixels_are_bounded_by_the_memory_and_the_bound_is_said(tmp_path, monkeypatch):
    (tmp_path / "cat.png").write_bytes(png(2000, 2000))
    monkeypatch.setattr(photographs, "memory", lambda: 2 * BYTES_PER_PIXEL * 3_000_000)
    with pytest.raises(
        ValueError, match="2000 x 2000 pixels, more than 3 million pixels, the most .* memory here"
    ):
        read_photograph(tmp_path / "cat.png")
    (tmp_path / "cat.png").write_bytes(png(10_000, 10_000))
    with pytest.raises(
        ValueError, match="more than 3 million pixels, the most that is read with the memory here"
    ):
        read_photograph(tmp_path / "cat.png")
    assert read_photograph(saved(tmp_path / "a.png", np.zeros((1500, 2000, 3), np.uint8))).shape == (
        1500,
        2000,
        3,
    )


LARGE = {
    "RGB.png": {},
    "RGBA.png": {},
    "P.png": {"transparency": 3},
    "CMYK.jpg": {"progressive": True},
    "RGBA.webp": {"method": 0},
    "RGBA.jp2": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_reading_takes_no_more_memory_than_the_bound_assumes(name, tmp_path):
    y, x = np.mgrid[:4000, :4000]
    picture = Image.fromarray(np.stack([x >> 4, y >> 4, (x + y) >> 5], axis=2).astype(np.uint8))
    picture.convert(name.partition(".")[0]).save(tmp_path / name, **LARGE[name])
    saved(tmp_path / "small.png", RGB)
    code = """
import re, sys
from vizcallbacks.probes.photographs import read_photograph
def peak():
    with open("/proc/self/status") as file:
        return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1])
read_photograph(sys.argv[1])
before = peak()
read_photograph(sys.argv[2])
print(peak() - before)
"""
    line = [sys.executable, "-c", code, str(tmp_path / "small.png"), str(tmp_path / name)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 3 <= int(done.stdout) / 4000**2 <= BYTES_PER_PIXEL


def test_a_part_is_refused_also_where_a_library_has_pillow_fill_it_up(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as GluonCV does for the whole process
    (tmp_path / "cat.jpg").write_bytes(part("JPEG"))
    with pytest.raises(ValueError, match="cat.jpg' must be an image, but .*truncated"):
        read_photograph(tmp_path / "cat.jpg")
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_values_of_unknown_range_are_refused(tmp_path):
    for values, words in ((DEEP.astype(np.float32), "floats"), (DEEP.astype(np.int32), "32 bits")):
        Image.fromarray(values).save(tmp_path / "a.tif")
        with pytest.raises(ValueError, match=rf"holds .*{words}, .* convert it to 8 or 16 bits"):
            read_photograph(tmp_path / "a.tif")


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.png"):
        read_photograph(tmp_path / "none.png")
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png"):
        with pytest.raises(ValueError, match="is no file; give files, or folders with files"):
            read_photograph(path)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "gif", "bmp", "jp2", "ppm"])
def test_damage_is_an_error_that_names_the_file_or_a_picture(ending, tmp_path):
    """Bytes changed and ends cut off at random places: no other error, no warning, no file left open."""
    path = tmp_path / f"cat.{ending}"
    saved(path, smooth(), exif=exif(6)) if ending in ("jpg", "png", "webp", "tif") else saved(path, smooth())
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    messages = []
    for trial in range(150):
        data = bytearray(whole)
        # the first bytes are the headers
        for place in random.integers(0, min(len(whole), (100, len(whole))[trial % 2]), size=3):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(1, len(data))] if trial % 3 == 0 else data)
        try:
            picture = read_photograph(path)
        except ValueError as error:
            messages.append(str(error))
        else:
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3
    assert len(messages) > 10
    assert all(f"cat.{ending}' must be an image, but" in message for message in messages)
