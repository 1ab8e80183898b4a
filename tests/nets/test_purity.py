"""What a net's own code writes in forward is put back, to the bit, and told."""

from __future__ import annotations

import random

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.nets.blocks import block_paths
from vizcallbacks.nets.instrument import instrumented
from vizcallbacks.nets.layers import ATTACHED
from vizcallbacks.nets.purity import attributes_kept

from ..helpers.nets import images, small_net, state_of


class Spectral(gluon.nn.Conv2D):
    """A convolution divided by its largest singular value, by power iteration kept in a parameter."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        with self.name_scope():
            self.vector = self.params.get("vector", shape=(1, 6), grad_req="null", init="ones")

    def hybrid_forward(self, F, x, weight, bias, vector):
        with autograd.pause():
            flat = weight.reshape((weight.shape[0], -1))
            right = F.L2Normalization(F.dot(vector, flat))
            left = F.L2Normalization(F.dot(right, flat, transpose_b=True))
            self.vector.set_data(left)
        sigma = F.sum(F.dot(left, flat) * right)
        return super().hybrid_forward(F, x, weight / sigma, bias)


class Average(gluon.Block):
    """A moving average of what passes, in an array that is an attribute."""

    def __init__(self, way):
        super().__init__()
        self.mean, self.way = mx.nd.zeros((6,)), way

    def forward(self, x):
        with autograd.pause():
            now = x.mean(axis=(0, 2, 3))
            if self.way == "out":
                mx.nd.elemwise_add(self.mean * 0.9, now * 0.1, out=self.mean)
            elif self.way == "slices":
                self.mean[2:4] = now[2:4]
                self.mean[0] = 5
            elif self.way == "a view":
                self.mean[1:5][:] = now[1:5]
            elif self.way == "numpy":
                self.mean[:] = now.asnumpy()
            else:
                self.mean += now
        return x - self.mean.reshape((1, -1, 1, 1))


class Counts(gluon.nn.HybridSequential):
    def __init__(self):
        super().__init__()
        self.calls, self.sizes, self.last, self.table = 0, [], None, {}

    def forward(self, x):
        self.calls += 1
        self.sizes.append(x.shape)
        self.table[x.shape] = self.calls
        self.last = x
        return super().forward(x)


class Draws(gluon.nn.HybridSequential):
    def forward(self, x):
        return super().forward(x * (1 + random.random()) + np.random.rand())


def net_with(block, at=1, kind=gluon.nn.Sequential):
    net = kind()
    blocks = [
        gluon.nn.Conv2D(6, 3, padding=1, in_channels=3),
        gluon.nn.Activation("relu"),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Dense(4, in_units=6),
    ]
    blocks[at : at + (isinstance(block, gluon.nn.Conv2D))] = [block]
    net.add(*blocks)
    return net


CASES = {
    "spectral normalisation": (lambda: net_with(Spectral(6, 3, padding=1, in_channels=3), 0), ("0",)),
    **{
        f"an average, {way}": (lambda way=way: net_with(Average(way)), ("1",))
        for way in ("out", "slices", "a view", "numpy", "in place")
    },
}


@pytest.mark.parametrize("name", CASES)
def test_arrays_that_forward_writes_are_put_back_and_the_block_is_named(name):
    make, blocks = CASES[name]
    net, batch = make(), images(3, size=8)
    net.initialize(mx.init.Xavier(magnitude=3))
    net(mx.nd.array(batch))
    averages = [block.mean for block in net if isinstance(block, Average)]
    before, kept = state_of(net), [one.asnumpy() for one in averages]
    twin_outputs = outputs_of(net, batch, averages)
    result = vc.explain(net, batch, ("grad_cam", "gradient", "occlusion"), targets=1)
    assert state_of(net) == before
    for one, values in zip(averages, kept):
        np.testing.assert_array_equal(one.asnumpy(), values)
    assert result.purity.blocks == blocks
    assert not result.purity.pure
    np.testing.assert_allclose(result.outputs, twin_outputs, rtol=1e-4, atol=1e-6)


def outputs_of(net, batch, averages):
    """What the net gives now, run as the user would; its state is put back by hand."""
    parameters = {one: one.data().copy() for one in net.collect_params().values()}
    kept = [one.copy() for one in averages]
    outputs = net(mx.nd.array(batch)).asnumpy()
    for one, values in parameters.items():
        one.set_data(values)
    for one, values in zip(averages, kept):
        values.copyto(one)
    return outputs


def test_training_with_a_layer_that_keeps_state_ends_in_the_same_bits():
    def trained(watch):
        mx.random.seed(4)
        net, batch = net_with(Spectral(6, 3, padding=1, in_channels=3), 0), images(4, size=8)
        net.initialize(mx.init.Xavier())
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
        for _ in range(4):
            with autograd.record():
                loss = (net(mx.nd.array(batch)) ** 2).sum()
            loss.backward()
            trainer.step(4)
            if watch:
                vc.explain(net, batch, batch_size=3)
        return [one.data().asnumpy().tobytes() for one in net.collect_params().values()]

    assert trained(True) == trained(False)


def test_attributes_that_forward_changes_are_put_back_and_the_block_is_named():
    net, batch = Counts(), images(2)
    net.add(*small_net()._children.values())
    net(mx.nd.array(batch))
    before, last = state_of(net), net.last
    result = vc.explain(net, batch, targets=1)
    assert state_of(net) == before
    assert (net.calls, net.sizes, net.table) == (1, [(2, 3, 32, 32)], {(2, 3, 32, 32): 1})
    assert net.last is last
    assert result.purity.blocks == ("",)


def test_random_streams_of_python_and_numpy_stay_and_every_pass_draws_alike():
    net, batch = Draws(), images(2)
    net.add(*small_net()._children.values())
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    result = vc.explain(net, batch, "gradient", targets=1)
    assert (random.random(), np.random.rand()) == expected
    random.seed(1)
    np.random.seed(1)
    np.testing.assert_allclose(result.outputs, net(mx.nd.array(batch)).asnumpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hybridize", [False, True])
def test_ordinary_nets_are_pure(hybridize):
    net = small_net(hybridize=hybridize)
    assert vc.explain(net, images()).purity.pure
    whole = gluon.nn.Sequential()
    whole.add(net)
    assert vc.explain(whole, images()).purity.pure


def test_arrays_made_in_forward_are_nobodys_state():
    class Makes(gluon.Block):
        def forward(self, x):
            with autograd.pause():
                grid = mx.nd.array(np.arange(x.shape[3]))
                grid[1:3] = 7
                grid[2:4][:] = 1
                more = mx.nd.zeros(x.shape[3])
                mx.nd.elemwise_add(more, grid, out=more)
            return x * more.reshape((1, 1, 1, -1))

    net = net_with(Makes())
    net.initialize()
    assert vc.explain(net, images(size=8), targets=1).purity.pure


def test_a_fixed_gamma_that_mxnet_overwrites_is_put_back():
    net = net_with(gluon.nn.BatchNorm(scale=False, in_channels=6))
    net.initialize()
    net[1].gamma.set_data(mx.nd.array([2, 3, 4, 5, 6, 7]))
    before = state_of(net)
    assert vc.explain(net, images(size=8), targets=1).purity.pure
    assert state_of(net) == before


def test_state_is_put_back_after_an_error_in_the_midst():
    class Fails(Average):
        def forward(self, x):
            super().forward(x)
            self.calls = 3
            raise ArithmeticError("no")

    net = net_with(Fails("out"))
    net.initialize()
    before, kept = state_of(net), net[1].mean.asnumpy()
    with pytest.raises(ArithmeticError):
        vc.explain(net, images(size=8), targets=1)
    assert state_of(net) == before
    np.testing.assert_array_equal(net[1].mean.asnumpy(), kept)


def test_the_net_called_inside_the_block_keeps_what_it_writes():
    net, batch = net_with(Average("out")), mx.nd.array(images(size=8))
    net.initialize()
    with instrumented(net):
        net(batch)
    assert net[1].mean.asnumpy().any()


def test_attributes_that_are_put_back_late_do_not_bring_the_instruments_back():
    """Ctrl-C as a with block ends leaves its generator to Python, which ends it after the blocks outside it."""
    net = small_net()
    blocks, found = block_paths(net), []
    with vc.instrumented(net):
        late = attributes_kept(blocks, found)
        late.__enter__()
        net[0].mine = 1
    del late
    assert not hasattr(net[0], "mine")
    assert not any(ATTACHED in vars(block) for block, _ in blocks)
    with vc.instrumented(net):
        pass
