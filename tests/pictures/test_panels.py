"""Panels: expectations by hand, or read back from the pixels drawn."""

from __future__ import annotations

import numpy as np
import pytest

from vizcallbacks.pictures import grid, lettering, panels, render
from vizcallbacks.pictures.grid import Header
from vizcallbacks.pictures.panels import TitledMap, titled_maps
from vizcallbacks.probes.probe_set import ProbeSet

from ..helpers.pictures import (
    CAM,
    DEAD,
    GRADIENT,
    LONG,
    NOT_MAPS,
    NOT_PICTURES,
    PHOTO,
    UNDEFINED,
    check_drawn,
    contains,
)

HEADER = Header("cat", "dog", 0.61, "epoch 3", False, "a note", "moved")
MASK = np.zeros((48, 48), bool)
MASK[12:36, 12:36] = True
DRAWINGS = {
    "panel": lambda: panels.panel(PHOTO, maps(), HEADER),
    "outlined": lambda: panels.panel(PHOTO, maps(), HEADER, outlines=[MASK, ~MASK]),
    "narrow": lambda: panels.panel(PHOTO, maps(), HEADER, 400),
    "side_by_side": lambda: panels.side_by_side(PHOTO, CAM, CAM[::-1], HEADER),
}


def maps():
    return [
        TitledMap("Grad-CAM", CAM),
        TitledMap("Guided", GRADIENT, "signed"),
        TitledMap("saliency", GRADIENT[0], "intensity"),
    ]


@pytest.mark.parametrize("name", DRAWINGS)
def test_everything_drawn_is_rgb_uint8_and_the_same_each_time(name):
    check_drawn(DRAWINGS[name])


def test_read_only_arguments_are_enough():
    photo, cam = PHOTO.copy(), CAM.copy()
    photo.flags.writeable = cam.flags.writeable = False
    gradient = np.broadcast_to(cam, (3, 2, 2))
    given = [TitledMap("a", cam), TitledMap("b", gradient, "signed"), TitledMap("c", cam, "intensity")]
    panels.panel(photo, given, Header())


def test_panels_are_672_px_wide_for_any_number_of_maps_or_as_asked():
    for count in range(1, 10):
        assert panels.panel(PHOTO, maps()[:1] * count, Header()).shape[1] == 672
        assert panels.panel(PHOTO, maps()[:1] * count, Header(), 512).shape[1] == 512


@pytest.mark.parametrize(("right", "ground"), grid.VERDICT.items())
def test_the_header_is_blue_when_right_orange_when_wrong_and_grey_when_unknown(right, ground):
    drawn = panels.panel(PHOTO, maps(), Header("cat", "dog", 0.6, "epoch 1", right))
    strip = drawn[:44]
    assert strip[0, 0].tolist() == list(ground)
    assert contains(strip, lettering.WHITE)
    for other in set(grid.VERDICT.values()) - {ground}:
        assert not contains(drawn, other)


def seen_without_red_and_green(rgb):
    """A colour as its luminance and its blue: all that deuteranopia leaves, nearly."""
    red, green, blue = (float(one) for one in rgb)
    return np.array([0.3 * red + 0.59 * green + 0.11 * blue, blue])


def test_right_and_wrong_differ_in_blue_and_by_a_tick_and_a_cross():
    right, wrong = seen_without_red_and_green(lettering.RIGHT), seen_without_red_and_green(lettering.WRONG)
    assert abs(right - wrong)[1] > 150
    shapes = []
    for verdict in (True, False):
        drawn = panels.panel(PHOTO, maps(), Header("cat", "", None, "", verdict))[:44, :44]
        shapes.append((drawn.astype(int) - grid.VERDICT[verdict]).max(axis=2) > 60)
    tick, cross = shapes
    assert tick.any()
    assert cross.any()
    assert (tick ^ cross).sum() > 0.3 * cross.sum()


def test_a_violation_puts_an_amber_border_round_the_panel_and_nothing_else_does():
    header = Header("cat", "cat", 0.6, "epoch 1", True, violation="centre moved")
    drawn = panels.panel(PHOTO, maps(), header)
    for edge in (drawn[:6], drawn[-6:], drawn[:, :6], drawn[:, -6:]):
        assert (edge == np.array(lettering.AMBER)).all()
    assert not contains(panels.panel(PHOTO, maps(), Header("cat", note="guided 17 of 17")), lettering.AMBER)


