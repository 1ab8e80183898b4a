"""Truth: every number of `explain` against an independent computation."""

from __future__ import annotations

import os
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS

from ..helpers.nets import ZOO, images, random_state, small_net, state_of, zoo_net

ALL = tuple(name for name, method in METHODS.items() if method.is_fast and "walks" not in method.needs)
"""Walks by other rules than the gradient's are tried in tests/nets/test_walks.py and test_rules.py."""


LARGE = ("vgg11_bn", "alexnet", "densenet121")


def nets_of(names):
    return [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in names]


def double_copy(net, name, size):
    """The same net in float64, where finite differences are exact to nine digits (and oneDNN is not used)."""
    twin = zoo_net(name)
    twin.cast("float64")
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data().astype("float64"))
    return twin


@pytest.mark.parametrize("name", nets_of(ZOO))
def test_input_gradient_is_the_directional_derivative(name):
    size, relus = ZOO[name]
    net, batch, classes = zoo_net(name), images(2, size=size), np.array([3, 8])
    result = vc.explain(net, batch, ("gradient", "guided_backprop"), targets=classes)
    assert result.relus == (relus, relus)
    slope = result["gradient"].astype(np.float64)
    assert np.linalg.norm(slope) > 0
    twin = double_copy(net, name, size)
    rng = np.random.RandomState(5)
    for _ in range(2):
        noise = rng.normal(size=batch.shape)
        norm = lambda array: np.sqrt((array**2).sum(axis=(1, 2, 3), keepdims=True))  # noqa: E731
        step = 1e-4 * (slope / norm(slope) + noise / norm(noise))

        def score(offset):
            outputs = twin(mx.nd.array(batch + offset, dtype="float64")).asnumpy()
            return outputs[[0, 1], classes]

        expected = (score(step) - score(-step)) / 2
        np.testing.assert_allclose((slope * step).sum(axis=(1, 2, 3)), expected, rtol=1e-3)


@pytest.mark.parametrize("name", nets_of(ZOO))
def test_maps_are_equal_to_the_bit_on_repeat_and_when_hybridized(name):
    size, _ = ZOO[name]
    net, batch = zoo_net(name), images(2, size=size)
    first = vc.explain(net, batch, ALL)
    again = vc.explain(net, batch, ALL)
    net.hybridize()
    hybridized = vc.explain(net, batch, ALL)
    assert first["gradient"].any()
    for method in ALL:
        np.testing.assert_array_equal(first[method], again[method], err_msg=method)
        np.testing.assert_array_equal(first[method], hybridized[method], err_msg=method)


@pytest.mark.parametrize("name", nets_of(["resnet18_v1", "vgg11_bn", "squeezenet1.1"]))
def test_a_batch_equals_its_images_one_by_one(name):
    size, _ = ZOO[name]
    net, batch = zoo_net(name, hybridize=True), images(3, size=size)
    whole, chunked = vc.explain(net, batch, ALL), vc.explain(net, batch, ALL, batch_size=2)
    for method in ALL:
        unit = np.abs(whole[method]).max() or 1
        np.testing.assert_allclose(chunked[method] / unit, whole[method] / unit, atol=1e-4)
    own = [method for method in ALL if not METHODS[method].sees_all]
    for i in range(3):
        single = vc.explain(net, batch[i : i + 1], own)
        for method in own:
            unit = np.abs(single[method]).max() or 1
            np.testing.assert_allclose(whole[method][i] / unit, single[method][0] / unit, atol=1e-4)
            np.testing.assert_allclose(chunked[method][i] / unit, single[method][0] / unit, atol=1e-4)


SUBPROCESS = """
import sys, numpy as np
sys.path.insert(0, {root!r})
from tests.helpers.nets import zoo_net, images, ZOO
import vizcallbacks as vc
from vizcallbacks.mxnet_door import mx
for name in {names!r}:
    size, _ = ZOO[name]
    net = zoo_net(name)
    net.load_parameters({folder!r} + "/" + name + ".params")
    result = vc.explain(net, images(2, size=size), {methods!r}, targets=[3, 8])
    np.savez({folder!r} + "/" + name + ".npz", **result.maps)
"""


