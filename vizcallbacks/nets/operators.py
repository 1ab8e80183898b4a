"""What is known of MXNet's operators, in one table.

For each: which activation it is, what takes its place in a graph that is run for gradients, how it moves the
receptive field, whether a gradient passes it, which of its inputs it writes, and when it draws random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from . import replacements
from .coverage import Coverage
from .graph import Entry, Node, ordered
from .reach import Reach, everywhere, flattened, here, normed, reduced, sliced, window

Attrs = Mapping[str, str]

ACTIVATION_KINDS = ("relu", "gate", "smooth")
"""Kinds of activation.

"relu": piecewise linear with a kink at zero (ReLU, ReLU6, leaky, PReLU, max(x, 0)); guided backpropagation
lets only positive gradient enter. "gate": from 0 to 1, multiplied with something (sigmoid, hard sigmoid, also
as a part of swish and hard swish). "smooth": the others (ELU, SELU, GELU, tanh, soft ReLU). Gates and smooth
ones keep their own derivative: they let negative gradient through, as they let negative values through.
"""


class DrawsError(ValueError):
    """An operator of the net draws random numbers in predict mode."""


@dataclass(frozen=True)
class Operator:
    """What is known of an operator.

    Attributes
    ----------
    kind : str, or callable of the operator's arguments
        Which of `ACTIVATION_KINDS` it is; None if it is no activation.
    rewrite : callable, optional
        Its node (which may be changed) -> what takes the place of its first output, so that it gives the values of
        predict mode in train mode, with a right gradient.
    reach : callable, optional
        (its node, `Reach` of its inputs) -> of its output, or None if that is not known.
    flat : bool
        Whether no gradient passes it.
    writes : callable of the operator's arguments, optional
        Which of its inputs it changes in the forward pass, by number.
    draws : callable of (the operator's arguments, whether in train mode), optional
        Whether it draws random numbers.
    spent : bool
        Whether its output is an array of its own, which its backward pass does without.
    """

    kind: str | Callable[[Attrs], str | None] | None = None
    rewrite: Callable[[Node], Entry] | None = None
    reach: Callable[[Node, Reach], Reach | None] | None = None
    flat: bool = False
    writes: Callable[[Attrs], tuple[int, ...]] | None = None
    draws: Callable[[Attrs, bool], bool] | None = None
    spent: bool = False


UNKNOWN = Operator()


def known(op: str) -> Operator:
    """What is known of an operator, by its canonical name."""
    found = OPERATORS.get(op)
    if found is None:
        return DRAWN if op.startswith(RANDOM) and not op.startswith("_random_pdf") else UNKNOWN
    return found


def activation_kind(node: Node) -> str | None:
    """Which of `ACTIVATION_KINDS` a node is; None if it is no activation."""
    if node.kind is not None:
        return node.kind or None
    kind = known(node.op).kind
    if callable(kind):
        kind = kind(node.attrs)
    if node.op == "clip" and kind and node.inputs[0][0].op in SHIFTS:
        # clip(x + 3, 0, 6): a hard sigmoid, in MobileNetV3 its squeeze-excitation and hard swish
        return "gate"
    return kind


def differentiable(heads: Iterable[Entry]) -> set[Node]:
    """The nodes, variables included, from which a gradient of the heads can come."""
    heads = list(heads)
    found = {node for node, _ in heads}
    for node in reversed(ordered(heads)):
        if node in found and not known(node.op).flat:
            # the first input of `where` is its condition
            found.update(source for source, _ in node.inputs[node.op == "where" :])
    return found


def coverage_of(heads: Iterable[Entry]) -> Coverage:
    """What a guided walk covers of a graph: all."""
    kinds = [activation_kind(node) for node in ordered(heads)]
    relus, gates, smooth = (kinds.count(kind) for kind in ACTIVATION_KINDS)
    return Coverage(relus, relus, (), gates, smooth)


def drawing(op: str, place: str) -> str:
    """The message for an operator that draws random numbers."""
    return (
        f"{op} in {place} draws random numbers in predict mode: the maps would change from call to call, and the "
        "training's own random numbers with them; let it draw in train mode only (autograd.is_training())"
    )


def is_true(attrs: Attrs, name: str, default: str = "False") -> bool:
    """An argument that is written "True", "False", "1" or "0"."""
    return attrs.get(name, default) in ("True", "1")


# What it does by its arguments


def _activation(attrs: Attrs) -> str:
    return {"relu": "relu", "sigmoid": "gate"}.get(attrs["act_type"], "smooth")


def _leaky(attrs: Attrs) -> str:
    return "relu" if attrs.get("act_type", "leaky") in ("leaky", "prelu", "rrelu") else "smooth"


def _from_zero(name: str) -> Callable[[Attrs], str | None]:
    return lambda attrs: "relu" if float(attrs[name]) == 0 else None


def _written(attrs: Attrs) -> tuple[int, ...]:
    """A BatchNorm writes ones into a fixed gamma, whatever the parameter holds."""
    return (1,) if is_true(attrs, "fix_gamma", "True") else ()


def _dropout_draws(attrs: Attrs, training: bool) -> bool:
    return float(attrs.get("p", 0.5)) > 0 and (training or attrs.get("mode", "training") == "always")


def _slope_draws(attrs: Attrs, training: bool) -> bool:
    return training and attrs.get("act_type") == "rrelu"


def _rnn_draws(attrs: Attrs, training: bool) -> bool:
    return training and float(attrs.get("p", 0)) > 0


_LEAKY = Operator(_leaky, replacements.leaky_relu, here, draws=_slope_draws)
_RNN = Operator(rewrite=replacements.rnn, draws=_rnn_draws)
_RELU = Operator("relu", replacements.relu, here)
_COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal")
_FLAT = ("zeros_like", "ones_like", "sign", "floor", "ceil", "round", "rint", "fix", "trunc")
_ELEMENTWISE = (
    "Cast",
    "LRN",
    "Pad",
    "_copy",
    "_minimum_scalar",
    "abs",
    "add_n",
    "cast",
    "cbrt",
    "cos",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "negative",
    "reciprocal",
    "rsqrt",
    "sin",
    "smooth_l1",
    "sqrt",
    "square",
    "where",
    *(f"{how}_{name}" for how in ("broadcast", "elemwise") for name in ("add", "sub", "mul", "div")),
    *(f"_{name}_scalar" for name in ("div", "minus", "mul", "plus", "power", "rdiv", "rminus", "rpower")),
    *(f"{how}_{name}" for how in ("broadcast", "") for name in ("maximum", "minimum", "power")),
    *(f"_npi_{name}" for name in ("add", "subtract", "multiply", "true_divide")),
    *(f"_npi_{name}_scalar" for name in ("add", "subtract", "multiply", "true_divide")),
)

OPERATORS: dict[str, Operator] = {
    # activations
    "relu": _RELU,
    "_npx_relu": _RELU,
    "Activation": Operator(_activation, reach=here),
    "LeakyReLU": _LEAKY,
    "clip": Operator(lambda attrs: "relu" if float(attrs["a_min"]) == 0 else None, reach=here),
    "_maximum_scalar": Operator(_from_zero("scalar"), reach=here),
    "_npi_maximum_scalar": Operator(_from_zero("scalar"), reach=here),
    **dict.fromkeys(("sigmoid", "_npx_sigmoid", "hard_sigmoid"), Operator("gate", reach=here)),
    **dict.fromkeys(("tanh", "_npi_tanh", "softsign", "erf"), Operator("smooth", reach=here)),
    # norms
    "BatchNorm": Operator(None, replacements.batch_norm, here, writes=_written, spent=True),
    "_contrib_SyncBatchNorm": Operator(None, replacements.sync_batch_norm, here, writes=_written),
    "_contrib_BatchNormWithReLU": Operator("relu", replacements.batch_norm_relu, here, writes=_written),
    "L2Normalization": Operator(reach=normed("mode", "instance", {"channel"})),
    "LayerNorm": Operator(reach=normed("axis", "-1", {"1"})),
    **dict.fromkeys(("InstanceNorm", "GroupNorm"), Operator(reach=everywhere)),
    **dict.fromkeys(("softmax", "log_softmax", "softmin"), Operator(reach=normed("axis", "-1", {"1"}))),
    "SoftmaxActivation": Operator(reach=normed("mode", "instance", {"channel"})),
    # what they run on
    "Convolution": Operator(reach=window, spent=True),
    "Pooling": Operator(reach=window),
    "FullyConnected": Operator(reach=flattened, spent=True),
    "Flatten": Operator(reach=flattened),
    **dict.fromkeys(("mean", "sum", "max", "min", "prod", "norm", "nansum"), Operator(reach=reduced)),
    **dict.fromkeys(("_npi_mean", "_np_sum", "_np_max", "_np_min"), Operator(reach=reduced)),
    "Concat": Operator(reach=sliced("dim", "1")),
    **dict.fromkeys(("SliceChannel", "slice_axis"), Operator(reach=sliced("axis", "1"))),
    "Dropout": Operator(rewrite=replacements.dropped, reach=here, draws=_dropout_draws),
    **dict.fromkeys(("RNN", "_npx_rnn"), _RNN),
    "_contrib_box_decode": Operator(rewrite=replacements.box_decode, flat=True),
    "BlockGrad": Operator(reach=here, flat=True),
    **dict.fromkeys(("argmax", "argmin", "argsort", "one_hot"), Operator(flat=True)),
    **dict.fromkeys((*_FLAT, *(f"_{name}_scalar" for name in _COMPARISONS)), Operator(reach=here, flat=True)),
    **{
        f"{how}{name}": Operator(reach=here, flat=True)
        for name in _COMPARISONS
        for how in ("_", "broadcast_")
    },
    **dict.fromkeys(_ELEMENTWISE, Operator(reach=here)),
    "elemwise_add": Operator(reach=here, spent=True),
}
"""Operator's canonical name -> what is known of it."""

RANDOM = (
    "_random_",
    "_sample_",
    "_image_random_",
    "_npx__image_random_",
    "_shuffle",
    *(
        f"_npi_{name}"
        for name in (
            "bernoulli",
            "choice",
            "exponential",
            "gamma",
            "gumbel",
            "logistic",
            "multinomial",
            "normal",
        )
    ),
    *(f"_npi_{name}" for name in ("pareto", "powerd", "random", "rayleigh", "shuffle", "uniform", "weibull")),
)
"""Beginnings of the names of operators that draw random numbers in any mode."""

DRAWN = Operator(draws=lambda attrs, training: True)
SHIFTS = ("_plus_scalar", "_npi_add_scalar")
