"""The one form of a net's graph: nodes that can be rewritten and cut, from and to MXNet's symbols."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..mxnet_door import mx

INPUT = "vizcallbacks_input_"
"""Beginning of the names of the variables that stand for a net's inputs; the image has number 0."""

PYTHON = "_CustomFunction"
"""Operator of a node that is an `autograd.Function` of the user's, which no compiled graph takes."""


@dataclass(eq=False)
class Node:
    """An operator of a graph, or a variable (``op`` "null").

    Attributes
    ----------
    op, name : str
    attrs : dict of str to str
        The operator's arguments, as MXNet writes them.
    inputs : list of (Node, int)
        Which output of which node.
    training : bool
        Whether the net runs it in train mode, though the pass as a whole is in predict mode.
    control : bool
        Whether it is control flow, with graphs inside that are not read.
    kind : str or None
        Which kind of activation it counts as, "" for none; None: what the table of operators says.
    """

    op: str
    name: str
    attrs: dict[str, str] = field(default_factory=dict)
    inputs: list[Entry] = field(default_factory=list)
    training: bool = False
    control: bool = False
    kind: str | None = None

    @property
    def is_variable(self) -> bool:
        return self.op == "null"

    @property
    def is_constant(self) -> bool:
        """Whether it is an operator that takes nothing, such as zeros."""
        return not self.inputs and not self.is_variable


Entry = tuple[Node, int]
"""One output of a node."""


@dataclass(frozen=True)
class NetGraph:
    """A net's graph, however it was found, and where its layers are in it.

    Attributes
    ----------
    heads : list of Entry
        What the net returns, nested lists and tuples laid flat.
    runs : list of (layer, Entry)
        Each run of a Conv2D that depends on the net's inputs, in the order in which they ran, with its output.
    silent : list of layer
        Conv2D that ran without depending on any input.
    regroup : callable
        Flat list of what the heads give -> nested as the net returns it.
    arrays : mapping of str to NDArray
        Values of the variables that are no inputs: parameters and constants.
    calls : mapping of str to (autograd.Function, list of NDArray)
        Name of a node -> the function in Python, with a backward of its own, that ran there, and what it returned.
    steps : list of Entry
        What each block returned, laid flat, in the order in which they ended; of a traced net.
    """

    heads: list[Entry]
    runs: list[tuple[Any, Entry]]
    silent: list[Any]
    regroup: Callable[[list], Any]
    arrays: Mapping[str, Any]
    calls: Mapping[str, tuple[Any, list]] = field(default_factory=dict)
    steps: list[Entry] = field(default_factory=list)

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers each of the arrays holds."""
        return {name: int(np.prod(array.shape)) for name, array in self.arrays.items()}


def read(symbol: Any) -> list[Entry]:
    """The heads of a graph, and with them all of it, from a symbol.

    As by its `tojson`, which never frees the copy without casts (`amp_cast`) that it writes: 13 kB a call on a net
    of six layers.
    """
    plain = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXSymbolRemoveAmpCast(symbol.handle, ctypes.byref(plain)))
    graph = json.loads(type(symbol)(plain).tojson(remove_amp_cast=False))
    nodes: list[Node] = []
    for made in graph["nodes"]:
        inputs = [(nodes[index], output) for index, output, *_ in made["inputs"]]
        attrs, control = dict(made.get("attrs", {})), bool(made.get("subgraphs"))
        nodes.append(Node(made["op"], made["name"], attrs, inputs, control=control))
    return [(nodes[index], output) for index, output, *_ in graph["heads"]]


def ordered(heads: Iterable[Entry], stop: Collection[Entry] = ()) -> list[Node]:
    """Every node that the heads depend on, and their own, inputs first; not those behind entries of `stop`."""
    found: list[Node] = []
    seen: set[Node] = set()
    stack = [(head[0], False) for head in reversed(list(heads)) if head not in stop]
    while stack:
        node, finished = stack.pop()
        if finished:
            found.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            for entry in reversed(node.inputs):
                if entry[0] not in seen and (not stop or entry not in stop):
                    stack.append((entry[0], False))
    return found


def cloned(
    heads: Sequence[Entry], instead: Mapping[Entry, Entry] | None = None, training: bool = False
) -> tuple[list[Entry], dict[Node, Node]]:
    """A copy of a graph, and which node became which.

    `instead` puts others in the place of entries, and of what only they depend on; `training` marks all nodes.
    """
    instead = {} if instead is None else instead
    made: dict[Node, Node] = {}

    def copy(entry: Entry) -> Entry:
        return instead[entry] if entry in instead else (made[entry[0]], entry[1])

    for node in ordered(heads, instead):
        inputs = [copy(entry) for entry in node.inputs]
        mode = training or node.training
        made[node] = Node(node.op, node.name, dict(node.attrs), inputs, mode, node.control, node.kind)
    return [copy(entry) for entry in heads], made


def rewired(heads: Sequence[Entry], places: Mapping[Entry, Entry]) -> list[Entry]:
    """The heads, with other entries in the place of some throughout the graph, which is changed."""
    for node in ordered(heads):
        node.inputs = [places.get(entry, entry) for entry in node.inputs]
    return [places.get(entry, entry) for entry in heads]


def dependent(heads: Iterable[Entry], name: str) -> set[Node]:
    """The nodes of a graph that depend on the variable of that name, itself included."""
    found: set[Node] = set()
    for node in ordered(heads):
        if node.name == name if node.is_variable else any(source in found for source, _ in node.inputs):
            found.add(node)
    return found


def symbol_of(heads: Sequence[Entry]) -> mx.sym.Symbol:
    """MXNet's symbol of a graph. Its nodes are numbered, as layers that run twice give a name twice."""
    nodes = ordered(heads)
    places = {node: place for place, node in enumerate(nodes)}
    graph = {
        "nodes": [
            {
                "op": node.op,
                "name": node.name if node.is_variable else f"{place}:{node.name}",
                "attrs": node.attrs,
                "inputs": [[places[source], output, 0] for source, output in node.inputs],
            }
            for place, node in enumerate(nodes)
        ],
        "arg_nodes": [places[node] for node in nodes if node.is_variable],
        "heads": [[places[node], output, 0] for node, output in heads],
        "attrs": {"mxnet_version": ["int", 10901]},  # so that MXNet does not "upgrade" it, and say so
    }
    return mx.sym.load_json(json.dumps(graph))
