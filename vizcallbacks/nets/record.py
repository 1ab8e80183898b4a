"""One run of a net, untouched, recorded by MXNet's `autograd` -> the graph of what really ran.

Plain Blocks, functions and methods of arrays, `mx.np`, Python that looks at shapes or values: all of it
leaves its operators in the record. Inputs are marked, so that all that depends on them is recorded; the rest
are constants, whose arrays the watch on MXNet's calls keeps. A hybridized block in the midst of it runs its
own symbol graph, by a compiled graph of ours, which is put in the place of its one node.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..mxnet_door import autograd, gluon, mx
from .graph import INPUT, Entry, NetGraph, Node, cloned, ordered, read, replace
from .operators import DrawsError, drawing, known
from .purity import Writes, shared
from .tracing import Tracer, behind, flattened, graph_of_block, named, without_hooks
from .watching import operator_name, unwatched

CONSTANT = "vizcallbacks_constant_"


@dataclass(frozen=True)
class BlockGraph:
    """The symbol graph of a hybridized block, compiled.

    Attributes
    ----------
    run : CachedOp
    names : list of str
        Its inputs.
    places : list of int or Parameter
        What they are: an argument by its number, or a parameter.
    heads : list of Entry
    runs : list of (layer, Entry)
    form : list
        How Gluon nests what it returns.
    """

    run: Any
    names: list[str]
    places: list[Any]
    heads: list[Entry]
    runs: list[tuple[Any, Entry]]
    form: Any


@dataclass(frozen=True)
class Recording:
    """One run of a net.

    Attributes
    ----------
    graph : NetGraph
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


