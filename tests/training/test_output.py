"""What a net's outputs are (`output=`): in snapshots, in their files, in maps from elsewhere, and in a replay."""

from __future__ import annotations

import sys

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

import vizcallbacks as vc
from vizcallbacks.cli import main
from vizcallbacks.regression.snapshot import Snapshot, list_snapshots

from ..helpers.probes import probe_set


def build():
    """A net of one output, without parameters."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, activation="relu"), nn.GlobalAvgPool2D(), nn.Dense(1))
    return net


def trained():
    mx.random.seed(2)
    net = build()
    net.initialize(mx.init.Xavier())
    return net


def watched():
    probe = probe_set(6, 12)
    return vc.ProbeSet(probe.images, np.zeros(6, int))


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


OPTIONS = {"methods": "grad_cam", "targets": 0, "show": 2, "on_error": "raise"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a net with one output, which is a logit; beside it its parameters and the probe set."""
    home, net = tmp_path_factory.mktemp("output"), trained()
    with vc.AttentionMonitor(watched(), home / "run", output="sigmoid", **OPTIONS) as monitor:
        monitor.snapshot(net, step=1)
    net.save_parameters(str(home / "m-epoch0batch1.params"))
    watched().save(home / "probe.npz")
    return home


def stored(folder):
    return Snapshot.load(list_snapshots(folder)[-1])


def test_a_snapshot_tells_probabilities_by_the_sigmoid_and_keeps_that(run):
    taken, probe = stored(run / "run"), watched()
    chances = sigmoid(trained()(mx.nd.array(probe.images)).asnumpy()[:, 0])
    assert taken.output == "sigmoid"
    np.testing.assert_allclose(taken.measures["probability"], chances, atol=1e-6)
    np.testing.assert_allclose(taken.confidence, np.maximum(chances, 1 - chances), atol=1e-6)
    assert (taken.predictions == (chances >= 0.5)).all()


def test_without_it_a_single_output_has_no_probability(tmp_path):
    with vc.AttentionMonitor(watched(), tmp_path, **OPTIONS) as monitor:
        taken = monitor.snapshot(trained(), step=1)
    assert taken.output is None
    assert np.isnan(taken.confidence).all()


def test_maps_from_elsewhere_take_it(run, tmp_path):
    probe, before = watched(), stored(run / "run")
    outputs = trained()(mx.nd.array(probe.images)).asnumpy()
    with vc.AttentionMonitor(probe, tmp_path, output="sigmoid", **OPTIONS) as monitor:
        taken = monitor.record(
            1, before.maps, outputs, when=before.when, layer=before.layer, relus=before.relus, pure=True
        )
    assert taken.equals(before)
    assert taken.output == "sigmoid"
    again = vc.Snapshot.from_arrays(probe, 1, before.maps, outputs, 0, output="logits")
    assert again.output == "logits"
    with pytest.raises(
        ValueError, match="output must be None or one of 'logits', 'probabilities', 'sigmoid', got 'soft'"
    ):
        vc.Snapshot.from_arrays(probe, 1, before.maps, outputs, 0, output="soft")


def test_wrong_words_are_refused_when_monitor_or_handler_are_made(tmp_path):
    for make in (vc.AttentionMonitor, vc.AttentionHandler):
        with pytest.raises(ValueError, match="output must be None or one of"):
            make(watched(), tmp_path, output="softmax")


def test_the_handler_hands_it_on(tmp_path):
    handler = vc.AttentionHandler(watched(), tmp_path, output="sigmoid", **OPTIONS)
    assert handler._plan.output == "sigmoid"


def test_a_replay_and_one_like_the_run_give_the_same_snapshot(run, tmp_path, monkeypatch, capsys):
    checkpoint = run / "m-epoch0batch1.params"
    vc.replay(checkpoint, build, watched(), tmp_path / "a", output="sigmoid", methods="grad_cam", targets=0)
    monkeypatch.setattr(sys, "path", list(sys.path))
    given = ["replay", str(checkpoint), "--net", "tests.training.test_output:build"]
    assert main([*given, "--logdir", str(tmp_path / "b"), "--like", str(run / "run")]) == 0
    asked = ("--probe", run / "probe.npz", "--output", "sigmoid", "--targets", 0, "--methods", "grad_cam")
    assert main([*given, "--logdir", str(tmp_path / "c"), *map(str, asked)]) == 0
    for folder in ("a", "b", "c"):
        assert stored(tmp_path / folder).equals(stored(run / "run")), folder
        assert stored(tmp_path / folder).output == "sigmoid", folder
    capsys.readouterr()


def test_labels_of_two_classes_on_one_output_are_refused_with_what_to_ask_instead(tmp_path):
    probe = vc.ProbeSet(watched().images, [0, 1] * 3)
    monitor = vc.AttentionMonitor(probe, tmp_path, "grad_cam", output="sigmoid")
    with pytest.raises(
        ValueError, match="below the net's number of classes, 1, got 1; .* targets=0 explains"
    ):
        monitor.snapshot(trained(), 0)
