"""The README of the room says what the code does: the table of measures, and the commands."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vizcallbacks
from vizcallbacks.cli import accept, check
from vizcallbacks.regression.accepting import VACUOUS
from vizcallbacks.regression.quantities import QUANTITIES
from vizcallbacks.regression.rules import parse_rules, split_named
from vizcallbacks.training.best import CLEARLY, STEADY

README = (Path(vizcallbacks.__file__).parent / "regression" / "README.md").read_text(encoding="utf-8")


def table():
    """The table of measures, as it must stand in the README."""
    lines = [
        "| name in a rule | what it says | range | better | one run's tolerance |",
        "|---|---|---|---|---|",
    ]
    for key, quantity in QUANTITIES.items():
        name = {"": key, "mask": f"{key}/MASK", "method": f"METHOD/{key}"}[quantity.of]
        low, high = quantity.range
        reach = f"{low:g} to {high:g}" if np.isfinite(high - low) else "any"
        tolerance = "none" if quantity.tolerance is None else f"{quantity.tolerance:g}"
        says = quantity.sentence.format(of={"mask": "MASK", "method": "METHOD", "": ""}[quantity.of])
        lines.append(f"| `{name}` | {says} | {reach} | {quantity.better or '–'} | {tolerance} |")
    return "\n".join(lines)


def test_the_table_of_measures_is_that_of_the_code():
    assert table() in README, f"put this into regression/README.md:\n{table()}"


@pytest.mark.parametrize("rule", re.findall(r"^- `([^`]+)`:", README, re.MULTILINE))
def test_each_form_of_a_rule_in_the_readme_is_read(rule):
    assert parse_rules(split_named([rule]))


@pytest.mark.parametrize(
    "line", re.findall(r"^ *(?:- run: )?(vizcallbacks (?:accept|check) .*)$", README, re.MULTILINE)
)
def test_each_command_in_the_readme_is_understood(line):
    words = shlex.split(line, comments=True)[1:]
    parser = argparse.ArgumentParser()
    {"accept": accept, "check": check}[words[0]].add_arguments(parser)
    parser.parse_args(words[1:])


def test_the_numbers_in_the_readme_are_those_of_the_code():
    assert f"more than {100 * VACUOUS:.0f} %" in README
    assert f"by {CLEARLY:g}" in README
    assert STEADY == 3
    assert "three snapshots in a row" in README


TRAIN = """
import argparse, numpy as np, vizcallbacks as vc
from tests.helpers.probes import probe_set
from tests.helpers.runs import write_run
parser = argparse.ArgumentParser()
parser.add_argument("--logdir")
parser.add_argument("--look-at", default=open("look_at").read())
options = parser.parse_args()
plain = probe_set(12, 16)
masks = {name: np.zeros((12, 16, 16), bool) for name in ("object", "tag")}
masks["object"][:, 4:12, 4:12] = masks["tag"][:, :4, :4] = True
write_run(options.logdir, vc.ProbeSet(plain.images, np.arange(12) % 3, masks=masks), options.look_at)
"""


@pytest.mark.parametrize(
    ("look_at", "passes"), [pytest.param("object", True, marks=pytest.mark.slow), ("tag", False)]
)
def test_the_ci_in_the_readme_fails_where_attention_regressed_and_tells_it(look_at, passes, tmp_path):
    (job,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert len(job.strip().splitlines()) <= 11
    run = [line.split("run: ", 1)[1] for line in job.splitlines() if "run: " in line]
    assert run[0].startswith("pip install")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "look_at").write_text("object")
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": places,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }

    def shell(line):
        return subprocess.run(
            ["sh", "-ec", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    made = shell("python train.py --logdir runs/good && vizcallbacks accept runs/good --out baseline.npz")
    assert made.returncode == 0, made.stderr
    (tmp_path / "look_at").write_text(look_at)
    assert shell(run[1]).returncode == 0
    checked = shell(run[2])
    assert checked.returncode == (0 if passes else 1), checked.stderr
    assert ("passed" if passes else "FAILED") in checked.stdout
    assert 'failures="0"' in (tmp_path / "attention.xml").read_text() or not passes
    assert (tmp_path / "worst.png").stat().st_size > 1000
    assert "energy/tag" in (tmp_path / "summary.md").read_text()
