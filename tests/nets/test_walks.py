"""Walks by other rules than the gradient's, on nets whose answers are known or found a second way."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.attribution.walked import deep_lift

from ..helpers.families import FAMILIES, family_net, first
from ..helpers.nets import Functional, images, random_state, small_net, state_of, zoo_net

ALL = ("deconvnet", "full_grad", "deep_lift", "lrp")


class Plain(gluon.Block):
    """A plain Block around a net: it has no symbols, and so is recorded."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


def dense(weight, bias=None):
    """A dense layer of these weights, (out, in)."""
    weight = np.float32(weight)
    layer = gluon.nn.Dense(weight.shape[0], in_units=weight.shape[1], use_bias=bias is not None)
    layer.initialize()
    layer.weight.set_data(mx.nd.array(weight))
    if bias is not None:
        layer.bias.set_data(mx.nd.array(bias))
    return layer


def conv(weight, bias=None):
    """A 1 x 1 convolution of these weights, (out, in)."""
    weight = np.float32(weight)
    layer = gluon.nn.Conv2D(
        weight.shape[0], 1, in_channels=weight.shape[1], use_bias=bias is not None, padding=0
    )
    layer.initialize()
    layer.weight.set_data(mx.nd.array(weight[:, :, None, None]))
    if bias is not None:
        layer.bias.set_data(mx.nd.array(bias))
    return layer


def in_a_row(*blocks):
    net = gluon.nn.HybridSequential()
    net.add(*blocks)
    return net


def act(name="relu"):
    return gluon.nn.Activation(name)


def pixels(*values):
    """One image of one row, a channel for each list of values."""
    return np.float32(values)[None, :, None, :]


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


def hard_swish(F, x):
    return x * F.clip(x + 3, 0, 6) / 6


CURVED = {
    "relu": lambda F, x: F.relu(x),
    "leaky": lambda F, x: F.LeakyReLU(x, slope=0.2),
    "relu 6": lambda F, x: F.clip(20 * x, 0, 6),
    "sigmoid": lambda F, x: F.sigmoid(x),
    "tanh": lambda F, x: F.tanh(x),
    "elu": lambda F, x: F.LeakyReLU(x, act_type="elu"),
    "gelu": lambda F, x: F.LeakyReLU(x, act_type="gelu"),
    "swish": lambda F, x: x * F.sigmoid(x),
    "hard swish": hard_swish,
    "shifts": lambda F, x: 3 - (2 - (x + 0.5) * 2 - 1),
    "squared": lambda F, x: F.square(x) + F.exp(x) / 2,
    "gate": lambda F, x: F.broadcast_mul(x, F.sigmoid(F.mean(x, axis=(2, 3), keepdims=True))),
    "constants": lambda F, x: F.broadcast_sub(
        F.ones((1, 6, 1, 1), dtype="float64"), F.broadcast_add(x, F.ones((1, 6, 1, 1), dtype="float64") / 2)
    ),
}


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


SOME = ("resnet18_v2", "se_resnet18_v1", "mobilenetv2_0.25", "mobilenetv3_small", "xception", "dla34")


@pytest.mark.parametrize(
    "family", [one for one in FAMILIES if one.member in SOME], ids=lambda one: one.member
)
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


# DeepLIFT


def test_deep_lift_by_hand():
    # y = relu(x_1 - x_2) - 2 relu(x_2 - 1); x = 4, 3: relu(1) - 2 relu(2); at zero: relu(0) - 2 relu(-1)
    net = in_a_row(conv([[1, -1], [0, 1]], [0, -1]), act(), gluon.nn.Flatten(), dense([[1, 0, -2, 0]], [7]))
    result = vc.explain(net, pixels([4, 0], [3, 0]), "deep_lift", targets=0)
    # ratios: 1 / 1 at the first, 2 / (2 + 1) at the second; the gradient would be 1 at both
    np.testing.assert_allclose(result["deep_lift"], pixels([4, 0], [-3 - 2 * 3 * 2 / 3, 0]), rtol=1e-6)
    assert result.scores.tolist() == [1 - 4 + 7]
    np.testing.assert_allclose(result.notes["deep_lift/completeness_gap"], [0], atol=1e-6)