@pytest.mark.slow
def test_maps_without_onednn_are_the_same(tmp_path):
    names = ["resnet18_v1", "vgg11_bn", "squeezenet1.1", "alexnet"]
    here = {}
    for name in names:
        net = zoo_net(name)
        net.save_parameters(str(tmp_path / f"{name}.params"))
        here[name] = vc.explain(net, images(2, size=ZOO[name][0]), ALL, targets=[3, 8])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = SUBPROCESS.format(root=root, folder=str(tmp_path), names=names, methods=ALL)
    environment = {**os.environ, "MXNET_MKLDNN_ENABLED": "0"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=environment, timeout=600)
    for name in names:
        with np.load(tmp_path / f"{name}.npz") as there:
            for method in ALL:
                error = np.linalg.norm(there[method] - here[name][method]) / np.linalg.norm(there[method])
                # where a sum lies within rounding of a ReLU's or a maximum's kink, single pixels differ
                assert error < 2e-3, (name, method, error)


def gap_net(channels=5, classes=4):
    """conv - global average pool - dense: the net of the original CAM paper."""
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(channels, 3, in_channels=3, activation="relu"),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Dense(classes, in_units=channels),
    )
    net.initialize(mx.init.Normal(0.5))
    return net


def test_grad_cam_of_a_gap_net_is_its_class_activation_map():
    net, batch = gap_net(), images(3, size=8)
    result = vc.explain(net, batch, "grad_cam", targets=[0, 1, 2])
    features = net[0](mx.nd.array(batch)).asnumpy()
    weights = net[2].weight.data().asnumpy()
    cam = np.einsum("nk,nkhw->nhw", weights[[0, 1, 2]], features)
    np.testing.assert_allclose(result["grad_cam"], np.maximum(cam, 0) / (6 * 6), rtol=1e-4, atol=1e-7)
    assert result.layer == "0"


def test_randomising_the_head_changes_grad_cam():
    net, batch = gap_net(), images(2, size=8)
    before = vc.explain(net, batch, "grad_cam", targets=1)["grad_cam"]
    net[2].initialize(mx.init.Normal(0.5), force_reinit=True)
    after = vc.explain(net, batch, "grad_cam", targets=1)["grad_cam"]
    assert np.abs(before - after).max() > 0.1 * before.max()


def pointwise_net(first, second):
    """1 x 1 convolutions with given weights and a ReLU between: pixels do not mix, gradients are by hand."""
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(2, 1, use_bias=False, in_channels=1),
        gluon.nn.Activation("relu"),
        gluon.nn.Conv2D(1, 1, use_bias=False, in_channels=2),
        gluon.nn.Flatten(),
    )
    net.initialize()
    net[0].weight.set_data(mx.nd.array(first).reshape((2, 1, 1, 1)))
    net[2].weight.set_data(mx.nd.array(second).reshape((1, 2, 1, 1)))
    return net


def test_guided_backprop_vanishes_where_the_plain_gradient_is_negative():
    # y = 2 relu(x) - 3 relu(-x): the gradient at the second ReLU is -3
    net = pointwise_net([1, -1], [2, -3])
    batch = np.array([[[[1.0, -1.0], [2.0, -2.0]]]], np.float32)
    result = vc.explain(
        net, batch, ("gradient", "guided_backprop"), targets=lambda outputs: outputs.sum(axis=1)
    )
    np.testing.assert_allclose(result["gradient"][0, 0], [[2, 3], [2, 3]])
    np.testing.assert_allclose(result["guided_backprop"][0, 0], [[2, 0], [2, 0]])
    assert result.predictions.shape == (1,)
    assert result.targets is None


