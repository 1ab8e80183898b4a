"""A snapshot beside the training is refused; one in the thread that trains, whichever that is, is taken."""

from __future__ import annotations

import concurrent.futures
import logging
import threading

import pytest

import vizcallbacks as vc

from ..benchmarks import beside_training
from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from ..helpers.training import fit, train


@pytest.mark.slow
@pytest.mark.parametrize("hybridize", [False, True])
def test_a_thousand_steps_beside_which_snapshots_are_asked_for_are_those_of_a_training_left_alone(hybridize):
    _, alone, _ = beside_training.run(1000, hybridize, watch=False)
    errors, beside, taken = beside_training.run(1000, hybridize, watch=True)
    assert alone == beside
    assert taken < 10  # one that is asked for between two steps, when the net rests, may be served
    assert {message.split(":")[0] for message in errors} == {"snapshot"}


def beside(ask, hold):
    """What `ask` raises in a thread while `hold` runs in this one."""
    raised, done = [], threading.Event()

    def run():
        try:
            ask()
        except Exception as error:
            raised.append(error)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    hold(done)
    thread.join()
    return raised


def test_a_snapshot_in_a_thread_is_refused_while_the_function_that_trains_runs(tmp_path):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path, on_error="raise") as monitor:
        monitor.snapshot(net, 0)

        def hold(done):
            while not done.is_set():
                train(net)

        (error,) = beside(lambda: monitor.snapshot(net, 1), hold)
        assert isinstance(error, RuntimeError)
        assert "must be taken in the thread that trains, between two steps" in str(error)
        assert monitor.snapshot(net, 1) is not None


def test_by_default_that_is_one_warning_and_a_failure(tmp_path, caplog):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path) as monitor, caplog.at_level(logging.WARNING):
        monitor.snapshot(net, 0)
        assert beside(lambda: monitor.snapshot(net, 1), lambda done: done.wait(60) and train(net)) == []
    assert monitor.failures == 1
    assert "call snapshot there" in caplog.text


def whole_training(tmp_path):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path, on_error="raise") as monitor:
        for step in range(2):
            train(net)
            monitor.snapshot(net, step)
    return monitor.failures


def test_a_training_that_runs_in_a_thread_takes_its_snapshots_there(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(whole_training, tmp_path / "pool").result() == 0
    assert beside(lambda: whole_training(tmp_path / "thread"), lambda done: done.wait(60)) == []


def test_a_fit_in_a_thread_does_too_while_its_caller_holds_the_net_and_waits(tmp_path):
    net = small_net(hybridize=True)
    handler = vc.AttentionHandler(probe_set(), tmp_path, on_error="raise")
    thread = threading.Thread(target=fit, args=([handler],), kwargs={"net": net})
    thread.start()
    thread.join()
    assert handler.monitor.failures == 0
    assert len(list(tmp_path.glob("attention/snapshot*"))) == 3
