"""A net's graph in other forms: the same values, but other numbers where a gradient would walk back.

A rule of propagation is written as operators. `BlockGrad` keeps a value from the gradient, so that
``value + multiplier * (x - BlockGrad(x))``, value and multiplier kept so, is the value, and its derivative the
multiplier. The form is then compiled and walked like any other graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..mxnet_door import autograd
from .compiled import CompiledNet
from .folding import fold, rewritten
from .graph import Entry, Node, cloned, ordered, rewired
from .planning import Wanted
from .tape import Forward


def prepared(compiled: CompiledNet) -> tuple[list[Entry], dict[str, Any]]:
    """A copy of a net's graph as it is run for gradients, BatchNorms folded, and its arrays by name."""
    heads, _ = cloned(compiled.graph.heads)
    heads, folding = fold(rewritten(heads))
    # where a compiled piece ends in a bare sum, MXNet may find no storage type for its gradient
    sums = [node for node in ordered(heads) if node.op in SUMS]
    ends: dict[Entry, Entry] = {(node, 0): op("identity") for node in sums}
    heads = rewired(heads, ends)
    for entry, (end, _) in ends.items():
        end.inputs = [entry]
    return heads, {**compiled.graph.arrays, **folding.arrays(compiled.graph.arrays)}


def variant(compiled: CompiledNet, heads: Sequence[Entry], arrays: Mapping[str, Any]) -> CompiledNet:
    """Another form of a net: other heads and arrays, the same inputs and structure of outputs."""
    graph = replace(compiled.graph, heads=list(heads), runs=[], silent=[], arrays=arrays)
    return CompiledNet(graph)


def walked(
    compiled: CompiledNet, inputs: Sequence, choose: Any, taps: Sequence[Entry] = (), guided: bool = False
) -> tuple[Forward, Any]:
    """Run a net for walks down to the image, and close the record with the score.

    Parameters
    ----------
    compiled : CompiledNet
    inputs : sequence of NDArray
        The images first.
    choose : callable
        The net's outputs -> (n,) scores.
    taps : sequence of Entry
        Of its graph: whose values and gradients are wanted; they are in the pass's `ran`, in this order.
    guided : bool

    Returns
    -------
    Forward
    NDArray, (n,)
        The scores.
    """
    run = compiled.forward(inputs, [(entry, entry) for entry in taps], Wanted(guided=guided))
    with autograd.record(train_mode=False):
        score = choose(run.outputs).as_nd_ndarray()
    run.tape.close(score)
    return run, score


def op(name: str, *inputs: Entry, **attrs: Any) -> Entry:
    """The output of a new operator."""
    return Node(name, name, {key: str(value) for key, value in attrs.items()}, list(inputs)), 0


def kept(entry: Entry) -> Entry:
    """A value without its gradient."""
    return op("BlockGrad", entry)


SUMS = ("elemwise_add", "_npi_add", "add_n", "broadcast_add")


def summed(one: Entry, other: Entry) -> Entry:
    """The sum of two values of one shape."""
    return op("identity", op("elemwise_add", one, other))


def passing(value: Entry, multiplier: Entry | None, source: Entry) -> Entry:
    """The value, through which the gradient comes to `source` times `multiplier`, all of one shape.

    Without a multiplier the gradient passes as it is.
    """
    change = op("elemwise_sub", source, kept(source))
    if multiplier is not None:
        change = op("elemwise_mul", kept(multiplier), change)
    return summed(kept(value), change)
