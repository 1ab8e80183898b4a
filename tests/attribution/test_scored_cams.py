"""Maps weighted by scores: by hand, and on nets with filters set to zero."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS, Method
from vizcallbacks.attribution.scored_cams import ablation_cam, score_cam

from ..helpers.closed_form import Scores
from ..helpers.nets import images, small_net, state_of, zoo_net

# Score-CAM


def test_score_cam_by_hand():
    activation = np.float32([[[[0, 2], [4, 0]], [[7, 7], [7, 7]], [[-1, 0], [0, 1]]]])
    image = np.float32([[[[1, 2], [3, 4]]]])
    passes = Scores(image, lambda x: x.sum() / 10)
    # masks: (0, .5; 1, 0), none (constant), (0, .5; .5, 1); scores: 0.4, -, 0.65
    weights = np.exp([0.4, 0.65]) / np.exp([0.4, 0.65]).sum()
    expected = np.maximum(weights[0] * activation[:, 0] + weights[1] * activation[:, 2], 0)
    np.testing.assert_allclose(score_cam(activation, passes), expected, rtol=1e-6)
    np.testing.assert_allclose(passes.seen[0], [[[[0, 1], [3, 0]]]])


def test_score_cam_of_constant_maps_alone_is_dead():
    passes = Scores(np.ones((1, 1, 4, 4)), lambda x: x.sum())
    np.testing.assert_array_equal(score_cam(np.ones((1, 3, 2, 2), np.float32), passes), np.zeros((1, 2, 2)))


# Ablation-CAM

TWO = np.float32([[[[1, 2], [0, 1]], [[3, 0], [0, 1]], [[-1, 0], [2, 0]]]])


def test_ablation_cam_by_hand():
    above = Scores(TWO, lambda maps: 2 * maps[0].sum() - maps[1].sum() + maps[2, 1, 0] ** 2)
    # y = 8 - 4 + 4 = 8; without each map 0, 12, 4: weights 1, -1/2, 1/2
    expected = np.maximum(TWO[0, 0] - TWO[0, 1] / 2 + TWO[0, 2] / 2, 0)
    np.testing.assert_allclose(ablation_cam(TWO, above), expected[None])
    assert len(above.seen) == 4


def test_a_map_that_raises_a_negative_score_counts_for_it():
    above = Scores(TWO, lambda maps: maps[0].sum() - 5 * maps[1].sum())
    # y = 4 - 20 = -16; without each map -20, 4, -16: weights 1/4, -5/4, 0
    expected = np.maximum(TWO[0, 0] / 4 - 5 / 4 * TWO[0, 1], 0)
    np.testing.assert_allclose(ablation_cam(TWO, above), expected[None])


def test_a_score_of_zero_has_no_shares():
    above = Scores(TWO, lambda maps: maps[0].sum() - maps[1].sum())
    np.testing.assert_array_equal(ablation_cam(TWO, above), np.zeros((1, 2, 2)))


def test_a_linear_head_gives_each_map_its_part_of_the_score():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(4, 3, in_channels=3), gluon.nn.GlobalAvgPool2D())
    net.add(gluon.nn.Dense(2, use_bias=False, in_units=4))
    net.initialize(mx.init.Normal(1))
    batch = images(2, size=8)
    found = vc.explain(net, batch, "ablation_cam", targets=1)
    maps = net[0](mx.nd.array(batch)).asnumpy()
    parts = net[2].weight.data().asnumpy()[1] * maps.mean(axis=(2, 3))
    np.testing.assert_allclose(parts.sum(axis=1), found.scores, rtol=1e-4)
    weights = parts / np.abs(found.scores)[:, None]
    expected = np.maximum(np.einsum("nk,nkhw->nhw", weights, maps), 0)
    np.testing.assert_allclose(found["ablation_cam"], expected, rtol=1e-3, atol=1e-5)


def without_each_filter(net, layer, batch, classes):
    """The second way: (K, N) scores of the net with one filter after another set to zero."""
    arrays = [one for one in (layer.weight, layer.bias) if one is not None]
    before, scores = [one.data().copy() for one in arrays], []
    for k in range(layer.weight.shape[0]):
        for one in arrays:
            values = one.data().asnumpy()
            values[k] = 0
            one.set_data(mx.nd.array(values))
        scores.append(net(mx.nd.array(batch)).asnumpy()[range(len(batch)), classes])
        for one, values in zip(arrays, before):
            one.set_data(values)
    return np.array(scores, np.float64)


class Wrapped(gluon.Block):
    """A plain Block that asks for values, so that it is recorded."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        float(x.mean().asscalar())
        return self.body(x)


NETS = {
    "small": (small_net, lambda net: net[4], "4"),
    "hybridized": (lambda: small_net(hybridize=True), lambda net: net[4], "4"),
    "below a pooling": (small_net, lambda net: net[0], "0"),
    "recorded": (lambda: Wrapped(small_net()), lambda net: net.body[4], "body.4"),
    "with shortcuts": (
        lambda: zoo_net("resnet18_v1"),
        lambda net: net.features[4][1].body[3],
        "features.4.1.body.3",
    ),
    "round a shortcut": (lambda: zoo_net("resnet18_v1"), lambda net: net.features[0], "features.0"),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if "shortcut" in name else []) for name in NETS],
)
def test_it_is_what_filters_set_to_zero_show(name, monkeypatch):
    make, layer_of, path = NETS[name]
    net, batch = make(), images(2)
    vc.explain(net, batch, "grad_cam")  # initialises in full
    before = state_of(net)
    found = vc.explain(net, batch, "ablation_cam", layer=path, batch_size=5)
    assert state_of(net) == before
    assert found.route == ("recorded" if name == "recorded" else "traced")
    layer = layer_of(net)
    lost = found.scores - without_each_filter(net, layer, batch, found.targets)
    own = Method(lambda activation: activation, ("activation",), "layer", True, True, "Activation")
    monkeypatch.setitem(METHODS, "activation", own)
    activation = vc.explain(net, batch, "activation", layer=path)["activation"]
    weights = lost / np.abs(found.scores)
    expected = np.maximum(np.einsum("kn,nkhw->nhw", weights, activation), 0)
    unit = expected.max()
    assert unit > 0
    np.testing.assert_allclose(found["ablation_cam"] / unit, expected / unit, atol=1e-3)


class Doubled(autograd.Function):
    def forward(self, x):
        return 2 * x

    def backward(self, slope):
        return 2 * slope


class InPython(gluon.Block):
    def __init__(self):
        super().__init__()
        self.body = small_net()

    def forward(self, x):
        return Doubled()(self.body(x))


def test_a_function_in_python_above_the_layer_is_refused_in_words():
    net = InPython()
    assert vc.explain(net, images(2), "grad_cam").route == "recorded"
    with pytest.raises(
        ValueError, match="a function in Python .* is between layer .*; name a layer above it"
    ):
        vc.explain(net, images(2), "ablation_cam")


def test_several_layers_give_each_its_own():
    net, batch = small_net(), images(2)
    both = vc.explain(net, batch, "ablation_cam", layer=["4", "0"])
    for found, path in zip(both, ("4", "0")):
        alone = vc.explain(net, batch, "ablation_cam", layer=path)
        np.testing.assert_allclose(found["ablation_cam"], alone["ablation_cam"], rtol=1e-4, atol=1e-6)
