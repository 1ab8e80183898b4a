"""Whether outputs are the net's own, but for rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import named
from .nested import arrays_in

TOLERANCE = 1e-3
"""How far outputs may be from the net's own, of the largest: kernels of train mode round otherwise."""


def alike(mine: Any, own: Any) -> bool:
    """Whether outputs are the same but for rounding."""
    mine, own = arrays_in(mine), arrays_in(own)
    if len(mine) != len(own):
        return False
    for one, other in zip(mine, own):
        found, expected = one.asnumpy(), other.asnumpy()
        if found.shape != expected.shape or not np.allclose(
            found,
            expected,
            rtol=0,
            atol=TOLERANCE * np.abs(expected[np.isfinite(expected)]).max(initial=0),
            equal_nan=True,
        ):
            return False
    return True


def different(path: str) -> ValueError:
    return ValueError(
        f"vizcallbacks cannot run {named(path)} as the net does: the graph of its operators gives other outputs; "
        "please report the block, and explain the net without it"
    )
