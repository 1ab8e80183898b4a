"""A net -> the graph of its operators, by running it once on symbols instead of arrays.

Nothing is computed and the net is left as it is. What a trace cannot hold is refused (`UntraceableError`): Python
code that looks at values, and blocks whose forward is their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..mxnet_door import autograd, gluon, mx
from .blocks import GraphLayer, block_paths, conv_layers, named, parameters_of
from .graph import INPUT, Entry, NetGraph, Node, ordered, read, rewired
from .nested import flattened, symbols_in

MARK = "vizcallbacks_mark_"


class UntraceableError(Exception):
    """Why a net cannot be traced."""


class Tracer:
    """What instrumented blocks tell of the symbols that they return.

    Attributes
    ----------
    marks : list of (Conv2D, Symbol)
        Each run of a layer, marked.
    steps : list of Symbol
        What each block returned, in the order in which they ended.
    """

    def __init__(self) -> None:
        self.marks: list[tuple[gluon.nn.Conv2D, Any]] = []
        self.steps: list[Any] = []

    def call(self, block: gluon.Block, run: Callable, args: tuple, kwargs: dict):
        """Run a block, and mark what a Conv2D returns; each run has a mark of its own."""
        with without_hooks(block):
            output = run(*args, **kwargs)
        self.steps += symbols_in(output)
        if not isinstance(block, gluon.nn.Conv2D) or not isinstance(output, mx.sym.Symbol):
            return output
        marked = mx.sym.identity(output.as_nd_ndarray(), name=f"{MARK}{len(self.marks)}")
        marked = marked.as_np_ndarray() if mx.util.is_np_array() else marked
        self.marks.append((block, marked))  # its name has the prefix of the block that is under way
        return marked

    def call_graph(self, block: gluon.HybridBlock, args: tuple):
        """Refuse arrays: a trace has none."""
        raise UntraceableError(f"block {block.name!r} is called on arrays while it is traced")


def check_traceable(net: gluon.Block, blocks: Sequence[tuple[gluon.Block, str]]) -> None:
    """Raise UntraceableError for nets whose forward pass is Python, and for NumPy arrays."""
    if mx.util.is_np_array():
        raise UntraceableError("mx.npx.set_np() is on")
    # Gluon itself traces what is inside a hybridized net, whatever it is
    for block, path in blocks[:1] if runs_its_graph(net) else blocks:
        if not isinstance(block, gluon.HybridBlock) or not (
            type(block).forward is gluon.HybridBlock.forward or isinstance(block, gluon.SymbolBlock)
        ):
            raise UntraceableError(f"{named(path)} has a forward of its own")


def runs_its_graph(net: gluon.Block) -> bool:
    """Whether a net is hybridized, so that it runs its symbol graph in training."""
    return isinstance(net, gluon.SymbolBlock) or (
        bool(getattr(net, "_active", False)) and type(net).forward is gluon.HybridBlock.forward
    )


def trace(net: gluon.Block, tracer: Tracer, inputs: int, context: Any) -> NetGraph:
    """Trace a net whose instrumented blocks tell `tracer`.

    Parameters
    ----------
    net : gluon.Block
    tracer : Tracer
    inputs : int
        How many it takes.
    context : Context
        Where its parameters are to be taken from.

    Raises
    ------
    UntraceableError
    """
    blocks = block_paths(net)
    check_traceable(net, blocks)
    variables = [mx.sym.var(f"{INPUT}{number}") for number in range(inputs)]
    flat: list = []
    try:
        # a name manager of its own: the names that blocks and symbols get later must not move
        with mx.name.NameManager(), autograd.record(train_mode=False):
            outputs = net(*variables)
            regroup = flattened(outputs, flat, mx.sym.Symbol)
    except UntraceableError:
        raise
    except Exception as error:  # whatever a net's own code does with a symbol that it takes for an array
        raise UntraceableError(f"{type(error).__name__}: {error}") from error
    ends, runs = read_marked([*flat, *tracer.steps], tracer.marks, blocks)
    count = sum(len(one.list_outputs()) for one in flat)
    heads, steps = ends[:count], ends[count:]
    arrays = {one.name: one.data(context) for one in parameters_of(blocks)}
    for node in ordered([*heads, *(entry for _, entry in runs)]):
        if node.control:
            raise UntraceableError("its graph holds control flow, whose inside cannot be read")
        if node.is_variable and node.name not in arrays and not node.name.startswith(INPUT):
            raise UntraceableError(f"it uses {node.name!r}, which is no parameter of its blocks")
    return NetGraph(heads, runs, [], regroup, arrays, steps=steps)


def read_marked(
    outputs: Sequence, marks: Sequence[tuple[Any, Any]], blocks: Sequence[tuple[gluon.Block, str]]
) -> tuple[list[Entry], list[tuple[Any, Entry]]]:
    """The graph of symbols without the marks, and the runs of layers that were marked or are in closed graphs."""
    ends = read(mx.sym.Group([*outputs, *(symbol for _, symbol in marks)]))
    heads = ends[: len(ends) - len(marks)]
    at_marks: dict[Entry, Entry] = {end: end[0].inputs[0] for end in ends[len(heads) :]}
    runs = [(block, at_marks[end]) for (block, _), end in zip(marks, ends[len(heads) :])]
    rewired(ends, at_marks)
    heads = [behind(entry, at_marks) for entry in heads]
    runs = [(block, behind(entry, at_marks)) for block, entry in runs]
    closed = {one.node: one for one in conv_layers(blocks).values() if isinstance(one, GraphLayer)}
    if closed:
        nodes = ordered([*heads, *(entry for _, entry in runs)])
        order: dict[Node, int] = {node: place for place, node in enumerate(nodes)}
        inside = [(closed[node.name], (node, 0)) for node in nodes if node.name in closed]
        runs = sorted([*runs, *inside], key=lambda run: order[run[1][0]])
    return heads, runs


def behind(entry: Entry, at_marks: dict[Entry, Entry]) -> Entry:
    while entry in at_marks:
        entry = at_marks[entry]
    return entry


@contextmanager
def without_hooks(block: gluon.Block) -> Iterator[None]:
    """Run a block without its forward hooks: they are the user's, may count, and must not see the pass."""
    hooks = {name: block.__dict__[name] for name in ("_forward_hooks", "_forward_pre_hooks")}
    if not any(hooks.values()):
        yield
        return
    try:
        block.__dict__.update({name: type(one)() for name, one in hooks.items()})
        yield
    finally:
        block.__dict__.update(hooks)