def test_deep_lift_gives_the_rise_of_a_maximum_to_its_winner_and_the_fall_to_the_references():
    net = in_a_row(gluon.nn.MaxPool2D((1, 4)), gluon.nn.Flatten(), dense([[3]]))
    reference = pixels([0, 5, 2, 1])
    own = replace(METHODS["deep_lift"], function=partial(deep_lift, reference=reference))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "deep_lift", own)
        above, below = (
            vc.explain(net, x, "deep_lift", targets=0) for x in (pixels([4, 4, 9, 1]), pixels([4, 2, 0, 1]))
        )
    # 9 above 5: 4 for the third; 4 below 5: -1 for the second, which fell by 3
    np.testing.assert_allclose(above["deep_lift"], pixels([0, 0, 12, 0]), atol=1e-6)
    np.testing.assert_allclose(below["deep_lift"], pixels([0, -3, 0, 0]), atol=1e-6)


def test_deep_lift_of_a_product_gives_each_factor_the_others_mean():
    net = in_a_row(
        Functional(
            lambda F, x: F.slice_axis(x, axis=1, begin=0, end=1) * F.slice_axis(x, axis=1, begin=1, end=2)
        ),
        gluon.nn.Flatten(),
        dense([[1, 1]]),
    )
    result = vc.explain(net, pixels([4, 0], [3, 0]), "deep_lift", targets=0)
    np.testing.assert_allclose(result["deep_lift"], pixels([6, 0], [6, 0]), rtol=1e-6)


RULED = ("deep_lift", "lrp")
NETS = {name: function for name, function in CURVED.items() if name not in ("shifts", "constants")}


@pytest.mark.parametrize("name", NETS)
def test_deep_lift_is_complete_from_any_reference_whatever_the_activation(name, monkeypatch):
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(6, 3, in_channels=3, bias_initializer=mx.init.Uniform(1)),
        Functional(NETS[name]),
        gluon.nn.BatchNorm(in_channels=6, beta_initializer=mx.init.Uniform(1)),
        gluon.nn.MaxPool2D(2),
        gluon.nn.Conv2D(5, 2, in_channels=6, bias_initializer=mx.init.Uniform(1)),
        gluon.nn.Activation("softrelu"),
        gluon.nn.Flatten(),
        gluon.nn.Dense(3, bias_initializer=mx.init.Uniform(1)),
    )
    net.initialize(mx.init.Xavier(magnitude=3))
    net.cast("float64")
    batch, reference = images(2, size=9), images(1, size=9, seed=4)
    own = replace(METHODS["deep_lift"], function=partial(deep_lift, reference=reference))
    monkeypatch.setitem(METHODS, "deep_lift", own)
    result = vc.explain(net, batch, "deep_lift", targets=[0, 2])
    end, start = (net(mx.nd.array(x, dtype="float64")).asnumpy() for x in (batch, reference))
    rise = end[[0, 1], [0, 2]] - start[0, [0, 2]]
    np.testing.assert_allclose(result["deep_lift"].sum(axis=(1, 2, 3)), rise, rtol=1e-4)
    np.testing.assert_allclose(result.notes["deep_lift/completeness_gap"], 0, atol=1e-5 * np.abs(rise).max())


def test_deep_lift_from_a_reference_close_by_is_the_gradient_times_the_difference(monkeypatch):
    net, batch = small_net("tanh"), images(2, size=12)
    net.cast("float64")
    step = np.float32(1e-3)
    own = replace(METHODS["deep_lift"], function=partial(deep_lift, reference=batch - step))
    monkeypatch.setitem(METHODS, "deep_lift", own)
    result = vc.explain(net, batch, ("deep_lift", "gradient"), targets=1)
    unit = np.abs(result["gradient"]).max()
    np.testing.assert_allclose(result["deep_lift"] / step / unit, result["gradient"] / unit, atol=5e-3)


