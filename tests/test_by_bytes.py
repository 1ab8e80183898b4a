"""Keys of caches made of arrays."""

import functools

import numpy as np
import pytest

from vizcallbacks.by_bytes import ByBytes

ARRAY = np.arange(6, dtype=np.int32)


@pytest.mark.parametrize(
    "other", [ARRAY[::-1], ARRAY.reshape(2, 3), ARRAY.astype(np.int64), ARRAY.view(np.float32), ARRAY[:5]]
)
def test_arrays_of_other_bytes_shape_or_dtype_differ(other):
    assert ByBytes(other) != ByBytes(ARRAY)
    assert ByBytes(ARRAY) != ARRAY.tobytes()


def test_a_cache_makes_it_once_for_equal_arrays_in_any_layout_and_keeps_no_array():
    kept = []

    @functools.lru_cache(maxsize=2)
    def total(key):
        kept.append(key)
        return int(key.take().sum())

    assert [total(ByBytes(array)) for array in (ARRAY, ARRAY.copy(), np.repeat(ARRAY, 2)[::2])] == [15] * 3
    (key,) = kept
    assert key.take().size == 0
    assert key == ByBytes(ARRAY)
