"""Baselines: what is accepted, how much runs differ without a fault, and files that may be anybody's."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import vizcallbacks as vc
from vizcallbacks import archive
from vizcallbacks.regression.baseline_file import SCHEMA
from vizcallbacks.regression.noise import margin, mean_of_runs, usual_variance
from vizcallbacks.regression.quantities import tolerance_of

from ..helpers.checked import ON_OBJECT, ON_TAG, probe_set, snapshot
from ..helpers.maps import PROPERTIES, random_maps


def three_runs(probe):
    return [snapshot(ON_OBJECT + 0.3 * random_maps(4, 4, 4, seed=seed), probe, step=9) for seed in range(3)]


# What is accepted


def test_a_baseline_holds_all_that_is_compared(tmp_path):
    probe = probe_set()
    runs = three_runs(probe)
    made = vc.Baseline.from_snapshots(runs, probe, ["a", "b", "c"])
    made.save(tmp_path / "b.npz")
    for baseline in (made, vc.Baseline.load(tmp_path / "b.npz")):
        assert len(baseline) == 3
        np.testing.assert_array_equal(
            baseline.maps["grad_cam"], np.stack([run.maps["grad_cam"] for run in runs])
        )
        np.testing.assert_array_equal(baseline.predictions, [probe.labels] * 3)
        np.testing.assert_array_equal(baseline.targets, [probe.labels] * 3)
        for name, values in runs[1].measures.items():
            np.testing.assert_array_equal(baseline.measures[name][1], values)
        assert baseline.layer == "features.4"
        assert baseline.digest == probe.digest
        assert (baseline.names, baseline.class_names) == (probe.names, probe.class_names)
        assert baseline.sources == ("a", "b", "c")
        assert baseline.versions["vizcallbacks"] == vc.__version__
        assert set(baseline.versions) == {"vizcallbacks", "mxnet", "numpy", "python"}
    assert os.listdir(tmp_path) == ["b.npz"]


def test_a_baseline_shows_itself_in_one_line():
    shown = repr(vc.Baseline.from_snapshots(three_runs(probe_set())))
    assert shown == "Baseline(3 runs, 4 images, layer 'features.4', grad_cam, 10 measures)"


def test_one_snapshot_is_enough():
    probe = probe_set()
    baseline = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, probe))
    assert len(baseline) == 1
    assert baseline.names[2] == "image_002"
    assert baseline.sources == ("epoch 1",)


def test_drift_is_left_out_as_it_is_against_the_last_snapshot_of_a_run():
    probe = probe_set()
    assert "drift" not in vc.Baseline.from_snapshots(snapshot(ON_OBJECT, probe, drift=np.ones(4))).measures


def test_nothing_cannot_be_accepted():
    with pytest.raises(ValueError, match="at least one snapshot, got none"):
        vc.Baseline.from_snapshots([])
    with pytest.raises(ValueError, match="at least one run, got none"):
        vc.Baseline.from_runs([])
    with pytest.raises(ValueError, match="needs maps of the CAM family"):
        vc.Baseline.from_snapshots(snapshot({}, probe_set()))


def test_a_folder_without_snapshots_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=f"{tmp_path.name} holds no attention snapshot; give the folder that the training"
    ):
        vc.Baseline.from_runs(tmp_path)


PROBE = probe_set()
OTHERS = {
    "images": (snapshot(ON_OBJECT, probe_set(seed=1)), "probe sets differ"),
    "layer": (
        snapshot(ON_OBJECT, PROBE, layer="features.0"),
        "is of layer 'features.4', this is of layer 'features.0'",
    ),
    "no map": (snapshot({}, PROBE), "maps of 'grad_cam' of shape \\(4, 4\\), these are missing"),
    "size": (snapshot(random_maps(4, 5, 5), PROBE), "of shape \\(4, 4\\), these are \\(5, 5\\)"),
    "targets": (
        snapshot(ON_OBJECT, PROBE, targets=[0, 1, 2, 2]),
        "the targets differ for 1 of 4 images, 'picture 3'",
    ),
    "first method": (
        snapshot({"xgrad_cam": ON_OBJECT, "grad_cam": ON_OBJECT}, PROBE),
        "measures are of 'grad_cam', these of 'xgrad_cam'",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_not_of_the_same_kind_is_an_error_with_the_reason(case):
    other, message = OTHERS[case]
    first = snapshot(ON_OBJECT, PROBE)
    with pytest.raises(vc.NotComparableError, match=message):
        vc.compare(other, vc.Baseline.from_snapshots(first, PROBE))
    with pytest.raises(vc.NotComparableError, match=message.replace("'picture 3'", "")):
        vc.Baseline.from_snapshots([first, other])


def test_predictions_may_differ_if_predictions_are_explained():
    before = snapshot(ON_OBJECT, PROBE)
    now = snapshot(ON_OBJECT, PROBE, predictions=[1, 1, 2, 0], targets=[1, 1, 2, 0])
    report = vc.compare(now, vc.Baseline.from_snapshots(before), {"grad_cam/spearman": ">= 0.9 for 75%"})
    assert report.passed
    assert report.flips == (0,)
    assert np.isnan(report.findings[0].values[0])  # the map is another class's
    assert report.findings[0].failing == (0,)


def test_the_probe_set_given_must_be_theirs():
    with pytest.raises(vc.NotComparableError, match="probe sets differ"):
        vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE), probe_set(seed=1))


# Noise


def test_the_margin_of_one_run_is_three_of_the_deviations_given():
    np.testing.assert_allclose(margin(np.array([[0.3, np.nan]]), 0.1**2), [0.3, 0.3])


def test_the_margin_of_three_runs_by_hand():
    """s^2 = 0.01, two degrees of freedom; the variance given stands for two more runs."""
    expected = 3 * np.sqrt((2 * 0.0004 + 2 * 0.01) / 4)
    np.testing.assert_allclose(margin(np.array([[0.4], [0.5], [0.6]]), 0.0004), [expected])


def test_the_margin_of_many_runs_is_three_standard_deviations():
    values = np.random.default_rng(0).normal(size=(4000, 1))
    np.testing.assert_allclose(margin(values, 0.01), 3 * values.std(), rtol=1e-3)


def test_the_usual_variance_of_two_runs_is_that_of_all_images():
    """One image each differs by 0.2 and 0.4: squares 0.02 and 0.08, one degree of freedom each, and two more."""
    values = np.array([[0.1, 0.5, np.nan], [0.3, 0.1, 0.7]])
    assert usual_variance(values, 0.3) == pytest.approx((2 * 0.01 + 0.02 + 0.08) / 4)
    assert usual_variance(values[:1], 0.3) == pytest.approx(0.01)
    many = np.random.default_rng(0).normal(size=(2, 5000))
    assert usual_variance(many, 0.3) == pytest.approx(1, rel=0.05)


@PROPERTIES
@given(
    values=hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1, 1))
)
def test_the_margin_does_not_depend_on_the_order_of_runs_and_is_never_zero(values):
    found = margin(values, 0.1)
    np.testing.assert_allclose(margin(values[::-1], 0.1), found)
    assert (found > 0).all()
    assert (margin(np.vstack([values, mean_of_runs(values)]), 0.1) <= found + 1e-12).all()


def test_the_margins_of_one_run_are_the_tolerance_and_twice_that():
    mean, images = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE)).margin("energy/tag")
    assert mean == pytest.approx(tolerance_of("energy/tag"))
    np.testing.assert_allclose(images, [2 * tolerance_of("energy/tag")] * 4)


def test_the_mean_over_runs_leaves_undefined_ones_out():
    found = mean_of_runs(np.array([[1, np.nan, np.nan], [3, 5, np.nan]]))
    np.testing.assert_array_equal(found, [2, 5, np.nan])


def test_runs_are_compared_in_pairs():
    runs = three_runs(PROBE)
    found = vc.Baseline.from_snapshots(runs).values("grad_cam/pearson")
    for n in range(4):
        alike = np.corrcoef([run.maps["grad_cam"][n].ravel() for run in runs])
        np.testing.assert_allclose(found[:, n], [alike[1, 0], alike[2, 0], alike[2, 1]], rtol=1e-6)


def test_two_runs_halve_the_tolerance_of_their_similarity():
    mean, images = vc.Baseline.from_snapshots(three_runs(PROBE)[:2]).margin("grad_cam/spearman")
    assert mean == pytest.approx(tolerance_of("grad_cam/spearman") / 2)
    np.testing.assert_allclose(images, [tolerance_of("grad_cam/spearman")] * 4)


def test_a_single_run_is_compared_with_itself():
    maps = ON_OBJECT.copy()
    maps[2] = 0
    found = vc.Baseline.from_snapshots(snapshot(maps, PROBE)).values("grad_cam/spearman")
    np.testing.assert_allclose(found, [[1, 1, np.nan, 1]])


def test_more_noise_gives_wider_margins():
    probe = probe_set()
    base = random_maps(4, 4, 4, seed=9)
    quiet, loud = (
        vc.Baseline.from_snapshots(
            [snapshot(base + size * random_maps(4, 4, 4, seed=seed), probe) for seed in range(6)]
        )
        for size in (0.01, 3)
    )
    for name in ("energy/tag", "grad_cam/spearman"):
        assert quiet.margin(name)[0] < loud.margin(name)[0]
        assert (quiet.margin(name)[1] < loud.margin(name)[1]).all()


def test_default_thresholds_are_on_rank_correlation_masks_and_dead_maps():
    assert vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE)).thresholds() == {
        "grad_cam/spearman": ["within noise", "within noise for 80%"],
        "energy/object": ["within noise", "within noise for 80%"],
        "energy/tag": ["within noise", "within noise for 80%"],
        "dead": ["within noise"],
    }


# Files


@pytest.fixture
def file(tmp_path):
    vc.Baseline.from_snapshots(three_runs(PROBE), PROBE).save(tmp_path / "baseline.npz")
    return tmp_path / "baseline.npz"


def test_every_truncated_file_is_refused(file):
    data = file.read_bytes()
    for length in range(0, len(data), 97):
        file.write_bytes(data[:length])
        with pytest.raises(ValueError, match="no readable vizcallbacks baseline file"):
            vc.Baseline.load(file)


def test_flipped_bytes_are_noticed_or_harmless(file):
    data, whole = file.read_bytes(), vc.Baseline.load(file)
    random = np.random.default_rng(0)
    refused = 0
    for place in random.choice(len(data), 400, replace=False):
        flipped = bytearray(data)
        flipped[place] ^= int(random.integers(1, 256))
        file.write_bytes(flipped)
        try:
            found = vc.Baseline.load(file)
        except ValueError:
            refused += 1
        else:  # the byte says nothing, such as a date's
            assert found.maps["grad_cam"].tobytes() == whole.maps["grad_cam"].tobytes()
            assert found.sources == whole.sources
    assert refused > 200


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + bytes(18), bytes(4096)])
def test_files_that_are_no_archives_are_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or was written by something else"):
        vc.Baseline.load(file)


def test_foreign_and_missing_files_are_named(file):
    np.savez(file, maps=np.ones(3))
    with pytest.raises(ValueError, match="no readable vizcallbacks baseline file"):
        vc.Baseline.load(file)
    snapshot(ON_OBJECT, PROBE).save(file)
    with pytest.raises(ValueError, match="baseline file, but is a vizcallbacks snapshot file"):
        vc.Baseline.load(file)
    with pytest.raises(FileNotFoundError):
        vc.Baseline.load(file.parent / "none.npz")


def test_objects_in_a_file_are_never_unpickled(file, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    trap = np.array([Trap()], object)
    np.savez(file, targets=trap, facts=trap)
    with pytest.raises(ValueError, match="no readable"):
        vc.Baseline.load(file)
    member = io.BytesIO()
    np.save(member, trap)
    replaced(file, "maps/grad_cam.npy", member.getvalue())
    with pytest.raises(ValueError, match="must be a plain array"):
        vc.Baseline.load(file)
    assert not (tmp_path / "trapped").exists()


def test_a_huge_header_takes_no_memory(file):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117) + b"\n"
    replaced(
        file, "targets.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    )
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no readable"):
            vc.Baseline.load(file)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def replaced(file, name, data):
    """The archive with one member's bytes exchanged."""
    with zipfile.ZipFile(file) as whole:
        members = {member: whole.read(member) for member in whole.namelist()}
    with zipfile.ZipFile(file, "w") as made:
        for member, old in members.items():
            made.writestr(member, data if member == name else old)


