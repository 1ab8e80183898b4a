"""What is measured is asked of all images, what is only drawn of those shown; and the answers stay the same."""

from __future__ import annotations

from dataclasses import replace

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.nets import tracing
from vizcallbacks.regression import snapshot as snapshots
from vizcallbacks.regression.predicted import load_predicted
from vizcallbacks.regression.snapshot import list_snapshots
from vizcallbacks.targets import detection, multi_label, segmentation
from vizcallbacks.training.album import Album
from vizcallbacks.training.question import Question

from ..helpers import events
from ..helpers.few_passes import with_few_passes
from ..helpers.nets import images, small_net
from ..helpers.probes import probe_set

COUNT, SHOWN = 7, [0, 3, 6]
CAMS = tuple(name for name, method in METHODS.items() if method.shape == "layer")
DRAWN = tuple(name for name in METHODS if name not in CAMS)
DEFAULT = ("grad_cam", "guided_grad_cam", "saliency")


class Eager(gluon.Block):
    """A plain Block, which is recorded; its second ReLU is a function amid the block."""

    def __init__(self):
        super().__init__()
        self.first = gluon.nn.Conv2D(6, 3, padding=1, in_channels=3, activation="relu")
        self.last = gluon.nn.Conv2D(8, 3, padding=1, in_channels=6)
        self.head = gluon.nn.Dense(4, in_units=8)
        self.initialize(mx.init.Xavier(magnitude=3))

    def forward(self, x):
        return self.head(mx.nd.relu(self.last(self.first(x))).mean(axis=(2, 3)) * 2)


class Several(gluon.HybridBlock):
    """As segmentation nets: class scores for each pixel, and more."""

    def __init__(self):
        super().__init__()
        self.first = gluon.nn.Conv2D(6, 3, padding=1, in_channels=3, activation="relu")
        self.last = gluon.nn.Conv2D(4, 3, padding=1, in_channels=6)
        self.initialize(mx.init.Xavier(magnitude=3))

    def hybrid_forward(self, F, x):
        return self.last(self.first(x)), x


class Detector(gluon.HybridBlock):
    """As detectors: ids, scores and boxes of one candidate for each of 4 classes."""

    def __init__(self):
        super().__init__()
        self.net = small_net()

    def hybrid_forward(self, F, x):
        scores = F.sigmoid(self.net(x))
        return F.round(scores) * 0 + 1, scores, F.stack(scores, scores, scores, scores, axis=2)


