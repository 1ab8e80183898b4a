"""How many images share a pass, so that what it keeps for the walks backwards is memory that is used again.

The first use of memory costs 0.7 to 2 ms for each MB, as long as a convolution takes to fill it. What a pass frees
is given back to the system where it is more than the C library holds (glibc: up to 64 MB at the top of its heap),
and is faulted in anew by the next. On the other hand each pass lays the weights out anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .graph import ordered, symbol_of
from .planning import Plan, Simple

LIMIT = 112 * 2**20
"""Bytes that a pass may keep, with the gradients under way, by the estimate of `bytes_kept`."""

SMALL = LIMIT // 300
"""Bytes of images of which no net makes `LIMIT`: these are not looked at."""


def images_together(plan: Plan, shapes: Mapping[str, tuple[int, ...]], count: int, itemsize: int) -> int:
    """How many of `count` images share a pass: as many as make equal parts within `LIMIT`.

    Parameters
    ----------
    plan : Plan
    shapes : mapping of str to tuple of int
        Of the graph's variables, as far as they are known.
    count, itemsize : int
        Of the images; bytes of a number.
    """
    parts = min(count, math.ceil(bytes_kept(plan, shapes, itemsize) / LIMIT))
    return math.ceil(count / max(1, parts))


def bytes_kept(plan: Plan, shapes: Mapping[str, tuple[int, ...]], itemsize: int) -> int:
    """What a pass keeps until the walks backwards are done, and two gradients of its largest value."""
    ends = [*plan.heads, *plan.taps]
    symbol = symbol_of(ends).get_internals()
    names = set(symbol.list_inputs())
    _, found, _ = symbol.infer_shape_partial(**{name: one for name, one in shapes.items() if name in names})
    places = {node: place for place, node in enumerate(ordered(ends))}
    for step in plan.steps:
        if isinstance(step, Simple) and step.over is not None:
            source, _ = step.node.inputs[step.over]
            names.add(f"{places[source]}:{source.name}_output")
    sizes = [math.prod(shape) for name, shape in zip(symbol.list_outputs(), found) if name not in names]
    return itemsize * (sum(sizes) + 2 * max(sizes, default=0))
