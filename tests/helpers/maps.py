"""Maps, masks and hypothesis strategies that the tests of measures share."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

PROPERTIES = settings(deadline=None, derandomize=True, max_examples=60)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 8))
CELLS = st.one_of(st.floats(0, 10, width=32), st.sampled_from([0.0, 1.0]))  # ties and zeros are common


def random_maps(n=4, h=5, w=6, *, seed=0):
    """Maps (n, h, w) float32 in [0, 1)."""
    return np.random.default_rng(seed).random((n, h, w)).astype(np.float32)


def one_map(rows):
    """A batch of one map, float32."""
    return np.array([rows], dtype=np.float32)


def pairs(elements=CELLS):
    """Two batches of maps of one shape, float32."""
    return SHAPES.flatmap(
        lambda s: st.tuples(
            hnp.arrays(np.float32, s, elements=elements), hnp.arrays(np.float32, s, elements=elements)
        )
    )
