"""With snapshots and without them, training ends in the same bits, whatever the net, the loop, and the fault."""

from __future__ import annotations

import functools
import logging
import signal
import tempfile
import time
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon.contrib.estimator import BatchEnd, EpochEnd

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.regression.snapshot import list_snapshots

from ..helpers.few_passes import with_few_passes
from ..helpers.nets import state_of
from ..helpers.probes import probe_set
from ..helpers.training_bits import Case, Net, fit, loop, unchanged

STATIC = {"static_alloc": True, "static_shape": True}
SEVERAL = ("grad_cam", "guided_grad_cam", "saliency", "gradient")

CASES = {
    "plain": Case(),
    "plain, adam, add": Case(None, "adam", "add"),
    "plain, add, two contexts": Case(None, "sgd", "add", contexts=2),
    "hybridized": Case({}),
    "hybridized, adam": Case({}, "adam"),
    "hybridized, add": Case({}, "sgd", "add"),
    "hybridized, two contexts": Case({}, contexts=2),
    "hybridized, adam, add, two contexts": Case({}, "adam", "add", contexts=2),
    "static memory": Case(STATIC),
    "static memory, adam": Case(STATIC, "adam"),
    "static memory, add": Case(STATIC, "sgd", "add"),
    # without static_shape, with which MXNet's own trainings on two contexts differ now and then (BatchNorm)
    "static memory, two contexts": Case({"static_alloc": True}, "adam", contexts=2),
    "data from two processes": Case({}, workers=2),
    "data from two processes, static memory": Case(STATIC, "adam", workers=2),
}

WHEN = {
    "before training": lambda step: step == 0,
    "per epoch": lambda step: step % 3 == 0,
    "per batch": lambda step: True,
}


def monitor_in(folder, **options):
    options = {"methods": SEVERAL, "batch_size": 2, "show": 1, "on_error": "raise", **options}
    return vc.AttentionMonitor(probe_set(size=16, seed=9), folder / "run", **options)


@functools.cache
def plain(train, name):
    """What the training ends in without us; a second run shows that it is no noise."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (train(CASES[name], Path(folder)) for _ in range(2))
    assert first == second
    return first


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", CASES)
def test_a_loop_by_hand_ends_in_the_same_bits(name, when, tmp_path):
    with monitor_in(tmp_path) as monitor:

        def watch(net, step):
            if WHEN[when](step):
                unchanged(net, lambda: monitor.snapshot(net, step))

        watched = loop(CASES[name], tmp_path, watch)
        assert monitor.flush()
    assert monitor.failures == 0
    assert len(list_snapshots(tmp_path / "run")) == sum(map(WHEN[when], range(7)))
    assert watched == plain(loop, name)


class Looks(BatchEnd, EpochEnd):
    """Notes the state of the net at its place among the handlers."""

    def __init__(self, priority):
        self.priority, self.states = priority, []

    def batch_end(self, estimator, *args, **kwargs):
        self.states.append(state_of(estimator.net))

    def epoch_end(self, estimator, *args, **kwargs):
        self.states.append(state_of(estimator.net))


PERIODS = {
    "before training": {"epoch_period": None, "before_training": True},
    "per epoch": {"epoch_period": 1, "before_training": False},
    "per batch": {"epoch_period": None, "batch_period": 1},
}


@pytest.mark.parametrize("when", PERIODS)
@pytest.mark.parametrize("name", CASES)
def test_an_estimator_fit_ends_in_the_same_bits(name, when, tmp_path):
    handler = vc.AttentionHandler(
        probe_set(size=16, seed=9),
        tmp_path / "run",
        methods=SEVERAL,
        show=1,
        on_error="raise",
        **PERIODS[when],
    )
    before, after = Looks(999), Looks(1001)
    watched = fit(CASES[name], tmp_path, [before, handler, after])
    assert before.states == after.states
    assert handler.monitor.failures == 0
    taken = {"before training": 1, "per epoch": 2, "per batch": 7}[when]
    assert len(list_snapshots(tmp_path / "run")) == taken
    assert watched == plain(fit, name)


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_leaves_the_same_bits(method, tmp_path, monkeypatch):
    with_few_passes(monkeypatch)
    name = "hybridized, adam, add, two contexts"
    with monitor_in(tmp_path, methods=(method,)) as monitor:

        def watch(net, step):
            if step % 3 == 0:
                unchanged(net, lambda: monitor.snapshot(net, step))

        watched = loop(CASES[name], tmp_path, watch)
    assert monitor.failures == 0
    assert watched == plain(loop, name)


def test_the_comparison_notices_a_training_that_was_touched(tmp_path):
    def watch(net, step):
        if step == 3:
            mx.nd.random.uniform()

    touched = loop(CASES["hybridized"], tmp_path, watch)
    expected = plain(loop, "hybridized")
    assert {key for key in expected if touched[key] != expected[key]} >= {"losses", "arrays", "mxnet"}


# Snapshots that raise half-way


def _error(x):
    raise ValueError("this net takes no such images")


def _memory(x):
    np.empty((1 << 50,), np.uint8)  # a petabyte: NumPy's own MemoryError


def _operator(x):
    return x + mx.nd.ones((4, 5))


def _engine(x):
    """It fails in MXNet's engine, later, where somebody waits for the result, and in the next `waitall`."""
    return x + mx.nd.linalg.potrf(-mx.nd.eye(2)).sum()