ARRAYS = {
    "other runs": ("targets", lambda a: a[:2]),
    "other images": ("predictions", lambda a: a[:, :3]),
    "no runs": ("targets", lambda a: a[:0]),
    "flat targets": ("targets", lambda a: a[0]),
    "float targets": ("targets", lambda a: a.astype(float)),
    "maps of another shape": ("maps/grad_cam", lambda a: a[:, :, 0]),
    "maps of another type": ("maps/grad_cam", lambda a: a.astype(str)),
    "too few measures": ("measures", lambda a: a[:3]),
    "measures of another type": ("measures", lambda a: a.astype(int)),
    "a missing array": ("targets", None),
}
FACTS = {
    "no facts": {"layer": ...},
    "maps that are none": {"maps": []},
    "a map that is missing": {"maps": ["grad_cam", "saliency"]},
    "names of other types": {"names": [1, 2, 3, 4]},
    "too few names": {"names": ["a"]},
    "names that are none": {"names": None},
    "sources that are none": {"sources": 3},
    "versions that are none": {"versions": "1.0"},
    "a digest that is none": {"digest": ["a"]},
    "lists for measures": {"measures": [["a"]]},
}


@pytest.mark.parametrize("case", [*ARRAYS, *FACTS])
def test_parts_that_do_not_fit_together_are_refused(case, file):
    arrays, facts = archive.read(file, "baseline", SCHEMA)
    if case in ARRAYS:
        name, change = ARRAYS[case]
        arrays = {key: change(a) if key == name else a for key, a in arrays.items() if key != name or change}
    else:
        facts = {key: value for key, value in {**facts, **FACTS[case]}.items() if value is not ...}
    json.dumps(facts)
    archive.write(file, "baseline", SCHEMA, arrays, facts)
    with pytest.raises(ValueError, match="holds no whole baseline|no readable"):
        vc.Baseline.load(file)


def test_a_later_schema_is_named(file):
    arrays, facts = archive.read(file, "baseline", SCHEMA)
    archive.write(file, "baseline", SCHEMA + 1, arrays, facts)
    with pytest.raises(ValueError, match=f"has schema {SCHEMA + 1}, this vizcallbacks reads schema {SCHEMA}"):
        vc.Baseline.load(file)


def test_a_baseline_on_the_tag_is_not_judged_by_one_on_the_object():
    """The two kinds of map that all of these tests stand on do differ."""
    baseline = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE), PROBE)
    assert vc.compare(snapshot(ON_OBJECT, PROBE), baseline).passed
    assert not vc.compare(snapshot(ON_TAG, PROBE), baseline).passed
