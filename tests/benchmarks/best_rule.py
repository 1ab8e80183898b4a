"""How often ``baseline="best"`` stops a healthy training, and whether it notices a shift of attention.

    python tests/benchmarks/best_rule.py FOLDER [--seeds 0:20] [--epochs 16] [--shifted 12] [--control 6]

Trains the demo's network on honest pictures, one training per seed, with one of three learning-rate schedules,
and keeps a snapshot of every epoch in FOLDER/<seed>. From its end, the training goes on twice:

- shifted: the label becomes the colour of the tag, with which the digit agrees in less than half of the pictures.
  The network moves from the digit to the tag. On the probe images tag and digit agree, so both readings are right.
- control: the same honest pictures, with the same learning rate as the shifted part (higher than at the end of
  the healthy part, as after a restart).

Each is judged by an `Alarm` with ``baseline="best", patience=2``. It must not stop the healthy part, and must stop
the shifted one. Snapshots in FOLDER are not taken again, so a changed rule is judged in seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans
from vizcallbacks.demo.run import accuracy, probe_set
from vizcallbacks.measures.of_one_map import mean_defined
from vizcallbacks.mxnet_door import autograd, gluon, mx
from vizcallbacks.regression.snapshot import list_snapshots, snapshot_path, take
from vizcallbacks.training.alarm import Alarm

PROBES = 100
PICTURES, POOL = 1024, 4096  # in an epoch, and different ones
RATE_AFTERWARDS = 0.05
ALIGNED = 0.3  # share of the shifted pictures whose tag has the digit's colour; of the others, one in ten
MOVED = 0.05  # rise of the map's mean share on the tag from which on attention has moved
SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: 0.025 * (1 + np.cos(np.pi * done)),
    "constant": lambda done: 0.03,
    "step": lambda done: 0.05 if done < 0.6 else 0.005,
}
"""Name -> the learning rate, of the share of the epochs done, in [0, 1)."""


@dataclass(frozen=True)
class Outcome:
    """Of one seed: the epochs at which the alarm was due in the healthy part, the shifted one and the control.

    None: never. `moved`: the epoch from which on attention had moved to the tag.
    """

    seed: int
    schedule: str
    false_stop: int | None
    moved: int | None
    caught: int | None
    control: int | None


def train(folder: Path, seed: int, probe: vc.ProbeSet, epochs: int, shifted: int, control: int) -> None:
    """Train one network and keep its snapshots, and ``facts.json`` with accuracies, in `folder`."""
    schedule = list(SCHEDULES)[seed % len(SCHEDULES)]
    net = clever_hans.network(seed)
    net.hybridize()
    training = replace(clever_hans.RUNS["honest"], pictures=PICTURES, pool=POOL)
    for part in ("healthy", "shifted", "control"):
        (folder / part / "attention").mkdir(parents=True, exist_ok=True)
    probe.save(folder / "probe.npz")
    facts: dict = {"schedule": schedule}
    honest = clever_hans.training_data(training, seed)

    def go_on(part: str, data: gluon.data.DataLoader, rates: list[float], first: int) -> None:
        sgd = mx.optimizer.SGD(training.momentum, learning_rate=rates[0] if rates else 0.0)
        trainer = gluon.Trainer(net.collect_params(), sgd)
        for epoch, rate in enumerate(rates, first):
            _train_epoch(net, trainer, data, rate)
            _snapshot(net, probe, folder / part, epoch)
        facts[part] = {tags: accuracy(net, tags) for tags in ("aligned", "none", "wrong")}

    _snapshot(net, probe, folder / "healthy", 0)
    go_on("healthy", honest, [SCHEDULES[schedule](epoch / epochs) for epoch in range(epochs)], 1)
    net.save_parameters(str(folder / "healthy.params"))
    go_on("shifted", _labelled_by_tag(training, seed, shifted), [RATE_AFTERWARDS] * shifted, epochs + 1)
    net.load_parameters(str(folder / "healthy.params"))
    go_on("control", honest, [RATE_AFTERWARDS] * control, epochs + 1)
    (folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def judge(folder: Path, seed: int, patience: int = 2) -> Outcome:
    """Judge the snapshots of one training again, one after the other, as a monitor does."""
    facts = json.loads((folder / "facts.json").read_text())
    probe = vc.ProbeSet.load(folder / "probe.npz")
    parts = {
        part: [vc.Snapshot.load(path) for path in list_snapshots(folder / part)]
        for part in ("healthy", "shifted", "control")
    }

    def due(*names: str) -> int | None:
        alarm = Alarm(probe, ["grad_cam"], "best", patience=patience)
        for one in [one for name in names for one in parts[name]]:
            alarm.judge(one)
            if alarm.due:
                return one.step
        return None

    def on_tag(one: vc.Snapshot) -> float:
        return mean_defined(one.measures["energy/tag"])[0]

    before = on_tag(parts["healthy"][-1])
    moved = next((one.step for one in parts["shifted"] if on_tag(one) > before + MOVED), None)
    return Outcome(
        seed, facts["schedule"], due("healthy"), moved, due("healthy", "shifted"), due("healthy", "control")
    )


def _labelled_by_tag(training: clever_hans.Training, seed: int, epochs: int) -> gluon.data.DataLoader:
    """A part of the tags has the colour of the digit, the others any; the label is the tag's colour."""
    aligned = round(ALIGNED * training.pool)
    parts = [
        clever_hans.pictures(count, tags, seed=1000 + seed)
        for tags, count in (("aligned", aligned), ("random", training.pool - aligned))
    ]
    images, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "tags"))
    dataset = gluon.data.ArrayDataset(images, labels.astype(np.float32))
    order = np.random.default_rng(seed)
    batches = [
        order.permutation(len(dataset))[: training.pictures].reshape(-1, training.batch_size).tolist()
        for _ in range(max(epochs, 1))
    ]
    return gluon.data.DataLoader(dataset, batch_sampler=_Batches(batches))


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


