"""Operators between the compiled pieces of a tape: run where their values lie, walked back without copies.

At the end of a compiled graph, a ReLU or a sum of two values writes into an array of its own, and so does its
backward pass. The first use of that memory costs more than the operator.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..mxnet_door import autograd, mx
from .graph import Node


@dataclass(frozen=True)
class ByHand:
    """How such an operator is run.

    Attributes
    ----------
    forward : callable
        (inputs, number of the input to write over or None) -> output.
    backward : callable
        (gradient at the output, output, the function that `Piece.backward` gets, number of inputs) -> gradients at
        the inputs.
    fresh : bool
        Whether these are arrays that nobody else holds.
    """

    forward: Callable[[Sequence, int | None], Any]
    backward: Callable[[Any, Any, Callable[[], Any], int], list]
    fresh: bool

    def run(self, inputs: Sequence, over: int | None) -> Any:
        """The output, without a record; written over the input of that number, whose values are gone then."""
        with autograd.pause():
            return self.forward(inputs, over)


def added(first: Any, second: Any, over: int | None) -> Any:
    """The sum of two arrays, in oneDNN's layouts where they have such; written over the one of that number.

    oneDNN adds in place to the first only: MXNet would copy the sum into the second.
    """
    if over is None:
        return mx.nd.elemwise_add(first, second)
    into, other = (first, second) if over == 0 else (second, first)
    return mx.nd.elemwise_add(into, other, out=into.detach())


def _relu(inputs: Sequence, over: int | None) -> Any:
    return mx.nd.Activation(inputs[0], act_type="relu", out=None if over is None else inputs[0].detach())


def _sum(inputs: Sequence, over: int | None) -> Any:
    return added(inputs[0], inputs[1], over)


def _relu_back(gradient: Any, output: Any, spare: Callable[[], Any], count: int) -> list:
    name, values = "_backward_Activation", [gradient, output]
    run = mx.nd._internal._imperative_invoke
    return [run(_handle(name), values, ["act_type"], ["relu"], spare(), False, False)]


def _sum_back(gradient: Any, output: Any, spare: Callable[[], Any], count: int) -> list:
    return [gradient] * count


@cache
def _handle(name: str) -> Any:
    """MXNet's for an operator of which it makes no function in Python."""
    found = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.NNGetOpHandle(mx.base.c_str(name), ctypes.byref(found)))
    return found.value


RELU = ByHand(_relu, _relu_back, fresh=True)
SUM = ByHand(_sum, _sum_back, fresh=False)


def by_hand(node: Node) -> ByHand | None:
    """How an operator is run by hand; None if it is not."""
    if node.op == "elemwise_add":
        return SUM
    return RELU if node.op == "Activation" and node.attrs["act_type"] == "relu" else None
