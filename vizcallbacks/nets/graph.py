"""A traced net's graph as nodes that can be rewritten and cut, from and to MXNet's symbols."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..mxnet_door import mx


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
    """

    op: str
    name: str
    attrs: dict[str, str] = field(default_factory=dict)
    inputs: list[Entry] = field(default_factory=list)

    @property
    def is_variable(self) -> bool:
        return self.op == "null"


Entry = tuple[Node, int]
"""One output of a node."""


def read(text: str) -> list[Entry]:
    """The heads of a graph, and with them all of it, from a symbol's JSON.

    Raises
    ------
    ValueError
        If the graph holds others, as control flow does.
    """
    graph = json.loads(text)
    nodes: list[Node] = []
    for made in graph["nodes"]:
        if made.get("subgraphs"):
            raise ValueError(f"{made['op']} {made['name']!r} holds a graph of its own")
        inputs = [(nodes[index], output) for index, output, *_ in made["inputs"]]
        nodes.append(Node(made["op"], made["name"], dict(made.get("attrs", {})), inputs))
    return [(nodes[index], output) for index, output, *_ in graph["heads"]]


def ordered(heads: Iterable[Entry], stop: Collection[Entry] = ()) -> list[Node]:
    """Every node that the heads depend on, and their own, inputs first; not those behind entries of `stop`."""
    found: list[Node] = []
    seen: set[Node] = set()
    for head, _ in heads:
        stack = [] if head in seen else [(head, iter(head.inputs))]
        seen.add(head)
        while stack:
            node, inputs = stack[-1]
            one = next((entry[0] for entry in inputs if entry[0] not in seen and entry not in stop), None)
            if one is None:
                found.append(node)
                stack.pop()
            else:
                seen.add(one)
                stack.append((one, iter(one.inputs)))
    return found


def cloned(
    heads: Sequence[Entry], instead: Mapping[Entry, Node] | None = None
) -> tuple[list[Entry], dict[Node, Node]]:
    """A copy of a graph, and which node became which.

    `instead` puts variables in the place of entries, and of what only they depend on.
    """
    instead = {} if instead is None else instead
    made: dict[Node, Node] = {}
    for node in ordered(heads, instead):
        inputs = [
            (instead[entry], 0) if entry in instead else (made[entry[0]], entry[1]) for entry in node.inputs
        ]
        made[node] = Node(node.op, node.name, dict(node.attrs), inputs)
    return [(made[node], output) for node, output in heads], made


def replace(heads: Sequence[Entry], places: Mapping[Entry, Entry]) -> list[Entry]:
    """The heads, with other entries in the place of some throughout the graph, which is changed."""
    for node in ordered(heads):
        node.inputs = [places.get(entry, entry) for entry in node.inputs]
    return [places.get(entry, entry) for entry in heads]


def as_json(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """Nodes, inputs first, as a symbol's JSON has them; numbered, as layers that run twice give a name twice."""
    places = {node: place for place, node in enumerate(nodes)}
    return [
        {
            "op": node.op,
            "name": node.name if node.is_variable else f"{place}:{node.name}",
            "attrs": node.attrs,
            "inputs": [[places[source], output, 0] for source, output in node.inputs],
        }
        for place, node in enumerate(nodes)
    ]


def symbol_of(heads: Sequence[Entry]) -> mx.sym.Symbol:
    """MXNet's symbol of a graph."""
    nodes = ordered(heads)
    places = {node: place for place, node in enumerate(nodes)}
    graph = {
        "nodes": as_json(nodes),
        "arg_nodes": [places[node] for node in nodes if node.is_variable],
        "heads": [[places[node], output, 0] for node, output in heads],
        "attrs": {"mxnet_version": ["int", 10901]},  # lest MXNet "upgrades" it, and says so
    }
    return mx.sym.load_json(json.dumps(graph))
