"""What the benchmarks of cost share: the order in which they measure, and what they say where torch is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from .benchmarks import cold

TORCH_COST = Path(__file__).parent / "benchmarks" / "torch_cost.py"


def test_training_steps_run_before_each_measurement():
    calls = []
    jobs = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = cold.measure(lambda: calls.append("step"), jobs, rounds=2, between=3)
    steps = ["step"] * 3
    assert calls == ["step", "a", "b", *([*steps, "a", *steps, "b"] * 2)]
    assert list(seconds) == ["step", "a", "b"]


def test_background_work_is_waited_for_on_both_sides_of_the_clock(monkeypatch):
    events = []
    monkeypatch.setattr(cold.time, "perf_counter", lambda: events.append("clock") or float(len(events)))
    cold.measure(
        lambda: events.append("step"),
        {"job": lambda: events.append("job")},
        rounds=1,
        between=1,
        finish=lambda: events.append("wait"),
    )
    timed = [["wait", "clock", name, "wait", "clock"] for name in ("step", "job")]
    assert events == ["step", "job", *timed[0], *timed[1]]


@pytest.mark.parametrize("option", ["--rounds", "--between"])
@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_counts_below_one_are_refused(option, value, capsys):
    with pytest.raises(SystemExit):
        cold.options("", cold.BATCHES).parse_args([f"{option}={value}"])
    assert f"a whole number from 1 is needed, got '{value}'" in capsys.readouterr().err


def test_where_torch_is_missing_the_command_that_installs_it_is_named():
    # -S: an interpreter without installed packages
    run = subprocess.run([sys.executable, "-S", str(TORCH_COST)], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("torch is not installed for ")
    assert run.stderr.endswith("pip install captum grad-cam\n")
