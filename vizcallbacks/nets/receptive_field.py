"""How much of the image a cell of a layer can depend on, read from the net's graph."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .graph import Entry, Node, ordered

LOCAL = frozenset(
    [
        "Activation",
        "BatchNorm",
        "Cast",
        "Concat",
        "Dropout",
        "LeakyReLU",
        "Pad",
        "SliceChannel",
        "_copy",
        "_contrib_BatchNormWithReLU",
        "_contrib_SyncBatchNorm",
        "_maximum_scalar",
        "_minimum_scalar",
        "abs",
        "add_n",
        "broadcast_add",
        "broadcast_div",
        "broadcast_mul",
        "broadcast_sub",
        "cast",
        "clip",
        "elemwise_add",
        "elemwise_div",
        "elemwise_mul",
        "elemwise_sub",
        "exp",
        "hard_sigmoid",
        "relu",
        "sigmoid",
        "softsign",
        "square",
        "tanh",
        "_div_scalar",
        "_minus_scalar",
        "_mul_scalar",
        "_plus_scalar",
        "_rminus_scalar",
    ]
)
"""Operators whose output at a place depends on their inputs at that place only (of all channels)."""

GLOBAL = frozenset(
    [
        "FullyConnected",
        "Flatten",
        "InstanceNorm",
        "L2Normalization",
        "LayerNorm",
        "GroupNorm",
        "mean",
        "sum",
        "max",
    ]
)
"""Operators after which every place may depend on every other."""


@dataclass(frozen=True)
class Field:
    """Of one axis: pixels that a cell depends on, and between neighbouring cells."""

    size: float = 1
    stride: float = 1


def receptive_fields(
    entries: Iterable[Entry], image: str, image_size: tuple[int, int]
) -> list[tuple[int, int] | None]:
    """The receptive field of layers' outputs.

    size + (kernel - 1) dilation stride behind a convolution or a pooling, and stride times its own (Araujo et
    al., 2019, doi:10.23915/distill.00021); where ways meet, the larger.

    Parameters
    ----------
    entries : iterable of Entry
        Outputs in a graph.
    image : str
        The name of the image's variable in it.
    image_size : (int, int)
        (H, W).

    Returns
    -------
    list of (int, int) or None
        Pixels, (height, width), at most the whole image; None where an operator on the way is not known here.
    """
    entries = list(entries)
    found: dict[Node, tuple[Field, Field] | None] = {}
    unknown: set[Node] = set()
    for node in ordered(entries):
        if any(source in unknown for source, _ in node.inputs):
            unknown.add(node)
            continue
        before = [fields for source, _ in node.inputs if (fields := found[source]) is not None]
        found[node] = None
        if node.is_variable:
            found[node] = (Field(), Field()) if node.name == image else None
        elif before:
            largest = tuple(max((fields[axis] for fields in before), key=_size) for axis in (0, 1))
            after = _behind(node, largest)
            if after is None:
                unknown.add(node)
            found[node] = after
    return [
        None
        if node in unknown or (fields := found[node]) is None
        else (int(min(fields[0].size, image_size[0])), int(min(fields[1].size, image_size[1])))
        for node, _ in entries
    ]


def _size(field: Field) -> float:
    return field.size


def _behind(node: Node, fields) -> tuple[Field, Field] | None:
    """The fields behind an operator; None if it is not known what it does."""
    if node.op in LOCAL:
        return fields
    if node.op in GLOBAL or (node.op == "Pooling" and node.attrs.get("global_pool") in ("True", "1")):
        return Field(math.inf), Field(math.inf)
    if node.op not in ("Convolution", "Pooling"):
        return None
    kernel, stride, dilate = (_pair(node, name, default) for name, default in _WINDOW)
    first, second = (
        Field(field.size + (kernel[axis] - 1) * dilate[axis] * field.stride, field.stride * stride[axis])
        for axis, field in enumerate(fields)
    )
    return first, second


_WINDOW = (("kernel", "(1, 1)"), ("stride", "(1, 1)"), ("dilate", "(1, 1)"))


def _pair(node: Node, name: str, default: str) -> list[int]:
    values = [int(part) for part in node.attrs.get(name, default).strip("()[]").split(",") if part.strip()]
    return values or [1, 1]
