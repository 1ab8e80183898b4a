"""The way through a net: the same maps from a trace and from a record, on every kind of net."""

from __future__ import annotations

import re

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.nets.untouched import Untouched

from ..helpers.nets import Functional, images, random_state, small_net, state_of, zoo_net

ONE_PASS = ("grad_cam", "hires_cam", "gradient", "guided_backprop", "saliency")


def with_block(function):
    """conv - BN - relu - the function - conv - BN - relu - mean - dense."""
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(6, 3, padding=1, in_channels=3),
        gluon.nn.BatchNorm(in_channels=6),
        gluon.nn.Activation("relu"),
        Functional(function),
        gluon.nn.Conv2D(8, 3, padding=1, in_channels=6, use_bias=False),
        gluon.nn.BatchNorm(in_channels=8, scale=False),
        gluon.nn.Activation("relu"),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Dense(4, in_units=8),
    )
    return net


class Shared(gluon.HybridBlock):
    """A convolution and an activation that run twice, on two ways that meet."""

    def __init__(self):
        super().__init__()
        self.conv = gluon.nn.Conv2D(3, 3, padding=1, in_channels=3)
        self.act = gluon.nn.Activation("relu")
        self.norm = gluon.nn.BatchNorm(in_channels=3)
        self.dense = gluon.nn.Dense(4)

    def hybrid_forward(self, F, x):
        once = self.act(self.norm(self.conv(x)))
        twice = self.act(self.norm(self.conv(once)))
        return self.dense(F.mean(once * twice - x, axis=(2, 3)))


def split_ways(F, x):
    first, second, third = F.split(x, num_outputs=3, axis=1)
    return F.concat(F.relu(first - second), third, F.relu(second + third), dim=1)


def three_ways(F, x):
    part, most = F.slice_axis(x, axis=1, begin=0, end=3), F.slice_axis(x, axis=1, begin=1, end=3)
    return F.concat(part, F.relu(most - 1), F.slice_axis(x, axis=1, begin=3, end=4), dim=1)


def frozen_scale():
    net = with_block(lambda F, x: x)
    net[1]._kwargs["fix_gamma"] = True
    return net


NETS = {
    "residual": lambda: with_block(lambda F, x: F.relu(x - 0.3) + x),
    "three ways": lambda: with_block(three_ways),
    "an operator of several outputs": lambda: with_block(split_ways),
    "hard swish": lambda: with_block(lambda F, x: x * F.clip(x + 3, 0, 6) / 6),
    "gates": lambda: with_block(lambda F, x: F.broadcast_mul(x, F.sigmoid(F.mean(x, (2, 3), keepdims=True)))),
    "activations of all kinds": lambda: with_block(
        lambda F, x: F.LeakyReLU(
            F.LeakyReLU(F.LeakyReLU(x - 0.4, act_type="selu"), act_type="gelu"), slope=0.3
        )
    ),
    "dropout": lambda: with_block(lambda F, x: F.Dropout(F.Dropout(x, p=0.5), p=0.5)),
    "a part without gradient": lambda: with_block(
        lambda F, x: F.broadcast_mul(x, F.BlockGrad(F.mean(x, axis=1, keepdims=True)))
    ),
    "a method of the array": lambda: with_block(lambda F, x: (x - 0.2).relu() * 2),
    "max pooling": lambda: with_block(
        lambda F, x: F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    ),
    "a fixed gamma": frozen_scale,
    "shared layers": Shared,
}


def in_double(net):
    """Initialised, every parameter random, in float64."""
    net.initialize(mx.init.Xavier(magnitude=3))
    net(mx.nd.array(images(size=12)))
    for parameter in net.collect_params().values():
        noise = np.random.RandomState(len(parameter.name)).uniform(0.5, 1.5, size=parameter.shape)
        if not parameter.name.endswith("weight"):
            parameter.set_data(mx.nd.array(noise))
    net.cast("float64")
    return net


def recorded(net):
    """The same net inside a plain Block, which has no symbols and so is recorded."""
    whole = gluon.nn.Sequential()
    whole.add(net)
    return whole


def both_ways(net, *args, layer=None, **options):
    """Traced and recorded."""
    inside = layer if layer is None or isinstance(layer, str) else [f"0.{one}" for one in layer]
    traced = vc.explain(net, *args, layer=layer, **options)
    other = vc.explain(recorded(net), *args, layer=inside, **options)
    for one, route in ((traced, "traced"), (other, "recorded")):
        assert {each.route for each in (one if isinstance(one, list) else [one])} == {route}
    return traced, other


def assert_same(result, expected, tolerance=2e-7):
    """Maps are single precision: equal to their rounding."""
    for method in expected.maps:
        unit = np.abs(expected[method]).max()
        assert unit > 0, method
        np.testing.assert_allclose(
            result[method] / unit, expected[method] / unit, atol=tolerance, err_msg=method
        )
    np.testing.assert_allclose(result.outputs, expected.outputs, atol=1e-7)


