"""MXNet's tutorial module ``gradcam``, function for function, on the foundation of this package.

"Visualizing Decisions of Convolutional Neural Networks" runs with only its import changed::

    from vizcallbacks import gradcam
    from vizcallbacks.gradcam import Activation, Conv2D

Same names and arguments, for any net and any number of classes, with right numbers: gradients are those of the
net (the tutorial's own are random, or crash, on MXNet 1.9.1); the class activation map starts from zero instead
of one and is float in [0, 1], so that nothing is quantised before the pictures, which are uint8; a map that is
flat is zero instead of 0/0; colours keep the order of the image's channels, which the tutorial reverses. Pictures
are drawn as everywhere in this package, so that zero looks alike in all of them.

The functions take one image and leave nothing behind. For many images, raw maps or other methods use
`vizcallbacks.explain`.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from .attribution.explaining import explain
from .attribution.layer_choice import channels_first, default_layer, scored, taps
from .attribution.methods import grad_cam, upsample
from .attribution.targets import target_of
from .mxnet_door import gluon, mx
from .nets.blocks import find_layers
from .nets.inputs import Inputs
from .nets.instrument import instrumented
from .nets.layers import Activation, Conv2D
from .pictures.tutorial import checked_picture, get_img_heatmap, grad_to_image, to_grayscale, unit
from .probes.checks import check_images

__all__ = [
    "Activation",
    "Conv2D",
    "get_cam",
    "get_conv_out_grad",
    "get_guided_grad_cam",
    "get_image_grad",
    "get_img_heatmap",
    "grad_to_image",
    "set_capture_layer_name",
    "set_guided_backprop",
    "to_grayscale",
    "visualize",
]


def visualize(
    net: gluon.Block,
    preprocessed_img: mx.nd.NDArray,
    orig_img: Any,
    conv_layer_name: str | None,
    class_id: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tutorial's three pictures of one image.

    Parameters
    ----------
    net : gluon.Block
        Any; it need not be built of this module's layers.
    preprocessed_img : NDArray or ndarray, (1, C, H, W), float32
        As the net takes it.
    orig_img : ndarray or NDArray, (H, W, 3), RGB in [0, 255]
        What the net sees, for the heat map; see `get_img_heatmap`.
    conv_layer_name : str, Conv2D or None
        Name or path of a Conv2D; None: as `explain` chooses.
    class_id : int, optional
        The class explained; None: the predicted one.

    Returns
    -------
    tuple of ndarray
        uint8: Grad-CAM over the image, (H, W, 3); Guided Grad-CAM, (H, W, C); its absolute sum over channels
        ("saliency map"), (H, W).

    Raises
    ------
    ValueError, TypeError
        More than one image; an `orig_img` of another size; a layer or class that the net does not have; weights
        that make the gradient NaN or infinite.

    Examples
    --------
    With `net` of two classes, and `images`, (3, 3, 16, 16) float32:

    >>> import numpy as np
    >>> from vizcallbacks import gradcam
    >>> image, picture = images[:1], np.full((16, 16, 3), 128)
    >>> heat, guided, grey = gradcam.visualize(net, image, picture, None, class_id=1)
    >>> heat.shape, guided.shape, grey.shape
    ((16, 16, 3), (16, 16, 3), (16, 16))
    """
    image = _one_image(preprocessed_img)
    picture = checked_picture(orig_img)
    if picture.shape[:2] != image.shape[2:]:
        raise ValueError(
            f"orig_img must show what the net sees, in its size {image.shape[2:]}, got {picture.shape[:2]}; "
            f"resize or crop it as the net's input was: cv2.resize(orig_img, {image.shape[:1:-1]})"
        )
    layer = _one_layer(conv_layer_name)
    result = explain(net, image, ("grad_cam", "guided_grad_cam"), layer=layer, targets=class_id)
    guided = result["guided_grad_cam"][0]
    heat = get_img_heatmap(picture, unit(result.at_image_size("grad_cam")[0]))
    return heat, grad_to_image(guided), grad_to_image(to_grayscale(guided))[..., 0]


