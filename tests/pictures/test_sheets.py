"""History sheets and overviews: expectations by hand, or read back from the pixels drawn."""

from __future__ import annotations

import numpy as np
import pytest

from vizcallbacks.pictures import lettering, render, sheets
from vizcallbacks.pictures.grid import Header
from vizcallbacks.pictures.sheets import Track

from ..helpers.pictures import (
    CAM,
    DEAD,
    LONG,
    NOT_MAPS,
    NOT_PICTURES,
    PHOTO,
    UNDEFINED,
    check_drawn,
    contains,
)

HEADER = Header("cat", "dog", 0.61, "epoch 3", False, "a note", "moved")
TRACK = Track("cat", PHOTO, [CAM, DEAD], [True, None])
DRAWINGS = {
    "history_sheet": lambda: sheets.history_sheet(PHOTO, [(HEADER, CAM)] * 3, "cat"),
    "overview": lambda: sheets.overview([TRACK, TRACK], ["start", 1]),
    "overview of many": lambda: sheets.overview([TRACK] * 9, ["start", 1]),
}
SIDE = sheets.SIDE


@pytest.mark.parametrize("name", DRAWINGS)
def test_everything_drawn_is_rgb_uint8_and_the_same_each_time(name):
    check_drawn(DRAWINGS[name])


def test_read_only_arguments_are_enough():
    photo, cam = PHOTO.copy(), CAM.copy()
    photo.flags.writeable = cam.flags.writeable = False
    sheets.overview([Track("a", photo, [cam])], [1])
    sheets.history_sheet(photo, [(Header(), cam)])