def test_all_maps_of_a_4x4_case_by_hand():
    net = pointwise_net([1, -1], [2, -3])
    image = np.array([[1, -1, 0, 2], [0, 0, 0, 0], [3, 1, 1, -2], [-1, -1, -1, -1]], np.float32)
    result = vc.explain(net, image[None, None], ALL, layer="0", targets=lambda outputs: outputs.sum(axis=1))
    positive, negative = image > 0, image < 0
    # at layer 0: A = (x, -x), dy/dA = (2 [x > 0], -3 [x < 0]); means 2 * 5/16 and -3 * 6/16
    np.testing.assert_allclose(result["grad_cam"][0], np.maximum(0.625 * image + 1.125 * image, 0))
    np.testing.assert_allclose(result["gradient"][0, 0], 2 * positive + 3 * negative)
    np.testing.assert_allclose(result["saliency"][0], 2 * positive + 3 * negative)
    np.testing.assert_allclose(result["guided_backprop"][0, 0], 2 * positive)
    np.testing.assert_allclose(result["guided_grad_cam"][0, 0], 2 * positive * 1.75 * image)


def test_one_record_serves_all_methods_and_batches_of_a_shape():
    calls = []

    class Counting(gluon.nn.HybridSequential):
        def hybrid_forward(self, F, x):
            calls.append(x.shape)
            return super().hybrid_forward(F, x)

    net = Counting()
    net.add(*gap_net())
    vc.explain(net, images(5), ALL, batch_size=2)
    # its record serves all batches of a shape, as it looks at shapes only
    assert calls == [(2, 3, 32, 32), (1, 3, 32, 32)]


def test_several_layers_give_what_each_gives_alone():
    net, batch = small_net(), images()
    both = vc.explain(net, batch, ALL, layer=["0", net[4]])
    for result, layer in zip(both, ("0", "4")):
        alone = vc.explain(net, batch, ALL, layer=layer)
        assert result.layer == alone.layer == layer
        for method in ALL:
            # a layer that is looked at keeps its BatchNorm apart, others take it in, which rounds otherwise
            unit = np.abs(alone[method]).max()
            np.testing.assert_allclose(result[method] / unit, alone[method] / unit, atol=1e-5)


def test_a_layer_is_found_by_object_name_and_path():
    net, batch = small_net(), images()
    by_path = vc.explain(net, batch, "grad_cam", layer="4")["grad_cam"]
    for layer in (net[4], net[4].name):
        np.testing.assert_array_equal(vc.explain(net, batch, "grad_cam", layer=layer)["grad_cam"], by_path)
    assert by_path.shape == (2, 16, 16)


def test_the_default_layer_is_the_last_conv_with_more_than_one_cell():
    net = small_net()
    head = gluon.nn.HybridSequential()
    head.add(net, gluon.nn.HybridLambda(lambda F, x: x.reshape((0, 0, 1, 1))), gluon.nn.Conv2D(3, 1))
    head.add(gluon.nn.Flatten())
    head[2].initialize()
    result = vc.explain(head, images(), "grad_cam")
    assert result.layer == "0.4"


TARGETS = {
    "predicted": (None, None),
    "label": ("label", [1, 3]),
    "one class": (2, [2, 2]),
    "each": (np.array([0, 3]), [0, 3]),
    "list": ([0, 3], [0, 3]),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_targets_choose_the_score(kind):
    targets, classes = TARGETS[kind]
    net = small_net()
    probe = vc.ProbeSet(images(), labels=[1, 3])
    result = vc.explain(net, probe, "gradient", targets=targets)
    outputs = net(mx.nd.array(probe.images)).asnumpy()
    classes = outputs.argmax(axis=1) if classes is None else classes
    np.testing.assert_array_equal(result.targets, classes)
    np.testing.assert_array_equal(result.scores, result.outputs[[0, 1], classes])
    np.testing.assert_allclose(result.outputs, outputs, atol=1e-6)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, rtol=1e-6)
    by_callable = vc.explain(net, probe, "gradient", targets=lambda y: mx.nd.pick(y, mx.nd.array(classes)))
    np.testing.assert_array_equal(result["gradient"], by_callable["gradient"])


