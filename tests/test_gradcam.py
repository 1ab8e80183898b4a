"""MXNet's tutorial runs with only its import changed, and its numbers are right."""

import inspect

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon
from mxnet.gluon.nn import BatchNorm, Dense, Dropout, MaxPool2D

import vizcallbacks as vc
from vizcallbacks import gradcam
from vizcallbacks.gradcam import Activation, Conv2D
from vizcallbacks.nets.tape import Tape
from vizcallbacks.pictures.render import overlay

from .helpers.nets import images, small_net, state_of


class VGG(gluon.HybridBlock):
    """The tutorial's network, in its structure and its names, with few filters."""

    def __init__(self, layers, filters, classes=10, batch_norm=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = self._make_features(layers, filters, batch_norm)
            for _ in range(2):
                self.features.add(Dense(32, activation="relu"))
                self.features.add(Dropout(rate=0.5))
            self.output = Dense(classes)

    def _make_features(self, layers, filters, batch_norm):
        featurizer = gluon.nn.HybridSequential(prefix="")
        for number, channels in zip(layers, filters):
            for _ in range(number):
                featurizer.add(Conv2D(channels, kernel_size=3, padding=1, bias_initializer="zeros"))
                if batch_norm:
                    featurizer.add(BatchNorm())
                featurizer.add(Activation("relu"))
            featurizer.add(MaxPool2D(strides=2))
        return featurizer

    def hybrid_forward(self, F, x):
        return self.output(self.features(x))


LAST = 3
"""The last convolution's place in `features`, 28 in the tutorial's VGG-16."""

ORIGINAL = np.random.default_rng(5).integers(0, 256, (32, 48, 3), dtype=np.uint8)
"""An image that is not square, so that no height is taken for a width."""


SQUARE = ORIGINAL[:, :32]


@pytest.fixture
def image():
    pixels = ORIGINAL.astype(np.float32).transpose(2, 0, 1) / 255
    return mx.nd.array((pixels - 0.45) / 0.22).expand_dims(axis=0)


@pytest.fixture(params=[False, True], ids=["vgg", "vgg_bn"])
def network(request, image):
    net = VGG([1, 1], [6, 8], batch_norm=request.param)
    net.initialize(mx.init.Xavier(magnitude=3))
    net(image)
    return net


def last_conv(network):
    return [layer for layer in network.features if isinstance(layer, Conv2D)][-1]


# The tutorial


def test_the_tutorials_visualize_gives_its_three_pictures(network, image):
    name = last_conv(network)._name
    heat, guided, gray = gradcam.visualize(network, image, ORIGINAL, name)
    assert (heat.shape, guided.shape, gray.shape) == ((32, 48, 3), (32, 48, 3), (32, 48))
    for picture in (heat, guided, gray):
        assert picture.dtype == np.uint8
        assert picture.max() > 200
    assert guided.min() == gray.min() == 0
    assert guided.max() == gray.max() == 255


def test_the_layer_is_found_at_its_place_in_features(image):
    net = VGG([1, 1], [6, 8])
    net.initialize(mx.init.Xavier(magnitude=3))  # and deferred initialisation is resolved
    by_name = gradcam.visualize(net, image, ORIGINAL, net.features[LAST]._name)
    by_path = gradcam.visualize(net, image, ORIGINAL, f"features.{LAST}")
    for one, other in zip(by_name, by_path):
        np.testing.assert_array_equal(one, other)


def test_the_pictures_are_those_of_the_formulas(network, image):
    """From the raw maps of `explain`, by the tutorial's formulas without its quantising."""
    layer = last_conv(network)
    result = vc.explain(network, image, ("grad_cam", "guided_backprop"), layer=layer)
    cam = cv2.resize(result["grad_cam"][0], (48, 32)).astype(np.float64)
    product = result["guided_backprop"][0].astype(np.float64) * cam
    heat, guided, gray = gradcam.visualize(network, image, ORIGINAL, layer.name)

    shown = (cam / cam.max())[..., None]
    colours = cv2.applyColorMap(np.rint(255 * shown[..., 0]).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    grey = cv2.cvtColor(ORIGINAL, cv2.COLOR_RGB2GRAY)[..., None].astype(float)
    np.testing.assert_allclose(heat, grey + 0.85 * shown**0.85 * (colours - grey), atol=2)

    full = np.percentile(np.abs(product), 99.5)
    drawn = 127.5 + 127.5 * np.clip(product / full, -1, 1).transpose(1, 2, 0)
    np.testing.assert_allclose(guided, drawn, atol=1.01)

    total = np.abs(product).sum(axis=0)
    shown = np.clip((total - total.min()) / (np.percentile(total, 99) - total.min()), 0, 1)
    np.testing.assert_allclose(gray, 255 * shown, atol=1.01)


def test_the_class_may_be_given(network, image):
    name = last_conv(network).name
    scores = network(image).asnumpy()[0]
    by_default = gradcam.visualize(network, image, ORIGINAL, name)
    predicted = gradcam.visualize(network, image, ORIGINAL, name, class_id=int(scores.argmax()))
    other = gradcam.visualize(network, image, ORIGINAL, name, class_id=int(scores.argmin()))
    for i in range(3):
        np.testing.assert_array_equal(by_default[i], predicted[i])
    assert any((by_default[i] != other[i]).any() for i in range(3))


def test_the_network_is_left_as_it_was(network, image):
    before = state_of(network)
    gradcam.visualize(network, image, ORIGINAL, last_conv(network).name)
    gradcam.get_conv_out_grad(network, image)
    gradcam.get_image_grad(network, image)
    assert state_of(network) == before


def test_the_network_trains_as_one_of_gluons_layers(image):
    """The tutorial: the same code can be used for training and for visualisation."""

    def trained(conv, activation):
        mx.random.seed(3)
        net = gluon.nn.HybridSequential(prefix="net_")
        with net.name_scope():
            net.add(conv(4, 3), activation("relu"), gluon.nn.GlobalAvgPool2D(), Dense(3))
        net.initialize(mx.init.Xavier())
        net.hybridize()
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
        for _ in range(2):
            with autograd.record():
                loss = net(image).sum()
            loss.backward()
            trainer.step(1)
        return [parameter.data().asnumpy().tobytes() for parameter in net.collect_params().values()]

    assert trained(Conv2D, Activation) == trained(gluon.nn.Conv2D, gluon.nn.Activation)


# Function for function


def test_the_layers_output_and_gradient_are_those_of_the_net(image):
    """Behind a global average pool and a dense layer, the gradient is the class's weight / (h w)."""
    net = gluon.nn.HybridSequential()
    net.add(Conv2D(5, 3, padding=1), gluon.nn.GlobalAvgPool2D(), Dense(4, use_bias=False))
    net.initialize(mx.init.Xavier(magnitude=3))
    scores = net(image).asnumpy()[0]
    weight = net[2].weight.data().asnumpy()
    for class_id, row in ((None, weight[scores.argmax()]), (2, weight[2])):
        output, gradient = gradcam.get_conv_out_grad(net, image, class_id, net[0].name)
        np.testing.assert_allclose(output, net[0](image).asnumpy()[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            gradient, np.broadcast_to(row[:, None, None] / (32 * 48), (5, 32, 48)), rtol=1e-5
        )


def test_without_a_name_it_is_the_last_layer_to_run(network, image):
    for by_default, named in zip(
        gradcam.get_conv_out_grad(network, image),
        gradcam.get_conv_out_grad(network, image, conv_layer_name=last_conv(network).name),
    ):
        unit = np.abs(named).max()
        np.testing.assert_allclose(by_default / unit, named / unit, atol=1e-5)
        assert by_default.shape == (8, 16, 24)


def test_the_image_gradient_is_by_guided_backpropagation(image):
    """conv 1 x 1 - ReLU - sum, by hand: where the ReLU is active, the positive part of what arrives."""
    net = gluon.nn.HybridSequential()
    net.add(
        Conv2D(2, 1, use_bias=False), Activation("relu"), gluon.nn.GlobalAvgPool2D(), Dense(1, use_bias=False)
    )
    net.initialize()
    net(image)
    first = np.array([[1, -1, 2], [3, 1, 1]], np.float32)
    net[0].weight.set_data(mx.nd.array(first.reshape(2, 3, 1, 1)))
    net[3].weight.set_data(mx.nd.array([[7.0, -5.0]]))  # the second channel's gradient is negative
    active = np.tensordot(first[0], image.asnumpy()[0], axes=1) > 0
    expected = first[0][:, None, None] * (active * 7 / (32 * 48))
    np.testing.assert_allclose(gradcam.get_image_grad(net, image, class_id=0), expected, rtol=1e-5, atol=1e-9)


def test_the_functions_together_are_visualize(network, image):
    layer = last_conv(network)
    output, gradient = gradcam.get_conv_out_grad(network, image, conv_layer_name=layer.name)
    cam = gradcam.get_cam(gradient, output, size=(32, 48))
    guided = gradcam.get_guided_grad_cam(cam, gradcam.get_image_grad(network, image))
    pictures = (
        gradcam.get_img_heatmap(ORIGINAL, cam),
        gradcam.grad_to_image(guided),
        gradcam.grad_to_image(gradcam.to_grayscale(guided))[..., 0],
    )
    for step_by_step, at_once in zip(pictures, gradcam.visualize(network, image, ORIGINAL, layer.name)):
        np.testing.assert_allclose(step_by_step, at_once.astype(float), atol=1.01)  # 255ths, cut off


def test_the_class_activation_map_of_a_layer_of_two_channels():
    output = np.array([[[1, 2], [3, 4]], [[1, 1], [1, 0]]], np.float32)
    gradient = np.array([[[2, 0], [0, 2]], [[-1, -3], [-2, -2]]], np.float32)  # means 1 and -2
    # 1 A_0 - 2 A_1: -1, 0, 1, 4
    np.testing.assert_array_equal(gradcam.get_cam(gradient, output), np.array([[0, 0], [0.25, 1]]))
    upsampled = gradcam.get_cam(gradient, output, size=(4, 6))
    assert upsampled.shape == (4, 6)
    assert upsampled.dtype == np.float32
    np.testing.assert_allclose(upsampled[0, :3], 0)
    np.testing.assert_allclose(upsampled[-1, [0, -1]], [0.25, 1], rtol=1e-6)


def test_a_dead_map_is_zero():
    output = np.ones((2, 3, 4), np.float32)
    for size in (None, (6, 8)):
        cam = gradcam.get_cam(-output, output, size)
        assert not cam.any()
        assert not np.isnan(cam).any()


def test_a_dead_network_gives_pictures_without_a_warning(network, image):
    for parameter in network.output.collect_params().values():
        parameter.set_data(mx.nd.zeros(parameter.shape))
    heat, guided, gray = gradcam.visualize(network, image, ORIGINAL, last_conv(network).name)
    assert not guided.any()
    assert not gray.any()
    dead = overlay(ORIGINAL, np.zeros((4, 6), np.float32))  # greyed and marked
    np.testing.assert_array_equal(heat, dead)


def test_guided_grad_cam_is_the_product():
    cam = np.array([[0, 0.5]], np.float32)
    gradient = np.array([[[3, -4]], [[1, 2]]], np.float32)
    np.testing.assert_array_equal(gradcam.get_guided_grad_cam(cam, gradient), np.array([[[0, -2]], [[0, 1]]]))


def test_a_gradient_becomes_a_picture_about_mid_grey():
    # full strength is the 99.5th percentile of 201 absolute values, 0 to 200: 199
    gradient = np.arange(201, dtype=np.float32).reshape(3, 1, 67)
    gradient[:, :, ::2] *= -1
    expected = np.rint(127.5 + 127.5 * np.clip(gradient / 199, -1, 1)).transpose(1, 2, 0)
    np.testing.assert_array_equal(gradcam.grad_to_image(gradient), expected)


def test_a_gradient_without_values_below_zero_becomes_a_picture_from_black():
    gradient = np.array([[[0, 1, 2, 4]]], np.float32)
    scale = np.percentile(gradient, 99.5)  # 3.97
    expected = np.rint(255 * np.array([0, 1, 2, scale]) / scale).reshape(1, 4, 1)
    np.testing.assert_array_equal(gradcam.grad_to_image(gradient), expected)
    assert not gradcam.grad_to_image(np.zeros((3, 2, 2), np.float32)).any()


def test_gray_is_from_the_minimum_to_the_99th_percentile():
    values = np.arange(101, dtype=np.float32).reshape(1, 101)
    gradient = np.stack([values, -values])  # sums 0, 2, ..., 200; the 99th percentile is 198
    expected = np.minimum(np.arange(101) / 99, 1)
    np.testing.assert_allclose(gradcam.to_grayscale(gradient), expected.reshape(1, 1, 101), rtol=1e-6)
    assert gradcam.to_grayscale(gradient).dtype == np.float32


def test_gray_keeps_the_only_pixel_and_is_black_where_all_are_equal():
    gradient = np.zeros((3, 20, 20), np.float32)
    assert not gradcam.to_grayscale(gradient).any()
    gradient[1, 4, 7] = -2
    assert gradcam.to_grayscale(gradient)[0, 4, 7] == 1
    assert gradcam.to_grayscale(gradient).sum() == 1


# Any net


@pytest.mark.parametrize("classes", [2, 4, 1200])
def test_a_net_of_gluons_own_layers_and_of_any_number_of_classes_is_explained(classes, image):
    """Global average pooling and a dense layer follow the last ReLU: weight / (h w) where that is active."""
    net = small_net(classes=classes, hybridize=True)
    scores = net(image).asnumpy()[0]
    chosen = classes - 1
    output, gradient = gradcam.get_conv_out_grad(net, image, chosen, net[4].name)
    weight = net[8].weight.data().asnumpy()[chosen]
    expected = weight[:, None, None] * (output > 0) / output[0].size
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-9)
    by_default = gradcam.visualize(net, image, ORIGINAL, None)
    named = gradcam.visualize(net, image, ORIGINAL, net[4].name, class_id=int(scores.argmax()))
    for one, other in zip(by_default, named):
        np.testing.assert_array_equal(one, other)


def test_the_zoos_parameter_files_load_into_a_vgg_of_switchable_layers(image, tmp_path):
    """By names of today, and by the tutorial's `load_params`; the same outputs as the zoo's net, to the bit."""

    class Zoo(VGG):
        def _make_features(self, layers, filters, batch_norm):
            conv, activation = gluon.nn.Conv2D, gluon.nn.Activation
            features = gluon.nn.HybridSequential(prefix="")
            for number, channels in zip(layers, filters):
                for _ in range(number):
                    features.add(conv(channels, kernel_size=3, padding=1, bias_initializer="zeros"))
                    features.add(activation("relu"))
                features.add(MaxPool2D(strides=2))
            return features

    zoo = Zoo([1, 1], [6, 8], prefix="vgg0_")
    zoo.initialize(mx.init.Xavier(magnitude=3))
    expected = zoo(image).asnumpy()
    zoo.save_parameters(str(tmp_path / "today.params"))
    zoo.collect_params().save(str(tmp_path / "once.params"), strip_prefix=zoo.prefix)
    for name in ("today", "once"):
        net = VGG([1, 1], [6, 8], prefix="vgg1_")
        with pytest.warns(UserWarning, match="load_params is deprecated"):
            net.load_params(str(tmp_path / f"{name}.params"), ctx=mx.cpu())
        np.testing.assert_array_equal(net(image).asnumpy(), expected)


def test_the_image_may_be_floats_or_mxnets(network, image):
    """As cv2 and mx.image give them: float32 in [0, 255], other integers, NDArray."""
    name = last_conv(network).name
    expected = gradcam.visualize(network, image, ORIGINAL, name)
    for original in (
        np.minimum(ORIGINAL + np.float32(0.25), 255),
        ORIGINAL.astype(np.int64),
        mx.nd.array(ORIGINAL),
    ):
        for one, other in zip(expected, gradcam.visualize(network, image.asnumpy(), original, name)):
            np.testing.assert_array_equal(one, other)


def test_nothing_is_left_after_an_error_in_the_midst(network, image, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("half-way")

    before = state_of(network)
    globals_before = {name: dict(vars(module)) for name, module in (("nn", vc.nn), ("gradcam", gradcam))}
    classes = {cls: dict(vars(cls)) for cls in (Conv2D, Activation)}
    with monkeypatch.context() as patch:
        patch.setattr(Tape, "gradients", fail)
        for call in (
            lambda: gradcam.visualize(network, image, ORIGINAL, None),
            lambda: gradcam.get_conv_out_grad(network, image),
            lambda: gradcam.get_image_grad(network, image),
        ):
            with pytest.raises(RuntimeError, match="half-way"):
                call()
    assert state_of(network) == before
    assert {name: dict(vars(getattr(vc, name))) for name in globals_before} == globals_before
    assert {cls: dict(vars(cls)) for cls in classes} == classes
    assert not autograd.is_recording()


# Signatures: those of MXNet's example/cnn_visualization/gradcam.py, release 1.9.1, and what is added

SIGNATURES = {
    "get_conv_out_grad": "(net, image, class_id=None, conv_layer_name=None)",
    "get_image_grad": "(net, image, class_id=None)",
    "grad_to_image": "(gradient)",
    "get_cam": "(imggrad, conv_out, size=None)",
    "get_guided_grad_cam": "(cam, imggrad)",
    "get_img_heatmap": "(orig_img, activation_map)",
    "to_grayscale": "(cv2im)",
    "visualize": "(net, preprocessed_img, orig_img, conv_layer_name, class_id=None)",
    "set_capture_layer_name": "(name)",
    "set_guided_backprop": "(mode=True)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_arguments_are_the_tutorials(name):
    signature = inspect.signature(getattr(gradcam, name))
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == SIGNATURES[name]


def test_the_module_has_no_other_public_names():
    assert set(gradcam.__all__) == {*SIGNATURES, "Activation", "Conv2D"}


# Errors

ERRORS: dict[str, tuple[dict, str]] = {
    "a layer that is not there": (
        {"conv_layer_name": "nowhere"},
        "layer 'nowhere' is not a Conv2D of this net",
    ),
    "a class that is not there": ({"class_id": 4}, "below the net's number of classes, 4, got 4"),
    "a class that is none": ({"class_id": -1}, "targets must be a class"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_arguments_are_refused(case):
    arguments, message = ERRORS[case]
    image = mx.nd.array(images(1))
    with pytest.raises(ValueError, match=message):
        gradcam.get_conv_out_grad(small_net(), image, **arguments)
    with pytest.raises(ValueError, match=message):
        gradcam.visualize(small_net(), image, SQUARE, **{"conv_layer_name": None, **arguments})


def test_a_layer_that_did_not_run_is_refused():
    class Idle(gluon.nn.HybridSequential):
        def hybrid_forward(self, F, x):
            return self[1](x)

    net = Idle()
    net.add(Conv2D(3, 3, in_channels=3), small_net())
    net[0].initialize()
    with pytest.raises(ValueError, match=f"layer '{net[0].name}' did not run on these images"):
        gradcam.get_conv_out_grad(net, mx.nd.array(images(1)), conv_layer_name=net[0].name)


IMAGES: dict[str, tuple[tuple, str]] = {
    "a batch": (
        (2, 3, 32, 32),
        r"must be one, \(1, C, H, W\), got shape \(2, 3, 32, 32\); for several: .*explain",
    ),
    "no batch axis": ((3, 32, 32), r"got shape \(3, 32, 32\); image.expand_dims\(axis=0\)"),
    "channels last": ((1, 32, 32, 3), "looks like NHWC"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_more_or_less_than_one_image_is_refused(case):
    shape, message = IMAGES[case]
    net = small_net()
    for image in (mx.nd.zeros(shape), np.zeros(shape, np.float32)):
        with pytest.raises(ValueError, match=message):
            gradcam.visualize(net, image, SQUARE, None)
        with pytest.raises(ValueError, match=message):
            gradcam.get_conv_out_grad(net, image)
        with pytest.raises(ValueError, match=message):
            gradcam.get_image_grad(net, image)


ORIGINALS: dict[str, tuple] = {
    "of another size": (
        ORIGINAL,
        r"in its size \(32, 32\), got \(32, 48\); .*cv2.resize\(orig_img, \(32, 32\)\)",
    ),
    "grey": (SQUARE[..., 0], r"must be \(H, W, 3\) RGB, got shape \(32, 32\)"),
    "scaled to one": (SQUARE / np.float32(255), r"in \[0, 255\], got float32, 0 to 1; .*255 \* orig_img"),
    "normalised": (SQUARE / np.float32(64) - 2, r"in \[0, 255\], got float32, -2 to 1.984"),
    "undefined": (np.full((32, 32, 3), np.nan), r"in \[0, 255\], got float64, nan to nan"),
    "words": (np.full((32, 32, 3), "a"), "got <U1, no numbers"),
}


@pytest.mark.parametrize("case", ORIGINALS)
def test_an_image_that_does_not_show_what_the_net_sees_is_refused(case):
    original, message = ORIGINALS[case]
    with pytest.raises(ValueError, match=message):
        gradcam.visualize(small_net(), mx.nd.array(images(1)), original, None)


def test_maps_that_do_not_fit_are_refused():
    gradient, cam = np.ones((3, 8, 6), np.float32), np.ones((6, 8), np.float32)
    with pytest.raises(ValueError, match=r"cam must have the image's size, \(8, 6\), got \(6, 8\)"):
        gradcam.get_guided_grad_cam(cam, gradient)
    with pytest.raises(ValueError, match=r"both \(K, h, w\), got \(3, 8, 6\) and \(6, 8\)"):
        gradcam.get_cam(gradient, cam)
    with pytest.raises(
        ValueError, match=r"activation_map must have the image's size, \(32, 48\), got \(6, 8\)"
    ):
        gradcam.get_img_heatmap(ORIGINAL, cam)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 2; divide"):
        gradcam.get_img_heatmap(ORIGINAL, np.full((32, 48), 2, np.float32))


def test_several_layers_are_refused():
    net = small_net()
    image = mx.nd.array(images(1))
    for call in (
        lambda layer: gradcam.visualize(net, image, SQUARE, layer),
        lambda layer: gradcam.get_conv_out_grad(net, image, conv_layer_name=layer),
    ):
        with pytest.raises(TypeError, match="one layer, got 2; for several: vizcallbacks.explain"):
            call([net[0].name, net[4].name])


def test_a_net_with_undefined_weights_is_refused():
    net = small_net()
    net[8].weight.set_data(mx.nd.full(net[8].weight.shape, np.nan))
    with pytest.raises(
        ValueError, match="gradient must be finite, got NaN or infinity; check the net's weights"
    ):
        gradcam.visualize(net, mx.nd.array(images(1)), SQUARE, None, class_id=0)


def test_the_switches_that_all_nets_would_share_are_refused_with_the_way_out():
    with pytest.raises(RuntimeError, match=r"get_conv_out_grad\(net, image, conv_layer_name='conv3'\)"):
        gradcam.set_capture_layer_name("conv3")
    with pytest.raises(RuntimeError, match=r"get_image_grad\(net, image\) is guided"):
        gradcam.set_guided_backprop(True)
