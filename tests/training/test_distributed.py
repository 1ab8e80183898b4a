"""Two workers, a server and a scheduler on this machine: real processes, and MXNet's own key-value store."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon
from tensorboardX import SummaryWriter

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots
from vizcallbacks.training.workers import Worker, find_worker

from ..helpers import events
from ..helpers.nets import images, small_net
from ..helpers.training import fit as fit_with

ROOT = Path(__file__).parents[2]


def free_port():
    """Below those that the system gives out: until the scheduler takes it, nobody else does."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as listening, contextlib.suppress(OSError):
            listening.bind(("127.0.0.1", port))
            return port


def cluster(run, way):
    """What the two workers printed, in the order of their ranks."""
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "DMLC_PS_ROOT_URI": "127.0.0.1",
        "DMLC_PS_ROOT_PORT": str(free_port()),
        "DMLC_NUM_SERVER": "1",
        "DMLC_NUM_WORKER": "2",
        "DMLC_INTERFACE": "lo",
        "DMLC_NODE_HOST": "127.0.0.1",
    }
    work = [sys.executable, "-m", "tests.helpers.dist_training", str(run), way]
    idle = [sys.executable, "-c", "import vizcallbacks.mxnet_door"]
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environment, "DMLC_ROLE": role},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for role, command in [("scheduler", idle), ("server", idle), ("worker", work), ("worker", work)]
    ]
    try:
        ends = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * 4, ends
    assert [log for _, log in ends[2:]] == ["", ""]
    return sorted((json.loads(out) for out, _ in ends[2:]), key=lambda line: line["rank"])


@functools.cache
def without():
    with tempfile.TemporaryDirectory() as folder:
        return cluster(folder, "without")


def assert_trained_as_without(lines):
    assert [line["rank"] for line in lines] == [0, 1]
    assert [line["worker"] for line in lines] == [[0, 2], [1, 2]]
    assert lines[0]["shared"] == lines[1]["shared"]
    assert lines == without()


@pytest.mark.slow
def test_rank_0_alone_takes_snapshots_and_the_training_is_the_same(tmp_path):
    run = tmp_path / "run"
    assert_trained_as_without(cluster(run, "rank 0"))
    assert [vc.Snapshot.load(path).step for path in list_snapshots(run)] == [0, 2, 3, 4, 6]
    assert len(list(run.glob("*tfevents*"))) == 1
    assert sorted(path.name for path in run.iterdir() if path.is_dir()) == ["attention"]


@pytest.mark.slow
def test_probe_images_are_shared_out_over_the_workers_each_with_a_sub_run(tmp_path):
    run = tmp_path / "run"
    assert_trained_as_without(cluster(run, "shards"))
    assert sorted(path.name for path in run.iterdir()) == ["worker-0", "worker-1"]
    shards = [run / "worker-0", run / "worker-1"]
    tags = []
    for shard, images_of in zip(shards, ([0, 2, 4], [1, 3])):
        snapshots = [vc.Snapshot.load(path) for path in list_snapshots(shard)]
        assert [snapshot.step for snapshot in snapshots] == [0, 2, 3, 4, 6]
        assert [len(snapshot.targets) for snapshot in snapshots] == [len(images_of)] * 5
        probe = vc.ProbeSet.load(shard / "attention" / "probe.npz")
        np.testing.assert_array_equal(probe.images, images(5)[images_of])
        tags += [tag for tag in events.pictures(shard) if tag.startswith("attention_panels/")]
    names = ["00_cat", "01_dog", "02_owl", "03_fox", "04_cat"]
    assert sorted(tags) == [f"attention_panels/{name}" for name in names]


@pytest.mark.slow
def test_the_examples_launch_commands_work(tmp_path):
    source = (ROOT / "examples" / "distributed.py").read_text()
    commands = [line.strip() for line in source.split('"""')[1].splitlines() if line.startswith("    ")]
    script = "\n".join(commands).replace("9091", str(free_port()))
    script = re.sub(r"\bpython ", shlex.quote(sys.executable) + " ", script)
    script = script.replace(
        "--shard-probes", f"--shard-probes --epochs 1 --logdir {shlex.quote(str(tmp_path))}"
    )
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("To watch") == 2
    for name in ("worker-0", "worker-1"):
        assert len(list_snapshots(tmp_path / name)) == 2


# Who this worker is


