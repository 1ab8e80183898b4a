"""The way through a net: its own graph, compiled in segments.

The graph is cut behind every activation, and wherever a value goes several ways; each segment is one of
MXNet's compiled graphs and one piece of the tape. BatchNorms are folded into convolutions (`folding`), and
within a segment values stay where they are. Every activation is covered, also those that a block calls as
functions, in its midst or in a closed graph. A function in Python with a backward of its own
(`autograd.Function`) stands between two segments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Union

from ..mxnet_door import autograd, mx
from .blocks import ConvLayer
from .folding import fold, rewritten
from .graph import INPUT, PYTHON, Entry, NetGraph, Node, cloned, dependent, ordered, symbol_of
from .operators import activation_kind, coverage_of, differentiable
from .tape import Pass, Tape

CUT = "vizcallbacks_cut_"


@dataclass(frozen=True)
class Segment:
    """A piece of a graph, compiled.

    Attributes
    ----------
    run : CachedOp
    heads : list of Entry
        Its graph's.
    variables : list of str
        The names of its inputs, in order.
    sources : dict of str to Entry
        Those of them that other segments compute.
    outputs : list of Entry
        In the whole graph.
    rectified : bool
        Whether it ends in an activation whose gradient a guided walk rectifies.
    """

    run: Any
    heads: list[Entry]
    variables: list[str]
    sources: dict[str, Entry]
    outputs: list[Entry]
    rectified: bool


Step = Union[Segment, Node]
"""What is run: a segment, or a node that is a function in Python."""


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they run.

    Attributes
    ----------
    heads : list of Entry
    taps : list of (layer, Entry)
        Outputs asked for, in the order in which they run.
    arrays : dict of str to NDArray
        Parameters and constants, the folded ones included.
    below : Segment or None
        What no gradient is wanted of: runs first, without a record.
    steps : list of Step
        The segments have one output each.
    given : dict of Entry to NDArray
        What functions in Python returned that no gradient is wanted of.
    """

    heads: list[Entry]
    taps: list[tuple[ConvLayer, Entry]]
    arrays: dict[str, Any]
    below: Segment | None
    steps: list[Step]
    given: dict[Entry, Any]


