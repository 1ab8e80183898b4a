"""Arguments: whole numbers, arrays, evenly picked indices."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from vizcallbacks.checks import as_numpy, check_arrays, check_texts, check_whole, pick_evenly


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


LAYOUT = {"maps": (np.float32, "S N h w"), "targets": (np.signedinteger, "S N")}
NOT_SO = {
    "missing": ({"maps": np.ones((2, 3, 4, 4), "f4")}, "'targets' is missing"),
    "no array": ({"maps": [1], "targets": None}, "'maps' is missing"),
    "type": ({"maps": np.ones((2, 3, 4, 4))}, "'maps' must be float32 .*, but is float64"),
    "axes": (
        {"maps": np.ones((2, 3, 4), "f4")},
        "'maps' must be float32 \\(S, N, h, w\\), but is .* \\(2, 3, 4\\)",
    ),
    "nothing": ({"maps": np.ones((2, 3, 0, 4), "f4")}, "'maps' must be .* \\(2, 3, 0, 4\\)"),
    "other lengths": (
        {"maps": np.ones((2, 3, 4, 4), "f4"), "targets": np.ones((2, 4), int)},
        "'targets' must be signedinteger \\(S, N\\) with S = 2, N = 3, but is int64 \\(2, 4\\)",
    ),
}


@pytest.mark.parametrize("case", NOT_SO)
def test_arrays_that_do_not_fit_together_are_named_with_what_they_must_be(case):
    arrays, message = NOT_SO[case]
    with pytest.raises(ValueError, match=message):
        check_arrays(arrays, LAYOUT)


def test_arrays_that_fit_together_tell_their_common_lengths():
    arrays = {"maps": np.ones((2, 3, 4, 5), "f4"), "targets": np.ones((2, 3), np.int32), "more": None}
    assert check_arrays(arrays, LAYOUT) == {"S": 2, "N": 3}


def test_texts_are_a_list_of_nothing_else_and_of_the_right_number():
    assert check_texts("names", ["a", "b"], 2) == ("a", "b")
    for value, message in (
        ("ab", "a list of texts, got 'ab'"),
        ([1], "a list of texts"),
        (["a"], "2 texts, got 1"),
    ):
        with pytest.raises(ValueError, match=f"names must be {message}"):
            check_texts("names", value, 2)
