"""``vizcallbacks replay``: snapshots from saved parameters, as if they had been taken in the training."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from ..named import FORM, find_function, is_named
from ..pretrained import zoo
from ..pretrained.efficientnet import EfficientNetLite
from ..pretrained.preprocessing import EFFICIENTNET_LITE0, PretrainedModel, preprocessing_of
from ..probes.photographs import read_photograph
from ..probes.probe_set import ProbeSet
from ..regression.rules import split_named
from ..regression.snapshot import read_run
from ..training.bisection import find_first_bad
from ..training.loading import SymbolNet
from ..training.replay import replay
from ..training.source import Follow
from .json_out import take_json, write_json
from .terminal import say, take_output, take_rules

DESCRIPTION = (
    "Explains the probe images by each checkpoint of a training, and writes the run's folder that snapshots in "
    "the training would have written, to the bit. Steps that are there already are not taken again. Exit code: "
    "0 all taken, 1 the last snapshot fails its check (or, with --first-bad, one does), 2 something is wrong, or "
    "a checkpoint could not be used; those are named."
)


def run(options: argparse.Namespace) -> int:
    """Replay checkpoints. Returns 0 if all were taken, 1 if the check failed, 2 if some could not be used."""
    like = _like(options.like)
    make_net = _make_net(options)
    probe = _probe(options, like)
    asked = _asked(options, like)
    where = {"step_from": options.step_from, "every": options.every}
    if options.first_bad:
        return _first_bad(options, make_net, probe, {**where, **asked})
    follow = None
    if options.follow:
        idle = None if options.idle is None else 60 * options.idle
        follow = Follow(until=options.until, idle=idle)
    elif options.until is not None or options.idle is not None:
        raise ValueError("--until and --idle go with --follow")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    with tqdm(unit="checkpoint", disable=None) as bar:

        def told(total: int | None, done: int, when: str) -> None:
            bar.total = total
            bar.set_postfix_str(when, refresh=False)
            bar.update(done - bar.n)

        found = replay(
            options.checkpoints,
            make_net,
            probe,
            options.logdir,
            options.workers,
            cluster=options.cluster,
            follow=follow,
            told=told,
            **where,
            **asked,
        )
    _name(found.skipped)
    newest = f", up to step {found.steps[-1]}" if found.steps else ""
    say(f"{len(found.steps)} snapshots taken{newest}, in {found.run}")
    if found.passed is not None:
        say("the last snapshot " + ("passes its check" if found.passed else "fails its check"))
    facts = {"run": str(found.run), "steps": found.steps, "skipped": found.skipped, "passed": found.passed}
    write_json(options, facts)
    return 2 if found.skipped else 1 if found.passed is False else 0


def _first_bad(options: argparse.Namespace, make_net: Any, probe: ProbeSet, asked: dict[str, Any]) -> int:
    if options.follow or options.workers != 1 or options.cluster is not None:
        raise ValueError(
            "--first-bad looks at one checkpoint after another; leave out --follow, --workers and --cluster"
        )
    found = find_first_bad(
        options.checkpoints,
        make_net,
        probe,
        options.logdir,
        told=lambda step, passed: say(f"step {step}: {'passed' if passed else 'failed'}"),
        **asked,
    )
    _name(found.skipped)
    write_json(
        options,
        {
            "run": options.logdir,
            "first_bad": found.step,
            "checkpoint": found.path,
            "looked_at": {step: report.passed for step, report in found.reports.items()},
            "checkpoints": found.count,
            "skipped": found.skipped,
        },
    )
    looked = f"looked at {len(found.reports)} of {found.count}: steps {', '.join(map(str, found.reports))}"
    if found.step is None:
        say(f"no bad checkpoint, as the last one passes ({looked})")
        return 2 if found.skipped else 0
    say(f"first bad: step {found.step}, {found.path} ({looked})")
    say(*str(found.reports[found.step]).split("\n"))
    return 1


def _name(skipped: dict[str, str]) -> None:
    for path, reason in skipped.items():
        say(f"skipped: {reason if path in reason else f'{path}: {reason}'}", file=sys.stderr)


@dataclass(frozen=True)
class ZooNet:
    """A net factory: an image classifier of the zoos, without weights."""

    name: str
    classes: int | None

    def __call__(self) -> Any:
        if self.name == "efficientnet_lite0":
            return EfficientNetLite(classes=self.classes or 1000)
        return zoo.find(self.name).build(self.classes)


@dataclass(frozen=True)
class NamedNet:
    """A net factory: a function of the user's, found where the net is built."""

    name: str

    def __call__(self) -> Any:
        return find_function(self.name, "--net")()


def _make_net(options: argparse.Namespace) -> Callable[[], Any]:
    if options.net.endswith(".json"):
        factory: Any = SymbolNet(os.path.abspath(options.net))
        factory.inputs  # noqa: B018  # raises where it is no graph
        return factory
    if is_named(options.net) and not options.net.startswith(("gluon:", "gluoncv:")):
        find_function(options.net, "--net")
        return NamedNet(options.net)
    if options.net != "efficientnet_lite0":
        zoo.find(options.net)
    return ZooNet(options.net, options.classes)


def _like(path: str | None) -> tuple[Any, ProbeSet] | None:
    return None if path is None else read_run(path)


