"""Checks while a net trains: what is counted, marked and done, also after a restart."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon
from mxnet.gluon.contrib.estimator import CheckpointHandler
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import vizcallbacks as vc
from vizcallbacks.pictures.lettering import AMBER
from vizcallbacks.pictures.picture import encode
from vizcallbacks.regression.snapshot import list_snapshots, take
from vizcallbacks.training.alarm import ACTIONS, Alarm, AttentionAlarm

from ..helpers.checked import ON_OBJECT, ON_TAG, probe_set, snapshot
from ..helpers.nets import images, small_net
from ..helpers.training import fit

PROBE = probe_set()
NEVER = {"energy/tag": "< 0"}  # what no map can satisfy
GOOD = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE), PROBE)


def judged(alarm, kinds, start=1):
    """Violations in a row after each snapshot; "o" looks at the object, "t" at the tag."""
    counts = []
    for step, kind in enumerate(kinds, start):
        alarm.judge(snapshot({"o": ON_OBJECT, "t": ON_TAG}[kind], PROBE, step=step))
        counts.append(alarm.violations)
    return counts


# Counting


def test_violations_are_counted_in_a_row_and_due_after_patience():
    alarm = Alarm(PROBE, ["grad_cam"], GOOD, patience=2)
    assert judged(alarm, "ototto") == [0, 1, 0, 1, 2, 0]
    assert not alarm.due
    assert judged(alarm, "ttt") == [1, 2, 3]
    assert alarm.due


def test_rules_on_masks_need_no_baseline():
    assert judged(Alarm(PROBE, ["grad_cam"], None, {"energy/tag": "<= 0.1"}), "otto") == [0, 1, 2, 0]


def test_snapshots_before_the_first_to_be_checked_are_not():
    alarm = Alarm(PROBE, ["grad_cam"], GOOD, check_from=3)
    assert alarm.judge(snapshot(ON_TAG, PROBE, step=2)) is None
    assert judged(alarm, "tt", start=2) == [0, 1]
    assert (
        Alarm(PROBE, ["grad_cam"], GOOD).judge(snapshot(ON_TAG, PROBE, step=0)) is None
    )  # the untrained net


def test_with_the_best_as_baseline_the_default_rules_count_once_attention_has_settled():
    alarm = Alarm(PROBE, ["grad_cam"], "best")
    assert judged(alarm, "otoooottoo") == [0, 0, 0, 0, 0, 0, 1, 2, 0, 0]


def test_a_baseline_may_be_given_by_its_file(tmp_path):
    GOOD.save(tmp_path / "b.npz")
    for path in (tmp_path / "b.npz", str(tmp_path / "b.npz")):
        assert judged(Alarm(PROBE, ["grad_cam"], path), "ot") == [0, 1]


# Acting


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_logs_stops_or_raises(action, caplog):
    alarm = Alarm(PROBE, ["grad_cam"], GOOD, action=action)
    report = alarm.judge(snapshot(ON_TAG, PROBE))
    logger = logging.getLogger("test")
    with caplog.at_level(logging.INFO):
        if action == "raise":
            with pytest.raises(
                AttentionAlarm, match="(?s)1 violating snapshots in a row.*FAIL  energy/tag"
            ) as caught:
                alarm.act(report, logger)
            assert caught.value.report is report
            return
        assert alarm.act(report, logger) == (action == "stop")
    (record,) = caplog.records
    assert record.levelno == (logging.INFO if action == "log" else logging.WARNING)
    assert "FAIL  energy/tag" in record.getMessage()
    assert ("the training is stopped" in record.getMessage()) == (action == "stop")


def test_a_callable_gets_the_report_and_stops_by_true_alone():
    found = []
    report = vc.compare(snapshot(ON_TAG, PROBE), GOOD)
    for answer, stops in ((True, True), (None, False), (1, False)):
        alarm = Alarm(
            PROBE, ["grad_cam"], GOOD, action=lambda one, answer=answer: found.append(one) or answer
        )
        assert alarm.act(report, logging.getLogger("test")) == stops
    assert found == [report] * 3


# Arguments

WRONG = {
    "action": ({"action": "email"}, ValueError, "'log', 'warn', 'stop', 'raise', or callable, got 'email'"),
    "patience": ({"patience": 0}, ValueError, "patience must be an int of at least 1, got 0"),
    "check_from": ({"check_from": -1}, ValueError, "check_from must be an int of at least 0, got -1"),
    "baseline": ({"baseline": 3}, TypeError, "baseline must be a Baseline, its file, 'best' or None, got 3"),
    "no file": ({"baseline": "none.npz"}, FileNotFoundError, "none.npz"),
    "probe": (
        {"baseline": vc.Baseline.from_snapshots(snapshot(ON_OBJECT, probe_set(seed=1)))},
        vc.NotComparableError,
        "the probe sets differ",
    ),
    "rule": ({"thresholds": {"energy/tag": "low"}}, ValueError, "must be a relation and a number, got 'low'"),
    "mask": (
        {"thresholds": {"energy/dog": "< 1"}},
        ValueError,
        "no measure 'energy/dog', because the probe set has no mask 'dog' \\(its masks are object, tag\\); masks",
    ),
    "alone": ({"thresholds": {"dead": "within 1"}}, ValueError, "'dead within 1' needs a baseline"),
    "similarity alone": ({"thresholds": {"grad_cam/ssim": "> 0"}}, ValueError, "no measure 'grad_cam/ssim'"),
    "no maps": ({"baseline": "best", "methods": "saliency"}, ValueError, "needs maps of the CAM family"),
    "tolerance": (
        {"baseline": GOOD, "thresholds": {"score": "within noise"}},
        ValueError,
        "not known for 'score'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_raise_when_the_monitor_is_made(case, tmp_path):
    arguments, kind, message = WRONG[case]
    if not {"baseline", "thresholds"} & set(arguments):
        arguments = {**arguments, "thresholds": NEVER}
    with pytest.raises(kind, match=message):
        vc.AttentionMonitor(PROBE, tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_an_alarm_without_anything_to_check_is_refused():
    with pytest.raises(ValueError, match="needs a baseline or thresholds, got neither"):
        Alarm(PROBE, ["grad_cam"])


def real_baseline(net, **options):
    result = vc.explain(net, PROBE, "grad_cam", **{"targets": "label", **options})
    return vc.Baseline.from_snapshots(take(result, PROBE, 0, "then"), PROBE)


NOT_COMPARABLE = {
    "layer": ({"layer": "0"}, {}, "is of layer '0', this is of layer '4'"),
    "targets": ({"targets": 3}, {}, "the targets differ for 4 of 4 images, 'picture 0'"),
    "methods": ({}, {"methods": ("saliency",)}, "needs maps of the CAM family"),
}


@pytest.mark.parametrize("case", NOT_COMPARABLE)
def test_a_baseline_of_another_kind_raises_before_training(case, tmp_path):
    of_baseline, of_monitor, message = NOT_COMPARABLE[case]
    net = small_net()
    monitor = vc.AttentionMonitor(
        PROBE,
        tmp_path / "run",
        baseline=real_baseline(net, **of_baseline),
        **{"methods": "grad_cam", **of_monitor},
    )
    with pytest.raises(vc.NotComparableError, match=message):
        monitor.start(net)
    assert not (tmp_path / "run").exists()


# In a training


def change(net):
    """Take what the net looks at away from where it looked."""
    net[4].weight.set_data(mx.nd.array(np.random.RandomState(3).normal(size=(8, 6, 3, 3))))


def read(run):
    found = EventAccumulator(str(run), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    found.Reload()
    return found


def amber(event):
    picture = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    return bool((picture[:6] == AMBER).all())


def test_measures_and_violations_become_curves_and_violating_panels_are_marked(tmp_path):
    net = small_net()
    rules = {"grad_cam/pearson": ">= 0.99", "dead": "<= 1", "flips": "<= 1"}
    with vc.AttentionMonitor(
        PROBE,
        tmp_path,
        "grad_cam",
        baseline=real_baseline(net),
        thresholds=rules,
        image_format="png",
        action="log",
        per_image_curves=True,
    ) as monitor:
        monitor.snapshot(net, 1)
        assert monitor.report.passed
        change(net)
        monitor.snapshot(net, 2)
        second = monitor.report
    found = read(tmp_path)

    def curve(tag):
        return {event.step: event.value for event in found.Scalars(tag)}

    assert curve("attention_mean/check_violations") == {1: 0, 2: 1}
    assert curve("attention_mean/check_violating_images") == {1: 0, 2: len(second.findings[0].failing)}
    assert curve("attention_mean/grad_cam_pearson")[1] == pytest.approx(1)
    assert curve("attention_mean/grad_cam_pearson")[2] == pytest.approx(np.nanmean(second.findings[0].values))
    assert set(curve("attention_per_image/flips/01_dog")) == set(curve("attention_mean/flips")) == {1, 2}
    failing = second.findings[0].failing
    assert failing
    for i, name in enumerate(["00_cat", "01_dog", "02_owl", "03_cat"]):
        assert [amber(event) for event in found.Images(f"attention_panels/{name}")] == [False, i in failing]


def test_when_it_acts_a_picture_says_where(tmp_path):
    net, reports = small_net(), []
    with vc.AttentionMonitor(
        PROBE, tmp_path, "grad_cam", thresholds=NEVER, patience=2, action=reports.append
    ) as monitor:
        for step in (1, 2, 3):
            monitor.snapshot(net, step)
    assert [report.snapshot.step for report in reports] == [2, 3]
    files = sorted(path.name for path in (tmp_path / "attention").glob("*.png"))
    assert files == ["check-00000002.png", "check-00000003.png"]
    assert reports[0].files == (str(tmp_path / "attention" / files[0]),)
    assert "vizcallbacks accept" not in str(
        reports[0]
    )  # which changes nothing in rules that need no baseline
    assert cv2.imread(reports[0].files[0]).shape[1] == 1360
    found = read(tmp_path)
    assert [event.step for event in found.Images("attention/check_worst")] == [2, 3]
    assert "attention/check_report/text_summary" in found.Tags()["tensors"]


def test_in_a_loop_by_hand_should_stop_tells(tmp_path):
    net = small_net()
    with vc.AttentionMonitor(
        PROBE, tmp_path, "grad_cam", thresholds=NEVER, patience=3, action="stop"
    ) as monitor:
        told = []
        for step in range(5):
            monitor.snapshot(net, step)
            told.append(monitor.should_stop)
    assert told == [False, False, False, True, True]


def test_a_restart_goes_on_counting(tmp_path):
    net = small_net()
    options = {"thresholds": NEVER, "patience": 4, "action": "stop"}
    with vc.AttentionMonitor(PROBE, tmp_path, "grad_cam", **options) as monitor:
        for step in (1, 2, 3):
            monitor.snapshot(net, step)
        assert not monitor.should_stop
    with vc.AttentionMonitor(PROBE, tmp_path, "grad_cam", **options) as monitor:
        monitor.snapshot(net, 4)
        assert monitor.should_stop
    with vc.AttentionMonitor(PROBE, tmp_path, "grad_cam", **options) as monitor:  # from an earlier checkpoint
        monitor.snapshot(net, 2)
        assert not monitor.should_stop


def test_a_restart_knows_the_best_snapshot_and_that_attention_had_settled(tmp_path):
    net = small_net()
    options = {
        "baseline": "best",
        "thresholds": {"grad_cam/pearson": ">= 0.99"},
        "patience": 1,
        "action": "stop",
    }
    with vc.AttentionMonitor(PROBE, tmp_path, "grad_cam", **options) as monitor:
        for step in (1, 2, 3, 4):
            monitor.snapshot(net, step)
            assert monitor.report is None
    with vc.AttentionMonitor(PROBE, tmp_path, "grad_cam", **options) as monitor:
        monitor.snapshot(net, 5)
        assert monitor.report.passed
        change(net)
        monitor.snapshot(net, 6)
        assert monitor.should_stop
        told = str(monitor.report)
        assert "by the best snapshot so far, after 1 epoch" in told
        assert "accept" not in told  # there is no file that it came from
        assert ".npz" not in told


def test_a_failing_snapshot_neither_counts_nor_ends_the_row(tmp_path, caplog):
    net = small_net()
    with vc.AttentionMonitor(
        PROBE, tmp_path, "grad_cam", thresholds=NEVER, patience=2, action="stop"
    ) as monitor:
        monitor.snapshot(net, 1)
        working = net._children["8"]
        net._children["8"] = gluon.nn.Dense(4, in_units=5)
        net[8].initialize()
        assert monitor.snapshot(net, 2) is None
        assert monitor.report is None
        assert not monitor.should_stop
        net._children["8"] = working
        monitor.snapshot(net, 3)
        assert monitor.should_stop


# In a fit of the Estimator


def handler_probe():
    return vc.ProbeSet(images(3), np.arange(3), masks={"tag": np.ones((3, 32, 32), bool)})


NEVER_THERE = {"energy/tag": "<= 0.5"}  # the mask is the whole image


def test_stop_ends_the_fit_after_the_epochs_checkpoint(tmp_path):
    handler = vc.AttentionHandler(
        handler_probe(), tmp_path / "run", thresholds=NEVER_THERE, patience=2, action="stop"
    )
    checkpoint = CheckpointHandler(str(tmp_path), model_prefix="net", epoch_period=1)
    fit([handler, checkpoint], epochs=6)
    assert len(list_snapshots(tmp_path / "run")) == 3  # before training, and two epochs
    assert (tmp_path / "net-epoch1batch6.params").exists()
    assert handler.monitor._journal.is_closed  # train_end was called


def test_stop_by_a_batch_ends_the_fit_too(tmp_path):
    handler = vc.AttentionHandler(
        handler_probe(), tmp_path / "run", batch_period=1, thresholds=NEVER_THERE, patience=2, action="stop"
    )
    checkpoint = CheckpointHandler(str(tmp_path), model_prefix="net", epoch_period=1)
    fit([handler, checkpoint], epochs=6)
    assert (
        len(list_snapshots(tmp_path / "run")) == 3
    )  # before training, and two batches of the three of an epoch
    assert (tmp_path / "net-epoch0batch2.params").exists()


def test_raise_ends_the_fit_with_everything_written(tmp_path):
    handler = vc.AttentionHandler(
        handler_probe(), tmp_path / "run", thresholds=NEVER_THERE, patience=2, action="raise"
    )
    with pytest.raises(AttentionAlarm, match="energy/tag <= 0.5") as caught:
        fit([handler], epochs=6)
    assert cv2.imread(caught.value.report.files[0]) is not None
    assert len(list_snapshots(tmp_path / "run")) == 3


def test_warn_lets_the_fit_go_on(tmp_path, caplog):
    handler = vc.AttentionHandler(handler_probe(), tmp_path / "run", thresholds=NEVER_THERE)
    fit([handler], epochs=3, log=caplog.handler)
    assert len(list_snapshots(tmp_path / "run")) == 4
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage()[:22] for record in warnings] == [
        "2 violating snapshots ",
        "3 violating snapshots ",
    ]


def test_a_check_changes_nothing_in_the_training(tmp_path):
    def weights(handlers):
        mx.random.seed(2)
        net = fit(handlers, epochs=2, net=small_net(dropout=0.5, hybridize=True))
        return [parameter.data().asnumpy() for parameter in net.collect_params().values()]

    plain = weights([])
    options = {"baseline": "best", "patience": 1, "action": "log", "on_error": "raise"}
    watched = weights([vc.AttentionHandler(handler_probe(), tmp_path, batch_period=1, **options)])
    for one, other in zip(plain, watched):
        np.testing.assert_array_equal(one, other)


def test_the_picture_in_tensorboard_is_the_one_on_disk(tmp_path):
    net = small_net()
    with vc.AttentionMonitor(
        PROBE, tmp_path, "grad_cam", thresholds=NEVER, patience=1, action="log", image_format="png"
    ) as monitor:
        monitor.snapshot(net, 1)
        path = monitor.report.files[0]
    (event,) = read(tmp_path).Images("attention/check_worst")
    logged = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert Path(path).read_bytes() == encode(logged[..., ::-1].copy(), "png", levels=32)
