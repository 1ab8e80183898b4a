"""Snapshots made by hand, that the tests of baselines, rules and reports share."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

import vizcallbacks as vc
from vizcallbacks.measures.of_one_map import measure_maps

from .probes import probe_set as noise


def probe_set(count=4, seed=0):
    """Images of 8 x 8 with the masks "object" (upper left quarter) and "tag" (lower right one)."""
    masks = {name: np.zeros((count, 8, 8), bool) for name in ("object", "tag")}
    masks["object"][:, :4, :4] = True
    masks["tag"][:, 4:, 4:] = True
    return noise(
        count,
        8,
        seed,
        labels=np.arange(count) % 3,
        names=[f"picture {i}" for i in range(count)],
        class_names=["cat", "dog", "owl"],
        masks=masks,
    )


def snapshot(maps, probe, *, step=1, layer="features.4", predictions=None, targets=None, **measures):
    """As of a net that predicts the labels with probability 3/4, unless told otherwise; maps (N, h, w)."""
    maps = maps if isinstance(maps, dict) else {"grad_cam": maps}
    maps = {name: np.asarray(values, np.float32) for name, values in maps.items()}
    count = len(probe)
    measured = {"score": np.ones(count), "probability": np.full(count, 0.75)}
    if maps:
        measured.update(measure_maps(next(iter(maps.values())), probe.masks))
    measured.update({name: np.asarray(values, np.float64) for name, values in measures.items()})
    return vc.Snapshot(
        step=step,
        when=f"epoch {step}",
        layer=layer,
        maps=MappingProxyType(maps),
        targets=np.array(probe.labels if targets is None else targets),
        predictions=np.array(probe.labels if predictions is None else predictions),
        confidence=np.full(count, 0.75, np.float32),
        measures=MappingProxyType(measured),
        relus=(2, 2),
        digest=probe.digest,
    )


def at(row, column, count=4, side=4):
    """Maps that are 1 in one cell, with a little everywhere else, different for each cell."""
    maps = np.linspace(0.001, 0.002, side * side).reshape(side, side).repeat(count).reshape(side, side, count)
    maps = maps.transpose(2, 0, 1).copy()
    maps[:, row, column] = 1
    return maps


ON_OBJECT, ON_TAG = at(1, 1), at(3, 3)
