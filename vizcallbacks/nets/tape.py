"""One forward pass through a net, in pieces that can be walked backwards more than one way.

Guided backpropagation needs another backward at every ReLU. An operator written in Python would be the usual
way; on MXNet 1.9.1 it reads memory that has been freed and returns wrong numbers. So no operator is replaced
at all: the net's graph is cut behind each activation (`compiled`), and each piece ends there. A *leaf* holds
the same values as the output before it but starts a new piece of record. A walk takes the pieces from the
last to the first, hands each the gradient that has arrived at its leaf, and may rectify it on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mxnet_door import autograd, mx
from .arrived import Arrived
from .by_hand import ByHand
from .graph import ordered
from .pieces import Leaf, Piece, backward_in_python, backward_of, marked, record_of, starts_of


class IndependentError(ValueError):
    """The score does not depend on where the record starts: the image, or the layers asked for."""


@dataclass
class Forward:
    """One forward pass through a net.

    Attributes
    ----------
    tape : Tape
    images : NDArray or None
        Where walks end that ask for the image's gradient.
    outputs : NDArray, or what else the net returns
    ran : list of (layer, NDArray)
        Runs of the layers asked for, in their order, with their outputs in the layer's own layout.
    origin : (CompiledNet, inputs, taps)
    """

    tape: Tape
    images: Any
    outputs: Any
    ran: list[tuple[Any, Any]]
    origin: tuple[Any, Sequence, Sequence]


class Tape:
    """The record of one forward pass."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._leaves: dict[str, Leaf] = {}
        self._started: dict[int, Leaf] = {}

    def start(self, array: Any) -> Leaf:
        """Begin a piece of record at `array`, without copying it."""
        leaf = marked(array)
        made = Leaf(leaf, autograd.get_symbol(leaf).name)
        self._leaves[made.name] = self._started[id(leaf)] = made
        return made

    def follow(
        self, output: Any, reaching: Sequence[str], sources: Mapping[str, Any], rectified: bool
    ) -> Any:
        """Take in the output of a compiled graph.

        Parameters
        ----------
        output : NDArray
        reaching : sequence of str
            The graph's variables from which a gradient of the output comes.
        sources : mapping of str to NDArray
            The graph's variables that are outputs of earlier pieces, by name.
        rectified : bool
            Whether the graph ends in an activation whose gradient a guided walk rectifies.

        Returns
        -------
        NDArray
            What later pieces go on with: a leaf, or the values themselves where they do not depend on one.
        """
        arrays = [sources[name] for name in reaching if name in sources]
        inputs = tuple(self._started[id(array)] for array in arrays if id(array) in self._started)
        if not inputs:
            return output.detach()  # MXNet crashes on a record along which there is no gradient at all
        leaf = self.start(output)
        self._pieces.append(Piece(backward_of(output, inputs), inputs, (leaf,), rectified, fresh=True))
        return leaf.array

    def run(self, step: ByHand, sources: Sequence, over: int | None, rectified: bool) -> Any:
        """Run an operator by hand.

        Parameters
        ----------
        step : ByHand
        sources : sequence of NDArray
            Its inputs as the pass has them.
        over : int or None
            The number of the input whose values nobody needs any more.
        rectified : bool
            Whether it is an activation whose gradient a guided walk rectifies.

        Returns
        -------
        NDArray
            What later pieces go on with.
        """
        output = step.run(sources, over)
        leaves = [self._started.get(id(array)) for array in sources]
        inputs = tuple(leaf for leaf in leaves if leaf is not None)
        if not inputs:
            return output
        leaf = self.start(output)

        def backward(heads: list, spare: Callable[[], Any]) -> list:
            return step.backward(heads[0], leaf.array, spare, len(inputs))

        self._pieces.append(Piece(backward, inputs, (leaf,), rectified, step.fresh))
        return leaf.array

    def call(self, function: Any, outputs: Sequence, sources: Sequence) -> list:
        """Take in a function in Python that has run already, with a backward of its own.

        Parameters
        ----------
        function : autograd.Function
        outputs : sequence of NDArray
            What it returned.
        sources : sequence of NDArray or None
            Its inputs as the pass has them; None for those without gradient.

        Returns
        -------
        list of NDArray
            What later pieces go on with.
        """
        leaves = tuple(self._started.get(id(array)) for array in sources)
        places = [place for place, leaf in enumerate(leaves) if leaf is not None]
        if not places:
            return [output.detach() for output in outputs]
        made = tuple(self.start(output) for output in outputs)
        inputs = tuple(leaf for leaf in leaves if leaf is not None)
        self._pieces.append(Piece(backward_in_python(function, outputs, places), inputs, made, fresh=True))
        return [leaf.array for leaf in made]

    def close(self, score: Any) -> None:
        """Take in the last piece, which ends in `score`, (N,), one recorded number per image.

        Raises
        ------
        ValueError
            If the score does not depend on the input, or pools in a way that has no right gradient.
        """
        heads = record_of(score)
        inputs = starts_of(heads, self._leaves)
        if not inputs:
            raise IndependentError(
                "the target's score does not depend on the net's input, so it has no gradient; "
                "compute the score from the outputs with MXNet operators"
            )
        for node in ordered(heads):
            if node.op == "Pooling" and node.attrs.get("pool_type", "max") == "max":
                raise ValueError(
                    "the target's score uses max pooling, whose gradient is undefined in predict mode on MXNet "
                    "1.9.1 (apache/mxnet#10994); take the maximum over axes, outputs.max(axis=...), instead"
                )
        ones = mx.nd.ones(score.shape, ctx=score.ctx, dtype=score.dtype)
        backward = backward_of(score, inputs)
        self._pieces.append(Piece(lambda _, spare: backward([ones], spare), inputs, ()))

    def reached(self, arrays: Iterable, through: bool = False) -> list[bool]:
        """Whether the score that closed the tape depends on each of the leaves' `arrays`.

        `through`: whether it does so by way of another of them.
        """
        arrays = list(arrays)
        own = {self._started[id(array)].name for array in arrays if id(array) in self._started}
        names: set[str] = set()
        behind: set[str] = set()
        for piece in reversed(self._pieces):
            if not piece.leaves or any(leaf.name in names for leaf in piece.leaves):
                names.update(leaf.name for leaf in piece.inputs)
            if any(leaf.name in behind or leaf.name in names & own for leaf in piece.leaves):
                behind.update(leaf.name for leaf in piece.inputs)
        found = behind if through else names
        return [id(array) in self._started and self._started[id(array)].name in found for array in arrays]

    def walk(self, targets: Sequence, guided: bool = False, last: bool = False) -> list[np.ndarray]:
        """`gradients`, copied: waits for them."""
        return [one.asnumpy() for one in self.gradients(targets, guided, last)]

    def gradients(self, targets: Sequence, guided: bool = False, last: bool = False) -> list[Any]:
        """Walk the record backwards from the score that closed it.

        MXNet computes in the background: while it does, the next walk can be asked for.

        Parameters
        ----------
        targets : sequence of NDArray
            The leaves' arrays whose gradients are wanted; the walk ends as soon as all are complete.
        guided : bool
            Keep only the positive part of the gradient at activations (guided backpropagation).
        last : bool
            Let go of each piece behind the walk; the tape cannot be walked again.

        Returns
        -------
        list of NDArray
            Shaped like `targets`; zeros where the score does not depend on one.
        """
        wanted = [self._started.get(id(target)) for target in targets]
        arrived = Arrived({leaf.name for leaf in wanted if leaf is not None})
        first = (
            min((self._made_by(leaf) for leaf in wanted if leaf is not None), default=len(self._pieces)) + 1
        )
        for index in range(len(self._pieces) - 1, first - 1, -1):
            arrived.through(self._pieces[index], guided)
            if last:
                for leaf in self._pieces.pop(index).leaves:
                    del self._leaves[leaf.name], self._started[id(leaf.array)]
        found = [arrived.at(leaf) for leaf in wanted]
        return [
            mx.nd.zeros(target.shape, ctx=target.ctx, dtype=target.dtype) if one is None else one
            for one, target in zip(found, targets)
        ]

    def _made_by(self, leaf: Leaf) -> int:
        return next((i for i, piece in enumerate(self._pieces) if leaf in piece.leaves), -1)
