"""The safety net: what passes give is held to what the net itself gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .alike import alike, different
from .compiled import CompiledNet
from .planning import OUTPUTS_ONLY
from .record import Recording


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
    run = compiled.forward(inputs, compiled.runs, OUTPUTS_ONLY)
    expected = compiled.own_values(inputs, [entry for _, entry in compiled.runs])
    for (layer, mine), own in zip(run.ran, expected):
        if not alike(mine, own):
            raise different(paths.get(layer, layer.name))