@pytest.mark.parametrize("name", NETS)
def test_both_ways_give_the_same_maps(name):
    net, batch = in_double(NETS[name]()), images(3, size=12)
    before = state_of(net)
    result, expected = both_ways(net, batch, ONE_PASS)
    assert (result.compiled, expected.compiled) == (True, False)
    assert expected.layer == f"0.{result.layer}"
    assert_same(result, expected)
    assert result.coverage == expected.coverage
    assert result.relus[0] == result.relus[1]
    assert result.purity.pure
    assert expected.purity.pure
    # and whatever is asked for beside it
    for method in ONE_PASS:
        alone = vc.explain(net, batch, method)
        unit = np.abs(expected[method]).max()
        np.testing.assert_allclose(alone[method] / unit, expected[method] / unit, atol=2e-7, err_msg=method)
    assert state_of(net) == before


def test_every_layer_gives_the_same_both_ways():
    net, batch = in_double(NETS["residual"]()), images(size=12)
    for method in ("grad_cam", "hires_cam"):
        for result, expected in zip(*both_ways(net, batch, method, layer=["0", "4"])):
            assert_same(result, expected)


def test_methods_of_many_passes_give_the_same():
    net, batch = in_double(NETS["residual"]()), images(2, size=12)
    methods = ("smooth_grad", "integrated_gradients", "occlusion", "score_cam")
    result, expected = both_ways(net, batch, methods)
    assert_same(result, expected, tolerance=1e-5)


def test_a_batch_equals_its_images_and_repeated_calls_equal_bits():
    net, batch = in_double(NETS["shared layers"]()), images(5, size=12)
    together, again, parts = (vc.explain(net, batch, ONE_PASS, batch_size=size) for size in (5, 5, 2))
    for method in ONE_PASS:
        np.testing.assert_array_equal(together[method], again[method])
    assert_same(parts, together)


class Passed(gluon.Block):
    """A plain Block that passes all on."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, *inputs):
        return self.net(*inputs)


def test_a_net_with_further_inputs_and_several_outputs():
    class Two(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.body, self.more = small_net(), gluon.nn.Conv2D(2, 1, in_channels=3)

        def hybrid_forward(self, F, x, factor):
            return [F.broadcast_mul(self.body(x), factor), (self.more(x), x)]

    net, batch = Two(), images(3)
    net.more.initialize()
    net.cast("float64")
    factor = np.array([[1.0], [-2.0], [0.5]])
    for score, layer in ((lambda y: y[0][:, 1], "body.4"), (lambda y: y[1][0].sum(axis=(1, 2, 3)), "more")):
        whole = Passed(net)
        result, expected = (
            vc.explain(one, batch, ONE_PASS[:3], targets=score, extra=(factor,), batch_size=2)
            for one in (net, whole)
        )
        assert (result.route, expected.route) == ("traced", "recorded")
        assert (result.layer, expected.layer) == (layer, f"net.{layer}")
        for method in ONE_PASS[:3]:
            np.testing.assert_allclose(result[method], expected[method], rtol=1e-5, atol=1e-9)


# Closed graphs


@pytest.fixture
def closed(tmp_path):
    """A net, and the same imported from its files."""
    net = zoo_net("resnet18_v1", hybridize=True)
    net(mx.nd.array(images(1, size=64)))
    net.export(str(tmp_path / "net"))
    files = [str(tmp_path / name) for name in ("net-symbol.json", "net-0000.params")]
    with pytest.warns(UserWarning, match="Cannot decide type"):
        return net, gluon.SymbolBlock.imports(files[0], ["data"], files[1])


def test_an_imported_graph_is_explained_like_the_net_it_is_of(closed):
    net, imported = closed
    batch = images(2, size=64)
    before = state_of(imported)
    result, expected = (vc.explain(one, batch, ONE_PASS) for one in (imported, net))
    assert result.layer == net.features[7][1].body[3].name
    assert result.relus == expected.relus == (17, 17)
    for method in ONE_PASS:
        np.testing.assert_array_equal(result[method], expected[method])
    assert state_of(imported) == before


def test_layers_of_an_imported_graph_go_by_their_names(closed):
    net, imported = closed
    batch = images(1, size=64)
    found = vc.layers(imported, batch)
    assert [one.path for one in found][:2] == [net.features[0].name, net.features[4][0].body[0].name]
    assert len(found) == 20
    name = net.features[5][0].body[0].name
    result, expected = (vc.explain(one, batch, "grad_cam", layer=name) for one in (imported, net))
    np.testing.assert_array_equal(result["grad_cam"], expected["grad_cam"])
    with pytest.raises(ValueError, match="layer 'conv9' is not a Conv2D of this net.*_conv0, resnetv1.*"):
        vc.explain(imported, batch, layer="conv9")


def test_a_closed_graph_among_blocks_has_the_blocks_path():
    net, data = small_net(), mx.sym.var("data", dtype="float32")
    whole = gluon.nn.HybridSequential()
    whole.add(
        gluon.nn.Conv2D(3, 1, in_channels=3), gluon.SymbolBlock(net(data), data, params=net.collect_params())
    )
    whole[0].initialize()
    assert vc.explain(whole, images()).layer == f"1.{net[4].name}"


# What is not traced


class CountsCalls(gluon.HybridBlock):
    """Another function on arrays than on symbols."""

    def hybrid_forward(self, F, x):
        return x if isinstance(x, mx.sym.Symbol) else 2 * x


class OwnMode(gluon.HybridBlock):
    """A part that runs in train mode, as GluonCV's GroupNorm does; a graph does not record that."""

    def hybrid_forward(self, F, x):
        with autograd.train_mode():
            return F.sigmoid(x)


