"""The file of a baseline: its arrays and facts, written whole, and read back with every part checked."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from .. import archive
from ..checks import check_arrays, check_texts
from ..version import __version__

SCHEMA = 1
Made = TypeVar("Made")


def write(path: str | os.PathLike[str], baseline: Any) -> None:
    """Write a `Baseline` to one .npz file, whole or not at all (OSError)."""
    arrays = {
        "targets": baseline.targets,
        "predictions": baseline.predictions,
        "measures": np.array(list(baseline.measures.values())),
        **{f"maps/{name}": maps for name, maps in baseline.maps.items()},
    }
    facts = {
        "layer": baseline.layer,
        "maps": list(baseline.maps),
        "measures": list(baseline.measures),
        "digest": baseline.digest,
        "names": baseline.names,
        "class_names": baseline.class_names,
        "sources": baseline.sources,
        "versions": dict(baseline.versions),
    }
    archive.write(path, "baseline", SCHEMA, arrays, facts)


def read(path: str | os.PathLike[str], make: Callable[[dict[str, Any]], Made]) -> Made:
    """What `make` makes of a file's arguments of `Baseline`; ValueError if it is foreign or damaged."""
    arrays, facts = archive.read(path, "baseline", SCHEMA)
    try:
        return make(_checked(arrays, facts))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} holds no whole baseline ({error}); make it anew") from error


def versions() -> dict[str, str]:
    """What a baseline is made with: of this package, MXNet, NumPy and Python."""
    return {
        "vizcallbacks": __version__,
        "mxnet": version("mxnet"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _checked(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a file holds, if its parts are whole and fit together."""
    methods, measures = (check_texts(name, facts[name]) for name in ("maps", "measures"))
    layout: dict[str, tuple[type, str]] = {
        "targets": (np.signedinteger, "S N"),
        "predictions": (np.signedinteger, "S N"),
        "measures": (np.float64, "M S N"),
        **{f"maps/{method}": (np.float32, "S N h w") for method in methods},
    }
    lengths = check_arrays(arrays, layout)
    digest, layer, versions = facts["digest"], facts["layer"], facts["versions"]
    if not methods or len(set(methods)) < len(methods) or len(set(measures)) < len(measures):
        raise ValueError("it must have maps, and each name once")
    if lengths["M"] != len(measures):
        raise ValueError(f"it names {len(measures)} measures, but has {lengths['M']}")
    if min(arrays[name].min() for name in ("targets", "predictions")) < -1:
        raise ValueError("a class is below -1, which stands for none")
    if not isinstance(layer, (str, type(None))) or not isinstance(versions, dict):
        raise ValueError(f"its layer or its versions are none: {layer!r:.80}, {versions!r:.80}")
    return {
        "layer": layer,
        "maps": MappingProxyType({method: arrays[f"maps/{method}"] for method in methods}),
        "targets": arrays["targets"],
        "predictions": arrays["predictions"],
        "measures": MappingProxyType(dict(zip(measures, arrays["measures"]))),
        "digest": check_texts("digest", [digest])[0],
        "names": check_texts("names", facts["names"], lengths["N"]),
        "class_names": check_texts("class_names", facts["class_names"]),
        "sources": check_texts("sources", facts["sources"], lengths["S"]),
        "versions": MappingProxyType(dict(versions)),
    }
