"""Similarity against hand-worked numbers, scipy, scikit-image and plain loops; and its properties.

What holds for every entry of the table stands in test_measures.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from skimage.metrics import structural_similarity

from vizcallbacks.measures import of_two_maps as similarity
from vizcallbacks.measures.of_two_maps import SIMILARITY

from ..helpers.maps import PROPERTIES, one_map, pairs, random_maps

SIGNED = st.floats(-10, 10, width=32)
EVERY_SIMILARITY = pytest.mark.parametrize("measure", SIMILARITY.values(), ids=SIMILARITY)


@EVERY_SIMILARITY
def test_maps_of_two_layers_are_not_comparable(measure):
    with pytest.raises(ValueError, match=r"one shape, got \(4, 5, 6\) and \(4, 3, 3\)"):
        measure.function(random_maps(), random_maps(4, 3, 3))


def tied_maps(seed, n=8, h=4, w=5):
    return np.random.default_rng(seed).integers(0, 4, (n, h, w)).astype(np.float32)


@pytest.mark.parametrize("make", [tied_maps, lambda seed: random_maps(8, seed=seed)], ids=["ties", "no ties"])
def test_spearman_and_pearson_agree_with_scipy(make):
    first, second = make(3), make(4)
    pairs = list(zip(first.reshape(8, -1).astype(float), second.reshape(8, -1).astype(float)))
    expected = [stats.spearmanr(a, b).statistic for a, b in pairs]
    np.testing.assert_allclose(similarity.spearman(first, second), expected, atol=1e-12)
    expected = [stats.pearsonr(stats.rankdata(a), stats.rankdata(b))[0] for a, b in pairs]
    np.testing.assert_allclose(similarity.spearman(first, second), expected, atol=1e-12)
    expected = [stats.pearsonr(a, b)[0] for a, b in pairs]
    np.testing.assert_allclose(similarity.pearson(first, second), expected, atol=1e-12)


def test_spearman_with_ties_by_hand():
    # ranks 1 2.5 2.5 4 and 1 2 3 4: deviations -1.5 0 0 1.5 and -1.5 -.5 .5 1.5
    value = similarity.spearman(one_map([[0, 1], [1, 5]]), one_map([[0, 1], [2, 3]]))
    np.testing.assert_allclose(value, 4.5 / np.sqrt(4.5 * 5))


def test_cosine_by_hand_is_the_similarity_and_not_the_distance():
    first, second = one_map([[3, 4], [0, 0]]), one_map([[4, 3], [0, 0]])
    np.testing.assert_allclose(similarity.cosine(first, second), 24 / 25)
    np.testing.assert_allclose(similarity.cosine(first, -first), -1)


def brute_force_ssim(a, b):
    """SSIM cell by cell, from the definition, with windows cut at the edge."""
    h, w = a.shape
    extent = max(a.max(), b.max()) - min(a.min(), b.min())
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    total = 0.0
    for i in range(h):
        for j in range(w):
            cells = [
                (np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * 1.5**2)), a[y, x], b[y, x])
                for y in range(max(0, i - 5), min(h, i + 6))
                for x in range(max(0, j - 5), min(w, j + 6))
            ]
            weights, xs, ys = np.array(cells, dtype=np.float64).T
            weights /= weights.sum()
            mean_x, mean_y = weights @ xs, weights @ ys
            var_x, var_y = weights @ (xs - mean_x) ** 2, weights @ (ys - mean_y) ** 2
            covariance = weights @ ((xs - mean_x) * (ys - mean_y))
            luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
            total += luminance * (2 * covariance + c2) / (var_x + var_y + c2)
    return total / (h * w)


@pytest.mark.parametrize("shape", [(7, 7), (3, 14), (13, 12), (1, 2)])
@pytest.mark.parametrize("offset", [0, -0.5, 100])
def test_ssim_agrees_with_loops_over_the_definition(shape, offset):
    first, second = (random_maps(2, *shape, seed=seed).astype(np.float64) + offset for seed in (5, 6))
    expected = [brute_force_ssim(a, b) for a, b in zip(first, second)]
    np.testing.assert_allclose(similarity.ssim(first, second), expected, rtol=1e-8)


def test_ssim_windows_inside_a_large_map_are_scikit_image_s():
    first, second = (
        random_maps(1, 24, 30).astype(np.float64),
        random_maps(1, 24, 30, seed=1).astype(np.float64),
    )
    low = min(first.min(), second.min())
    extent = max(first.max(), second.max()) - low
    _, expected = structural_similarity(
        first[0], second[0], data_range=extent, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    ours = similarity._ssim_cells((first - low) / extent, (second - low) / extent, offset=low / extent)
    np.testing.assert_allclose(ours[0, 5:-5, 5:-5], expected[5:-5, 5:-5], rtol=1e-9)


def test_ssim_sees_the_corners_of_a_map_of_12_x_12():
    first = 0.2 * random_maps(1, 12, 12)
    second = first.copy()
    second[0, :2, :2] = (
        1  # four windows of 11 x 11 fit into the map; they weigh these cells with less than 1 %
    )
    assert similarity.ssim(first, second) < 0.95


def test_top_k_by_hand_with_ties_going_to_the_lower_index():
    first = one_map([[9, 5, 5], [5, 1, 1], [1, 1, 1]])  # the highest 2: cells 0 and 1
    second = one_map([[1, 5, 1], [1, 1, 9], [1, 1, 5]])  # cells 5 and 1
    np.testing.assert_allclose(similarity.top_k_iou(first, second, k=2), 1 / 3)
    np.testing.assert_allclose(similarity.top_k_iou(first, second, k=1), 0)
    np.testing.assert_allclose(similarity.top_k_iou(first, second, k=9), 1)


def test_top_k_takes_a_tenth_of_the_cells_and_at_least_one():
    first, second = random_maps(6, 12, 12), random_maps(6, 12, 12, seed=1) + random_maps(6, 12, 12)
    np.testing.assert_array_equal(
        similarity.top_k_iou(first, second), similarity.top_k_iou(first, second, k=14)
    )
    assert similarity.top_k_iou(one_map([[0, 1]]), one_map([[0.5, 1]])) == 1


def test_two_points_in_different_places_do_not_agree_on_their_emptiness():
    first, second = np.zeros((2, 1, 6, 6))
    first[0, 1, 1] = second[0, 4, 4] = 1
    assert similarity.top_k_iou(first, second, k=10) == 0


@pytest.mark.parametrize("k", [0, -1, 31, 2.5])
def test_an_impossible_k_is_refused(k):
    with pytest.raises(ValueError, match="k must be from 1 to the 30 cells"):
        similarity.top_k_iou(random_maps(), random_maps(), k=k)


def test_centre_shift_by_hand():
    first, second = np.zeros((2, 1, 6, 8))
    first[0, 1, 1] = 3
    second[0, 4, 5] = 7  # 3 down, 4 right, of a diagonal of 10
    np.testing.assert_allclose(similarity.centre_shift(first, second), 0.5)
    second[0, 1, 1] = 7  # now half way
    np.testing.assert_allclose(similarity.centre_shift(first, second), 0.25)


@EVERY_SIMILARITY
@PROPERTIES
@given(pair=pairs(SIGNED))
def test_similarity_is_symmetric_and_within_its_range(measure, pair):
    values = measure.function(*pair)
    np.testing.assert_allclose(values, measure.function(*pair[::-1]), atol=1e-12)
    inside = (measure.range[0] <= values) & (values <= measure.range[1])
    assert (inside | np.isnan(values)).all()


@EVERY_SIMILARITY
@PROPERTIES
@given(pair=pairs())
def test_a_map_is_most_similar_to_itself(measure, pair):
    values = measure.function(pair[0], pair[0])
    flat = pair[0].max(axis=(1, 2)) == pair[0].min(axis=(1, 2))
    np.testing.assert_array_equal(np.isnan(values), flat)
    np.testing.assert_allclose(values[~flat], 0 if measure.better == "lower" else 1, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in SIMILARITY if name != "ssim"])
@PROPERTIES
@given(pair=pairs(), powers=st.tuples(st.integers(-20, 20), st.integers(-20, 20)))
def test_each_map_s_own_scale_does_not_matter_but_to_ssim(name, pair, powers):
    first, second = (maps.astype(np.float64) for maps in pair)
    scaled = first * 2.0 ** powers[0], second * 2.0 ** powers[1]
    function = SIMILARITY[name].function
    np.testing.assert_allclose(function(*scaled), function(first, second), atol=1e-12)


@PROPERTIES
@given(pair=pairs(SIGNED), power=st.integers(-20, 20))
def test_a_scale_common_to_both_maps_does_not_matter_to_ssim(pair, power):
    first, second = (maps.astype(np.float64) for maps in pair)
    scaled = similarity.ssim(first * 2.0**power, second * 2.0**power)
    np.testing.assert_allclose(scaled, similarity.ssim(first, second), atol=1e-12)


def test_one_map_s_own_scale_matters_to_ssim():
    assert similarity.ssim(random_maps(), 3 * random_maps()).max() < 0.9


@PROPERTIES
@given(pair=pairs(st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0])))
def test_ranks_do_not_see_an_increasing_function(pair):
    curved = pair[0] ** 3 + 7
    np.testing.assert_allclose(similarity.spearman(curved, pair[1]), similarity.spearman(*pair), atol=1e-12)


@pytest.mark.parametrize("name", ["spearman", "pearson", "cosine"])
@PROPERTIES
@given(pair=pairs(SIGNED), seed=st.integers(0, 99))
def test_where_the_cells_are_does_not_matter_to_a_correlation(name, pair, seed):
    rows = [maps.reshape(len(maps), -1) for maps in pair]
    order = np.random.default_rng(seed).permutation(rows[0].shape[1])
    moved = [row[:, order].reshape(pair[0].shape) for row in rows]
    function = SIMILARITY[name].function
    np.testing.assert_allclose(function(*moved), function(*pair), atol=1e-12)


@pytest.mark.parametrize("name", [name for name in SIMILARITY if name != "top_k_iou"])  # its ties go by index
@PROPERTIES
@given(pair=pairs(SIGNED))
def test_mirrored_maps_are_as_similar(name, pair):
    function = SIMILARITY[name].function
    expected = function(*pair)
    np.testing.assert_allclose(function(*(maps[:, ::-1] for maps in pair)), expected, atol=1e-9)
    np.testing.assert_allclose(function(*(maps[:, :, ::-1] for maps in pair)), expected, atol=1e-9)


@pytest.mark.parametrize("levels", [1, 2, 5, 1000])
def test_ranks_are_scipy_s_to_the_bit(levels):
    maps = np.random.default_rng(levels).integers(0, levels, (7, 5, 9)).astype(np.float64)
    np.testing.assert_array_equal(similarity._ranks(maps), stats.rankdata(maps.reshape(7, -1), axis=1))
    one_cell = np.full((2, 1, 1), 3.0)
    np.testing.assert_array_equal(similarity._ranks(one_cell), [[1], [1]])