def _probe(options: argparse.Namespace, like: Any) -> ProbeSet:
    if options.probe is None:
        if like is None:
            raise ValueError(
                "give --probe, such as --probe probe.npz (see vizcallbacks probe), or --like RUN"
            )
        return like[1]
    if not os.path.isdir(options.probe):
        return ProbeSet.load(options.probe)
    if options.net.endswith(".json") or (is_named(options.net) and not options.net.startswith("gluon")):
        raise ValueError(
            f"--probe must be a probe set's file for a net of one's own, got the folder {options.probe!r}, as "
            "it is not known how the net wants its pictures; make one: vizcallbacks probe FOLDER --out probe.npz"
        )
    name = options.net if options.net == "efficientnet_lite0" else zoo.find(options.net).name
    known = EFFICIENTNET_LITE0 if name == "efficientnet_lite0" else preprocessing_of(name)
    model = PretrainedModel(name, None, (), known)
    probe = ProbeSet.from_folder(options.probe, lambda picture: model.to_input(model.crop(picture)))
    pictures = [model.crop(read_photograph(os.path.join(options.probe, one))) for one in probe.names]
    return ProbeSet(
        probe.images, probe.labels, pictures=pictures, names=probe.names, class_names=probe.class_names
    )


def _asked(options: argparse.Namespace, like: Any) -> dict[str, Any]:
    """Options of `AttentionMonitor`: those given, else those of the run `like`."""
    asked: dict[str, Any] = {}
    if like is not None:
        snapshot, probe = like
        asked = {"layer": snapshot.layer, "methods": tuple(snapshot.maps), "output": snapshot.output}
        if len(snapshot.targets) and (snapshot.targets >= 0).all():
            is_label = probe.labels is not None and (snapshot.targets == probe.labels).all()
            asked["targets"] = "label" if is_label else None
        say(f"as in {options.like}: layer {snapshot.layer}, methods {', '.join(snapshot.maps)}")
    given = {
        "layer": options.layer,
        "methods": None if options.methods is None else tuple(options.methods.split(",")),
        "batch_size": options.batch_size,
        "output": options.output,
        "show": options.show,
        "baseline": options.baseline,
        "thresholds": split_named(options.rule) if options.rule else None,
    }
    asked.update({name: value for name, value in given.items() if value is not None})
    if options.targets is not None:
        asked["targets"] = _targets(options.targets)
    return asked


def _targets(text: str) -> Any:
    if text in ("label", "predicted"):
        return "label" if text == "label" else None
    if not text.isdecimal():
        raise ValueError(f"--targets must be label, predicted or a class's number, got {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument(
        "checkpoints",
        nargs="+",
        metavar="CHECKPOINT",
        help="files, or folders of files, named as by the Estimator's CheckpointHandler (m-epoch3batch40.params), "
        "net.export (m-0012.params) or GluonCV's scripts (0.9312-m-7-best.params); others with --step-from",
    )
    net = parser.add_argument_group("the net and its images")
    net.add_argument(
        "--net",
        required=True,
        metavar="NET",
        help=f"{FORM}, which builds the net (modules of the current folder are found); or an image classifier of "
        "Gluon's or GluonCV's zoo; or the -symbol.json file that net.export wrote",
    )
    net.add_argument(
        "--classes", type=int, metavar="N", help="of a zoo's net, if not those of its own weights"
    )
    net.add_argument(
        "--probe", metavar="NPZ", help="a probe set's file; with a zoo's net also a folder of class folders"
    )
    net.add_argument(
        "--like",
        metavar="RUN",
        help="take from a run: the probe set, layer, methods of the CAM family, targets, and what outputs are",
    )
    asked = parser.add_argument_group("what is asked of each checkpoint")
    asked.add_argument("--layer", help="whose maps are taken, by path or name (default: as for 'explain')")
    asked.add_argument("--methods", metavar="NAME,...", help="as for 'explain'")
    asked.add_argument(
        "--targets", metavar="label|predicted|N", help="the classes explained (default: label)"
    )
    take_output(asked)
    asked.add_argument("--batch-size", type=int, metavar="N", help="images at a time (default: 16)")
    checks = parser.add_argument_group("checks of each snapshot")
    take_rules(checks)
    checks.add_argument(
        "--first-bad",
        action="store_true",
        help="find the first checkpoint that fails --baseline or --rule, by bisection: of 1000, eleven are "
        "explained",
    )
    kept = parser.add_argument_group("what is taken and kept")
    kept.add_argument(
        "--logdir", required=True, metavar="RUN", help="the run's folder, where TensorBoard looks"
    )
    kept.add_argument("--show", type=int, metavar="N", help="how many images are drawn at most (default: 12)")
    kept.add_argument(
        "--step-from", metavar="REGEX", help="where the step stands in a file's name, such as 'step(\\d+)'"
    )
    kept.add_argument("--every", type=int, default=1, metavar="N", help="only steps that are a multiple of N")
    processes = parser.add_argument_group("processes")
    processes.add_argument(
        "--workers", type=int, default=1, metavar="N", help="number of processes (default: 1)"
    )
    processes.add_argument(
        "--cluster", metavar="ADDRESS", help="a Dask scheduler's address, such as tcp://10.0.0.1:8786"
    )
    beside = parser.add_argument_group("beside a training")
    beside.add_argument(
        "--follow",
        action="store_true",
        help="keep taking checkpoints as a training writes them, until --until, --idle or Ctrl-C",
    )
    beside.add_argument("--until", type=int, metavar="STEP", help="with --follow: the last step")
    beside.add_argument(
        "--idle", type=float, metavar="MINUTES", help="with --follow: end after so long without a new one"
    )
    take_json(parser)
