"""One untouched run is read as a graph: it gives the net's outputs to the bit, and right gradients."""

from __future__ import annotations

import gluoncv
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon
from mxnet.gluon.model_zoo import vision

import vizcallbacks as vc
from vizcallbacks.nets.compiled import CompiledNet
from vizcallbacks.nets.instrument import instrumented

from ..helpers.nets import Functional, images, random_state, small_net, state_of, zoo_net


class Plain(gluon.Block):
    """conv - a function of arrays - mean - dense, in Python."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.dense = gluon.nn.Conv2D(4, 3, padding=1), gluon.nn.Dense(3)
        self.function = function

    def forward(self, x):
        return self.dense(self.function(self.conv(x)).mean(axis=(2, 3)))


class OwnCall(gluon.nn.HybridSequential):
    def __call__(self, x):
        return super().__call__((x - 0.5) / 2)


class AsksForF(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        return x * 3 if F is mx.nd else x


class Lstm(gluon.HybridBlock):
    """Columns of the maps are steps."""

    def __init__(self):
        super().__init__()
        self.conv, self.lstm = gluon.nn.Conv2D(4, 3, padding=1, activation="relu"), gluon.rnn.LSTM(5)
        self.out = gluon.nn.Dense(3)

    def hybrid_forward(self, F, x):
        steps = self.conv(x).transpose((3, 0, 1, 2)).reshape((0, 0, -1))
        return self.out(self.lstm(steps).transpose((1, 0, 2)))


class Loop(gluon.HybridBlock):
    """A loop over the rows of the maps."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = gluon.nn.Conv2D(4, 3, padding=1), gluon.nn.Dense(3)

    def hybrid_forward(self, F, x):
        rows = F.transpose(self.conv(x), axes=(2, 0, 1, 3))
        _, last = F.contrib.foreach(
            lambda row, state: (row, F.tanh(row + 0.5 * state)),
            rows,
            F.zeros_like(F.slice_axis(rows, axis=0, begin=0, end=1)).reshape((-3, -2)),
        )
        return self.out(last)


class Constants(gluon.HybridBlock):
    """Arrays made in forward, by NumPy and by operators."""

    def hybrid_forward(self, F, x):
        ramp = mx.nd.array(np.arange(x.shape[3]), ctx=x.context, dtype=x.dtype)
        return F.broadcast_mul(x, F.sin(ramp).reshape((1, 1, 1, -1))) + F.ones(
            x.shape, dtype=x.dtype
        ) * float(x.shape[0])


def in_a_row(*blocks, kind=gluon.nn.HybridSequential):
    net = kind()
    net.add(gluon.nn.Conv2D(4, 3, padding=1), gluon.nn.BatchNorm(), *blocks, gluon.nn.GlobalAvgPool2D())
    net.add(gluon.nn.Dense(3))
    return net


def wrapped(net):
    whole = gluon.nn.Sequential()
    whole.add(net)
    return whole


def hybridized(net, **flags):
    net.hybridize(**flags)
    return net


