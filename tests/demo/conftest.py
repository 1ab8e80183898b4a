"""Trainings of the demo that several tests look at, each done once in a session."""

from __future__ import annotations

import pytest

from vizcallbacks.demo import run as demo

from ..helpers.demo_training import EPOCHS, run_demo, train
from ..helpers.once import once


@pytest.fixture(scope="session")
def whole_demo(tmp_path_factory):
    """The demo at its own length, from another seed than the README's, as `run_demo` leaves it."""
    return once(tmp_path_factory, "whole-demo", lambda folder: run_demo(folder, "--seed", "3"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """(name, seed) -> the run's folder of that network after `EPOCHS` epochs."""

    def run_of(name, seed):
        probe = demo.probe_set()
        return once(
            tmp_path_factory, f"{name}-{seed}", lambda folder: train(name, seed, probe, folder, EPOCHS)
        )

    return run_of
