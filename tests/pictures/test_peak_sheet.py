"""The sheet of peaks: what stands on it, read back from its pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vizcallbacks.pictures import lettering
from vizcallbacks.pictures.peak_sheet import PATCH, PATCHES, ROWS, peak_sheet
from vizcallbacks.pictures.peaks import Peaks, sameness

from ..helpers.pictures import LONG, check_drawn, contains

COLOURS = np.array([(200, 10 * i, 250 - 10 * i) for i in range(25)], np.uint8)  # of a class's patches


def peaks(classes, wrong=(), dead=(), names=None):
    classes = np.array(classes, int)
    patches = np.broadcast_to(COLOURS[classes % 25][:, None, None], (len(classes), 6, 6, 3)).copy()
    by_class, overall = sameness(patches, classes)
    marked = np.zeros(len(classes), bool)
    marked[list(wrong)] = True
    return Peaks(
        patches=patches,
        numbers=np.arange(len(classes)),
        positions=np.full((len(classes), 2), 0.5),
        classes=classes,
        wrong=marked,
        dead=np.array(dead, int),
        sameness=by_class,
        overall=overall,
        names={number: names or f"class {number}" for number in by_class},
        method="grad_cam",
    )


def drawn_of(drawn, number):
    """How many patches of a class are on the sheet."""
    return (drawn == COLOURS[number % 25]).all(axis=2).sum() / PATCH**2


@pytest.mark.parametrize(
    "classes",
    [np.arange(200) % 10, np.arange(60) % 2, np.zeros(30), np.arange(12), np.arange(160) // 4, [-1] * 5, []],
)
@pytest.mark.parametrize("names", [None, LONG])
def test_every_sheet_is_landscape_and_the_same_each_time(classes, names):
    found = peaks(classes, names=names)
    check_drawn(lambda: peak_sheet(found, "epoch 3"))
    height, width = peak_sheet(found, "epoch 3").shape[:2]
    assert width >= 1.6 * height


def test_each_class_has_a_row_of_its_patches():
    drawn = peak_sheet(peaks(np.arange(200) % 10))
    tops = []
    for number in range(10):
        assert PATCHES <= drawn_of(drawn, number) <= 20
        rows = np.nonzero((drawn == COLOURS[number]).all(axis=2))[0]
        assert np.ptp(rows) == PATCH - 1
        tops.append(rows.min())
    assert (np.diff(tops) >= PATCH).all()


def test_few_classes_get_several_lines():
    drawn = peak_sheet(peaks(np.arange(60) % 2))
    assert drawn_of(drawn, 0) == drawn_of(drawn, 1) == 30


def test_of_many_classes_the_ones_most_alike_are_shown_and_the_others_are_counted():
    few, many = peaks(np.arange(24) % 12), peaks(np.arange(50) % 25)
    values = {i: dataclasses.replace(many.sameness[i], value=1.0 + (i < 10), chance=1.0) for i in range(25)}
    drawn = peak_sheet(dataclasses.replace(many, sameness=values))
    shown = [number for number in range(25) if drawn_of(drawn, number)]
    assert shown == list(range(10, 10 + ROWS))
    assert (drawn[-60:] != 255).any()
    assert all(drawn_of(peak_sheet(few), number) == 2 for number in range(12))


def test_wrong_predictions_have_an_orange_frame_and_a_cross_that_is_explained():
    without, one = peak_sheet(peaks(np.arange(20) % 2)), peak_sheet(peaks(np.arange(20) % 2, wrong=[4]))
    assert not contains(without, lettering.WRONG)
    assert contains(one[:-60], lettering.WRONG)
    assert contains(one[-60:], lettering.WRONG)


def test_dead_maps_are_told_and_a_sheet_may_be_empty():
    quiet = peak_sheet(peaks([0, 0]))
    told = peak_sheet(peaks([0, 0], dead=[2, 3]))
    assert len(told) > len(quiet)
    assert (peak_sheet(peaks([], dead=[0])) != 255).any()


def test_capitals_are_at_least_2_4_percent_of_the_width_of_a_sheet_of_ten_classes():
    drawn = peak_sheet(peaks(np.arange(200) % 10, names="HHH"))
    rows = np.nonzero((drawn[64:114, :120] < 100).all(axis=2).any(axis=1))[0]
    assert np.ptp(rows) + 1 >= 0.024 * drawn.shape[1]
