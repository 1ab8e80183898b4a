"""Arguments, checked and converted, as every room needs them."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_numpy(array: Any) -> np.ndarray:
    """The NumPy array of an MXNet one, or of whatever NumPy takes for one."""
    return array.asnumpy() if hasattr(array, "asnumpy") else np.asarray(array)


def pick_evenly(count: int, most: int) -> list[int]:
    """Indices of at most `most` of `count` entries, evenly spaced, the first and the last among them.

    If only one may be picked, it is the last. Halves are rounded up.

    Returns
    -------
    list of int, ascending
    """
    if count < 0 or most < 1:
        raise ValueError(f"count must be at least 0 and most at least 1, got {count} and {most}")
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return [(2 * i * (count - 1) + most - 1) // (2 * (most - 1)) for i in range(most)]


def check_whole(name: str, value: Any, least: int = 1, *, optional: bool = False) -> None:
    """Raise ValueError unless `value` is an int, Python's or NumPy's, of at least `least`; a bool is none."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(
            f"{name} must be an int of at least {least}{', or None' if optional else ''}, got {value!r}"
        )
