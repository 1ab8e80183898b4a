"""Snapshots: measured right, compared only with what is comparable, and kept to the bit."""

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from vizcallbacks import Attributions, archive
from vizcallbacks.nets.coverage import Coverage
from vizcallbacks.probes.probe_set import ProbeSet
from vizcallbacks.regression.snapshot import (
    Snapshot,
    list_snapshots,
    measure_maps,
    snapshot_path,
    step_of,
    take,
)

CAMS = np.array([[[0, 1], [2, 5]], [[0, 0], [0, 0]]], np.float32)  # the second map is dead
OUTPUTS = np.array([[0, np.log(3)], [0, 0]], np.float32)  # probabilities 1/4, 3/4; 1/2, 1/2

LEFT = np.array([[[True, False], [True, False]]] * 2)  # the left half of each 2 x 2 image


def probe_set(**masks):
    images = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    return ProbeSet(images, [1, 0], masks=masks)


def attributions(maps=None, layer="features.8", targets=(1, 0), outputs=OUTPUTS, relus=(2, 3)):
    targets = None if targets is None else np.array(targets)
    exponents = None if outputs is None else np.exp(outputs)
    return Attributions(
        maps=MappingProxyType({"grad_cam": CAMS} if maps is None else maps),
        layer=layer,
        image_size=(2, 2),
        outputs=outputs,
        probabilities=None if exponents is None else exponents / exponents.sum(axis=1, keepdims=True),
        predictions=None if outputs is None else outputs.argmax(axis=1),
        targets=targets,
        scores=np.array([1.5, -2], np.float32),
        coverage=Coverage(*relus),
        probe=probe_set(),
    )


def assert_equal(one, other):
    for name in ("step", "when", "layer", "relus", "digest"):
        assert getattr(one, name) == getattr(other, name)
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("targets", "predictions", "confidence")]
    for name in ("maps", "measures"):
        assert list(getattr(one, name)) == list(getattr(other, name))
        pairs += [(values, getattr(other, name)[key]) for key, values in getattr(one, name).items()]
    for array, same in pairs:
        assert (array.dtype, array.shape, array.tobytes()) == (same.dtype, same.shape, same.tobytes())


# Measuring


def test_a_snapshot_of_two_images_has_the_numbers_computed_by_hand():
    probe = probe_set(object=LEFT)
    taken = take(attributions(), probe, 3, "epoch 3")
    assert (taken.step, taken.when, taken.layer, taken.relus) == (3, "epoch 3", "features.8", (2, 3))
    assert taken.digest == probe.digest
    assert taken.targets.tolist() == [1, 0]
    assert taken.predictions.tolist() == [1, 0]
    np.testing.assert_allclose(taken.confidence, [0.75, 0.5], rtol=1e-6)
    p = np.array([1, 2, 5]) / 8
    expected = {
        "score": [1.5, -2],
        "probability": [0.75, 0.5],
        "pointing/object": [0, np.nan],  # the 5 is on the right
        "energy/object": [2 / 8, np.nan],
        "entropy": [-(p * np.log(p)).sum() / np.log(4), np.nan],
        "gini": [(-3 * 0 - 1 * 1 + 1 * 2 + 3 * 5) / (4 * 8), np.nan],
        "dead": [0, 1],
        "border_share": [np.nan, np.nan],  # 2 x 2 cells have no inner ones
    }
    assert sorted(taken.measures) == sorted(expected)
    for name, values in expected.items():
        assert taken.measures[name].dtype == np.float64
        np.testing.assert_allclose(taken.measures[name], values, rtol=1e-6, err_msg=name)


def test_each_mask_has_measures_of_its_own():
    measures = measure_maps(CAMS, {"left": LEFT, "a/b": ~LEFT})
    np.testing.assert_allclose(measures["energy/left"], [0.25, np.nan])
    np.testing.assert_allclose(measures["energy/a/b"], [0.75, np.nan])
    assert not [name for name in measure_maps(CAMS, {}) if "/" in name]


def test_measures_are_of_the_first_map_at_the_layers_resolution():
    flat = np.ones((2, 2, 2), np.float32)
    gradient = np.zeros((2, 3, 2, 2), np.float32)
    taken = take(attributions({"gradient": gradient, "grad_cam": flat}), probe_set(), 0, "")
    assert list(taken.maps) == ["grad_cam"]
    assert taken.measures["entropy"].tolist() == [1, 1]


def test_without_such_a_map_there_are_only_scores():
    maps = {"saliency": np.ones((2, 2, 2), np.float32)}
    taken = take(attributions(maps, layer=None), probe_set(object=LEFT), 0, "")
    assert (dict(taken.maps), taken.layer) == ({}, None)
    assert list(taken.measures) == ["score", "probability"]


def test_a_callable_target_has_no_class_and_no_probability():
    taken = take(attributions(targets=None), probe_set(), 0, "")
    assert taken.targets.tolist() == [-1, -1]
    assert taken.predictions.tolist() == [1, 0]
    assert np.isnan(taken.measures["probability"]).all()