@pytest.mark.parametrize("side", [80, 120, 200])
def test_capitals_are_at_least_2_7_percent_of_the_width_of_a_history_sheet(side):
    drawn = sheets.history_sheet(PHOTO, [(Header(), CAM)], "HHH", side=side)
    inked = (drawn[: side // 3].astype(int) - np.array(lettering.NEUTRAL)).max(axis=(1, 2)) > 60
    assert inked.sum() >= 0.027 * drawn.shape[1]


def test_any_unicode_is_drawn_somehow_everywhere():
    header = Header(LONG, LONG, float("nan"), LONG, None, LONG, LONG)
    sheets.history_sheet(PHOTO, [(header, CAM)] * 3, LONG)
    for count in (1, 9):
        sheets.overview([Track(LONG, PHOTO, [CAM] * 3)] * count, [LONG, "", "\u0301"], LONG)
        sheets.overview([Track("", PHOTO, [CAM])] * count, [""], "")


# History


def cell(number, rows=2):
    """Where cell `number` of a history sheet without a title is: 120 px, margin 16, gap 8, six in a line."""
    text = round(1.18 * 32)
    line, place = divmod(number, 6)
    top, left = 16 + line * (120 + 2 + rows * text + 8), 16 + place * 128
    return slice(top, top + 120), slice(left, left + 120)


def test_the_history_has_one_scale_for_all_its_maps():
    photo = np.full((120, 120, 3), 77, np.uint8)
    drawn = sheets.history_sheet(photo, [(Header(), CAM), (Header(), CAM / 4), (Header(), UNDEFINED)])
    np.testing.assert_array_equal(drawn[cell(1)], render.overlay(photo, CAM, scale=4.0))
    np.testing.assert_array_equal(drawn[cell(2)], render.overlay(photo, CAM / 4, scale=4.0))


def test_a_long_history_shows_the_first_and_the_newest_epoch():
    photo = np.full((120, 120, 3), 77, np.uint8)
    entries = [(Header(epoch=f"epoch {i}"), np.full((2, 2), 1.0 + i)) for i in range(40)]
    drawn = sheets.history_sheet(photo, entries)
    assert drawn.shape[1] == 6 * 120 + 5 * 8 + 2 * 16
    np.testing.assert_array_equal(drawn[cell(1)], render.overlay(photo, entries[0][1], scale=40.0))
    np.testing.assert_array_equal(drawn[cell(11, 1)], render.overlay(photo, entries[-1][1], scale=40.0))


def test_an_epoch_before_which_others_are_left_out_is_marked():
    def captions(numbers):
        entries = [(Header(epoch="8"), CAM)] * len(numbers)
        drawn = sheets.history_sheet(PHOTO, entries, numbers=numbers)
        found = []
        for place in range(1, 1 + len(numbers)):
            rows, columns = cell(place, 1)
            found.append(drawn[rows.stop + 2 : rows.stop + 38, columns])
        return found

    whole, missing = captions([0, 1, 2]), captions([0, 1, 3])
    for place in range(3):
        assert (whole[place] != missing[place]).any() == (place == 2)
    assert sheets._gaps([0, 1, 2, 5], None) == {5}
    assert sheets._gaps([0, 1], [0, 4]) == {1}
    assert sheets._gaps([], None) == set()


def test_an_empty_or_dead_history_is_drawn():
    assert sheets.history_sheet(PHOTO, []).shape[1] == 792
    sheets.history_sheet(PHOTO, [(Header("a", "b", 0.5, "epoch 1", True), DEAD)])
    with pytest.raises(ValueError, match="room for the input and one map"):
        sheets.history_sheet(PHOTO, [], columns=1, rows=1)


def test_a_full_history_sheet_is_landscape():
    height, width = sheets.history_sheet(PHOTO, [(HEADER, CAM)] * 11, "cat").shape[:2]
    assert width >= 1.6 * height


# Overview


@pytest.mark.parametrize("images", [1, 2, 5, 6, 7, 8, 9, 10, 12])
@pytest.mark.parametrize("steps", [1, 2, 8, 50])
@pytest.mark.parametrize("right", [None, True])
def test_an_overview_is_landscape(images, steps, right):
    verdicts = None if right is None else [right] * steps
    tracks = [Track(label, PHOTO, [CAM] * steps, verdicts) for label in ("cat", LONG)]
    drawn = sheets.overview((tracks * images)[:images], list(range(steps)))
    assert drawn.shape[1] >= 1.6 * drawn.shape[0]


def cells(drawn, colour):
    """How often a picture of one colour is on it."""
    return (drawn == np.array(colour)).all(axis=2).sum() / SIDE**2


@pytest.mark.parametrize(
    ("images", "steps", "shown", "times"),
    [(1, 1, 1, 2), (5, 8, 5, 9), (5, 30, 5, 9), (6, 8, 6, 4), (9, 8, 9, 5), (9, 2, 9, 3), (12, 30, 10, 5)],
)
def test_few_images_have_rows_of_eight_steps_and_many_have_columns_of_up_to_four(images, steps, shown, times):
    photo = np.full((SIDE, SIDE, 3), 77, np.uint8)
    blank = np.array([[0, 1e-9]])  # of which nothing is seen beside 1
    tracks = [Track("a", photo, [*[blank] * (steps - 1), np.eye(1)[[0]]], None)] * images
    drawn = sheets.overview(tracks, range(steps))
    newest = render.overlay(photo, np.eye(1), 1.0)[0, 0]
    assert cells(drawn, newest) == shown
    assert cells(drawn, (77, 77, 77)) == shown * (times - 1)


def test_each_image_of_an_overview_has_its_own_scale_that_of_the_steps_shown():
    for count in (1, 9):
        weak, strong = (
            sheets.overview([Track("a", PHOTO, [CAM * f, CAM * f / 2])] * count, [1, 2]) for f in (1, 100)
        )
        np.testing.assert_array_equal(weak, strong)
    # of ten steps number 2 is left out: how strong it is does not count
    quiet, loud = ([CAM, CAM, CAM * f, *[CAM] * 7] for f in (1, 1000))
    np.testing.assert_array_equal(
        *(sheets.overview([Track("a", PHOTO, maps)], range(10)) for maps in (quiet, loud))
    )


def test_an_overview_marks_right_and_wrong_epochs_below_their_maps():
    drawn = sheets.overview([Track("a", PHOTO, [CAM, CAM], [True, False])], [1, 2])
    right, wrong = (
        np.argwhere((drawn[:-56] == np.array(c)).all(axis=2)) for c in (lettering.RIGHT, lettering.WRONG)
    )
    for found in (right, wrong):
        assert (np.ptp(found, axis=0) + 1).tolist() == [sheets.BELOW, SIDE]
    assert right[:, 1].max() < wrong[:, 1].min()
    np.testing.assert_array_equal(right[:, 0].max(), wrong[:, 0].max())


@pytest.mark.parametrize("verdicts", [None, [None, None], [True, True], [False, False], [True, False]])
@pytest.mark.parametrize("count", [1, 9])
def test_the_legend_explains_what_is_shown_and_no_more(verdicts, count):
    drawn = sheets.overview([Track("a", PHOTO, [CAM, CAM], verdicts)] * count, [1, 2])
    for verdict, colour in ((True, lettering.RIGHT), (False, lettering.WRONG)):
        shown = verdicts is not None and verdict in verdicts
        assert contains(drawn[-56:], colour) == contains(drawn[:-56], colour) == shown


@pytest.mark.parametrize("count", [1, 9])
def test_steps_left_out_are_marked_by_dots_that_the_legend_explains(count):
    def drawn(numbers):
        tracks = [Track("a", np.full((48, 48, 3), 77, np.uint8), [np.ones((2, 2))] * len(numbers))]
        return sheets.overview(tracks * count, range(len(numbers)), "", numbers)

    whole, missing = drawn([0, 1, 2]), drawn([0, 1, 5])
    dots = [(one[56:-56] == np.array(lettering.GREY)).all(axis=2).sum() for one in (whole, missing)]
    assert dots[0] == 0
    assert dots[1] >= 16 * 6
    assert (missing[-56:] == np.array(lettering.GREY)).all(axis=2).sum() > 0


def test_images_left_out_are_counted_in_the_legend():
    def legend(count):
        return sheets.overview([Track("a", PHOTO, [CAM])] * count, [1])[-56:]

    assert (legend(12)[:, 560:] != 255).any()
    assert not (legend(10)[:, 560:] != 255).any()


def test_an_overview_needs_a_map_for_each_step():
    with pytest.raises(ValueError, match="track 'cat' has 1 maps for 2 captions"):
        sheets.overview([Track("cat", PHOTO, [CAM])], [1, 2])
    with pytest.raises(ValueError, match="track 'cat' has 1 right for 2 captions"):
        sheets.overview([Track("cat", PHOTO, [CAM, CAM], [True])], [1, 2])
    with pytest.raises(ValueError, match="needs an image and a step, got 0 images and 1 steps"):
        sheets.overview([], [1])


@pytest.mark.parametrize("bad", NOT_PICTURES)
def test_a_picture_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: sheets.history_sheet(bad, []),
        lambda: sheets.overview([Track("a", bad, [CAM])], [1]),
    ):
        with pytest.raises(ValueError, match="a picture must"):
            draw()


@pytest.mark.parametrize("bad", NOT_MAPS)
def test_a_map_of_another_shape_or_dtype_is_refused(bad):
    for draw in (
        lambda: sheets.history_sheet(PHOTO, [(Header(), bad)]),
        lambda: sheets.overview([Track("a", PHOTO, [bad])], [1]),
    ):
        with pytest.raises(ValueError, match="float array, not empty, got"):
            draw()
