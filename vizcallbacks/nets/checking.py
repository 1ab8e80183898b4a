"""The safety net: what passes give is held to what the net itself gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .compiled import CompiledNet
from .record import Recording
from .tracing import named

TOLERANCE = 1e-3
"""How far outputs may be from the net's own, of the largest: kernels of train mode round otherwise."""


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
            raise _different(path)
    run = compiled.forward(inputs, compiled.runs, False, False, False)
    expected = compiled.own_values(inputs, [entry for _, entry in compiled.runs])
    for (layer, mine), own in zip(run.ran, expected):
        if not alike(mine, own):
            raise _different(paths.get(layer, layer.name))


def _different(path: str) -> ValueError:
    return ValueError(
        f"vizcallbacks cannot run {named(path)} as the net does: the graph of its operators gives other outputs; "
        "please report the block, and explain the net without it"
    )


def alike(mine: Any, own: Any) -> bool:
    """Whether outputs are the same but for rounding."""
    mine, own = _flat(mine), _flat(own)
    if len(mine) != len(own):
        return False
    for one, other in zip(mine, own):
        found, expected = one.asnumpy(), other.asnumpy()
        if found.shape != expected.shape or not np.allclose(
            found,
            expected,
            rtol=0,
            atol=TOLERANCE * np.abs(expected[np.isfinite(expected)]).max(initial=0),
            equal_nan=True,
        ):
            return False
    return True


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, (list, tuple)):
        return [array for part in outputs for array in _flat(part)]
    return [] if outputs is None else [outputs]
