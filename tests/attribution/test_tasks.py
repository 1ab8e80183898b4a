"""Ready-made targets for other tasks, by hand and on GluonCV's nets."""

from __future__ import annotations

import gluoncv
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.targets import detection, multi_label, segmentation

from ..helpers.nets import images, small_net, state_of


def settle(norm, inputs):
    """Give a BatchNorm the statistics of what it is about to get, and half as much variance again."""
    values = inputs[0].asnumpy()
    variance = values.var(axis=(0, 2, 3))
    norm.running_mean.set_data(mx.nd.array(values.mean(axis=(0, 2, 3))))
    norm.running_var.set_data(mx.nd.array(variance + variance.mean() / 2))


def real_net(name, size, **options):
    net = gluoncv.model_zoo.get_model(name, pretrained=False, pretrained_base=False, **options)
    net.initialize(mx.init.Xavier(), force_reinit=True)
    data = mx.nd.array(images(2, size=size, seed=7))
    net(data)
    hooks: list = []
    net.apply(
        lambda block: (
            hooks.append(block.register_forward_pre_hook(settle))
            if isinstance(block, gluon.nn.BatchNorm)
            else None
        )
    )
    net(data)
    for hook in hooks:
        hook.detach()
    for heads in ("class_predictors", "yolo_outputs"):
        # an untrained detector's probabilities are 0 or 1, where they are flat
        for parameter in (
            getattr(net, heads).collect_params(".*weight").values() if hasattr(net, heads) else ()
        ):
            parameter.set_data(0.01 * parameter.data())
    return net


def double_twin(name, net, options):
    """The same net in float64."""
    twin = gluoncv.model_zoo.get_model(name, pretrained=False, pretrained_base=False, **options)
    twin.initialize(force_reinit=True)
    twin.cast("float64")
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data().astype("float64"))
    return twin


REGION = np.zeros((64, 64), bool)
REGION[10:40, 20:60] = True  # fixed: what the net sees as a class may jump with a step
SEGMENTATION = segmentation(3, REGION)

