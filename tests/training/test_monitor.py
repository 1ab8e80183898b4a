"""A snapshot is taken, logged and kept; training is left alone; wrong arguments raise before it."""

from __future__ import annotations

import html
import logging
import shutil
import threading

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots
from vizcallbacks.training.curves import description

from ..helpers.nets import images, random_state, small_net, state_of
from ..helpers.probes import probe_set
from ..helpers.tensorboard_server import tensorboard
from ..helpers.training import train


def read(run):
    accumulator = EventAccumulator(str(run), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


TAGS = ["00_cat", "01_dog_wolf", "02_owl"]
MEASURES = ["score", "probability", "drift", "entropy", "energy_object", "pointing_object", "dead"]


def test_tensorboards_own_server_shows_each_probe_and_epoch(tmp_path):
    net, probe = small_net(hybridize=True), probe_set()
    with vc.AttentionMonitor(probe, tmp_path / "run", per_image_curves=True) as monitor:
        for epoch in range(3):
            snapshot = monitor.snapshot(net, epoch)
            train(net)
    assert monitor.failures == 0

    def loaded(client):
        return len(client.tags("images").get("run", {})) >= 7 and "run" in client.tags("scalars")

    with tensorboard(tmp_path, loaded) as client:
        groups = {"attention_panels": 375, "attention_panels_history": None}
        for group, width in groups.items():
            for tag in TAGS:
                shown = client.images("run", f"{group}/{tag}")
                assert [step for step, _ in shown] == [0, 1, 2]
                for _, data in shown:
                    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                    assert picture.shape[1] == (width or picture.shape[1])
        assert [step for step, _ in client.images("run", "attention/overview_grad_cam")] == [0, 1, 2]
        for name in MEASURES:
            values = snapshot.measures[name.replace("_object", "/object")]
            expected = {f"attention_mean/{name}": values.mean()}
            expected.update({f"attention_per_image/{name}/{tag}": values[i] for i, tag in enumerate(TAGS)})
            for tag, value in expected.items():
                points = dict(client.scalars("run", tag))
                assert set(points) == ({1, 2} if name == "drift" else {0, 1, 2}), tag
                assert points[2] == pytest.approx(value, rel=1e-5)
                told = client.tags("scalars")["run"][tag]["description"]
                assert description(name.replace("_object", "/object")).rstrip(".") in html.unescape(told)


def test_each_snapshot_goes_to_disk_with_its_raw_maps(tmp_path):
    net, probe = small_net(), probe_set()
    with vc.AttentionMonitor(probe, tmp_path) as monitor:
        first = monitor.snapshot(net, 0)
        train(net)
        second = monitor.snapshot(net, 1)
    paths = list_snapshots(tmp_path)
    assert len(paths) == 2
    for path, taken in zip(paths, (first, second)):
        loaded = vc.Snapshot.load(path)
        np.testing.assert_array_equal(loaded.maps["grad_cam"], taken.maps["grad_cam"])
        assert (loaded.step, loaded.layer, loaded.digest) == (taken.step, "4", probe.digest)
    expected = vc.explain(net, probe, "grad_cam", targets="label")["grad_cam"]
    np.testing.assert_array_equal(second.maps["grad_cam"], expected)
    assert vc.ProbeSet.load(tmp_path / "attention" / "probe.npz").digest == probe.digest


def test_a_snapshot_changes_nothing_in_the_training(tmp_path):
    def run(monitor):
        mx.random.seed(1)
        net = small_net(dropout=0.5, hybridize=True)
        for epoch in range(3):
            train(net, steps=2, seed=epoch)
            if monitor:
                monitor.snapshot(net, epoch)
        state = state_of(net)
        arrays = [value for key, value in sorted(state["arrays"].items(), key=lambda item: item[0][-20:])]
        return sorted(map(str, arrays)), random_state()

    plain = run(None)
    _restart_streams()
    with vc.AttentionMonitor(probe_set(), tmp_path, on_error="raise") as monitor:
        watched = run(monitor)
    assert plain == watched


def _restart_streams():
    import random

    random.seed(0)
    np.random.seed(0)


def test_the_users_own_summary_writer_is_used_and_left_open(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        with vc.AttentionMonitor(probe_set(), writer) as monitor:
            monitor.snapshot(small_net(), 4)
        writer.add_scalar("mine", 1.0, 4)
    found = read(tmp_path)
    assert "mine" in found.Tags()["scalars"]
    assert "attention_panels/00_cat" in found.Tags()["images"]
    assert len(list_snapshots(tmp_path)) == 1


def test_a_monitor_started_again_goes_on_and_replaces_later_steps(tmp_path):
    net, probe = small_net(), probe_set()
    with vc.AttentionMonitor(probe, tmp_path) as monitor:
        for epoch in range(4):
            kept = monitor.snapshot(net, epoch)
            train(net)
    with vc.AttentionMonitor(probe, tmp_path) as monitor:
        again = monitor.snapshot(net, 2)
    assert [path.name for path in list_snapshots(tmp_path)] == [f"snapshot-0000000{i}.npz" for i in range(3)]
    assert "drift" in again.measures
    assert np.isfinite(kept.measures["drift"]).all()


def test_another_probe_set_in_the_same_folder_is_refused(tmp_path):
    with vc.AttentionMonitor(probe_set(3), tmp_path) as monitor:
        monitor.snapshot(small_net(), 0)
    with (
        vc.AttentionMonitor(probe_set(2), tmp_path) as monitor,
        pytest.raises(ValueError, match="another probe set.*give another logdir"),
    ):
        monitor.snapshot(small_net(), 0)


def test_a_failing_snapshot_warns_once_and_later_ones_go_on(tmp_path, caplog):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path) as monitor:
        monitor.snapshot(net, 0)
        working = net._children["8"]
        net._children["8"] = gluon.nn.Dense(4, in_units=5)
        net[8].initialize()
        before = state_of(net)
        with caplog.at_level(logging.WARNING):
            assert monitor.snapshot(net, 1) is None
            assert monitor.snapshot(net, 2) is None
        assert state_of(net) == before
        net._children["8"] = working
        assert monitor.snapshot(net, 3) is not None
    assert monitor.failures == 2
    assert len(caplog.records) == 1
    assert "step 1 failed" in caplog.text


def test_a_failing_snapshot_raises_if_asked_to(tmp_path):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path, on_error="raise") as monitor:
        monitor.snapshot(net, 0)
        net._children["8"] = gluon.nn.Dense(4, in_units=5)
        net[8].initialize()
        with pytest.raises(ValueError, match="net failed"):
            monitor.snapshot(net, 1)


