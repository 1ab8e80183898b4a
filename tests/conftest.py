"""What holds for every test: Ctrl-C works, random streams start from 0. And the quick demo, for several rooms."""

from __future__ import annotations

import random
import signal

import numpy as np
import pytest

from vizcallbacks.mxnet_door import gluoncv_model_zoo, mx

from .helpers.demo_training import run_demo
from .helpers.once import once

gluoncv_model_zoo()  # tests import GluonCV by its own name, and its warnings would be errors


def pytest_configure():
    # a shell ignores Ctrl-C on behalf of what it runs in the background, which tests and their programs inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seeded():
    random.seed(0)
    np.random.seed(0)
    mx.random.seed(0)


@pytest.fixture(scope="session")
def quick_demo(tmp_path_factory):
    """The quick demo, as `run_demo` leaves it."""
    return once(tmp_path_factory, "quick-demo", lambda folder: run_demo(folder, "--quick"))
