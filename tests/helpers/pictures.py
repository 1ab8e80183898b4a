"""Photographs, maps and texts that the tests of pictures share, and what holds for everything drawn."""

from __future__ import annotations

import numpy as np

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
CAM = np.array([[0, 1], [2, 4]], np.float32)
GRADIENT = np.random.default_rng(1).normal(size=(3, 48, 48)).astype(np.float32)
DEAD, UNDEFINED = np.zeros((2, 2), np.float32), np.array([[0, np.nan], [1, 2]], np.float32)
LONG = "Zwergschnauzer \U0001f600\n\t日本 \ud800\u202e{}%" * 500
NOT_PICTURES = [PHOTO / 255, PHOTO[..., 0], PHOTO[..., :2], PHOTO[:0], [[1]], None]
NOT_MAPS = [CAM.astype(int), CAM[0], CAM[None, None], CAM[:0], CAM.tolist(), None]


def contains(picture, rgb):
    return bool((picture == np.array(rgb)).all(axis=-1).any())


def check_drawn(draw):
    """What `draw` returns is RGB uint8, ready for writing, and the same each time."""
    first, second = draw(), draw()
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first, second)
