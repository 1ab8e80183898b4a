"""The table of attribution methods: what each needs -> raw maps, each independent of its batch.

N images of C channels and H x W pixels; the layer has K maps of h x w. The score y of a target is taken
before the softmax. Nothing here is scaled or quantised: raw maps are the product, and only they can be compared
between epochs. `METHODS` is the table that everything else reads; methods live here, in `cams` and in `multipass`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import did_you_mean
from .cams import (
    eigen_cam,
    eigen_grad_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    upsample,
    xgrad_cam,
)
from .factors import feature_factors
from .multipass import occlusion, rise, smooth_grad, smooth_grad_squared, var_grad
from .paths import expected_gradients, integrated_gradients
from .scored_cams import ablation_cam, score_cam
from .walked import deconvnet, deep_lift, full_grad, lrp


@dataclass(frozen=True)
class Method:
    """One way to attribute a score to the image.

    Attributes
    ----------
    function : callable
        Takes what `needs` names, in that order; returns (N, ...) float32, or that and a dict of what else it
        found, name -> (N,) float32.
    needs : tuple of str
        Of "activation" and "gradient", (N, K, h, w): the layer's output and dy/dA there; "input_gradient",
        (N, C, H, W): dy/dx; "guided_gradient", (N, C, H, W): the same by guided backpropagation; "images", (N,
        C, H, W); "passes", a `vizcallbacks.nets.passes.Passes`, to run the net on other images; "above", a
        `vizcallbacks.nets.above.Above`, to run the part above the layer on other maps; "walks", a
        `vizcallbacks.nets.walks.Walks`, to walk back through the net by other rules than the gradient's;
        "baselines", (M, C, H, W): all images that are explained together.
    shape : str
        "layer": (N, h, w), at the layer's resolution; "concepts": (N, concepts, h, w), there too; "image": (N, H,
        W); "channels": (N, C, H, W).
    signed : bool
        Whether values below zero occur.
    depends_on_weights : bool
        Whether the maps change when the network's weights are randomised; where not, they show edges as much
        as reasons (Adebayo et al., 2018, arXiv:1810.03292).
    title : str
        For pictures.
    jointly : bool
        Whether the function is called once, with the arrays of all images that are explained together, and not
        for one batch after another; it cannot have "passes" or "above" then.
    """

    function: Callable[..., np.ndarray]
    needs: tuple[str, ...]
    shape: str
    signed: bool
    depends_on_weights: bool
    title: str
    jointly: bool = False

    @property
    def is_fast(self) -> bool:
        """Whether it takes a pass and walks that others share, and at most a few of its own."""
        return not {"passes", "above"} & set(self.needs)

    @property
    def sees_all(self) -> bool:
        """Whether an image's maps depend on the other images that are explained with it."""
        return self.jointly or "baselines" in self.needs


def gradient(input_gradient: np.ndarray):
    """The score's gradient with respect to the image, signed, dy/dx (Simonyan et al., 2013, arXiv:1312.6034).

    Parameters
    ----------
    input_gradient : ndarray, (N, C, H, W), float32

    Returns
    -------
    ndarray, (N, C, H, W), float32
    """
    return input_gradient


def saliency(input_gradient: np.ndarray):
    """How much each pixel can change the score: max over channels of |dy/dx|.

    Simonyan et al., 2013, section 3.1, arXiv:1312.6034. (MXNet's tutorial gives this name to the absolute sum
    over channels of Guided Grad-CAM: `vizcallbacks.gradcam`.)

    Parameters
    ----------
    input_gradient : ndarray, (N, C, H, W), float32

    Returns
    -------
    ndarray, (N, H, W), float32, >= 0
    """
    return np.abs(input_gradient).max(axis=1)


def guided_backprop(guided_gradient: np.ndarray):
    """Gradient that passes a ReLU only where it is positive and the ReLU was active, signed.

    R_in = 1[x > 0] 1[R_out > 0] R_out (Springenberg et al., 2014, arXiv:1412.6806). At other ReLU-like
    activations (leaky, ReLU6) the positive part of the gradient meets the activation's own derivative.

    `guided_gradient`, (N, C, H, W), float32, is the map itself.
    """
    return guided_gradient


def guided_grad_cam(activation: np.ndarray, gradient: np.ndarray, guided_gradient: np.ndarray):
    """Guided backpropagation where Grad-CAM looks: guided gradient times Grad-CAM, upsampled bilinearly.

    Selvaraju et al., 2017, section 3.2, arXiv:1610.02391. The map is not quantised before the product.

    Parameters
    ----------
    activation, gradient : ndarray, (N, K, h, w), float32
    guided_gradient : ndarray, (N, C, H, W), float32

    Returns
    -------
    ndarray, (N, C, H, W), float32
    """
    cam = upsample(grad_cam(activation, gradient), guided_gradient.shape[2:])
    return guided_gradient * cam[:, None]


def gradient_x_input(images: np.ndarray, input_gradient: np.ndarray):
    """What each pixel adds to the score, to first order, counted from an image of zeros: x o dy/dx, signed.

    Shrikumar et al., 2016, arXiv:1605.01713. Zero is the net's own, after its normalisation.

    Parameters
    ----------
    images, input_gradient : ndarray, (N, C, H, W), float32

    Returns
    -------
    ndarray, (N, C, H, W), float32
    """
    return images * input_gradient


