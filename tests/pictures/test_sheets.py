"""Panels, sheets and overviews: expectations by hand, or read back from the pixels drawn."""

from __future__ import annotations

import numpy as np
import pytest

from vizcallbacks.pictures import lettering, render, sheets
from vizcallbacks.pictures.sheets import Cell, Header, Row

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
ROW = Row("cat", PHOTO, [CAM, DEAD], [True, None])
DRAWINGS = {
    "panel": lambda: sheets.panel(PHOTO, cells(), HEADER),
    "side_by_side": lambda: sheets.side_by_side(PHOTO, CAM, CAM[::-1], HEADER),
    "history_sheet": lambda: sheets.history_sheet(PHOTO, [(HEADER, CAM)] * 3, "cat"),
    "overview": lambda: sheets.overview([ROW, ROW], ["start", 1]),
}


def cells():
    return [
        Cell("Grad-CAM", CAM),
        Cell("Guided", GRADIENT, "signed"),
        Cell("saliency", GRADIENT[0], "intensity"),
    ]


@pytest.mark.parametrize("name", DRAWINGS)
def test_everything_drawn_is_rgb_uint8_and_the_same_each_time(name):
    check_drawn(DRAWINGS[name])


def test_read_only_arguments_are_enough():
    photo, cam = PHOTO.copy(), CAM.copy()
    photo.flags.writeable = cam.flags.writeable = False
    gradient = np.broadcast_to(cam, (3, 2, 2))
    sheets.panel(
        photo, [Cell("a", cam), Cell("b", gradient, "signed"), Cell("c", cam, "intensity")], Header()
    )
    sheets.overview([Row("a", photo, [cam])], [1])


def test_panels_are_672_px_wide_for_any_number_of_cells():
    for count in range(1, 10):
        assert sheets.panel(PHOTO, cells()[:1] * count, Header()).shape[1] == 672


@pytest.mark.parametrize(("right", "ground"), sheets.VERDICT.items())
def test_the_header_is_green_when_right_red_when_wrong_and_grey_when_unknown(right, ground):
    drawn = sheets.panel(PHOTO, cells(), Header("cat", "dog", 0.6, "epoch 1", right))
    strip = drawn[:44]
    assert strip[0, 0].tolist() == list(ground)
    assert contains(strip, lettering.WHITE)
    for other in set(sheets.VERDICT.values()) - {ground}:
        assert not contains(drawn, other)


def test_a_violation_puts_an_amber_border_round_the_panel_and_nothing_else_does():
    drawn = sheets.panel(PHOTO, cells(), Header("cat", "cat", 0.6, "epoch 1", True, violation="centre moved"))
    for edge in (drawn[:6], drawn[-6:], drawn[:, :6], drawn[:, -6:]):
        assert (edge == np.array(sheets.AMBER)).all()
    assert not contains(sheets.panel(PHOTO, cells(), Header("cat", note="guided 17 of 17")), sheets.AMBER)


def test_capitals_are_at_least_2_7_percent_of_the_width_of_panels_and_sheets():
    for drawn in (
        sheets.panel(PHOTO, cells(), Header("HHH")),
        sheets.history_sheet(PHOTO, [(Header(), CAM)], "HHH"),
    ):
        inked = (drawn[:44].astype(int) - np.array(sheets.NEUTRAL)).max(axis=(1, 2)) > 60
        assert inked.sum() >= 0.027 * drawn.shape[1]


def test_the_longest_texts_change_no_pixel_outside_their_strips():
    short, long = Header("cat", "dog", 0.5, "epoch 1", False), Header(LONG, LONG, 0.5, LONG, False)
    np.testing.assert_array_equal(
        sheets.panel(PHOTO, cells(), short)[44:], sheets.panel(PHOTO, cells(), long)[44:]
    )
    drawn = sheets.panel(PHOTO, cells(), long)[:44]
    for edge in (drawn[:3], drawn[-3:], drawn[:, :12], drawn[:, -12:]):
        assert (edge == np.array(sheets.WRONG)).all()


def test_any_unicode_is_drawn_somehow_everywhere():
    header = Header(LONG, LONG, float("nan"), LONG, None, LONG, LONG)
    assert sheets.panel(PHOTO, [Cell(LONG, CAM)] * 5, header).shape[1] == 672
    sheets.history_sheet(PHOTO, [(header, CAM)] * 3, LONG)
    assert sheets.overview([Row(LONG, PHOTO, [CAM] * 3)], [LONG, "", "\u0301"], LONG).shape[1] <= 900
    sheets.overview([Row("", PHOTO, [CAM])], [""], "")


def test_only_the_raw_maximum_tells_maps_of_equal_shape_apart():
    panels = [sheets.panel(PHOTO, [Cell("Grad-CAM", CAM * factor)], Header()) for factor in (1, 1000)]
    changed = np.nonzero((panels[0] != panels[1]).any(axis=(1, 2)))[0]
    side = (672 - 2 * 16 - 8) // 2
    assert changed.min() > 44 + 16 + side + 32  # below the picture and its title


def test_a_panel_with_tall_and_wide_pictures_and_dead_maps_is_drawn():
    for shape in ((1, 400, 3), (400, 1, 3), (3, 5, 3)):
        drawn = sheets.panel(np.zeros(shape, np.uint8), [Cell("a", CAM), Cell("b", DEAD)], Header())
        assert drawn.shape[1] == 672


def test_the_history_has_one_scale_for_all_its_maps():
    # cells of 160, margin 16, gap 8, no strip without a title: the maps begin at (16, 184) and (16, 352)
    photo = np.full((160, 160, 3), 77, np.uint8)
    drawn = sheets.history_sheet(photo, [(Header(), CAM), (Header(), CAM / 4), (Header(), UNDEFINED)])
    first, second = drawn[16:176, 184:344], drawn[16:176, 352:512]
    np.testing.assert_array_equal(first, render.overlay(photo, CAM, scale=4.0))
    np.testing.assert_array_equal(second, render.overlay(photo, CAM / 4, scale=4.0))