def _snapshot(net, probe: vc.ProbeSet, folder: Path, step: int) -> None:
    result = vc.explain(net, probe, "grad_cam", targets="label", batch_size=50)
    taken = take(result, probe, step, f"after {step} epochs" if step else "before training")
    taken.save(snapshot_path(folder, step))


def run(
    folder: Path, seeds: range, epochs: int, shifted: int, control: int, patience: int = 2
) -> list[Outcome]:
    """Train what is not there, judge all."""
    probe = probe_set(PROBES)
    outcomes = []
    for seed in seeds:
        mine = folder / f"{seed:03d}"
        if not (mine / "facts.json").exists():
            train(mine, seed, probe, epochs, shifted, control)
        outcomes.append(judge(mine, seed, patience))
        print(outcomes[-1], flush=True)
    return outcomes


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="0:20", help="from:to (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=16, help="healthy ones (default: %(default)s)")
    parser.add_argument("--shifted", type=int, default=12, help="after the shift (default: %(default)s)")
    parser.add_argument("--control", type=int, default=6, help="without a shift (default: %(default)s)")
    parser.add_argument("--patience", type=int, default=2)
    options = parser.parse_args()
    seeds = range(*map(int, options.seeds.split(":")))
    found = run(options.folder, seeds, options.epochs, options.shifted, options.control, options.patience)
    moved = [one for one in found if one.moved is not None]
    print(
        f"{sum(one.false_stop is not None for one in found)} of {len(found)} healthy trainings were stopped"
    )
    print(f"attention moved to the tag in {len(moved)} of {len(found)} shifted ones;", end=" ")
    print(f"{sum(one.caught is not None for one in moved)} of these were stopped")
    print(f"{sum(one.control is not None for one in found)} of {len(found)} controls were stopped")


if __name__ == "__main__":
    main()
