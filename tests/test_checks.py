"""Arguments: whole numbers, arrays, evenly picked indices."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from vizcallbacks.checks import as_numpy, check_whole, pick_evenly


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(0, 3, []), (3, 3, [0, 1, 2]), (10, 4, [0, 3, 6, 9]), (5, 2, [0, 4]), (7, 1, [6]), (6, 3, [0, 3, 5])],
)
def test_evenly_picked_by_hand(count, most, expected):
    assert pick_evenly(count, most) == expected


def test_evenly_picked_always_ascends_from_first_to_last_with_gaps_that_differ_by_at_most_one():
    for most in range(2, 15):
        for count in range(most, 80):
            picked = pick_evenly(count, most)
            assert len(picked) == most
            assert (picked[0], picked[-1]) == (0, count - 1)
            assert min(np.diff(picked)) >= 1
            assert np.ptp(np.diff(picked)) <= 1
    with pytest.raises(ValueError, match="most at least 1, got 3 and 0"):
        pick_evenly(3, 0)


@pytest.mark.parametrize("value", [True, 0, -1, 1.0, "1", np.float32(1)])
def test_what_is_no_whole_number_is_refused_with_what_was_given(value):
    with pytest.raises(ValueError, match="show must be an int of at least 1, got "):
        check_whole("show", value)


def test_whole_numbers_are_pythons_and_numpys_and_none_where_it_may_be_left_out():
    check_whole("show", 1)
    check_whole("show", np.int64(0), 0)
    check_whole("show", None, optional=True)
    with pytest.raises(ValueError, match="show must be an int of at least 2, or None, got 1"):
        check_whole("show", 1, 2, optional=True)


@pytest.mark.parametrize("array", [[1.0, 2.0], np.array([1.0, 2.0]), mx.nd.array([1, 2])])
def test_arrays_of_any_kind_become_numpys(array):
    assert as_numpy(array).tolist() == [1.0, 2.0]
