"""The handler in real Estimator fits."""

from __future__ import annotations

import logging
import re
import time

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon.contrib.estimator import CheckpointHandler, EpochEnd

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots

from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from ..helpers.training import fit


def steps(run):
    return [vc.Snapshot.load(path).step for path in list_snapshots(run)]


def words(run):
    return [vc.Snapshot.load(path).when for path in list_snapshots(run)]


def test_every_second_epoch_and_before_training(tmp_path):
    fit([vc.AttentionHandler(probe_set(), tmp_path, epoch_period=2)], epochs=2)
    assert steps(tmp_path) == [0, 2]
    assert words(tmp_path) == ["before training", "after 2 epochs"]


def test_every_epoch_by_default_and_stops_nothing(tmp_path):
    handler = vc.AttentionHandler(probe_set(), tmp_path)
    fit([handler], epochs=3)
    assert steps(tmp_path) == [0, 1, 2, 3]
    assert handler.monitor.failures == 0


def test_batches_are_the_steps_if_asked_for(tmp_path):
    fit([vc.AttentionHandler(probe_set(), tmp_path, batch_period=2, before_training=False)], epochs=2)
    assert steps(tmp_path) == [2, 3, 4, 6]  # three batches an epoch: 3 and 6 are the epochs' ends


def test_only_batches(tmp_path):
    fit([vc.AttentionHandler(probe_set(), tmp_path, epoch_period=None, batch_period=4)], epochs=2)
    assert steps(tmp_path) == [0, 4]
    assert words(tmp_path) == ["before training", "after 4 batches"]


def test_a_resumed_run_goes_on_counting(tmp_path):
    net = fit([vc.AttentionHandler(probe_set(), tmp_path)], epochs=2)
    fit(
        [vc.AttentionHandler(probe_set(), tmp_path, initial_epoch=2, before_training=False)],
        epochs=1,
        net=net,
    )
    assert steps(tmp_path) == [0, 1, 2, 3]
    last = vc.Snapshot.load(list_snapshots(tmp_path)[-1])
    assert np.isfinite(last.measures["drift"]).any()


def test_the_handler_comes_after_checkpoints(tmp_path):
    order = []

    class Checkpoint(CheckpointHandler):
        def epoch_end(self, estimator, *args, **kwargs):
            super().epoch_end(estimator, *args, **kwargs)
            order.append("checkpoint")

    class Attention(vc.AttentionHandler):
        def epoch_end(self, estimator, *args, **kwargs):
            order.append("attention")
            return super().epoch_end(estimator, *args, **kwargs)

    handlers = [
        Attention(probe_set(), tmp_path / "run"),
        Checkpoint(str(tmp_path), model_prefix="net", epoch_period=1),
    ]
    fit(handlers, epochs=1)
    assert order == ["checkpoint", "attention"]


def test_each_snapshot_is_told_to_the_estimators_logger(tmp_path, caplog):
    fit([vc.AttentionHandler(probe_set(), tmp_path)], epochs=1, log=caplog.handler)
    lines = [record.getMessage() for record in caplog.records if "attention" in record.getMessage()]
    assert len(lines) == 2
    assert "before training: 3 images in" in lines[0]
    assert "guided 2 of 2" in lines[0]
    assert "rank correlation" in lines[1]


def test_each_snapshots_passes_hand_over_and_drawing_are_told(tmp_path, caplog):
    fit([vc.AttentionHandler(probe_set(), tmp_path)], epochs=2, log=caplog.handler)
    told = [record.getMessage() for record in caplog.records if "attention" in record.getMessage()]
    times = r"images in \d+\.\d\d s, hand-over \d+ ms, drawn and written in \d+\.\d\d s;"
    assert [bool(re.search(times, line)) for line in told] == [True] * 3


