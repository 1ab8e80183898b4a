"""Maps of the class that a net predicted, of the shown images that it got wrong; kept beside a run's snapshots."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import archive
from .snapshot import FOLDER, Snapshot

FORMAT, SCHEMA = "predicted maps", 1


@dataclass(frozen=True)
class Predicted:
    """Why a net predicted what it did, where that is wrong.

    Attributes
    ----------
    method : str
        Of the CAM family; the other methods' maps are not kept, and neither are
        those of images that the net gets right.
    images : ndarray, (K,), int64
        The images' numbers in the probe set; their classes are the snapshot's predictions.
    maps : ndarray, (K, h, w), float32
        Raw, as a snapshot's.
    """

    method: str
    images: np.ndarray
    maps: np.ndarray


def predicted_path(run: str | os.PathLike[str], step: int) -> Path:
    """Where those of a step lie in a run's folder."""
    return Path(run) / FOLDER / f"predicted-{step:08d}.npz"


def save_predicted(
    run: str | os.PathLike[str], taken: Snapshot, method: str, maps: Mapping[int, np.ndarray]
) -> None:
    """Write the maps, by number of the image, that belong to a snapshot, whole or not at all (OSError)."""
    images = np.array(sorted(maps), np.int64)
    arrays = {
        "images": images,
        "classes": taken.predictions[images],
        "maps": np.stack([maps[i] for i in images]).astype(np.float32),
    }
    facts = {"method": method, "digest": taken.digest}
    archive.write(predicted_path(run, taken.step), FORMAT, SCHEMA, arrays, facts)


def load_predicted(run: str | os.PathLike[str], taken: Snapshot) -> Predicted | None:
    """The maps that belong to a snapshot; None if there are none, or only some of an older snapshot of its step.

    Raises
    ------
    ValueError
        The file is damaged or foreign.
    OSError
        It cannot be read.
    """
    path = predicted_path(run, taken.step)
    try:
        arrays, facts = archive.read(path, FORMAT, SCHEMA)
    except FileNotFoundError:
        return None
    try:
        images, classes, maps = arrays["images"], arrays["classes"], arrays["maps"]
        method, digest = str(facts["method"]), facts["digest"]
    except KeyError as error:
        raise ValueError(f"{path} is damaged: it lacks {error}; remove it") from error
    if (
        maps.ndim != 3
        or images.shape != classes.shape
        or len(images) != len(maps)
        or images.dtype.kind != "i"
    ):
        raise ValueError(f"{path} is damaged: its arrays do not fit each other; remove it")
    if (
        digest != taken.digest
        or not len(images)
        or images.min() < 0
        or images.max() >= len(taken.predictions)
    ):
        return None
    if (taken.predictions[images] != classes).any():
        return None
    return Predicted(method, images, maps)