class Recorder:
    """A watch that records one run. Blocks tell it when they run, and MXNet what it computes.

    Parameters
    ----------
    paths : mapping of Block to str
    graphs : dict
        Of hybridized blocks, made by earlier runs; filled.
    trace : callable
        Runs a function while blocks tell the tracer given.

    Attributes
    ----------
    writes : Writes
    modes : list of str
        Calls in another mode of `autograd` than the pass's, in words.
    """

    def __init__(
        self,
        paths: Mapping[Any, str],
        graphs: dict[Any, BlockGraph],
        trace: Callable[[Tracer, Callable[[], Any]], Any],
    ) -> None:
        self.writes = Writes()
        self.modes: list[str] = []
        self._paths, self._graphs, self._trace = paths, graphs, trace
        self._under_way: list[str] = []
        self._inputs: dict[int, Any] = {}
        self._then: dict[int, Any] = {}
        self._clean: dict[int, Any] = {}
        self._results: set[int] = set()
        self._trained: list[Any] = []
        self._runs: list[tuple[Any, list, Any]] = []
        self._functions: list[tuple[Any, list]] = []
        self._steps: list[tuple[str, list]] = []
        self._again = True

    def parameters(self, arrays: Sequence) -> None:
        """Take in the net's parameters: constants of the graph that other images share."""
        self._seen(arrays)
        self._clean.update({id(one): one for one in arrays})

    # What blocks tell

    def call(self, block: gluon.Block, run: Callable, args: tuple, kwargs: dict) -> Any:
        """Run a block, noting that it is under way and what it returns."""
        path = self._paths.get(block, block.name)
        self._under_way.append(path)
        try:
            with without_hooks(block):
                output = run(*args, **kwargs)
        finally:
            self._under_way.pop()
        self._steps.append((path, _arrays(output)))
        if isinstance(block, gluon.nn.Conv2D) and isinstance(output, mx.nd.NDArray):
            self._runs.append((block, [output], None))
        return output

    def call_graph(self, block: gluon.HybridBlock, args: tuple) -> Any:
        """Run the symbol graph of a hybridized block by a compiled graph of ours."""
        flat, _ = gluon.block._flatten(args, "input")
        given = [one for one in flat if one is not None]
        key = (block, tuple(one is None for one in flat))
        if key not in self._graphs:
            tracer = Tracer()
            symbol, places, runs, heads = self._trace(tracer, lambda: graph_of_block(block, args, tracer))
            # without inlining, which would leave the operators of small graphs in the record, one by one
            op = mx.nd.CachedOp(symbol, [("inline_limit", 0)])
            self._graphs[key] = BlockGraph(op, symbol.list_inputs(), places, heads, runs, block._out_format)
        graph, training = self._graphs[key], autograd.is_training()
        for node in ordered(graph.heads):
            self._check(node.op, node.attrs, training)
        inputs = [given[one] if isinstance(one, int) else one.data(given[0].ctx) for one in graph.places]
        for node in ordered(graph.heads):
            writes = known(node.op).writes
            for place in () if writes is None else writes(node.attrs):
                source = node.inputs[place][0]
                if source.is_variable:
                    self._written(inputs[graph.names.index(source.name)], by_block=False)
        clean = self._seen(inputs)
        output = graph.run(*inputs)
        outputs = [output] if isinstance(output, mx.nd.NDArray) else list(output)
        self._made(outputs, clean)
        self._runs.append((graph, outputs, training))
        return gluon.block._regroup(outputs, graph.form)

    # What MXNet tells

    def invoke(
        self, native: Callable, handle: int, inputs: list, keys: list, values: list, out: Any, *rest: Any
    ) -> Any:
        """Let an operator run, unless it would draw random numbers."""
        op, training = operator_name(handle), autograd.is_training()
        facts, attrs = known(op), dict(zip(keys, map(str, values)))
        self._check(op, attrs, training)
        clean = self._seen(inputs)
        for place in () if facts.writes is None else facts.writes(attrs):
            self._written(inputs[place], by_block=False)
        given = [] if out is None else _arrays(out)
        for array in given:
            self._written(array)
        if training or not (autograd.is_recording() or clean):
            self.modes.append(f"{named(self._place)} runs {op} in an autograd mode of its own")
        result = native(handle, inputs, keys, values, out, *rest)
        outputs = _arrays(result)
        if training and facts.rewrite is not None:
            self._trained.append(outputs[0])
        if given:
            for array in given:
                self._clean.pop(id(array), None)
        else:
            self._made(outputs, clean)
        return result

    def tensordot(self, native: Callable, *args: Any) -> Any:
        """Let `mx.np.tensordot` run, which has a way of its own."""
        clean = self._seen([one for one in args if isinstance(one, mx.nd.NDArray)])
        result = native(*args)
        self._made([result], clean)
        return result

    def allocate(self, native: Callable, *args: Any, **kwargs: Any) -> Any:
        """Note memory that is made during the pass, and keep it, so that it is not another array's soon."""
        handle, alias = native(*args, **kwargs), ctypes.c_void_p()
        mx.base.check_call(mx.base._LIB.MXNDArrayDetach(handle, ctypes.byref(alias)))
        self.writes.made(mx.nd.NDArray(alias))
        return handle

    def copy_from(self, native: Callable, array: Any, source: Any) -> None:
        """Let values be written into an array."""
        self._written(array)
        self._clean.pop(id(array), None)
        native(array, source)

    def read(self, native: Callable, array: Any) -> Any:
        """Let values be read: what the net does then may depend on them."""
        self._again = self._again and id(array) in self._clean
        return native(array)

    def function(self, native: Callable, function: Any, *inputs: Any) -> Any:
        """Let a function in Python with a backward of its own run; it keeps what its backward needs."""
        clean, recording = self._seen(inputs), autograd.is_recording()
        result = native(function, *inputs)
        outputs = _arrays(result)
        if recording:
            self._functions.append((function, outputs))
            self._again = False
        self._made(outputs, clean)
        return result

    @property
    def _place(self) -> str:
        return self._under_way[-1] if self._under_way else ""

    def _check(self, op: str, attrs: Mapping[str, str], training: bool) -> None:
        draws = known(op).draws
        if draws is not None and draws(attrs, training):
            raise DrawsError(drawing(op, named(self._place)))

    def _seen(self, inputs: Sequence) -> bool:
        """Keep what an operator takes; whether none of it depends on the images or on what came from outside."""
        for array in inputs:
            if id(array) not in self._inputs:
                self._inputs[id(array)] = array
                if id(array) not in self._results and self.writes.share(array):
                    self._hold(array)
        return all(id(array) in self._clean for array in inputs)

    def _made(self, outputs: Sequence, clean: bool) -> None:
        for array in outputs:
            self.writes.made(array)
            self._results.add(id(array))
            if clean:
                self._clean[id(array)] = array

    def _written(self, array: Any, by_block: bool = True) -> None:
        """Keep what is about to be written, and what was computed with that holds the same memory."""
        if array in self.writes:
            return
        for key, one in self._inputs.items():
            if key not in self._then and (one is array or (key not in self._results and shared(one, array))):
                self._hold(one)
        self.writes.before(array, self._place if by_block else None)

    def _hold(self, array: Any) -> None:
        with autograd.pause(), unwatched():
            self._then[id(array)] = array.copy()

    # The graph

    def finish(self, outputs: Any, leaves: Sequence) -> Recording:
        """The graph of the run, which returned `outputs` for the marked inputs `leaves`."""
        flat: list[Any] = []
        regroup = flattened(outputs, flat, mx.nd.NDArray)
        wanted = [*flat, *(one for _, made, _ in self._runs for one in made)]
        steps = [(path, one) for path, made in self._steps for one in made]
        entries = _entries([*wanted, *(one for _, one in steps)])
        names = {name: one for one in self._inputs.values() if (name := _name(one)) is not None}
        arrays = {name: self._then.get(id(one), one).as_nd_ndarray() for name, one in names.items()}
        nodes = ordered(entry for entry in entries if entry is not None)
        given = {_name(leaf): f"{INPUT}{number}" for number, leaf in enumerate(leaves)}
        for node in nodes:
            if node.is_variable and node.name in given:
                node.name = given[node.name]
        self._set_modes(nodes)
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
        found, places = self._inlined(nodes, entries, len(flat))
        replace([entry for entry in entries if entry is not None], places)
        entries = [None if entry is None else behind(entry, places) for entry in entries]
        runs = [(layer, behind(entry, places)) for layer, entry in found]
        heads, again = [], self._again
        for number, (array, entry) in enumerate(zip(flat, entries)):
            if entry is None:
                entry = Node("null", f"{CONSTANT}{number}"), 0
                arrays[entry[0].name] = array.detach().as_nd_ndarray()
                again = again and id(array) in self._clean
            heads.append(entry)
        used = {node.name for node in ordered(heads) if node.is_variable}
        again = again and all(id(one) in self._clean for name, one in names.items() if name in used)
        silent = [
            layer
            for (layer, _, training), entry in zip(self._runs, entries[len(flat) :])
            if training is None and entry is None
        ]
        kinds = [type(one) for one in flat]
        graph = NetGraph(
            heads,
            runs,
            silent,
            lambda values: regroup([_like(one, kind) for one, kind in zip(values, kinds)]),
            arrays,
            self._calls(nodes),
        )
        ends = zip(steps, entries[len(wanted) :])
        return Recording(
            graph, flat, again, [(path, one, entry) for (path, one), entry in ends if entry is not None]
        )

    def _set_modes(self, nodes: Sequence[Node]) -> None:
        trained = {_name(output) for output in self._trained}
        for node in nodes:
            node.training = node.name in trained and not node.is_variable

    def _calls(self, nodes: Sequence[Node]) -> dict[str, tuple[Any, list]]:
        return {
            name: (function, [one.detach().as_nd_ndarray() for one in outputs])
            for function, outputs in self._functions
            if (name := _name(outputs[0])) is not None
        }

    def _inlined(
        self, nodes: Sequence[Node], entries: Sequence[Entry | None], first: int
    ) -> tuple[list[tuple[Any, Entry]], dict[Entry, Entry]]:
        """The runs of layers, and what takes the place of the nodes of compiled graphs."""
        runs: list[tuple[Any, Entry]] = []
        places: dict[Entry, Entry] = {}
        number = first
        ours: set[Node] = set()
        for made, outputs, training in self._runs:
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
            taken = dict(zip(made.names, node.inputs))
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


def _arrays(outputs: Any) -> list[Any]:
    """The arrays in nested lists and tuples."""
    if isinstance(outputs, (list, tuple)):
        return [array for part in outputs for array in _arrays(part)]
    return [outputs] if isinstance(outputs, mx.nd.NDArray) else []


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
    ends = iter(read(mx.sym.Group(symbols).tojson()) if symbols else ())
    return [next(ends) if is_in else None for is_in in recorded]


def _like(array: Any, kind: type) -> Any:
    """An array as one of `mx.np` where the net returned one."""
    return array.as_np_ndarray() if issubclass(kind, mx.np.ndarray) else array
