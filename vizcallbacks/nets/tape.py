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
from .graph import Entry, ordered, read
from .operators import differentiable


class IndependentError(ValueError):
    """The score does not depend on where the record starts: the image, or the layers asked for."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """The start of a piece of record.

    Attributes
    ----------
    array : NDArray
        What the net goes on with.
    name : str
        MXNet's name for it in recorded graphs ("var17").
    """

    array: Any
    name: str


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of record: from the leaves that it starts at to the outputs behind which it is cut.

    Attributes
    ----------
    backward : callable
        (gradients that arrived at the leaves of `outputs`, None where none did) -> those of `inputs`.
    inputs : tuple of Leaf
    leaves : tuple of Leaf
        The same values as its outputs, the starts of later pieces; empty for the score.
    rectified : bool
        Whether a guided walk lets only positive gradient into this piece.
    compiled : bool
        Whether it is one compiled graph: its backward pass puts each gradient into an array of its own.
    """

    backward: Callable[[list], list]
    inputs: tuple[Leaf, ...]
    leaves: tuple[Leaf, ...]
    rectified: bool = False
    compiled: bool = False


@dataclass
class Pass:
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
        self._pieces.append(Piece(_through(output, inputs), inputs, (leaf,), rectified, compiled=True))
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
        self._pieces.append(Piece(_by_hand(function, outputs, places), inputs, made))
        return [leaf.array for leaf in made]

    def close(self, score: Any) -> None:
        """Take in the last piece, which ends in `score`, (N,), one recorded number per image.

        Raises
        ------
        ValueError
            If the score does not depend on the input, or pools in a way that has no right gradient.
        """
        heads = _record_of(score)
        inputs = _sources(heads, self._leaves)
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
        through = _through(score, inputs)
        self._pieces.append(Piece(lambda _: through([ones]), inputs, ()))

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
        names = {leaf.name for leaf in wanted if leaf is not None}
        gradients: dict[str, Any] = {}
        first = (
            min((self._made_by(leaf) for leaf in wanted if leaf is not None), default=len(self._pieces)) + 1
        )
        for index in range(len(self._pieces) - 1, first - 1, -1):
            piece = self._pieces[index]
            heads = [
                gradients.get(leaf.name) if leaf.name in names else gradients.pop(leaf.name, None)
                for leaf in piece.leaves
            ]
            if piece.leaves and all(head is None for head in heads):
                continue
            if guided and piece.rectified:
                # in place where nobody else holds it, so that memory is not faulted in anew for each activation
                own = piece.leaves[0].name not in names
                heads = [mx.nd.Activation(heads[0], act_type="relu", out=heads[0] if own else None)]
            for leaf, part in zip(piece.inputs, piece.backward(heads)):
                known = gradients.get(leaf.name)
                gradients[leaf.name] = part if known is None else _sum(known, part, piece.compiled)
            if last:
                del self._pieces[index]
        return [
            gradients[leaf.name]
            if leaf is not None and leaf.name in gradients
            else mx.nd.zeros(target.shape, ctx=target.ctx, dtype=target.dtype)
            for leaf, target in zip(wanted, targets)
        ]

    def _made_by(self, leaf: Leaf) -> int:
        return next((i for i, piece in enumerate(self._pieces) if leaf in piece.leaves), -1)


def marked(array: Any):
    """A view of an array from which MXNet records, whose gradient goes nowhere."""
    leaf = array.detach()
    # MXNet wants a buffer for the gradient; it stays empty, and so takes no memory, as walks get their own
    autograd.mark_variables([leaf], [mx.nd.empty(leaf.shape, ctx=leaf.ctx, dtype=leaf.dtype)])
    return leaf


def _sources(heads: Sequence[Entry], leaves: Mapping[str, Leaf]) -> tuple[Leaf, ...]:
    """The leaves from which a gradient of the heads comes."""
    reach = differentiable(heads)
    names = dict.fromkeys(node.name for node in ordered(heads) if node.is_variable and node in reach)
    return tuple(leaves[name] for name in names if name in leaves)


def _through(output: Any, inputs: tuple[Leaf, ...]) -> Callable[[list], list]:
    arrays = [leaf.array for leaf in inputs]

    def backward(heads: list) -> list:
        # in train mode: only there does a BatchNorm that a block runs on the batch's own statistics
        # differentiate these; all other operators of the pass are the same in both modes
        return autograd.grad([output], arrays, heads, retain_graph=True, train_mode=True)

    return backward


def _by_hand(function: Any, outputs: Sequence, places: list[int]) -> Callable[[list], list]:
    def backward(heads: list) -> list:
        given = [mx.nd.zeros_like(out) if head is None else head for head, out in zip(heads, outputs)]
        # a copy by NumPy, in the plain layout: MXNet may free what it hands to Python in oneDNN's
        plain = [mx.nd.array(one.asnumpy(), ctx=one.ctx, dtype=one.dtype) for one in given]
        with autograd.pause(train_mode=False):
            found = function.backward(*plain)
        found = [found] if isinstance(found, mx.nd.NDArray) else list(found)
        return [found[place].copy() for place in places]

    return backward


def _sum(known: Any, part: Any, compiled: bool):
    # elemwise_add, unlike +, keeps oneDNN's layouts
    return mx.nd.elemwise_add(known, part, out=known if compiled else None)


def _record_of(array: Any) -> list[Entry]:
    """The graph of an array's record; none if it has none."""
    try:
        return read(autograd.get_symbol(array))
    except mx.MXNetError as error:
        if "not part of a computation graph" in str(error):
            return []
        raise
