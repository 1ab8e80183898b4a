"""Photographs that come with scikit-image and scikit-learn, with what is on them: for tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage import data
from sklearn import datasets

SIDE = 224  # of the crops in which the boxes were drawn: short side 256, centre


@dataclass(frozen=True)
class Thing:
    """An object of an ImageNet class, and a box drawn by hand around it: left, top, right, bottom in the crop."""

    photograph: str
    target: int
    name: str
    box: tuple[int, int, int, int]

    @property
    def mask(self) -> np.ndarray:
        """(SIDE, SIDE) bool."""
        mask = np.zeros((SIDE, SIDE), bool)
        left, top, right, bottom = self.box
        mask[top:bottom, left:right] = True
        return mask


THINGS = [
    Thing("coffee", 967, "espresso", (30, 0, 190, 120)),  # the cup's bowl, without handle and saucer
    Thing("rocket", 657, "missile", (98, 58, 128, 224)),
    Thing("camera", 872, "tripod", (102, 50, 180, 224)),
    Thing("motorcycle", 665, "moped", (0, 60, 224, 204)),
    Thing("flower", 985, "daisy", (22, 34, 190, 202)),
    Thing("china", 698, "palace", (0, 0, 142, 224)),
    Thing("astronaut", 812, "space shuttle", (138, 0, 224, 110)),  # the model behind her
    Thing("astronaut", 560, "football helmet", (118, 148, 224, 224)),  # the helmet in her hand
]

CAT = Thing("chelsea", 282, "tiger cat", (0, 0, SIDE, SIDE))  # her face fills the crop


def photograph(name: str) -> np.ndarray:
    """(h, w, 3) uint8 RGB."""
    if name in ("china", "flower"):
        return datasets.load_sample_image(f"{name}.jpg")
    picture = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
