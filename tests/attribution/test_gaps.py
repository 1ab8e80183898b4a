"""That maps do not add up to the score is said in words, with by how much."""

from __future__ import annotations

import numpy as np

import vizcallbacks as vc
from vizcallbacks.attribution.gaps import gap_remarks

from ..helpers.known_weights import act, conv, dense, in_a_row, pixels


def test_what_a_bias_keeps_of_the_relevance_is_said():
    # 2 x 3 + 4 = 10, of which the bias keeps 4
    net = in_a_row(conv([[1]]), act(), conv([[2]], [4]), dense([[1]]))
    result = vc.explain(net, pixels([3]), ("lrp", "full_grad", "deep_lift"), targets=0)
    assert result.remarks == (
        "lrp: a map's sum misses the score by 4 on average (40 % of the score): biases keep their share, and what "
        "nothing but a bias speaks for is lost.",
    )


def test_a_small_gap_is_not_worth_a_sentence_and_an_undefined_one_is_none():
    scores = np.float32([10, -10])
    assert gap_remarks({"a/completeness_gap": np.float32([0.5, -0.4])}, scores) == ()
    assert gap_remarks({"a/other": np.float32([9, 9])}, scores) == ()
    assert gap_remarks({"a/completeness_gap": np.float32([np.nan, 1])}, scores) == ()
    assert gap_remarks({"a/completeness_gap": np.float32([0.5, -1.5])}, scores) == (
        "a: a map's sum misses the change of the score that it explains by 1 on average (10 % of the score).",
    )
    assert gap_remarks({"a/completeness_gap": np.float32([1, 1])}, 0 * scores) == (
        "a: a map's sum misses the change of the score that it explains by 1 on average.",
    )
