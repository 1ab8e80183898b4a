"""What the files of snapshots and of baselines have in common: classes, and maps and measures by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ..checks import check_arrays, check_texts


def parts_of(measured: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the facts, as `vizcallbacks.archive` writes them, that a `Snapshot` and a `Baseline` have."""
    arrays = {
        "targets": measured.targets,
        "predictions": measured.predictions,
        "measures": np.array(list(measured.measures.values())),  # one array: masks may have any names
        **{f"maps/{name}": maps for name, maps in measured.maps.items()},
    }
    facts = {
        "layer": measured.layer,
        "maps": list(measured.maps),
        "measures": list(measured.measures),
        "digest": measured.digest,
    }
    return arrays, facts


def checked_parts(
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    axes: str,
    further: Mapping[str, tuple[type, str]] | None = None,
) -> tuple[dict[str, Any], dict[str, int]]:
    """What `parts_of` gave, read back: arguments of `Snapshot` and `Baseline`, and the lengths of axes.

    Parameters
    ----------
    arrays, facts
        As `vizcallbacks.archive` read them.
    axes : str
        Of the classes, "N" or "S N"; measures have another before these, maps two more behind.
    further : mapping, optional
        The layout of other arrays, as of `vizcallbacks.checks.check_arrays`; they are among the arguments.

    Raises
    ------
    LookupError
        A part is missing.
    ValueError
        A part has another type or shape, or parts do not fit together.
    """
    methods, measures = (check_texts(name, facts[name]) for name in ("maps", "measures"))
    classes = {
        "targets": (np.signedinteger, axes),
        "predictions": (np.signedinteger, axes),
        **(further or {}),
    }
    layout: dict[str, tuple[type, str]] = {
        **classes,
        "measures": (np.float64, f"M {axes}"),
        **{f"maps/{method}": (np.float32, f"{axes} h w") for method in methods},
    }
    lengths = check_arrays({name: arrays[name] for name in layout}, layout)
    if len(set(methods)) < len(methods) or len(set(measures)) < len(measures):
        raise ValueError("it must have each name once")
    if lengths["M"] != len(measures):
        raise ValueError(f"it names {len(measures)} measures, but has {lengths['M']}")
    layer = facts["layer"]
    if not isinstance(layer, (str, type(None))):
        raise ValueError(f"layer must be a text or null, got {layer!r:.80}")
    parts = {
        **{name: arrays[name] for name in classes},
        "layer": layer,
        "maps": MappingProxyType({method: arrays[f"maps/{method}"] for method in methods}),
        "measures": MappingProxyType(dict(zip(measures, arrays["measures"]))),
        "digest": check_texts("digest", [facts["digest"]])[0],
    }
    return parts, lengths
