"""A disk that is gone for a while costs no snapshot; real folders that are moved away and put back."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots, step_of
from vizcallbacks.training import saving
from vizcallbacks.training.run_folder import RunFolder
from vizcallbacks.training.saving import Saving

from ..helpers.checked import ON_OBJECT, snapshot
from ..helpers.checked import probe_set as checked_probe_set
from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from ..helpers.training import train

PROBE = checked_probe_set()


def stored(run):
    return [step_of(path) for path in list_snapshots(run)]


def test_snapshots_taken_while_the_disk_is_gone_are_written_when_it_is_back(tmp_path, caplog):
    net, taken = small_net(), []
    with vc.AttentionMonitor(probe_set(), tmp_path / "run", show=1) as monitor:
        taken.append(monitor.snapshot(net, 0))
        assert monitor.flush(60)
        os.rename(tmp_path / "run" / "attention", tmp_path / "away")
        for step in (1, 2, 3):
            train(net)
            taken.append(monitor.snapshot(net, step))
        monitor.flush(60)
        assert stored(tmp_path / "run") == []
        os.rename(tmp_path / "away", tmp_path / "run" / "attention")
        taken.append(monitor.snapshot(net, 4))
    assert stored(tmp_path / "run") == [0, 1, 2, 3, 4]
    for path, one in zip(list_snapshots(tmp_path / "run"), taken):
        np.testing.assert_array_equal(vc.Snapshot.load(path).maps["grad_cam"], one.maps["grad_cam"])
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_the_last_ones_are_tried_once_more_at_the_end(tmp_path):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path / "run", show=1) as monitor:
        monitor.snapshot(net, 0)
        assert monitor.flush(60)
        os.rename(tmp_path / "run" / "attention", tmp_path / "away")
        monitor.snapshot(net, 1)
        monitor.flush(60)
        os.rename(tmp_path / "away", tmp_path / "run" / "attention")
    assert stored(tmp_path / "run") == [0, 1]


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run", "", logging.getLogger())
    list(made.open(PROBE, 0))
    yield made
    made.close()


def take(step):
    return snapshot(ON_OBJECT, PROBE, step=step)


def test_of_more_than_memory_is_meant_for_the_newest_wait(folder, tmp_path, monkeypatch):
    size = saving._size(take(0))
    monkeypatch.setattr(saving, "KEPT_BYTES", 3 * size)
    made = Saving(folder)
    os.rename(folder.path / "attention", tmp_path / "away")
    for step in range(6):
        with pytest.raises(OSError, match="No such file"):
            made.job(take(step), [])(None)
    os.rename(tmp_path / "away", folder.path / "attention")
    made.save_waiting()
    assert stored(folder.path) == [3, 4, 5]


def test_a_job_that_was_dropped_is_made_up_for_by_the_next(folder, monkeypatch):
    monkeypatch.setattr(saving, "WAIT_SECONDS", 0.01)
    made = Saving(folder)
    made.job(take(0), [])  # the queue was full: it never runs
    made.job(take(1), [])(None)
    assert stored(folder.path) == [0, 1]


def test_steps_given_up_go_when_the_newest_is_saved(folder):
    made = Saving(folder)
    for step in range(3):
        made.job(take(step), [1] if step == 2 else [])(None)
    assert stored(folder.path) == [0, 2]
