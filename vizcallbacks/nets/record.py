"""One run of a net, untouched, recorded by MXNet's `autograd` -> the graph of what really ran.

Plain Blocks, functions and methods of arrays, `mx.np`, Python that looks at shapes or values: all of it
leaves its operators in the record. Inputs are marked, so that all that depends on them is recorded; the rest
are constants, whose arrays the `recorder` keeps. A hybridized block in the midst of it runs its own symbol
graph, by a compiled graph of ours, which is put in the place of its one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..mxnet_door import autograd, mx
from .graph import INPUT, Entry, NetGraph, Node, cloned, ordered, read, rewired
from .nested import flattened
from .recorder import BlockGraph, Recorder
from .tracing import behind

CONSTANT = "vizcallbacks_constant_"


@dataclass(frozen=True)
class Recording:
    """One run of a net.

    Attributes
    ----------
    graph : NetGraph
        Of what really ran.
    outputs : list of NDArray
        What the net returned, laid flat.
    again : bool
        Whether other images of the same shape would leave the same graph: the net looked at no values, and
        nothing in the graph was computed from the images without a record.
    steps : list of (str, NDArray, Entry)
        What each block returned, in the order in which they ended, with its place.
    """

    graph: NetGraph
    outputs: list[Any]
    again: bool
    steps: list[tuple[str, Any, Entry]]


def recorded(notes: Recorder, outputs: Any, leaves: Sequence) -> Recording:
    """The graph of a run.

    Parameters
    ----------
    notes : Recorder
        That watched it.
    outputs : NDArray, or what else the net returned
    leaves : sequence of NDArray
        The marked inputs.

    Raises
    ------
    ValueError
        If the record holds what cannot be read: arrays of unknown origin, a compiled graph of the user's own.
    """
    flat: list[Any] = []
    regroup = flattened(outputs, flat, mx.nd.NDArray)
    wanted = [*flat, *(one for _, made, _ in notes.runs for one in made)]
    steps = [(path, one) for path, made in notes.steps for one in made]
    entries = _entries([*wanted, *(one for _, one in steps)])
    names = {name: one for one in notes.inputs.values() if (name := _name(one)) is not None}
    arrays = {name: notes.then.get(id(one), one).detach().as_nd_ndarray() for name, one in names.items()}
    nodes = ordered(entry for entry in entries if entry is not None)
    given = {_name(leaf): f"{INPUT}{number}" for number, leaf in enumerate(leaves)}
    for node in nodes:
        if node.is_variable and node.name in given:
            node.name = given[node.name]
    _set_modes(notes, nodes)
    missing = [
        node.name
        for node in nodes
        if node.is_variable and node.name not in arrays and not node.name.startswith(INPUT)
    ]
    if missing:
        raise ValueError(
            "the net computes with an array that MXNet's operators did not make, which vizcallbacks cannot "
            f"follow ({len(missing)} in all); make it by mx.nd functions, or keep it as a parameter"
        )
    found, places = _inlined(notes, nodes, entries, len(flat))
    rewired([entry for entry in entries if entry is not None], places)
    entries = [None if entry is None else behind(entry, places) for entry in entries]
    runs = [(layer, behind(entry, places)) for layer, entry in found]
    heads, again = [], notes.again
    for number, (array, entry) in enumerate(zip(flat, entries)):
        if entry is None:
            entry = Node("null", f"{CONSTANT}{number}"), 0
            arrays[entry[0].name] = array.detach().as_nd_ndarray()
            again = again and id(array) in notes.clean
        heads.append(entry)
    used = {node.name for node in ordered(heads) if node.is_variable}
    again = again and all(id(one) in notes.clean for name, one in names.items() if name in used)
    silent = [
        layer
        for (layer, _, training), entry in zip(notes.runs, entries[len(flat) :])
        if training is None and entry is None
    ]
    kinds = [type(one) for one in flat]
    graph = NetGraph(
        heads,
        runs,
        silent,
        lambda values: regroup([_like(one, kind) for one, kind in zip(values, kinds)]),
        arrays,
        _calls(notes),
    )
    ends = zip(steps, entries[len(wanted) :])
    return Recording(
        graph, flat, again, [(path, one, entry) for (path, one), entry in ends if entry is not None]
    )


def _set_modes(notes: Recorder, nodes: Sequence[Node]) -> None:
    trained = {_name(output) for output in notes.trained}
    for node in nodes:
        node.training = node.name in trained and not node.is_variable


def _calls(notes: Recorder) -> dict[str, tuple[Any, list]]:
    return {
        name: (function, [one.detach().as_nd_ndarray() for one in outputs])
        for function, outputs in notes.functions
        if (name := _name(outputs[0])) is not None
    }


def _inlined(
    notes: Recorder, nodes: Sequence[Node], entries: Sequence[Entry | None], first: int
) -> tuple[list[tuple[Any, Entry]], dict[Entry, Entry]]:
    """The runs of layers, and what takes the place of the nodes of compiled graphs."""
    runs: list[tuple[Any, Entry]] = []
    places: dict[Entry, Entry] = {}
    number = first
    ours: set[Node] = set()
    for made, outputs, training in notes.runs:
        ends = entries[number : number + len(outputs)]
        number += len(outputs)
        node = next((entry[0] for entry in ends if entry is not None), None)
        if node is None:
            continue
        if not isinstance(made, BlockGraph):
            runs.append((made, ends[0]))  # type: ignore[arg-type]
            continue
        ours.add(node)
        inside = [*made.heads, *(entry for _, entry in made.runs)]
        taken = {name: behind(entry, places) for name, entry in zip(made.names, node.inputs)}
        instead = {(one, 0): taken[one.name] for one in ordered(inside) if one.is_variable}
        copies, _ = cloned(inside, instead, bool(training))
        places.update({(node, place): copy for place, copy in enumerate(copies[: len(made.heads)])})
        runs += [(layer, copy) for (layer, _), copy in zip(made.runs, copies[len(made.heads) :])]
    if any(node.op == "_CachedOp" and node not in ours for node in nodes):
        raise ValueError(
            "the net calls a compiled graph of its own (mx.nd.CachedOp), whose operators are out of reach; "
            "use a hybridized gluon.HybridBlock or a gluon.SymbolBlock in its place"
        )
    return runs, places


def _name(array: Any) -> str | None:
    """The name of the node in the record that made an array; None if it is not in the record."""
    try:
        return autograd.get_symbol(array).name
    except mx.MXNetError as error:
        if "not part of a computation graph" in str(error):
            return None
        raise


def _entries(arrays: Sequence) -> list[Entry | None]:
    """Where arrays are in the record, all in one graph; None for those that are not."""
    recorded = [_name(array) is not None for array in arrays]
    symbols = [autograd.get_symbol(array) for array, is_in in zip(arrays, recorded) if is_in]
    ends = iter(read(mx.sym.Group(symbols)) if symbols else ())
    return [next(ends) if is_in else None for is_in in recorded]


def _like(array: Any, kind: type) -> Any:
    """An array as one of `mx.np` where the net returned one."""
    return array.as_np_ndarray() if issubclass(kind, mx.np.ndarray) else array
