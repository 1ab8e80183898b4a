"""What one version of NumPy wrote, another reads: maps are the same to the bit, baselines are accepted."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc

from .helpers.numpy_files import DATA, all_maps, probe_set

OLD, NEW = "numpy_1.23.5", "numpy_1.26.4"


def test_the_maps_of_every_method_are_the_same_to_the_bit():
    with np.load(DATA / OLD / "maps.npz") as old, np.load(DATA / NEW / "maps.npz") as new:
        assert sorted(old.files) == sorted(new.files)
        assert len(old.files) > 10
        for name in old.files:
            assert old[name].dtype == new[name].dtype == np.float32
            assert old[name].tobytes() == new[name].tobytes(), name


@pytest.mark.parametrize("version", [OLD, NEW])
def test_maps_made_here_are_those_that_were_kept(version):
    """Up to rounding, which is another on another processor."""
    made = all_maps()
    with np.load(DATA / version / "maps.npz") as kept:
        for name in kept.files:
            scale = np.abs(kept[name]).max()
            np.testing.assert_allclose(made[name], kept[name], rtol=0, atol=1e-3 * scale, err_msg=name)


@pytest.mark.parametrize(("baseline", "snapshot"), [(OLD, NEW), (NEW, OLD), (OLD, OLD), (NEW, NEW)])
def test_a_baseline_of_one_is_accepted_on_the_other(baseline, snapshot):
    taken, probe = (
        vc.Snapshot.load(DATA / snapshot / "snapshot.npz"),
        vc.ProbeSet.load(DATA / snapshot / "probe.npz"),
    )
    assert probe.digest == probe_set().digest
    for rules in (None, {"grad_cam/spearman": ">= 1", "energy/object": "within 0"}):
        report = vc.compare(taken, vc.Baseline.load(DATA / baseline / "baseline.npz"), rules, probe=probe)
        assert report.passed, report
        assert report.findings
