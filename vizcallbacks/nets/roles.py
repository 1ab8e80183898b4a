"""What operators do to what depends on the image: the table behind the rules of DeepLIFT and LRP.

Unlike a gradient, a rule of propagation has to be known for every operator: what is not in the table is refused.
"""

from __future__ import annotations

from collections.abc import Collection

from .graph import Node
from .operators import activation_kind

Moving = Collection[Node]
"""The nodes that depend on the image."""


def role_of(node: Node, moving: Moving) -> str:
    """What an operator does to its inputs that depend on the image.

    Returns
    -------
    str
        "weighted": convolution or dense layer. "norm": shift and scale of channels. "moved": values change place
        or are copied. "linear": any other linear function. "added": sum or difference. "scaled": product or
        quotient with what does not depend on the image, number or array. "shifted": sum with such. "curved": a
        function of single values. "product": of two values that depend on the image. "winner": max pooling.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    sources = [entry for entry in node.inputs if entry[0] in moving]
    op, one = node.op, len(sources) == 1
    if op in WEIGHTED and one and node.inputs[0] == sources[0]:
        return "weighted"
    if op == "BatchNorm" and one and not node.training:
        return "norm"
    if op == "Pooling":
        kind = {"max": "winner", "avg": "linear", "sum": "linear"}.get(node.attrs.get("pool_type", "max"))
        if kind:
            return kind
    if op in MOVED and (one or op in JOINING):
        return "moved"
    if op in LINEAR and one:
        return "linear"
    if op in SUMS:
        return "shifted" if one else "added"
    if op in PRODUCTS or (op in QUOTIENTS and one and node.inputs[0] == sources[0]):
        return "scaled" if one else "product"
    if op in SCALES:
        return "scaled"
    if one and (activation_kind(node) or op in CURVED):
        return "curved"
    raise ValueError(op)


WEIGHTED = ("Convolution", "Deconvolution", "FullyConnected")
JOINING = ("Concat", "concat", "stack", "_npi_concatenate", "_npi_stack")
MOVED = (
    *JOINING,
    *(
        "Reshape",
        "reshape",
        "_np_reshape",
        "_npx_reshape",
        "_npi_reshape",
        "Flatten",
        "transpose",
        "_np_transpose",
    ),
    *(
        "SwapAxis",
        "expand_dims",
        "_npi_expand_dims",
        "squeeze",
        "_np_squeeze",
        "slice",
        "slice_axis",
        "slice_like",
    ),
    *(
        "_npi_slice",
        "SliceChannel",
        "_split_v2",
        "Crop",
        "Pad",
        "_copy",
        "_np_copy",
        "identity",
        "Cast",
        "cast",
    ),
    *("amp_cast", "reverse", "depth_to_space", "space_to_depth", "reshape_like", "_npx_reshape_like"),
)
LINEAR = (
    *("mean", "sum", "_npi_mean", "_np_sum", "UpSampling", "_contrib_BilinearResize2D", "broadcast_axis"),
    *(
        "_contrib_AdaptiveAvgPooling2D",
        "broadcast_to",
        "broadcast_like",
        "tile",
        "repeat",
        "_npi_broadcast_to",
    ),
)
SUMS = (
    *(
        "elemwise_add",
        "elemwise_sub",
        "broadcast_add",
        "broadcast_sub",
        "add_n",
        "ElementWiseSum",
        "_npi_add",
    ),
    *("_npi_subtract", "_plus_scalar", "_minus_scalar", "_rminus_scalar", "_npi_add_scalar"),
    *("_npi_subtract_scalar", "_npi_rsubtract_scalar"),
)
PRODUCTS = ("elemwise_mul", "broadcast_mul", "_npi_multiply")
QUOTIENTS = ("elemwise_div", "broadcast_div", "_npi_true_divide")
SCALES = (
    "_mul_scalar",
    "_div_scalar",
    "negative",
    "_npi_multiply_scalar",
    "_npi_true_divide_scalar",
    "_npi_negative",
)
CURVED = (
    *(
        "abs",
        "cbrt",
        "erf",
        "exp",
        "expm1",
        "log",
        "log1p",
        "reciprocal",
        "rsqrt",
        "smooth_l1",
        "sqrt",
        "square",
    ),
    *(
        "_power_scalar",
        "_maximum_scalar",
        "_minimum_scalar",
        "_npi_maximum_scalar",
        "_npi_minimum_scalar",
        "clip",
    ),
    *(
        "_rdiv_scalar",
        "_npi_clip",
        "_npi_power_scalar",
        "sin",
        "cos",
        "_npi_exp",
        "_npi_sqrt",
        "_npi_square",
        "_npi_log",
    ),
)


def refusal(method: str, node: Node, why: str = "") -> ValueError:
    """The error for an operator without a rule."""
    place = node.name.rsplit("_fwd", 1)[0]
    return ValueError(
        f"{method} has no rule for {node.op} ({place!r}){why}; explain this net by another method, such as "
        "integrated_gradients or full_grad"
    )