def test_snapshots_beyond_their_share_of_the_time_are_left_out_which_is_said_once(tmp_path, caplog):
    """A share that not even one fits into: only the first is taken, which is there before any time is."""
    handler = vc.AttentionHandler(probe_set(), tmp_path, batch_period=1, max_overhead=1e-9)
    fit([handler], epochs=2, log=caplog.handler)
    assert steps(tmp_path) == [0]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "max_overhead=1e-09 allows one in" in warning
    assert handler.monitor.failures == 0


def test_snapshots_within_their_share_of_the_time_are_all_taken(tmp_path, caplog):
    """Each epoch takes several times as long as the snapshot before it, however busy the machine is."""

    class Training(EpochEnd):
        began = time.monotonic()

        def epoch_end(self, estimator, *args, **kwargs):
            time.sleep(0.4 + 3 * (time.monotonic() - self.began))
            self.began = time.monotonic()

    handler = vc.AttentionHandler(probe_set(1), tmp_path, methods="grad_cam", max_overhead=0.9)
    fit([handler, Training()], epochs=2, log=caplog.handler)
    assert steps(tmp_path) == [0, 1, 2]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_fit_after_one_that_failed_goes_on_with_the_same_handler(tmp_path):
    class Failing(EpochEnd):
        def epoch_end(self, estimator, *args, **kwargs):
            raise KeyError("another handler's")

    handler = vc.AttentionHandler(probe_set(), tmp_path)
    with pytest.raises(KeyError):
        fit([handler, Failing()], epochs=2)
    fit([handler], epochs=2)
    assert steps(tmp_path) == [0, 1, 2]


def test_the_same_handler_serves_a_second_fit(tmp_path):
    handler = vc.AttentionHandler(probe_set(), tmp_path)
    net = fit([handler], epochs=2)
    fit([handler], epochs=1, net=net)
    assert steps(tmp_path) == [0, 1, 2, 3]
    assert words(tmp_path)[-1] == "after 3 epochs"


def test_a_second_fit_goes_on_after_a_given_first_epoch_too(tmp_path):
    handler = vc.AttentionHandler(probe_set(), tmp_path, initial_epoch=5)
    net = fit([handler], epochs=2)
    fit([handler], epochs=1, net=net)
    assert steps(tmp_path) == [5, 6, 7, 8]


@pytest.mark.parametrize("hybridize", [False, True])
def test_training_with_the_handler_ends_in_the_same_bits(tmp_path, hybridize):
    def weights(handlers):
        mx.random.seed(2)
        net = fit(handlers, epochs=2, net=small_net(dropout=0.5, hybridize=hybridize))
        return [parameter.data().asnumpy() for parameter in net.collect_params().values()]

    plain = weights([])
    watched = weights([vc.AttentionHandler(probe_set(), tmp_path, batch_period=1, on_error="raise")])
    for one, other in zip(plain, watched):
        np.testing.assert_array_equal(one, other)


WRONG = {
    "epoch period": ({"epoch_period": 0}, "epoch_period must be an int of at least 1, or None, got 0"),
    "batch period": ({"batch_period": 1.5}, "batch_period.*got 1.5"),
    "first epoch": ({"initial_epoch": -1}, "initial_epoch.*got -1"),
    "method": ({"methods": "cam"}, "'cam'"),
    "share of the time": ({"max_overhead": 5}, "max_overhead must be a share above 0 and below 1.*got 5"),
    "rank": ({"rank": 2, "size": 2}, "0 <= rank < size, got 2 and 2"),
    "rank alone": ({"rank": 1}, "given together.*got 1 and None"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_raise_when_the_handler_is_made(case, tmp_path):
    arguments, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        vc.AttentionHandler(probe_set(), tmp_path, **arguments)


def test_an_unknown_layer_raises_before_the_first_batch(tmp_path):
    net = small_net()
    before = net[0].weight.data().asnumpy()
    with pytest.raises(ValueError, match="its Conv2D layers are"):
        fit([vc.AttentionHandler(probe_set(), tmp_path, layer="conv9")], net=net)
    np.testing.assert_array_equal(net[0].weight.data().asnumpy(), before)
