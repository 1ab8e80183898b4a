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
from ..checks import check_texts
from ..version import __version__
from .measured_file import checked_parts, parts_of

SCHEMA = 1
Made = TypeVar("Made")


def write(path: str | os.PathLike[str], baseline: Any) -> None:
    """Write a `Baseline` to one .npz file, whole or not at all (OSError)."""
    arrays, facts = parts_of(baseline)
    own = {
        "names": baseline.names,
        "class_names": baseline.class_names,
        "sources": baseline.sources,
        "versions": dict(baseline.versions),
    }
    archive.write(path, "baseline", SCHEMA, arrays, {**facts, **own})


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
    parts, lengths = checked_parts(arrays, facts, "S N")
    versions = facts["versions"]
    if not parts["maps"]:
        raise ValueError("it must have maps")
    if min(arrays[name].min() for name in ("targets", "predictions")) < -1:
        raise ValueError("a class is below -1, which stands for none")
    if not isinstance(versions, dict):
        raise ValueError(f"versions must be names with their versions, got {versions!r:.80}")
    return {
        **parts,
        "names": check_texts("names", facts["names"], lengths["N"]),
        "class_names": check_texts("class_names", facts["class_names"]),
        "sources": check_texts("sources", facts["sources"], lengths["S"]),
        "versions": MappingProxyType(dict(versions)),
    }