class Unrecorded(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        with autograd.pause():
            shift = F.mean(x)
        return F.broadcast_sub(x, shift)


class Peeks(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        return x * float(x.shape[1])


class Plain(gluon.Block):
    def forward(self, x):
        return x * 2


UNTRACEABLE = {
    # kind: (why, the factor of the gradient behind the dense layer)
    CountsCalls: "its graph gives other outputs than the net does",
    OwnMode: "block '8.1' runs sigmoid in an autograd mode of its own",
    Unrecorded: "block '8.1' runs mean in an autograd mode of its own",
    Peeks: "AttributeError",
    Plain: "block '8' has a forward of its own",
}


@pytest.mark.parametrize("kind", UNTRACEABLE)
def test_what_cannot_be_traced_right_is_recorded_and_the_reason_is_kept(kind):
    net = small_net()
    net._children["8"] = head = gluon.nn.Sequential() if kind is Plain else gluon.nn.HybridSequential()
    head.add(gluon.nn.Dense(4, in_units=8), kind())
    head.initialize()
    net.cast("float64")
    batch, before = images(), state_of(net)
    result = vc.explain(net, batch, ONE_PASS, targets=1)
    assert (result.route, result.compiled) == ("recorded", False)
    assert UNTRACEABLE[kind] in result.reason
    assert state_of(net) == before
    np.testing.assert_allclose(result.outputs, net(mx.nd.array(batch, dtype="float64")).asnumpy(), rtol=1e-6)
    leaf = mx.nd.array(batch, dtype="float64")
    leaf.attach_grad()
    for norm in (net[1],):
        norm._kwargs["use_global_stats"] = True
    with autograd.record():  # in train mode, where max pooling has a right gradient
        score = net(leaf)[:, 1]
    score.backward()
    np.testing.assert_allclose(result["gradient"], leaf.grad.asnumpy(), rtol=1e-5, atol=1e-9)


def test_nothing_of_a_trace_stays():
    """Names of later symbols and blocks, hooks, random streams: as if it had not been."""
    net, seen = with_block(lambda F, x: F.Dropout(F.relu(x))), []
    net.initialize()
    net[0].register_forward_hook(lambda *_: seen.append("hook"))
    net[0].register_forward_pre_hook(lambda *_: seen.append("hook"))
    first = numbers()
    mx.random.seed(3)
    np.random.seed(3)
    streams = random_state()
    mx.random.seed(3)
    np.random.seed(3)
    assert vc.explain(net, images()).route == "traced"
    assert streams[1:] == random_state()[1:]
    assert seen == []
    assert numbers() == [number + 1 for number in first]


def numbers():
    """Those that MXNet gives to the next Dropout block and relu symbol."""
    names = gluon.nn.Dropout(0.5).name, mx.sym.relu(mx.sym.var("x")).name
    return [int(re.search(r"\d+", name)[0]) for name in names]


RANDOM = {
    "noise": (lambda x: x + mx.sym.random.normal(shape=(2, 3, 8, 8)), "draws random numbers in predict mode"),
    "a slope and its mask": (lambda x: mx.sym.LeakyReLU(x, act_type="rrelu"), "output 1 of LeakyReLU"),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_graphs_are_refused(name):
    function, message = RANDOM[name]
    x = mx.sym.var("data", dtype="float32")
    with mx.name.NameManager():
        net = gluon.SymbolBlock(function(x), x)
    mx.random.seed(5)
    number = float(mx.nd.random.uniform().asscalar())
    mx.random.seed(5)
    with pytest.raises(ValueError, match=message):
        vc.explain(net, images(size=8), "gradient", targets=lambda y: y.sum(axis=(1, 2, 3)))
    assert float(mx.nd.random.uniform().asscalar()) == number


def test_a_net_runs_itself_on_one_image_to_be_compared_with_its_trace(monkeypatch):
    shapes, run = [], Untouched.run

    def counted(self, inputs, *rest, **more):
        shapes.append(inputs[0].shape)
        return run(self, inputs, *rest, **more)

    monkeypatch.setattr(Untouched, "run", counted)
    for hybridize in (True, False):
        vc.explain(small_net(hybridize=hybridize), images(5), batch_size=2)
    assert shapes == [(1, 3, 32, 32)] * 2
