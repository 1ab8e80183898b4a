"""sanity(): maps of a net with random weights, and the net itself as it was."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.attribution.randomisation import shuffled
from vizcallbacks.measures.of_two_maps import spearman

from ..helpers.few_passes import with_few_passes
from ..helpers.nets import images, random_state, small_net, state_of

PROBE = vc.ProbeSet(images(6), np.arange(6) % 4)
EVERY = tuple(METHODS)


@pytest.fixture(autouse=True)
def _(monkeypatch):
    with_few_passes(monkeypatch)


@pytest.mark.parametrize("hybridize", [False, True])
def test_the_net_and_the_random_streams_are_left_alone(hybridize):
    net = small_net(dropout=0.5, hybridize=hybridize)
    net(mx.nd.array(PROBE.images))
    before = state_of(net)
    vc.sanity(net, PROBE, EVERY)
    assert state_of(net) == before
    moved = random_state()
    _restart()
    assert random_state() == moved


def _restart():
    """The streams as the fixture of these tests leaves them, and as far as `small_net` takes MXNet's."""
    import random

    random.seed(0)
    np.random.seed(0)
    mx.random.seed(0)
    small_net(dropout=0.5)


def test_arrays_are_back_after_an_error():
    net = small_net()
    before = state_of(net)
    try:
        with shuffled(list(net.collect_params().values()), np.random.default_rng(0)):
            assert state_of(net)["arrays"] != before["arrays"]
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert state_of(net) == before


def test_only_the_order_of_values_changes():
    net = small_net()
    weights = net[4].weight.data().asnumpy()
    with shuffled([net[4].weight], np.random.default_rng(0)):
        found = net[4].weight.data().asnumpy()
    assert (found != weights).mean() > 0.9
    np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(weights, axis=None))


def test_the_head_alone_is_what_a_net_with_a_shuffled_head_shows():
    net = small_net()
    found = vc.sanity(net, PROBE, "grad_cam", targets="label")
    assert found.stages == ("head (8)", "to (4)", "to (1)", "all (0)")
    before = vc.explain(net, PROBE, "grad_cam", targets="label")["grad_cam"]
    generator = np.random.default_rng(0)
    for array in (net[8].weight, net[8].bias):
        values = array.data().asnumpy()
        array.set_data(mx.nd.array(generator.permutation(values.ravel()).reshape(values.shape)))
    now = vc.explain(net, PROBE, "grad_cam", targets="label")["grad_cam"]
    np.testing.assert_array_equal(found.similarity["grad_cam"][0], spearman(before, now))


def test_weights_that_are_all_alike_change_nothing_when_shuffled():
    net = small_net()
    for parameter in net.collect_params(".*weight").values():
        parameter.set_data(mx.nd.full(parameter.shape, 0.1))
    found = vc.sanity(net, PROBE, ("saliency", "gradient"), stages=2)
    for values in found.similarity.values():
        np.testing.assert_allclose(values, 1)


def test_the_classes_explained_stay_those_of_the_net_as_it_is():
    net = small_net()
    predicted = vc.explain(net, PROBE, "grad_cam").predictions
    one, other = (vc.sanity(net, PROBE, "grad_cam", targets=targets) for targets in (None, predicted))
    np.testing.assert_array_equal(one.similarity["grad_cam"], other.similarity["grad_cam"])


def test_a_callable_target_works_too():
    found = vc.sanity(small_net(), PROBE, "saliency", targets=lambda outputs: outputs.sum(axis=1))
    assert found.similarity["saliency"].shape == (4, 6)


def test_random_maps_are_the_control():
    found = vc.sanity(small_net(), PROBE, EVERY, stages=2)
    assert set(found.control) == set(found.similarity) == set(EVERY)
    for method in ("saliency", "gradient", "guided_backprop"):
        assert (np.abs(found.control[method]) < 0.15).all()  # 1024 cells: a deviation of 0.03


def test_the_seed_decides():
    one, again, other = (vc.sanity(small_net_again(), PROBE, "saliency", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.similarity["saliency"], again.similarity["saliency"])
    assert (one.similarity["saliency"] != other.similarity["saliency"]).any()


def small_net_again():
    mx.random.seed(7)
    return small_net()


def test_a_shared_parameter_is_shuffled_once():
    net = gluon.nn.HybridSequential()
    first = gluon.nn.Conv2D(3, 3, padding=1, in_channels=3)
    net.add(first, gluon.nn.Conv2D(3, 3, padding=1, in_channels=3, params=first.params))
    net.add(gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(4, in_units=3))
    net.initialize()
    assert vc.sanity(net, PROBE, "saliency").stages == ("head (3)", "all (0)")


def test_a_net_not_yet_initialised_in_full_is_initialised_first():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(3, 3), gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(4))
    net.initialize()
    assert len(vc.sanity(net, PROBE, "grad_cam").stages) == 2


def test_the_table_has_a_line_for_each_stage_and_the_control():
    found = vc.sanity(small_net(), PROBE, ("grad_cam", "saliency"), stages=2)
    lines = str(found).splitlines()
    assert lines[1].split() == ["random", "weights", "grad_cam", "saliency"]
    assert [line.split(")")[0] for line in lines[2:4]] == ["head (8", "all (0"]
    assert lines[4].startswith("random map")
    assert lines[3].split()[-1] == f"{found.similarity['saliency'][1].mean():.2f}"


def test_wrong_arguments_are_refused():
    for stages in (1, 2.0, True):
        with pytest.raises(ValueError, match="stages must be an int of at least 2"):
            vc.sanity(small_net(), PROBE, stages=stages)
    with pytest.raises(ValueError, match="its Conv2D layers are"):
        vc.sanity(small_net(), PROBE, layer="conv9")


def test_a_monitor_logs_it_every_so_many_snapshots(tmp_path):
    net = small_net()
    methods = ("grad_cam", "saliency")
    with vc.AttentionMonitor(PROBE, tmp_path, methods, sanity_period=2, on_error="raise") as monitor:
        for step in range(5):
            monitor.snapshot(net, step)
    found = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    found.Reload()
    expected = vc.sanity(net, PROBE, methods, targets="label", stages=2)
    for name, values in (
        ("head", expected.similarity["saliency"][0]),
        ("all", expected.similarity["saliency"][1]),
        ("random_map", expected.control["saliency"]),
    ):
        curve = {event.step: event.value for event in found.Scalars(f"attention_sanity/saliency_{name}")}
        assert curve == {1: pytest.approx(values.mean()), 3: pytest.approx(values.mean())}
    with pytest.raises(ValueError, match="sanity_period must be an int of at least 1, or None, got 0"):
        vc.AttentionMonitor(PROBE, tmp_path, sanity_period=0)


def test_arrays_are_taken_as_explain_takes_them():
    net = small_net()
    by_array, by_probe = (vc.sanity(net, one, "grad_cam", stages=2) for one in (PROBE.images, PROBE))
    np.testing.assert_array_equal(by_array.similarity["grad_cam"], by_probe.similarity["grad_cam"])
