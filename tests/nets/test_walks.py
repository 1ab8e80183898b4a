"""Walks by other rules than the gradient's: deconvnet, FullGrad, and what holds for all of them."""

from __future__ import annotations

import random

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.nets import walks
from vizcallbacks.nets.variants import prepared

from ..helpers.families import family_net, first
from ..helpers.known_weights import CURVED, SOME, Plain, act, conv, dense, in_a_row, pixels
from ..helpers.nets import Functional, images, random_state, small_net, state_of, zoo_net

ALL = ("deconvnet", "full_grad", "deep_lift", "lrp")


# Deconvnet


def test_deconvnet_lets_positive_gradient_pass_where_the_relu_was_off_and_stops_negative_where_it_was_on():
    # channels of the hidden layer: x, -x; both scored by 2 at the first pixel, by -3 at the second
    net = in_a_row(conv([[1], [-1]]), act(), gluon.nn.Flatten(), dense([[2, -3, 4, -5]]))
    result = vc.explain(net, pixels([7, 6]), ("deconvnet", "gradient", "guided_backprop"), targets=0)
    np.testing.assert_array_equal(result["gradient"], pixels([2, -3]))
    np.testing.assert_array_equal(result["guided_backprop"], pixels([2, 0]))
    # first pixel: 2 by the one, -4 by the other though it was off; second: both negative
    np.testing.assert_array_equal(result["deconvnet"], pixels([2 - 4, 0]))


@pytest.mark.parametrize(
    "relu",
    [
        act(),
        gluon.nn.LeakyReLU(0.3),
        Functional(lambda F, x: F.clip(x, 0, 6)),
        Functional(lambda F, x: F.maximum(x, 0)),
    ],
    ids=["relu", "leaky", "relu 6", "maximum"],
)
def test_deconvnet_does_not_look_at_the_input_of_any_relu_like_activation(relu):
    net = in_a_row(conv([[1], [-1]]), relu, gluon.nn.Flatten(), dense([[2, -3, 4, 5]]))
    for batch in (pixels([7, 6]), pixels([-1, 0.5])):
        result = vc.explain(net, batch, "deconvnet", targets=0)
        np.testing.assert_allclose(result["deconvnet"], pixels([2 - 4, -5]), rtol=1e-6)
        np.testing.assert_allclose(result.scores, net(mx.nd.array(batch)).asnumpy()[:, 0], rtol=1e-6)


def test_deconvnet_of_a_net_is_what_its_layers_give_walked_by_hand():
    net, batch = small_net(), images(2, size=12)
    result = vc.explain(net, batch, "deconvnet", targets=[1, 3])
    value, record = mx.nd.array(batch), []
    for layer in net:
        source = value.copy()
        source.attach_grad()
        with autograd.record(train_mode=isinstance(layer, gluon.nn.MaxPool2D)):
            value = source * 1 if isinstance(layer, gluon.nn.Dropout) else layer(source)
        record.append((layer, source, value))
        value = value.detach()
    gradient = mx.nd.one_hot(mx.nd.array([1, 3]), 4)
    for layer, source, output in reversed(record):
        if isinstance(layer, gluon.nn.Activation):
            gradient = mx.nd.maximum(gradient, 0)
        else:
            (gradient,) = autograd.grad([output], [source], [gradient], train_mode=False)
    unit = np.abs(gradient.asnumpy()).max()
    np.testing.assert_allclose(result["deconvnet"] / unit, gradient.asnumpy() / unit, atol=1e-5)


def test_a_net_without_relus_has_its_gradient_for_a_deconvnet():
    net, batch = small_net("tanh"), images(2)
    result = vc.explain(net, batch, ("deconvnet", "gradient"))
    unit = np.abs(result["gradient"]).max()
    np.testing.assert_allclose(result["deconvnet"] / unit, result["gradient"] / unit, atol=1e-5)


# FullGrad


def test_full_grad_by_hand():
    # y = 3 relu(x_1 - 5) + 2 relu(4 - x_2) - 1, per pixel; x_1 = 7, 4, x_2 = 1, 6
    net = in_a_row(conv([[1, 0], [0, -1]], [-5, 4]), act(), gluon.nn.Flatten(), dense([[3, 3, 2, 2]], [-1]))
    result = vc.explain(net, pixels([7, 4], [1, 6]), "full_grad", targets=0)
    assert result.scores.tolist() == [3 * 2 + 2 * 3 - 1]
    # first pixel: |3 * 7| + |-2 * 1| by the image, |3 * -5| + |2 * 4| by biases; second: both off
    np.testing.assert_allclose(result["full_grad"], [[[21 + 2 + 15 + 8, 0]]], rtol=1e-6)
    np.testing.assert_allclose(result.notes["full_grad/completeness_gap"], [0], atol=1e-6)


def test_full_grad_of_a_bias_in_a_coarse_layer_is_spread_over_its_pixels_and_keeps_its_sum():
    net = in_a_row(gluon.nn.AvgPool2D(4), conv([[0]], [5]), gluon.nn.GlobalAvgPool2D(), dense([[1]]))
    batch = images(1, channels=1, size=16)
    result = vc.explain(net, batch, "full_grad", targets=0)
    np.testing.assert_allclose(result["full_grad"], np.full((1, 16, 16), 5 / 256), rtol=1e-5)


