"""Maps weighted by scores, by hand."""

from __future__ import annotations

import numpy as np

from vizcallbacks.attribution.scored_cams import score_cam

from ..helpers.closed_form import Scores

# Score-CAM


def test_score_cam_by_hand():
    activation = np.float32([[[[0, 2], [4, 0]], [[7, 7], [7, 7]], [[-1, 0], [0, 1]]]])
    image = np.float32([[[[1, 2], [3, 4]]]])
    passes = Scores(image, lambda x: x.sum() / 10)
    # masks: (0, .5; 1, 0), none (constant), (0, .5; .5, 1); scores: 0.4, -, 0.65
    weights = np.exp([0.4, 0.65]) / np.exp([0.4, 0.65]).sum()
    expected = np.maximum(weights[0] * activation[:, 0] + weights[1] * activation[:, 2], 0)
    np.testing.assert_allclose(score_cam(activation, passes), expected, rtol=1e-6)
    np.testing.assert_allclose(passes.seen[0], [[[[0, 1], [3, 0]]]])


def test_score_cam_of_constant_maps_alone_is_dead():
    passes = Scores(np.ones((1, 1, 4, 4)), lambda x: x.sum())
    np.testing.assert_array_equal(score_cam(np.ones((1, 3, 2, 2), np.float32), passes), np.zeros((1, 2, 2)))
