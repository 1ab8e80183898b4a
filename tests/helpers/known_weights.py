"""Nets of a few layers with given weights, whose answers can be found by hand, and functions for between."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

from .families import FAMILIES


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


CURVED = {
    "relu": lambda F, x: F.relu(x),
    "leaky": lambda F, x: F.LeakyReLU(x, slope=0.2),
    "relu 6": lambda F, x: F.clip(20 * x, 0, 6),
    "sigmoid": lambda F, x: F.sigmoid(x),
    "tanh": lambda F, x: F.tanh(x),
    "elu": lambda F, x: F.LeakyReLU(x, act_type="elu"),
    "gelu": lambda F, x: F.LeakyReLU(x, act_type="gelu"),
    "swish": lambda F, x: x * F.sigmoid(x),
    "hard swish": lambda F, x: x * F.clip(x + 3, 0, 6) / 6,
    "shifts": lambda F, x: 3 - (2 - (x + 0.5) * 2 - 1),
    "squared": lambda F, x: F.square(x) + F.exp(x) / 2,
    "gate": lambda F, x: F.broadcast_mul(x, F.sigmoid(F.mean(x, axis=(2, 3), keepdims=True))),
    "constants": lambda F, x: F.broadcast_sub(
        F.ones((1, 6, 1, 1), dtype="float64"), F.broadcast_add(x, F.ones((1, 6, 1, 1), dtype="float64") / 2)
    ),
}
"""Name -> function of (F, x), for `Functional`; constants are float64."""

_SOME = ("resnet18_v2", "se_resnet18_v1", "mobilenetv2_0.25", "mobilenetv3_small", "xception", "dla34")

SOME = [
    pytest.param(one, id=one.member, marks=[] if one.member == "resnet18_v2" else [pytest.mark.slow])
    for one in FAMILIES
    if one.member in _SOME
]
"""Families of the zoo with shortcuts, gates, ReLU6, hard swish, separable and aggregated layers."""
