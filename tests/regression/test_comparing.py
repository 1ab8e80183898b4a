"""compare(): rules met by hand-made maps, and what the report says of those that are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import vizcallbacks as vc
from vizcallbacks.measures.of_two_maps import SIMILARITY
from vizcallbacks.regression.snapshot import take

from ..helpers.checked import ON_OBJECT, ON_TAG, probe_set, snapshot
from ..helpers.maps import PROPERTIES, random_maps
from ..helpers.nets import images, small_net

PROBE = probe_set()
BASELINE = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE), PROBE)


def only(rule, now, baseline=BASELINE, **more):
    """The one finding of one rule, given as (name, text)."""
    report = vc.compare(now, baseline, dict([rule]), **more)
    (finding,) = report.findings
    assert report.passed == finding.passed
    return finding


# Rules


def test_a_rule_on_the_mean_judges_the_mean():
    now = snapshot(ON_OBJECT, PROBE, entropy=[0.125, 0.25, 0.25, 0.875])
    for text, passed in (("<= 0.375", True), ("< 0.375", False), (">= 0.376", False), ("> 0", True)):
        finding = only(("entropy", text), now)
        assert finding.value == 0.375
        assert finding.passed == passed
    assert finding.failing == ()


def test_a_failed_mean_names_the_images_that_fail_by_themselves_the_worst_first():
    now = snapshot(ON_OBJECT, PROBE, entropy=[0.4, 0.9, 0.3, 0.8])
    finding = only(("entropy", "<= 0.35"), now)
    assert finding.failing == (1, 3, 0)
    assert finding.excess == pytest.approx(0.25)
    assert only(("entropy", ">= 0.85"), now).failing == (2, 0, 3)


@pytest.mark.parametrize(("text", "passed"), [("for all", False), ("for 76%", False), ("for 75%", True)])
def test_a_rule_on_each_image_allows_a_share_to_fail(text, passed):
    finding = only(("entropy", f"<= 0.5 {text}"), snapshot(ON_OBJECT, PROBE, entropy=[0.1, 0.5, 0.51, 0]))
    assert finding.value == 0.75
    assert finding.passed == passed
    assert finding.failing == (2,)


def test_similarity_to_the_baseline_is_a_measure():
    now = snapshot(random_maps(4, 4, 4), PROBE)
    finding = only(("grad_cam/spearman", ">= -1"), now)
    expected = [spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(now.maps["grad_cam"], ON_OBJECT)]
    np.testing.assert_allclose(finding.values, expected, rtol=1e-6)
    assert finding.value == pytest.approx(np.mean(expected))
    assert finding.baseline == pytest.approx(1)


def test_similarity_to_several_runs_is_the_mean_over_them():
    runs = [snapshot(random_maps(4, 4, 4, seed=seed), PROBE) for seed in (1, 2)]
    now = snapshot(random_maps(4, 4, 4), PROBE)
    finding = only(("grad_cam/ssim", ">= -1"), now, vc.Baseline.from_snapshots(runs))
    each = [only(("grad_cam/ssim", ">= -1"), now, vc.Baseline.from_snapshots(run)).values for run in runs]
    np.testing.assert_allclose(finding.values, np.mean(each, axis=0))


@pytest.mark.parametrize("name", SIMILARITY)
def test_equal_maps_pass_and_others_fail_by_every_similarity(name):
    rule = (f"grad_cam/{name}", "within noise")
    assert only(rule, snapshot(ON_OBJECT, PROBE)).passed
    assert not only(rule, snapshot(ON_OBJECT[:, ::-1, ::-1], PROBE)).passed


def test_within_a_number_of_the_baseline_counts_both_directions_for_a_mask():
    base = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE, **{"energy/tag": [0.5] * 4}), PROBE)
    for value, passed in ((0.39, False), (0.41, True), (0.59, True), (0.61, False)):
        now = snapshot(ON_OBJECT, PROBE, **{"energy/tag": [value] * 4})
        finding = only(("energy/tag", "within 0.1"), now, base)
        assert finding.passed == passed
        assert (finding.low, finding.high) == pytest.approx((0.4, 0.6))
        assert only(("energy/tag", "within 0.1 for all"), now, base).passed == passed


@pytest.mark.parametrize(("name", "worse"), [("dead", 0.9), ("border_share", 0.9), ("probability", 0.1)])
def test_within_lets_pass_what_is_better(name, worse):
    base, better, other = (
        snapshot(ON_OBJECT, PROBE, **{name: [value] * 4}) for value in (0.5, 1 - worse, worse)
    )
    base = vc.Baseline.from_snapshots(base, PROBE)
    for text in ("within 0.1", "within 0.1 for all"):
        assert only((name, text), better, base).passed
        assert not only((name, text), other, base).passed


def test_within_noise_takes_each_images_own_noise():
    """Image 0 differs between runs, the others do not; the same change is noise there only."""
    runs = [
        snapshot(ON_OBJECT, PROBE, **{"energy/tag": [first, 0.4, 0.4, 0.4]})
        for first in (0.1, 0.7, 0.2, 0.6, 0.1, 0.7) * 4
    ]
    base = vc.Baseline.from_snapshots(runs)
    finding = only(
        ("energy/tag", "within noise for all"), snapshot(ON_OBJECT, PROBE, **{"energy/tag": [0.65] * 4}), base
    )
    assert set(finding.failing) == {1, 2, 3}


def test_flips_are_predictions_of_none_of_the_runs():
    base = vc.Baseline.from_snapshots(
        [
            snapshot(ON_OBJECT, PROBE, predictions=[0, 1, 2, 0]),
            snapshot(ON_OBJECT, PROBE, predictions=[1, 1, 2, 0]),
        ]
    )
    report = vc.compare(snapshot(ON_OBJECT, PROBE, predictions=[1, 0, 2, 1]), base, {"flips": "<= 0.4"})
    assert report.flips == (1, 3)
    assert report.findings[0].value == 0.5
    assert not report.passed


def test_predictions_that_are_unknown_are_no_flips():
    base = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE, predictions=[-1] * 4))
    report = vc.compare(snapshot(ON_OBJECT, PROBE), base, {"flips": "<= 0"})
    assert report.flips == ()
    assert np.isnan(report.findings[0].values).all()


def test_several_methods_are_compared_each_with_its_own():
    before = snapshot({"grad_cam": ON_OBJECT, "layer_cam": ON_TAG}, PROBE)
    now = snapshot({"grad_cam": ON_OBJECT, "layer_cam": ON_OBJECT}, PROBE)
    base = vc.Baseline.from_snapshots(before)
    assert only(("grad_cam/pearson", ">= 0.9"), now, base).passed
    assert not only(("layer_cam/pearson", ">= 0.9"), now, base).passed


# What is undefined

HALF_DEAD = ON_OBJECT.copy()
HALF_DEAD[1] = 0


@pytest.mark.parametrize("name", ["energy/object", "grad_cam/spearman", "entropy"])
def test_an_undefined_value_is_never_a_pass_for_its_image(name):
    finding = only((name, ">= -1 for all"), snapshot(HALF_DEAD, PROBE))
    assert not finding.passed
    assert finding.failing == (1,)
    assert finding.value == 0.75
    assert not only((name, "within 1 for all"), snapshot(HALF_DEAD, PROBE)).passed


@pytest.mark.parametrize("name", ["energy/object", "grad_cam/spearman", "entropy"])
def test_what_the_baseline_has_undefined_too_is_not_judged(name):
    base = vc.Baseline.from_snapshots(snapshot(HALF_DEAD, PROBE))
    for now in (HALF_DEAD, ON_OBJECT):
        finding = only((name, "within 0.5 for all"), snapshot(now, PROBE), base)
        assert finding.passed
        assert finding.value == 1.0


def test_dead_maps_are_counted_and_not_undefined():
    now = snapshot(HALF_DEAD, PROBE)
    assert only(("dead", "<= 0.25"), now).passed
    finding = only(("dead", "<= 0.2"), now)
    assert (finding.passed, finding.value, finding.failing) == (False, 0.25, (1,))


def test_a_mean_is_over_defined_values_until_too_many_are_missing():
    maps = ON_OBJECT.copy()
    for dead, defined in ((0, True), (1, True), (2, False), (4, False)):
        maps[:dead] = 0
        finding = only(("energy/tag", "<= 0.9"), snapshot(maps, PROBE))
        assert finding.passed == defined
        assert np.isnan(finding.value) != defined
        assert np.isnan(finding.excess) != defined


def test_a_mean_of_nothing_that_could_be_judged_passes():
    base = vc.Baseline.from_snapshots(snapshot(0 * ON_OBJECT, PROBE))
    for text in (">= 0.9", "within noise", ">= 0.9 for all"):
        finding = only(("grad_cam/spearman", text), snapshot(0 * ON_OBJECT, PROBE), base)
        assert finding.passed
        assert np.isnan(finding.value)


def test_an_empty_mask_is_not_judged_where_the_probe_set_tells():
    probe = vc.ProbeSet(
        PROBE.images,
        PROBE.labels,
        masks={"tag": PROBE.masks["tag"] * np.array([1, 0, 0, 0], bool)[:, None, None]},
    )
    now = snapshot(ON_OBJECT, probe)
    assert only(("energy/tag", "<= 0.1 for all"), now, None, probe=probe).passed
    assert not only(("energy/tag", "<= 0.1 for all"), now, None).passed


def test_drift_of_a_first_snapshot_is_not_judged():
    assert only(("drift", ">= 0.9"), snapshot(ON_OBJECT, PROBE)).passed
    assert not only(("drift", ">= 0.9"), snapshot(ON_OBJECT, PROBE, drift=[0.5] * 4)).passed


# Properties

MAPS = st.integers(0, 2**32 - 1).map(lambda seed: random_maps(4, 4, 4, seed=seed))


@PROPERTIES
@given(maps=MAPS)
def test_a_snapshot_always_passes_its_own_baseline(maps):
    now = snapshot(maps, PROBE)
    report = vc.compare(now, vc.Baseline.from_snapshots(now))
    assert report.passed
    assert report.violations() == {}


@PROPERTIES
@given(first=MAPS, second=MAPS, maps=MAPS)
def test_the_order_of_the_baselines_runs_does_not_matter(first, second, maps):
    runs = [snapshot(one, PROBE) for one in (first, second)]
    there, back = (
        vc.compare(snapshot(maps, PROBE), vc.Baseline.from_snapshots(order)) for order in (runs, runs[::-1])
    )
    assert [f.passed for f in there.findings] == [f.passed for f in back.findings]
    np.testing.assert_allclose([f.low for f in there.findings], [f.low for f in back.findings])


@PROPERTIES
@given(maps=MAPS, scale=st.sampled_from([2.0**-20, 0.5, 2.0**20]))
def test_the_scale_of_the_maps_does_not_matter(maps, scale):
    one, other = (vc.compare(snapshot(m, PROBE), BASELINE) for m in (maps, maps * np.float32(scale)))
    np.testing.assert_allclose([f.value for f in one.findings], [f.value for f in other.findings])


@PROPERTIES
@given(maps=MAPS, bound=st.floats(-1, 1), looser=st.floats(0, 1))
def test_what_passes_a_rule_passes_a_looser_one(maps, bound, looser):
    now = snapshot(maps, PROBE)
    for share in ("", " for 50%"):
        strict, loose = (
            only(("grad_cam/pearson", f">= {limit:.9f}{share}"), now).passed
            for limit in (bound, bound - looser)
        )
        assert loose or not strict


# Errors


WRONG = {
    "an unknown measure": (
        {"energi/dog": "<= 1"},
        "no measure 'energi/dog'.*energy/tag.*grad_cam/spearman.*flips",
    ),
    "a mask that there is not": (
        {"energy/dog": "<= 1"},
        "no measure 'energy/dog', because the probe set has no mask 'dog' \\(its masks are object, tag\\); "
        "masks are given with the images.*ProbeSet\\(images, masks={'dog': ...}\\)",
    ),
    "an unknown method": ({"saliency/spearman": "<= 1"}, "no measure 'saliency/spearman'"),
    "an unknown similarity": ({"grad_cam/kendall": "<= 1"}, "grad_cam/spearman, grad_cam/pearson"),
    "no tolerance": ({"score": "within noise"}, "not known for 'score'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_rule_on_something_unknown_names_what_there_is(case):
    thresholds, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        vc.compare(snapshot(ON_OBJECT, PROBE), BASELINE, thresholds)


def test_without_a_baseline_there_must_be_rules_and_rules_that_need_none():
    now = snapshot(ON_OBJECT, PROBE)
    assert vc.compare(now, None, {"energy/tag": "<= 0.1"}).passed
    with pytest.raises(ValueError, match="thresholds must be given where there is no baseline"):
        vc.compare(now, None)
    with pytest.raises(ValueError, match="the rule 'dead within 0.1' needs a baseline"):
        vc.compare(now, None, {"dead": "within 0.1"})
    with pytest.raises(
        ValueError, match="no measure 'grad_cam/spearman' without a baseline; measures are energy/object"
    ):
        vc.compare(now, None, {"grad_cam/spearman": ">= 0.5"})


def test_another_probe_set_for_the_names_is_refused():
    with pytest.raises(vc.NotComparableError, match="not the one that was explained"):
        vc.compare(snapshot(ON_OBJECT, PROBE), BASELINE, probe=probe_set(seed=1))


def test_attributions_are_compared_as_they_come_from_explain():
    net, probe = small_net(), vc.ProbeSet(images(3), [0, 1, 2])
    result = vc.explain(net, probe, "grad_cam", targets="label")
    base = vc.Baseline.from_snapshots(take(result, probe, 0, "then"))
    assert vc.compare(result, base).passed
    with pytest.raises(vc.NotComparableError, match="probe sets differ"):
        vc.compare(vc.explain(net, images(3), "grad_cam", targets=[0, 1, 2]), base)
    with pytest.raises(vc.NotComparableError, match="is of layer '4', this is of layer '0'"):
        vc.compare(vc.explain(net, probe, "grad_cam", targets="label", layer="0"), base)


# The report


def test_the_report_says_which_measure_image_value_bound_and_how_to_accept():
    now = snapshot(np.concatenate([ON_TAG[:2], ON_OBJECT[2:]]), PROBE, step=8, predictions=[1, 1, 2, 0])
    report = vc.compare(
        now, BASELINE, {"energy/tag": "<= 0.05", "energy/object": "within 0.1", "dead": "<= 0.1"}
    )
    report = dataclasses.replace(report, files=("out.png",), accept="vizcallbacks accept runs/a --out b.npz")
    lines = str(report).splitlines()
    assert lines[0] == (
        "attention check FAILED 2 of 3 rules: epoch 8, layer 'features.4', 4 probe images, by a baseline of 1 run"
    )
    tag = report.findings[0]
    mean, excess = f"{tag.value:.3f}", f"{tag.value - 0.05:.3g}"
    assert lines[1].startswith(f"  FAIL  energy/tag <= 0.05: mean {mean}, {excess} above the bound")
    cat, dog = (f"{value:.3f}" for value in tag.values[:2])
    assert (
        lines[2] == f"        2 images fail individually; worst: picture 0 (cat) {cat}, picture 1 (dog) {dog}"
    )
    assert "below the bound (baseline" in lines[3]
    assert "must be >= " in lines[3]
    assert lines[5].startswith("  pass  dead <= 0.1: mean 0.000")
    assert lines[6:] == [
        "  1 of 4 class flips: picture 0 cat -> dog",
        "  picture: out.png",
        "  If this is how it should look: vizcallbacks accept runs/a --out b.npz",
    ]


def test_a_report_and_its_findings_show_themselves_in_one_line_each():
    report = vc.compare(snapshot(ON_OBJECT, PROBE), BASELINE, {"dead": "<= 0.1"})
    assert repr(report) == (
        "Report(attention check passed: epoch 1, layer 'features.4', 4 probe images, by a baseline of 1 run)"
    )
    assert repr(report.findings) == "(Finding(pass dead <= 0.1: mean 0.000 (baseline 0.000)),)"


def test_a_report_that_passed_is_short():
    report = vc.compare(snapshot(ON_OBJECT, PROBE), BASELINE, {"dead": ["<= 0.1", "<= 0 for all"]})
    assert str(report).splitlines() == [
        "attention check passed: epoch 1, layer 'features.4', 4 probe images, by a baseline of 1 run",
        "  pass  dead <= 0.1: mean 0.000 (baseline 0.000)",
        "  pass  dead <= 0 for 100%: 100.0 % of the images comply",
    ]


def test_the_worst_images_come_from_each_failed_rule_in_turn():
    now = snapshot(
        ON_OBJECT, PROBE, entropy=[0, 0, 0.8, 0.9], gini=[0.9, 0.6, 0, 0], predictions=[0, 1, 2, 0]
    )
    report = vc.compare(now, BASELINE, {"entropy": "<= 0.1", "gini": "<= 0.1", "dead": "<= 1"})
    assert report.worst(3) == [3, 0, 2]
    assert report.worst(9) == [3, 0, 2, 1]
    assert report.violations() == {
        2: "entropy 0.800",
        3: "entropy 0.900",
        0: "gini 0.900",
        1: "gini 0.600",
    }
