"""What a net returns, arrays in nested lists, tuples, named tuples and mappings: laid flat, and nested again."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np

from ..mxnet_door import mx

PLAIN = (str, numbers.Number, np.ndarray, np.generic, type(None))
"""What a net may return beside arrays of MXNet: it is handed on as it is."""


def arrays_in(outputs: Any) -> list[Any]:
    """The arrays of MXNet in what a net or block returned, in their order; anything else is left out."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return [array for part in outputs for array in arrays_in(part)]
    return [outputs] if isinstance(outputs, mx.nd.NDArray) else []


def symbols_in(outputs: Any) -> list[Any]:
    """The symbols in what a block returned when it was traced, each of one output."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return [symbol for part in outputs for symbol in symbols_in(part)]
    return [outputs[i] for i in range(_count(outputs))] if isinstance(outputs, mx.sym.Symbol) else []


def rows_of(outputs: Any, rows: slice) -> Any:
    """What a net returned, of some of its images only."""
    flat: list[Any] = []
    regroup = flattened(outputs, flat, mx.nd.NDArray)
    return regroup([array[rows] for array in flat])


def flattened(outputs: Any, flat: list, kind: type) -> Callable[[list], Any]:
    """Lay nested outputs flat.

    Parameters
    ----------
    outputs
        What the net returned.
    flat : list
        Gets those of `kind`, in their order.
    kind : type
        NDArray or Symbol.

    Returns
    -------
    callable
        Nests a flat list of values as the outputs were.

    Raises
    ------
    ValueError
        The net returns an object of another kind, whose arrays cannot be found.
    """
    if isinstance(outputs, Mapping):
        parts, empty = {key: flattened(part, flat, kind) for key, part in outputs.items()}, _emptied(outputs)
        return lambda values: _filled(empty, {key: part(values) for key, part in parts.items()})
    if isinstance(outputs, (list, tuple)):
        made, listed = type(outputs), [flattened(part, flat, kind) for part in outputs]
        if hasattr(made, "_fields"):
            return lambda values: made(*(part(values) for part in listed))
        return lambda values: made(part(values) for part in listed)  # type: ignore[call-arg]
    if isinstance(outputs, PLAIN):
        return lambda values: outputs
    if not isinstance(outputs, kind):
        raise ValueError(
            f"the net must return arrays, or lists, tuples and dicts of them, but returned a "
            f"{type(outputs).__name__}; explain a gluon.Block around it whose forward returns a dict of its arrays"
        )
    places = sum(map(_count, flat))
    flat.append(outputs)
    count = _count(outputs)
    if count == 1:
        return lambda values: values[places]
    return lambda values: list(values[places : places + count])


def _count(one: Any) -> int:
    return len(one.list_outputs()) if isinstance(one, mx.sym.Symbol) else 1


def _emptied(outputs: Mapping) -> Mapping:
    """A mapping of the same class, where it can be changed, so that attributes of its own stay usable."""
    if not isinstance(outputs, MutableMapping):
        return {}
    empty = copy.copy(outputs)
    empty.clear()
    return empty


def _filled(empty: Any, values: dict) -> Mapping:
    made = copy.copy(empty)
    made.update(values)
    return made
