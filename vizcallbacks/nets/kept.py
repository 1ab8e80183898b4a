"""What is kept of a net from one explanation to the next: its graph, how passes run it, and the compiled pieces.

Nothing of it depends on the values of parameters, which are read and folded anew each time. A `Kept` holds no
block and no array, so the net that it knows can be freed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .blocks import ConvLayer
from .fingerprint import Fingerprint
from .graph import Entry, NetGraph, ordered
from .planning import Plans
from .steps import Steps
from .tracing import wiring


class Kept:
    """What calls of `explain` keep of a net's structure for the next: pass the same object to each.

    A net that runs its compiled graph (hybridized, or a SymbolBlock) is not traced again as long as its
    `Fingerprint` is the same. Any other net that can be traced is traced anew and compared with its own outputs
    each time; where its graph is the same, the compiled pieces are used again. Nets that are recorded are
    recorded anew each time. One net is known at a time, the last.

    Attributes
    ----------
    traced, found : int
        How often a net was traced, and how often that was not needed.

    Examples
    --------
    >>> import numpy as np, vizcallbacks as vc
    >>> from vizcallbacks.mxnet_door import mx, nn
    >>> from vizcallbacks.nets.kept import Kept
    >>> net = nn.HybridSequential()
    >>> net.add(nn.Conv2D(4, 3, activation="relu"), nn.Dense(2))
    >>> net.initialize()
    >>> net.hybridize()
    >>> images, kept = np.ones((1, 3, 8, 8), np.float32), Kept()
    >>> net(mx.nd.array(images)).shape
    (1, 2)
    >>> for _ in range(3):
    ...     result = vc.explain(net, images, kept=kept)
    >>> kept.traced, kept.found
    (1, 2)
    """

    def __init__(self) -> None:
        self.traced = self.found = 0
        self._fingerprint: Fingerprint | None = None
        self._structure: Structure | None = None

    def structure(self, fingerprint: Fingerprint) -> Structure | None:
        """That of the net, which is as it was; None if it has to be traced."""
        if self._fingerprint is None or not self._fingerprint.fits(fingerprint):
            return None
        self.found += 1
        return self._structure

    def same(self, traced: Structure) -> Structure:
        """What was traced; if it is like the known structure, that one, with its compiled pieces."""
        self.traced += 1
        known = self._structure
        if known is None or known.wiring != traced.wiring:
            return traced
        return replace(known, regroup=traced.regroup)

    def keep(self, fingerprint: Fingerprint, structure: Structure) -> None:
        """Take in a structure that was seen to give the net's outputs."""
        self._fingerprint, self._structure = fingerprint, structure


@dataclass(frozen=True)
class Structure:
    """A traced graph without its values.

    Attributes
    ----------
    plans : Plans
        The graph, and how each kind of pass runs it.
    paths : list of str
        The layers' whose outputs are `plans.runs`.
    regroup : callable
        As of `NetGraph`.
    wiring : tuple
        What the graph computes, and which layers and blocks run where.
    steps : Steps
        What each block returns, to be compared with the net's own.
    """

    plans: Plans
    paths: list[str]
    regroup: Callable[[list], Any]
    wiring: tuple
    steps: Steps

    @classmethod
    def of(cls, graph: NetGraph, layers: Mapping[str, ConvLayer]) -> Structure:
        """Of a trace of a net with these layers, by their paths."""
        runs = [entry for _, entry in graph.runs]
        ends = [*graph.heads, *runs, *graph.steps]
        places = {node: place for place, node in enumerate(ordered(ends))}
        known = {layer: path for path, layer in layers.items()}
        paths = [known[layer] for layer, _ in graph.runs]
        at = [(places[node], output) for node, output in ends]
        plans = Plans(graph.heads, runs, {}, graph.sizes)
        return cls(plans, paths, graph.regroup, (wiring(ends), at, paths), Steps(graph.steps))

    def graph(self, layers: Mapping[str, ConvLayer], arrays: Mapping[str, Any]) -> NetGraph:
        """The graph with the net's layers, by their paths, and its parameters of today."""
        runs: list[tuple[ConvLayer, Entry]] = [
            (layers[path], entry) for path, entry in zip(self.paths, self.plans.runs)
        ]
        return NetGraph(self.plans.heads, runs, [], self.regroup, arrays)