def test_nan_weights_are_logged_as_undefined(tmp_path, caplog):
    net, probe = small_net(), probe_set()
    with vc.AttentionMonitor(probe, tmp_path, on_error="raise") as monitor:
        monitor.snapshot(net, 0)
        net[8].weight.set_data(net[8].weight.data() * np.nan)
        taken = monitor.snapshot(net, 1)
    assert monitor.failures == 0
    assert np.isnan(taken.measures["entropy"]).all()
    found = read(tmp_path)
    assert [event.step for event in found.Images("attention_panels/00_cat")] == [0, 1]
    assert [event.step for event in found.Scalars("attention_mean/entropy")] == [0]


def test_the_folder_removed_in_mid_run_costs_one_warning(tmp_path, caplog):
    net, run = small_net(), tmp_path / "run"
    with vc.AttentionMonitor(probe_set(), run) as monitor, caplog.at_level(logging.WARNING):
        monitor.snapshot(net, 0)
        assert monitor.flush(30)
        shutil.rmtree(run)
        for step in range(1, 4):
            assert monitor.snapshot(net, step) is not None
    assert monitor.failures > 0
    assert len(caplog.records) == 1


def test_a_closed_monitor_says_so(tmp_path):
    with vc.AttentionMonitor(probe_set(), tmp_path) as monitor:
        monitor.snapshot(small_net(), 0)
    monitor.close()
    with pytest.raises(RuntimeError, match="closed"):
        monitor.snapshot(small_net(), 1)


def _file_in_the_way(tmp):
    (tmp / "file").write_text("")
    return tmp / "file"


