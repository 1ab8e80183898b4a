"""Maps that something else computed, with what its net said, as `Attributions`. Needs no MXNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..attribution.methods import METHODS, check_methods
from ..attribution.outputs import check_output, kind_of, predictions_of, probabilities_of
from ..attribution.result import Attributions, Coverage
from ..attribution.targets import target_of
from ..checks import as_numpy, check_arrays
from ..probes.probe_set import ProbeSet

_AXES = {"layer": "N h w", "concepts": "N k h w", "image": "N h w", "channels": "N c h w"}
"""Shape of a method's maps -> a letter for each axis."""


def attributions_of(
    probe: ProbeSet,
    maps: Mapping[str, Any],
    outputs: Any,
    targets: Any,
    *,
    layer: str | None,
    scores: Any,
    relus: tuple[int, int],
    output: str | None,
) -> Attributions:
    """The arguments of `Snapshot.from_arrays`, checked, as `explain` would have returned them (ValueError)."""
    count = len(probe)
    check_methods(list(maps))
    arrays = {name: as_numpy(values) for name, values in maps.items()}
    given = {"probe.images": probe.images, **arrays}
    layout = {"probe.images": (np.floating, "N c h w")}
    layout.update({name: (np.floating, _AXES[METHODS[name].shape]) for name in arrays})
    for name, values, axes in (("outputs", outputs, "N C"), ("scores", scores, "N")):
        if values is not None:
            given[name], layout[name] = as_numpy(values), (np.floating, axes)
    check_arrays(given, layout)
    target = target_of(targets, probe.labels, count)
    predictions = probabilities = classes = None
    check_output(output)
    if outputs is not None:
        outputs = given["outputs"].astype(np.float32)
        output = output or kind_of(outputs)
        probabilities = probabilities_of(outputs, output)
        predictions = predictions_of(outputs, probabilities)
    if targets is None:
        classes = predictions
    elif not callable(targets):
        wanted = probe.labels if isinstance(targets, str) else as_numpy(targets)
        classes = np.broadcast_to(np.asarray(wanted, np.int64), (count,))
    if classes is not None and outputs is not None and classes.max() >= outputs.shape[1]:
        raise ValueError(f"targets must be below the {outputs.shape[1]} classes, got {classes.max()}")
    if scores is None:
        known = classes is not None and outputs is not None
        scores = outputs[np.arange(count), classes] if known else np.full(count, np.nan)
    return Attributions(
        maps={name: values.astype(np.float32) for name, values in arrays.items()},
        layer=layer,
        image_size=(probe.images.shape[2], probe.images.shape[3]),
        outputs=outputs,
        probabilities=probabilities,
        predictions=predictions,
        targets=classes,
        target=target,
        scores=as_numpy(scores).astype(np.float32),
        output=output,
        coverage=Coverage(*relus),
        probe=probe,
    )