# LRP


def test_lrp_by_hand():
    # first layer, flat: both channels of a pixel share; z = 2 x_1 + x_2, x_1 - 2 x_2, at one pixel of 3, 2: 8, -1
    # second layer, z+: relu 8, 0; w = 3, -1 and 2, 5: z = 24, 16; both positive parts come from the 8
    # dense: 1, 2 and a bias of 4: 24 + 32 + 4
    net = in_a_row(
        conv([[2, 1], [1, -2]]),
        act(),
        conv([[3, -1], [2, 5]]),
        gluon.nn.Flatten(),
        dense([[1, 0, 2, 0]], [4]),
    )
    result = vc.explain(net, pixels([3, 0], [2, 0]), "lrp", targets=0)
    assert result.scores.tolist() == [60]
    np.testing.assert_allclose(result["lrp"], pixels([28, 0], [28, 0]), rtol=1e-5)
    np.testing.assert_allclose(result.notes["lrp/conservation_gap"], [-4], rtol=1e-4)


def test_lrp_shares_by_positive_parts_of_values_of_either_sign():
    # second layer takes 5, -3 as they are: w = 2, -1: parts 10, 3; and w = -1, 1: none positive
    net = in_a_row(
        conv([[1, 0], [0, 1]]), conv([[2, -1], [-1, 1]]), gluon.nn.Flatten(), dense([[1, 0, 0, 0]])
    )
    result = vc.explain(net, pixels([5, 0], [-3, 0]), "lrp", targets=0)
    np.testing.assert_allclose(result.scores, [13])
    # flat: each of the two takes half of 10 and half of 3
    np.testing.assert_allclose(result["lrp"], pixels([6.5, 0], [6.5, 0]), rtol=1e-5)


def test_lrp_keeps_the_score_in_a_net_without_biases_and_within_the_image():
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(6, 3, padding=1, in_channels=3, use_bias=False),
        act(),
        gluon.nn.MaxPool2D(2),
        gluon.nn.Conv2D(8, 3, padding=1, in_channels=6, use_bias=False),
        gluon.nn.Swish(),
        gluon.nn.Conv2D(8, 3, padding=1, in_channels=8, use_bias=False),
        gluon.nn.LeakyReLU(0.2),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Dense(4, in_units=8, use_bias=False),
    )
    net.initialize(mx.init.Xavier(magnitude=3))
    batch = images(3, size=12)
    result = vc.explain(net, batch, "lrp", targets=[0, 1, 2])
    assert np.abs(result.scores).min() > 1e-3
    np.testing.assert_allclose(result["lrp"].sum(axis=(1, 2, 3)), result.scores, rtol=1e-3)


def test_lrp_of_dense_layers_above_the_first_is_gradient_times_input_where_there_is_no_epsilon():
    """With one pixel a first layer that copies it shows the relevance that comes to it."""
    net = in_a_row(conv([[1]]), gluon.nn.Flatten(), dense([[1, 2, -3]]), act(), dense([[4]], [2]))
    result = vc.explain(net, pixels([3, 1, 1]), ("lrp", "gradient_x_input"), targets=0)
    np.testing.assert_allclose(result["lrp"], result["gradient_x_input"], rtol=1e-4)


# Both