def test_outputs_that_are_no_classes_have_no_prediction():
    taken = take(attributions(targets=None, outputs=None), probe_set(), 0, "")
    assert taken.predictions.tolist() == [-1, -1]
    assert np.isnan(taken.confidence).all()
    assert taken.measures["score"].tolist() == [1.5, -2]


# Drift

BEFORE = np.array([[[5, 1], [2, 0]], [[0, 0], [0, 1]]], np.float32)
"""Ranks against those of CAMS, image 0: (4, 2, 3, 1) and (1, 2, 3, 4): 1 - 6 (9 + 0 + 0 + 9) / (4 * 15) = -0.8."""


def drift(now=None, before=None, probe=None, probe_before=None):
    previous = take(before or attributions({"grad_cam": BEFORE}), probe_before or probe_set(), 1, "epoch 1")
    return take(now or attributions(), probe or probe_set(), 2, "epoch 2", previous).measures.get("drift")


def test_drift_is_the_rank_correlation_with_the_previous_map():
    np.testing.assert_allclose(drift(), [-0.8, np.nan])  # dead now: undefined


def test_drift_counts_ties_by_their_average_rank():
    tied = attributions({"grad_cam": np.array([[[0, 0], [3, 9]], [[0, 0], [0, 0]]], np.float32)})
    # ranks 1.5, 1.5, 3, 4 against 1, 2, 3, 4 around 2.5: 4.5 / sqrt(4.5 * 5)
    np.testing.assert_allclose(drift(before=tied), [np.sqrt(0.9), np.nan])


def test_drift_is_undefined_where_the_target_changed():
    changed = attributions({"grad_cam": BEFORE}, targets=(0, 0))
    np.testing.assert_array_equal(drift(before=changed), [np.nan, np.nan])


def test_callable_targets_are_one_and_the_same():
    by_callable = {"targets": None}
    before = attributions({"grad_cam": BEFORE}, **by_callable)
    np.testing.assert_allclose(drift(attributions(**by_callable), before), [-0.8, np.nan])


INCOMPARABLE = {
    "layer": {"before": attributions({"grad_cam": BEFORE}, layer="features.0")},
    "method": {"before": attributions({"saliency": BEFORE})},
    "size of map": {"before": attributions({"grad_cam": np.ones((2, 3, 3), np.float32)})},
    "probe set": {"probe_before": probe_set(object=LEFT)},
}


@pytest.mark.parametrize("case", INCOMPARABLE)
def test_there_is_no_drift_from_a_snapshot_of_another(case):
    assert drift(**INCOMPARABLE[case]) is None


def test_there_is_no_drift_without_a_previous_snapshot():
    assert "drift" not in take(attributions(), probe_set(), 0, "").measures


# Files

