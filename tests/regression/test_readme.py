"""The README of the room says what the code does: the table of measures, and the commands."""

from __future__ import annotations

import argparse
import re
import shlex
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
