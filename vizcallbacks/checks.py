"""Arguments, checked and converted, as every room needs them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

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


def check_arrays(arrays: Mapping[str, Any], layout: Mapping[str, tuple[type, str]]) -> dict[str, int]:
    """Raise ValueError unless arrays, as read from a file, have the types and shapes of a layout.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    layout : mapping of str to (type, str)
        Name -> the NumPy type of its values, such as ``numpy.float32`` or ``numpy.integer``, and its axes,
        "N h w". A capital letter stands for the same length in every array, a small one for any. No length is 0.

    Returns
    -------
    dict of str to int
        Capital letter -> length.

    Examples
    --------
    >>> layout = {"images": (np.floating, "N c h w"), "labels": (np.integer, "N")}
    >>> check_arrays({"images": np.zeros((2, 3, 8, 8)), "labels": np.array([0, 1])}, layout)
    {'N': 2}
    >>> check_arrays({"images": np.zeros((2, 3, 8, 8)), "labels": np.array([0, 1, 2])}, layout)
    Traceback (most recent call last):
    ...
    ValueError: 'labels' must be integer (N) with N = 2, but is int64 (3,)
    """
    lengths: dict[str, int] = {}
    for name, (kind, axes) in layout.items():
        array = arrays.get(name)
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name!r} is missing")
        letters = axes.split()
        fits = np.issubdtype(array.dtype, kind) and array.ndim == len(letters) and 0 not in array.shape
        found = dict(zip(letters, array.shape))
        if not fits or any(lengths.get(letter, length) != length for letter, length in found.items()):
            known = ", ".join(f"{letter} = {lengths[letter]}" for letter in letters if letter in lengths)
            raise ValueError(
                f"{name!r} must be {kind.__name__} ({', '.join(letters)}){' with ' * bool(known)}{known}, "
                f"but is {array.dtype} {array.shape}"
            )
        lengths.update((letter, length) for letter, length in found.items() if letter.isupper())
    return lengths


def check_texts(name: str, value: Any, count: int | None = None) -> tuple[str, ...]:
    """A list of texts as a tuple, of `count` if that is given; ValueError if it is anything else."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{name} must be a list of texts, got {value!r:.80}")
    if count is not None and len(value) != count:
        raise ValueError(f"{name} must be {count} texts, got {len(value)}")
    return tuple(value)


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """ "; did you mean 'layer'?" for the closest of the names that are known; "" where none is close."""
    close = get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


Named = TypeVar("Named", bound=Callable[..., Any])


def names_arguments(function: Named) -> Named:
    """Let a function, or a class by its ``__init__``, name the keyword closest to one that it does not have.

    It raises TypeError in the name of what the user called.
    """
    known = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    owner = function.__qualname__.replace(".__init__", "").split("<locals>.")[-1]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                hint = did_you_mean(name, known) or f"; it takes {', '.join(known)}"
                raise TypeError(f"{owner}() has no argument {name!r}{hint}")
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]
