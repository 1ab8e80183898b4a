"""The file of one snapshot: its arrays and facts, written whole, and read back with every part checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import archive
from ..attribution.outputs import check_output
from ..checks import check_step, check_texts
from .measured_file import checked_parts, parts_of

SCHEMA = 1


def write(path: str | os.PathLike[str], snapshot: Any) -> None:
    """Write a `Snapshot` to one .npz file, whole or not at all (OSError)."""
    arrays, facts = parts_of(snapshot)
    own = {
        "step": snapshot.step,
        "when": snapshot.when,
        "relus": list(snapshot.relus),
        "pure": snapshot.pure,
        "output": snapshot.output,
    }
    arrays["confidence"] = snapshot.confidence
    archive.write(path, "snapshot", SCHEMA, arrays, {**facts, **own})


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
    parts, _ = checked_parts(arrays, facts, "N", {"confidence": (np.floating, "N")})
    output = facts.get("output")  # older files have none
    check_output(output)
    relus, pure = facts["relus"], facts.get("pure")
    if not isinstance(pure, (bool, type(None))):
        raise ValueError(f"pure must be true, false or null, got {pure!r:.80}")
    if not isinstance(relus, list) or [type(number) for number in relus] != [int, int]:
        raise ValueError(f"relus must be two whole numbers, got {relus!r:.80}")
    return {
        **parts,
        "step": check_step(facts["step"]),
        "when": check_texts("when", [facts["when"]])[0],
        "relus": (relus[0], relus[1]),
        "pure": pure,
        "output": output,
    }