@pytest.mark.parametrize("width", [300, 512, 672])
def test_capitals_are_at_least_2_7_percent_of_the_width_of_panels(width):
    drawn = panels.panel(PHOTO, maps(), Header("HHH"), width)
    inked = (drawn[: width // 16].astype(int) - np.array(lettering.NEUTRAL)).max(axis=(1, 2)) > 60
    assert inked.sum() >= 0.027 * width


def test_the_longest_texts_change_no_pixel_outside_their_strips():
    short, long = Header("cat", "dog", 0.5, "epoch 1", False), Header(LONG, LONG, 0.5, LONG, False)
    np.testing.assert_array_equal(
        panels.panel(PHOTO, maps(), short)[44:], panels.panel(PHOTO, maps(), long)[44:]
    )
    drawn = panels.panel(PHOTO, maps(), long)[:44]
    for edge in (drawn[:3], drawn[-3:], drawn[:, :12], drawn[:, -12:]):
        assert (edge == np.array(lettering.WRONG)).all()


def test_any_unicode_is_drawn_somehow_everywhere():
    header = Header(LONG, LONG, float("nan"), LONG, None, LONG, LONG)
    assert panels.panel(PHOTO, [TitledMap(LONG, CAM)] * 5, header).shape[1] == 672


def test_maps_that_differ_in_scale_alone_are_drawn_alike_unless_one_scale_is_given():
    alone = [panels.panel(PHOTO, [TitledMap("a", CAM * f)], Header()) for f in (1, 1000)]
    np.testing.assert_array_equal(*alone)
    scaled = [panels.panel(PHOTO, [TitledMap("a", CAM * f, scale=4.0)], Header()) for f in (1, 0.5)]
    assert (scaled[0] != scaled[1]).any()


def test_a_panel_with_tall_and_wide_pictures_and_dead_maps_is_drawn():
    for shape in ((1, 400, 3), (400, 1, 3), (3, 5, 3)):
        given = [TitledMap("a", CAM), TitledMap("b", DEAD)]
        drawn = panels.panel(np.zeros(shape, np.uint8), given, Header(), outlines=[np.ones((2, 9), bool)])
        assert drawn.shape[1] == 672


def test_baseline_and_current_map_share_a_scale_and_their_change_is_signed():
    photo = np.full((154, 154, 3), 77, np.uint8)
    drawn = panels.side_by_side(photo, CAM, CAM / 2, Header())
    pictures = [drawn[60:214, left : left + 154] for left in (16, 178, 340, 502)]
    np.testing.assert_array_equal(pictures[0], photo)
    np.testing.assert_array_equal(pictures[1], render.overlay(photo, CAM, 4.0))
    np.testing.assert_array_equal(pictures[2], render.overlay(photo, CAM / 2, 4.0))
    np.testing.assert_array_equal(pictures[3], render.difference(photo, -CAM / 2, 4.0))


def test_the_colours_of_a_change_are_explained_below_it_and_nowhere_else():
    drawn = panels.side_by_side(PHOTO, CAM, CAM / 2, Header())
    below = drawn[60 + 154 + 2 + 32 :]
    for colour in (render.BLUE, render.RED):
        columns = np.nonzero((below == np.array(colour)).all(axis=2).any(axis=0))[0]
        assert columns.min() >= 502
        assert columns.max() < 502 + 154


def test_side_by_side_takes_equal_dead_and_undefined_maps():
    infinite = np.full((2, 2), np.inf, np.float32)
    for before, now in ((CAM, CAM), (DEAD, DEAD), (UNDEFINED, CAM), (infinite, infinite)):
        assert panels.side_by_side(PHOTO, before, now, Header()).shape[1] == 672
    with pytest.raises(ValueError, match=r"baseline \(2, 2\) and current \(3, 3\)"):
        panels.side_by_side(PHOTO, CAM, np.eye(3), Header())


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_region_s_edge_is_drawn_where_the_region_ends_and_seen_on_any_ground(ground):
    photo = np.full((48, 48, 3), ground, np.uint8)
    plain = panels.panel(photo, [TitledMap("a", CAM), TitledMap("b", CAM, "intensity")], Header())
    drawn = panels.panel(
        photo, [TitledMap("a", CAM), TitledMap("b", CAM, "intensity")], Header(), outlines=[MASK]
    )
    side = (672 - 32 - 16) // 3
    for place, changed in ((0, True), (1, True), (2, False)):
        left = 16 + place * (side + 8)
        there = (drawn != plain)[60 : 60 + side, left : left + side].any(axis=2)
        assert there.any() == changed
        rows = np.nonzero(there.any(axis=1))[0]
        if changed:  # the mask's quarter and three quarters, within the line's own 2 px
            assert abs(rows.min() - side / 4) <= 3
            assert abs(rows.max() - 3 * side / 4) <= 3
            assert not there[int(0.4 * side) : int(0.6 * side), int(0.4 * side) : int(0.6 * side)].any()


@pytest.mark.parametrize("bad", NOT_PICTURES)
def test_a_picture_of_another_shape_or_dtype_is_refused(bad):
    with pytest.raises(ValueError, match="a picture must"):
        panels.panel(bad, maps(), Header())


@pytest.mark.parametrize("bad", NOT_MAPS)
def test_a_map_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: panels.panel(PHOTO, [TitledMap("a", bad)], Header()),
        lambda: panels.side_by_side(PHOTO, CAM, bad, Header()),
    ):
        with pytest.raises(ValueError, match="float array, not empty, got"):
            draw()


def test_a_map_of_a_panel_that_is_refused_is_named_by_its_title():
    with pytest.raises(ValueError, match=r"map of cell 'Grad-CAM' must be a \(h, w\) float array"):
        panels.panel(PHOTO, [TitledMap("Grad-CAM", GRADIENT)], Header())


def test_an_unknown_kind_of_map_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of cam, signed, intensity, difference, concepts, got 'heat'"):
        panels.panel(PHOTO, [TitledMap("a", CAM, "heat")], Header())
    with pytest.raises(ValueError, match="at least one map"):
        panels.panel(PHOTO, [], Header())


def test_a_header_tells_label_prediction_and_verdict_where_they_are_known():
    images = np.zeros((2, 3, 4, 4), np.float32)
    probe = ProbeSet(images, [0, 1], class_names=["cat", "dog"])
    assert panels.header_of(probe, 0, 1, 0.5, "epoch 1") == Header("cat", "dog", 0.5, "epoch 1", False)
    assert panels.header_of(probe, 1, 1, 0.5).right is True
    assert panels.header_of(probe, 1, -1, np.nan) == Header("dog")
    unlabelled = panels.header_of(ProbeSet(images), 1, 1, 0.5)
    assert unlabelled == Header("image_001", "class 1", 0.5)


def test_notes_tell_what_guided_maps_leave_out_and_that_they_show_edges():
    assert panels.guided_note(["guided_grad_cam"], (3, 17)) == "Guided covers only 3 of 17 ReLUs."
    assert panels.guided_note(["guided_grad_cam"], (17, 17)) == ""
    assert panels.guided_note(["grad_cam"], (3, 17)) == ""
    assert panels.edges_note(["grad_cam", "saliency"]) == ""
    assert panels.edges_note(["guided_grad_cam"]) == "Guided Grad-CAM shows edges as much as reasons."
    two = ["guided_grad_cam", "guided_backprop"]
    assert panels.edges_note(two) == "Guided Grad-CAM and Guided backprop show edges as much as reasons."
    assert panels.edges_note([*two, "deconvnet"]) == (
        "Guided Grad-CAM, Guided backprop and Deconvnet show edges as much as reasons."
    )


def test_maps_of_regions_are_drawn_over_the_photograph_whatever_their_size():
    squares = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    for name, kind in (
        ("occlusion", "cam"),
        ("rise", "cam"),
        ("saliency", "intensity"),
        ("full_grad", "intensity"),
    ):
        (drawn,) = titled_maps({name: squares})
        assert (drawn.kind, drawn.map is squares) == (kind, True)


def test_maps_with_channels_and_no_sign_are_drawn_by_their_largest_channel():
    squares = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    signed, unsigned = titled_maps({"smooth_grad": squares, "smooth_grad_squared": squares})
    assert signed.kind == "signed"
    np.testing.assert_array_equal(signed.map, squares)
    assert unsigned.kind == "intensity"
    np.testing.assert_array_equal(unsigned.map, squares.max(axis=0))
