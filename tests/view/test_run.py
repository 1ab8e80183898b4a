"""A run's folder, read back."""

from pathlib import Path

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import snapshot_path
from vizcallbacks.view.run import find_runs, open_runs

from ..helpers.checked import probe_set
from ..helpers.runs import write_run

PROBE = probe_set(6)


def test_snapshots_probe_and_measures_are_those_that_were_written(tmp_path):
    run = vc.Run(write_run(tmp_path / "a", PROBE, "tag", steps=[0, 2, 5]))
    assert (run.name, run.steps, len(run)) == ("a", (0, 2, 5), 3)
    assert run.probe.digest == PROBE.digest
    assert run.snapshot().step == 5
    assert run.snapshot(2).when == "epoch 2"
    assert [snapshot.step for snapshot in run] == [0, 2, 5]
    assert run.measures["energy/tag"].shape == (3, 6)
    np.testing.assert_array_equal(run.measures["energy/tag"][1], run.snapshot(2).measures["energy/tag"])
    assert repr(run) == f"Run({str(tmp_path / 'a')!r}: 3 snapshots, steps 0 to 5)"


def test_a_measure_that_a_snapshot_lacks_is_undefined_there(tmp_path):
    run = vc.Run(write_run(tmp_path, PROBE, "tag", steps=[0, 1]))
    snapshot = run.snapshot(1)
    measures = {**snapshot.measures, "drift": np.full(6, 0.5)}
    type(snapshot)(**{**vars(snapshot), "measures": measures}).save(snapshot_path(tmp_path, 1))
    assert np.isnan(run.measures["drift"][0]).all()
    assert (run.measures["drift"][1] == 0.5).all()


def test_new_snapshots_are_seen(tmp_path):
    run = vc.Run(write_run(tmp_path, PROBE, "tag", steps=[0, 1]))
    snapshot_path(tmp_path, 1).rename(snapshot_path(tmp_path, 7))
    assert run.steps == (0, 7)


def test_what_cannot_be_read_is_left_out_and_told(tmp_path):
    run = vc.Run(write_run(tmp_path, PROBE, "tag", steps=[0, 1, 2]))
    snapshot_path(tmp_path, 1).write_bytes(b"half")
    other = vc.Run(write_run(tmp_path / "other", probe_set(6, seed=1), "tag", steps=[2]))
    other.snapshot(2).save(snapshot_path(tmp_path, 2))
    assert [snapshot.step for snapshot in run] == [0]
    assert len(run.unreadable) == 2
    assert "is of another probe set than probe.npz" in run.unreadable[1]


@pytest.mark.parametrize("step", [3, -1])
def test_a_step_that_is_not_there_gets_the_list(tmp_path, step):
    run = vc.Run(write_run(tmp_path, PROBE, "tag", steps=[0, 2]))
    with pytest.raises(ValueError, match=f"no snapshot of step {step}; its steps are 0, 2"):
        run.snapshot(step)


def test_a_folder_without_snapshots_is_refused(tmp_path):
    for look in (vc.Run, lambda path: open_runs([path])):
        with pytest.raises(ValueError, match="holds no attention snapshot; give the folder of a run"):
            look(tmp_path)
    with pytest.raises(ValueError, match="at least one run's folder, got none"):
        open_runs([])


def test_runs_are_found_below_a_folder_and_links_are_not_followed(tmp_path):
    for place in ("b", "a/deep", "."):
        write_run(tmp_path / place, PROBE, "tag", steps=[0])
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "empty" / "attention").mkdir(parents=True)
    assert find_runs(tmp_path) == {
        ".": tmp_path,
        "a/deep": tmp_path / "a" / "deep",
        "b": tmp_path / "b",
    }


def test_runs_of_one_name_are_told_apart_by_their_parents(tmp_path):
    for place in ("x/seed", "y/seed"):
        write_run(tmp_path / place, PROBE, "tag", steps=[0])
    assert list(open_runs([tmp_path / "x", tmp_path / "y"])) == ["x/seed", "y/seed"]
    assert list(open_runs([tmp_path / "x", tmp_path / "x" / "seed"])) == ["seed"]


def test_reading_writes_nothing(tmp_path):
    run = vc.Run(write_run(tmp_path, PROBE, "tag"))
    before = sorted(Path(tmp_path).rglob("*"))
    assert run.measures
    assert run._repr_html_()
    assert sorted(Path(tmp_path).rglob("*")) == before
