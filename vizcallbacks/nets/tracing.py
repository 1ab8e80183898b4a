"""A net -> the graph of its operators, by running it once on symbols instead of arrays.

Nothing is computed and the net is left as it is. What a trace cannot hold is refused (`UntraceableError`): Python
code that looks at values, and blocks that run a part in another mode of `autograd`, which a graph does not record.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from ..mxnet_door import autograd, gluon, mx
from .blocks import ConvLayer, GraphLayer, conv_layers
from .graph import Entry, Node, ordered, read, replace
from .layers import Operators

INPUT, MARK = "vizcallbacks_input_", "vizcallbacks_mark_"


class UntraceableError(Exception):
    """Why a net cannot be traced."""


@dataclass(frozen=True)
class Trace:
    """A net's graph, and where its layers are in it.

    Attributes
    ----------
    heads : list of Entry
        What the net returns, nested lists and tuples laid flat.
    layers : dict of layer to Entry
        The outputs of those Conv2D that the heads depend on, in the order in which they run.
    regroup : callable
        Flat list of what the heads give -> nested as the net returns it.
    """

    heads: list[Entry]
    layers: dict[ConvLayer, Entry]
    regroup: Callable[[list], Any]


class Tracer:
    """What instrumented blocks tell of the symbols that they return, in the place of a `Tape`."""

    def __init__(self) -> None:
        self.marks: dict[str, gluon.nn.Conv2D] = {}

    def operators(self, F, block: str):
        """MXNet's functions of symbols, for a block that calls them in the mode that the graph will run in."""

        def instead(name, native):
            return functools.partial(_traced, native, block) if isinstance(native, FunctionType) else native

        return Operators(F, instead)

    def finish(self, block: gluon.Block, output):
        """Mark a Conv2D's output; a layer that runs several times has a mark for each."""
        if not isinstance(block, gluon.nn.Conv2D):
            return output
        marked = mx.sym.identity(output, name=f"{MARK}{len(self.marks)}")
        self.marks[marked.name] = block  # with the prefix of the block that is under way
        return marked


def check_traceable(blocks: Iterable[tuple[gluon.Block, str]]) -> None:
    """Raise UntraceableError for blocks whose forward pass is Python of their own, and for NumPy arrays."""
    if mx.util.is_np_array():
        raise UntraceableError("mx.npx.set_np() is on")
    for block, path in blocks:
        own = not isinstance(block, gluon.HybridBlock) or (
            type(block).forward is not gluon.HybridBlock.forward and not isinstance(block, gluon.SymbolBlock)
        )
        if own:
            raise UntraceableError(f"block {path!r} has a forward of its own")


def trace(run: Callable, tracer: Tracer, inputs: int, blocks: list[tuple[gluon.Block, str]]) -> Trace:
    """Trace a net whose instrumented blocks tell `tracer`.

    Parameters
    ----------
    run : callable
        The net.
    inputs : int
        How many it takes.
    blocks : list of (Block, str)
        Its blocks with their paths.

    Raises
    ------
    UntraceableError
    """
    check_traceable(blocks)
    variables = [mx.sym.var(f"{INPUT}{number}") for number in range(inputs)]
    try:
        # a name manager of its own: the names that blocks and symbols get later must not move
        with mx.name.NameManager(), autograd.record(train_mode=False):
            outputs = run(*variables)
        flat: list = []
        regroup = _flattened(outputs, flat)
        heads = read(mx.sym.Group(flat).tojson())
    except UntraceableError:
        raise
    except Exception as error:  # whatever a net's own code does with a symbol that it takes for an array
        raise UntraceableError(f"{type(error).__name__}: {error}") from error
    return _marked(heads, tracer.marks, blocks, regroup)


def _traced(native, block, *args, **kwargs):
    if autograd.is_training() or not autograd.is_recording():
        raise UntraceableError(f"block {block!r} runs {native.__name__} in an autograd mode of its own")
    return native(*args, **kwargs)


def _flattened(outputs, flat: list) -> Callable[[list], Any]:
    """Lay nested outputs flat; return what nests them again."""
    if isinstance(outputs, (list, tuple)):
        kind, parts = type(outputs), [_flattened(part, flat) for part in outputs]
        return lambda values: kind(part(values) for part in parts)
    if not isinstance(outputs, mx.sym.Symbol):
        raise UntraceableError(f"the net returns a {type(outputs).__name__}")
    first, count = len(flat), len(outputs.list_outputs())
    flat.append(outputs)
    places = sum(len(one.list_outputs()) for one in flat[:first])
    if count == 1:
        return lambda values: values[places]
    return lambda values: list(values[places : places + count])


def _marked(heads: list[Entry], marks, blocks, regroup) -> Trace:
    """Take the marks out of the graph, and note what they marked."""
    nodes = ordered(heads)
    at_marks = {node.name: node.inputs[0] for node in nodes if node.name in marks}
    layers: dict[ConvLayer, Entry] = {}
    for name, block in marks.items():
        if name in at_marks:
            layers.pop(block, None)  # a shared layer counts where it ran last
            layers[block] = at_marks[name]
    closed = {layer.node: layer for layer in conv_layers(blocks).values() if isinstance(layer, GraphLayer)}
    inside = {closed[node.name]: (node, 0) for node in nodes if node.name in closed}
    places: dict[Entry, Entry] = {(node, 0): at_marks[node.name] for node in nodes if node.name in at_marks}
    heads = replace(heads, places)
    if inside:
        order: dict[Node, int] = {node: place for place, node in enumerate(nodes)}
        layers = dict(sorted({**layers, **inside}.items(), key=lambda item: order[item[1][0]]))
    return Trace(heads, layers, regroup)