NETS = {
    # name: (make, images' side)
    "a call of its own": (lambda: in_a_row(kind=OwnCall), 12),
    "a hybridized call of its own": (lambda: hybridized(in_a_row(kind=OwnCall)), 12),
    "F is mx.nd": (lambda: in_a_row(AsksForF()), 12),
    "F is mx.nd, hybridized": (lambda: hybridized(in_a_row(AsksForF())), 12),
    "operators by name": (
        lambda: in_a_row(gluon.nn.HybridLambda("relu"), gluon.nn.Lambda("tanh"), kind=gluon.nn.Sequential),
        12,
    ),
    "an LSTM": (Lstm, 12),
    "a hybridized LSTM": (lambda: hybridized(Lstm()), 12),
    "a loop": (Loop, 12),
    "a hybridized loop": (lambda: hybridized(Loop()), 12),
    "functions of arrays": (lambda: Plain(lambda x: mx.nd.relu(x) + x.relu() * 2), 12),
    "pooling of arrays": (lambda: Plain(lambda x: mx.nd.Pooling(x, kernel=(2, 2), stride=(2, 2))), 12),
    "slices": (lambda: Plain(lambda x: mx.nd.concat(x[:, 1:], x[:, :1] * 2, dim=1)[:, :, ::2]), 12),
    "a detached part": (lambda: Plain(lambda x: x * x.detach().mean()), 12),
    "values that are looked at": (lambda: Plain(lambda x: x * float(x.mean().asscalar() > 0) + x), 12),
    "constants": (lambda: in_a_row(Constants()), 12),
    "a wrapper of a hybridized net": (lambda: wrapped(hybridized(in_a_row(gluon.nn.Activation("relu")))), 12),
    "a wrapper of a hybridized ResNet": (lambda: wrapped(hybridized(vision.resnet18_v1(classes=5))), 32),
    "a wrapper of a static ResNet": (
        lambda: wrapped(hybridized(vision.resnet18_v1(classes=5), static_alloc=True, static_shape=True)),
        32,
    ),
    "a small hybridized part": (
        lambda: in_a_row(hybridized(gluon.nn.Conv2D(3, 1)), kind=gluon.nn.Sequential),
        12,
    ),
    "SE-ResNet": (lambda: gluoncv.model_zoo.get_model("se_resnet18_v1", classes=5), 32),
    "ResNeSt": (lambda: gluoncv.model_zoo.get_model("resnest14", classes=5), 32),
    "MobileNet v3": (lambda: gluoncv.model_zoo.get_model("mobilenetv3_small", classes=5), 32),
    "ShuffleNet": (lambda: gluoncv.model_zoo.get_model("shufflenet_v1", classes=5), 32),
    "HRNet": (lambda: gluoncv.model_zoo.get_model("hrnet_w18_small_v1_c", num_classes=5), 32),
    "residual attention": (
        lambda: gluoncv.model_zoo.get_model("cifar_residualattentionnet56", classes=5),
        32,
    ),
    "FCN": (
        lambda: gluoncv.model_zoo.FCN(nclass=3, backbone="resnet50", pretrained_base=False, crop_size=64),
        64,
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_the_recorded_graph_gives_the_outputs_of_the_net_to_the_bit(name):
    make, size = NETS[name]
    net, batch = make(), mx.nd.array(images(2, size=size))
    net.initialize(mx.init.Xavier(magnitude=3), force_reinit=True)
    outputs = flat(net(batch))
    before = state_of(net)
    with instrumented(net) as runner:
        recording, _ = runner._untouched.run([batch], True, finish=True)
        compiled = CompiledNet(recording.graph)
        again = compiled.own_values([batch], recording.graph.heads)
    assert len(again) == len(outputs)
    for mine, own in zip(again, outputs):
        np.testing.assert_array_equal(mine.asnumpy(), own.asnumpy())
    assert state_of(net) == before


def flat(outputs):
    return (
        [one for part in outputs for one in flat(part)] if isinstance(outputs, (list, tuple)) else [outputs]
    )


SMALL = [name for name, (_, size) in NETS.items() if size == 12]


@pytest.mark.parametrize("name", SMALL)
def test_its_gradient_is_that_of_finite_differences_and_all_is_restored(name):
    net, batch = NETS[name][0](), images(2, size=12)
    net.initialize(mx.init.Xavier(magnitude=3))
    net(mx.nd.array(batch))
    net.cast("float64")
    outputs = net(mx.nd.array(batch, dtype="float64")).asnumpy()
    before = state_of(net)
    result = vc.explain(net, batch, ("gradient", "grad_cam"), targets=1)
    assert state_of(net) == before
    np.testing.assert_allclose(result.outputs, outputs, rtol=1e-5, atol=1e-7)
    if name in ("a detached part", "values that are looked at"):
        return  # finite differences see what no gradient passes
    step = 1e-5 * np.random.RandomState(1).normal(size=batch.shape)
    above, below = (net(mx.nd.array(batch + way * step, dtype="float64")).asnumpy()[:, 1] for way in (1, -1))
    found = (result["gradient"].astype(np.float64) * step).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, (above - below) / 2, rtol=1e-3, atol=1e-9)


def test_nothing_passes_a_detached_part():
    net, batch = Plain(lambda x: x * x.detach()), images(1, size=8)
    net.initialize()
    net(mx.nd.array(batch))
    result = vc.explain(net, batch, "gradient", targets=1)
    leaf = mx.nd.array(batch)
    leaf.attach_grad()
    with autograd.record():
        score = net(leaf)[:, 1]
    score.backward()
    np.testing.assert_allclose(result["gradient"], leaf.grad.asnumpy(), rtol=1e-4, atol=1e-7)


class Doubled(autograd.Function):
    """y = x^2 with the gradient 7 dy: whoever differentiates y itself finds another."""

    def forward(self, x):
        self.save_for_backward(x)
        return x * x

    def backward(self, dy):
        return 7 * dy


@pytest.mark.parametrize("methods", [("gradient", "hires_cam", "guided_backprop"), "hires_cam", "gradient"])
def test_a_function_with_a_backward_of_its_own_keeps_it(methods):
    mx.random.seed(1)
    net, twin = Plain(lambda x: Doubled()(x.relu())), Plain(lambda x: 7 * x.relu())
    net.initialize()
    twin.initialize()
    batch = images(3, size=12)
    for one in (net, twin):
        one(mx.nd.array(batch))
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    result, expected = (
        vc.explain(one, batch, methods, targets=1, batch_size=2, layer=None) for one in (net, twin)
    )
    np.testing.assert_allclose(result.outputs, net(mx.nd.array(batch)).asnumpy(), rtol=1e-5)
    for method in result.maps:
        unit = np.abs(expected[method]).max()
        np.testing.assert_allclose(result[method] / unit, expected[method] / unit, atol=1e-5, err_msg=method)


class Custom(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        self.assign(out_data[0], req[0], in_data[0] * 2)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0] * 2)


