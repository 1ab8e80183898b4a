"""Photographs on squares and as files: expectations by hand, or read back with another library."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from vizcallbacks.pictures import picture

from ..helpers.pictures import NOT_PICTURES, PHOTO


@pytest.mark.parametrize(
    "shape", [(10, 40, 3), (40, 10, 3), (1, 1, 3), (1, 500, 3), (8, 8, 3), (300, 200, 3)]
)
def test_pictures_are_letterboxed_and_not_stretched(shape):
    square = picture.letterbox(np.zeros(shape, np.uint8), 120)
    dark = (square == 0).all(axis=2)
    height, width = dark.any(axis=1).sum(), dark.any(axis=0).sum()
    longer = max(shape[:2])
    assert (height, width) == (max(1, round(120 * shape[0] / longer)), max(1, round(120 * shape[1] / longer)))
    assert dark.sum() == height * width
    top, left = np.argwhere(dark)[0]
    assert (top, left) == ((120 - height) // 2, (120 - width) // 2)


def test_png_gives_back_the_pixels_in_rgb_order():
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture.encode(PHOTO, "png")))), PHOTO)


def test_jpeg_keeps_colour_at_full_resolution():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255  # red and blue columns, one pixel wide
    data = picture.encode(stripes)
    assert data[:3] == b"\xff\xd8\xff"
    marker = data.index(
        b"\xff\xc0"
    )  # start of frame: the first component's sampling factors are its 12th byte
    assert data[marker + 11] == 0x11
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - stripes).mean() < 12


@pytest.mark.parametrize("levels", [2, 32, 64])
def test_fewer_levels_change_a_colour_by_half_a_step_at_most_and_keep_black_and_white(levels):
    grey = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    found = np.asarray(Image.open(io.BytesIO(picture.encode(grey, "png", levels=levels)))).astype(int)
    assert len(np.unique(found)) == levels
    assert np.abs(found - grey).max() <= 255 / (levels - 1) / 2 + 0.5
    assert (found.min(), found.max()) == (0, 255)


def test_an_unknown_file_format_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of jpeg, png, got 'gif'"):
        picture.encode(PHOTO, "gif")


def test_edges_of_a_region_are_white_between_dark_lines_and_the_argument_is_kept():
    mask = np.zeros((10, 10), bool)
    mask[3:7, 3:7] = True
    grey = np.full((10, 10, 3), 128, np.uint8)
    square = picture.outlined(grey, [mask], 100)
    assert (grey == 128).all()
    assert (square == 255).all(axis=2).any()
    assert (square == 0).all(axis=2).any()
    assert (square[40:60, 40:60] == 128).all()  # within the region
    assert (square[:20] == 128).all()  # far from it


@pytest.mark.parametrize("bad", NOT_PICTURES)
def test_what_is_no_picture_is_not_encoded(bad):
    with pytest.raises(ValueError, match="a picture must"):
        picture.encode(bad)


def test_a_read_only_picture_is_enough():
    photo = PHOTO.copy()
    photo.flags.writeable = False
    picture.encode(photo)