class CompiledNet:
    """A net's graph with its parameters, compiled as each kind of pass needs it.

    Parameters
    ----------
    graph : NetGraph
        Its ``arrays`` record no gradient.

    Attributes
    ----------
    in_training : bool
        Whether the net runs some operator in train mode.
    """

    def __init__(self, graph: NetGraph) -> None:
        self.graph = graph
        self.coverage = coverage_of(graph.heads)
        self._plans: dict[tuple, Plan] = {}
        self.in_training = any(node.training for node in ordered(graph.heads))
        seen = dependent([*graph.heads, *(entry for _, entry in graph.runs)], f"{INPUT}0")
        self._runs = [(layer, entry) for layer, entry in graph.runs if entry[0] in seen]

    @property
    def runs(self) -> list[tuple[ConvLayer, Entry]]:
        """The runs of layers that depend on the image, in their order."""
        return self._runs

    @property
    def elsewhere(self) -> list[ConvLayer]:
        """The layers that ran, but never on anything that depends on the image."""
        ran = {id(entry[0]) for _, entry in self._runs}
        others = [layer for layer, entry in self.graph.runs if id(entry[0]) not in ran]
        return [*others, *self.graph.silent]

    def infers(self, inputs: Sequence) -> bool:
        """Whether MXNet finds all shapes for these inputs; MXNetError where some do not fit."""
        names = {f"{INPUT}{number}": one.shape for number, one in enumerate(inputs)}
        known = {**{name: one.shape for name, one in self.graph.arrays.items()}, **names}
        symbol = symbol_of(self.graph.heads)
        shapes, *_ = symbol.infer_shape(**{name: known[name] for name in symbol.list_inputs()})
        return shapes is not None

    def own_values(self, inputs: Sequence, entries: Sequence[Entry]) -> list:
        """The values of entries of the graph, by one compiled graph without any of the changes made for passes."""
        heads, _ = cloned(entries)
        symbol = symbol_of(rewritten(heads) if self.in_training else heads)
        given = {**self.graph.arrays, **{f"{INPUT}{i}": one for i, one in enumerate(inputs)}}
        with autograd.pause(train_mode=self.in_training):
            found = mx.nd.CachedOp(symbol)(*(given[name] for name in symbol.list_inputs()))
        return found if isinstance(found, list) else [found]

    def reached(self) -> list[tuple[ConvLayer, Entry]]:
        """Those on which the net's output depends; none if it has several, so that the score decides."""
        if len(self.graph.heads) != 1:
            return []
        found = differentiable(self.graph.heads)
        return [(layer, entry) for layer, entry in self._runs if entry[0] in found]

    def forward(
        self,
        inputs: Sequence,
        taps: Sequence[tuple[ConvLayer, Entry]],
        record: bool,
        image: bool,
        guided: bool,
    ) -> Pass:
        """Run the net once, in predict mode.

        Parameters
        ----------
        inputs : sequence of NDArray
        taps : sequence of (layer, Entry)
            Of `runs`: whose outputs are to be kept.
        record, image, guided
            As for `Runner.forward`.

        Raises
        ------
        ValueError
            If the graph holds what cannot be run right.
        """
        plan, tape = self.plan(taps, record, image, guided), Tape()
        images = tape.start(inputs[0]).array if record and image else inputs[0]
        given = {**plan.arrays, **{f"{INPUT}{i}": one for i, one in enumerate((images, *inputs[1:]))}}
        values: dict[Entry, Any] = dict(plan.given)

        def value(entry: Entry):
            return given[entry[0].name] if entry[0].is_variable else values[entry]

        def called(segment: Segment):
            sources = {name: values[entry] for name, entry in segment.sources.items()}
            known = {**given, **sources}
            return {**sources, f"{INPUT}0": images}, segment.run(*(known[name] for name in segment.variables))

        if plan.below is not None:
            with autograd.pause(train_mode=self.in_training):
                _, found = called(plan.below)
            values.update(zip(plan.below.outputs, found if isinstance(found, list) else [found]))
            if record:
                below = {entry for _, entry in plan.taps if entry in values}
                values.update({entry: tape.start(values[entry]).array for entry in below})
        for step in plan.steps:
            if isinstance(step, Node):
                function, outputs = self.graph.calls[step.name]
                made = tape.call(function, outputs, [value(entry) for entry in step.inputs])
                values.update({(step, place): one for place, one in enumerate(made)})
                continue
            with autograd.record(train_mode=True):
                changing, output = called(step)
            values[step.outputs[0]] = tape.follow(output, step.heads, changing, step.rectified)
        outputs = [value(entry) for entry in plan.heads]
        ran = [(layer, value(entry)) for layer, entry in plan.taps]
        return Pass(tape, images, self.graph.regroup(outputs), ran, (self, inputs, taps))

    def plan(self, taps: Sequence[tuple[ConvLayer, Entry]], record: bool, image: bool, guided: bool) -> Plan:
        """What such a pass runs; made once."""
        kind = (tuple(taps), record, image, guided)
        if kind not in self._plans:
            self._plans[kind] = self._planned(*kind)
        return self._plans[kind]

    def _planned(
        self, wanted: Sequence[tuple[ConvLayer, Entry]], record: bool, image: bool, guided: bool
    ) -> Plan:
        ends = [*self.graph.heads, *(entry for _, entry in wanted)]
        copies, _ = cloned(ends)
        # what a layer returns must stay what it is, whatever is done to the nodes around it
        count = len(self.graph.heads)
        marks = [Node("identity", "", {}, [entry]) for entry in copies[count:]]
        ends = rewritten([*copies[:count], *((mark, 0) for mark in marks)])
        ends, folded = fold(ends, self.graph.arrays)
        heads, tapped = ends[:count], [mark.inputs[0] for mark in marks]
        nodes = ordered([*heads, *tapped])
        moving = _moving(nodes, tapped, image) if record else set()
        relus = {node for node in nodes if activation_kind(node) == "relu"}
        calls = [node for node in nodes if node.op == PYTHON]
        given = {
            (node, place): output.detach()
            for node in calls
            if node not in moving
            for place, output in enumerate(self.graph.calls[node.name][1])
        }
        cuts = {entry for entry in (*heads, *tapped) if entry[0] in moving}
        if guided or len(cuts) > 1:
            cuts |= _branches(nodes, heads, moving)
        if guided:
            cuts |= {(node, 0) for node in relus & moving}
        cuts |= {entry for node in calls if node in moving for entry in node.inputs if entry[0] in moving}
        frontier = [one for one in _frontier(nodes, [*heads, *tapped], moving) if one not in given]
        below = _compiled(frontier, list(given), False) if frontier else None
        places = {node: place for place, node in enumerate(nodes)}
        done: list[Entry] = [*given, *frontier]
        steps: list[Step] = []
        for node, output in sorted({*cuts, *((one, 0) for one in calls)}, key=lambda e: (places[e[0]], e[1])):
            if node in calls:
                if node in moving and node not in steps:
                    steps.append(node)
                    returned = self.graph.calls[node.name][1]
                    done += [(node, place) for place in range(len(returned))]
            else:
                steps.append(_compiled([(node, output)], done, node in relus))
                done.append((node, output))
        taps = [(layer, entry) for (layer, _), entry in zip(wanted, tapped)]
        return Plan(heads, taps, {**self.graph.arrays, **folded}, below, steps, given)


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
    """Where a value goes several ways, so that none computes it again; of several outputs, their sources."""
    uses: dict[Node, list[int]] = {}
    for source, output in (*(entry for node in nodes if node in moving for entry in node.inputs), *heads):
        uses.setdefault(source, []).append(output)
    found: set[Entry] = set()
    for node, outputs in uses.items():
        if node not in moving or len(outputs) == 1:
            continue
        found.update([(node, outputs[0])] if len(set(outputs)) == 1 else node.inputs)
    return {entry for entry in found if entry[0] in moving and not entry[0].is_constant}


def _frontier(nodes: Sequence[Node], ends: Sequence[Entry], moving: Collection[Node]) -> list[Entry]:
    """What is computed below the moving part and used in it, or wanted itself.

    Operators that take nothing are run where they are used: MXNet infers the shape of a recurrent layer's first
    state from there.
    """
    used = [entry for node in nodes if node in moving for entry in node.inputs if not entry[0].is_constant]
    return [one for one in dict.fromkeys([*used, *ends]) if one[0] not in moving and not one[0].is_variable]


def _compiled(outputs: list[Entry], done: Sequence[Entry], rectified: bool) -> Segment:
    """The part of the graph between what is `done` and the outputs."""
    cuts: dict[Entry, Entry] = {
        entry: (Node("null", f"{CUT}{number}"), 0) for number, entry in enumerate(done)
    }
    heads, _ = cloned(outputs, cuts)
    symbol = symbol_of(heads)
    variables = symbol.list_inputs()
    names = set(variables)
    sources = {node.name: entry for entry, (node, _) in cuts.items() if node.name in names}
    return Segment(mx.nd.CachedOp(symbol), heads, variables, sources, outputs, rectified)
