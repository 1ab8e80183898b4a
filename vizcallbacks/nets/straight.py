"""Deconvnet's form of a net: ReLUs that let every gradient pass, whatever their input was.

Walked as guided backpropagation is, which rectifies the gradient behind each of them (Zeiler and Fergus, 2013,
arXiv:1311.2901).
"""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Entry, ordered
from .operators import activation_kind
from .variants import passing


def straightened(heads: Sequence[Entry]) -> list[Entry]:
    """The heads of a graph, which is changed, with ReLU-like activations of the same values and derivative 1.

    They still count as ReLU-like, so that a guided walk rectifies there. Gates and smooth activations keep
    their own derivative.
    """
    places: dict[Entry, Entry] = {}
    nodes = ordered(heads)
    relus = {node for node in nodes if activation_kind(node) == "relu"}
    for node in nodes:
        node.inputs = [places.get(entry, entry) for entry in node.inputs]
        if node in relus:
            node.kind = ""
            made = passing((node, 0), None, node.inputs[0])
            made[0].kind = "relu"
            places[node, 0] = made
    return [places.get(entry, entry) for entry in heads]
