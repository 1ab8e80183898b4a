"""Maps that something else computed: the same snapshot, report and pictures as those that `explain` computed."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks import archive
from vizcallbacks.regression.snapshot import list_snapshots

from ..helpers import events
from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from ..helpers.training import train

METHODS = ("grad_cam", "guided_grad_cam", "saliency")


def explained(net, probe):
    """What `explain` finds, as plain arrays: as another library would hand it over."""
    found = vc.explain(net, probe, METHODS, targets="label")
    return {name: np.array(found[name]) for name in METHODS}, found


def test_recorded_maps_give_the_same_snapshots_reports_and_pictures(tmp_path):
    net, probe = small_net(), probe_set()
    rules = {"energy/object": ">= 0.5", "drift": ">= 0.99"}
    made = {
        name: vc.AttentionMonitor(
            probe,
            tmp_path / name,
            thresholds=rules,
            image_format="png",
            on_error="raise",
            patience=1,
            wrong="label only",  # a map of another class is not recorded
        )
        for name in ("run", "recorded")
    }
    for step in range(3):
        taken = made["run"].snapshot(net, step)
        maps, found = explained(net, probe)
        again = made["recorded"].record(
            step, maps, found.outputs, layer=found.layer, relus=found.relus, scores=found.scores
        )
        for name in ("step", "when", "layer", "relus", "digest"):
            assert getattr(again, name) == getattr(taken, name)
        assert list(again.measures) == list(taken.measures)
        for name, values in taken.measures.items():
            np.testing.assert_array_equal(again.measures[name], values, err_msg=name)
        for name in ("targets", "predictions", "confidence"):
            np.testing.assert_array_equal(getattr(again, name), getattr(taken, name))
        np.testing.assert_array_equal(again.maps["grad_cam"], taken.maps["grad_cam"])
        first, second = made["run"].report, made["recorded"].report
        assert (first is None) == (second is None) == (step == 0)
        if first is not None:
            assert [str(finding) for finding in first.findings] == [str(f) for f in second.findings]
        train(net)
    for monitor in made.values():
        monitor.close()
        assert monitor.failures == 0
    assert events.pictures(tmp_path / "run") == events.pictures(tmp_path / "recorded")
    for one, other in zip(*(list_snapshots(tmp_path / name) for name in made)):
        (arrays, facts), (again, others) = (archive.read(path, "snapshot", 1) for path in (one, other))
        assert facts == {**others, "pure": True}  # which is not known of maps from elsewhere
        assert others["pure"] is None
        assert {name: array.tobytes() for name, array in arrays.items()} == {
            name: array.tobytes() for name, array in again.items()
        }


def test_scores_probabilities_and_predictions_follow_from_the_outputs():
    probe = probe_set()
    outputs = np.log([[2.0, 1, 1, 0.5], [1, 6, 2, 1], [4, 3, 2, 1]])
    taken = vc.Snapshot.from_arrays(probe, 3, {"grad_cam": np.ones((3, 2, 2))}, outputs, "label")
    assert (taken.when, taken.layer) == ("after 3 epochs", None)
    assert taken.targets.tolist() == [0, 1, 2]
    assert taken.predictions.tolist() == [0, 1, 0]
    np.testing.assert_allclose(taken.measures["score"], np.log([2, 6, 2]), rtol=1e-6)
    np.testing.assert_allclose(taken.measures["probability"], [2 / 4.5, 6 / 10, 2 / 10], rtol=1e-6)
    np.testing.assert_allclose(taken.confidence, [2 / 4.5, 6 / 10, 4 / 10], rtol=1e-6)
    predicted = vc.Snapshot.from_arrays(probe, 3, {"grad_cam": np.ones((3, 2, 2))}, outputs)
    assert predicted.targets.tolist() == [0, 1, 0]


def test_maps_alone_are_enough():
    taken = vc.Snapshot.from_arrays(probe_set(), 0, {"layer_cam": np.eye(3)[None].repeat(3, axis=0)})
    assert (taken.when, taken.targets.tolist(), taken.predictions.tolist()) == (
        "before training",
        [-1] * 3,
        [-1] * 3,
    )
    assert np.isnan(taken.measures["score"]).all()
    assert taken.measures["dead"].tolist() == [0, 0, 0]


def test_drift_is_measured_against_the_snapshot_recorded_before(tmp_path):
    ramp = np.arange(9.0).reshape(1, 3, 3).repeat(3, axis=0)
    with vc.AttentionMonitor(probe_set(), tmp_path, methods="grad_cam") as monitor:
        assert "drift" not in monitor.record(0, {"grad_cam": ramp}).measures
        drift = monitor.record(1, {"grad_cam": ramp[:, ::-1, ::-1]}).measures["drift"]
        np.testing.assert_allclose(drift, [-1] * 3)
    assert monitor.failures == 0


CAMS = {"grad_cam": np.ones((3, 4, 4))}
WRONG = {
    "of fewer images": ({"grad_cam": np.ones((2, 4, 4))}, {}, r"with N = 3, but is float64 \(2, 4, 4\)"),
    "with channels": ({"grad_cam": np.ones((3, 1, 4, 4))}, {}, r"'grad_cam' must be floating \(N, h, w\)"),
    "of whole numbers": ({"grad_cam": np.ones((3, 4, 4), int)}, {}, "floating.*but is int64"),
    "empty": ({"grad_cam": np.ones((3, 0, 4))}, {}, r"but is float64 \(3, 0, 4\)"),
    "of an unknown method": ({**CAMS, "my_cam": np.ones(3)}, {}, "got 'my_cam'"),
    "without the main one": ({"layer_cam": np.ones((3, 4, 4))}, {}, "must hold 'grad_cam'.*got layer_cam"),
    "outputs": (CAMS, {"outputs": np.ones(3)}, r"'outputs' must be floating \(N, C\)"),
    "targets": (CAMS, {"outputs": np.ones((3, 2))}, "below the 2 classes, got 2"),
    "scores": (CAMS, {"scores": np.ones(4)}, r"'scores' must be floating \(N\) with N = 3"),
    "a step beyond 64 bits": (CAMS, {"step": 2**63}, r"step must be below 2\*\*63, got 9223372036854775808"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_do_not_fit_raise_before_the_folder_is_touched(case, tmp_path):
    maps, more, message = WRONG[case]
    with (
        vc.AttentionMonitor(probe_set(), tmp_path / "run") as monitor,
        pytest.raises(ValueError, match=message),
    ):
        monitor.record(**{"step": 0, "maps": maps, **more})
    assert list(tmp_path.iterdir()) == []
