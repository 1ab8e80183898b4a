"""Run folders as a monitor writes them, made without a net: a map's peak moves from one mask to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import snapshot_path

from .checked import snapshot


def blobs(probe, mask, weight, side=12):
    """(N, side, side) float32: a spread-out base, and with `weight` a blob where the mask of each image is."""
    rows, columns = np.mgrid[:side, :side] + 0.5
    maps = np.full((len(probe), side, side), 0.05)
    height, width = probe.images.shape[2:]
    for i, region in enumerate(probe.masks[mask]):
        y, x = (where.mean() for where in np.nonzero(region))
        distance = (rows - y * side / height) ** 2 + (columns - x * side / width) ** 2
        maps[i] += weight * (1 + 0.002 * i) * np.exp(-distance / 3)
    return maps.astype(np.float32)


def write_run(folder, probe, mask, steps=range(4), right=True, **more):
    """A run whose maps come to lie on `mask` (None: it has only the maps in `more`).

    Predictions are the labels, or one more where not `right`.
    """
    folder = Path(folder)
    (folder / "attention").mkdir(parents=True)
    probe.save(folder / "attention" / "probe.npz")
    last = max(steps) or 1
    for step in steps:
        maps = {**({"grad_cam": blobs(probe, mask, 0.2 + step / last)} if mask else {}), **more}
        predictions = probe.labels if right else (probe.labels + 1) % 3
        sure = np.full(len(probe), 0.3 + 0.5 * step / last)
        taken = snapshot(maps, probe, step=step, predictions=predictions, probability=sure)
        taken.save(snapshot_path(folder, step))
    return str(folder)


HOSTILE = "<img src=x onerror=window.hacked=1>'\"&</script><script>window.hacked=1</script>"
"""A name that would run a script wherever it is taken for HTML."""


def hostile_probe(count=6, seed=0):
    """Images, classes and a mask with names that would be harmful as HTML."""
    masks = {HOSTILE: np.zeros((count, 8, 8), bool), "tag": np.zeros((count, 8, 8), bool)}
    masks[HOSTILE][:, :4, :4] = True
    masks["tag"][:, 4:, 4:] = True
    images = np.random.default_rng(seed).normal(size=(count, 3, 8, 8)).astype(np.float32)
    names = [f"{HOSTILE} {i}" for i in range(count)]
    classes = [HOSTILE, "=1+1", "\u202egnp.exe"]
    return vc.ProbeSet(images, np.arange(count) % 3, names=names, class_names=classes, masks=masks)