def test_a_long_history_shows_the_first_and_the_newest_epoch():
    photo = np.full((160, 160, 3), 77, np.uint8)
    entries = [(Header(epoch=f"epoch {i}"), np.full((2, 2), 1.0 + i)) for i in range(40)]
    drawn = sheets.history_sheet(photo, entries)
    assert drawn.shape[1] == 4 * 160 + 3 * 8 + 2 * 16
    np.testing.assert_array_equal(drawn[16:176, 184:344], render.overlay(photo, entries[0][1], scale=40.0))
    pitch = 160 + 2 + 32 + 8  # picture, epoch, gap
    last = drawn[16 + 2 * pitch : 176 + 2 * pitch, 520:680]
    np.testing.assert_array_equal(last, render.overlay(photo, entries[-1][1], scale=40.0))


def test_an_empty_or_dead_history_is_drawn():
    assert sheets.history_sheet(PHOTO, []).shape[1] == 696
    sheets.history_sheet(PHOTO, [(Header("a", "b", 0.5, "epoch 1", True), DEAD)])
    with pytest.raises(ValueError, match="room for the input and one map"):
        sheets.history_sheet(PHOTO, [], columns=1, rows=1)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 50])
def test_an_overview_is_at_most_900_px_wide(count):
    rows = [Row(label, PHOTO, [CAM] * count) for label in ("cat", LONG)]
    assert 0 < sheets.overview(rows, list(range(count))).shape[1] <= 900


def test_each_row_of_an_overview_has_its_own_scale():
    weak, strong = (sheets.overview([Row("a", PHOTO, [CAM * f, CAM * f / 2])], [1, 2]) for f in (1, 100))
    np.testing.assert_array_equal(weak, strong)


def test_an_overview_marks_right_and_wrong_epochs():
    drawn = sheets.overview([Row("a", PHOTO, [CAM, CAM], [True, False])], [1, 2])
    green, red = (np.argwhere((drawn[:180] == np.array(c)).all(axis=2)) for c in (sheets.RIGHT, sheets.WRONG))
    assert len(green) == len(red) == 5 * 120
    assert green[:, 1].max() < red[:, 1].min()
    assert not contains(sheets.overview([Row("a", PHOTO, [CAM])], [1]), sheets.RIGHT)


def test_an_overview_needs_a_map_for_each_column():
    with pytest.raises(ValueError, match="row 'cat' has 1 cams for 2 columns"):
        sheets.overview([Row("cat", PHOTO, [CAM])], [1, 2])
    with pytest.raises(ValueError, match="row 'cat' has 1 right for 2 columns"):
        sheets.overview([Row("cat", PHOTO, [CAM, CAM], [True])], [1, 2])
    with pytest.raises(ValueError, match="needs a row and a column, got 0 rows and 1 columns"):
        sheets.overview([], [1])


def test_baseline_and_current_map_share_a_scale_and_their_change_is_signed():
    photo = np.full((154, 154, 3), 77, np.uint8)
    drawn = sheets.side_by_side(photo, CAM, CAM / 2, Header())
    pictures = [drawn[60:214, left : left + 154] for left in (16, 178, 340, 502)]
    np.testing.assert_array_equal(pictures[0], photo)
    np.testing.assert_array_equal(pictures[1], render.overlay(photo, CAM, 4.0))
    np.testing.assert_array_equal(pictures[2], render.overlay(photo, CAM / 2, 4.0))
    np.testing.assert_array_equal(pictures[3], render.difference(photo, -CAM / 2, 4.0))


def test_side_by_side_takes_equal_dead_and_undefined_maps():
    infinite = np.full((2, 2), np.inf, np.float32)
    for before, now in ((CAM, CAM), (DEAD, DEAD), (UNDEFINED, CAM), (infinite, infinite)):
        assert sheets.side_by_side(PHOTO, before, now, Header()).shape[1] == 672
    with pytest.raises(ValueError, match=r"baseline \(2, 2\) and current \(3, 3\)"):
        sheets.side_by_side(PHOTO, CAM, np.eye(3), Header())


@pytest.mark.parametrize("bad", NOT_PICTURES)
def test_a_picture_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: sheets.panel(bad, cells(), Header()),
        lambda: sheets.history_sheet(bad, []),
        lambda: sheets.overview([Row("a", bad, [CAM])], [1]),
    ):
        with pytest.raises(ValueError, match="a picture must"):
            draw()


@pytest.mark.parametrize("bad", NOT_MAPS)
def test_a_map_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: sheets.panel(PHOTO, [Cell("a", bad)], Header()),
        lambda: sheets.history_sheet(PHOTO, [(Header(), bad)]),
        lambda: sheets.overview([Row("a", PHOTO, [bad])], [1]),
        lambda: sheets.side_by_side(PHOTO, CAM, bad, Header()),
    ):
        with pytest.raises(ValueError, match="float array, not empty, got"):
            draw()


def test_a_map_of_a_panel_that_is_refused_is_named_by_its_title():
    with pytest.raises(ValueError, match=r"map of cell 'Grad-CAM' must be a \(h, w\) float array"):
        sheets.panel(PHOTO, [Cell("Grad-CAM", GRADIENT)], Header())


def test_an_unknown_kind_of_cell_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of cam, signed, intensity, difference, got 'heat'"):
        sheets.panel(PHOTO, [Cell("a", CAM, "heat")], Header())
    with pytest.raises(ValueError, match="at least one cell"):
        sheets.panel(PHOTO, [], Header())
