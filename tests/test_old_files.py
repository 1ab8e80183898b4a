"""Files that version 0.1.0 wrote still load: probe set, run folder with its event file, baseline."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots, read_run, step_of

from .helpers.nets import images, small_net

OLD = Path(__file__).parent / "data" / "version_0_1_0"


def test_a_probe_set_of_then_loads_and_is_the_same_as_one_made_now():
    probe = vc.ProbeSet.load(OLD / "probe.npz")
    masks = {"object": np.zeros((4, 16, 16), bool)}
    masks["object"][:, 4:12, 4:12] = True
    now = vc.ProbeSet(
        images(4, size=16), labels=np.arange(4), class_names=["cat", "dog", "owl", "fox"], masks=masks
    )
    assert probe.digest == now.digest


def test_a_runs_snapshots_of_then_load():
    assert [step_of(path) for path in list_snapshots(OLD / "run")] == [0, 1]
    snapshot, probe = read_run(str(OLD / "run"))
    assert (snapshot.step, len(probe)) == (1, 4)
    assert snapshot.maps["grad_cam"].shape == (4, 8, 8)


@pytest.mark.parametrize("step", [0, 1])
def test_a_baseline_of_then_checks_snapshots_of_then(step):
    snapshot, probe = read_run(str(OLD / "run"), step)
    report = vc.compare(snapshot, vc.Baseline.load(OLD / "baseline.npz"), probe=probe)
    assert report.passed
    assert report.findings


def test_a_run_of_then_goes_on_now_under_new_names_and_says_so_once(tmp_path, caplog):
    shutil.copytree(OLD / "run", tmp_path / "run")
    (old,) = (tmp_path / "run").glob("*tfevents*")
    before = old.read_bytes()
    probe = vc.ProbeSet.load(OLD / "probe.npz")
    for step in (2, 3):
        with vc.AttentionMonitor(probe, tmp_path / "run", on_error="raise") as monitor:
            monitor.snapshot(small_net(), step=step)
    assert [step_of(path) for path in list_snapshots(tmp_path / "run")] == [0, 1, 2, 3]
    assert old.read_bytes() == before
    new = EventAccumulator(str(tmp_path / "run"), size_guidance={"images": 0, "scalars": 0})
    new.Reload()
    assert new.Scalars("attention_mean/score")[-1].step == 3
    assert new.Scalars("attention_score/_mean")[-1].step == 1
    said = [
        record.getMessage() for record in caplog.records if "goes on under new names" in record.getMessage()
    ]
    assert len(said) == 1
    assert "attention_mean/" in said[0]


def test_tensorboard_reads_the_tags_of_then():
    accumulator = EventAccumulator(str(OLD / "run"), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    accumulator.Reload()
    assert "attention/03_fox" in accumulator.Tags()["images"]
    assert [event.step for event in accumulator.Scalars("attention_drift/_mean")] == [1]