def test_on_a_linear_net_without_biases_all_ways_give_gradient_times_input():
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3, padding=1, in_channels=3, use_bias=False),
        gluon.nn.AvgPool2D(2),
        gluon.nn.Conv2D(4, 3, in_channels=4, use_bias=False),
        gluon.nn.Flatten(),
        gluon.nn.Dense(2, use_bias=False),
    )
    net.initialize(mx.init.Normal(1))
    batch = images(2, size=8)
    methods = ("gradient", "gradient_x_input", "deconvnet", "full_grad", "deep_lift")
    result = vc.explain(net, batch, methods, targets=1)
    unit = np.abs(result["gradient_x_input"]).max()
    np.testing.assert_allclose(result["deconvnet"], result["gradient"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result["deep_lift"] / unit, result["gradient_x_input"] / unit, atol=1e-5)
    magnitude = np.abs(result["gradient_x_input"]).sum(axis=1)
    np.testing.assert_allclose(result["full_grad"] / unit, magnitude / unit, atol=1e-5)
    np.testing.assert_allclose(result["deep_lift"].sum(axis=(1, 2, 3)), result.scores, rtol=1e-3)


@pytest.mark.parametrize(
    "family", [one for one in FAMILIES if one.member in SOME], ids=lambda one: one.member
)
def test_they_are_complete_or_finite_on_families_of_the_zoo(family):
    net, batch = family_net(family), images(2, size=family.size)
    before = state_of(net)
    result = vc.explain(net, batch, RULED, targets=lambda outputs: first(outputs)[:, 3])
    assert state_of(net) == before
    unit = np.abs(result["deep_lift"]).sum(axis=(1, 2, 3)).max()
    np.testing.assert_allclose(result.notes["deep_lift/completeness_gap"], 0, atol=1e-4 * unit)
    assert np.isfinite(result["lrp"]).all()
    assert result["lrp"].any()


REFUSED = {
    "softmax": ("softmax", RULED, lambda F, x: F.softmax(x, axis=1)),
    "a norm of the image's own statistics": (
        "InstanceNorm",
        RULED,
        lambda F, x: F.InstanceNorm(x, F.ones(6), F.zeros(6)),
    ),
    "a value that is cut out of the gradient": ("BlockGrad", RULED, lambda F, x: x + F.BlockGrad(x)),
    "a product without a gate": ("(elemwise|broadcast)_mul", ("lrp",), lambda F, x: x * F.tanh(x)),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_has_no_rule_is_refused_in_words(why):
    op, methods, function = REFUSED[why]
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(6, 3, in_channels=3), Functional(function), gluon.nn.Flatten(), gluon.nn.Dense(2))
    net.initialize()
    for method in methods:
        with pytest.raises(
            ValueError, match=f"{method} has no rule for {op} .*explain this net by another method"
        ):
            vc.explain(net, images(2, size=8), method)
    vc.explain(net, images(2, size=8), ("deconvnet", "full_grad"))


def test_lrp_refuses_an_image_that_goes_round_the_first_layer():
    class Round(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.conv = gluon.nn.Conv2D(3, 3, padding=1, in_channels=3)

        def hybrid_forward(self, F, x):
            return F.mean(self.conv(x) + x, axis=(2, 3))

    net = Round()
    net.initialize()
    with pytest.raises(
        ValueError, match="lrp has no rule for .*add.*before the first convolution or dense layer"
    ):
        vc.explain(net, images(2), "lrp", targets=1)


def test_lrp_looks_through_what_a_net_does_to_an_image_before_its_first_layer():
    def normed(F, x):
        return F.Pad((x * 2 - 1) / 3, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 1, 1, 1, 1))

    layer = gluon.nn.Conv2D(4, 3, in_channels=3, use_bias=False)
    padded = gluon.nn.Conv2D(4, 3, in_channels=3, padding=1, use_bias=False, params=layer.params)
    nets = []
    for blocks in ((Functional(normed), layer), (padded,)):
        net = gluon.nn.HybridSequential()
        net.add(*blocks, gluon.nn.GlobalAvgPool2D(), gluon.nn.Flatten())
        nets.append(net)
    nets[0].initialize()
    batch = images(2, size=8)
    one = vc.explain(nets[0], batch, "lrp", targets=1)
    other = vc.explain(nets[1], (batch * 2 - 1) / 3, "lrp", targets=1)
    np.testing.assert_allclose(one["lrp"], other["lrp"], rtol=1e-4, atol=1e-6)
