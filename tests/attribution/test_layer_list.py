"""The list of candidate layers."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc

from ..helpers.nets import images, small_net, state_of


class Branches(gluon.HybridBlock):
    """A trunk and two heads, one of which runs first."""

    def __init__(self):
        super().__init__()
        self.main = gluon.nn.Conv2D(4, 3, strides=2, in_channels=5)
        self.auxiliary = gluon.nn.Conv2D(7, 1, in_channels=5)
        self.trunk = gluon.nn.Conv2D(5, 3, in_channels=3)
        self.unused = gluon.nn.Conv2D(5, 3, in_channels=3)

    def hybrid_forward(self, F, x):
        x = F.relu(self.trunk(x))
        more = self.auxiliary(x)
        return self.main(x).mean(axis=(2, 3)), more


def test_layers_are_listed_in_the_order_in_which_they_run():
    net = Branches()
    net.initialize()
    before = state_of(net)
    found = vc.layers(net, images(size=16), targets=lambda outputs: outputs[0][:, 1])
    assert [(one.path, one.channels, one.size, one.reached) for one in found] == [
        ("trunk", 5, (14, 14), True),
        ("auxiliary", 7, (14, 14), False),
        ("main", 4, (6, 6), True),
    ]
    assert found[1].name == net.auxiliary.name
    seen = "7 x 14 x 14, a cell sees 3 x 3 px, no part in the score"
    assert str(found[1]) == f"auxiliary ({net.auxiliary.name}): {seen}"
    assert state_of(net) == before


def test_each_layer_listed_can_be_explained_and_is_dead_where_not_reached():
    net, batch = Branches(), images(size=16)
    net.initialize(mx.init.Normal(0.3))

    def target(outputs):
        return outputs[0][:, 1]

    found = vc.layers(net, batch, targets=target)
    results = vc.explain(net, batch, "hires_cam", layer=[one.path for one in found], targets=target)
    for one, result in zip(found, results):
        assert result["hires_cam"].shape == (2, *one.size)
        assert result["hires_cam"].any() == one.reached


def test_labels_and_a_net_that_is_one_layer_will_do():
    found = vc.layers(small_net(), vc.ProbeSet(images(), labels=[1, 3]), targets="label")
    assert [one.path for one in found] == ["0", "4"]
    alone = gluon.nn.Conv2D(3, 3, in_channels=3)
    alone.initialize()
    (only,) = vc.layers(alone, images(), targets=lambda y: y.sum(axis=(1, 2, 3)))
    assert only.path == only.name == alone.name
    assert np.prod(only.size) == 900


def test_a_net_without_layers_is_refused():
    net = gluon.nn.Dense(2)
    net.initialize()
    with pytest.raises(ValueError, match="no gluon.nn.Conv2D"):
        vc.layers(net, images())