def get_conv_out_grad(
    net: gluon.Block, image: mx.nd.NDArray, class_id: int | None = None, conv_layer_name: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A Conv2D's output and the class score's gradient there, each (K, h, w) float32.

    Arguments and errors as in `visualize`.

    Examples
    --------
    With `net` of two classes, and `images`, (3, 3, 16, 16) float32:

    >>> from vizcallbacks import gradcam
    >>> output, gradient = gradcam.get_conv_out_grad(net, images[:1], class_id=1)
    >>> output.shape, gradient.shape
    ((8, 14, 14), (8, 14, 14))
    """
    images = _one_image(image)
    target = target_of(class_id, None, 1)
    layers = find_layers(net, _one_layer(conv_layer_name))
    inputs = Inputs(net, images, ())
    inputs.initialise(net)
    batch = inputs.batch(slice(0, 1))
    with instrumented(net) as runner:
        run = runner.forward(batch[0], layers, image=False, guided=False)
        scored(run, target)
        layer = default_layer(run)[0] if layers is None else layers[0]
        tapped = taps(run, [layer], runner)
        gradients = run.tape.walk(tapped, last=True)
        return tuple(channels_first(layer, array)[0] for array in (tapped[0].asnumpy(), gradients[0]))


def get_image_grad(net: gluon.Block, image: mx.nd.NDArray, class_id: int | None = None) -> np.ndarray:
    """The class score's gradient with respect to the image by guided backpropagation, (C, H, W) float32.

    Arguments and errors as in `visualize`.

    Examples
    --------
    With `net` of two classes, and `images`, (3, 3, 16, 16) float32:

    >>> from vizcallbacks import gradcam
    >>> gradcam.get_image_grad(net, images[:1], class_id=1).shape
    (3, 16, 16)
    """
    return explain(net, _one_image(image), "guided_backprop", targets=class_id)["guided_backprop"][0]


def get_cam(imggrad: Any, conv_out: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """Grad-CAM, scaled to [0, 1].

    Parameters
    ----------
    imggrad, conv_out : ndarray, (K, h, w), float32
        The gradient at a layer and the layer's output, from `get_conv_out_grad`. (The first one's name is the
        tutorial's; it is not the gradient of the image.)
    size : (H, W), optional
        Of the image; None: the layer's.

    Returns
    -------
    ndarray, (H, W), float32, in [0, 1]
        All zero where nothing speaks for the class.

    Examples
    --------
    The one channel speaks for the class in proportion to its output.

    >>> import numpy as np
    >>> from vizcallbacks import gradcam
    >>> gradcam.get_cam(np.ones((1, 1, 2), np.float32), np.array([[[1, 2]]], np.float32))
    array([[0.5, 1. ]], dtype=float32)
    """
    if np.ndim(conv_out) != 3 or np.shape(imggrad) != np.shape(conv_out):
        raise ValueError(
            "imggrad and conv_out must be the gradient at a layer and the layer's output, both (K, h, w), got "
            f"{np.shape(imggrad)} and {np.shape(conv_out)}; get_conv_out_grad returns them in the other order"
        )
    cam = grad_cam(conv_out[None], imggrad[None])
    return unit((cam if size is None else upsample(cam, size))[0])


def get_guided_grad_cam(cam: np.ndarray, imggrad: Any) -> np.ndarray:
    """Guided gradient (C, H, W) times class activation map (H, W).

    Examples
    --------
    >>> import numpy as np
    >>> from vizcallbacks import gradcam
    >>> gradcam.get_guided_grad_cam(np.array([[0.5, 1]]), np.array([[[2, 2]], [[4, -4]]])).tolist()
    [[[1.0, 2.0]], [[2.0, -4.0]]]
    """
    if np.shape(cam) != np.shape(imggrad)[1:]:
        raise ValueError(
            f"cam must have the image's size, {np.shape(imggrad)[1:]}, got {np.shape(cam)}; "
            "get_cam(..., size=imggrad.shape[1:])"
        )
    return imggrad * cam


def set_capture_layer_name(name: Any) -> NoReturn:
    """Refuse: the tutorial's module sets here, for every net of the process, which layer keeps its output.

    Raises
    ------
    RuntimeError
        Always, with the call that does it for one net.

    Examples
    --------
    >>> from vizcallbacks import gradcam
    >>> gradcam.set_capture_layer_name("conv0")
    Traceback (most recent call last):
    ...
    RuntimeError: no layer is captured by a switch ...
    """
    raise RuntimeError(
        "no layer is captured by a switch that all nets share and that stays on; drop this line, and name "
        f"the layer where you ask for it: get_conv_out_grad(net, image, conv_layer_name={name!r})"
    )


def set_guided_backprop(mode: bool = True) -> NoReturn:
    """Refuse, as `set_capture_layer_name` does: here the tutorial's module sets how all ReLUs pass gradients.

    Examples
    --------
    >>> from vizcallbacks import gradcam
    >>> gradcam.set_guided_backprop(True)
    Traceback (most recent call last):
    ...
    RuntimeError: ...
    """
    raise RuntimeError(
        "guided backpropagation is no switch that all nets share and that stays on; drop this line, and ask for "
        "the gradient you want: get_image_grad(net, image) is guided, "
        "vizcallbacks.explain(net, image, 'gradient') is plain"
    )


def _one_image(image: mx.nd.NDArray):
    shape = np.shape(image)
    if len(shape) != 4 or shape[0] != 1:
        way = (
            "image.expand_dims(axis=0)"
            if len(shape) == 3
            else "for several: vizcallbacks.explain(net, images)"
        )
        raise ValueError(f"the image must be one, (1, C, H, W), got shape {shape}; {way}")
    return check_images(image)


def _one_layer(layer: Any):
    if isinstance(layer, (list, tuple)):
        raise TypeError(
            f"conv_layer_name must be one layer, got {len(layer)}; for several: vizcallbacks.explain(layer=[...])"
        )
    return layer