CASES = {
    "classes": (attributions(), {}),
    "a callable": (attributions(targets=None, outputs=None), {}),
    "no layer": (attributions({"saliency": CAMS}, layer=None), {}),
    "masks of any name": (
        attributions(),
        {"a/b\0é😀": LEFT, "a/b\0": ~LEFT, "": LEFT, "long" * 20_000: LEFT},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_saved_is_loaded_to_the_bit(case, tmp_path):
    result, masks = CASES[case]
    taken = take(result, probe_set(**masks), 12, "epoch 12 é")
    taken.save(tmp_path / "a.npz")
    assert_equal(Snapshot.load(tmp_path / "a.npz"), taken)


def test_a_loaded_snapshot_serves_as_the_previous_one(tmp_path):
    take(attributions({"grad_cam": BEFORE}), probe_set(), 1, "").save(tmp_path / "a.npz")
    now = take(attributions(), probe_set(), 2, "", Snapshot.load(tmp_path / "a.npz"))
    np.testing.assert_allclose(now.measures["drift"], [-0.8, np.nan])


def test_a_snapshot_cannot_be_changed():
    taken = take(attributions(), probe_set(), 0, "")
    with pytest.raises(AttributeError, match="cannot assign"):
        taken.step = 1  # type: ignore[misc]
    with pytest.raises(TypeError, match="mappingproxy"):
        taken.maps["grad_cam"] = BEFORE  # type: ignore[index]


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    take(attributions(), probe_set(), 0, "").save(path)
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(ValueError, match="no readable vizcallbacks snapshot file"):
        Snapshot.load(path)
    probe_set().save(path)
    with pytest.raises(
        ValueError, match="must be a vizcallbacks snapshot file, but is a vizcallbacks probe set"
    ):
        Snapshot.load(path)
    with pytest.raises(FileNotFoundError):
        Snapshot.load(tmp_path / "none.npz")


@pytest.mark.parametrize("part", ["step", "when", "layer", "maps", "measures", "relus", "digest"])
def test_a_file_without_one_of_the_facts_is_refused(part, tmp_path):
    path = tmp_path / "a.npz"
    take(attributions(), probe_set(), 0, "").save(path)
    arrays, facts = archive.read(path, "snapshot", 1)
    del facts[part]
    archive.write(path, "snapshot", 1, arrays, facts)
    with pytest.raises(ValueError, match=rf"lacks a part of a snapshot \(KeyError\('{part}'\)\)"):
        Snapshot.load(path)


@pytest.mark.parametrize("part", ["targets", "predictions", "confidence", "maps/grad_cam", "measures"])
def test_a_file_without_one_of_the_arrays_is_refused(part, tmp_path):
    path = tmp_path / "a.npz"
    take(attributions(), probe_set(), 0, "").save(path)
    arrays, facts = archive.read(path, "snapshot", 1)
    del arrays[part]
    archive.write(path, "snapshot", 1, arrays, facts)
    with pytest.raises(ValueError, match=rf"lacks a part of a snapshot \(KeyError\('{part}'\)\)"):
        Snapshot.load(path)


def test_a_runs_snapshots_are_listed_in_the_order_of_steps(tmp_path):
    steps = [99_999_999, 0, 100_000_000, 7]  # the names' order is another from nine digits on
    assert list_snapshots(tmp_path) == []
    snapshot_path(tmp_path, 0).parent.mkdir()
    for step in steps:
        snapshot_path(tmp_path, step).touch()
    listed = list_snapshots(str(tmp_path))
    assert [step_of(path) for path in listed] == sorted(steps)
    assert listed == [snapshot_path(tmp_path, step) for step in sorted(steps)]


@pytest.mark.parametrize(
    "name",
    [
        "probe.npz",
        "snapshot-1.npz",
        "snapshot-00000001.npz.123.abcdef.tmp",
        "snapshot-00000001 (copy).npz",
        "snapshot--0000001.npz",
        "snapshot-epoch00001.npz",
        "snapshot-٠٠٠٠٠٠٠١.npz",
        "old-snapshot-00000001.npz",
    ],
)
def test_other_files_are_not_taken_for_snapshots(name, tmp_path):
    folder = snapshot_path(tmp_path, 0).parent
    folder.mkdir()
    (folder / name).touch()
    assert list_snapshots(tmp_path) == []


SPOILED = {
    "fewer images": lambda arrays, facts: arrays.update(targets=arrays["targets"][:1]),
    "scalar predictions": lambda arrays, facts: arrays.update(predictions=np.int64(1)),
    "real predictions": lambda arrays, facts: arrays.update(predictions=arrays["predictions"] * 1.0),
    "whole maps": lambda arrays, facts: arrays.update({"maps/grad_cam": np.ones((2, 2, 2), int)}),
    "maps with channels": lambda arrays, facts: arrays.update({"maps/grad_cam": np.ones((2, 1, 2, 2), "f")}),
    "maps of no size": lambda arrays, facts: arrays.update({"maps/grad_cam": np.ones((2, 0, 2), "f")}),
    "fewer measures": lambda arrays, facts: arrays.update(measures=arrays["measures"][1:]),
    "measures of fewer images": lambda arrays, facts: arrays.update(measures=arrays["measures"][:, :1]),
    "flat measures": lambda arrays, facts: arrays.update(measures=arrays["measures"][0]),
    "a measure named twice": lambda arrays, facts: facts["measures"].__setitem__(0, facts["measures"][1]),
    "a negative step": lambda arrays, facts: facts.update(step=-1),
    "a step beyond 64 bits": lambda arrays, facts: facts.update(step=2**63),
    "a step in words": lambda arrays, facts: facts.update(step="1"),
    "words of numbers": lambda arrays, facts: facts.update(when=7),
    "a layer of numbers": lambda arrays, facts: facts.update(layer=7),
    "a digest of none": lambda arrays, facts: facts.update(digest=None),
    "three activations": lambda arrays, facts: facts.update(relus=[1, 2, 3]),
    "activations in words": lambda arrays, facts: facts.update(relus="12"),
    "maps in words": lambda arrays, facts: facts.update(maps="grad_cam"),
    "purity in words": lambda arrays, facts: facts.update(pure="yes"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_file_whose_parts_do_not_fit_is_refused(case, tmp_path):
    path = tmp_path / "a.npz"
    take(attributions(), probe_set(object=LEFT), 0, "").save(path)
    arrays, facts = archive.read(path, "snapshot", 1)
    SPOILED[case](arrays, facts)
    archive.write(path, "snapshot", 1, arrays, facts)
    with pytest.raises(ValueError, match="a.npz holds no whole snapshot .*; make it anew"):
        Snapshot.load(path)


@pytest.mark.parametrize("pure", [None, True, False])
def test_whether_the_pass_was_pure_is_kept(pure, tmp_path):
    taken = dataclasses.replace(take(attributions(), probe_set(), 0, ""), pure=pure)
    taken.save(tmp_path / "a.npz")
    assert Snapshot.load(tmp_path / "a.npz").pure is pure


def test_it_shows_itself_in_one_line():
    taken = take(attributions(), probe_set(), 3, "after 3 epochs")
    count = len(taken.measures)
    assert (
        repr(taken) == f"Snapshot(after 3 epochs, 2 images, layer 'features.8', grad_cam, {count} measures)"
    )