class Trainer:
    """What `find_worker` reads of a trainer on a store that this machine does not have."""

    def __init__(self, store):
        self._kvstore, self._kvstore_params = None, {"kvstore": store}


class Store:
    rank, num_workers = 3, 8


def test_the_worker_is_found_from_the_trainers_store():
    assert find_worker(Trainer(Store())) == Worker(3, 8)


@pytest.mark.parametrize("store", ["device", "local", None, "nccl"])
def test_a_trainer_on_one_machine_is_the_only_worker(store):
    net = small_net()
    assert find_worker(gluon.Trainer(net.collect_params(), "sgd", kvstore=store)) == Worker(0, 1)


def test_a_store_that_is_only_named_is_refused_before_training(tmp_path):
    net = small_net()
    trainer = gluon.Trainer(net.collect_params(), "sgd", kvstore="dist_sync")
    with pytest.raises(ValueError, match=r"got its name 'dist_sync'; give .*mx.kv.create\('dist_sync'\)"):
        find_worker(trainer)
    assert trainer._kvstore is None


def test_horovod_is_asked_if_it_is_loaded_and_in_use(monkeypatch):
    horovod = types.SimpleNamespace(is_initialized=lambda: True, rank=lambda: 2, size=lambda: 4)
    monkeypatch.setitem(sys.modules, "horovod.mxnet", horovod)
    assert find_worker(Trainer(None)) == Worker(2, 4)
    horovod.is_initialized = lambda: False
    assert find_worker(Trainer(None)) == Worker(0, 1)


# Given ranks, in one process


def fit(run, rank, size, shard_probes=False, count=3):
    probe = vc.ProbeSet(images(count), labels=np.arange(count))
    handler = vc.AttentionHandler(probe, run, rank=rank, size=size, shard_probes=shard_probes)
    mx.random.seed(0)
    fit_with([handler], epochs=1)
    return handler


def test_a_given_rank_beyond_0_takes_no_snapshots_and_makes_no_folder(tmp_path):
    fit(tmp_path / "run", rank=1, size=2)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_beyond_the_number_of_probe_images_has_nothing_to_do(tmp_path):
    for rank in range(4):
        fit(tmp_path, rank, size=4, shard_probes=True, count=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worker-0", "worker-1", "worker-2"]


def test_shards_of_one_worker_are_the_whole_run(tmp_path):
    fit(tmp_path, 0, size=1, shard_probes=True)
    assert len(list_snapshots(tmp_path)) == 2


def test_the_shards_maps_are_those_of_the_whole(tmp_path):
    fit(tmp_path / "whole", 0, size=1)
    for rank in range(2):
        fit(tmp_path / "parts", rank, size=2, shard_probes=True)
    for step in range(2):
        whole = vc.Snapshot.load(list_snapshots(tmp_path / "whole")[step]).maps["grad_cam"]
        for rank in range(2):
            shard = vc.Snapshot.load(list_snapshots(tmp_path / "parts" / f"worker-{rank}")[step])
            np.testing.assert_allclose(shard.maps["grad_cam"], whole[rank::2], rtol=1e-5, atol=1e-7)


def test_targets_of_each_image_are_shared_out_with_it(tmp_path):
    probe = vc.ProbeSet(images(3))
    with vc.AttentionMonitor(probe, tmp_path, targets=[3, 1, 2], shard=(1, 2)) as monitor:
        assert monitor.snapshot(small_net(), 0).targets.tolist() == [1]


def test_a_wrong_argument_raises_on_idle_workers_too(tmp_path):
    probe = vc.ProbeSet(images(3), labels=np.arange(3))
    with pytest.raises(ValueError, match="its Conv2D layers are"):
        fit_with([vc.AttentionHandler(probe, tmp_path, rank=1, size=2, layer="conv9")])


@pytest.mark.parametrize("shard", [(2, 2), (0,), 1, (3, 4), ("0", 2)])
def test_a_shard_that_names_no_image_is_refused(shard, tmp_path):
    with pytest.raises(ValueError, match="rank"):
        vc.AttentionMonitor(vc.ProbeSet(images(3), labels=[0, 1, 2]), tmp_path, shard=shard)


def test_shards_in_the_users_own_writer_are_refused(tmp_path):
    probe = vc.ProbeSet(images(3), labels=np.arange(3))
    with SummaryWriter(str(tmp_path)) as writer, pytest.raises(ValueError, match="each worker has a sub-run"):
        vc.AttentionHandler(probe, writer, shard_probes=True)
