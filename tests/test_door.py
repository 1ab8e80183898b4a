"""Nothing heavy at the door: what works without MXNet, and what an import costs the user's process: nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import vizcallbacks as vc

ROOT = Path(__file__).parents[1]
OLD = Path(__file__).parent / "data" / "version_0_1_0"
HEAVY = {"mxnet", "gluoncv", "cv2", "pandas", "scipy", "matplotlib", "numpy", "PIL", "tensorboardX", "pytest"}

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mxnet", "gluoncv"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
"""


def python(code, *arguments, blocked=False):
    """Run code in a new interpreter where every warning is an error; returns what it printed."""
    line = [sys.executable, "-W", "error", "-c", (BLOCKED if blocked else "") + code, *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_nothing_else():
    code = "import sys, json, vizcallbacks; print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    assert not HEAVY & set(json.loads(python(code)))


def test_every_public_name_is_there_and_is_listed():
    assert set(vc.__all__) <= set(dir(vc))
    for name in vc.__all__:
        assert getattr(vc, name) is not None
    with pytest.raises(AttributeError, match="module 'vizcallbacks' has no attribute 'explian'"):
        vc.explian  # noqa: B018


def test_no_public_name_is_overwritten_by_a_module_of_its_name():
    code = """
import importlib, pkgutil, types, vizcallbacks as vc
for found in pkgutil.walk_packages(vc.__path__, "vizcallbacks."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
for name in vc.__all__:
    module = isinstance(getattr(vc, name), types.ModuleType)
    assert module == (name in ("gradcam", "nn", "pretrained", "targets")), name
"""
    line = [sys.executable, "-W", "ignore", "-c", code]
    subprocess.run(line, cwd=ROOT, check=True)


ROOMS_WITHOUT = ["measures", "probes", "tensorboard", "pictures", "regression", "view"]


@pytest.mark.parametrize("room", ROOMS_WITHOUT)
def test_the_rooms_that_work_on_stored_maps_import_without_mxnet(room):
    names = [f"vizcallbacks.{room}.{path.stem}" for path in (ROOT / "vizcallbacks" / room).glob("[a-z]*.py")]
    assert names
    python(f"import {', '.join(names)}", blocked=True)


@pytest.mark.parametrize("name", ["ProbeSet", "Snapshot", "Baseline", "Report", "compare", "Attributions"])
def test_public_names_of_stored_maps_work_without_mxnet(name):
    python(f"import vizcallbacks as vc; vc.{name}", blocked=True)


WATCHING = ["monitor", "plan", "journal", "run_folder", "album", "alarm", "jobs", "workers", "budget"]


def test_what_watches_a_training_loads_without_mxnet():
    python(f"import {', '.join(f'vizcallbacks.training.{name}' for name in WATCHING)}", blocked=True)


MADE = """
import logging, sys, numpy as np, vizcallbacks as vc
from vizcallbacks.training.album import Album
from vizcallbacks.training.alarm import Alarm
from vizcallbacks.training.journal import Journal
from vizcallbacks.training.plan import Plan
from vizcallbacks.training.run_folder import RunFolder
run, baseline = sys.argv[1:]
probe = vc.ProbeSet.load(baseline + "/run/attention/probe.npz")
checked = {"baseline": baseline + "/baseline.npz", "methods": "grad_cam"}
plan = Plan(probe, **checked)
Journal(plan, run, logging.getLogger())
RunFolder(run, "", logging.getLogger())
Album(probe, ("grad_cam",), 4)
Alarm(probe, ("grad_cam",), checked["baseline"])
vc.AttentionMonitor(probe, run, **checked).close()
for wrong in ({"methods": "cam"}, {"targets": [0]}, {"targets": "labels"}, {"batch_size": 0}):
    try:
        vc.AttentionMonitor(probe, run, **wrong)
    except ValueError as error:
        print(error)
"""


def test_what_watches_a_training_is_made_and_checks_its_arguments_without_mxnet(tmp_path):
    printed = python(MADE, tmp_path / "run", OLD, blocked=True).splitlines()
    assert [line.split()[0] for line in printed] == ["methods", "targets", "targets", "batch_size"]
    assert not (tmp_path / "run").exists()


RECORDED = """
import sys, numpy as np, vizcallbacks as vc
run, old = sys.argv[1:]
probe = vc.ProbeSet.load(old + "/probe.npz")
rng = np.random.RandomState(0)
with vc.AttentionMonitor(probe, run, baseline=old + "/baseline.npz", on_error="raise") as monitor:
    for step in range(3):
        maps = {"grad_cam": rng.uniform(size=(4, 8, 8))}
        monitor.record(step, maps, outputs=rng.normal(size=(4, 4)), layer="4")
    print(monitor.failures, monitor.report.passed)
"""


def test_maps_from_elsewhere_are_logged_checked_and_kept_without_mxnet(tmp_path):
    assert python(RECORDED, tmp_path, OLD, blocked=True).split() == ["0", "False"]
    assert len(list(tmp_path.glob("attention/snapshot-*.npz"))) == 3
    assert len(list(tmp_path.glob("*tfevents*"))) == 1


COMMAND = "import sys; from vizcallbacks.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize(
    "line",
    [
        ["--help"],
        ["--version"],
        ["check", "--help"],
        ["check", OLD / "run", "--baseline", OLD / "baseline.npz"],
        ["check", OLD / "run", "--rule", "dead <= 1"],
    ],
    ids=["help", "version", "help of check", "check", "check of rules"],
)
def test_the_command_works_without_mxnet_where_no_net_is_run(line):
    assert python(COMMAND, *line, blocked=True)


def test_accept_and_the_pictures_of_check_work_without_mxnet(tmp_path):
    python(COMMAND, "accept", OLD / "run", "--out", tmp_path / "b.npz", blocked=True)
    python(COMMAND, "check", OLD / "run", "--baseline", tmp_path / "b.npz", "--report", tmp_path / "r.png",
           "--junit", tmp_path / "r.xml", "--json", tmp_path / "r.json", blocked=True)  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"b.npz", "r.png", "r.xml", "r.json"}


def test_the_package_runs_as_a_module():
    line = [sys.executable, "-m", "vizcallbacks", "--version"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"vizcallbacks {vc.__version__}\n"


def test_the_pytest_plugin_imports_only_itself_until_the_fixture_is_used():
    code = "import sys, json, vizcallbacks.pytest_plugin; print(json.dumps([*sys.modules]))"
    assert not (HEAVY - {"pytest"}) & {name.split(".")[0] for name in json.loads(python(code))}
