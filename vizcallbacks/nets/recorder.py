"""The watch that notes one untouched run of a net: what blocks return, and what MXNet computes for them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..mxnet_door import autograd, gluon, mx
from .alike import alike, different
from .blocks import named
from .graph import Entry, ordered
from .nested import arrays_in
from .operators import DrawsError, drawing, known
from .purity import Writes, shared
from .tracing import Tracer, graph_of_block, without_hooks
from .watching import operator_name, unwatched


@dataclass(frozen=True)
class BlockGraph:
    """The symbol graph of a hybridized block, compiled: in the record, it takes the place of the block's one node.

    Made once for each set of arguments that are given.

    Attributes
    ----------
    run : CachedOp
        From arrays for `names` to `heads`.
    names : list of str
        Its inputs.
    places : list of int or Parameter
        What they are: an argument by its number, or a parameter.
    heads : list of Entry
        What the block returns, laid flat.
    runs : list of (layer, Entry)
        Each run of a layer in it, with its output.
    form : list
        How Gluon nests what it returns.
    """

    run: Any
    names: list[str]
    places: list[Any]
    heads: list[Entry]
    runs: list[tuple[Any, Entry]]
    form: Any


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
    inputs : dict of int to NDArray
        What operators took, by identity; the arrays are kept, so that no identity is given again.
    then : dict of int to NDArray
        Copies of those whose memory was written afterwards, or is to be put back.
    clean : dict of int to NDArray
        Arrays that other images would leave the same: parameters, and what is computed from these alone.
    trained : list of NDArray
        Results of operators that ran in train mode.
    runs : list of (Conv2D or BlockGraph, list of NDArray, bool or None)
        Runs of layers, and of the graphs of hybridized blocks, with what they returned and, for graphs, the mode.
    functions : list of (autograd.Function, list of NDArray)
    steps : list of (str, list of NDArray)
        What each block returned, with its place.
    again : bool
        Whether the net looked at no values that depend on the images.
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
        self.inputs: dict[int, Any] = {}
        self.then: dict[int, Any] = {}
        self.clean: dict[int, Any] = {}
        self._results: set[int] = set()
        self.trained: list[Any] = []
        self.runs: list[tuple[Any, list, Any]] = []
        self.functions: list[tuple[Any, list]] = []
        self.steps: list[tuple[str, list]] = []
        self.again = True

    def parameters(self, arrays: Sequence) -> None:
        """Take in the net's parameters: constants of the graph that other images share."""
        self._seen(arrays)
        self.clean.update({id(one): one for one in arrays})

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
        self.steps.append((path, arrays_in(output)))
        if isinstance(block, gluon.nn.Conv2D) and isinstance(output, mx.nd.NDArray):
            self.runs.append((block, [output], None))
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
        if autograd.is_recording() and any(node.control for node in ordered(graph.heads)):
            return self._unrolled(block, args, graph, inputs)
        clean = self._seen(inputs)
        output = graph.run(*inputs)
        outputs = [output] if isinstance(output, mx.nd.NDArray) else list(output)
        self._made(outputs, clean)
        self.runs.append((graph, outputs, training))
        return gluon.block._regroup(outputs, graph.form)

    def _unrolled(self, block: gluon.HybridBlock, args: tuple, graph: BlockGraph, inputs: list) -> Any:
        """Run a hybridized block with control flow as if it were not hybridized.

        MXNet walks the graph of control flow backwards only once, and its activations are out of reach.
        """
        if isinstance(block, gluon.SymbolBlock):
            raise ValueError(
                f"{named(self._place)} is a closed graph with control flow, whose inside cannot be read; build it "
                "from its Gluon definition and load the parameters into that"
            )
        active = block.__dict__["_active"]
        block.__dict__["_active"] = False
        try:
            output = gluon.HybridBlock.forward(block, *args)
        finally:
            block.__dict__["_active"] = active
        with autograd.pause(train_mode=autograd.is_training()), unwatched():
            if not alike(output, graph.run(*inputs)):
                raise different(self._place)
        return output

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
        given = [] if out is None else arrays_in(out)
        for array in given:
            self._written(array)
        if training or not (autograd.is_recording() or clean):
            self.modes.append(f"{named(self._place)} runs {op} in an autograd mode of its own")
        result = native(handle, inputs, keys, values, out, *rest)
        outputs = arrays_in(result)
        if training and facts.rewrite is not None:
            self.trained.append(outputs[0])
        if given:
            for array in given:
                self.clean.pop(id(array), None)
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
        self.clean.pop(id(array), None)
        native(array, source)

    def read(self, native: Callable, array: Any) -> Any:
        """Let values be read: what the net does then may depend on them."""
        self.again = self.again and id(array) in self.clean
        return native(array)

    def function(self, native: Callable, function: Any, *inputs: Any) -> Any:
        """Let a function in Python with a backward of its own run; it keeps what its backward needs."""
        clean, recording = self._seen(inputs), autograd.is_recording()
        result = native(function, *inputs)
        outputs = arrays_in(result)
        if recording:
            self.functions.append((function, outputs))
            self.again = False
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
            if id(array) not in self.inputs:
                self.inputs[id(array)] = array
                if id(array) not in self._results and self.writes.share(array):
                    self._hold(array)
        return all(id(array) in self.clean for array in inputs)

    def _made(self, outputs: Sequence, clean: bool) -> None:
        for array in outputs:
            self.writes.made(array)
            self._results.add(id(array))
            if clean:
                self.clean[id(array)] = array

    def _written(self, array: Any, by_block: bool = True) -> None:
        """Keep what is about to be written, and what was computed with that holds the same memory."""
        if array in self.writes:
            return
        for key, one in self.inputs.items():
            if key not in self.then and (one is array or (key not in self._results and shared(one, array))):
                self._hold(one)
        self.writes.before(array, self._place if by_block else None)

    def _hold(self, array: Any) -> None:
        with autograd.pause(), unwatched():
            self.then[id(array)] = array.copy()
