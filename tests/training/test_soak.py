"""Half a minute of what `tests/benchmarks/soak.py` does for an hour."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ..helpers.processes import ENVIRONMENT, ROOT

SCRIPT = """
import dataclasses, json, pathlib, sys
from tests.benchmarks.soak import soak
found = soak(pathlib.Path(sys.argv[1]), 0.5, seed=2, pause=0.1)
print(json.dumps(dataclasses.asdict(found)))
"""


@pytest.mark.slow
def test_on_a_disk_that_comes_and_goes_all_that_is_stored_is_right_and_all_that_is_not_is_told(tmp_path):
    unshare = ["unshare", "--mount", "--map-root-user"]
    (tmp_path / "try").mkdir()
    trial = [*unshare, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "try")]
    if subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    command = [*unshare, sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["steps"] > 0
    assert found["same_parameters"]
    assert found["stored"] == found["steps"] - len(found["missing"]) > 0
    assert (found["different"], found["untold"], found["left_over"]) == ([], [], [])
