"""What the benchmarks of cost share: the order in which they measure, and what they say where torch is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from .benchmarks import cold, kernels

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


def test_onednns_account_is_told_apart_by_call_and_kind():
    run = "dnnl_verbose,exec,cpu,{},jit:avx2,{},src_f32::blocked:abcd:f0,,alg:any,mb2,{}"
    lines = [
        run.format("convolution", "forward_training", 100),  # before the first mark
        f"{kernels.BEGIN}floor",
        run.format("convolution", "forward_training", 1.5),
        run.format("convolution", "backward_data", 2),
        run.format("inner_product", "backward_data", 0.25),
        run.format("convolution", "backward_weights", 4),
        run.format("reorder", "undef", 8),
        run.format("eltwise", "forward_inference", 16),
        "dnnl_verbose,info,cpu,runtime:OpenMP",
        f"{kernels.END}40.5",
        run.format("reorder", "undef", 100),  # between the marks
        f"{kernels.BEGIN}floor",
        f"{kernels.END}3",
    ]
    first, second = kernels.accounts(lines)["floor"]
    assert first == {"must": 3.75, "weights": 4, "layouts": 8, "others": 16, "all": 40.5}
    assert second == {"must": 0, "weights": 0, "layouts": 0, "others": 0, "all": 3}
