"""A network that learns to look at the wrong thing fails, in training and afterwards; honest ones do not."""

from __future__ import annotations

import json

import pytest

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.demo import run as demo
from vizcallbacks.regression.snapshot import list_snapshots

from ..helpers.demo_training import EPOCHS, train


@pytest.mark.slow
def test_the_biased_network_is_stopped_and_fails_the_check_that_honest_ones_pass(trained, tmp_path, capsys):
    probe = demo.probe_set()
    assert len(probe) == 200
    runs = {name: str(tmp_path / name) for name in ("third", "biased")}
    baseline = str(tmp_path / "baseline.npz")
    first, second = (str(trained("honest", seed)) for seed in (0, 1))
    assert cli.main(["accept", first, second, "--out", baseline]) == 0

    alarm = {
        "baseline": baseline,
        "thresholds": {"energy/tag": "within noise"},
        "patience": 2,
        "action": "stop",
    }
    third = train("honest", 2, probe, runs["third"], EPOCHS, **alarm)
    assert not third.monitor.should_stop
    assert len(list_snapshots(runs["third"])) == 1 + EPOCHS
    capsys.readouterr()
    assert cli.main(["check", runs["third"], "--baseline", baseline]) == 0

    biased = train("biased", 2, probe, runs["biased"], EPOCHS, **alarm)
    assert biased.monitor.should_stop
    last = vc.Snapshot.load(list_snapshots(runs["biased"])[-1])
    assert last.step < EPOCHS
    assert "FAIL  energy/tag within noise" in str(biased.monitor.report)
    capsys.readouterr()
    out = str(tmp_path / "out.json")
    picture = str(tmp_path / "out.png")
    assert (
        cli.main(["check", runs["biased"], "--baseline", baseline, "--json", out, "--report", picture]) == 1
    )
    printed = capsys.readouterr().out
    assert "FAIL  energy/tag within noise: mean" in printed
    assert f"picture: {picture}" in printed
    found = json.loads((tmp_path / "out.json").read_text())
    (tag,) = [rule for rule in found["rules"] if rule["rule"] == "energy/tag within noise"]
    assert tag["value"] > tag["high"] > tag["baseline"]
    assert len(tag["failing_images"]) > 20
