"""The demo's biased training, replayed from its checkpoints: the same bits, report and first bad epoch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mxnet import gluon
from mxnet.gluon.contrib.estimator import CheckpointHandler, Estimator

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.demo import clever_hans
from vizcallbacks.demo import run as demo

from ..helpers.checkpoints import differences, snapshots

ROOT = Path(__file__).parents[2]
EPOCHS = 4
RULE = "energy/tag <= 0.2"
OPTIONS = {"methods": "grad_cam", "batch_size": 50, "show": 2}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the watched run, its checkpoints and the probe set."""
    home = tmp_path_factory.mktemp("trained")
    probe, training = demo.probe_set(60), replace(clever_hans.RUNS["biased"], epochs=EPOCHS)
    net = clever_hans.network()
    estimator = Estimator(
        net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer=clever_hans.trainer(net, training)
    )
    handlers = [
        vc.AttentionHandler(probe, home / "run", before_training=False, **OPTIONS),
        CheckpointHandler(str(home / "checkpoints"), "biased", max_checkpoints=100),
    ]
    estimator.fit(clever_hans.training_data(training), epochs=EPOCHS, event_handlers=handlers)
    probe.save(home / "probe.npz")
    return home


def first_bad(printed):
    return re.search(r"first bad(?: step)?:\D*(\d+)", printed)[1]


def test_a_replay_gives_the_bits_the_report_and_the_first_bad_epoch_of_the_training(
    trained, tmp_path, capsys
):
    probe = vc.ProbeSet.load(trained / "probe.npz")
    done = vc.replay(
        trained / "checkpoints",
        clever_hans.network,
        probe,
        tmp_path / "run",
        thresholds=dict([RULE.split(" ", 1)]),
        action="log",
        check_from=0,
        **OPTIONS,
    )
    assert done.steps == tuple(range(1, EPOCHS + 1))
    assert done.passed is False
    for one, other in zip(snapshots(trained / "run"), snapshots(tmp_path / "run")):
        assert differences(one, other) == []
    said = []
    for run in (trained / "run", tmp_path / "run"):
        capsys.readouterr()
        assert cli.main(["check", str(run), "--rule", RULE, "--all"]) == 1
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert cli.main(["check", str(tmp_path / "run"), "--rule", RULE, "--first-bad"]) == 1
    named = first_bad(capsys.readouterr().out)
    line = ["replay", str(trained / "checkpoints"), "--net", "vizcallbacks.demo.clever_hans:network"]
    line += [
        "--probe",
        str(trained / "probe.npz"),
        "--logdir",
        str(tmp_path / "bisection"),
        "--methods",
        "grad_cam",
    ]
    assert cli.main([*line, "--rule", RULE, "--first-bad"]) == 1
    assert first_bad(capsys.readouterr().out) == named


def test_the_example_runs_and_its_two_ways_name_one_epoch(tmp_path):
    environment = {**os.environ, "PYTHON": f"{sys.executable} -W ignore"}
    line = ["sh", str(ROOT / "examples" / "replay.sh"), str(tmp_path / "replay"), str(EPOCHS)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("exit code 1") == 2, done.stdout
    named = re.findall(r"first bad(?: step)?:\D*(\d+)", done.stdout)
    assert len(named) == 2, done.stdout
    assert named[0] == named[1]
    assert (tmp_path / "replay" / "report.html").stat().st_size > 100_000
