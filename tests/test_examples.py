"""The examples that no other test runs, in a form that is fast."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import vizcallbacks as vc

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_detector_of_the_example_is_trained_and_watched(tmp_path):
    line = [
        sys.executable,
        "-W",
        "ignore",
        "examples/detection.py",
        str(tmp_path),
        "--pictures",
        "64",
        "--epochs",
        "1",
    ]
    done = subprocess.run(
        line,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 1: loss " in done.stdout
    assert "of LayerCAM in the boxes" in done.stdout
    run = vc.Run(tmp_path)
    assert run.steps == (0, 1)
    for taken in run:
        assert list(taken.maps) == ["layer_cam", "grad_cam"]
        assert np.isfinite(taken.measures["score"]).all()
    assert cv2.imread(str(tmp_path / "overview.png")) is not None
