"""Probe sets of noise, for tests to which it does not matter what the images show. Imports no MXNet."""

from __future__ import annotations

from typing import Any

import numpy as np

from vizcallbacks.probes.probe_set import ProbeSet

CLASS_NAMES = ("cat", "dog/wolf", "owl", "fox")


def probe_set(count: int = 3, size: int | tuple[int, int] = 32, seed: int = 0, **instead: Any) -> ProbeSet:
    """Noise, (count, 3, size, size), labelled 0, 1, 2, 3, 0 ..., with the middle quarter as the mask "object".

    The pixels are those of `helpers.nets.images`. `instead`: arguments of `ProbeSet` that replace these.
    """
    height, width = (size, size) if isinstance(size, int) else size
    images = np.random.RandomState(seed).normal(size=(count, 3, height, width)).astype(np.float32)
    middle = np.zeros((count, height, width), bool)
    middle[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    facts = {"labels": np.arange(count) % 4, "class_names": CLASS_NAMES, "masks": {"object": middle}}
    return ProbeSet(images, **{**facts, **instead})
