"""How long methods of many passes will take, estimated before they begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..attribution.counting import count_passes, time_passes
from ..attribution.layer_list import layers
from ..attribution.methods import METHODS

TOLD = 3  # methods by name, the slowest


def estimate(
    net: Any, images: np.ndarray, methods: Sequence[str], layer: str | None, batch_size: int, count: int
) -> str:
    """How long `count` photographs will take, in words; "" if no method has passes of its own.

    A forward pass and one with a walk back are timed, each in its second run, as the first is slower.

    Parameters
    ----------
    images : ndarray, (n, C, H, W), float32
        Those that are explained first.
    """
    if not any("passes" in METHODS[name].needs for name in methods):
        return ""
    forward, walked = time_passes(net, np.resize(images, (batch_size, *images.shape[1:])))
    counted = count_passes(methods, images, np.zeros((len(images), *_shape(net, images, layer)), np.float32))
    each = {name: one.passes * (walked if one.walks else forward) for name, one in counted.items()}
    slowest = sorted(each, key=lambda name: -each[name])[:TOLD]
    parts = ", ".join(f"{name} {in_words(each[name])} ({counted[name].passes} passes)" for name in slowest)
    rest = "" if len(each) <= TOLD else ", ..."
    whole = sum(each.values())
    in_all = "" if count == 1 else f", about {in_words(whole * count)} in all"
    return f"methods of many passes take about {in_words(whole)} a photograph{in_all}: {parts}{rest}"


def _shape(net: Any, images: np.ndarray, layer: str | None) -> tuple[int, int, int]:
    """Of the layer that maps of the CAM family will be of, (K, h, w)."""
    found = layers(net, images[:1])
    named = [one for one in found if layer in (one.path, one.name)]
    last = [one for one in found if one.reached and one.size != (1, 1)] or found
    one = (named or last)[-1]
    return one.channels, *one.size


def in_words(seconds: float) -> str:
    """Rounded: "20 s", "5 min", "3 h"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
