"""Where results go beside TensorBoard: read back with each logger's own means."""

from __future__ import annotations

import csv
import json
import logging
import os
import struct
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots

from ..helpers import events
from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from ..helpers.processes import ENVIRONMENT, ROOT
from ..helpers.training import train


def watched(run, sinks, steps=3, **options):
    """A training of so many snapshots; (the monitor, the snapshots)."""
    net, taken = small_net(), []
    with vc.AttentionMonitor(probe_set(), run, sinks=sinks, on_error="raise", **options) as monitor:
        for step in range(steps):
            taken.append(monitor.snapshot(net, step))
            train(net)
    return monitor, taken


class Recorder:
    """A sink of the user's."""

    def __init__(self):
        self.scalars, self.images, self.texts, self.files = {}, {}, {}, []
        self.threads = set()

    def scalar(self, tag, value, step):
        self.threads.add(threading.current_thread())
        self.scalars[tag, step] = value

    def image(self, tag, picture, step):
        self.images[tag, step] = picture

    def text(self, tag, text, step):
        self.texts[tag, step] = text

    def file(self, path):
        self.files.append(path)


def means(taken, name):
    return {snapshot.step: snapshot.measures[name].mean() for snapshot in taken}


def test_an_object_gets_what_tensorboard_gets_in_a_thread_of_its_own(tmp_path):
    recorder = Recorder()
    monitor, taken = watched(tmp_path, ["tensorboard", recorder], image_format="png")
    assert monitor.failures == 0
    for step, mean in means(taken, "score").items():
        assert recorder.scalars["attention_mean/score", step] == pytest.approx(mean)
    logged = events.pictures(tmp_path)
    assert {tag for tag, _ in recorder.images} == set(logged)
    for tag, shown in logged.items():
        for step, data in shown:
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            np.testing.assert_array_equal(recorder.images[tag, step], decoded)
    assert recorder.files == [tmp_path / "attention" / "report.html"]
    assert len(recorder.threads) == 1
    assert threading.current_thread() not in recorder.threads


def test_without_tensorboard_there_is_no_event_file_and_snapshots_are_kept(tmp_path):
    recorder = Recorder()
    monitor, _ = watched(tmp_path, [recorder])
    assert monitor.failures == 0
    assert list(tmp_path.glob("*tfevents*")) == []
    assert len(list_snapshots(tmp_path)) == 3
    again = Recorder()
    with vc.AttentionMonitor(probe_set(), tmp_path, sinks=[again]) as monitor:
        monitor.snapshot(small_net(), 3)
    assert {step for _, step in again.scalars} == {3}  # the earlier ones have been logged


def test_a_folder_holds_curves_as_csv_and_pictures_as_png(tmp_path):
    monitor, taken = watched(tmp_path, "folder")
    assert monitor.failures == 0
    with open(tmp_path / "scalars.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    curve = {int(row["step"]): float(row["value"]) for row in rows if row["tag"] == "attention_mean/score"}
    assert curve == means(taken, "score")
    for name in ("attention_panels/00_cat", "attention_panels/01_dog_wolf", "attention/overview_grad_cam"):
        pictures = sorted((tmp_path / "pictures" / name).iterdir())
        assert [path.name for path in pictures] == [f"{step:08d}.png" for step in range(3)]
        assert all(cv2.imread(str(path)) is not None for path in pictures)


def test_no_name_leaves_the_folder(tmp_path):
    probe = vc.ProbeSet(probe_set().images, labels=[0, 1, 2], class_names=["../../x", "/root", ".."])
    with vc.AttentionMonitor(probe, tmp_path / "run", sinks=["folder"]) as monitor:
        monitor.snapshot(small_net(), 0)
    assert monitor.failures == 0
    assert os.listdir(tmp_path) == ["run"]
    assert len(os.listdir(tmp_path / "run" / "pictures" / "attention_panels")) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside MLflow, of SQLAlchemy's next release
def test_mlflow_holds_curves_sheets_and_the_page(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # MLflow puts artifacts into ./mlruns, wherever its store is
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'store.db'}")
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5, step=0)
        monitor, taken = watched(tmp_path / "run", ["mlflow"])
        mlflow.log_metric("loss", 0.25, step=1)
    assert monitor.failures == 0
    client = mlflow.MlflowClient()
    curve = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "attention_mean/score")}
    assert curve == pytest.approx(means(taken, "score"))
    assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [0.5, 0.25]
    sheets = client.list_artifacts(run.info.run_id, "attention/overview_grad_cam")
    assert [os.path.basename(one.path) for one in sheets] == [f"{step:08d}.png" for step in range(3)]
    saved = client.download_artifacts(run.info.run_id, sheets[-1].path, str(tmp_path))
    np.testing.assert_array_equal(cv2.imread(saved)[..., ::-1], monitor.overview())
    files = [one.path for one in client.list_artifacts(run.info.run_id, "attention")]
    assert "attention/report.html" in files
    assert client.list_artifacts(run.info.run_id, "attention_panels") == []


