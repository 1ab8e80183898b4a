"""Every kind of activation, by its closed form: value, gradient, guided gradient, and how it is counted."""

from __future__ import annotations

import math

import gluoncv
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon
from mxnet.gluon.contrib.nn import SyncBatchNorm

import vizcallbacks as vc

from ..helpers.nets import Functional

erf = np.vectorize(math.erf)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


SELU, ALPHA = 1.0507009873554805, 1.6732632423543772

ACTIVATIONS = {
    # name: (block, its derivative, (relus, gates, smooth) that it counts as)
    "relu": (lambda: gluon.nn.Activation("relu"), lambda x: x > 0, (1, 0, 0)),
    "F.relu": (lambda: Functional(lambda F, x: F.relu(x) * 1), lambda x: x > 0, (1, 0, 0)),
    "F.maximum": (lambda: Functional(lambda F, x: F.maximum(x, 0) * 1), lambda x: x > 0, (1, 0, 0)),
    "relu6": (gluoncv.nn.ReLU6, lambda x: (x > 0) & (x < 6), (1, 0, 0)),
    "leaky": (lambda: gluon.nn.LeakyReLU(0.25), lambda x: np.where(x > 0, 1, 0.25), (1, 0, 0)),
    "prelu": (lambda: gluon.nn.PReLU(), lambda x: np.where(x > 0, 1, 0.25), (1, 0, 0)),
    "elu": (lambda: gluon.nn.ELU(0.5), lambda x: np.where(x > 0, 1, 0.5 * np.exp(x)), (0, 0, 1)),
    "selu": (gluon.nn.SELU, lambda x: SELU * np.where(x > 0, 1, ALPHA * np.exp(x)), (0, 0, 1)),
    "gelu": (
        gluon.nn.GELU,
        lambda x: (1 + erf(x / 2**0.5)) / 2 + x * np.exp(-x * x / 2) / (2 * np.pi) ** 0.5,
        (0, 0, 1),
    ),
    "tanh": (lambda: gluon.nn.Activation("tanh"), lambda x: 1 - np.tanh(x) ** 2, (0, 0, 1)),
    "sigmoid": (lambda: gluon.nn.Activation("sigmoid"), lambda x: sigmoid(x) * sigmoid(-x), (0, 1, 0)),
    "swish": (
        lambda: gluon.nn.Swish(),
        lambda x: sigmoid(x) + x * sigmoid(x) * sigmoid(-x),
        (0, 1, 0),
    ),
    "hard sigmoid": (gluoncv.nn.HardSigmoid, lambda x: (np.abs(x) < 3) / 6, (0, 1, 0)),
    "F.hard_sigmoid": (
        lambda: Functional(lambda F, x: F.hard_sigmoid(x, alpha=0.25, beta=0.5)),
        lambda x: (np.abs(x) < 2) / 4,
        (0, 1, 0),
    ),
    "hard swish": (
        gluoncv.nn.HardSwish,
        lambda x: np.where(np.abs(x) < 3, (2 * x + 3) / 6, x > 0),
        (0, 1, 0),
    ),
}

IMAGE = np.array([[[[-7.5, -2.5, -1, -0.3], [0.3, 1, 2.5, 7.5]]]], np.float32)


def net_with(activation, weight):
    """A 1 x 1 convolution with weight 1 - the activation - a convolution with the weight - flat."""
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(1, 1, use_bias=False, in_channels=1),
        activation,
        gluon.nn.Conv2D(1, 1, use_bias=False, in_channels=1),
        gluon.nn.Flatten(),
    )
    net.initialize()
    net[0].weight.set_data(mx.nd.ones((1, 1, 1, 1)))
    net[2].weight.set_data(mx.nd.ones((1, 1, 1, 1)) * weight)
    return net


def total(outputs):
    return outputs.sum(axis=1)


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_its_gradient_is_its_derivative_and_guided_passes_what_its_kind_passes(name, hybridize):
    make, derivative, (relus, gates, smooth) = ACTIVATIONS[name]
    for weight in (2, -3):
        net = net_with(make(), weight)
        if hybridize:
            net.hybridize()
        values = net(mx.nd.array(IMAGE)).asnumpy()
        result = vc.explain(net, IMAGE, ("gradient", "guided_backprop"), targets=total)
        expected = weight * derivative(IMAGE).astype(np.float64)
        np.testing.assert_allclose(result["gradient"], expected, rtol=1e-5, atol=1e-6)
        # a ReLU-like activation takes in positive gradient alone; the others take in what comes
        guided = expected if weight > 0 or not relus else np.zeros_like(expected)
        np.testing.assert_allclose(result["guided_backprop"], guided, rtol=1e-5, atol=1e-6)
        assert result.relus == (relus, relus)
        assert result.plain_activations == {"gate": gates, "smooth": smooth}
        np.testing.assert_allclose(result.outputs, values, rtol=1e-6)