_LAYER, _INPUT, _GUIDED = ("activation", "gradient"), ("input_gradient",), ("guided_gradient",)
_PASSES, _WALKS = ("passes",), ("walks",)

DEFAULT_METHODS = ("grad_cam", "guided_grad_cam", "saliency")

METHODS: dict[str, Method] = {
    "grad_cam": Method(grad_cam, _LAYER, "layer", False, True, "Grad-CAM"),
    "grad_cam_plus_plus": Method(grad_cam_plus_plus, _LAYER, "layer", False, True, "Grad-CAM++"),
    "xgrad_cam": Method(xgrad_cam, _LAYER, "layer", False, True, "XGrad-CAM"),
    "layer_cam": Method(layer_cam, _LAYER, "layer", False, True, "LayerCAM"),
    "hires_cam": Method(hires_cam, _LAYER, "layer", True, True, "HiResCAM"),
    "eigen_cam": Method(eigen_cam, ("activation",), "layer", True, True, "EigenCAM"),
    "eigen_grad_cam": Method(eigen_grad_cam, _LAYER, "layer", True, True, "Eigen-Grad-CAM"),
    "score_cam": Method(score_cam, ("activation", "passes"), "layer", False, True, "Score-CAM"),
    "feature_factors": Method(
        feature_factors, ("activation", "images"), "concepts", False, True, "Feature factors", jointly=True
    ),
    "ablation_cam": Method(ablation_cam, ("activation", "above"), "layer", False, True, "Ablation-CAM"),
    "guided_backprop": Method(guided_backprop, _GUIDED, "channels", True, False, "Guided backprop"),
    "guided_grad_cam": Method(guided_grad_cam, _LAYER + _GUIDED, "channels", True, False, "Guided Grad-CAM"),
    "deconvnet": Method(deconvnet, _WALKS, "channels", True, False, "Deconvnet"),
    "gradient": Method(gradient, _INPUT, "channels", True, True, "Gradient"),
    "saliency": Method(saliency, _INPUT, "image", False, True, "Saliency"),
    "gradient_x_input": Method(
        gradient_x_input, ("images", *_INPUT), "channels", True, True, "Gradient × input"
    ),
    "full_grad": Method(full_grad, _WALKS, "image", False, True, "FullGrad"),
    "deep_lift": Method(deep_lift, _WALKS, "channels", True, True, "DeepLIFT"),
    "lrp": Method(lrp, _WALKS, "channels", True, True, "LRP"),
    "smooth_grad": Method(smooth_grad, _PASSES, "channels", True, True, "SmoothGrad"),
    "smooth_grad_squared": Method(
        smooth_grad_squared, _PASSES, "channels", False, True, "SmoothGrad squared"
    ),
    "var_grad": Method(var_grad, _PASSES, "channels", False, True, "VarGrad"),
    "integrated_gradients": Method(
        integrated_gradients, _PASSES, "channels", True, True, "Integrated Gradients"
    ),
    "expected_gradients": Method(
        expected_gradients, ("passes", "baselines"), "channels", True, True, "Expected Gradients"
    ),
    "occlusion": Method(occlusion, _PASSES, "image", True, True, "Occlusion"),
    "rise": Method(rise, _PASSES, "image", True, True, "RISE"),
}
"""Name -> `Method`. A new method is a function and a line here; the tests greet it."""


GROUPS: dict[str, Callable[[Method], bool]] = {
    "all": lambda method: True,
    "all-fast": lambda method: method.is_fast,
}
"""Name -> which methods it stands for: "all-fast" for those that share their passes."""


def chosen_methods(names: Any) -> tuple[str, ...]:
    """The names of methods to be computed, one or a sequence, as a tuple; with `GROUPS` for what they stand for.

    Each method comes once, where it is named first.

    Raises
    ------
    ValueError
        If a name is neither in `METHODS` nor in `GROUPS`, or there is none.
    """
    names = _as_tuple(names)
    groups = {one: [name for name in METHODS if GROUPS[one](METHODS[name])] for one in GROUPS if one in names}
    if not groups:
        return check_methods(names, GROUPS)
    named = [own for one in names for own in (groups[one] if one in list(groups) else [one])]
    return tuple(dict.fromkeys(check_methods(named, GROUPS)))


def check_methods(names: Any, groups: Iterable[str] = ()) -> tuple[str, ...]:
    """Return `names`, one or a sequence, as a tuple.

    Raises
    ------
    ValueError
        If a name is not in `METHODS`, or there is none. `groups` are named as well.
    """
    names = _as_tuple(names)
    unknown = [name for name in names if not isinstance(name, str) or name not in METHODS]
    if unknown or not names:
        hint = did_you_mean(unknown[0], [*METHODS, *groups]) if unknown else ""
        if unknown and unknown[0] in tuple(GROUPS):
            hint = "; that stands for methods to be computed, and maps that are there have each a name"
        raise ValueError(
            f"methods must be names from: {', '.join([*METHODS, *groups])}; "
            f"got {', '.join(map(repr, unknown)) or 'none'}{hint}"
        )
    return names


def _as_tuple(names: Any) -> tuple:
    return tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else (names,)
