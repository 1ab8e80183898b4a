"""How much slower a training gets by snapshots in it, and by a replay that follows its checkpoints beside it.

python -m tests.benchmarks.follow_cost [rounds]
"""

from __future__ import annotations

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

import vizcallbacks as vc
from tests.benchmarks.replay_cost import build
from tests.helpers.probes import probe_set

EPOCHS, BATCHES, BATCH, IMAGES = 6, 20, 32, 100


def train(folder: pathlib.Path, monitor: vc.AttentionMonitor | None = None) -> float:
    """Seconds of a training that saves a checkpoint after each epoch, warmed up."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    data = mx.nd.array(random.normal(size=(BATCH, 3, 32, 32)).astype(np.float32))
    labels = mx.nd.array(random.integers(0, 10, BATCH))
    net = build()
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()

    def epoch() -> None:
        for _ in range(BATCHES):
            with autograd.record():
                value = loss(net(data), labels)
            value.backward()
            trainer.step(BATCH)
        mx.nd.waitall()

    epoch()
    if monitor is not None:
        monitor.snapshot(net, step=0)
    began = time.monotonic()
    for number in range(1, EPOCHS + 1):
        epoch()
        net.save_parameters(str(folder / f"m-{number:04d}.params"))
        if monitor is not None:
            monitor.snapshot(net, step=number)
    return time.monotonic() - began


def beside(home: pathlib.Path) -> float:
    """With `vizcallbacks replay --follow` at nice 19, which has started before the training begins."""
    probe_set(IMAGES).save(home / "probe.npz")
    (home / "checkpoints").mkdir()
    command = f"""
import time
from vizcallbacks.cli import main
import tests.benchmarks.replay_cost
open({str(home / "ready")!r}, "w").close()
main(["replay", {str(home / "checkpoints")!r}, "--net", "tests.benchmarks.replay_cost:build",
      "--probe", {str(home / "probe.npz")!r}, "--logdir", {str(home / "run")!r},
      "--follow", "--until", "{EPOCHS}"])
"""
    follower = subprocess.Popen(
        ["nice", "-n", "19", sys.executable, "-W", "ignore", "-c", command],
        stdout=subprocess.DEVNULL,
    )
    while not (home / "ready").exists():
        time.sleep(0.1)
    spent = train(home / "checkpoints")
    if follower.wait(timeout=600) != 0:
        raise RuntimeError("the follower failed")
    return spent


def inside(home: pathlib.Path) -> float:
    """With snapshots in the training."""
    with vc.AttentionMonitor(probe_set(IMAGES), home / "run") as monitor:
        return train(home / "checkpoints", monitor)


def main(rounds: int = 3) -> None:
    kinds = {"alone": lambda home: train(home / "checkpoints"), "followed": beside, "snapshots": inside}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as place:
        for round_ in range(rounds):
            for name, run in kinds.items():
                home = pathlib.Path(place, f"{name}{round_}")
                home.mkdir()
                times[name].append(run(home))
    alone = statistics.median(times["alone"])
    print(
        f"{EPOCHS} epochs of {BATCHES} x {BATCH} images, cifar_resnet20_v1, each with {IMAGES} probe images"
    )
    for name, listed in times.items():
        middle = statistics.median(listed)
        each = ", ".join(f"{one:.1f}" for one in listed)
        print(f"{name}: {middle:.1f} s ({each}), {100 * (middle / alone - 1):+.0f} %")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