def test_at_image_size_gives_one_map_per_image():
    result = vc.explain(small_net(), images(), ALL)
    for method in ALL:
        assert result.at_image_size(method).shape == (2, 32, 32)
    np.testing.assert_array_equal(result.at_image_size("gradient"), result["saliency"])


def test_dropout_is_passed_through_and_draws_nothing():
    net, batch = small_net(dropout=0.5, hybridize=True), images()
    with_dropout = vc.explain(net, batch, ALL)
    net[7]._rate = 0.0
    net.hybridize()
    without = vc.explain(net, batch, ALL)
    for method in ALL:
        np.testing.assert_array_equal(with_dropout[method], without[method])


@pytest.mark.parametrize(
    "flags", [None, {}, {"static_alloc": True}, {"static_alloc": True, "static_shape": True}]
)
def test_explain_leaves_the_net_and_the_random_streams_as_they_were(flags):
    net, batch = small_net(dropout=0.5, hybridize=flags is not None, **(flags or {})), images()
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            parameter.grad_req = "add"
    for _ in range(2):
        with autograd.record():
            loss = net(mx.nd.array(batch)).sum()
        loss.backward()
    reference = net(mx.nd.array(batch)).asnumpy()
    mx.random.seed(3)
    untouched = random_state()
    _reseed()
    before = state_of(net)
    vc.explain(net, batch, ALL)
    after = state_of(net)
    assert before == after
    assert random_state() == untouched
    np.testing.assert_array_equal(net(mx.nd.array(batch)).asnumpy(), reference)


def _reseed():
    import random

    random.seed(0)
    np.random.seed(0)
    mx.random.seed(3)


def test_deferred_initialisation_is_resolved_by_the_images():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(4, 3), gluon.nn.Activation("relu"), gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(3))
    net.initialize()
    assert vc.explain(net, images(), "grad_cam").layer == "0"


def test_nan_weights_give_undefined_maps_and_predictions():
    net, batch = small_net(), images()
    net[8].weight.set_data(net[8].weight.data() * np.nan)
    result = vc.explain(net, batch, ALL)
    assert np.isnan(result["grad_cam"]).all()
    np.testing.assert_array_equal(result.predictions, [-1, -1])


class PlainPooling(gluon.Block):
    def forward(self, x):
        return mx.nd.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")


