"""DeepLIFT and LRP, which need a rule for every operator, on nets whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.attribution.walked import deep_lift

from ..helpers.families import family_net, first
from ..helpers.known_weights import CURVED, SOME, act, conv, dense, in_a_row, pixels
from ..helpers.nets import Functional, images, small_net, state_of

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


@pytest.mark.parametrize(("biases", "kept"), [(True, 6), (False, 10)])
def test_lrp_biases_of_convolutions_take_their_share(biases, kept, monkeypatch):
    # x = 3: one channel 2 x 3 + 4 = 10, of which the bias keeps 4; one -3 + 9 = 6, for which nothing but it speaks
    method = METHODS["lrp"]
    monkeypatch.setitem(METHODS, "lrp", replace(method, function=partial(method.function, biases=biases)))
    above = in_a_row(conv([[2], [-1]], [4, 9]), gluon.nn.Flatten(), dense([[1, 1]]))
    result = vc.explain(in_a_row(conv([[1]]), act(), above), pixels([3]), "lrp", targets=0)
    assert result.scores.tolist() == [16]
    np.testing.assert_allclose(result["lrp"], pixels([kept]), rtol=1e-5)
    np.testing.assert_allclose(result.notes["lrp/conservation_gap"], [kept - 16], rtol=1e-5)


def test_lrp_negative_biases_and_those_of_the_first_layer_keep_nothing():
    # 3 + 5 = 8 by the first layer, flat: all of it is the pixel's; 2 x 8 - 6 = 10: the bias is no positive part
    above = in_a_row(act(), conv([[2]], [-6]), gluon.nn.Flatten(), dense([[1]]))
    result = vc.explain(in_a_row(conv([[1]], [5]), above), pixels([3]), "lrp", targets=0)
    assert result.scores.tolist() == [10]
    np.testing.assert_allclose(result["lrp"], pixels([10]), rtol=1e-5)
    np.testing.assert_allclose(result.notes["lrp/conservation_gap"], [0], atol=1e-5)


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


@pytest.mark.parametrize("family", SOME)
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