@pytest.mark.parametrize("name", CURVED)
def test_full_grad_is_complete_whatever_the_activation(name):
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(6, 3, in_channels=3, bias_initializer=mx.init.Uniform(1)),
        Functional(CURVED[name]),
        gluon.nn.BatchNorm(in_channels=6, beta_initializer=mx.init.Uniform(1)),
        gluon.nn.Conv2D(5, 3, in_channels=6, bias_initializer=mx.init.Uniform(1)),
        gluon.nn.Flatten(),
        gluon.nn.Dense(3, bias_initializer=mx.init.Uniform(1)),
    )
    net.initialize(mx.init.Xavier(magnitude=3))
    net.cast("float64")
    batch = images(2, size=8)
    result = vc.explain(net, batch, "full_grad", targets=[0, 2])
    scores = net(mx.nd.array(batch, dtype="float64")).asnumpy()[[0, 1], [0, 2]]
    np.testing.assert_allclose(result.scores, scores, rtol=1e-5)
    np.testing.assert_allclose(
        result.notes["full_grad/completeness_gap"], 0, atol=1e-6 * np.abs(scores).max()
    )


@pytest.mark.parametrize("family", SOME)
def test_full_grad_is_complete_on_families_of_the_zoo(family):
    net, batch = family_net(family), images(2, size=family.size)
    before = state_of(net)
    result = vc.explain(net, batch, ("deconvnet", "full_grad"), targets=lambda outputs: first(outputs)[:, 3])
    assert state_of(net) == before
    gap = result.notes["full_grad/completeness_gap"]
    # the parts are far larger than what they add up to
    np.testing.assert_allclose(gap, 0, atol=1e-6 * result["full_grad"].sum(axis=(1, 2)).max())
    assert result["deconvnet"].any()


# All


@pytest.mark.parametrize("name", ["small", "resnet18_v1"])
def test_traced_and_recorded_nets_agree(name):
    net, size = (small_net(), 16) if name == "small" else (zoo_net(name), 64)
    batch = images(3, size=size)
    traced, recorded = (vc.explain(one, batch, ALL, targets=[0, 1, 2]) for one in (net, Plain(net)))
    assert (traced.route, recorded.route) == ("traced", "recorded")
    for method in ALL:
        unit = np.abs(traced[method]).max()
        np.testing.assert_allclose(recorded[method] / unit, traced[method] / unit, atol=1e-5, err_msg=method)


def test_maps_are_equal_to_the_bit_on_repeat_and_when_hybridized():
    net, batch = zoo_net("resnet18_v1"), images(2, size=32)
    first_time, again = vc.explain(net, batch, ALL), vc.explain(net, batch, ALL)
    net.hybridize()
    hybridized = vc.explain(net, batch, ALL)
    for method in ALL:
        assert first_time[method].any()
        np.testing.assert_array_equal(first_time[method], again[method], err_msg=method)
        np.testing.assert_array_equal(first_time[method], hybridized[method], err_msg=method)


@pytest.mark.slow
def test_a_batch_equals_its_images_one_by_one():
    net, batch = zoo_net("resnet18_v1", hybridize=True), images(3, size=32)
    whole, chunked = vc.explain(net, batch, ALL), vc.explain(net, batch, ALL, batch_size=2)
    for i in range(3):
        single = vc.explain(net, batch[i : i + 1], ALL)
        for method in ALL:
            unit = np.abs(single[method]).max()
            for one in (whole, chunked):
                np.testing.assert_allclose(
                    one[method][i] / unit, single[method][0] / unit, atol=1e-4, err_msg=method
                )


def test_a_form_of_the_net_is_made_once_for_all_batches_of_a_call(monkeypatch):
    net, batch = small_net(hybridize=True), images(5, size=16)
    made = []
    monkeypatch.setattr(walks, "prepared", lambda net: made.append(net) or prepared(net))
    whole = vc.explain(net, batch, ALL, targets=[0, 1, 2, 3, 0])
    assert len(made) == len(ALL)
    parts = vc.explain(net, batch, ALL, targets=[0, 1, 2, 3, 0], batch_size=2)  # the last batch is smaller
    assert len(made) == 2 * len(ALL)
    for method in ALL:
        unit = np.abs(whole[method]).max()
        np.testing.assert_allclose(parts[method] / unit, whole[method] / unit, atol=1e-6, err_msg=method)
    net[0].weight.set_data(-net[0].weight.data())
    other = vc.explain(net, batch, ALL, targets=[0, 1, 2, 3, 0])
    assert all(not np.allclose(other[method], whole[method]) for method in ALL)  # no value is kept


def test_nothing_of_the_net_or_the_random_streams_moves():
    net, batch = small_net(dropout=0.5, hybridize=True), images(2, size=16)
    net(mx.nd.array(batch)).asnumpy()
    before, streams = state_of(net), []
    for methods in ((), ALL):
        random.seed(0), np.random.seed(0), mx.random.seed(0)
        if methods:
            vc.explain(net, batch, methods)
        streams.append(random_state())
    assert streams[0] == streams[1]
    assert state_of(net) == before


def test_a_score_of_several_outputs_is_walked_too():
    class Several(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.body = small_net()

        def hybrid_forward(self, F, x):
            y = self.body(x)
            return [y, F.tanh(y)], F.relu(y) + y

    net, batch = Several(), images(2)
    mixed = vc.explain(net, batch, ALL, targets=lambda y: y[0][0][:, 1] + 0 * y[1][:, 0])
    alone = vc.explain(net.body, batch, ALL, targets=1)
    for method in ALL:
        unit = np.abs(alone[method]).max()
        np.testing.assert_allclose(mixed[method] / unit, alone[method] / unit, atol=1e-5, err_msg=method)
