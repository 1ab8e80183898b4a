"""Layers are swapped in for the length of a `with` block, and taken out again, always."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.nets import layers as nn

from ..helpers.nets import images, small_net, state_of


class Fails(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        raise ArithmeticError("no")


class PlainHead(gluon.Block):
    """A plain Block: its own forward calls a child and fetches a parameter itself."""

    def __init__(self):
        super().__init__()
        self.conv = gluon.nn.Conv2D(4, 3, in_channels=3, activation="relu")
        self.scale = self.params.get("scale", shape=(1, 4, 1, 1))

    def forward(self, x):
        return (self.conv(x) * self.scale.data()).mean(axis=(2, 3))


def trained(net, batch):
    """Give the net gradients and a compiled graph, as in mid-training."""
    with autograd.record():
        loss = net(mx.nd.array(batch)).sum()
    loss.backward()
    return net


@pytest.mark.parametrize("hybridize", [False, True])
def test_layers_are_instrumented_inside_and_restored_outside(hybridize):
    net = trained(small_net(hybridize=hybridize), images())
    before = state_of(net)
    with vc.instrumented(net) as view:
        assert isinstance(net[0], gluon.nn.Conv2D)
        assert type(net[0]) is not gluon.nn.Conv2D
        assert list(view.conv_layers) == ["0", "4"]
        assert view.conv_layers["4"] is net[4]
    assert type(net[0]) is gluon.nn.Conv2D
    assert state_of(net) == before


@pytest.mark.parametrize("hybridize", [False, True])
def test_the_net_called_inside_works_as_before(hybridize):
    net, batch = small_net(hybridize=hybridize), mx.nd.array(images())
    expected = net(batch).asnumpy()
    graph = net._cached_op
    with vc.instrumented(net):
        np.testing.assert_array_equal(net(batch).asnumpy(), expected)
    assert net._cached_op is graph


def test_net_is_restored_after_an_error_in_forward():
    net = trained(small_net(), images())
    net._children["8"] = Fails()
    before = state_of(net)
    with pytest.raises(ArithmeticError):
        vc.explain(net, images(), targets=0)
    assert state_of(net) == before


def test_net_is_restored_after_an_error_in_the_body():
    net = trained(small_net(hybridize=True), images())
    before = state_of(net)
    with pytest.raises(KeyboardInterrupt), vc.instrumented(net):
        raise KeyboardInterrupt
    assert state_of(net) == before


def test_a_second_instrumentation_inside_the_first_is_refused():
    net = small_net()
    before = state_of(net)
    with vc.instrumented(net):
        with pytest.raises(RuntimeError, match="instrumented already"), vc.instrumented(net):
            pass
        shares_a_layer = gluon.nn.HybridSequential()
        shares_a_layer.add(net[0])
        with pytest.raises(RuntimeError, match="block '0' is instrumented already"):
            vc.explain(shares_a_layer, images(), "gradient", targets=lambda y: y.sum(axis=(1, 2, 3)))
        assert type(net[0]) is not gluon.nn.Conv2D
    assert state_of(net) == before


def test_parameters_that_a_plain_block_fetches_get_no_gradient():
    net = PlainHead()
    net.initialize()
    trained(net, images())
    before = state_of(net)
    result = vc.explain(net, images(), targets=1)
    assert result.relus == (1, 1)
    assert state_of(net) == before


def test_forward_hooks_of_the_user_do_not_see_the_pass():
    net, seen = small_net(), []
    net[0].register_forward_hook(lambda *_: seen.append("after"))
    net[0].register_forward_pre_hook(lambda *_: seen.append("before"))
    vc.explain(net, images())
    assert seen == []
    net(mx.nd.array(images()))
    assert seen == ["before", "after"]


def test_a_shared_layer_is_swapped_once_and_counts_where_it_ran_last():
    shared = gluon.nn.Conv2D(3, 3, padding=1, in_channels=3)
    net = gluon.nn.HybridSequential()
    net.add(shared, gluon.nn.Activation("relu"), shared, gluon.nn.GlobalAvgPool2D(), gluon.nn.Flatten())
    net.initialize(mx.init.Xavier())
    result = vc.explain(net, images(), "grad_cam", targets=1)
    x = mx.nd.array(images())
    last = shared(mx.nd.relu(shared(x))).asnumpy()
    # behind it the mean over 32 x 32 cells of its map 1: dy/dA_1 = 1/1024, the others 0
    np.testing.assert_allclose(result["grad_cam"], np.maximum(last[:, 1], 0) / 1024, rtol=1e-5, atol=1e-9)


def dropin_net():
    net = gluon.nn.HybridSequential()
    net.add(
        nn.Conv2D(6, 3, in_channels=3),
        nn.Activation("relu"),
        gluon.nn.MaxPool2D(2),
        nn.Conv2D(4, 3, in_channels=6, activation="relu"),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Flatten(),
    )
    net.initialize(mx.init.Xavier())
    return net


@pytest.mark.parametrize("hybridize", [False, True])
def test_drop_in_layers_train_like_gluons(hybridize):
    net, batch = dropin_net(), mx.nd.array(images())
    twin = gluon.nn.HybridSequential()
    twin.add(
        gluon.nn.Conv2D(6, 3, in_channels=3),
        gluon.nn.Activation("relu"),
        gluon.nn.MaxPool2D(2),
        gluon.nn.Conv2D(4, 3, in_channels=6, activation="relu"),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Flatten(),
    )
    twin.initialize()
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    for one in (net, twin):
        if hybridize:
            one.hybridize()
        trainer = gluon.Trainer(one.collect_params(), "sgd", {"learning_rate": 0.5})
        for _ in range(3):
            with autograd.record():
                loss = (one(batch) ** 2).sum()
            loss.backward()
            trainer.step(2)
    np.testing.assert_array_equal(net(batch).asnumpy(), twin(batch).asnumpy())


def test_drop_in_layers_are_explained_and_keep_their_class():
    net = trained(dropin_net(), images())
    before = state_of(net)
    result = vc.explain(net, images())
    assert result.relus == (2, 2)
    assert result.layer == "3"
    assert state_of(net) == before
