"""What a baseline's runs tell of their noise, runs that contradict each other, and single images accepted."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.regression.accepting import VACUOUS, accept_images, doubts, learnt
from vizcallbacks.regression.quantities import tolerance_of

from ..helpers.checked import ON_OBJECT, ON_TAG, at, probe_set, snapshot
from ..helpers.maps import random_maps

PROBE = probe_set()


def of_runs(*kinds, **measures):
    """A baseline of runs "a", "b", ...; each with the maps given and a little noise of its own."""
    runs = [
        snapshot(
            maps + 1e-4 * random_maps(4, 4, 4, seed=seed),
            PROBE,
            **{name.replace("_", "/"): [values[seed]] * 4 for name, values in measures.items()},
        )
        for seed, maps in enumerate(kinds)
    ]
    return vc.Baseline.from_snapshots(runs, PROBE, [chr(ord("a") + i) for i in range(len(runs))])


def told(baseline):
    return {one.rule.name: one for one in learnt(baseline)}


def test_the_margin_of_one_run_is_said_to_be_assumed():
    found = told(of_runs(ON_OBJECT))
    assert set(found) == {"grad_cam/spearman", "energy/object", "energy/tag", "dead"}
    for name, one in found.items():
        assert one.assumed
        assert one.margin == pytest.approx(tolerance_of(name))
        assert str(one) == f"{name}: mean may be off by {tolerance_of(name):.3f}, assumed, from one run"
    assert not doubts(of_runs(ON_OBJECT))


def test_the_margin_of_several_runs_is_said_to_be_learnt_with_their_means():
    one = told(of_runs(ON_OBJECT, ON_OBJECT, energy_tag=[0.1, 0.2]))["energy/tag"]
    assert not one.assumed
    assert one.means == pytest.approx((0.1, 0.2))
    assert str(one).endswith("learnt from runs with 0.100, 0.200")


def test_bounds_and_what_they_allow_by_hand():
    """Two runs, 0.4 and 0.6, s^2 = 0.02: the margin is 3 sqrt((2 (0.1/3)^2 + 0.02) / 3)."""
    one = told(of_runs(ON_OBJECT, ON_OBJECT, energy_object=[0.4, 0.6]))["energy/object"]
    margin = 3 * np.sqrt((2 * (0.1 / 3) ** 2 + 0.02) / 3)
    assert one.margin == pytest.approx(margin)
    assert one.bounds == pytest.approx((0.5 - margin, 0.5 + margin))
    assert one.allowed == pytest.approx(2 * margin)
    assert one.doubtful  # 0.25 is more than twice the tolerance of 0.1
    assert not one.vacuous


def test_runs_that_agree_raise_no_doubt():
    assert not doubts(of_runs(ON_OBJECT, ON_OBJECT, ON_OBJECT))


def test_two_runs_that_contradict_each_other_make_vacuous_rules_told_with_the_figures():
    found = {one.rule.name: one for one in doubts(of_runs(ON_OBJECT, ON_TAG))}
    assert {name for name, one in found.items() if one.vacuous} >= {"energy/object", "energy/tag"}
    one = found["energy/object"]
    assert one.allowed > VACUOUS
    values = ", ".join(f"{mean:.3f}" for mean in one.means)
    assert one.doubt().startswith(
        f"energy/object: the runs contradict each other (values {values}); its rule"
    )
    assert one.odd == ""  # of two, nobody knows which


def test_the_odd_one_of_several_is_named_for_values_and_for_likeness():
    turned = ON_OBJECT[:, ::-1, ::-1]
    found = {one.rule.name: one for one in doubts(of_runs(ON_OBJECT, ON_OBJECT, turned, ON_OBJECT))}
    assert {found[name].odd for name in ("energy/object", "energy/tag", "grad_cam/spearman")} == {"c"}
    assert found["energy/tag"].doubt().endswith("; without c they agree")
    assert "likeness of two" in found["grad_cam/spearman"].doubt()


def test_without_an_odd_one_none_is_named():
    places = [at(0, 0), at(0, 3), at(3, 0), at(3, 3)]
    found = doubts(of_runs(*places, energy_tag=[0.1, 0.4, 0.6, 0.9]))
    assert [one.odd for one in found if one.rule.name == "energy/tag"] == [""]


# Runs of different kinds


def test_the_run_of_another_probe_set_is_named_wherever_it_stands():
    other = snapshot(ON_OBJECT, probe_set(seed=1))
    for place in range(3):
        runs = [snapshot(ON_OBJECT, PROBE)] * 2
        runs.insert(place, other)
        names = ["a", "b", "c"]
        rest = ", ".join(name for i, name in enumerate(names) if i != place)
        with pytest.raises(
            vc.NotComparableError, match=f"{names[place]} is unlike {rest}: the probe sets differ"
        ):
            vc.Baseline.from_snapshots(runs, sources=names)


# Single images


def test_some_images_are_accepted_and_all_others_stay():
    before = of_runs(ON_OBJECT, ON_OBJECT)
    after = accept_images(
        before, ["picture 3", "picture 1"], snapshot(ON_TAG, PROBE, predictions=[2, 2, 2, 2])
    )
    rows, others = [1, 3], [0, 2]
    for run in range(2):
        np.testing.assert_array_equal(after.maps["grad_cam"][run][rows], ON_TAG.astype(np.float32)[rows])
        np.testing.assert_array_equal(after.predictions[run], [0, 2, 2, 2])
    np.testing.assert_array_equal(after.maps["grad_cam"][:, others], before.maps["grad_cam"][:, others])
    for name, values in after.measures.items():
        np.testing.assert_array_equal(values[:, others], before.measures[name][:, others])
    assert (after.measures["energy/tag"][:, rows] > 0.5).all()
    assert after.sources == ("a; picture 1, picture 3 of epoch 1", "b; picture 1, picture 3 of epoch 1")
    np.testing.assert_array_equal(before.predictions[0], [0, 1, 2, 0])  # the old one is as it was


def test_a_baseline_with_accepted_images_is_written_and_read(tmp_path):
    made = accept_images(of_runs(ON_OBJECT), ["picture 0"], snapshot(ON_TAG, PROBE))
    made.save(tmp_path / "b.npz")
    report = vc.compare(
        snapshot(np.concatenate([ON_TAG[:1], ON_OBJECT[1:]]), PROBE), vc.Baseline.load(tmp_path / "b.npz")
    )
    assert report.passed


def test_each_run_may_have_a_snapshot_of_its_own():
    taken = [snapshot(ON_TAG, PROBE, **{"energy/tag": [value] * 4}) for value in (0.7, 0.9)]
    after = accept_images(of_runs(ON_OBJECT, ON_OBJECT), ["picture 2"], taken)
    np.testing.assert_allclose(after.measures["energy/tag"][:, 2], [0.7, 0.9])


def test_images_and_numbers_of_runs_that_do_not_fit_are_refused():
    baseline, now = of_runs(ON_OBJECT, ON_OBJECT, ON_OBJECT), snapshot(ON_TAG, PROBE)
    with pytest.raises(ValueError, match="there is no image 'cat'; images are picture 0, picture 1"):
        accept_images(baseline, ["picture 0", "cat"], now)
    with pytest.raises(ValueError, match="there is no image to accept"):
        accept_images(baseline, [], now)
    with pytest.raises(ValueError, match="one run, or as many as the baseline is of, 3; got 2"):
        accept_images(baseline, ["picture 0"], [now, now])
    with pytest.raises(vc.NotComparableError, match="probe sets differ"):
        accept_images(baseline, ["picture 0"], snapshot(ON_TAG, probe_set(seed=1)))
