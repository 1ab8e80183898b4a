"""Nets that are not one (N, C, H, W) image in, float32, by Gluon's usual operators."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.attribution.layer_choice import channels_first
from vizcallbacks.attribution.methods import METHODS

from ..helpers.nets import Functional, images, small_net, state_of

ALL = tuple(METHODS)


def slope_of(function, batch, step):
    """Directional derivative of function(batch) -> (N,) by finite differences."""
    return (np.float64(function(batch + step)) - np.float64(function(batch - step))) / 2


# Several inputs


class TwoInputs(gluon.HybridBlock):
    """Scores of the image, moved by a table row and scaled by a number for each image."""

    def __init__(self):
        super().__init__()
        self.body = small_net()

    def hybrid_forward(self, F, x, shift, scale):
        return F.broadcast_mul(self.body(x) + shift, scale)


SHIFT = np.random.RandomState(3).normal(size=(3, 4)).astype(np.float32)
SCALE = np.float32([[1], [-2], [0.5]])


@pytest.mark.slow
def test_further_inputs_go_with_their_images():
    net, batch = TwoInputs(), images(3, size=16)
    before = state_of(net)
    result = vc.explain(net, batch, ALL, targets=1, extra=(SHIFT, mx.nd.array(SCALE)), batch_size=2)
    plain = vc.explain(net.body, batch, ALL, targets=1)
    np.testing.assert_allclose(result.scores, (plain.scores + SHIFT[:, 1]) * SCALE[:, 0], rtol=1e-5)
    np.testing.assert_allclose(
        result["gradient"], plain["gradient"] * SCALE[:, :, None, None], rtol=1e-4, atol=1e-8
    )
    np.testing.assert_allclose(
        result["occlusion"], plain["occlusion"] * SCALE[:, :, None], rtol=1e-3, atol=1e-6
    )
    assert state_of(net) == before


def test_further_inputs_of_another_number_are_refused():
    with pytest.raises(ValueError, match=r"3 rows, as the images; got shape \(2, 4\)"):
        vc.explain(TwoInputs(), images(3), extra=(SHIFT[:2], SCALE))


def test_a_wrapper_fixes_an_input_that_is_the_same_for_all():
    class Fixed(gluon.HybridBlock):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def hybrid_forward(self, F, x):
            return self.body(x, F.ones((1, 4)), 2 * F.ones((1, 1)))

    net, batch = TwoInputs(), images(2)
    result = vc.explain(Fixed(net), batch, "gradient", targets=1)
    plain = vc.explain(net.body, batch, "gradient", targets=1)
    unit = np.abs(plain["gradient"]).max()
    np.testing.assert_allclose(result["gradient"] / unit, 2 * plain["gradient"] / unit, atol=1e-5)


# Layouts


def test_a_channels_last_convolution_is_refused_on_the_cpu():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(6, 3, in_channels=3, layout="NHWC"))
    net.initialize()
    with pytest.raises(ValueError, match="layer '0' has the layout NHWC, .*no convolutions on the CPU.*NCHW"):
        vc.explain(net, images())


def test_a_channels_last_layer_is_read_channels_first():
    # MXNet runs such layers on other devices only
    layer = gluon.nn.Conv2D(4, 3, layout="NHWC")
    array = np.random.RandomState(0).normal(size=(2, 5, 6, 4))
    read = channels_first(layer, array)
    assert read.shape == (2, 4, 5, 6)
    assert read[1, 3, 2, 4] == np.float32(array[1, 2, 4, 3])


# Types


@pytest.mark.slow
def test_a_double_precision_net_is_explained_in_single_precision_maps():
    net, twin, batch = small_net(), small_net(), images()
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    twin.cast("float64")
    single, double = (vc.explain(one, batch, ALL, targets=1) for one in (net, twin))
    for method in ALL:
        assert double[method].dtype == np.float32
        unit = np.abs(single[method]).max()
        np.testing.assert_allclose(double[method] / unit, single[method] / unit, atol=1e-3, err_msg=method)


def test_a_half_precision_net_is_refused_on_the_cpu():
    net = small_net()
    net.cast("float16")
    with pytest.raises(ValueError, match=r"float16.*no convolutions on the CPU.*net\.cast\('float32'\)"):
        vc.explain(net, images())


# NumPy arrays


class NumpyHead(gluon.HybridBlock):
    """A block written with F.np and F.npx."""

    def __init__(self):
        super().__init__()
        self.dense = gluon.nn.Dense(4, in_units=8)

    def hybrid_forward(self, F, x):
        x = F.npx.relu(F.np.mean(x, axis=(2, 3)) - 0.01)
        x = F.np.maximum(x, 0) + F.npx.sigmoid(x) + F.np.clip(x * 2, 0, 6)
        return self.dense(F.npx.leaky_relu(x, act_type="leaky", slope=0.1))


class ClassicHead(NumpyHead):
    """The same by the classic operators."""

    def hybrid_forward(self, F, x):
        x = F.relu(F.mean(x, axis=(2, 3)) - 0.01)
        x = F.maximum(x, 0) + F.sigmoid(x) + F.clip(x * 2, 0, 6)
        return self.dense(F.LeakyReLU(x, act_type="leaky", slope=0.1))


def net_with_head(head):
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(6, 3, padding=1, in_channels=3),
        gluon.nn.BatchNorm(in_channels=6),
        gluon.nn.Activation("relu"),
        gluon.nn.MaxPool2D(2),
        gluon.nn.Dropout(0.5),
        gluon.nn.Conv2D(8, 3, padding=1, in_channels=6),
        head,
    )
    net.initialize(mx.init.Xavier(magnitude=3))
    return net


@pytest.fixture
def numpy_arrays():
    mx.npx.set_np()
    yield
    mx.npx.reset_np()


@pytest.mark.parametrize("hybridize", [False, True])
def test_a_net_of_numpy_arrays_gives_the_maps_of_its_classic_twin(numpy_arrays, hybridize):
    net, batch = net_with_head(NumpyHead()), images(2, size=12)
    if hybridize:
        net.hybridize()
    values = net(mx.np.array(batch)).asnumpy()
    before = state_of(net)
    parameters = [parameter.data().asnumpy() for parameter in net.collect_params().values()]
    mine = vc.explain(net, batch, ALL, targets=[0, 3])
    by_callable = vc.explain(net, batch, "gradient", targets=lambda y: y[:, 0] + 0)
    assert state_of(net) == before
    np.testing.assert_allclose(mine.outputs, values, rtol=0, atol=1e-5 * np.abs(values).max())
    mx.npx.reset_np()
    twin = net_with_head(ClassicHead())
    for own, other in zip(twin.collect_params().values(), parameters):
        own.set_data(mx.nd.array(other))
    expected = vc.explain(twin, batch, ALL, targets=[0, 3])
    assert mine.relus == expected.relus == (5, 5)
    assert mine.plain_activations == expected.plain_activations == {"gate": 1, "smooth": 0}
    for method in ALL:
        unit = np.abs(expected[method]).max()
        assert unit > 0
        np.testing.assert_allclose(mine[method] / unit, expected[method] / unit, atol=1e-4, err_msg=method)
    np.testing.assert_array_equal(by_callable["gradient"][0], mine["gradient"][0])


# Operators that keep something between forward and backward


def pooled(F, x, **options):
    return F.Pooling(x, kernel=(3, 3), stride=(2, 2), **options)


OPERATORS = {
    "LRN": lambda F, x: F.LRN(x, nsize=3, alpha=1.0, beta=0.75, knorm=2),
    "L2Normalization": lambda F, x: F.L2Normalization(x, mode="channel"),
    "InstanceNorm": lambda F, x: F.InstanceNorm(x, F.ones(6), F.zeros(6)),
    "LayerNorm": lambda F, x: F.LayerNorm(x, F.ones(12), F.zeros(12)),
    "GroupNorm": lambda F, x: F.GroupNorm(x, F.ones(2), F.zeros(2), num_groups=2),
    "softmax": lambda F, x: F.softmax(x, axis=1),
    "log_softmax": lambda F, x: F.log_softmax(x, axis=1),
    "max pooling": lambda F, x: pooled(F, x, pool_type="max"),
    "max pooling, full": lambda F, x: pooled(F, x, pool_type="max", pooling_convention="full"),
    "average pooling": lambda F, x: pooled(F, x, pool_type="avg"),
    "Lp pooling": lambda F, x: pooled(F, x, pool_type="lp", p_value=2),
    "global max pooling": lambda F, x: F.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="max"),
    "adaptive pooling": lambda F, x: F.contrib.AdaptiveAvgPooling2D(x, output_size=5),
    "bilinear resizing": lambda F, x: F.contrib.BilinearResize2D(x, height=17, width=19),
    "upsampling": lambda F, x: F.UpSampling(x, scale=2, sample_type="nearest"),
    "deconvolution": lambda F, x: F.Deconvolution(
        x, F.ones((6, 2, 3, 3)), kernel=(3, 3), num_filter=2, no_bias=True, stride=(2, 2)
    ),
    "maximum over an axis": lambda F, x: F.max(x, axis=(2, 3)),
    "top k": lambda F, x: F.topk(x, k=3, ret_typ="value", axis=3),
    "concatenation": lambda F, x: F.concat(x, F.tanh(x), dim=1),
    "selection": lambda F, x: F.where(x > 0, x, 2 * x),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_gradient_through_the_operator_is_the_directional_derivative(name):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(6, 3, padding=1, in_channels=3), Functional(OPERATORS[name]), gluon.nn.Flatten())
    net.add(gluon.nn.Dense(4))
    net.initialize(mx.init.Xavier(magnitude=3))
    batch = images(2, size=12)
    result = vc.explain(net, batch, "gradient", targets=1)
    step = 0.02 * result["gradient"] / np.sqrt((result["gradient"] ** 2).sum())
    measured = slope_of(lambda x: net(mx.nd.array(x)).asnumpy()[:, 1], batch, step)
    np.testing.assert_allclose((result["gradient"] * step).sum(axis=(1, 2, 3)), measured, rtol=5e-3)
