"""Whether a net is made as it was: its blocks, their configuration, its parameters' kinds, its compiled graph."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mxnet_door import gluon, mx
from .blocks import parameters_of
from .layers import ATTACHED
from .tracing import runs_its_graph

OTHERS = frozenset(
    (
        *("_children", "_params", "_reg_params", "_scope", "_forward_hooks", "_forward_pre_hooks"),
        *("_cached_graph", "_cached_op", "_cached_op_args", "_in_format", "_out_format", ATTACHED),
    )
)
"""Attributes of a block that are no configuration, or are compared separately."""

PLAIN = {type(None), bool, int, float, str, bytes, type}
"""What counts by its value; anything else, but for lists, tuples and dicts of these, by its identity."""

DEPTH = 4
"""How deep lists, tuples and dicts are looked at."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What a net is made of, without any value of a parameter; it keeps no block and no parameter alive.

    Attributes
    ----------
    facts : tuple
        Blocks and parameters go by their ids, which are theirs as long as they live.
    graph : tuple
        The compiled graph that the net runs, as Gluon keeps it; empty where it has none.
    parts : tuple of weakref.ref
        Those blocks and parameters.
    """

    facts: tuple
    graph: tuple
    parts: tuple[weakref.ref, ...]

    @classmethod
    def of(cls, net: gluon.Block, blocks: Sequence[tuple[gluon.Block, str]], inputs: int) -> Fingerprint:
        """That of a net with its blocks, called with so many inputs."""
        parameters = parameters_of(blocks)
        facts = (
            *(inputs, mx.util.is_np_array(), runs_its_graph(net)),
            [(id(block), path, type(block), _made_of(block)) for block, path in blocks],
            [(id(one), one.name, one.shape, np.dtype(one.dtype), _places(one)) for one in parameters],
        )
        parts = tuple(weakref.ref(one) for one in (*(block for block, _ in blocks), *parameters))
        return cls(facts, getattr(net, "_cached_graph", ()) if runs_its_graph(net) else (), parts)

    def fits(self, other: Fingerprint) -> bool:
        """Whether `other`, made later, is of the same net, with the same compiled graph."""
        return (
            bool(self.graph)
            and self.graph is other.graph
            and all(one() is not None for one in self.parts)
            and self.facts == other.facts
        )


def _made_of(block: gluon.Block) -> tuple:
    own = vars(block)
    return (
        [(key, id(child)) for key, child in block._children.items()],
        [(key, id(one)) for key, one in block._reg_params.items()],
        [(key, _frozen(value, DEPTH)) for key, value in own.items() if key not in OTHERS],
    )


def _frozen(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if depth and kind in (list, tuple):
        return kind, [_frozen(one, depth - 1) for one in value]
    if depth and kind is dict:
        return kind, [(_frozen(key, 0), _frozen(one, depth - 1)) for key, one in value.items()]
    return kind, id(value)


def _places(parameter: gluon.Parameter) -> list:
    """Where its values lie."""
    return [(one.device_typeid, one.device_id) for one in parameter.list_ctx()]
