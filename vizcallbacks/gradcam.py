"""MXNet's tutorial module ``gradcam``, function for function, on the foundation of this package.

"Visualizing Decisions of Convolutional Neural Networks" runs with only its import changed::

    from vizcallbacks import gradcam
    from vizcallbacks.gradcam import Activation, Conv2D

Same names, arguments and shapes, with right numbers: gradients are those of the net (the tutorial's own
are random, or crash, on MXNet 1.9.1); the class activation map starts from zero instead of one and is float in
[0, 1], so that nothing is quantised before the pictures, which are uint8; colours keep the order of the image's
channels, which the tutorial reverses. The functions take one image; for many images, raw maps or other methods
use `vizcallbacks.explain`.
"""

from __future__ import annotations

import numpy as np
from mxnet import autograd

from .attribution import explain
from .blocks import find_layers
from .instrument import instrumented
from .methods import grad_cam, upsample
from .nn import Activation, Conv2D
from .render import colour
from .targets import score_of

__all__ = [
    "Activation",
    "Conv2D",
    "get_cam",
    "get_conv_out_grad",
    "get_guided_grad_cam",
    "get_image_grad",
    "get_img_heatmap",
    "grad_to_image",
    "to_grayscale",
    "visualize",
]


def visualize(net, preprocessed_img, orig_img, conv_layer_name, class_id=None):
    """The tutorial's three pictures of one image.

    Parameters
    ----------
    net : gluon.Block
    preprocessed_img : NDArray or ndarray, (1, C, H, W), float32
        As the net takes it.
    orig_img : ndarray, (H, W, 3), uint8
        For the heat map.
    conv_layer_name : str
        Name or path of a Conv2D.
    class_id : int, optional
        The class explained; None: the predicted one.

    Returns
    -------
    tuple of ndarray
        uint8: Grad-CAM over the image, (H, W, 3); Guided Grad-CAM, (H, W, C); its absolute sum over channels
        ("saliency map"), (H, W).
    """
    result = explain(
        net, preprocessed_img, ("grad_cam", "guided_grad_cam"), layer=conv_layer_name, targets=class_id
    )
    guided = result["guided_grad_cam"][0]
    heat = get_img_heatmap(orig_img, _unit(result.at_image_size("grad_cam")[0]))
    return heat, grad_to_image(guided), grad_to_image(to_grayscale(guided))[..., 0]


def get_conv_out_grad(net, image, class_id=None, conv_layer_name=None):
    """A Conv2D's output and the class score's gradient there, each (K, h, w) float32.

    `conv_layer_name` None: the last Conv2D to run.
    """
    layers = find_layers(net, conv_layer_name)
    choose = score_of(class_id, None, 1)
    with instrumented(net) as instruments:
        run = instruments.forward(image, layers)
        if not run.ran:
            raise ValueError(f"layer {conv_layer_name!r} did not run on this image; name another Conv2D")
        with autograd.record(train_mode=False):
            score, _ = choose(run.outputs, run.outputs.asnumpy(), slice(0, 1))
        run.tape.close(score)
        output = run.ran[-1][1]
        (gradient,) = run.tape.walk([output], last=True)
    return output.asnumpy()[0], gradient[0]


def get_image_grad(net, image, class_id=None):
    """The class score's gradient with respect to the image by guided backpropagation, (C, H, W) float32."""
    return explain(net, image, "guided_backprop", targets=class_id)["guided_backprop"][0]


def get_cam(conv_out_grad, conv_out, size=None):
    """Grad-CAM, scaled to [0, 1].

    Parameters
    ----------
    conv_out_grad, conv_out : ndarray, (K, h, w), float32
        From `get_conv_out_grad`.
    size : (H, W), optional
        Of the image; None: the layer's.

    Returns
    -------
    ndarray, (H, W), float32, in [0, 1]
        All zero where nothing speaks for the class.
    """
    cam = grad_cam(conv_out[None], conv_out_grad[None])
    return _unit((cam if size is None else upsample(cam, size))[0])


def get_guided_grad_cam(cam, imggrad):
    """Guided gradient (C, H, W) times class activation map (H, W)."""
    return imggrad * cam


def get_img_heatmap(orig_img, activation_map):
    """The map, (H, W) in [0, 1], in colours added to the image, (H, W, 3); uint8, its maximum 255."""
    heat = np.float32(colour(activation_map)) + np.float32(orig_img)
    return np.uint8(heat / heat.max() * 255)


def grad_to_image(gradient):
    """A gradient (C, H, W) as a picture, (H, W, C) uint8, from its minimum to its maximum."""
    shifted = gradient - gradient.min()
    return (_unit(shifted) * 255).astype(np.uint8).transpose(1, 2, 0)


def to_grayscale(gradient):
    """Absolute sum over channels, (1, H, W) float32, 0 at its minimum and 1 from its 99th percentile on.

    From its maximum on where that percentile is the minimum; all zero where the sum is flat.
    """
    total = np.abs(gradient).sum(axis=0, keepdims=True)
    low, high = total.min(), np.percentile(total, 99)
    high = high if high > low else total.max()
    return np.clip((total - low) / (high - low), 0, 1) if high > low else np.zeros_like(total)


def _unit(values):
    highest = values.max()
    return values / highest if highest > 0 else values
