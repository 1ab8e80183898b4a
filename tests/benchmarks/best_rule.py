"""How often ``baseline="best"`` stops a healthy training, and whether it notices a shift of attention.

    python tests/benchmarks/best_rule.py FOLDER [--seeds 0:20] [--epochs 16] [--shifted 10]

Trains the demo's network on honest pictures, one training per seed, with one of three learning-rate schedules,
and keeps a snapshot of every epoch in FOLDER/<seed>. Then the data change: the label becomes the colour of the
tag, and the digit agrees with it in a little more than half of the pictures. The network goes on training and
moves from the digit to the tag, while it stays right on the probe images, where tag and digit agree.

Both parts are judged by an `Alarm` with ``baseline="best", patience=2``. It must not stop the healthy part, and
must stop the shifted one. Snapshots in FOLDER are not taken again, so a changed rule is judged in seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans
from vizcallbacks.demo.run import accuracy, probe_set
from vizcallbacks.mxnet_door import autograd, gluon, mx
from vizcallbacks.regression.snapshot import list_snapshots, snapshot_path, take
from vizcallbacks.training.alarm import Alarm

PROBES = 100
PICTURES, POOL = 1024, 4096  # in an epoch, and different ones
SHIFTED_RATE = 0.05
SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: 0.025 * (1 + np.cos(np.pi * done)),
    "constant": lambda done: 0.03,
    "step": lambda done: 0.05 if done < 0.6 else 0.005,
}
"""Name -> the learning rate, of the share of the epochs done, in [0, 1)."""


@dataclass(frozen=True)
class Outcome:
    """Of one seed: the epochs at which the alarm was due (None: never), of the healthy part and of the whole."""

    seed: int
    schedule: str
    false_stop: int | None
    caught: int | None


def train(folder: Path, seed: int, probe: vc.ProbeSet, epochs: int, shifted: int) -> None:
    """Train one network and keep its snapshots, and ``facts.json`` with accuracies, in `folder`."""
    schedule = list(SCHEDULES)[seed % len(SCHEDULES)]
    net = clever_hans.network(seed)
    net.hybridize()
    training = replace(clever_hans.RUNS["honest"], pictures=PICTURES, pool=POOL)
    trainer = clever_hans.trainer(net, replace(training, epochs=epochs))
    trainer._optimizer.lr_scheduler = None
    (folder / "attention").mkdir(parents=True, exist_ok=True)
    probe.save(folder / "attention" / "probe.npz")
    facts: dict = {"schedule": schedule, "epochs": epochs, "shifted": shifted}
    previous = _snapshot(net, probe, folder, 0, None)
    honest = clever_hans.training_data(training, seed)
    wrong = _labelled_by_tag(training, seed)
    for epoch in range(1, epochs + shifted + 1):
        healthy = epoch <= epochs
        rate = SCHEDULES[schedule]((epoch - 1) / epochs) if healthy else SHIFTED_RATE
        _train_epoch(net, trainer, honest if healthy else wrong, rate)
        previous = _snapshot(net, probe, folder, epoch, previous)
        if epoch in (epochs, epochs + shifted):
            name = "healthy" if healthy else "after the shift"
            facts[name] = {tags: accuracy(net, tags) for tags in ("aligned", "none", "wrong")}
    (folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def judge(folder: Path, seed: int, patience: int = 2) -> Outcome:
    """Judge the snapshots of one training again, one after the other, as a monitor does."""
    facts = json.loads((folder / "facts.json").read_text())
    snapshots = [vc.Snapshot.load(path) for path in list_snapshots(folder)]
    probe = vc.ProbeSet.load(folder / "attention" / "probe.npz")
    healthy = [one for one in snapshots if one.step <= facts["epochs"]]
    return Outcome(
        seed,
        facts["schedule"],
        _first_due(Alarm(probe, ["grad_cam"], "best", patience=patience), healthy),
        _first_due(Alarm(probe, ["grad_cam"], "best", patience=patience), snapshots),
    )


def _first_due(alarm: Alarm, snapshots: Iterable[vc.Snapshot]) -> int | None:
    for one in snapshots:
        alarm.judge(one)
        if alarm.due:
            return one.step
    return None


def _labelled_by_tag(training: clever_hans.Training, seed: int) -> gluon.data.DataLoader:
    """Half of the tags have the colour of the digit, half any; the label is the tag's colour."""
    half = training.pool // 2
    parts = [clever_hans.pictures(half, tags, seed=1000 + seed) for tags in ("aligned", "random")]
    images, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "tags"))
    dataset = gluon.data.ArrayDataset(images, labels.astype(np.float32))
    order = np.random.default_rng(seed)
    size = training.batch_size
    batches = [order.permutation(len(dataset))[: training.pictures].reshape(-1, size) for _ in range(64)]
    return gluon.data.DataLoader(dataset, batch_sampler=_Batches([epoch.tolist() for epoch in batches]))


class _Batches(gluon.data.Sampler):
    """Lists of batches of indices, one list an epoch, in turn."""

    def __init__(self, epochs: list[list[list[int]]]) -> None:
        self._epochs, self._next = epochs, 0

    def __iter__(self):
        self._next += 1
        return iter(self._epochs[(self._next - 1) % len(self._epochs)])

    def __len__(self) -> int:
        return len(self._epochs[0])


def _train_epoch(net, trainer, loader, rate: float) -> None:
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer.set_learning_rate(rate)
    for images, labels in loader:
        with autograd.record():
            value = loss(net(images), labels)
        value.backward()
        trainer.step(len(images))
    mx.nd.waitall()


def _snapshot(net, probe, folder: Path, step: int, previous: vc.Snapshot | None) -> vc.Snapshot:
    result = vc.explain(net, probe, "grad_cam", targets="label", batch_size=50)
    taken = take(result, probe, step, f"epoch {step}" if step else "before training", previous)
    taken.save(snapshot_path(folder, step))
    return taken


def run(folder: Path, seeds: range, epochs: int, shifted: int, patience: int = 2) -> list[Outcome]:
    """Train what is not there, judge all."""
    probe = probe_set(PROBES)
    outcomes = []
    for seed in seeds:
        mine = folder / f"{seed:03d}"
        if not (mine / "facts.json").exists():
            train(mine, seed, probe, epochs, shifted)
        outcomes.append(judge(mine, seed, patience))
        print(outcomes[-1], flush=True)
    return outcomes


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="0:20", help="from:to (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=16, help="healthy ones (default: %(default)s)")
    parser.add_argument("--shifted", type=int, default=10, help="after the shift (default: %(default)s)")
    parser.add_argument("--patience", type=int, default=2)
    options = parser.parse_args()
    seeds = range(*map(int, options.seeds.split(":")))
    found = run(options.folder, seeds, options.epochs, options.shifted, options.patience)
    stopped = [one for one in found if one.false_stop is not None]
    caught = [one for one in found if one.caught is not None and one.false_stop is None]
    print(f"{len(stopped)} of {len(found)} healthy trainings were stopped")
    print(f"{len(caught)} of {len(found) - len(stopped)} shifts were caught")


if __name__ == "__main__":
    main()