NORMALISED = np.random.RandomState(0).normal(size=(2, 3, 4, 4)).astype(np.float32)


def norm_net(norm):
    """The normalising layer - a 1 x 1 convolution of weights 2, -1, 3 - flat."""
    net = gluon.nn.HybridSequential()
    net.add(norm, gluon.nn.Conv2D(1, 1, use_bias=False, in_channels=3), gluon.nn.Flatten())
    net.initialize()
    norm.gamma.set_data(mx.nd.array([2, -1, 0.5]))
    norm.beta.set_data(mx.nd.array([0.1, 0.2, -0.3]))
    norm.running_mean.set_data(mx.nd.array([0.3, -0.2, 0.1]))
    norm.running_var.set_data(mx.nd.array([1, 4, 0.25]))
    net[1].weight.set_data(mx.nd.array([2, -1, 3]).reshape((1, 3, 1, 1)))
    return net


def channels(*values):
    return np.array(values).reshape(1, 3, 1, 1)


SLOPE = channels(2, -1, 0.5) / np.sqrt(channels(1, 4, 0.25) + 1e-5)


def test_a_batch_norm_fused_with_relu_is_guided_and_differentiated():
    # MXNet's own gradient of this operator is zero after a forward pass in predict mode
    net = norm_net(gluon.nn.BatchNormReLU(in_channels=3))
    values = net(mx.nd.array(NORMALISED)).asnumpy()
    result = vc.explain(net, NORMALISED, ("gradient", "guided_backprop"), targets=total)
    active = (NORMALISED - channels(0.3, -0.2, 0.1)) * SLOPE + channels(0.1, 0.2, -0.3) > 0
    weights = channels(2, -1, 3)
    np.testing.assert_allclose(result["gradient"], weights * active * SLOPE, rtol=1e-4, atol=1e-7)
    guided = np.maximum(weights, 0) * active * SLOPE
    np.testing.assert_allclose(result["guided_backprop"], guided, rtol=1e-4, atol=1e-7)
    assert result.relus == (1, 1)
    np.testing.assert_array_equal(result.outputs, values)


def test_a_synchronised_batch_norm_is_differentiated_with_the_running_statistics():
    net = norm_net(SyncBatchNorm(in_channels=3, num_devices=1))
    values = net(mx.nd.array(NORMALISED)).asnumpy()
    result = vc.explain(net, NORMALISED, "gradient", targets=total)
    expected = np.broadcast_to(channels(2, -1, 3) * SLOPE, NORMALISED.shape)
    np.testing.assert_allclose(result["gradient"], expected, rtol=1e-3)
    np.testing.assert_allclose(result.outputs, values, rtol=1e-4, atol=1e-5)


class BatchStatistics(gluon.nn.BatchNorm):
    """A norm that switches to train mode by itself, as GluonCV's GroupNorm does."""

    def hybrid_forward(self, F, x, **params):
        with mx.autograd.train_mode():
            return super().hybrid_forward(F, x, **params)


def test_a_norm_over_the_batch_is_differentiated_and_its_running_statistics_stay():
    net = norm_net(BatchStatistics(in_channels=3))
    statistics = [net[0].running_mean.data().asnumpy(), net[0].running_var.data().asnumpy()]
    weights = mx.nd.array(np.random.RandomState(1).normal(size=16))
    result = vc.explain(net, NORMALISED, "gradient", targets=lambda y: (y * weights).sum(axis=1))
    np.testing.assert_array_equal(net[0].running_mean.data().asnumpy(), statistics[0])
    np.testing.assert_array_equal(net[0].running_var.data().asnumpy(), statistics[1])

    def score(x):
        centred = x - x.mean(axis=(0, 2, 3), keepdims=True)
        normal = centred / np.sqrt((centred**2).mean(axis=(0, 2, 3), keepdims=True) + 1e-5)
        maps = (channels(2, -1, 3) * (normal * channels(2, -1, 0.5) + channels(0.1, 0.2, -0.3))).sum(axis=1)
        return (maps.reshape(2, 16) * weights.asnumpy()).sum()

    step = 1e-5 * np.random.RandomState(2).normal(size=NORMALISED.shape)
    double = NORMALISED.astype(np.float64)
    expected = (score(double + step) - score(double - step)) / 2
    np.testing.assert_allclose((result["gradient"] * step).sum(), expected, rtol=1e-3)