def graph_of_block(
    block: gluon.HybridBlock, args: tuple, tracer: Tracer
) -> tuple[Any, list[Any], list[tuple[Any, Entry]], list[Entry]]:
    """The symbol graph that a hybridized block runs.

    Parameters
    ----------
    block : HybridBlock
    args : tuple
        What it is called with.
    tracer : Tracer
        That the block's children tell.

    Returns
    -------
    symbol : Symbol
    places : list of int or Parameter
        What each input of the symbol is: an argument, arguments laid flat and without None, or a parameter.
    runs : list of (layer, Entry)
    heads : list of Entry
    """
    blocks = block_paths(block)
    cached = block._cached_graph
    if isinstance(block, gluon.SymbolBlock):
        inputs, symbol = cached
        heads, runs = read_marked([symbol], [], blocks)
    else:
        block.__dict__["_cached_graph"] = ()
        try:
            with mx.name.NameManager():
                inputs, fresh = block._get_graph(*args)
        finally:
            if cached:
                block.__dict__["_cached_graph"] = cached
        heads, runs = read_marked([fresh], tracer.marks, blocks)
        symbol = fresh
        if cached:
            inputs, symbol = cached
            heads, runs = _found_in(read(symbol), heads, runs, blocks)
    numbers = {one.name: number for number, one in enumerate(inputs)}
    parameters = {one.name: one for one in parameters_of(blocks)}
    parameters.update({one.name: one for is_arg, one in block._cached_op_args if not is_arg})
    places = [numbers[name] if name in numbers else parameters[name] for name in symbol.list_inputs()]
    return symbol, places, runs, heads


def _found_in(
    heads: list[Entry], fresh: list[Entry], runs: list[tuple[Any, Entry]], blocks: Sequence[tuple[Any, str]]
) -> tuple[list[Entry], list[tuple[Any, Entry]]]:
    """Where the runs of a fresh trace are in the graph that a block has kept: it is this that runs.

    The same place where both graphs are alike; else by the names that Gluon gives.
    """
    mine, theirs = ordered(heads), ordered(fresh)
    if wiring(heads) == wiring(fresh):
        same = dict(zip(theirs, mine))
        return heads, [(layer, (same[node], output)) for layer, (node, output) in runs if node in same]
    convs = [one for one in conv_layers(blocks).values() if isinstance(one, gluon.nn.Conv2D)]
    names = {f"{(one if one.act is None else one.act).name}_fwd": one for one in convs}
    return heads, [(names[node.name], (node, 0)) for node in mine if node.name in names]


def wiring(heads: list[Entry]) -> list[tuple]:
    """What a graph computes, whatever the names of its operators."""
    nodes = ordered(heads)
    places = {node: place for place, node in enumerate(nodes)}
    return [
        (
            node.op,
            node.name if node.is_variable else "",
            node.attrs,
            [(places[source], output) for source, output in node.inputs],
        )
        for node in nodes
    ]
