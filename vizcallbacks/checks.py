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


def check_step(step: Any) -> int:
    """The step as Python's int; ValueError unless it is a whole number that TensorBoard's files can hold."""
    check_whole("step", step, 0)
    if step >= 2**63:
        raise ValueError(f"step must be below 2**63, got {step}; count epochs or batches")
    return int(step)


_KINDS = {"f": "real numbers", "i": "whole numbers", "b": "booleans", "U": "strings"}


def check_array(name: str, array: Any, kinds: str, axes: str, **lengths: int) -> None:
    """Raise ValueError unless an array that came from a file or a user has the right type and shape.

    Parameters
    ----------
    kinds : str
        NumPy's letters of the types allowed: "f", "i", "b", "U".
    axes : str
        A letter for each axis, such as "Nhw".
    **lengths
        The lengths that are known, such as N=12.
    """
    array = np.asarray(array)
    fits = len(axes) == array.ndim and all(lengths.get(a, n) == n for a, n in zip(axes, array.shape))
    if not fits or array.dtype.kind not in kinds or not array.size:
        shape = ", ".join(str(lengths.get(axis, axis)) for axis in axes)
        allowed = " or ".join(_KINDS[kind] for kind in kinds)
        raise ValueError(
            f"{name} must be {allowed} of shape ({shape}), got {array.dtype} of shape {array.shape}"
        )
