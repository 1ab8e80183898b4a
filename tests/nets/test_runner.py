"""Which way a net is run, which run of a layer counts, and the safety net below."""

from __future__ import annotations

import re

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.nets.untouched import Untouched

from ..helpers.nets import images, small_net, state_of

METHODS = ("grad_cam", "hires_cam", "gradient", "guided_backprop")


def backbone():
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3, padding=1, in_channels=3),
        gluon.nn.BatchNorm(in_channels=4),
        gluon.nn.Activation("relu"),
        gluon.nn.Conv2D(5, 3, padding=1, in_channels=4),
        gluon.nn.BatchNorm(in_channels=5),
        gluon.nn.Activation("relu"),
    )
    return net


class Twice(gluon.HybridBlock):
    """A backbone, or one and its twin of other objects with the same weights, over two images."""

    def __init__(self, second_first, flipped, twin):
        super().__init__()
        self.first = backbone()
        self.second = backbone() if twin else self.first
        self.second_first, self.flipped = second_first, flipped
        self.dense = gluon.nn.Dense(3, in_units=5)

    def hybrid_forward(self, F, x, *extra):
        other = F.flip(x, axis=3) if self.flipped else extra[0]
        if self.second_first:
            two, one = self.second(other), self.first(x)
        else:
            one, two = self.first(x), self.second(other)
        one, two = (F.mean(maps, axis=(2, 3)) for maps in (one, two))
        return self.dense(one + two if self.flipped else one * two)


def pair(second_first, flipped):
    """The net with one backbone, and with two."""
    nets = [Twice(second_first, flipped, twin) for twin in (False, True)]
    random = np.random.RandomState(0)
    nets[0].initialize(mx.init.Xavier(magnitude=3))
    for one in nets[0].collect_params().values():
        if not one.name.endswith("weight"):
            one.set_data(mx.nd.array(random.uniform(0.5, 1.5, size=one.shape)))
    nets[1].initialize()
    for own, other in (("first", "first"), ("second", "first"), ("dense", "dense")):
        theirs = getattr(nets[0], other).collect_params().values()
        for parameter, value in zip(getattr(nets[1], own).collect_params().values(), theirs):
            parameter.set_data(value.data())
    return nets


def plain(net):
    class Around(gluon.Block):
        def __init__(self):
            super().__init__()
            self.first_net = net

        def forward(self, *inputs):
            return self.first_net(*inputs)

    return Around()


def hybridized(net):
    net.hybridize()
    return net


WAYS = {"traced": lambda net: net, "hybridized": hybridized, "recorded": plain}


