"""Deletion, insertion, drop and increase on a network small enough to follow by hand."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest

from vizcallbacks.attribution import faithfulness
from vizcallbacks.attribution.faithfulness import (
    average_drop,
    average_increase,
    blurred,
    deletion,
    full_and_kept,
    insertion,
)

# A picture of 2 x 2 whose pixels are the evidence for class 1, in shares of its probability.
PICTURE = np.array([[[[0.4, 0.3], [0.2, 0.1]]]], dtype=np.float32)
HONEST = PICTURE[:, 0].astype(np.float64)
ONE = np.array([1])


def sums(images):
    """Two classes; class 1 has the sum of the pixels for its probability."""
    evidence = images.reshape(len(images), -1).sum(axis=1, dtype=np.float64)
    return np.stack([1 - evidence, evidence], axis=1)


def random_batch(n=3, channels=2, height=9, width=7):
    generator = np.random.default_rng(0)
    images = generator.random((n, channels, height, width), dtype=np.float32) / (channels * height * width)
    return images, generator.random((n, height, width)), np.array([1, 0, 1])


def test_deletion_by_hand():
    # 1, then without .4, .3, .2, .1: 1 .6 .3 .1 0; (2 - 1/2 - 0) / 4
    np.testing.assert_allclose(deletion(sums, PICTURE, HONEST, ONE, steps=4), 1.5 / 4, rtol=1e-6)
    # the lowest first: 1 .9 .7 .4 0
    np.testing.assert_allclose(deletion(sums, PICTURE, -HONEST, ONE, steps=4), 2.5 / 4, rtol=1e-6)
    # two pixels a step: 1 .3 0
    np.testing.assert_allclose(deletion(sums, PICTURE, HONEST, ONE, steps=2), 0.8 / 2, rtol=1e-6)


def test_deletion_of_the_other_class_is_measured_on_its_own_probability():
    np.testing.assert_allclose(deletion(sums, PICTURE, HONEST, np.array([0]), steps=4), 2.5 / 4, rtol=1e-6)


def test_steps_that_do_not_divide_the_pixels_still_take_them_all():
    # 3 steps of 4 pixels: 1, 2 and 4 of them are gone: 1 .6 .3 0
    np.testing.assert_allclose(deletion(sums, PICTURE, HONEST, ONE, steps=3), 1.4 / 3, rtol=1e-6)


def test_ties_are_deleted_in_the_order_of_their_index():
    maps = np.array([[[0, 1], [1, 1]]])  # .3 .2 .1 and then .4: 1 .7 .5 .4 0
    np.testing.assert_allclose(deletion(sums, PICTURE, maps, ONE, steps=4), 2.1 / 4, rtol=1e-6)


def test_insertion_goes_from_the_blurred_picture_to_the_picture(monkeypatch):
    monkeypatch.setattr(faithfulness, "blurred", lambda images, sigma: np.full_like(images, 0.05))
    # .2, then .4 .3 .2 .1 each instead of .05: .2 .55 .8 .95 1; (3.5 - .1 - .5) / 4
    np.testing.assert_allclose(insertion(sums, PICTURE, HONEST, ONE, steps=4), 2.9 / 4, rtol=1e-6)


def test_curves_agree_with_one_picture_and_one_pixel_at_a_time():
    images, maps, classes = random_batch()
    for function, start, finish in (
        (deletion, images, np.zeros_like(images)),
        (insertion, blurred(images), images),
    ):
        expected = []
        for n, class_ in enumerate(classes):
            now, curve = start[n : n + 1].copy(), []
            curve.append(sums(now)[0, class_])
            for pixel in sorted(range(63), key=lambda p: -maps[n].flat[p]):
                row, column = divmod(pixel, 7)
                now[0, :, row, column] = finish[n, :, row, column]
                curve.append(sums(now)[0, class_])
            expected.append(np.trapz(curve, dx=1 / 63))
        np.testing.assert_allclose(function(sums, images, maps, classes, steps=63), expected, rtol=1e-6)


def test_a_truthful_map_beats_its_opposite_both_ways():
    images = random_batch(height=20, width=20)[0]
    maps = images.sum(axis=1)
    ones = np.ones(3, int)
    assert (deletion(sums, images, maps, ones) < deletion(sums, images, -maps, ones)).all()
    assert (insertion(sums, images, maps, ones) > insertion(sums, images, -maps, ones)).all()


def test_the_network_sees_whole_batches_of_the_images_dtype():
    seen = []

    def watched(images):
        seen.append((images.shape, images.dtype))
        return sums(images)

    images, maps, classes = random_batch()
    deletion(watched, images, maps, classes, steps=5)
    insertion(watched, images, maps, classes, steps=5)
    full_and_kept(watched, images, maps, classes)
    assert seen == [((3, 2, 9, 7), np.float32)] * (6 + 6 + 2)


def test_blur_agrees_with_cv2_away_from_the_edge():
    image = np.random.default_rng(0).random((20, 24))
    expected = cv2.GaussianBlur(image, (11, 11), sigmaX=2.0, sigmaY=2.0)
    np.testing.assert_allclose(
        blurred(image[None, None], 2.0)[0, 0, 5:-5, 5:-5], expected[5:-5, 5:-5], rtol=1e-9
    )


def test_blur_leaves_a_uniform_picture_as_it_is_up_to_the_edge():
    images = np.full((1, 3, 4, 30), 0.7, np.float32)
    np.testing.assert_allclose(blurred(images), images, rtol=1e-6)
    assert blurred(images).dtype == np.float32


def test_what_a_map_keeps_by_hand():
    maps = np.array([[[2.0, 1.0], [0.0, -1.0]]])  # keeps all of .4, half of .3
    full, kept = full_and_kept(sums, PICTURE, maps, ONE)
    np.testing.assert_allclose(full, 1, rtol=1e-6)
    np.testing.assert_allclose(kept, 0.55, rtol=1e-6)


def test_drop_and_increase_by_hand():
    full, kept = np.array([0.8, 0.5, 0.4, 0.5]), np.array([0.6, 0.6, 0.4, 0.0])
    np.testing.assert_allclose(average_drop(full, kept), (0.25 + 0 + 0 + 1) / 4)
    assert average_increase(full, kept) == 0.25


def test_undefined_scores_are_left_out_of_drop_and_increase():
    full, kept = np.array([0.8, 0.0, np.nan, 0.5]), np.array([0.6, 0.1, 0.3, np.nan])
    np.testing.assert_allclose(average_drop(full, kept), 0.25)
    assert average_increase(full, kept) == 0.5
    assert np.isnan(average_drop([], []))
    assert np.isnan(average_increase([np.nan], [0.5]))


@pytest.mark.parametrize("value", [0.0, 0.7, np.nan, np.inf], ids=["dead", "flat", "nan", "inf"])
def test_a_map_without_order_is_undefined_and_leaves_its_neighbours_alone(value):
    images, maps, classes = random_batch()
    broken = maps.copy()
    broken[1] = value
    for function in (deletion, insertion, lambda *args: full_and_kept(*args)[1]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = function(sums, images, broken, classes)
        assert np.isnan(values[1])
        np.testing.assert_array_equal(values[[0, 2]], function(sums, images, maps, classes)[[0, 2]])


def test_a_map_that_is_nowhere_above_zero_keeps_nothing_and_is_undefined():
    assert np.isnan(full_and_kept(sums, PICTURE, -HONEST, ONE)[1]).all()


def test_a_network_that_answers_nan_is_undefined_and_no_error():
    assert np.isnan(deletion(lambda images: np.full((1, 2), np.nan), PICTURE, HONEST, ONE, steps=2)).all()


def test_arguments_are_not_written_to():
    images, maps, classes = random_batch()
    for array in (images, maps, classes):
        array.flags.writeable = False
    deletion(sums, images, maps, classes)
    insertion(sums, images, maps, classes)
    full_and_kept(sums, images, maps, classes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": PICTURE[0]}, r"images must be floats \(N, C, H, W\), got float32 \(1, 2, 2\)"),
        ({"images": PICTURE[:0]}, r"images must be floats \(N, C, H, W\), got float32 \(0, 1, 2, 2\)"),
        ({"images": (PICTURE * 255).astype(np.uint8)}, r"images must be floats .* got uint8"),
        ({"maps": np.ones((1, 1, 1))}, r"maps must be real numbers \(1, 2, 2\), .* got float64 \(1, 1, 1\)"),
        ({"classes": np.array([1, 1])}, r"classes must be ints \(1,\), one per image, got int64 \(2,\)"),
        ({"classes": np.array([1.0])}, r"classes must be ints .* got float64"),
        ({"classes": np.array([2])}, r"classes must be from 0 to 1, got 2 to 2"),
        ({"steps": 0}, r"steps must be from 1 to the 4 pixels of an image, got 0"),
        ({"steps": 5}, r"steps must be from 1 to the 4 pixels of an image, got 5"),
        ({"probabilities": lambda images: sums(images)[:, 0]}, r"must return \(1, classes\), got \(1,\)"),
        (
            {"probabilities": lambda images: 10 * sums(images)},
            r"lie in \[0, 1\], got 10 to 10; apply softmax",
        ),
    ],
)
def test_a_wrong_argument_is_refused_with_the_value_received(changes, message):
    arguments = {
        "probabilities": sums,
        "images": PICTURE,
        "maps": HONEST,
        "classes": ONE,
        "steps": 4,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        deletion(**arguments)


def test_scores_and_sigma_are_checked():
    with pytest.raises(ValueError, match=r"\(N,\) each, got \(2,\) and \(3,\)"):
        average_drop([0.5, 0.5], [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="sigma must be above 0 pixels, got 0"):
        blurred(PICTURE, sigma=0)