FAULTS = {
    "an error in forward": _error,
    "out of memory": _memory,
    "an operator that refuses its arguments": _operator,
    "an operator that fails in the engine": _engine,
}
FAULTY_CASES = ["plain", "hybridized, adam, add, two contexts", "static memory, add"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FAULTY_CASES)
def test_snapshots_that_fail_half_way_leave_the_same_bits(name, fault, tmp_path, caplog):
    with monitor_in(tmp_path, on_error="warn") as monitor, caplog.at_level(logging.WARNING):

        def watch(net, step):
            net.fault = FAULTS[fault] if step in (1, 2, 4) else None
            unchanged(net, lambda: monitor.snapshot(net, step))
            net.fault = None
            mx.nd.waitall()  # raises what the engine has kept

        watched = loop(CASES[name], tmp_path, watch)
        assert monitor.flush()
    assert monitor.failures == 3
    assert len(caplog.records) == 1
    assert len(list_snapshots(tmp_path / "run")) == 4
    assert watched == plain(loop, name)


@pytest.mark.parametrize("name", FAULTY_CASES)
def test_a_target_that_raises_leaves_the_same_bits(name, tmp_path):
    """The pass is over by then; the walk backwards is not."""
    broken = []

    def target(outputs):
        if broken:
            raise MemoryError("in the score")
        return outputs.max(axis=1)

    with monitor_in(tmp_path, on_error="warn", targets=target) as monitor:

        def watch(net, step):
            broken[:] = [True] if step % 2 else []
            unchanged(net, lambda: monitor.snapshot(net, step))

        watched = loop(CASES[name], tmp_path, watch)
    assert monitor.failures == 3
    assert watched == plain(loop, name)


@pytest.mark.parametrize("name", FAULTY_CASES)
def test_ctrl_c_in_the_middle_of_a_pass_leaves_the_same_bits(name, tmp_path):
    with monitor_in(tmp_path, on_error="warn") as monitor:

        def watch(net, step):
            if step in (2, 3):
                net.fault = lambda x: signal.raise_signal(signal.SIGINT)
                with pytest.raises(KeyboardInterrupt):
                    unchanged(net, lambda: monitor.snapshot(net, step))
                net.fault = None
            else:
                unchanged(net, lambda: monitor.snapshot(net, step))

        watched = loop(CASES[name], tmp_path, watch)
    assert watched == plain(loop, name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a __del__: lost by Python
def test_ctrl_c_at_any_moment_leaves_the_net_as_it_was():
    """At 400 moments spread over the whole length of a snapshot, its preparations and its clearing up."""
    net, probe = Net(), probe_set(size=16, seed=9)
    net.initialize()
    net.hybridize()

    def explain():
        vc.explain(net, probe, SEVERAL, batch_size=2)

    explain()
    lengths = []
    for _ in range(3):  # the shortest: one that the machine held up would let most signals come too late
        began = time.perf_counter()
        explain()
        lengths.append(time.perf_counter() - began)
    length = min(lengths)
    before, caught = state_of(net), 0
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for delay in np.linspace(1e-5, 1.2 * length, 400):
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                explain()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                caught += 1
            assert state_of(net) == before
            assert not autograd.is_recording()
            assert not autograd.is_training()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert caught > 100
