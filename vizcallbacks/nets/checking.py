"""The safety net: what passes give is held to what the net itself gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .alike import alike, different
from .blocks import named
from .compiled import CompiledNet
from .graph import NetGraph
from .record import Recording
from .tracing import UntraceableError


def check_recorded(
    compiled: CompiledNet, recording: Recording, inputs: Sequence, outputs: Any, paths: Mapping[Any, str]
) -> None:
    """Hold the outputs of a pass to those of the recorded run.

    They may differ where the graph gives all outputs and only the passes' rounding changes them: detectors
    sort and threshold. Then the layers' outputs must be the same.

    Parameters
    ----------
    compiled : CompiledNet
        Of the recording's graph.
    recording : Recording
    inputs : sequence of NDArray
        Of both.
    outputs
        The pass's.
    paths : mapping of Block to str

    Raises
    ------
    ValueError
        For the first block whose output the graph does not give.
    """
    if alike(outputs, recording.outputs):
        return
    values = compiled.own_values(inputs, [entry for *_, entry in recording.steps])
    for mine, (path, own, _) in zip(values, recording.steps):
        if not alike(mine, own):
            raise different(path)
    run = compiled.forward(inputs, compiled.runs, False, False, False)
    expected = compiled.own_values(inputs, [entry for _, entry in compiled.runs])
    for (layer, mine), own in zip(run.ran, expected):
        if not alike(mine, own):
            raise different(paths.get(layer, layer.name))


def check_traced(graph: NetGraph, inputs: Sequence, steps: Sequence[tuple[str, list]]) -> None:
    """Hold what each block gives in a traced graph to what it returned in an untouched run.

    The net's outputs alone do not tell: a ReLU may hide on one image what differs on another.

    Parameters
    ----------
    graph : NetGraph
        As it was traced.
    inputs : sequence of NDArray
        Of the untouched run.
    steps : sequence of (str, list of NDArray)
        A block's path and what it returned there, in the order in which they ended.

    Raises
    ------
    UntraceableError
        For the first block that differs; the net can be recorded.
    """
    own = [(path, one) for path, made in steps for one in made]
    if len(own) != len(graph.steps):
        raise UntraceableError("its blocks run another number of times in the trace")
    if not own:
        return
    for mine, (path, one) in zip(CompiledNet(graph).own_values(inputs, graph.steps), own):
        if not alike(mine, one):
            raise UntraceableError(f"{named(path)} gives another output in the trace")
