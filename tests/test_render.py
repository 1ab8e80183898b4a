"""Pictures: expectations by hand, or read back from the pixels drawn."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from vizcallbacks import render
from vizcallbacks.render import Cell, Header, Row

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
CAM = np.array([[0, 1], [2, 4]], np.float32)
DEAD, UNDEFINED = np.zeros((2, 2), np.float32), np.array([[0, np.nan], [1, 2]], np.float32)
LONG = "Zwergschnauzer \U0001f600\n\t日本 \ud800\u202e{}%" * 500


def cells():
    gradient = np.random.default_rng(1).normal(size=(3, 48, 48)).astype(np.float32)
    return [
        Cell("Grad-CAM", CAM),
        Cell("Guided", gradient, "signed"),
        Cell("saliency", gradient[0], "intensity"),
    ]


def drawings():
    """Every public function that draws, with good arguments."""
    header = Header("cat", "dog", 0.61, "epoch 3", False, "a note", "moved")
    row = Row("cat", PHOTO, [CAM, DEAD], [True, None])
    return {
        "colour": lambda: render.colour(CAM / 4),
        "overlay": lambda: render.overlay(PHOTO, CAM),
        "difference": lambda: render.difference(PHOTO, CAM - 1),
        "signed_picture": lambda: render.signed_picture(cells()[1].map),
        "intensity": lambda: render.intensity(CAM),
        "panel": lambda: render.panel(PHOTO, cells(), header),
        "side_by_side": lambda: render.side_by_side(PHOTO, CAM, CAM[::-1], header),
        "history_sheet": lambda: render.history_sheet(PHOTO, [(header, CAM)] * 3, "cat"),
        "overview": lambda: render.overview([row, row], ["start", 1]),
    }


def contains(picture, rgb):
    return bool((picture == np.array(rgb)).all(axis=-1).any())


@pytest.mark.parametrize("name", drawings())
def test_everything_drawn_is_rgb_uint8_and_the_same_each_time(name):
    first, second = drawings()[name](), drawings()[name]()
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first, second)


def test_read_only_arguments_are_enough():
    photo, cam = PHOTO.copy(), CAM.copy()
    photo.flags.writeable = cam.flags.writeable = False
    gradient = np.broadcast_to(cam, (3, 2, 2))
    render.panel(
        photo, [Cell("a", cam), Cell("b", gradient, "signed"), Cell("c", cam, "intensity")], Header()
    )
    render.overview([Row("a", photo, [cam])], [1])
    render.encode(photo)


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
        assert drawn[0, 0].tolist() == list(render.GREY)
        assert np.ptp(drawn.astype(int), axis=-1).max() <= np.ptp(render.GREY)


def test_dead_and_undefined_maps_are_named_differently():
    photo = np.full((160, 160, 3), 100, np.uint8)
    dead, undefined = render.overlay(photo, DEAD), render.overlay(photo, UNDEFINED)
    assert (dead != undefined).any()
    assert contains(dead, render.WHITE)  # the words' ground
    assert contains(render.signed_picture(np.zeros((3, 160, 160))), render.WHITE)
    assert contains(render.intensity(np.full((160, 160), np.nan)), render.WHITE)


def test_panels_are_672_px_wide_for_any_number_of_cells():
    for count in range(1, 10):
        assert render.panel(PHOTO, cells()[:1] * count, Header()).shape[1] == 672


@pytest.mark.parametrize(("right", "ground"), render.VERDICT.items())
def test_the_header_is_green_when_right_red_when_wrong_and_grey_when_unknown(right, ground):
    drawn = render.panel(PHOTO, cells(), Header("cat", "dog", 0.6, "epoch 1", right))
    strip = drawn[:44]
    assert strip[0, 0].tolist() == list(ground)
    assert contains(strip, render.WHITE)
    for other in set(render.VERDICT.values()) - {ground}:
        assert not contains(drawn, other)


def test_a_violation_puts_an_amber_border_round_the_panel_and_nothing_else_does():
    drawn = render.panel(PHOTO, cells(), Header("cat", "cat", 0.6, "epoch 1", True, violation="centre moved"))
    for edge in (drawn[:6], drawn[-6:], drawn[:, :6], drawn[:, -6:]):
        assert (edge == np.array(render.AMBER)).all()
    assert not contains(render.panel(PHOTO, cells(), Header("cat", note="guided 17 of 17")), render.AMBER)


def test_capitals_are_at_least_2_7_percent_of_the_width_of_panels_and_sheets():
    for drawn in (
        render.panel(PHOTO, cells(), Header("HHH")),
        render.history_sheet(PHOTO, [(Header(), CAM)], "HHH"),
    ):
        inked = (drawn[:44].astype(int) - np.array(render.NEUTRAL)).max(axis=(1, 2)) > 60
        assert inked.sum() >= 0.027 * drawn.shape[1]


def test_the_longest_texts_change_no_pixel_outside_their_strips():
    short, long = Header("cat", "dog", 0.5, "epoch 1", False), Header(LONG, LONG, 0.5, LONG, False)
    np.testing.assert_array_equal(
        render.panel(PHOTO, cells(), short)[44:], render.panel(PHOTO, cells(), long)[44:]
    )
    drawn = render.panel(PHOTO, cells(), long)[:44]
    for edge in (drawn[:3], drawn[-3:], drawn[:, :12], drawn[:, -12:]):
        assert (edge == np.array(render.WRONG)).all()


def test_any_unicode_is_drawn_somehow_everywhere():
    header = Header(LONG, LONG, float("nan"), LONG, None, LONG, LONG)
    assert render.panel(PHOTO, [Cell(LONG, CAM)] * 5, header).shape[1] == 672
    render.history_sheet(PHOTO, [(header, CAM)] * 3, LONG)
    assert render.overview([Row(LONG, PHOTO, [CAM] * 3)], [LONG, "", "\u0301"], LONG).shape[1] <= 900
    render.overview([Row("", PHOTO, [CAM])], [""], "")


def test_a_long_label_leaves_prediction_probability_and_epoch_readable():
    sentence = render._fitted("{}, seen as {} 0.61", ["x" * 5000, "dog"], 300, render.TEXT)
    assert sentence.startswith("xx")
    assert sentence.endswith("x…, seen as dog 0.61")
    assert render._width(sentence, render.TEXT) <= 300


def test_texts_lose_only_what_no_font_has():
    assert render._clean("Größe, Жук, λ, été") == "Größe, Жук, λ, été"
    assert render._clean("a\n\t b\u200b\u65e5\ud800") == "a b?"
    assert len(render._clean("y" * 10**6)) == 200


def test_accents_fall_back_to_base_letters_without_matplotlib(monkeypatch):
    monkeypatch.setattr(render, "_families", lambda: ("",))
    assert render._clean("Größe é") == "Gro?e e"


def test_only_the_raw_maximum_tells_maps_of_equal_shape_apart():
    panels = [render.panel(PHOTO, [Cell("Grad-CAM", CAM * factor)], Header()) for factor in (1, 1000)]
    changed = np.nonzero((panels[0] != panels[1]).any(axis=(1, 2)))[0]
    side = (672 - 2 * 16 - 8) // 2
    assert changed.min() > 44 + 16 + side + 32  # below the picture and its title


@pytest.mark.parametrize(
    "shape", [(10, 40, 3), (40, 10, 3), (1, 1, 3), (1, 500, 3), (8, 8, 3), (300, 200, 3)]
)
def test_pictures_are_letterboxed_and_not_stretched(shape):
    square = render._square(np.zeros(shape, np.uint8), 120)
    dark = (square == 0).all(axis=2)
    height, width = dark.any(axis=1).sum(), dark.any(axis=0).sum()
    longer = max(shape[:2])
    assert (height, width) == (max(1, round(120 * shape[0] / longer)), max(1, round(120 * shape[1] / longer)))
    assert dark.sum() == height * width
    top, left = np.argwhere(dark)[0]
    assert (top, left) == ((120 - height) // 2, (120 - width) // 2)


def test_a_panel_with_tall_and_wide_pictures_and_dead_maps_is_drawn():
    for shape in ((1, 400, 3), (400, 1, 3), (3, 5, 3)):
        drawn = render.panel(np.zeros(shape, np.uint8), [Cell("a", CAM), Cell("b", DEAD)], Header())
        assert drawn.shape[1] == 672


def test_the_history_has_one_scale_for_all_its_maps():
    # cells of 160, margin 16, gap 8, no strip without a title: the maps begin at (16, 184) and (16, 352)
    photo = np.full((160, 160, 3), 77, np.uint8)
    drawn = render.history_sheet(photo, [(Header(), CAM), (Header(), CAM / 4), (Header(), UNDEFINED)])
    first, second = drawn[16:176, 184:344], drawn[16:176, 352:512]
    np.testing.assert_array_equal(first, render.overlay(photo, CAM, scale=4.0))
    np.testing.assert_array_equal(second, render.overlay(photo, CAM / 4, scale=4.0))


def test_a_long_history_shows_the_first_and_the_newest_epoch():
    photo = np.full((160, 160, 3), 77, np.uint8)
    entries = [(Header(epoch=f"epoch {i}"), np.full((2, 2), 1.0 + i)) for i in range(40)]
    drawn = render.history_sheet(photo, entries)
    assert drawn.shape[1] == 4 * 160 + 3 * 8 + 2 * 16
    np.testing.assert_array_equal(drawn[16:176, 184:344], render.overlay(photo, entries[0][1], scale=40.0))
    pitch = 160 + 2 + 32 + 8  # picture, epoch, gap
    last = drawn[16 + 2 * pitch : 176 + 2 * pitch, 520:680]
    np.testing.assert_array_equal(last, render.overlay(photo, entries[-1][1], scale=40.0))


def test_an_empty_or_dead_history_is_drawn():
    assert render.history_sheet(PHOTO, []).shape[1] == 696
    render.history_sheet(PHOTO, [(Header("a", "b", 0.5, "epoch 1", True), DEAD)])
    with pytest.raises(ValueError, match="room for the input and one map"):
        render.history_sheet(PHOTO, [], columns=1, rows=1)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 50])
def test_an_overview_is_at_most_900_px_wide(count):
    rows = [Row(label, PHOTO, [CAM] * count) for label in ("cat", LONG)]
    assert 0 < render.overview(rows, list(range(count))).shape[1] <= 900


def test_each_row_of_an_overview_has_its_own_scale():
    weak, strong = (render.overview([Row("a", PHOTO, [CAM * f, CAM * f / 2])], [1, 2]) for f in (1, 100))
    np.testing.assert_array_equal(weak, strong)


def test_an_overview_marks_right_and_wrong_epochs():
    drawn = render.overview([Row("a", PHOTO, [CAM, CAM], [True, False])], [1, 2])
    green, red = (np.argwhere((drawn[:180] == np.array(c)).all(axis=2)) for c in (render.RIGHT, render.WRONG))
    assert len(green) == len(red) == 5 * 120
    assert green[:, 1].max() < red[:, 1].min()
    assert not contains(render.overview([Row("a", PHOTO, [CAM])], [1]), render.RIGHT)


def test_an_overview_needs_a_map_for_each_column():
    with pytest.raises(ValueError, match="row 'cat' has 1 cams for 2 columns"):
        render.overview([Row("cat", PHOTO, [CAM])], [1, 2])
    with pytest.raises(ValueError, match="row 'cat' has 1 right for 2 columns"):
        render.overview([Row("cat", PHOTO, [CAM, CAM], [True])], [1, 2])
    with pytest.raises(ValueError, match="needs a row and a column, got 0 rows and 1 columns"):
        render.overview([], [1])


def test_baseline_and_current_map_share_a_scale_and_their_change_is_signed():
    photo = np.full((154, 154, 3), 77, np.uint8)
    drawn = render.side_by_side(photo, CAM, CAM / 2, Header())
    pictures = [drawn[60:214, left : left + 154] for left in (16, 178, 340, 502)]
    np.testing.assert_array_equal(pictures[0], photo)
    np.testing.assert_array_equal(pictures[1], render.overlay(photo, CAM, 4.0))
    np.testing.assert_array_equal(pictures[2], render.overlay(photo, CAM / 2, 4.0))
    np.testing.assert_array_equal(pictures[3], render.difference(photo, -CAM / 2, 4.0))


def test_side_by_side_takes_equal_dead_and_undefined_maps():
    infinite = np.full((2, 2), np.inf, np.float32)
    for before, now in ((CAM, CAM), (DEAD, DEAD), (UNDEFINED, CAM), (infinite, infinite)):
        assert render.side_by_side(PHOTO, before, now, Header()).shape[1] == 672
    with pytest.raises(ValueError, match=r"baseline \(2, 2\) and current \(3, 3\)"):
        render.side_by_side(PHOTO, CAM, np.eye(3), Header())


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(0, 3, []), (3, 3, [0, 1, 2]), (10, 4, [0, 3, 6, 9]), (5, 2, [0, 4]), (7, 1, [6]), (6, 3, [0, 3, 5])],
)
def test_evenly_picked_by_hand(count, most, expected):
    assert render.pick_evenly(count, most) == expected


def test_evenly_picked_always_ascends_from_first_to_last_with_gaps_that_differ_by_at_most_one():
    for most in range(2, 15):
        for count in range(most, 80):
            picked = render.pick_evenly(count, most)
            assert len(picked) == most
            assert (picked[0], picked[-1]) == (0, count - 1)
            assert min(np.diff(picked)) >= 1
            assert np.ptp(np.diff(picked)) <= 1
    with pytest.raises(ValueError, match="most at least 1, got 3 and 0"):
        render.pick_evenly(3, 0)


def test_png_gives_back_the_pixels_in_rgb_order():
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(render.encode(PHOTO, "png")))), PHOTO)


def test_jpeg_keeps_colour_at_full_resolution():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255  # red and blue columns, one pixel wide
    data = render.encode(stripes)
    assert data[:3] == b"\xff\xd8\xff"
    marker = data.index(
        b"\xff\xc0"
    )  # start of frame: the first component's sampling factors are its 12th byte
    assert data[marker + 11] == 0x11
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - stripes).mean() < 12


def test_an_unknown_file_format_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of jpeg, png, got 'gif'"):
        render.encode(PHOTO, "gif")


@pytest.mark.parametrize("bad", [PHOTO / 255, PHOTO[..., 0], PHOTO[..., :2], PHOTO[:0], [[1]], None])
def test_a_picture_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: render.overlay(bad, CAM),
        lambda: render.panel(bad, cells(), Header()),
        lambda: render.history_sheet(bad, []),
        lambda: render.overview([Row("a", bad, [CAM])], [1]),
        lambda: render.encode(bad),
    ):
        with pytest.raises(ValueError, match="a picture must"):
            draw()


@pytest.mark.parametrize("bad", [CAM.astype(int), CAM[0], CAM[None, None], CAM[:0], CAM.tolist(), None])
def test_a_map_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: render.colour(bad),
        lambda: render.overlay(PHOTO, bad),
        lambda: render.difference(PHOTO, bad),
        lambda: render.signed_picture(bad),
        lambda: render.intensity(bad),
        lambda: render.panel(PHOTO, [Cell("a", bad)], Header()),
        lambda: render.history_sheet(PHOTO, [(Header(), bad)]),
        lambda: render.overview([Row("a", PHOTO, [bad])], [1]),
        lambda: render.side_by_side(PHOTO, CAM, bad, Header()),
    ):
        with pytest.raises(ValueError, match="float array, not empty, got"):
            draw()


def test_an_unknown_kind_of_cell_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of cam, signed, intensity, difference, got 'heat'"):
        render.panel(PHOTO, [Cell("a", CAM, "heat")], Header())
    with pytest.raises(ValueError, match="at least one cell"):
        render.panel(PHOTO, [], Header())