class TwoInputs(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.net = small_net()

    def hybrid_forward(self, F, x, shift, scale):
        return self.net(F.broadcast_add(x, shift)) * scale


def counted(monkeypatch, methods):
    """Let methods count the images that they are given: name -> how many so far."""
    rows = dict.fromkeys(methods, 0)

    def counting(name, function):
        def run(*arrays):
            rows[name] += len(
                arrays[0].images if METHODS[name].needs[0] in ("passes", "walks") else arrays[0]
            )
            return function(*arrays)

        return run

    for name in methods:
        monkeypatch.setitem(
            METHODS, name, replace(METHODS[name], function=counting(name, METHODS[name].function))
        )
    return rows


def assert_near(found, expected, name=""):
    """Up to 1e-6 of the largest: what the size of a batch, and BatchNorms folded or not, may change."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max(), err_msg=name)


def assert_answers(question, net, whole, shown=SHOWN):
    """It answers as `explain` does for all images and methods at once."""
    result, drawn = question.ask(net, shown)
    assert set(drawn) == set(whole.maps)
    for name, maps in whole.maps.items():
        assert_near(drawn[name], maps[shown], name)
        if name in CAMS:
            assert_near(result[name], maps, name)
    assert_near(result.scores, whole.scores)
    for name in ("targets", "predictions"):
        np.testing.assert_array_equal(getattr(result, name), getattr(whole, name))
    for name in ("layer", "relus", "unguided", "plain_activations", "compiled"):
        assert getattr(result, name) == getattr(whole, name), name


# How many images


def test_what_is_only_drawn_runs_on_the_images_shown(monkeypatch):
    methods = ("saliency", "grad_cam", "guided_grad_cam", "layer_cam", "integrated_gradients")
    rows = counted(monkeypatch, methods)
    result, drawn = Question(probe_set(COUNT), methods, None, "label", 4, ()).ask(small_net(), SHOWN)
    assert rows == {
        "grad_cam": 7,
        "layer_cam": 7,
        "saliency": 3,
        "guided_grad_cam": 3,
        "integrated_gradients": 3,
    }
    assert {name: len(maps) for name, maps in result.maps.items()} == {"grad_cam": 7, "layer_cam": 7}
    assert {name: len(maps) for name, maps in drawn.items()} == dict.fromkeys(methods, 3)


@pytest.mark.parametrize(
    ("methods", "shown"),
    [
        (DEFAULT, list(range(COUNT))),
        (DEFAULT, [0, 2, 3, 5, 6]),
        (("saliency", "gradient"), SHOWN),
        (("grad_cam", "layer_cam"), SHOWN),
    ],
    ids=["all are shown", "most are shown", "no CAM", "CAMs only"],
)
def test_otherwise_all_methods_run_once_on_all_images(methods, shown, monkeypatch):
    rows = counted(monkeypatch, methods)
    result, drawn = Question(probe_set(COUNT), methods, None, "label", 4, ()).ask(small_net(), shown)
    assert rows == dict.fromkeys(methods, COUNT)
    for name in methods:
        np.testing.assert_array_equal(drawn[name], result[name][shown])


def test_the_monitor_asks_for_no_more_than_it_draws(tmp_path, monkeypatch):
    asks = {"show": 3, "wrong": "label only", "on_error": "raise"}
    with vc.AttentionMonitor(probe_set(COUNT), tmp_path, **asks) as monitor:
        monitor.start(small_net())
        rows = counted(monkeypatch, DEFAULT)
        monitor.snapshot(small_net(), 0)
    assert rows == {"grad_cam": 7, "guided_grad_cam": 3, "saliency": 3}


# The same answers


@pytest.mark.parametrize("make", [small_net, Eager])
def test_every_method_answers_as_if_all_ran_on_all_images(make, monkeypatch):
    with_few_passes(monkeypatch)
    net, probe, methods = make(), probe_set(COUNT), (*CAMS, *DRAWN)
    whole = vc.explain(net, probe, methods, targets="label", batch_size=4)
    assert_answers(Question(probe, methods, None, "label", 4, ()), net, whole)


def test_activations_of_a_plain_block_are_covered_and_counted():
    result, _ = Question(probe_set(COUNT), DEFAULT, None, "label", 4, ()).ask(Eager(), SHOWN)
    assert (result.relus, result.unguided) == ((2, 2), ())


REGIONS = np.random.RandomState(2).rand(COUNT, 32, 32) < 0.3
MARKED = np.random.RandomState(3).rand(COUNT, 4) < 0.5
CLASSES = [3, 1, 0, 2, 2, 1, 3]
TARGETS = {
    "the label": (small_net, "label"),
    "the prediction": (small_net, None),
    "one class": (small_net, 2),
    "one class of NumPy's": (small_net, np.int64(2)),
    "a list": (small_net, CLASSES),
    "an NDArray": (small_net, mx.nd.array(CLASSES)),
    "a function": (small_net, lambda outputs: outputs[:, 1] - outputs[:, 0]),
    "a detection": (Detector, detection()),
    "a class's region": (Several, segmentation(1)),
    "one region": (Several, segmentation(1, REGIONS[0])),
    "a region for each": (Several, segmentation(1, REGIONS)),
    "several labels": (small_net, multi_label([0, 2])),
    "labels of each": (small_net, multi_label(MARKED)),
}


@pytest.mark.parametrize("case", TARGETS)
def test_targets_go_with_their_images(case, monkeypatch):
    make, targets = TARGETS[case]
    net, probe = make(), probe_set(COUNT)
    whole = vc.explain(net, probe, DEFAULT, targets=targets, batch_size=4)
    question = Question(probe, DEFAULT, None, targets, 4, ())
    first, _ = question.try_out(net)
    assert_near(first.scores, whole.scores[:1])
    rows = counted(monkeypatch, DEFAULT)
    assert_answers(question, net, whole)
    assert rows["saliency"] == 3


def test_a_function_that_scores_by_place_is_asked_on_all_images(monkeypatch):
    weights = np.random.RandomState(4).normal(size=(COUNT, 4)).astype(np.float32)

    def by_place(outputs):
        return (outputs * mx.nd.array(weights[: len(outputs)])).sum(axis=1)

    net, probe = small_net(), probe_set(COUNT)
    whole = vc.explain(net, probe, DEFAULT, targets=by_place)
    rows = counted(monkeypatch, DEFAULT)
    assert_answers(Question(probe, DEFAULT, None, by_place, 16, ()), net, whole)
    assert rows["saliency"] == 3 + COUNT


def test_undefined_scores_are_no_reason_to_ask_on_all_images(monkeypatch):
    net, probe = small_net(), probe_set(COUNT)
    net[8].weight.set_data(net[8].weight.data() * np.nan)
    rows = counted(monkeypatch, DEFAULT)
    result, drawn = Question(probe, DEFAULT, None, None, 4, ()).ask(net, SHOWN)
    assert np.isnan(result.scores).all()
    assert np.isnan(drawn["saliency"]).all()
    assert rows["saliency"] == 3


def test_extra_inputs_go_with_their_images(monkeypatch):
    shift = np.random.RandomState(5).normal(size=(COUNT, 3, 1, 1)).astype(np.float32)
    scale = mx.nd.array(np.random.RandomState(6).uniform(1, 3, size=(COUNT, 1)))
    net, probe = TwoInputs(), probe_set(COUNT)
    whole = vc.explain(net, probe, DEFAULT, targets="label", extra=(shift, scale), batch_size=4)
    question = Question(probe, DEFAULT, None, "label", 4, (shift, scale))
    first, _ = question.try_out(net)
    assert_near(first.scores, whole.scores[:1])
    rows = counted(monkeypatch, DEFAULT)
    assert_answers(question, net, whole)
    assert rows["saliency"] == 3


# The same pictures and files


class Pictures:
    """Takes what a Sink takes, and keeps the pictures."""

    def __init__(self, jobs):
        self.found = {}
        for job in jobs:
            job(self)

    def image(self, tag, picture, step):
        self.found[tag] = picture

    def scalar(self, tag, value, step, description):
        pass

    def text(self, tag, text, step):
        pass


def test_a_monitor_draws_and_keeps_what_it_would_if_all_ran_on_all_images(tmp_path):
    net, probe = small_net(), probe_set(COUNT)
    with vc.AttentionMonitor(
        probe, tmp_path, targets=None, show=3, image_format="png", batch_size=4
    ) as monitor:
        monitor.snapshot(net, 1)
    assert monitor.failures == 0
    whole = vc.explain(net, probe, DEFAULT, batch_size=4)
    expected = snapshots.take(whole, probe, 1, "after 1 epoch")
    kept = vc.Snapshot.load(list_snapshots(tmp_path)[0])
    assert_near(kept.maps["grad_cam"], expected.maps["grad_cam"])
    assert list(kept.maps) == ["grad_cam"]
    assert (kept.layer, kept.relus, kept.digest) == (expected.layer, (2, 2), probe.digest)
    for name in ("targets", "predictions"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(expected, name))
    assert list(kept.measures) == list(expected.measures)
    for name, values in expected.measures.items():
        np.testing.assert_allclose(kept.measures[name], values, rtol=1e-4, atol=1e-6, err_msg=name)

    album = Album(probe, DEFAULT, show=3)
    drawn = Pictures(
        album.add(expected, {name: maps[album.shown] for name, maps in whole.maps.items()})
    ).found
    logged = events.pictures(tmp_path)
    assert sorted(logged) == sorted(drawn)
    assert sum(tag.startswith("attention_panels/") for tag in logged) == 3
    for tag, picture in drawn.items():
        ((step, data),) = logged[tag]
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert (step, found.shape) == (1, picture.shape)
        assert np.abs(found.astype(int) - picture).max() <= 1, tag


def test_each_worker_has_the_targets_of_its_images(tmp_path):
    net, probe, targets = small_net(), probe_set(COUNT), multi_label(MARKED)
    whole = vc.explain(net, probe, "grad_cam", targets=targets)
    with vc.AttentionMonitor(probe, tmp_path, targets=targets, shard=(1, 3), show=1) as monitor:
        found = monitor.snapshot(net, 0)
    assert_near(found.measures["score"], whole.scores[[1, 4]])
    assert_near(found.maps["grad_cam"], whole["grad_cam"][[1, 4]])


@pytest.mark.parametrize("hybridize", [True, False])
def test_a_kept_trace_changes_no_bit_of_a_run(hybridize, tmp_path):
    net, found = small_net(hybridize=hybridize), {}
    net(mx.nd.array(images(1)))
    monitors = {
        keep: vc.AttentionMonitor(
            probe_set(COUNT), tmp_path / str(keep), show=3, keep_trace=keep, on_error="raise"
        )
        for keep in (True, False)
    }
    for step in range(3):
        for keep, monitor in monitors.items():
            found[step, keep] = monitor.snapshot(net, step)
        for parameter in net.collect_params().values():
            parameter.set_data(parameter.data() * 1.1)
    for monitor in monitors.values():
        monitor.close()
        assert monitor.failures == 0
    for step in range(3):
        one, other = found[step, True], found[step, False]
        np.testing.assert_array_equal(one.maps["grad_cam"], other.maps["grad_cam"])
        for name, values in other.measures.items():
            np.testing.assert_array_equal(one.measures[name], values, err_msg=name)
    pictures = [events.pictures(tmp_path / str(keep)) for keep in (True, False)]
    assert pictures[0] == pictures[1]


def test_a_monitor_traces_a_net_that_stays_as_it_is_once_or_each_time(tmp_path, monkeypatch):
    traced, trace = [], tracing.trace

    def counted(*args):
        traced.append(args)
        return trace(*args)

    monkeypatch.setattr("vizcallbacks.nets.runner.trace", counted)
    net = small_net(hybridize=True)
    net(mx.nd.array(images(1)))
    counts = {}
    for keep in (True, False):
        with vc.AttentionMonitor(probe_set(COUNT), tmp_path / str(keep), show=3, keep_trace=keep) as monitor:
            monitor.start(net)
            counts[keep] = []
            for step in range(2):
                before = len(traced)
                monitor.snapshot(net, step)
                counts[keep].append(len(traced) - before)
    assert counts[True] == [0, 0]
    assert min(counts[False]) >= 2
    with pytest.raises(TypeError, match="keep_trace must be True or False, got 'yes'"):
        vc.AttentionMonitor(probe_set(COUNT), tmp_path / "none", keep_trace="yes")


# Why it is wrong


def asked(probe, net, targets="label", methods=("grad_cam", "saliency")):
    question = Question(probe, methods, None, targets, 4, ())
    return question, question.ask(net, SHOWN)[0]


def test_where_the_net_is_wrong_it_is_asked_why_it_predicts_what_it_does(monkeypatch):
    net = small_net()
    predicted = vc.explain(net, probe_set(COUNT), "grad_cam").predictions
    labels = predicted.copy()
    labels[[1, 3, 6]] = (predicted[[1, 3, 6]] + 1) % 4  # wrong on these, of which number 1 is not shown
    question, result = asked(probe_set(COUNT, labels=labels), net)
    rows = counted(monkeypatch, ["grad_cam"])
    why = question.ask_why(net, result, SHOWN, "grad_cam")
    assert sorted(why) == [3, 6]
    assert rows["grad_cam"] == 2
    expected = vc.explain(net, probe_set(COUNT), "grad_cam", targets=predicted)["grad_cam"]
    for i, map_ in why.items():
        np.testing.assert_allclose(map_, expected[i], rtol=1e-4, atol=1e-6)
        assert (map_ != result["grad_cam"][i]).any()


@pytest.mark.parametrize("targets", [None, lambda outputs: outputs[:, 0]])
def test_there_is_no_other_map_where_the_prediction_is_explained_or_no_class(targets, monkeypatch):
    net = small_net()
    question, result = asked(probe_set(COUNT, labels=np.full(COUNT, 3)), net, targets)
    rows = counted(monkeypatch, ["grad_cam"])
    assert question.ask_why(net, result, SHOWN, "grad_cam") == {}
    assert rows["grad_cam"] == 0


def test_a_net_that_is_right_is_not_asked_again(monkeypatch):
    net = small_net()
    labels = vc.explain(net, probe_set(COUNT), "grad_cam").predictions
    question, result = asked(probe_set(COUNT, labels=labels), net)
    rows = counted(monkeypatch, ["grad_cam"])
    assert question.ask_why(net, result, SHOWN, "grad_cam") == {}
    assert question.ask_why(net, result, SHOWN, "saliency") == {}
    assert rows["grad_cam"] == 0


def test_the_monitor_asks_why_unless_told_not_to(tmp_path):
    net = small_net()
    labels = (vc.explain(net, probe_set(COUNT), "grad_cam").predictions + 1) % 4
    sizes, kept = {}, {}
    for wrong in ("also predicted", "label only"):
        run = tmp_path / wrong.split()[0]
        with vc.AttentionMonitor(
            probe_set(COUNT, labels=labels), run, "grad_cam", show=2, wrong=wrong, on_error="raise"
        ) as monitor:
            taken = monitor.snapshot(net, 1)
        kept[wrong] = load_predicted(run, taken)
        panels = {
            tag: shown for tag, shown in events.pictures(run).items() if tag.startswith("attention_panels/")
        }
        sizes[wrong] = {cv2.imdecode(np.frombuffer(one[0][1], np.uint8), 1).shape for one in panels.values()}
    ((more, _, _),), ((fewer, _, _),) = sizes["also predicted"], sizes["label only"]
    assert kept["label only"] is None
    expected = vc.explain(net, probe_set(COUNT), "grad_cam", targets=taken.predictions)["grad_cam"]
    found = kept["also predicted"]
    assert len(found.images) == 2
    np.testing.assert_allclose(found.maps, expected[found.images], rtol=1e-4, atol=1e-6)
    assert more < fewer  # three pictures share the width that two have
    with pytest.raises(ValueError, match="wrong must be one of 'also predicted', 'label only', got 'no'"):
        vc.AttentionMonitor(probe_set(COUNT), tmp_path / "none", wrong="no")
