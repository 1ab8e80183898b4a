"""A method that nobody has heard of: one function and one line in METHODS, and everything takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.attribution.methods import METHODS, Method, chosen_methods

from ..helpers.nets import images, small_net

CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"
PROBE = vc.ProbeSet(images(3, size=16), np.arange(3))


def root_mean_square(activation, gradient):
    """What the layer's maps times their gradients are on average over the maps, whatever the sign."""
    return np.sqrt(((activation * gradient) ** 2).mean(axis=1))


@pytest.fixture(autouse=True)
def _(monkeypatch):
    entry = Method(root_mean_square, ("activation", "gradient"), "layer", False, True, "Newcomer")
    monkeypatch.setitem(METHODS, "newcomer", entry)


def test_explain_and_sanity_take_it():
    net = small_net()
    result = vc.explain(net, PROBE, ("newcomer", "grad_cam"))
    assert result["newcomer"].shape == result["grad_cam"].shape
    assert result.at_image_size("newcomer").shape == (3, 16, 16)
    assert chosen_methods("all-fast")[-1] == "newcomer"
    assert set(vc.explain(net, PROBE, "all-fast").maps) == set(chosen_methods("all-fast"))
    assert vc.sanity(net, PROBE, "newcomer", stages=2).similarity["newcomer"].shape == (2, 3)
    assert set(vc.ask_net(net, result, "newcomer", steps=2)) == {"deletion", "insertion", "drop", "increase"}


def test_a_monitor_measures_draws_and_keeps_it(tmp_path):
    net = small_net()
    with vc.AttentionMonitor(PROBE, tmp_path, ("newcomer", "saliency"), on_error="raise") as monitor:
        for step in range(2):
            monitor.snapshot(net, step)
    expected = vc.explain(net, PROBE, "newcomer", targets="label")["newcomer"]
    run = vc.Run(tmp_path)
    assert list(run.steps) == [0, 1]
    for snapshot in map(run.snapshot, run.steps):
        np.testing.assert_allclose(snapshot.maps["newcomer"], expected, rtol=1e-5)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert "attention/overview_newcomer" in events.Tags()["images"]


def test_the_command_explains_by_it(tmp_path, capsys):
    assert cli.main(["explain", str(CAT), "--out", str(tmp_path), "--methods", "newcomer", "--raw"]) == 0
    assert "1 of 1 explained" in capsys.readouterr().out
    with np.load(tmp_path / "chelsea.npz") as arrays:
        assert arrays["newcomer"].shape == (7, 7)
    with pytest.raises(SystemExit):
        cli.main(["explain", "--help"])
    assert "newcomer" in capsys.readouterr().out