@mx.operator.register("vizcallbacks_test_doubled")
class CustomProp(mx.operator.CustomOpProp):
    def create_operator(self, ctx, shapes, dtypes):
        return Custom()


REFUSED = {
    "an operator in Python": (
        lambda: Functional(lambda F, x: F.Custom(x, op_type="vizcallbacks_test_doubled")),
        "operator in Python",
    ),
    "noise": (
        lambda: Functional(lambda F, x: x + F.random.normal(shape=(2, 4, 12, 12))),
        "draws random numbers",
    ),
    "dropout that is always on": (
        lambda: Functional(lambda F, x: F.Dropout(x, p=0.5, mode="always")),
        "Dropout in .* draws random numbers in predict mode",
    ),
}


@pytest.mark.parametrize(
    "wrap", [lambda net: net, wrapped, hybridized], ids=["hybrid", "plain", "hybridized"]
)
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_maps_of_its_own_is_refused_before_it_runs(name, wrap):
    make, message = REFUSED[name]
    net = wrap(in_a_row(make()))
    net.initialize()
    net(mx.nd.array(images(2, size=12)))
    mx.random.seed(2)
    expected = random_state()[2]
    mx.random.seed(2)
    before = state_of(net)
    with pytest.raises(ValueError, match=message):
        vc.explain(net, images(2, size=12), "gradient", targets=0)
    assert state_of(net) == before
    assert random_state()[2] == expected


def test_a_net_that_counts_its_calls_counts_only_its_own():
    class Counts(gluon.nn.HybridSequential):
        calls, log = 0, None

        def forward(self, x):
            self.calls += 1
            self.log.append(x.shape)
            return super().forward(x)

    net = Counts()
    net.log = []
    net.add(*small_net()._children.values())
    net(mx.nd.array(images()))
    result = vc.explain(net, images())
    assert (net.calls, net.log) == (1, [(2, 3, 32, 32)])
    assert not result.purity.pure
    assert result.purity.blocks == ("",)
    assert zoo_free_of_state()


def zoo_free_of_state():
    return vc.explain(zoo_net("resnet18_v1"), images(1, size=64), "saliency").purity.pure


def test_a_graph_that_a_hybridized_net_has_kept_is_the_one_explained():
    """An attribute that changes after the first call changes nothing in Gluon either."""

    class Scaled(gluon.nn.HybridSequential):
        scale = 2.0

        def hybrid_forward(self, F, x):
            return super().hybrid_forward(F, x * self.scale)

    net = Scaled()
    net.add(*small_net()._children.values())
    net.hybridize()
    expected = net(mx.nd.array(images())).asnumpy()
    net.scale = 5.0
    np.testing.assert_array_equal(net(mx.nd.array(images())).asnumpy(), expected)
    for layer in (None, "0", "4"):
        result = vc.explain(net, images(), ("grad_cam", "gradient"), layer=layer)
        np.testing.assert_allclose(result.outputs, expected, rtol=1e-4, atol=1e-5)
        assert result.layer == layer or layer is None
    assert "other outputs" in result.reason
