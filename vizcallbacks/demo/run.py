"""``vizcallbacks demo``: two networks, one of which learns to look at the wrong thing, watched side by side."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..measures.of_one_map import area_share, mean_defined
from ..mxnet_door import estimator as gluon_estimator
from ..mxnet_door import gluon, mx
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.comparing import compare
from ..regression.report import Report, accept_command
from ..regression.report_files import as_json, save_picture
from ..regression.snapshot import Snapshot, list_snapshots
from ..training.handler import AttentionHandler
from ..view.report_page import write_report
from ..view.verdicts import save_verdict
from . import clever_hans

PROBE_PICTURES, DRAWN = 200, 10  # 20 of each digit are measured, one of each is drawn
JUDGED = ("aligned", "none", "wrong")  # tags of the pictures on which accuracy is measured
LEARNT = 0.5  # accuracy, of both networks, below which it means nothing where they look
ENERGIES = ("energy/object", "energy/tag")
RULES = {"energy/tag": "within noise", "energy/object": "within noise", "dead": "<= 0.1"}


@dataclass(frozen=True)
class Outcome:
    """What one network learnt, and where it looks.

    Attributes
    ----------
    accuracy : dict of str to float
        By the tags of the validation pictures: "aligned", "none", "wrong".
    energy : dict of str to (float, float)
        "energy/object" and "energy/tag" -> Grad-CAM's mean share there, after the first and the last epoch.
    overview : Path
        The overview picture.
    """

    accuracy: dict[str, float]
    energy: dict[str, tuple[float, float]]
    overview: Path


def run(
    logdir: str | os.PathLike[str] = "runs/demo",
    epochs: int | None = None,
    seed: int = 0,
    quick: bool = False,
) -> dict[str, Outcome]:
    """Train a network on biased and one on honest data, watch both, check one by the other, print the outcome.

    Parameters
    ----------
    logdir : str or os.PathLike
        Gets a run "biased" and a run "honest".
    epochs : int, optional
        Of each training; default: 8, or 2 if `quick`.
    seed : int
        Of weights and training pictures. The probe images are the same for all seeds.
    quick : bool
        A quarter of the pictures, to see that everything works. The networks learn nothing from so few, and the
        text says so.

    Raises
    ------
    ImportError
        The demo's packages are not installed.
    ValueError
        `logdir` cannot be used, or `epochs` is below 1.
    """
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    logdir = Path(logdir)
    probe = probe_set()
    outcomes = {}
    for name, training in clever_hans.RUNS.items():
        if quick:
            training = replace(training, epochs=2, pictures=training.pictures // 4, pool=training.pool // 4)
        training = replace(training, epochs=epochs or training.epochs)
        outcomes[name] = _train(name, training, probe, logdir / name, seed)
    print(table(outcomes, probe))
    print(f"\nThe biased run, checked against the honest one:\n{check(logdir, probe)}")
    print(warning(outcomes), end="")
    print(f"\nThrough training: {', '.join(str(outcome.overview) for outcome in outcomes.values())}")
    print(f"What they look at: {', '.join(str(logdir / name / 'peaks.png') for name in outcomes)}")
    page = logdir / "report.html"
    write_report([logdir / name for name in outcomes], page, logdir / "baseline.npz", rules=RULES)
    print(f"All images through all epochs: {page}")
    print(f"To watch: tensorboard --logdir {logdir} --samples_per_plugin images=1000")
    return outcomes


def check(logdir: Path, probe: ProbeSet) -> Report:
    """Check the run "biased" against the run "honest"; `logdir` gets the baseline and the picture."""
    path, drawn, biased = logdir / "baseline.npz", logdir / "report.png", logdir / "biased"
    Baseline.from_runs(logdir / "honest").save(path)
    baseline, accept = Baseline.load(path), accept_command([biased], path)
    for run in (logdir / "honest", biased):
        report = compare(Snapshot.load(list_snapshots(run)[-1]), baseline, RULES, probe=probe, accept=accept)
        save_verdict(run, report)
    return save_picture(report, probe, drawn)


def facts_of(logdir: str | os.PathLike[str], outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """What the demo found, for programs: accuracies, energies, files, and the check of one by the other."""
    folder = Path(logdir)
    newest = Snapshot.load(list_snapshots(folder / "biased")[-1])
    report = compare(newest, Baseline.load(folder / "baseline.npz"), RULES, probe=probe_set())
    return {
        "networks": {
            name: {
                "accuracy": outcome.accuracy,
                "energy": {of: {"first": ends[0], "last": ends[1]} for of, ends in outcome.energy.items()},
                "overview": str(outcome.overview),
            }
            for name, outcome in outcomes.items()
        },
        "learnt": not warning(outcomes),
        "check": as_json(report),
        "page": str(folder / "report.html"),
    }


def probe_set(count: int = PROBE_PICTURES) -> ProbeSet:
    """Validation pictures with aligned tags, sorted by digit; masks "object" and "tag"."""
    found = clever_hans.pictures(count, "aligned", seed=1000, split="validation")
    order = np.argsort(found.labels, kind="stable")
    return ProbeSet(
        found.images[order],
        found.labels[order],
        pictures=found.pictures[order],
        class_names=[f"digit {digit}" for digit in range(10)],
        masks={name: mask[order] for name, mask in found.masks.items()},
    )


def table(outcomes: dict[str, Outcome], probe: ProbeSet) -> str:
    """The outcomes as a small table of text."""
    lines = [
        f"{'':8}{'accuracy on pictures whose tag is':>36}   {'share of Grad-CAM, first > last epoch':>40}",
        f"{'trained':8}{'right':>12}{'absent':>12}{'wrong':>12}   {'on the digit':>20}{'on the tag':>20}",
    ]
    for name, outcome in outcomes.items():
        accuracies = "".join(f"{outcome.accuracy[tags]:12.2f}" for tags in JUDGED)
        energies = "".join(f"{first:>13.2f} >{last:5.2f}" for first, last in outcome.energy.values())
        lines.append(f"{name:8}{accuracies}   {energies}")
    areas = [f"{area_share(probe.masks[energy.split('/')[1]]).mean():.2f}" for energy in ENERGIES]
    lines.append(f"{'(share of the area)':47}{areas[0]:>20}{areas[1]:>20}")
    return "\n".join(lines)


def warning(outcomes: dict[str, Outcome]) -> str:
    """A warning if the networks have not learnt enough for table and check to mean anything; else ""."""
    found = {name: outcome.accuracy["aligned"] for name, outcome in outcomes.items()}
    if min(found.values()) >= LEARNT:
        return ""
    told = " and ".join(f"{value:.2f} ({name})" for name, value in found.items())
    return (
        f"\nThis shows nothing yet: the networks have not learnt, their accuracy is {told}, where guessing "
        "gives 0.10.\nFor the story, run it without --quick, with 8 epochs or more: about two minutes.\n"
    )


def accuracy(net: gluon.Block, tags: str, count: int = 500) -> float:
    """Share of validation pictures with such tags that the network classifies correctly."""
    found = clever_hans.pictures(count, tags, seed=2000, split="validation")
    outputs = net(mx.nd.array(found.images)).asnumpy()
    return float((outputs.argmax(axis=1) == found.labels).mean())


class Progress(gluon_estimator.TrainBegin, gluon_estimator.BatchEnd, gluon_estimator.TrainEnd):
    """A tqdm bar over the batches of a fit."""

    def __init__(self, title: str, batches: int) -> None:
        self._title, self._batches = title, batches

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self._bar = tqdm(total=self._batches, desc=self._title, unit="batch", mininterval=0.5)

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        self._bar.update()
        return False

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self._bar.close()


def _train(
    name: str, training: clever_hans.Training, probe: ProbeSet, run_folder: Path, seed: int
) -> Outcome:
    net = clever_hans.network(seed)
    net.hybridize(static_alloc=True, static_shape=True)
    estimator = gluon_estimator.Estimator(
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        train_metrics=mx.metric.Accuracy(),
        trainer=clever_hans.trainer(net, training),
    )
    estimator.logger.setLevel(logging.WARNING)  # the bar tells enough
    attention = AttentionHandler(probe, run_folder, show=DRAWN)
    batches = training.epochs * (training.pictures // training.batch_size)
    estimator.fit(
        clever_hans.training_data(training, seed),
        epochs=training.epochs,
        event_handlers=[Progress(f"{name:6}", batches), attention],
    )
    first, last = (Snapshot.load(list_snapshots(run_folder)[i]) for i in (1, -1))  # number 0: before training
    return Outcome(
        accuracy={tags: accuracy(net, tags) for tags in JUDGED},
        energy={
            key: (mean_defined(first.measures[key])[0], mean_defined(last.measures[key])[0])
            for key in ENERGIES
        },
        overview=run_folder / "overview.png",
    )
