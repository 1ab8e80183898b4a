"""Peaks: squares planted by hand, quotients computed by hand, and what holds for any maps."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.pictures.peaks import Sameness, joined, sameness

from ..helpers.checked import snapshot

PLANTED = (255, 0, 128)


def probe_set(count=2, height=12, width=12, **more):
    pictures = np.full((count, height, width, 3), 90, np.uint8)
    images = np.zeros((count, 3, height, width), np.float32)
    options = {"labels": np.arange(count) % 2, "class_names": ["cat", "dog"], "pictures": pictures, **more}
    return vc.ProbeSet(images, **options)


def maps_at(*cells, side=3):
    maps = np.zeros((len(cells), side, side), np.float32)
    for one, cell in zip(maps, cells):
        one[cell] = 1
    return maps


def plain(colour, side=6):
    return np.full((side, side, 3), colour, np.uint8)


# Patches


def test_the_patch_is_the_square_planted_where_the_map_is_largest():
    # 12 x 12 pixels, 3 x 3 cells: cell (1, 2) covers rows 4 to 7 and columns 8 to 11, as does a patch of 12 / 3
    pictures = np.full((2, 12, 12, 3), 90, np.uint8)
    pictures[0, 4:8, 8:12], pictures[1, 0:4, 0:4] = PLANTED, (1, 2, 3)
    probe = probe_set(pictures=pictures)
    found = vc.peaks(snapshot(maps_at((1, 2), (0, 0)), probe), probe)
    assert found.patches.shape == (2, 4, 4, 3)
    assert (found.patches[0] == PLANTED).all()
    assert (found.patches[1] == (1, 2, 3)).all()
    np.testing.assert_allclose(found.positions, [[3 / 6, 5 / 6], [1 / 6, 1 / 6]])
    assert found.numbers.tolist() == [0, 1]
    assert found.classes.tolist() == [0, 1]
    assert dict(found.names) == {0: "cat", 1: "dog"}
    assert found.method == "grad_cam"


def test_a_patch_at_the_edge_repeats_the_edge():
    pictures = np.zeros((1, 12, 12, 3), np.uint8)
    pictures[0, 0, 0] = PLANTED
    probe = probe_set(1, pictures=pictures)
    # a 12 x 12 map: the middle of cell (0, 0) is at 0.5; a patch of 4 around it starts at -2 (from -1.5, to even)
    (patch,) = vc.peaks(snapshot(maps_at((0, 0), side=12), probe), probe).patches
    assert (patch[:3, :3] == PLANTED).all()
    assert not patch[3].any()
    assert not patch[:, 3].any()


@pytest.mark.parametrize("size", [(12, 30), (30, 12), (2, 2), (1, 7)])
def test_pictures_that_are_no_squares_give_square_patches_of_a_third_of_the_shorter_side(size):
    probe = probe_set(2, *size)
    found = vc.peaks(snapshot(maps_at((2, 2), (0, 0)), probe), probe)
    side = max(1, round(min(size) / 3))
    assert found.patches.shape == (2, side, side, 3)


def test_of_equal_cells_the_first_is_the_maximum():
    maps = maps_at((2, 0))
    maps[0, 1, 2] = 1
    probe = probe_set(1)
    np.testing.assert_allclose(vc.peaks(snapshot(maps, probe), probe).positions, [[3 / 6, 5 / 6]])


@pytest.mark.parametrize("value", [0, 1, -1, np.nan, np.inf])
def test_maps_without_a_peak_are_left_out_and_counted(value):
    maps = np.concatenate([np.full((1, 3, 3), value, np.float32), maps_at((1, 1))])
    probe = probe_set()
    found = vc.peaks(snapshot(maps, probe), probe)
    assert found.dead.tolist() == [0]
    assert found.numbers.tolist() == [1]
    assert len(found) == len(found.patches) == 1
    assert "1 maxima, 1 maps dead" in str(found)


def test_one_value_that_is_not_finite_makes_a_map_undefined():
    maps = maps_at((1, 1), (1, 1))
    maps[0, 0, 0] = np.nan
    probe = probe_set()
    assert vc.peaks(snapshot(maps, probe), probe).dead.tolist() == [0]


def test_all_maps_may_be_dead():
    probe = probe_set()
    found = vc.peaks(snapshot(np.zeros((2, 3, 3)), probe), probe)
    assert (len(found), dict(found.sameness)) == (0, {})
    assert np.isnan(found.overall.value)


# Classes


def test_rows_are_the_classes_that_the_maps_explain_and_wrong_predictions_are_told():
    probe = probe_set(3)  # labels cat, dog, cat
    taken = snapshot(maps_at((0, 0), (1, 1), (2, 2)), probe, targets=[0, 0, 1], predictions=[0, 0, -1])
    found = vc.peaks(taken, probe)
    assert found.classes.tolist() == [0, 0, 1]
    assert found.wrong.tolist() == [False, True, False]  # the last prediction is unknown
    assert {number: one.count for number, one in found.sameness.items()} == {0: 2, 1: 1}


def test_without_labels_or_classes_nothing_is_wrong_and_all_images_are_one_row():
    probe = probe_set(2, labels=None)
    found = vc.peaks(snapshot(maps_at((0, 0), (1, 1)), probe, targets=[-1, -1], predictions=[-1, -1]), probe)
    assert dict(found.names) == {-1: "all images"}
    assert not found.wrong.any()
    result = SimpleNamespace(
        maps={"grad_cam": maps_at((0, 0), (1, 1))}, targets=None, predictions=None, probe=probe
    )
    assert vc.peaks(result, probe).classes.tolist() == [-1, -1]


def test_a_stored_snapshot_gives_the_same_peaks(tmp_path):
    probe = probe_set()
    taken = snapshot(maps_at((0, 2), (1, 1)), probe)
    taken.save(tmp_path / "a.npz")
    now, stored = (vc.peaks(one, probe) for one in (taken, vc.Snapshot.load(tmp_path / "a.npz")))
    for name in ("patches", "numbers", "positions", "classes", "wrong", "dead"):
        np.testing.assert_array_equal(getattr(now, name), getattr(stored, name))


def test_another_probe_set_and_maps_of_another_family_are_refused():
    probe = probe_set()
    taken = snapshot(maps_at((0, 2), (1, 1)), probe)
    with pytest.raises(ValueError, match="not the one that was explained"):
        vc.peaks(taken, probe_set(labels=None))
    with pytest.raises(
        ValueError, match="got grad_cam and not 'saliency'; explain with the method 'grad_cam'"
    ):
        vc.peaks(taken, probe, method="saliency")
    with pytest.raises(ValueError, match="needs maps of the CAM family, got none"):
        vc.peaks(snapshot({}, probe), probe)


def test_peaks_cannot_be_changed():
    probe = probe_set()
    with pytest.raises(dataclasses.FrozenInstanceError):
        vc.peaks(snapshot(maps_at((0, 2), (1, 1)), probe), probe).method = "x"


# Sameness


def test_sameness_is_the_quotient_of_the_median_distances_to_the_nearest_patches():
    # plain patches: the distance is the colours' times sqrt(16 cells x 3 channels)
    patches = np.stack([plain(value) for value in (0, 10, 100, 130)])
    by_class, overall = sameness(patches, np.array([3, 3, 7, 7]))
    # class 3: nearest of its own 10, 10; of the other 100, 90. Class 7: 30, 30 and 90, 120
    assert by_class[3].value == pytest.approx(10 / 95)
    assert by_class[7].value == pytest.approx(30 / 105)
    assert overall.value == pytest.approx(20 / 95)  # median of 10, 10, 30, 30 and of 90, 90, 100, 120
    assert [by_class[3].count, by_class[7].count, overall.count] == [2, 2, 4]


def test_sameness_does_not_see_what_is_finer_than_a_quarter_of_the_patch():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[::2] = 200
    (by_class, _) = sameness(
        np.stack([stripes, np.roll(stripes, 1, axis=0), plain(0, 8), plain(0, 8)]), np.array([0, 0, 1, 1])
    )
    assert by_class[0].value == 0


def test_patches_grouped_by_chance_are_at_the_chance_level():
    generator = np.random.default_rng(0)
    patches = generator.integers(0, 256, (200, 6, 6, 3)).astype(np.uint8)
    by_class, overall = sameness(patches, np.arange(200) % 10)
    assert overall.value == pytest.approx(overall.chance, rel=0.05)
    assert overall.chance > 1  # the nearest of 180 others is nearer than that of 19
    for one in by_class.values():
        assert one.value == pytest.approx(one.chance, rel=0.15)


def test_sameness_of_one_class_of_single_patches_and_of_equal_patches_is_undefined():
    patches = np.stack([plain(value) for value in (0, 10, 100)])
    for classes in ([0, 0, 0], [0, 1, 2]):
        by_class, overall = sameness(patches, np.array(classes))
        assert all(np.isnan(one.value) and np.isnan(one.chance) for one in (*by_class.values(), overall))
    by_class, _ = sameness(np.stack([plain(5)] * 4), np.array([0, 0, 1, 1]))
    assert np.isnan(by_class[0].value)


def test_sameness_of_many_patches_is_measured_on_some_and_repeats():
    patches = np.random.default_rng(0).integers(0, 256, (1200, 3, 3, 3)).astype(np.uint8)
    by_class, overall = sameness(patches, np.arange(1200) // 400)
    assert overall.count == 500
    assert sum(one.count for one in by_class.values()) == 500
    assert sameness(patches, np.arange(1200) // 400) == (by_class, overall)
    assert isinstance(overall, Sameness)


# Several probe sets


def test_joined_peaks_are_those_of_the_whole_set():
    pictures = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3)).astype(np.uint8)
    probe = probe_set(6, pictures=pictures)
    maps = maps_at((0, 0), (1, 1), (2, 2), (0, 2), (1, 0), (2, 1))
    maps[2] = 0
    whole = vc.peaks(snapshot(maps, probe, predictions=[1] * 6), probe)
    parts = []
    for rows in (slice(0, 3), slice(3, 6)):
        taken = snapshot(maps[rows], probe[rows], predictions=[1] * 3)
        parts.append(vc.peaks(taken, probe[rows]))
    again = joined(parts)
    for name in ("patches", "numbers", "positions", "classes", "wrong", "dead"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert (dict(again.sameness), again.overall, dict(again.names)) == (
        dict(whole.sameness),
        whole.overall,
        dict(whole.names),
    )