@pytest.mark.parametrize("methods", [METHODS, "grad_cam", "hires_cam"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("second_first", [False, True])
def test_of_a_backbone_over_two_images_the_run_over_the_image_counts(second_first, way, methods):
    shared, twin = pair(second_first, flipped=False)
    batch, extra = images(3, size=8), (images(3, size=8, seed=5),)
    expected = vc.explain(twin, batch, methods, layer="first.3", targets=1, extra=extra)
    net = WAYS[way](shared)
    inside = "first_net." if way == "recorded" else ""
    for layer in (None, f"{inside}first.3"):
        result = vc.explain(net, batch, methods, layer=layer, targets=1, extra=extra, batch_size=2)
        assert result.layer == f"{inside}first.3"
        assert_same(result, expected)
    listed = vc.layers(net, batch, targets=1, extra=extra)
    assert [one.path for one in listed] == [f"{inside}first.0", f"{inside}first.3"]
    assert all(one.reached for one in listed)


@pytest.mark.parametrize("methods", [METHODS, "grad_cam"])
@pytest.mark.parametrize("way", WAYS)
def test_of_a_backbone_over_an_image_and_its_mirror_image_the_last_run_counts(way, methods):
    shared, twin = pair(False, flipped=True)
    batch = images(3, size=8)
    expected = vc.explain(twin, batch, methods, layer="second.3", targets=1)
    result = vc.explain(WAYS[way](shared), batch, methods, targets=1, batch_size=2)
    assert_same(result, expected)


def assert_same(result, expected):
    np.testing.assert_allclose(result.outputs, expected.outputs, rtol=1e-4, atol=1e-5)
    for method in expected.maps:
        unit = np.abs(expected[method]).max()
        assert unit > 0, method
        np.testing.assert_allclose(result[method] / unit, expected[method] / unit, atol=1e-5, err_msg=method)


class ExtraLast(gluon.HybridBlock):
    """A convolution of the image, and one of the extra input that runs last."""

    def __init__(self):
        super().__init__()
        self.own, self.other = gluon.nn.Conv2D(4, 3), gluon.nn.Conv2D(4, 3)
        self.dense = gluon.nn.Dense(3)

    def hybrid_forward(self, F, x, extra):
        return self.dense(F.mean(self.own(x), axis=(2, 3)) * F.mean(self.other(extra), axis=(2, 3)))


@pytest.mark.parametrize("way", WAYS)
def test_the_default_layer_sees_the_image_and_a_layer_that_does_not_is_refused(way):
    net = ExtraLast()
    net.initialize()
    batch, extra = images(2, size=8), (images(2, size=8, seed=1),)
    net(mx.nd.array(batch), mx.nd.array(extra[0]))
    whole = WAYS[way](net)
    assert vc.explain(whole, batch, targets=0, extra=extra).layer.endswith("own")
    assert [one.path.split(".")[-1] for one in vc.layers(whole, batch, targets=0, extra=extra)] == ["own"]
    with pytest.raises(
        ValueError, match="ran, but on nothing that depends on the image.*layers that do: .*own"
    ):
        vc.explain(whole, batch, targets=0, extra=extra, layer=net.other)


class Views(gluon.HybridBlock):
    """Two views of each image in the batch axis."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense = gluon.nn.Conv2D(4, 3, padding=1, activation="relu"), gluon.nn.Dense(3)

    def hybrid_forward(self, F, x):
        maps = self.conv(F.reshape(x, shape=(-1, 1, 8, 8)))
        return self.dense(F.reshape(F.mean(maps, axis=(2, 3)), shape=(-1, 8)))


@pytest.mark.parametrize("way", WAYS)
def test_maps_of_views_are_refused_and_gradients_are_not(way):
    net, batch = Views(), images(3, channels=2, size=8)
    net.initialize(mx.init.Xavier(magnitude=3))
    net(mx.nd.array(batch))
    whole = WAYS[way](net)
    for layer in (None, net.conv):
        with pytest.raises(ValueError, match="layer '.*conv' gave 6 maps for 3 images.*views"):
            vc.explain(whole, batch, targets=0, layer=layer)
    result = vc.explain(whole, batch, "gradient", targets=0)
    leaf = mx.nd.array(batch)
    leaf.attach_grad()
    with autograd.record():
        score = net(leaf)[:, 0]
    score.backward()
    np.testing.assert_allclose(result["gradient"], leaf.grad.asnumpy(), rtol=1e-4, atol=1e-7)


def test_a_layer_that_runs_without_any_input_is_named():
    class Constant(gluon.Block):
        def __init__(self):
            super().__init__()
            self.body, self.apart = small_net(), gluon.nn.Conv2D(2, 3, in_channels=3)

        def forward(self, x):
            return self.body(x) + self.apart(mx.nd.ones((1, 3, 4, 4))).mean()

    net = Constant()
    net.apart.initialize()
    assert vc.explain(net, images(), targets=0).layer == "body.4"
    with pytest.raises(ValueError, match="ran, but on nothing that depends on the image"):
        vc.explain(net, images(), targets=0, layer="apart")


# The safety net


class BehindTheBack(gluon.Block):
    """Computes with memory that NumPy changes afterwards, where nobody can see it."""

    def __init__(self):
        super().__init__()
        self.numbers = np.ones((1, 6, 1, 1), np.float32)
        self.array = mx.nd.from_numpy(self.numbers[:])

    def forward(self, x):
        output = x * self.array
        output.wait_to_read()
        self.numbers += 1
        return output


def test_a_recorded_net_whose_graph_gives_other_outputs_is_refused_and_the_block_named():
    net = gluon.nn.Sequential()
    net.add(*list(small_net()._children.values())[:3], BehindTheBack(), gluon.nn.GlobalAvgPool2D())
    net.add(gluon.nn.Dense(3))
    net[-1].initialize()
    net(mx.nd.array(images()))
    before = state_of(net)
    with pytest.raises(ValueError, match="cannot run block '3' as the net does.*gives other outputs"):
        vc.explain(net, images(), targets=0)
    assert state_of(net) == before


def test_a_trace_that_gives_other_outputs_is_not_used():
    """Made to differ: where it is given symbols, it leaves out a part, or runs another net."""
    net, other = small_net(), small_net()
    expected = net(mx.nd.array(images())).asnumpy()

    class Shorter(gluon.nn.HybridSequential):
        def __call__(self, x):
            return super().__call__(x + 1 if isinstance(x, mx.sym.Symbol) else x)

    class Swapped(gluon.nn.HybridSequential):
        def __call__(self, x):
            return other(x) if isinstance(x, mx.sym.Symbol) else super().__call__(x)

    for kind, reason in (
        (Shorter, "its graph gives other outputs than the net does"),
        (Swapped, "it uses '.*', which is no parameter of its blocks"),
    ):
        for hybridize in (False, True):
            made = kind()
            made.add(*net._children.values())
            made.hybridize(hybridize)
            result = vc.explain(made, images(), ("gradient",), targets=1)
            assert result.route == "recorded"
            assert re.fullmatch(reason, result.reason)
            np.testing.assert_allclose(result.outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*unregistered container:UserWarning")
def test_blocks_that_are_no_children_are_run_as_they_are():
    class InAList(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.conv, self.more = gluon.nn.Conv2D(4, 3, in_channels=3), [gluon.nn.Dense(3, in_units=4)]

        def hybrid_forward(self, F, x):
            return self.more[0](F.mean(self.conv(x), axis=(2, 3)))

    net = InAList()
    net.initialize(mx.init.Xavier(magnitude=3))
    net.more[0].initialize(mx.init.Xavier(magnitude=3))
    with autograd.record():
        score = net(mx.nd.array(images())).sum()
    score.backward()
    kept = net.more[0].weight.grad().asnumpy()
    result = vc.explain(net, images(), ("gradient", "grad_cam"), targets=1)
    assert result.route == "recorded"
    leaf = mx.nd.array(images())
    leaf.attach_grad()
    np.testing.assert_array_equal(net.more[0].weight.grad().asnumpy(), kept)
    with autograd.record():
        score = net(leaf)[:, 1]
    score.backward()
    np.testing.assert_allclose(result["gradient"], leaf.grad.asnumpy(), rtol=1e-4, atol=1e-7)


def test_errors_other_than_that_it_cannot_be_traced_are_raised(monkeypatch):
    def broken(self, *args):
        raise ValueError("a bug in the passes")

    monkeypatch.setattr("vizcallbacks.nets.planning.Plans._planned", broken)
    with pytest.raises(ValueError, match="a bug in the passes"):
        vc.explain(small_net(hybridize=True), images())


def test_a_net_that_looks_at_values_is_recorded_for_every_pass_and_another_once(monkeypatch):
    runs, run = [], Untouched.run

    def counted(self, inputs, *rest, **more):
        runs.append(inputs[0].shape)
        return run(self, inputs, *rest, **more)

    class Looks(gluon.Block):
        def forward(self, x):
            return x * (2 if float(x.mean().asscalar()) > -9 else 1)

    class LooksAtShapes(gluon.Block):
        def forward(self, x):
            return x * x.shape[1]

    monkeypatch.setattr(Untouched, "run", counted)
    for block, expected in ((Looks, 35), (LooksAtShapes, 1)):
        net = gluon.nn.Sequential()
        net.add(small_net(), block())
        vc.explain(net, images(), "integrated_gradients", targets=0, batch_size=2)
        assert len(runs) == expected  # the first pass, 32 steps, and the two ends in two passes
        runs.clear()


def test_compiled_control_flow_is_unrolled_and_its_activations_guided():
    class Loop(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = gluon.nn.Conv2D(4, 3, padding=1), gluon.nn.Dense(3)

        def hybrid_forward(self, F, x):
            rows = F.transpose(F.relu(self.conv(x)), axes=(2, 0, 1, 3))
            _, last = F.contrib.foreach(
                lambda row, state: (row, F.relu(row - 0.1 * state)), rows, F.zeros_like(F.sum(rows, axis=0))
            )
            return self.dense(last)

    net, batch = Loop(), images(2, size=6)
    net.initialize(mx.init.Xavier(magnitude=3))
    net(mx.nd.array(batch))
    outputs = {}
    for name in ("plain", "hybridized"):
        if name == "hybridized":
            net.hybridize()
        outputs[name] = vc.explain(net, batch, ("gradient", "guided_backprop"), targets=1)
        np.testing.assert_allclose(
            outputs[name].outputs, net(mx.nd.array(batch)).asnumpy(), rtol=1e-4, atol=1e-6
        )
        assert outputs[name].route == "recorded"
        assert outputs[name].relus == (7, 7)
    for method in ("gradient", "guided_backprop"):
        unit = np.abs(outputs["plain"][method]).max()
        np.testing.assert_allclose(
            outputs["hybridized"][method] / unit, outputs["plain"][method] / unit, atol=1e-5, err_msg=method
        )


def test_the_old_argument_is_without_effect_and_says_so():
    with pytest.warns(DeprecationWarning, match="no effect any more"):
        result = vc.explain(small_net(), images(), "gradient", compiled=False)
    assert (result.route, result.compiled) == ("traced", True)


def test_a_net_is_explained_again_after_gluon_has_made_it_another_compiled_graph():
    net = small_net(hybridize=True)
    net(mx.nd.array(images()))
    first = vc.explain(net, images(), "grad_cam")
    net.hybridize(static_alloc=True)
    net(mx.nd.array(images()))
    np.testing.assert_array_equal(vc.explain(net, images(), "grad_cam")["grad_cam"], first["grad_cam"])
