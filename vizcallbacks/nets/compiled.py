"""The way through a net: its own graph, compiled in segments (`planning`), with the values of its parameters.

BatchNorms are folded into convolutions (`folding`), and within a segment values stay where they are. Every
activation is covered, also those that a block calls as functions, in its midst or in a closed graph. A function
in Python with a backward of its own (`autograd.Function`) stands between two segments.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ..mxnet_door import autograd, mx
from .blocks import ConvLayer
from .coverage import Coverage
from .folding import rewritten
from .graph import INPUT, Entry, NetGraph, Node, cloned, symbol_of
from .planning import Plan, Plans, Segment, Simple, Wanted, held
from .tape import Forward, Tape
from .together import SMALL, images_together


class CompiledNet:
    """A net's graph with its parameters, compiled as each kind of pass needs it.

    Parameters
    ----------
    graph : NetGraph
        Its ``arrays`` record no gradient.
    plans : Plans, optional
        Of the graph, where it is known already.

    Attributes
    ----------
    forms : dict
        Other forms of the net that `walks` has made of it, so that all batches use the same.
    in_training : bool
        Whether the net runs some operator in train mode.
    runs : list of (layer, Entry)
        The runs of layers that depend on the image, in their order.
    """

    def __init__(self, graph: NetGraph, plans: Plans | None = None) -> None:
        self.graph = graph
        if plans is None:
            counts = {name: len(outputs) for name, (_, outputs) in graph.calls.items()}
            plans = Plans(graph.heads, [entry for _, entry in graph.runs], counts, graph.sizes)
        self.forms: dict[Hashable, tuple[CompiledNet, Any]] = {}
        self.plans, self.in_training = plans, plans.in_training
        self._arrays: dict[int, tuple[Plan, dict[str, Any]]] = {}
        self.runs: list[tuple[ConvLayer, Entry]] = [
            (layer, entry) for layer, entry in graph.runs if entry[0] in plans.of_image
        ]

    @property
    def coverage(self) -> Coverage:
        """What a guided walk covers."""
        return self.plans.coverage

    @property
    def elsewhere(self) -> list[ConvLayer]:
        """The layers that ran, but never on anything that depends on the image."""
        ran = {id(entry[0]) for _, entry in self.runs}
        others = [layer for layer, entry in self.graph.runs if id(entry[0]) not in ran]
        return [*others, *self.graph.silent]

    def infers(self, inputs: Sequence) -> bool:
        """Whether MXNet finds all shapes for these inputs; MXNetError where some do not fit."""
        names = {f"{INPUT}{number}": one.shape for number, one in enumerate(inputs)}
        known = {**{name: one.shape for name, one in self.graph.arrays.items()}, **names}
        symbol = self.plans.symbol
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
        return [(layer, entry) for layer, entry in self.runs if entry[0] in self.plans.reached]

    def forward(self, inputs: Sequence, taps: Sequence[tuple[ConvLayer, Entry]], wanted: Wanted) -> Forward:
        """Run the net once, in predict mode.

        Parameters
        ----------
        inputs : sequence of NDArray
        taps : sequence of (layer, Entry)
            Of `runs`: whose outputs are to be kept.
        wanted : Wanted

        Raises
        ------
        ValueError
            If the graph holds what cannot be run right.
        """
        plan, tape = self.plan(taps, wanted), Tape()
        images = tape.start(inputs[0]).array if wanted.record and wanted.image else inputs[0]
        given = {
            **self.arrays(plan),
            **{f"{INPUT}{i}": one for i, one in enumerate((images, *inputs[1:]))},
        }
        values = self.given(plan)

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
            if wanted.record:
                below = {entry for entry in plan.taps if entry in values}
                values.update({entry: tape.start(values[entry]).array for entry in below})
        for step in plan.steps:
            if isinstance(step, Node):
                function, outputs = self.graph.calls[step.name]
                made = tape.call(function, outputs, [value(entry) for entry in step.inputs])
                values.update({(step, place): one for place, one in enumerate(made)})
                continue
            if isinstance(step, Simple):
                sources = [value(entry) for entry in step.node.inputs]
                values[step.node, 0] = tape.run(step.how, sources, step.over, step.rectified)
                continue
            with autograd.record(train_mode=True):
                changing, output = called(step)
            values[step.outputs[0]] = tape.follow(output, step.differentiable, changing, step.rectified)
        outputs = [value(entry) for entry in plan.heads]
        ran = [(layer, value(entry)) for (layer, _), entry in zip(taps, plan.taps)]
        return Forward(tape, images, self.graph.regroup(outputs), ran, (self, inputs, taps))

    def together(self, inputs: Sequence, taps: Sequence[tuple[ConvLayer, Entry]], wanted: Wanted) -> int:
        """How many of the images had better share a pass: all where they are few or the net looks across them."""
        count, itemsize = len(inputs[0]), np.dtype(inputs[0].dtype).itemsize
        if not wanted.image or self.in_training or self.graph.calls or inputs[0].size * itemsize < SMALL:
            return count
        entries, shapes = [entry for _, entry in taps], tuple(one.shape for one in inputs)

        def found() -> int:
            given = {name: one.shape for name, one in self.graph.arrays.items()}
            given.update({f"{INPUT}{number}": shape for number, shape in enumerate(shapes)})
            return images_together(self.plan(taps, wanted), given, count, itemsize)

        return held(self.plans.together, (*entries, wanted, shapes), found)

    def plan(self, taps: Sequence[tuple[ConvLayer, Entry]], wanted: Wanted) -> Plan:
        """What such a pass runs; made once."""
        return self.plans.of([entry for _, entry in taps], wanted)

    def given(self, plan: Plan) -> dict[Entry, Any]:
        """What functions in Python returned that no gradient is wanted of."""
        return {(node, place): self.graph.calls[node.name][1][place].detach() for node, place in plan.given}

    def arrays(self, plan: Plan) -> dict[str, Any]:
        """The net's parameters, and those folded for a plan; these are made once."""
        if id(plan) not in self._arrays:
            self._arrays[id(plan)] = plan, {**self.graph.arrays, **plan.folding.arrays(self.graph.arrays)}
        return self._arrays[id(plan)][1]
