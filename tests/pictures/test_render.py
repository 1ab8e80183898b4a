"""Maps as pictures: expectations by hand, or read back from the pixels drawn."""

from __future__ import annotations

import numpy as np
import pytest

from vizcallbacks.pictures import lettering, picture, render

from ..helpers.pictures import (
    CAM,
    DEAD,
    GRADIENT,
    NOT_MAPS,
    NOT_PICTURES,
    PHOTO,
    UNDEFINED,
    check_drawn,
    contains,
)

DRAWINGS = {
    "colour": lambda: render.colour(CAM / 4),
    "overlay": lambda: render.overlay(PHOTO, CAM),
    "difference": lambda: render.difference(PHOTO, CAM - 1),
    "signed_picture": lambda: render.signed_picture(GRADIENT),
    "intensity": lambda: render.intensity(CAM),
    "tile": lambda: render.tile(PHOTO, CAM, 100),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_everything_drawn_is_rgb_uint8_and_the_same_each_time(name):
    check_drawn(DRAWINGS[name])


def test_read_only_arguments_are_enough():
    photo, cam = PHOTO.copy(), CAM.copy()
    photo.flags.writeable = cam.flags.writeable = False
    render.overlay(photo, cam)
    render.difference(photo, cam)
    render.signed_picture(np.broadcast_to(cam, (3, 2, 2)))
    render.intensity(cam)


def test_colours_run_from_dark_blue_over_green_to_red_in_rgb_order():
    low, middle, high = render.colour(np.array([[0.0, 0.5, 1.0]])).reshape(3, 3).astype(int)
    assert low[2] > low[1]
    assert low.sum() < 200
    assert middle[1] == middle.max()
    assert high[0] > 2 * max(high[1:])


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan, np.inf])
def test_colours_of_values_outside_0_to_1_are_refused(bad):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        render.colour(np.array([[0.5, bad]]))


def test_overlay_keeps_the_photograph_where_the_map_is_zero_and_covers_it_where_it_is_high():
    grey = np.full((40, 40, 3), 90, np.uint8)
    drawn = render.overlay(grey, CAM)
    np.testing.assert_array_equal(drawn[0, 0], [90, 90, 90])
    red = render.colour(np.ones((1, 1)))[0, 0].astype(int)
    np.testing.assert_allclose(drawn[-1, -1], 0.85 * red + 0.15 * 90, atol=1)


def test_overlay_upsamples_bilinearly_without_a_shift():
    grey = np.full((4, 4, 3), 128, np.uint8)
    # cell centres of a 2-wide map lie at pixels 0.5 and 2.5 of 4: columns see 0, 1/4, 3/4 and all of the step
    drawn = render.overlay(grey, np.array([[0.0, 1.0], [0.0, 1.0]]))
    for column, value in enumerate([0.0, 0.25, 0.75, 1.0]):
        full = render.colour(np.array([[value]]))[0, 0].astype(int)
        opacity = 0.85 * value**0.85
        np.testing.assert_allclose(drawn[0, column], 128 + opacity * (full - 128), atol=1)


def test_maps_drawn_on_one_scale_can_be_compared():
    same = render.overlay(PHOTO, CAM)
    np.testing.assert_array_equal(render.overlay(PHOTO, CAM * 1000), same)
    np.testing.assert_array_equal(render.overlay(PHOTO, CAM, scale=4.0), same)
    assert (render.overlay(PHOTO, CAM / 2, scale=4.0) != same).any()


def test_negative_values_of_a_cam_are_drawn_as_zero():
    drawn = render.overlay(np.full((40, 40, 3), 90, np.uint8), np.array([[-5.0, 1.0]]))
    assert (drawn[:, :20] == 90).all()
    assert (drawn[:, -1] != 90).any()


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_not_positive_and_finite_is_refused(scale):
    for draw in (
        lambda: render.overlay(PHOTO, CAM, scale),
        lambda: render.difference(PHOTO, CAM, scale),
        lambda: render.intensity(CAM, scale),
        lambda: render.signed_picture(CAM[None], scale),
    ):
        with pytest.raises(ValueError, match="scale must be a positive finite number"):
            draw()


def test_difference_is_red_where_there_is_more_and_blue_where_there_is_less():
    drawn = render.difference(PHOTO, np.array([[-1.0, 0, 1.0]])).astype(int)
    assert drawn[20, 0, 2] > drawn[20, 0, 0] + 50
    assert drawn[20, -1, 0] > drawn[20, -1, 2] + 50
    middle = drawn[:, 24]
    assert np.abs(middle[:, 0] - middle[:, 2]).max() < 30


def test_signed_picture_is_mid_grey_at_zero_and_symmetric_about_it():
    gradient = np.zeros((3, 2, 2), np.float32)
    gradient[0, 0, 1], gradient[1, 1, 0], gradient[2, 1, 1] = 1, -1, 0.5
    drawn = render.signed_picture(gradient, scale=1.0)
    assert drawn[0, 0].tolist() == [128, 128, 128]
    assert drawn[0, 1].tolist() == [255, 128, 128]
    assert drawn[1, 0].tolist() == [128, 0, 128]
    assert drawn[1, 1].tolist() == [128, 128, 191]


def test_signed_picture_of_other_than_three_channels_shows_their_mean_in_grey():
    drawn = render.signed_picture(np.array([[[1.0]], [[0.0]]]), scale=1.0)
    assert drawn.tolist() == [[[191, 191, 191]]]
    cancelled = render.signed_picture(np.array([[[1.0]], [[-1.0]]]))
    assert cancelled.tolist() == [[[128, 128, 128]]]