class MethodRelu(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        return x.relu() * 1


class MethodReluLast(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        return x.relu()


def test_a_relu_called_on_the_array_is_covered_where_the_block_returns_it():
    net, twin = small_net(), small_net()
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    net._children["5"] = MethodReluLast()
    result, expected = (vc.explain(one, images(), "guided_backprop") for one in (net, twin))
    assert result.relus == (2, 2)
    np.testing.assert_array_equal(result["guided_backprop"], expected["guided_backprop"])


def test_a_relu_called_on_the_array_is_guided_wherever_it_stands():
    net, twin = small_net(), small_net()
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    net._children["5"] = MethodRelu()
    whole = gluon.nn.Sequential()
    whole.add(net)
    traced, recorded, expected = (vc.explain(one, images(), "guided_backprop") for one in (net, whole, twin))
    unit = np.abs(expected["guided_backprop"]).max()
    for result, route in ((traced, "traced"), (recorded, "recorded")):
        assert (result.route, result.relus, result.unguided) == (route, (2, 2), ())
        np.testing.assert_allclose(
            result["guided_backprop"] / unit, expected["guided_backprop"] / unit, atol=1e-5
        )


def test_a_closed_graph_in_a_plain_block_is_explained_like_the_net_it_is_of():
    net, data = small_net(), mx.sym.var("data", dtype="float32")
    closed = gluon.SymbolBlock(net(data), data, params=net.collect_params())
    whole, open_one = gluon.nn.Sequential(), gluon.nn.HybridSequential()
    whole.add(gluon.nn.Conv2D(3, 1, in_channels=3), closed)
    open_one.add(whole[0], net)
    whole[0].initialize()
    result, expected = (vc.explain(one, images(), ALL[:4]) for one in (whole, open_one))
    assert (result.route, expected.route) == ("recorded", "traced")
    assert (result.layer, expected.layer) == (f"1.{net[4].name}", "1.4")
    assert result.relus == expected.relus == (2, 2)
    for method in ALL[:4]:
        unit = np.abs(expected[method]).max()
        np.testing.assert_allclose(result[method] / unit, expected[method] / unit, atol=1e-5, err_msg=method)


def test_max_pooling_on_arrays_has_the_gradient_of_the_layer():
    net, twin = small_net(), small_net()
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    net._children["3"] = PlainPooling()
    result, expected = (vc.explain(one, images(), "gradient") for one in (net, twin))
    assert result.route == "recorded"
    unit = np.abs(expected["gradient"]).max()
    np.testing.assert_allclose(result["gradient"] / unit, expected["gradient"] / unit, atol=1e-5)


def _no_conv():
    net = gluon.nn.Dense(3, in_units=3 * 32 * 32)
    net.initialize()
    return net


def _tuple_net():
    class Two(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.body = small_net()

        def hybrid_forward(self, F, x):
            return self.body(x), x

    return Two()


BAD = {
    "an unknown method": ({"methods": ("grad_cam", "gradcam")}, "grad_cam, .*guided_backprop.*'gradcam'"),
    "no method": ({"methods": ()}, "names from"),
    "an unknown layer": ({"layer": "nowhere"}, r"'nowhere' is not a Conv2D of this net; .*: 0 \(.*4 \("),
    "no layer": ({"layer": []}, "at least one"),
    "a class that is not there": ({"targets": 4}, "below the net's number of classes, 4, got 4"),
    "a negative class": ({"targets": -1}, "int >= 0"),
    "too many targets": ({"targets": [1, 2, 3]}, "one for each of the 2 images"),
    "a word as target": ({"targets": "best"}, "'label'.*'best'"),
    "labels that are not there": ({"targets": "label"}, "needs labels"),
    "a score of another shape": ({"targets": lambda y: y}, r"shape \(2,\).*\(2, 4\)"),
    "a score without a gradient": (
        {"targets": lambda y: mx.nd.zeros((2,))},
        "does not depend on the net's input",
    ),
    "an empty batch": ({"batch_size": 0}, "batch_size.*got 0"),
    "images of other channels": (
        {"images": images(channels=1)},
        r"failed on images of shape \(2, 1, 32, 32\)",
    ),
    "images in NHWC": ({"images": images().transpose(0, 2, 3, 1)}, "NHWC"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_raise_and_leave_the_net_as_it_was(case):
    arguments, message = BAD[case]
    net = small_net()
    before = state_of(net)
    with pytest.raises((ValueError, TypeError), match=message):
        vc.explain(net, **{"images": images(), **arguments})
    assert state_of(net) == before


BAD_NETS = {
    "no block": (lambda tmp: lambda x: x, "must be a mxnet.gluon.Block, got function"),
    "no conv": (lambda tmp: _no_conv(), "no gluon.nn.Conv2D layer"),
    "two outputs": (lambda tmp: _tuple_net(), r"returned \(\(2, 4\), \(2, 3, 32, 32\)\); give a callable"),
}


@pytest.mark.parametrize("case", BAD_NETS)
def test_nets_that_cannot_be_explained_are_refused(case, tmp_path):
    make, message = BAD_NETS[case]
    with pytest.raises((ValueError, TypeError), match=message):
        vc.explain(make(tmp_path), images())


def test_an_uninitialised_net_is_refused():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(4, 3, in_channels=3))
    with pytest.raises(ValueError, match=r"net.initialize\(\)"):
        vc.explain(net, images())


def test_a_method_that_was_not_computed_is_named():
    result = vc.explain(small_net(), images(), "grad_cam")
    with pytest.raises(KeyError, match="saliency.*grad_cam"):
        result["saliency"]
