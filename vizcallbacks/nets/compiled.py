"""The fast way through a net that can be traced: its own graph, compiled in segments.

The graph is cut behind every activation, and wherever a value goes several ways; each segment is one of MXNet's
compiled graphs and one piece of the tape. Beside swapped layers that run operator by operator this saves
memory traffic: BatchNorms are folded into convolutions (`rewrite`), and within a segment values stay where they
are. Every activation is covered, also those that a block calls as functions, in its midst or in a closed graph.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..mxnet_door import autograd, mx
from .blocks import ConvLayer
from .folding import fold, rewritten
from .graph import Entry, Node, as_json, cloned, ordered, symbol_of
from .operators import activation_kind, differentiable
from .record import Pass, Tape
from .tracing import INPUT, Trace

CUT = "vizcallbacks_cut_"


@dataclass(frozen=True)
class Segment:
    """A piece of a graph, compiled.

    Attributes
    ----------
    run : CachedOp
    nodes : list of dict
        Its graph, as JSON has it.
    variables : list of str
        The names of its inputs, in order.
    sources : dict of str to Entry
        Those of them that other segments compute.
    outputs : list of Entry
    rectified : bool
        Whether it ends in an activation whose gradient a guided walk rectifies.
    """

    run: Any
    nodes: list[dict[str, Any]]
    variables: list[str]
    sources: dict[str, Entry]
    outputs: list[Entry]
    rectified: bool


@dataclass(frozen=True)
class Plan:
    """Segments in the order in which they run.

    Attributes
    ----------
    heads : list of Entry
    taps : dict of layer to Entry
        Outputs asked for, in the order in which they run.
    arrays : dict of str to NDArray
        Parameters, the folded ones included.
    below : Segment or None
        What no gradient is wanted of: runs first, without a record.
    segments : list of Segment
        With one output each.
    nodes : list of dict
        The whole graph, as JSON has it.
    """

    heads: list[Entry]
    taps: dict[ConvLayer, Entry]
    arrays: dict[str, Any]
    below: Segment | None
    segments: list[Segment]
    nodes: list[dict[str, Any]]


class CompiledNet:
    """A traced net with its parameters, compiled as each kind of pass needs it.

    Parameters
    ----------
    trace : Trace
    arrays : mapping of str to NDArray
        Parameters by name, recording no gradient.
    """

    def __init__(self, trace: Trace, arrays: Mapping[str, Any]) -> None:
        self._trace, self._arrays = trace, arrays
        self._plans: dict[tuple, Plan] = {}

    def forward(
        self, inputs: Sequence, layers: Collection[ConvLayer] | None, record: bool, image: bool, guided: bool
    ) -> Pass:
        """As `Instruments.forward`.

        Raises
        ------
        ValueError, mx.MXNetError
            If a segment cannot be compiled, or fails; or if one of `layers` has no part in the net's output.
        """
        wanted = None if layers is None else frozenset(layers)
        if wanted is not None and not wanted <= self._trace.layers.keys():
            raise ValueError("a layer that is looked at has no part in its output")
        kind = (wanted, record, image, guided)
        if kind not in self._plans:
            self._plans[kind] = self._planned(*kind)
        plan, tape = self._plans[kind], Tape()
        images = tape.start(inputs[0]).array if record and image else inputs[0]
        given = {f"{INPUT}{number}": array for number, array in enumerate((images, *inputs[1:]))}
        values: dict[Entry, Any] = {}

        def changing(segment: Segment) -> dict[str, Any]:
            """What it takes beside parameters."""
            found = {name: values[entry] for name, entry in segment.sources.items()}
            return {**found, **{name: given[name] for name in segment.variables if name in given}}

        def called(segment: Segment, arguments: dict[str, Any]):
            return segment.run(*(arguments.get(name, plan.arrays.get(name)) for name in segment.variables))

        if plan.below is not None:
            with autograd.pause(train_mode=False):
                found = called(plan.below, changing(plan.below))
            values.update(zip(plan.below.outputs, found if isinstance(found, list) else [found]))
            if record:
                values.update(
                    {one: tape.start(values[one]).array for one in plan.taps.values() if one in values}
                )
        for segment in plan.segments:
            arguments = changing(segment)
            with autograd.record(train_mode=True):
                output = called(segment, arguments)
            values[segment.outputs[0]] = tape.follow(output, segment.nodes, arguments, segment.rectified)
        tape.survey(plan.nodes)
        outputs = [
            values[entry] if entry in values else {**plan.arrays, **given}[entry[0].name]
            for entry in plan.heads
        ]
        ran = [(layer, values[entry]) for layer, entry in plan.taps.items()]
        return Pass(tape, images, self._trace.regroup(outputs), ran)

    def reached(self) -> list[ConvLayer]:
        """The layers on which the net's output depends, in the order in which they run.

        Empty if the net has several outputs, so that it is the score that decides.
        """
        if len(self._trace.heads) != 1:
            return []
        nodes = ordered(self._trace.heads)
        found = {nodes[place] for place in differentiable(as_json(nodes))}
        return [layer for layer, (node, _) in self._trace.layers.items() if node in found]

    def _planned(self, wanted: frozenset[ConvLayer] | None, record: bool, image: bool, guided: bool) -> Plan:
        heads, became = cloned(self._trace.heads)
        # what a layer returns must stay what it is, whatever is done to the nodes around it
        marks = {
            layer: Node("identity", "", {}, [(became[node], output)])
            for layer, (node, output) in self._trace.layers.items()
            if wanted is None or layer in wanted
        }
        heads = rewritten([*heads, *((mark, 0) for mark in marks.values())])[: len(heads)]
        taps = {layer: mark.inputs[0] for layer, mark in marks.items()}
        heads, folded = fold(heads, self._arrays, set(taps.values()))
        nodes = ordered(heads)
        moving = _moving(nodes, taps.values(), image) if record else set()
        text = as_json(nodes)
        relus = {node for place, node in enumerate(nodes) if activation_kind(text, place) == "relu"}
        cuts = {entry for entry in (*heads, *taps.values()) if entry[0] in moving}
        if guided or len(cuts) > 1:
            cuts |= _branches(nodes, heads, moving)
        if guided:
            cuts |= {(node, 0) for node in relus & moving}
        frontier = _frontier(nodes, [*heads, *taps.values()], moving)
        below = _compiled(frontier, (), False) if frontier else None
        places = {node: place for place, node in enumerate(nodes)}
        done, segments = list(frontier), []
        for entry in sorted(cuts, key=lambda one: (places[one[0]], one[1])):
            segments.append(_compiled([entry], done, entry[0] in relus))
            done.append(entry)
        return Plan(heads, taps, {**self._arrays, **folded}, below, segments, text)


def _moving(nodes: Sequence[Node], taps: Iterable[Entry], image: bool) -> set[Node]:
    """The operators that gradients go through: all, if that of the image is wanted; or those behind the taps."""
    if image:
        return {node for node in nodes if not node.is_variable}
    starts, found = set(taps), set()
    for node in nodes:
        if any(entry in starts or entry[0] in found for entry in node.inputs):
            found.add(node)
    return found


def _branches(nodes: Sequence[Node], heads: Sequence[Entry], moving: Collection[Node]) -> set[Entry]:
    """Where a value goes several ways, lest each computes it again; of several outputs, what they are made of."""
    uses: dict[Node, list[int]] = {}
    for source, output in (*(entry for node in nodes if node in moving for entry in node.inputs), *heads):
        uses.setdefault(source, []).append(output)
    found: set[Entry] = set()
    for node, outputs in uses.items():
        if node not in moving or len(outputs) == 1:
            continue
        found.update([(node, outputs[0])] if len(set(outputs)) == 1 else node.inputs)
    return {entry for entry in found if entry[0] in moving}


def _frontier(nodes: Sequence[Node], ends: Sequence[Entry], moving: Collection[Node]) -> list[Entry]:
    """What is computed below the moving part and used in it, or wanted itself."""
    used = [*(entry for node in nodes if node in moving for entry in node.inputs), *ends]
    return [one for one in dict.fromkeys(used) if one[0] not in moving and not one[0].is_variable]


def _compiled(outputs: list[Entry], done: Sequence[Entry], rectified: bool) -> Segment:
    """The part of the graph between what is `done` and the outputs."""
    instead = {entry: Node("null", f"{CUT}{number}") for number, entry in enumerate(done)}
    heads, _ = cloned(outputs, instead)
    symbol = symbol_of(heads)
    variables = symbol.list_inputs()
    sources = {node.name: entry for entry, node in instead.items() if node.name in set(variables)}
    return Segment(mx.nd.CachedOp(symbol), as_json(ordered(heads)), variables, sources, outputs, rectified)