WRONG = {
    "no probe set": (lambda tmp: {"probe": images()}, TypeError, "must be a ProbeSet, got ndarray"),
    "labels": (lambda tmp: {"probe": vc.ProbeSet(images())}, ValueError, "targets='label' needs labels"),
    "method": (lambda tmp: {"methods": ("gradcam",)}, ValueError, "'gradcam'"),
    "on_error": (lambda tmp: {"on_error": "ignore"}, ValueError, "'warn', 'raise', got 'ignore'"),
    "format": (lambda tmp: {"image_format": "gif"}, ValueError, "'jpeg', 'png', got 'gif'"),
    "targets": (lambda tmp: {"targets": [0, 1]}, ValueError, "one for each of the 3"),
    "batch size": (lambda tmp: {"batch_size": 0}, ValueError, "batch_size.*got 0"),
    "show": (lambda tmp: {"show": 0}, ValueError, "show.*got 0"),
    "layers": (lambda tmp: {"layer": ["0", "4"]}, ValueError, "one Conv2D"),
    "a file for a folder": (lambda tmp: {"logdir": _file_in_the_way(tmp)}, ValueError, "no folder"),
    "no path": (lambda tmp: {"logdir": 3}, TypeError, "path or a SummaryWriter, got int"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_raise_when_the_monitor_is_made(case, tmp_path):
    make, kind, message = WRONG[case]
    before = sorted(tmp_path.iterdir())
    arguments = {"probe": probe_set(), "logdir": tmp_path / "run", **make(tmp_path)}
    with pytest.raises(kind, match=message):
        vc.AttentionMonitor(**arguments)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == before


WRONG_FOR_THE_NET = {
    "layer": ({"layer": "conv9"}, "its Conv2D layers are"),
    "target": ({"targets": 7}, "number of classes, 4, got 7"),
}


@pytest.mark.parametrize("case", WRONG_FOR_THE_NET)
def test_arguments_wrong_for_the_net_raise_at_its_start(case, tmp_path):
    arguments, message = WRONG_FOR_THE_NET[case]
    monitor = vc.AttentionMonitor(probe_set(), tmp_path / "run", **arguments)
    with pytest.raises(ValueError, match=message):
        monitor.start(small_net())
    assert not (tmp_path / "run").exists()


def test_labels_beyond_the_nets_classes_raise_at_its_start(tmp_path):
    probe = vc.ProbeSet(images(3), labels=[0, 1, 9])
    with pytest.raises(ValueError, match="number of classes, 4, got 9"):
        vc.AttentionMonitor(probe, tmp_path).start(small_net())


@pytest.mark.parametrize("step", [-1, 1.5, True, "3", None])
def test_a_step_must_be_a_count(step, tmp_path):
    with pytest.raises(ValueError, match="step must be an int"):
        vc.AttentionMonitor(probe_set(), tmp_path).snapshot(small_net(), step)


def test_the_log_thread_is_not_needed_to_take_a_snapshot(tmp_path):
    """The training thread hands over jobs; it neither draws nor writes."""
    monitor = vc.AttentionMonitor(probe_set(), tmp_path)
    net = small_net()
    monitor.start(net)
    release = threading.Event()
    monitor._journal.log.submit(lambda sink: release.wait(60))
    assert monitor.snapshot(net, 0) is not None
    assert list_snapshots(tmp_path) == []
    release.set()
    monitor.close()
    assert len(list_snapshots(tmp_path)) == 1


class Counting(gluon.nn.Sequential):
    """Keeps state in `forward`: counts its calls, and a moving mean that it writes into a parameter."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.mean = self.params.get("mean", shape=(1,), init="zeros", grad_req="null")
        self.add(gluon.nn.Conv2D(6, 3, padding=1, in_channels=3, activation="relu"))

    def forward(self, x):
        self.calls += 1
        y = super().forward(x)
        self.mean.set_data(0.9 * self.mean.data() + 0.1 * y.mean().reshape(1))
        return y


def test_blocks_that_keep_state_in_forward_are_named_once_and_snapshots_tell(tmp_path, caplog):
    net = gluon.nn.Sequential()
    net.add(Counting(), gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(4, in_units=6))
    net.initialize()
    net(mx.nd.array(images(2)))
    before = net[0].calls, net[0].mean.data().asnumpy().tobytes()
    with vc.AttentionMonitor(probe_set(), tmp_path, on_error="raise") as monitor:
        taken = [monitor.snapshot(net, step) for step in range(3)]
    assert (net[0].calls, net[0].mean.data().asnumpy().tobytes()) == before
    assert [snapshot.pure for snapshot in taken] == [False] * 3
    assert [vc.Snapshot.load(path).pure for path in list_snapshots(tmp_path)] == [False] * 3
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage().startswith("block '0' writes state in forward; it was put back")


def test_ordinary_nets_are_pure_which_nobody_is_told(tmp_path, caplog):
    for hybridize in (False, True):
        with vc.AttentionMonitor(probe_set(), tmp_path / str(hybridize), on_error="raise") as monitor:
            assert monitor.snapshot(small_net(hybridize=hybridize), 0).pure is True
    assert caplog.records == []
