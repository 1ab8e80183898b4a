"""How operators move the receptive field: what a place of their output can depend on."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from .graph import Node

RANK = 4
"""Axes of the arrays that are followed, (N, C, H, W); what has others is not known here."""


@dataclass(frozen=True)
class Field:
    """Of one axis: pixels that a cell depends on, and between neighbouring cells."""

    size: float = 1
    stride: float = 1


@dataclass(frozen=True)
class Reach:
    """The fields of both axes of an image, (H, W), and whether the array still has four axes."""

    rows: Field = Field()
    columns: Field = Field()
    whole: bool = True


GLOBAL = Field(math.inf)


def here(node: Node, reach: Reach) -> Reach:
    """An output at a place depends on the inputs at that place only, of all channels."""
    return reach


def everywhere(node: Node, reach: Reach) -> Reach:
    """Every place may depend on every other."""
    return replace(reach, rows=GLOBAL, columns=GLOBAL)


def flattened(node: Node, reach: Reach) -> Reach:
    """The same, and no places are left."""
    return Reach(GLOBAL, GLOBAL, whole=False)


def window(node: Node, reach: Reach) -> Reach | None:
    """A convolution or a pooling.

    size + (kernel - 1) dilation stride, and stride times its own (Araujo et al., 2019,
    doi:10.23915/distill.00021).
    """
    if node.attrs.get("global_pool") in ("True", "1"):
        return replace(reach, rows=GLOBAL, columns=GLOBAL)
    (kernel, stride, dilate) = (_pair(node, name) for name in ("kernel", "stride", "dilate"))
    if not reach.whole or len(kernel) != 2:
        return None
    rows, columns = (
        Field(field.size + (kernel[axis] - 1) * dilate[axis] * field.stride, field.stride * stride[axis])
        for axis, field in enumerate((reach.rows, reach.columns))
    )
    return Reach(rows, columns)


def reduced(node: Node, reach: Reach) -> Reach | None:
    """A mean, sum or maximum: local over channels, global over the axes of the image."""
    axes = _axes(node.attrs.get("axis", "None"))
    if axes is None:
        return Reach(GLOBAL, GLOBAL, whole=False)
    if not reach.whole:
        return None
    gone = {axis % RANK for axis in axes}
    if node.attrs.get("exclude", "False") in ("True", "1"):
        gone = set(range(RANK)) - gone
    return Reach(
        GLOBAL if 2 in gone else reach.rows,
        GLOBAL if 3 in gone else reach.columns,
        whole=node.attrs.get("keepdims", "False") in ("True", "1"),
    )


def normed(argument: str, default: str, local: Collection[str]) -> Callable[[Node, Reach], Reach]:
    """A norm or softmax: local where its argument is one of `local`, else global."""

    def follow(node: Node, reach: Reach) -> Reach:
        if reach.whole and node.attrs.get(argument, default) in local:
            return reach
        return replace(reach, rows=GLOBAL, columns=GLOBAL)

    return follow


def sliced(argument: str, default: str) -> Callable[[Node, Reach], Reach | None]:
    """Something done along the axis of the channels; along others it is not known here."""
    return lambda node, reach: reach if reach.whole and node.attrs.get(argument, default) == "1" else None


def _pair(node: Node, name: str) -> list[int]:
    values = _axes(node.attrs.get(name, "(1, 1)"))
    return values or [1, 1]


def _axes(text: str) -> list[int] | None:
    """The numbers of "(2, 3)", "[2, 3]" or "2"; None where there are none."""
    if text == "None":
        return None
    return [int(part) for part in text.strip("()[]").split(",") if part.strip()] or None
