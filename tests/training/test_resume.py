"""A resumed training goes on where it was: the same steps, sheets and drift as one that was never interrupted."""

from __future__ import annotations

import logging
import os

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon
from mxnet.gluon.contrib.estimator import CheckpointHandler, Estimator

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots
from vizcallbacks.training.concepts import concepts_path, load_concepts
from vizcallbacks.training.fit_locals import Trained, find_trained

from ..helpers import events
from ..helpers.nets import images, small_net
from ..helpers.probes import probe_set
from ..helpers.tensorboard_server import tensorboard
from ..helpers.training import train

BATCHES = 3  # in an epoch


def fit(run, checkpoints, epochs=None, batches=None, seed=0, resume=True, **options):
    """As a script that is started again and again: everything new but the folders; returns the handler."""
    mx.random.seed(seed)  # another net each time: what is the same comes from the checkpoint
    net = small_net(hybridize=True)
    estimator = Estimator(
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        train_metrics=mx.metric.Accuracy(),
        trainer=gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9}),
    )
    estimator.logger.setLevel(logging.ERROR)
    data = gluon.data.ArrayDataset(images(12, seed=3), np.arange(12, dtype="float32") % 4)
    handler = vc.AttentionHandler(probe_set(), run, image_format="png", **options)
    period = {"epoch_period": 1} if epochs else {"epoch_period": None, "batch_period": 2}
    checkpoint = CheckpointHandler(str(checkpoints), resume_from_checkpoint=resume, **period)
    estimator.fit(
        gluon.data.DataLoader(data, 12 // BATCHES),
        epochs=epochs,
        batches=batches,
        event_handlers=[handler, checkpoint],
    )
    return handler


def last_pictures(run):
    """Tag -> the bytes of its newest picture, as TensorBoard shows it."""
    return {tag: shown[-1][1] for tag, shown in events.pictures(run).items()}


def snapshots(run):
    return [vc.Snapshot.load(path) for path in list_snapshots(run)]


def assert_same(run, other):
    """Snapshots to the bit, with drift and words; the last sheets pixel by pixel."""
    assert len(snapshots(run)) == len(snapshots(other))
    for one, two in zip(snapshots(run), snapshots(other)):
        assert (one.step, one.when) == (two.step, two.when)
        np.testing.assert_array_equal(one.maps["grad_cam"], two.maps["grad_cam"])
        assert one.measures.keys() == two.measures.keys()
        for name in one.measures:
            np.testing.assert_array_equal(one.measures[name], two.measures[name])
    pictures = last_pictures(run)
    assert {tag.split("/")[0] for tag in pictures} == {
        "attention",
        "attention_panels",
        "attention_panels_history",
    }
    assert pictures == last_pictures(other)


def test_a_fit_resumed_from_a_checkpoint_equals_one_that_was_never_interrupted(tmp_path):
    fit(tmp_path / "whole", tmp_path / "a", epochs=5)
    fit(tmp_path / "parts", tmp_path / "b", epochs=2)
    fit(tmp_path / "parts", tmp_path / "b", epochs=3, seed=1)
    fit(tmp_path / "parts", tmp_path / "b", epochs=5, seed=2)
    assert [snapshot.step for snapshot in snapshots(tmp_path / "parts")] == [0, 1, 2, 3, 4, 5]
    assert_same(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.slow
def test_concepts_keep_their_colours_when_a_fit_is_resumed(tmp_path):
    """With this seed their numbers change from epoch to epoch: without the stored ones, colours change as well."""
    methods = {"methods": ("grad_cam", "feature_factors")}
    fit(tmp_path / "whole", tmp_path / "a", epochs=4, seed=1, **methods)
    for name in ("parts", "forgetful", "damaged"):
        run, checkpoints = tmp_path / name, tmp_path / f"{name}-checkpoints"
        fit(run, checkpoints, epochs=2, seed=1, **methods)
        if name == "forgetful":
            concepts_path(run).unlink()
        if name == "damaged":
            concepts_path(run).write_bytes(b"not whole")
        fit(run, checkpoints, epochs=4, seed=2, **methods)
    panels = {
        name: {tag: one for tag, one in last_pictures(tmp_path / name).items() if "panels/" in tag}
        for name in ("whole", "parts", "forgetful", "damaged")
    }
    assert len(panels["whole"]) == 3
    assert panels["parts"] == panels["whole"]
    for tag in panels["whole"]:
        assert panels["forgetful"][tag] != panels["whole"][tag]
    assert panels["damaged"] == panels["forgetful"]


def test_of_damaged_concepts_a_warning_tells(tmp_path, caplog):
    fit(tmp_path, tmp_path / "a", epochs=1, methods=("grad_cam", "feature_factors"))
    logger = logging.getLogger("test")
    assert load_concepts(tmp_path, logger)["feature_factors"].shape == (3, 4, 16, 16)
    concepts_path(tmp_path).write_bytes(b"not whole")
    assert load_concepts(tmp_path, logger) == {}
    (record,) = caplog.records
    assert record.getMessage().startswith("concepts may have other colours than before: ")
    assert "is no readable vizcallbacks concepts file" in record.getMessage()


def test_a_run_without_concepts_keeps_none(tmp_path):
    fit(tmp_path / "run", tmp_path / "a", epochs=1)
    assert not concepts_path(tmp_path / "run").exists()


def test_a_fit_by_batches_goes_on_counting_batches(tmp_path):
    period = {"batch_period": 2, "epoch_period": None}
    fit(tmp_path / "whole", tmp_path / "a", batches=9, **period)
    fit(tmp_path / "parts", tmp_path / "b", batches=6, **period)
    handler = fit(tmp_path / "parts", tmp_path / "b", batches=9, seed=1, **period)
    assert [snapshot.step for snapshot in snapshots(tmp_path / "whole")] == [0, 2, 4, 6, 8]
    assert [snapshot.step for snapshot in snapshots(tmp_path / "parts")] == [0, 2, 4, 6, 8]
    assert handler.monitor.failures == 0


@pytest.mark.parametrize("first", [False, True])
def test_steps_in_batches_go_on_from_a_checkpoint_of_epochs(first, tmp_path):
    """MXNet numbers checkpoints otherwise if the first fit resumes, from nothing, as well."""
    for epochs, resume in [(2, first), (3, True), (4, True)]:
        fit(tmp_path / "run", tmp_path / "a", epochs=epochs, resume=resume, epoch_period=None, batch_period=3)
    assert [snapshot.step for snapshot in snapshots(tmp_path / "run")] == [0, 3, 6, 9, 12]


def test_a_resumed_fit_in_a_new_folder_begins_at_its_epoch(tmp_path):
    fit(tmp_path / "first", tmp_path / "a", epochs=2)
    fit(tmp_path / "second", tmp_path / "a", epochs=4)
    assert [snapshot.when for snapshot in snapshots(tmp_path / "second")] == [
        "after 2 epochs",
        "after 3 epochs",
        "after 4 epochs",
    ]


def test_a_given_first_epoch_counts_more_than_a_checkpoint(tmp_path):
    fit(tmp_path / "first", tmp_path / "a", epochs=2)
    fit(tmp_path / "second", tmp_path / "a", epochs=4, initial_epoch=10)
    assert [snapshot.step for snapshot in snapshots(tmp_path / "second")] == [10, 11, 12]


def test_without_a_fit_there_is_nothing_behind_it():
    assert find_trained(object()) == Trained(0, 0)


def loop(run, first, last, net, image_format="png"):
    """Epochs first + 1 ... last by hand, with a snapshot before and after each."""
    with vc.AttentionMonitor(probe_set(), run, image_format=image_format, on_error="raise") as monitor:
        monitor.snapshot(net, first)
        for epoch in range(first + 1, last + 1):
            train(net, seed=epoch)
            monitor.snapshot(net, epoch)
    return monitor


@pytest.mark.slow
def test_a_loop_that_starts_at_epoch_7_equals_one_that_was_never_interrupted(tmp_path):
    mx.random.seed(1)
    net = small_net()
    loop(tmp_path / "whole", 0, 9, net)
    mx.random.seed(1)
    net = small_net()
    loop(tmp_path / "parts", 0, 7, net)
    loop(tmp_path / "parts", 7, 9, net)
    assert_same(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.slow
def test_sheets_are_the_same_when_there_are_more_snapshots_than_are_kept_in_memory(tmp_path):
    mx.random.seed(1)
    net = small_net()
    loop(tmp_path / "whole", 0, 34, net, "jpeg")
    mx.random.seed(1)
    net = small_net()
    loop(tmp_path / "parts", 0, 27, net, "jpeg")
    loop(tmp_path / "parts", 27, 34, net, "jpeg")
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_restarting_from_an_earlier_epoch_replaces_the_later_ones(tmp_path, caplog):
    """On disk, in history and drift, and in what TensorBoard's own server shows."""
    run = tmp_path / "run"
    net = small_net()
    loop(run, 0, 5, net)
    before = {snapshot.step: snapshot for snapshot in snapshots(run)}
    other = small_net()  # what was learned is thrown away
    loop(run, 2, 3, other)
    assert "training from step 2 on replaces the snapshots of 3 later steps" in caplog.text
    after = snapshots(run)
    assert [snapshot.step for snapshot in after] == [0, 1, 2, 3]
    np.testing.assert_array_equal(after[1].maps["grad_cam"], before[1].maps["grad_cam"])
    assert (after[2].maps["grad_cam"] != before[2].maps["grad_cam"]).any()
    expected = vc.AttentionMonitor(probe_set(), tmp_path / "expected")
    for snapshot in after:
        expected._journal.album.add(snapshot)
    shown = last_pictures(run)
    overview = np.frombuffer(shown["attention/overview_grad_cam"], np.uint8)
    decoded = cv2.imdecode(overview, cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(decoded, expected.overview())

    def loaded(client):
        tags = client.tags("scalars").get("run", {})
        return "attention_mean/entropy" in tags and len(client.scalars("run", "attention_mean/entropy")) > 3

    with tensorboard(tmp_path, loaded) as client:
        points = client.scalars("run", "attention_mean/entropy")
        assert [step for step, _ in points] == [0, 1, 2, 3]
        assert points[2][1] == pytest.approx(after[2].measures["entropy"].mean(), rel=1e-6)
        panels = client.images("run", "attention_panels/00_cat")
        assert [step for step, _ in panels] == [0, 1, 2, 3]
        pictures = client.images("run", "attention_panels_history/00_cat")
        assert [step for step, _ in pictures] == [0, 1, 3]  # drawn anew at doubling numbers of snapshots
        assert pictures[-1][1] == shown["attention_panels_history/00_cat"]


def test_a_damaged_snapshot_is_left_out_with_one_warning(tmp_path, caplog):
    net = small_net()
    loop(tmp_path, 0, 3, net)
    for path in list_snapshots(tmp_path)[1:3]:
        path.write_bytes(path.read_bytes()[:1000])
    loop(tmp_path, 4, 4, net)
    (record,) = caplog.records
    assert "2 of 4 earlier snapshots cannot be read" in record.getMessage()
    assert len(list_snapshots(tmp_path)) == 5


def steps_under(run, tag):
    return [step for step, _ in events.pictures(run)[tag]]


def test_a_resumed_training_shows_no_step_twice(tmp_path):
    """The one that both take, at the checkpoint, is the same: what the first has logged is not logged again."""
    fit(tmp_path / "run", tmp_path / "a", epochs=2)
    fit(tmp_path / "run", tmp_path / "a", epochs=4, seed=1)
    for tag in ("attention_panels/00_cat", "attention_panels_history/00_cat", "attention/overview_grad_cam"):
        assert steps_under(tmp_path / "run", tag) == [0, 1, 2, 3, 4]
    curve = [step for step, value in events.values(tmp_path / "run") if value.tag == "attention_mean/score"]
    assert curve == [0, 1, 2, 3, 4]


def test_the_same_step_of_other_weights_replaces_what_was_logged(tmp_path):
    loop(tmp_path, 0, 2, small_net())
    loop(tmp_path, 2, 3, small_net())
    assert steps_under(tmp_path, "attention_panels/00_cat") == [0, 1, 2, 2, 3]


# Folders


def test_a_relative_folder_stays_where_it_was_when_the_training_changes_directory(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    net = small_net()
    monitor = vc.AttentionMonitor(probe_set(), "runs/a")
    monkeypatch.chdir(tmp_path)
    with monitor:
        monitor.snapshot(net, 0)
        monkeypatch.chdir("/")
        monitor.snapshot(net, 1)
    assert monitor.failures == 0
    assert len(snapshots(tmp_path / "here" / "runs" / "a")) == 2
    assert len(list((tmp_path / "here" / "runs" / "a").glob("*tfevents*"))) == 1


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with vc.AttentionMonitor(probe_set(), "~/runs/a") as monitor:
        monitor.snapshot(small_net(), 0)
    assert monitor.run == tmp_path / "home" / "runs" / "a"
    assert len(snapshots(monitor.run)) == 1


@pytest.mark.parametrize("kind", ["link to a file", "link to nothing", "pipe"])
def test_the_lock_is_a_file_of_its_own_and_nothing_else_is_opened_for_it(kind, tmp_path):
    folder, victim = tmp_path / "run" / "attention", tmp_path / "victim"
    folder.mkdir(parents=True)
    if kind == "link to a file":
        victim.write_text("precious")
    if kind == "pipe":
        os.mkfifo(folder / "lock")
    else:
        (folder / "lock").symlink_to(victim)
    with pytest.raises(ValueError, match=r"cannot be used: .*lock.*; give another"):
        vc.AttentionMonitor(probe_set(), tmp_path / "run").start(small_net())
    assert victim.exists() == (kind == "link to a file")
    assert kind != "link to a file" or victim.read_text() == "precious"


@pytest.mark.parametrize("step", [0, 2, 3])
def test_a_deleted_probe_set_is_no_licence_to_mix(step, tmp_path):
    loop(tmp_path, 0, 2, small_net())
    (tmp_path / "attention" / "probe.npz").unlink()
    with (
        vc.AttentionMonitor(probe_set(2), tmp_path) as monitor,
        pytest.raises(ValueError, match="another probe set.*give another logdir"),
    ):
        monitor.snapshot(small_net(), step)
    assert len(list_snapshots(tmp_path)) == 3
    with vc.AttentionMonitor(probe_set(), tmp_path) as monitor:
        monitor.snapshot(small_net(), 3)
    assert len(snapshots(tmp_path)) == 4


def test_a_snapshot_of_another_probe_set_is_left_out_of_a_resumed_run(tmp_path, caplog):
    with vc.AttentionMonitor(probe_set(2), tmp_path / "other") as monitor:
        monitor.snapshot(small_net(), 1)
    loop(tmp_path / "run", 0, 2, small_net())
    os.replace(list_snapshots(tmp_path / "other")[0], list_snapshots(tmp_path / "run")[1])
    loop(tmp_path / "run", 3, 3, small_net())
    (record,) = caplog.records
    assert "1 of 3 earlier snapshots cannot be read" in record.getMessage()
    assert "is of another probe set than the one beside it" in record.getMessage()
