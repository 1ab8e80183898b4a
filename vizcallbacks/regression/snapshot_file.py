"""The file of one snapshot: its arrays and facts, written whole, and read back with every part checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import archive
from ..attribution.outputs import check_output
from ..checks import check_arrays, check_step, check_texts

SCHEMA = 1


def write(path: str | os.PathLike[str], snapshot: Any) -> None:
    """Write a `Snapshot` to one .npz file, whole or not at all (OSError)."""
    arrays = {
        "targets": snapshot.targets,
        "predictions": snapshot.predictions,
        "confidence": snapshot.confidence,
        "measures": np.array(list(snapshot.measures.values())),  # one array: masks may have any names
        **{f"maps/{name}": maps for name, maps in snapshot.maps.items()},
    }
    facts = {
        "step": snapshot.step,
        "when": snapshot.when,
        "layer": snapshot.layer,
        "maps": list(snapshot.maps),
        "measures": list(snapshot.measures),
        "relus": list(snapshot.relus),
        "digest": snapshot.digest,
        "pure": snapshot.pure,
        "output": snapshot.output,
    }
    archive.write(path, "snapshot", SCHEMA, arrays, facts)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments of `Snapshot` that a file holds; ValueError if it is foreign or damaged."""
    arrays, facts = archive.read(path, "snapshot", SCHEMA)
    try:
        return _checked(arrays, facts)
    except LookupError as error:
        raise ValueError(f"{path} lacks a part of a snapshot ({error!r}); make it anew") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no whole snapshot ({error}); make it anew") from error


def _checked(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a file holds, if its parts are whole and fit together."""
    methods, measures = (check_texts(name, facts[name]) for name in ("maps", "measures"))
    layout: dict[str, tuple[type, str]] = {
        "targets": (np.signedinteger, "N"),
        "predictions": (np.signedinteger, "N"),
        "confidence": (np.floating, "N"),
        "measures": (np.float64, "M N"),
        **{f"maps/{method}": (np.float32, "N h w") for method in methods},
    }
    for name in layout:
        arrays[name]  # KeyError: it is missing
    lengths = check_arrays(arrays, layout)
    if lengths["M"] != len(measures) or len(set(measures)) < len(measures):
        raise ValueError(f"it names {len(set(measures))} measures, but has {lengths['M']}")
    output = facts.get("output")  # older files have none
    check_output(output)
    layer, relus, pure = facts["layer"], facts["relus"], facts.get("pure")
    if not isinstance(layer, (str, type(None))) or not isinstance(pure, (bool, type(None))):
        raise ValueError(f"layer {layer!r:.80} or pure {pure!r:.80} is of another type")
    if not isinstance(relus, list) or [type(number) for number in relus] != [int, int]:
        raise ValueError(f"relus must be two whole numbers, got {relus!r:.80}")
    when, digest = check_texts("when and digest", [facts["when"], facts["digest"]])
    return {
        "step": check_step(facts["step"]),
        "when": when,
        "layer": layer,
        "maps": MappingProxyType({method: arrays[f"maps/{method}"] for method in methods}),
        "targets": arrays["targets"],
        "predictions": arrays["predictions"],
        "confidence": arrays["confidence"],
        "measures": MappingProxyType(dict(zip(measures, arrays["measures"]))),
        "relus": (relus[0], relus[1]),
        "digest": digest,
        "pure": pure,
        "output": output,
    }