WANDB = """
import json, sys, wandb
import vizcallbacks as vc
from tests.helpers.nets import small_net
from tests.helpers.probes import probe_set
from tests.helpers.training import train
folder, often = sys.argv[1], sys.argv[2] == "often"
run = wandb.init(mode="offline", dir=folder, project="test", settings=wandb.Settings(console="off", silent=True))
net, scores = small_net(), []
with vc.AttentionMonitor(probe_set(), folder + "/run", sinks=["wandb"], on_error="raise") as monitor:
    for step in range(4):
        if often:
            run.log({"loss": 1 / (1 + step)}, step=step)
        scores.append(float(monitor.snapshot(net, step).measures["score"].mean()))
        monitor.flush(60)
        monitor._journal._more[0].flush(60)
        train(net)
run.finish()
print(json.dumps([monitor.failures, scores]))
"""


@pytest.mark.parametrize("often", ["often", pytest.param("never", marks=pytest.mark.slow)])
def test_weights_and_biases_hold_curves_and_sheets_and_leave_the_users_steps_alone(often, tmp_path):
    """Read from the file that an offline run leaves; in a process of its own, since it starts a service."""
    pytest.importorskip("wandb")
    command = [sys.executable, "-c", WANDB, str(tmp_path), often]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    failures, scores = json.loads(done.stdout.splitlines()[-1])
    assert failures == 0, done.stderr
    rows = history(next(tmp_path.glob("wandb/offline-run-*/run-*.wandb")))
    found = [(row["attention_step"], row["attention_mean/score"]) for row in rows if "attention_step" in row]
    assert found == [(step, pytest.approx(score)) for step, score in enumerate(scores)]
    losses = [(row["_step"], row["loss"]) for row in rows if "loss" in row]
    assert losses == ([(0, 1), (1, 1 / 2), (2, 1 / 3), (3, 1 / 4)] if often == "often" else [])
    assert all(row["attention/overview_grad_cam/_type"] == "image-file" for row in rows if "loss" in row)


def history(path):
    """The rows of a run's history, as dicts."""
    from wandb.proto import wandb_internal_pb2

    rows = []
    for data in wandb_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            row = {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                for item in record.history.item
            }
            rows.append({"_step": record.history.step.num, **row})
    return rows


def wandb_records(data):
    """The records of a .wandb file: a header of 7 bytes, then LevelDB's log format, blocks of 32 KiB."""
    place, whole = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


class Failing(Recorder):
    def image(self, tag, picture, step):
        raise ConnectionError("the server is gone")


def test_a_sink_that_fails_is_warned_of_once_and_left_out_and_the_others_go_on(tmp_path, caplog):
    failing, working = Failing(), Recorder()
    monitor, _ = watched(tmp_path, ["tensorboard", failing, working])
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == (
        "the sink 'Failing' failed (ConnectionError: the server is gone) and is left out; training and the other "
        "sinks go on"
    )
    assert monitor.failures == 1
    assert len([key for key in working.scalars if key[0] == "attention_mean/score"]) == 3
    assert len(events.pictures(tmp_path)["attention_panels/00_cat"]) == 3


class Hanging(Recorder):
    def __init__(self):
        super().__init__()
        self.release = threading.Event()

    def scalar(self, tag, value, step):
        self.release.wait()


def test_a_sink_that_never_answers_holds_up_nobody(tmp_path):
    hanging = Hanging()
    net = small_net()
    monitor = vc.AttentionMonitor(probe_set(), tmp_path, sinks=["tensorboard", hanging])
    for step in range(3):
        monitor.snapshot(net, step)
    assert monitor.flush(60)
    assert len(events.pictures(tmp_path)["attention_panels/00_cat"]) == 3
    monitor._journal._more[0].close(0.1)
    monitor.close()
    hanging.release.set()  # its thread must not be there when other tests count threads


@pytest.mark.parametrize(
    ("sinks", "kind", "message"),
    [
        (
            ["tensorboard", "csv"],
            ValueError,
            "sinks must be of 'tensorboard', 'folder', 'mlflow', 'wandb'.*got 'csv'",
        ),
        ([object()], TypeError, "must have the methods scalar, image and text"),
    ],
)
def test_what_is_no_sink_is_refused(sinks, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        vc.AttentionMonitor(probe_set(), tmp_path, sinks=sinks)


def test_a_logger_without_an_open_run_or_package_is_an_error_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match=r"needs the package mlflow; pip install 'vizcallbacks\[mlflow\]'"):
        vc.AttentionMonitor(probe_set(), tmp_path / "run", sinks=["mlflow"]).start(small_net())
    assert os.listdir(tmp_path) == []


# Where to look


def test_after_the_first_snapshot_one_line_says_where_to_look(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="vizcallbacks.training.monitor"):
        watched(tmp_path / "a run", ["tensorboard"])
    lines = [record.getMessage() for record in caplog.records if "to see what" in record.getMessage()]
    run = f"'{tmp_path}/a run'"
    assert lines == [
        f"to see what the net looks at: tensorboard --logdir {run} --samples_per_plugin images=1000, or "
        f"vizcallbacks report {run} --out report.html; the maps of layer '4' have 16 x 16 cells"
    ]


LOOP = """
import sys
from tests.training.test_sinks import watched
watched(sys.argv[1], ["tensorboard"])
"""


def test_a_loop_without_logging_set_up_is_told_on_the_error_stream(tmp_path):
    command = [sys.executable, "-c", LOOP, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("to see what the net looks at: tensorboard --logdir ")
    assert len(done.stderr.splitlines()) == 1
