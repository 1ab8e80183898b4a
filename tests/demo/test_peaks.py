"""Peaks tell the network that looks at tags from the one that looks at digits, without a mask."""

from __future__ import annotations

import pytest

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans
from vizcallbacks.demo import run as demo
from vizcallbacks.regression.snapshot import read_run

from ..helpers.demo_training import train


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_patches_of_the_biased_network_are_alike_within_a_class_and_those_of_the_honest_one_are_not(
    seed, tmp_path
):
    probe = demo.probe_set()
    found = {}
    for name, training in clever_hans.RUNS.items():
        train(name, seed, probe, tmp_path / name, training.epochs, epoch_period=4)
        taken, stored = read_run(tmp_path / name)
        found[name] = vc.peaks(taken, stored)
        print(f"seed {seed}, {name}: {found[name]}")
    for peaks in found.values():
        assert len(peaks) + len(peaks.dead) == len(probe)
        assert set(peaks.sameness) == set(range(10))
    assert found["biased"].overall.value < 0.55 < 0.8 < found["honest"].overall.value
    assert found["biased"].overall.value < 0.3 * found["biased"].overall.chance
    assert found["honest"].overall.value > 0.5 * found["honest"].overall.chance