def test_one_huge_pixel_does_not_flatten_the_signed_picture():
    gradient = np.tile([1.0, -1.0], 500).reshape(1, 20, 50)
    gradient[0, 0, 0] = 1e6
    assert set(np.unique(render.signed_picture(gradient))) == {0, 255}


def test_intensity_is_white_from_the_99th_percentile_on():
    values = np.arange(101.0).reshape(1, 101)
    drawn = render.intensity(values)[0, :, 0]
    assert drawn[0] == 0
    assert (drawn == 255).sum() == 2  # 99 and 100
    assert drawn[33] == 85  # a third of 99
    assert render.intensity(values, scale=200.0)[0, 100, 0] == 128


def test_a_single_nonzero_pixel_is_still_drawn():
    values = np.zeros((30, 30))
    values[3, 4] = 1e-20
    assert render.intensity(values)[3, 4, 0] == 255
    assert render.signed_picture(values[None])[3, 4, 0] == 255
    assert render.intensity(np.where(values > 0, 1.0, -1.0)).sum() == 3 * 255


@pytest.mark.parametrize("map_", [DEAD, UNDEFINED, np.full((2, 2), -np.inf), -1 - CAM])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (30, 200), (200, 30), (160, 160)])
def test_a_map_that_cannot_be_drawn_is_framed_in_grey_and_never_coloured(map_, size):
    photo = np.full(size + (3,), (200, 90, 10), np.uint8)
    for drawn in (render.overlay(photo, map_), render.overlay(photo, map_, scale=3.0)):
        assert drawn.shape == photo.shape
        assert drawn[0, 0].tolist() == list(lettering.GREY)
        assert np.ptp(drawn.astype(int), axis=-1).max() <= np.ptp(lettering.GREY)


def test_dead_and_undefined_maps_are_named_differently():
    photo = np.full((160, 160, 3), 100, np.uint8)
    dead, undefined = render.overlay(photo, DEAD), render.overlay(photo, UNDEFINED)
    assert (dead != undefined).any()
    assert contains(dead, lettering.WHITE)  # the words' ground
    assert contains(render.signed_picture(np.zeros((3, 160, 160))), lettering.WHITE)
    assert contains(render.intensity(np.full((160, 160), np.nan)), lettering.WHITE)


@pytest.mark.parametrize("kind", render.DRAWERS)
@pytest.mark.parametrize("size", [(48, 48), (20, 60), (200, 100)])
def test_a_tile_is_the_map_drawn_at_the_fitted_picture_s_place(kind, size):
    photo, map_ = (
        np.full(size + (3,), 77, np.uint8),
        np.ones((2, 3, 3)) if kind in render.SEVERAL else np.eye(3),
    )
    drawn = render.tile(photo, map_, 60, kind, 2.0)
    assert drawn.shape == (60, 60, 3)
    fitted = (np.array(size) * 60 / max(size)).astype(int)
    plain = np.full((*fitted, 3), 77, np.uint8)
    expected = picture.letterbox(render.DRAWERS[kind](plain, map_, 2.0), 60)
    np.testing.assert_array_equal(drawn, expected)


def test_a_dead_or_undefined_map_marks_its_tile_in_grey():
    photo = np.full((160, 160, 3), (200, 90, 10), np.uint8)
    dead, undefined = render.tile(photo, DEAD, 160), render.tile(photo, UNDEFINED, 160)
    for drawn in (dead, undefined):
        assert np.ptp(drawn.astype(int), axis=-1).max() <= np.ptp(lettering.GREY)
    assert (dead != undefined).any()


def test_the_common_scale_is_the_largest_finite_positive_value():
    assert render.common_scale([CAM, CAM * 3, np.full((2, 2), np.inf), UNDEFINED]) == 12
    assert render.common_scale([DEAD, -CAM]) is None
    assert render.common_scale([]) is None


@pytest.mark.parametrize("bad", NOT_PICTURES)
def test_a_picture_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: render.overlay(bad, CAM),
        lambda: render.difference(bad, CAM),
    ):
        with pytest.raises(ValueError, match="a picture must"):
            draw()


@pytest.mark.parametrize("bad", NOT_MAPS)
def test_a_map_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: render.colour(bad),
        lambda: render.overlay(PHOTO, bad),
        lambda: render.difference(PHOTO, bad),
        lambda: render.signed_picture(bad),
        lambda: render.intensity(bad),
        lambda: render.tile(PHOTO, bad, 60),
        lambda: render.common_scale([bad]),
    ):
        with pytest.raises(ValueError, match="float array, not empty, got"):
            draw()


def test_an_unknown_kind_of_tile_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of cam, signed, intensity, difference, concepts, got 'heat'"):
        render.tile(PHOTO, CAM, 60, "heat")


# Concepts


def test_the_strongest_concept_gives_a_place_its_colour_as_far_as_it_is_strong():
    photo = np.full((4, 8, 3), 100, np.uint8)
    maps = np.zeros((2, 1, 2))
    maps[0, 0, 0], maps[1, 0, 1] = 2, 1
    drawn = render.concepts(photo, maps)
    np.testing.assert_array_equal(drawn[0, 0], np.rint(0.15 * 100 + 0.85 * np.array(render.CONCEPTS[0])))
    share = 0.85 * 0.5**0.85
    np.testing.assert_allclose(drawn[0, -1], (1 - share) * 100 + share * np.array(render.CONCEPTS[1]), atol=1)
    np.testing.assert_array_equal(render.concepts(photo, maps, 4.0), render.concepts(photo, maps / 2, 2.0))
    assert (render.concepts(photo, maps, 4.0) != drawn).any()
