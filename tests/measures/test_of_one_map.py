"""Measures against hand-worked numbers, scipy, cv2 and plain loops; and their properties."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vizcallbacks.measures import of_one_map as measures
from vizcallbacks.measures.of_one_map import MEASURES, area_share, bilinear_weights, mean_defined
from vizcallbacks.measures.of_two_maps import SIMILARITY

from ..helpers.maps import PROPERTIES, one_map, pairs, random_maps

TABLES = [*MEASURES.items(), *SIMILARITY.items()]
EVERY = pytest.mark.parametrize("measure", [m for _, m in TABLES], ids=[name for name, _ in TABLES])
ANYTHING = st.floats(width=32)
PEAK = one_map([[0, 0, 0, 0], [0, 6, 2, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def left_half(n, height=10, width=12):
    masks = np.zeros((n, height, width), dtype=bool)
    masks[:, :, : width // 2] = True
    return masks


def measured(measure, maps, masks=None):
    """The measure of maps; a similarity is taken to fixed other maps."""
    if measure.needs_mask:
        return measure.function(maps, left_half(len(maps)) if masks is None else masks)
    if measure in SIMILARITY.values():
        return measure.function(maps, random_maps(*maps.shape, seed=9))
    return measure.function(maps)


# Both tables: a new entry is held to all of this.


@EVERY
def test_an_entry_says_what_it_is(measure):
    low, high = measure.range
    assert low < high
    assert measure.better in ("higher", "lower", None)
    assert measure.undefined
    assert measure.source
    assert measure.function.__doc__


@EVERY
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_a_measure_is_one_float64_per_map(measure, dtype):
    maps = (random_maps() * 100).astype(dtype)
    values = measured(measure, maps)
    assert values.shape == (4,)
    assert values.dtype == np.float64
    assert (measure.range[0] <= values).all()
    assert (values <= measure.range[1]).all()


@EVERY
def test_no_maps_give_no_values(measure):
    assert measured(measure, np.zeros((0, 5, 6), np.float32)).shape == (0,)


@EVERY
def test_a_batch_equals_its_images_one_by_one(measure):
    maps, others, masks = random_maps(), random_maps(seed=1), random_maps(4, 10, 12) > 0.5
    arrays = (
        (maps, masks) if measure.needs_mask else (maps, others) if measure in SIMILARITY.values() else (maps,)
    )
    singly = [measure.function(*(array[i : i + 1] for array in arrays))[0] for i in range(4)]
    np.testing.assert_allclose(measure.function(*arrays), singly, rtol=1e-12)
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(
        measure.function(*(a[order] for a in arrays)), np.take(singly, order), rtol=1e-12
    )


@EVERY
def test_undefined_maps_give_what_is_declared_and_leave_their_neighbours_alone(measure):
    maps = random_maps(6)
    good = measured(measure, maps)
    maps[1], maps[2], maps[3, 0, 0], maps[4, 2, 2] = 0.0, 0.7, np.nan, np.inf
    values = measured(measure, maps)
    np.testing.assert_allclose(values[1:5], [measure.dead, measure.flat, np.nan, np.nan])
    np.testing.assert_array_equal(values[[0, 5]], good[[0, 5]])


@EVERY
def test_a_map_of_one_cell_is_undefined_unless_dead_is_asked(measure):
    value = measured(measure, np.full((1, 1, 1), 3.0))[0]
    assert value == 0 if measure is MEASURES["dead"] else np.isnan(value)


@EVERY
def test_arguments_are_not_written_to(measure):
    maps = random_maps()
    maps[1, 0, 0] = np.nan
    maps.flags.writeable = False
    masks = left_half(4)
    masks.flags.writeable = False
    measured(measure, maps, masks)


@EVERY
def test_extreme_magnitudes_neither_overflow_nor_vanish(measure):
    maps, others = random_maps().astype(np.float64), random_maps(seed=9).astype(np.float64)
    for scale in (2.0**1000, 2.0**-1000):
        if measure in SIMILARITY.values():
            values = measure.function(maps * scale, others * scale)
        else:
            values = measured(measure, maps * scale)
        np.testing.assert_allclose(values, measured(measure, maps), rtol=1e-9)


@EVERY
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 5, 6), (3, 0, 6)])
def test_a_wrong_shape_is_refused_with_the_way_out(measure, shape):
    maps = np.ones(shape, np.float32)
    second = (
        [np.ones((1, 4, 4), bool)] if measure.needs_mask else [maps] if measure in SIMILARITY.values() else []
    )
    with pytest.raises(ValueError, match=r"maps must be \(N, h, w\), got .*maps\[None\]"):
        measure.function(maps, *second)


def test_complex_maps_are_refused():
    with pytest.raises(TypeError, match="real numbers, got complex128"):
        measures.entropy(np.ones((1, 2, 2), complex))


@pytest.mark.parametrize("function", [measures.pointing, measures.energy])
def test_masks_must_be_bool_and_one_per_map(function):
    with pytest.raises(TypeError, match=r"masks must be bool.*got uint8; use masks > 0"):
        function(random_maps(), left_half(4).astype(np.uint8))
    with pytest.raises(ValueError, match=r"masks must be \(4, H, W\), got \(3, 10, 12\)"):
        function(random_maps(), left_half(3))


# Averages.


def test_undefined_values_do_not_poison_a_mean():
    mean, count = mean_defined([1.0, np.nan, 0.0, np.nan, 0.5])
    assert (mean, count) == (0.5, 3)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_the_mean_of_nothing_defined_is_undefined_without_a_warning(values):
    mean, count = mean_defined(values)
    assert np.isnan(mean)
    assert count == 0


# Measures of one map, by hand.


def test_measures_of_a_map_of_4_x_4_worked_out_by_hand():
    p = np.array([6, 2, 1, 1]) / 10
    np.testing.assert_allclose(measures.entropy(PEAK), -(p * np.log(p)).sum() / np.log(16))
    # ascending: 12 zeros, then 1 1 2 6 at i = 13..16, weights 2 i - 17 = 9 11 13 15
    np.testing.assert_allclose(measures.gini(PEAK), (9 + 11 + 26 + 90) / (16 * 10))
    np.testing.assert_allclose(measures.border_share(PEAK), 0.1)
    assert measures.dead(PEAK) == 0


def test_entropy_and_gini_are_at_their_ends_for_a_point_and_a_uniform_map():
    point = np.zeros((1, 4, 4))
    point[0, 1, 2] = 5
    assert measures.entropy(point) == 0
    np.testing.assert_allclose(measures.gini(point), 15 / 16)
    uniform = np.full((1, 4, 4), 0.3)
    np.testing.assert_allclose(measures.entropy(uniform), 1)
    assert measures.gini(uniform) == 0


def test_gini_is_the_mean_absolute_difference_over_twice_the_mean():
    maps = random_maps()
    cells = maps.reshape(4, -1).astype(np.float64)
    differences = np.abs(cells[:, :, None] - cells[:, None, :]).mean(axis=(1, 2))
    np.testing.assert_allclose(measures.gini(maps), differences / (2 * cells.mean(axis=1)))


def test_entropy_agrees_with_scipy():
    maps = random_maps()
    expected = stats.entropy(maps.reshape(4, -1).astype(np.float64), axis=1) / np.log(30)
    np.testing.assert_allclose(measures.entropy(maps), expected)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (1, 1)])
def test_border_share_is_undefined_without_inner_cells(shape):
    assert np.isnan(measures.border_share(random_maps(1, *shape))).all()


def test_what_is_below_zero_attracts_nothing():
    maps = random_maps() - 0.5
    for measure in MEASURES.values():
        np.testing.assert_array_equal(measured(measure, maps), measured(measure, np.maximum(maps, 0)))
    assert measures.dead(one_map([[-1, -2], [0, -1]])) == 1


# Masks.


@pytest.mark.parametrize(("height", "width"), [(28, 35), (50, 31), (4, 5), (3, 9)])
def test_bilinear_weights_agree_with_cv2(height, width):
    picture = random_maps(1, 4, 5)[0]
    ours = bilinear_weights(height, 4) @ picture @ bilinear_weights(width, 5).T
    np.testing.assert_allclose(
        ours, cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), atol=1e-6
    )


@pytest.mark.parametrize("size", [(28, 36), (31, 50)])
def test_energy_is_the_share_of_the_shown_picture(size):
    maps, masks = random_maps(3, 7, 9), random_maps(3, *size, seed=2) > 0.6
    pictures = [cv2.resize(m, size[::-1], interpolation=cv2.INTER_LINEAR) for m in maps]
    expected = [p[mask].sum() / p.sum() for p, mask in zip(pictures, masks)]
    np.testing.assert_allclose(measures.energy(maps, masks), expected, rtol=1e-5)


def test_energy_of_a_map_at_image_size_is_the_plain_share():
    maps, masks = random_maps(1, 4, 4), np.zeros((1, 4, 4), bool)
    masks[0, 1:3, 1:3] = True
    np.testing.assert_allclose(
        measures.energy(maps, masks), maps[masks].sum(dtype=float) / maps.sum(dtype=float)
    )


def test_energy_by_hand_on_an_upsampled_row():
    # 1 0 over 4 pixels is 1 .75 .25 0: of 2 in all, 1.75 lie in the left half
    maps, masks = one_map([[1, 0], [1, 0]]), left_half(1, 4, 4)
    np.testing.assert_allclose(measures.energy(maps, masks), 1.75 / 2)


def test_energy_of_a_nearly_flat_map_is_the_area_of_the_mask():
    masks = random_maps(3, 31, 50) > 0.8
    maps = 1 + 1e-9 * random_maps(3, 7, 9).astype(np.float64)
    np.testing.assert_allclose(measures.energy(maps, masks), area_share(masks), rtol=1e-6)
    np.testing.assert_allclose(area_share(masks), masks.reshape(3, -1).sum(axis=1) / (31 * 50))


def test_energies_of_a_mask_and_of_the_rest_sum_to_one():
    maps, masks = random_maps(), random_maps(4, 33, 40) > 0.5
    np.testing.assert_allclose(measures.energy(maps, masks) + measures.energy(maps, ~masks), 1)


@pytest.mark.parametrize("measure", [measures.pointing, measures.energy])
def test_an_empty_mask_is_undefined_and_a_full_one_certain(measure):
    empty = np.zeros((4, 10, 12), bool)
    assert np.isnan(measure(random_maps(), empty)).all()
    np.testing.assert_allclose(measure(random_maps(), ~empty), 1)


def test_energy_in_cells_that_no_pixel_shows_is_undefined():
    # 9 cells over 3 pixels: pixel centres fall on cells 1, 4 and 7
    maps = np.zeros((1, 9, 9))
    maps[0, 0, 0] = 1
    assert np.isnan(measures.energy(maps, np.ones((1, 3, 3), bool))).all()


@pytest.mark.parametrize("factor", [1, 3, 7])
def test_pointing_takes_the_highest_pixel_of_the_shown_picture(factor):
    maps = random_maps(20, 5, 6)
    pictures = [cv2.resize(m, (6 * factor, 5 * factor), interpolation=cv2.INTER_LINEAR) for m in maps]
    highest = np.array([p > p.max() - 1e-5 for p in pictures])
    np.testing.assert_array_equal(measures.pointing(maps, highest), 1)
    np.testing.assert_array_equal(measures.pointing(maps, ~highest), 0)


def test_pointing_looks_at_the_pixel_under_the_cell_s_centre():
    # cell (1, 1) of 4 x 4 covers pixels 2 and 3 of 8: its centre, 3.0, is where pixel 3 begins
    hit = np.zeros((1, 8, 8), bool)
    hit[0, 3, 3] = True
    assert measures.pointing(PEAK, hit) == 1
    assert measures.pointing(PEAK, ~hit) == 0


def test_cells_that_share_the_maximum_share_the_hit():
    maps = one_map([[2, 0, 2], [0, 1, 0], [2, 0, 2]])
    masks = np.zeros((1, 9, 9), bool)
    masks[0, :3, :] = True
    assert measures.pointing(maps, masks) == 0.5
    masks[0, :, 3:] = False
    assert measures.pointing(maps, masks) == 0.25


# Properties.


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@PROPERTIES
@given(pair=pairs(), power=st.integers(-20, 20))
def test_a_measure_of_one_map_ignores_its_scale_and_stays_in_range(measure, pair, power):
    maps = pair[0].astype(np.float64)
    values = measured(measure, maps)
    np.testing.assert_allclose(measured(measure, maps * 2.0**power), values, atol=1e-12)
    assert (((measure.range[0] <= values) & (values <= measure.range[1])) | np.isnan(values)).all()


@pytest.mark.parametrize("name", ["entropy", "gini", "dead"])
@PROPERTIES
@given(pair=pairs(), seed=st.integers(0, 99))
def test_where_the_cells_are_does_not_matter_to_how_they_spread(name, pair, seed):
    maps = pair[0]
    order = np.random.default_rng(seed).permutation(maps[0].size)
    shuffled = maps.reshape(len(maps), -1)[:, order].reshape(maps.shape)
    function = MEASURES[name].function
    np.testing.assert_allclose(function(shuffled), function(maps), atol=1e-12)


@EVERY
@PROPERTIES
@given(pair=pairs(ANYTHING))
def test_any_float32_at_all_raises_no_warning_and_stays_in_range(measure, pair):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = measure.function(*pair) if measure in SIMILARITY.values() else measured(measure, pair[0])
    assert (((measure.range[0] <= values) & (values <= measure.range[1])) | np.isnan(values)).all()
    broken = ~np.isfinite(pair[0]).all(axis=(1, 2))
    assert np.isnan(values[broken]).all()
