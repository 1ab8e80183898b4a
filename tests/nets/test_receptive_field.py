"""Receptive fields: those that the gradient of one cell shows, where nothing can cancel."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc

from ..helpers.nets import zoo_net

SIZE = (61, 83)


def conv(channels=2, **options):
    return gluon.nn.Conv2D(channels, **options)


class Ways(gluon.HybridBlock):
    """A long way and a short one that meet."""

    def __init__(self):
        super().__init__()
        self.long, self.short, self.last = (
            conv(kernel_size=(7, 3), padding=(3, 1)),
            conv(kernel_size=1),
            conv(kernel_size=3),
        )

    def hybrid_forward(self, F, x):
        return self.last(self.long(F.relu(x)) + self.short(x))


class Gate(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.conv = conv(kernel_size=3)

    def hybrid_forward(self, F, x):
        return self.conv(F.broadcast_mul(x, F.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg")))


def in_a_row(*blocks):
    net = gluon.nn.HybridSequential()
    net.add(*blocks)
    return net


NETS = {
    "one": lambda: in_a_row(conv(kernel_size=(3, 5))),
    "strides and pooling": lambda: in_a_row(
        conv(kernel_size=3, strides=2),
        gluon.nn.AvgPool2D(3, 2),
        gluon.nn.Activation("relu"),
        conv(kernel_size=(3, 2)),
    ),
    "dilation": lambda: in_a_row(
        conv(kernel_size=3, dilation=(4, 2)), conv(kernel_size=3, strides=(2, 1)), conv(kernel_size=3)
    ),
    "two ways": Ways,
    "a gate": Gate,
}


@pytest.mark.parametrize("name", NETS)
def test_it_is_where_the_gradient_of_a_cell_is_not_zero(name):
    net = NETS[name]()
    net.initialize(mx.init.One())
    image = mx.nd.ones((1, 1, *SIZE))
    image.attach_grad()
    with autograd.record():
        output = net(image)
        _, _, h, w = output.shape
        cell = output[0, 0, h // 2, w // 2]
    cell.backward()
    rows, columns = np.nonzero(image.grad.asnumpy()[0, 0])
    expected = (np.ptp(rows) + 1, np.ptp(columns) + 1)
    found = vc.layers(net, np.ones((1, 1, *SIZE), np.float32), targets=lambda y: y.sum(axis=(1, 2, 3)))
    assert found[-1].receptive_field == expected


def test_that_of_resnet18_is_published():
    """435 pixels (Araujo et al., 2019, table of architectures: ResNet-v1-18), where the image has as many."""
    net = zoo_net("resnet18_v1")
    found = vc.layers(net, np.zeros((1, 3, 448, 448), np.float32))
    assert found[0].receptive_field == (7, 7)
    assert found[-1].receptive_field == (435, 435)
    assert vc.layers(net, np.zeros((1, 3, 64, 64), np.float32))[-1].receptive_field == (64, 64)


def test_it_is_unknown_behind_operators_of_unknown_reach_and_known_in_plain_blocks():
    class Turned(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.transpose(x, (0, 1, 3, 2))

    batch = np.zeros((1, 1, 16, 16), np.float32)
    for net, expected in (
        (in_a_row(conv(kernel_size=3), Turned(), conv(kernel_size=3)), [(3, 3), None]),
        (gluon.nn.Sequential(), [(3, 3), (5, 5)]),
    ):
        if not len(net):
            net.add(conv(kernel_size=3), conv(kernel_size=3))
        net.initialize()
        found = vc.layers(net, batch, targets=lambda y: y.sum(axis=(1, 2, 3)))
        assert [one.receptive_field for one in found] == expected