TASKS = {
    # name: (image size, constructor's options, target, ReLUs as they are counted in the source)
    "fcn_resnet50_ade": (64, {"crop_size": 64}, SEGMENTATION, 51 + 2),
    "deeplab_resnet50_ade": (64, {"crop_size": 64}, SEGMENTATION, 51 + 6 + 2),
    "psp_resnet50_ade": (64, {"crop_size": 64}, SEGMENTATION, 51 + 4 + 2),
    "ssd_300_vgg16_atrous_voc": (300, {}, detection(), 15 + 8),
    "yolo3_mobilenet0.25_voc": (64, {}, detection(1), 27 + 20),
    "center_net_resnet18_v1b_voc": (64, {}, detection(), 17 + 6 + 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_the_gradient_of_the_target_is_the_directional_derivative(name):
    size, options, target, relus = TASKS[name]
    net = real_net(name, size, **options)
    batch = images(1 if size == 300 else 2, size=size)
    expected = target(net(mx.nd.array(batch))).asnumpy()
    before = state_of(net)
    result = vc.explain(net, batch, ("gradient", "guided_backprop"), targets=target, batch_size=1)
    assert state_of(net) == before
    # the pass runs the kernels of training, which round otherwise than those of predict mode
    np.testing.assert_allclose(result.scores, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
    assert result.relus == (relus, relus)
    assert not np.array_equal(result["guided_backprop"], result["gradient"])
    slope = result["gradient"].astype(np.float64)
    # GluonCV's detectors run in single precision alone: there the step is large, and kinks blur it by some percent
    double = target is SEGMENTATION
    size_of_step, tolerance, dtype = (1e-5, 0.01, "float64") if double else (1e-3, 0.05, "float32")
    twin = double_twin(name, net, options) if double else net
    step = slope * size_of_step * np.abs(expected).reshape(-1, 1, 1, 1)
    step /= (slope**2).sum(axis=(1, 2, 3), keepdims=True)
    above, below = (target(twin(mx.nd.array(batch + way * step, dtype=dtype))).asnumpy() for way in (1, -1))
    np.testing.assert_allclose((slope * step).sum(axis=(1, 2, 3)), (above - below) / 2, rtol=tolerance)


# Segmentation

MAPS = mx.nd.array(np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2) % 7)


def test_a_segmentation_score_is_the_mean_over_the_region():
    one = np.array([[True, False], [False, True]])
    # class 1 of the first image: 4 5 / 6 0, of the second: 2 3 / 4 5
    np.testing.assert_allclose(segmentation(1, one)(MAPS).asnumpy(), [2, 3.5])
    each = np.stack([one, ~one])
    np.testing.assert_allclose(segmentation(1, each)((MAPS, "more")).asnumpy(), [2, 3.5])
    np.testing.assert_allclose(segmentation(1, np.stack([one, one & False]))([MAPS]).asnumpy(), [2, 0])


def test_a_segmentation_score_without_a_region_is_over_what_the_net_sees_as_the_class():
    maps = np.zeros((2, 2, 2, 2), np.float32)
    maps[0, 1] = [[5, -1], [3, -1]]  # class 1 wins in the left column
    maps[1, 1] = [[-5, -1], [-3, -3]]  # and nowhere here
    np.testing.assert_allclose(segmentation(1)(mx.nd.array(maps)).asnumpy(), [4, -3])


class Segmenter(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.conv = gluon.nn.Conv2D(2, 3, padding=1, in_channels=3)

    def hybrid_forward(self, F, x):
        return self.conv(x), x


def test_regions_go_with_their_images_through_batches():
    net, batch = Segmenter(), images(5, size=8)
    net.initialize()
    regions = np.random.RandomState(0).rand(5, 8, 8) < 0.3
    whole = vc.explain(net, batch, ("gradient", "smooth_grad"), targets=segmentation(1, regions))
    parts = vc.explain(
        net, batch, ("gradient", "smooth_grad"), targets=segmentation(1, regions), batch_size=2
    )
    maps = net(mx.nd.array(batch))[0].asnumpy()[:, 1]
    expected = (maps * regions).sum(axis=(1, 2)) / regions.sum(axis=(1, 2))
    for result in (whole, parts):
        np.testing.assert_allclose(result.scores, expected, rtol=1e-5, atol=1e-6)
        for method in ("gradient", "smooth_grad"):  # the net is linear
            np.testing.assert_allclose(result[method], whole["gradient"], atol=1e-6)


# Detection

IDS = mx.nd.array([[2, 0, 2, -1], [1, -1, -1, -1]]).expand_dims(2)
SCORES = mx.nd.array([[0.9, 0.8, 0.3, -1], [0.6, -1, -1, -1]]).expand_dims(2)
BOXES = mx.nd.zeros((2, 4, 4))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (detection(), [0.9, 0.6]),
        (detection(1), [0.8, 0]),
        (detection(9), [0, 0]),
        (detection(class_id=2), [0.9, 0]),
        (detection(1, class_id=2), [0.3, 0]),
        (detection(class_id=1), [0, 0.6]),
    ],
)
def test_a_detection_score_is_that_of_the_rank_among_its_class(target, expected):
    np.testing.assert_allclose(target((IDS, SCORES, BOXES)).asnumpy(), expected, rtol=1e-6)


# Several labels


def test_a_multi_label_score_is_the_sum_of_the_labels_scores():
    outputs = mx.nd.array([[1, 2, 4], [8, 16, 32]])
    np.testing.assert_array_equal(multi_label([0, 2])(outputs).asnumpy(), [5, 40])
    marked = np.array([[True, True, False], [False, False, True]])
    np.testing.assert_array_equal(multi_label(marked)(outputs).asnumpy(), [3, 32])


def test_marked_labels_go_with_their_images_through_batches():
    net, batch = small_net(), images(3)
    marked = np.array([[1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]], bool)
    result = vc.explain(net, batch, "gradient", targets=multi_label(marked), batch_size=2)
    outputs = net(mx.nd.array(batch)).asnumpy()
    np.testing.assert_allclose(result.scores, (outputs * marked).sum(axis=1), rtol=1e-5)
    single = vc.explain(net, batch, "gradient", targets=[0, 3, 0])["gradient"]
    np.testing.assert_allclose(result["gradient"][1], single[1], atol=1e-7)


BAD = {
    "a negative class": (lambda: segmentation(-1), "class_id must be an int of at least 0, got -1"),
    "a float rank": (lambda: detection(0.5), "rank must be an int"),
    "a region of floats": (lambda: segmentation(1, np.ones((2, 2))), "bool, got float64"),
    "a region of another size": (
        lambda: segmentation(1, np.ones((3, 3), bool))(MAPS),
        r"\(2, 2\), got \(3, 3\)",
    ),
    "a class too high": (lambda: segmentation(3)(MAPS), r"more than 3 classes, H, W\), got \(2, 3, 2, 2\)"),
    "no detector": (lambda: detection()(MAPS), r"a detector must return ids .* got \(2, 3, 2, 2\)"),
    "no labels": (lambda: multi_label([]), "labels must be ints"),
    "too many labels": (lambda: multi_label([7])(MAPS[0, 0]), "more than 7 classes"),
    "no classes": (lambda: multi_label([7])(MAPS), r"got \(2, 3, 2, 2\)"),
    "rows of another number": (
        lambda: vc.explain(small_net(), images(), targets=multi_label(np.ones((3, 4), bool))),
        "each of the 2 images, got 3 rows",
    ),
    "regions of another number": (
        lambda: vc.explain(small_net(), images(), targets=segmentation(0, np.ones((3, 4, 4), bool))),
        "each of the 2 images, got 3",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_targets_that_do_not_fit_are_refused(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_the_default_layer_is_one_that_has_a_part_in_the_score():
    class TwoHeads(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.shared = gluon.nn.Conv2D(4, 3, in_channels=3)
            self.other = gluon.nn.Conv2D(4, 3, in_channels=4)

        def hybrid_forward(self, F, x):
            x = self.shared(x)
            return x.mean(axis=(2, 3)), self.other(x)

    net = TwoHeads()
    net.initialize()
    assert vc.explain(net, images(), "grad_cam", targets=lambda y: y[0][:, 1]).layer == "shared"
    assert vc.explain(net, images(), "grad_cam", targets=lambda y: y[1].mean(axis=(1, 2, 3))).layer == "other"
