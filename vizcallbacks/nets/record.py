"""One forward pass, cut into pieces that can be walked backwards more than one way.

Guided backpropagation needs another backward at every ReLU. An operator written in Python would be the usual
way; on MXNet 1.9.1 it reads memory that has been freed and returns wrong numbers. So no operator is replaced
at all: the pass runs on MXNet's own, and the record is *cut* behind each activation. A
*leaf* holds the same values as the output before it but starts a new piece of record. A walk takes the pieces
from the last to the first, hands each the gradient that has arrived at its leaf, and may rectify it on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..mxnet_door import autograd, mx
from .layers import replaced_operators
from .operators import KINDS, OPAQUE, POOLINGS, activation_kind, differentiable, graph_of


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Piece:
    """A piece of record: from the leaves that it starts at to the output behind which it is cut.

    Attributes
    ----------
    output : NDArray
    inputs : tuple of Leaf
    leaf : Leaf or None
        The same values as `output`, the start of later pieces; None for the score.
    rectified : bool
        Whether a guided walk lets only positive gradient into this piece.
    compiled : bool
        Whether it is one compiled graph: its backward pass puts each gradient into an array of its own.
    """

    output: Any
    inputs: tuple[Leaf, ...]
    leaf: Leaf | None
    rectified: bool
    compiled: bool = False


@dataclass
class Pass:
    """One forward pass through an instrumented net.

    Attributes
    ----------
    tape : Tape
    images : NDArray or None
        Where walks end that ask for the image's gradient.
    outputs : NDArray, or what else the net returns
    ran : list of (layer, NDArray)
        The layers asked for in the order in which they ran, with their outputs, in the layer's own layout.
    """

    tape: Tape
    images: Any
    outputs: Any
    ran: list[tuple[Any, Any]]


class Tape:
    """The record of one forward pass."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._leaves: dict[str, Leaf] = {}
        self._started: dict[int, Leaf] = {}
        self._relus: dict[str, str] = {}
        self._unguided: set[str] = set()
        self._plain: dict[str, str] = {}
        self._pooling: dict[str, str] = {}
        self._opaque: dict[str, str] = {}
        self._safe_pooling = 0

    def start(self, array) -> Leaf:
        """Begin a piece of record at `array`, without copying it."""
        leaf = array.detach()
        # MXNet wants a buffer for the gradient; it stays empty, and so takes no memory, as walks get their own
        autograd.mark_variables([leaf], [mx.nd.empty(leaf.shape, ctx=leaf.ctx, dtype=leaf.dtype)])
        made = Leaf(leaf, graph_of(leaf)[0]["name"])
        self._leaves[made.name] = self._started[id(leaf)] = made
        return made

    def cut(self, output, block: str, values=None):
        """Cut the record behind `output`, unless it is cut there already.

        Parameters
        ----------
        output : NDArray
        block : str
            Path of the block that made it, for messages.
        values : NDArray, optional
            What the net goes on with, where it is not `output` to the bit: the native operator's result, if
            the one with a right gradient is another.

        Returns
        -------
        NDArray
            What the net goes on with: a leaf of the same values, or the values themselves where they do not
            depend on the input.
        """
        values = output if values is None else values
        if id(output) in self._started:
            return values
        piece = self._read(output, block)
        if not piece.inputs:
            return values.detach()  # MXNet crashes on a record along which there is no gradient at all
        leaf = self.start(values)
        self._pieces.append(replace(piece, leaf=leaf))
        return leaf.array

    def activation(self, output, block: str):
        """Cut behind an operator's `output` if it is one whose gradient a guided walk rectifies."""
        return self.cut(output, block) if activation_kind(graph_of(output)) == "relu" else output

    def operators(self, F, block: str):
        """The operators that a block of this path is to call."""
        return replaced_operators(F, self, block)

    def follow(self, output, nodes: list[dict[str, Any]], sources: Mapping[str, Any], rectified: bool):
        """Take in a piece of record whose operators are known: the output of a compiled graph.

        Parameters
        ----------
        output : NDArray
        nodes : list of dict
            The graph, as JSON has it.
        sources : mapping of str to NDArray
            The graph's variables that are outputs of earlier pieces, by name.
        rectified : bool
            Whether the graph ends in an activation whose gradient a guided walk rectifies.

        Returns
        -------
        NDArray
            What later pieces go on with: a leaf, or the values themselves where they do not depend on one.
        """
        leaves = {
            name: self._started[id(array)] for name, array in sources.items() if id(array) in self._started
        }
        piece = _piece(output, nodes, leaves)
        if not piece.inputs:
            return output.detach()
        leaf = self.start(output)
        self._pieces.append(replace(piece, leaf=leaf, rectified=rectified, compiled=True))
        return leaf.array

    def survey(self, nodes: list[dict[str, Any]]) -> None:
        """Count the activations of a graph all of whose pieces are followed: every one can be rectified."""
        for i, node in enumerate(nodes):
            kind = activation_kind(nodes, i)
            if kind == "relu":
                self._relus[node["name"]] = ""
            elif kind:
                self._plain[node["name"]] = kind

    def pooled(self) -> None:
        """Count a max pooling that was run in the way that is safe to differentiate."""
        self._safe_pooling += 1

    def close(self, score) -> None:
        """Take in the last piece, which ends in `score`, (N,), one recorded number per image.

        Raises
        ------
        ValueError
            If the score does not depend on the input, or the net holds a piece that cannot be walked right.
        """
        piece = self._read(score, "")
        if not piece.inputs:
            raise ValueError(
                "the target's score does not depend on the net's input, so it has no gradient; "
                "compute the score from the outputs with MXNet operators"
            )
        if self._opaque:
            raise ValueError(
                f"a compiled graph ran inside {_places(self._opaque)}: its ReLUs and poolings are out of reach; "
                "build the net from Gluon blocks (a SymbolBlock or a CachedOp cannot be instrumented)"
            )
        if len(self._pooling) > self._safe_pooling:
            raise ValueError(
                f"max pooling is called as an array operator inside {_places(self._pooling)}, where its gradient "
                "is undefined on MXNet 1.9.1 (apache/mxnet#10994); use gluon.nn.MaxPool2D, or a HybridBlock's "
                "F.Pooling"
            )
        self._pieces.append(piece)

    def reached(self, arrays) -> list[bool]:
        """Whether the score that closed the tape depends on each of the leaves' `arrays`."""
        names: set[str] = set()
        for piece in reversed(self._pieces):
            if piece.leaf is None or piece.leaf.name in names:
                names.update(leaf.name for leaf in piece.inputs)
        return [id(array) in self._started and self._started[id(array)].name in names for array in arrays]

    @property
    def relus(self) -> tuple[int, int]:
        """(guided, total): ReLU-like activations that a guided walk rectifies, and all that ran."""
        return len(self._relus) - len(self._unguided), len(self._relus)

    @property
    def unguided(self) -> list[str]:
        """Paths of the blocks whose ReLU-like activations a guided walk cannot rectify."""
        return sorted({self._relus[node] for node in self._unguided})

    @property
    def plain_activations(self) -> dict[str, int]:
        """How many activations of the other `KINDS` ran, which a guided walk leaves to their own derivative."""
        return {kind: list(self._plain.values()).count(kind) for kind in KINDS[1:]}

    def walk(self, targets, guided: bool = False, last: bool = False) -> list:
        """Walk the record backwards from the score that closed it.

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
        list of ndarray
            Copies of the gradients, shaped like `targets`; zeros where the score does not depend on one.
        """
        wanted = [self._started[id(target)] for target in targets]
        names = {leaf.name for leaf in wanted}
        gradients: dict[str, Any] = {}
        first = min(self._made_by(leaf) for leaf in wanted) + 1
        for index in range(len(self._pieces) - 1, first - 1, -1):
            piece = self._pieces[index]
            if piece.leaf is None:
                head = mx.nd.ones(piece.output.shape, ctx=piece.output.ctx, dtype=piece.output.dtype)
            elif piece.leaf.name in gradients:
                name = piece.leaf.name
                head = gradients[name] if name in names else gradients.pop(name)
                if guided and piece.rectified:
                    # in place where nobody else holds it, lest memory is faulted in anew for each activation
                    own = piece.compiled and name not in names
                    head = mx.nd.Activation(head, act_type="relu", out=head if own else None)
            else:
                continue
            # in train mode: only there does a BatchNorm that a block runs on the batch's own statistics
            # differentiate these; all other operators of the pass are the same in both modes
            arrays = [leaf.array for leaf in piece.inputs]
            arrived = autograd.grad([piece.output], arrays, [head], retain_graph=True, train_mode=True)
            for leaf, part in zip(piece.inputs, arrived):
                known = gradients.get(leaf.name)
                gradients[leaf.name] = part if known is None else _sum(known, part, piece.compiled)
            if last:
                del self._pieces[index]
        return [
            gradients[leaf.name].asnumpy()
            if leaf.name in gradients
            else np.zeros(leaf.array.shape, leaf.array.dtype)
            for leaf in wanted
        ]

    def _made_by(self, leaf: Leaf) -> int:
        return next((i for i, piece in enumerate(self._pieces) if piece.leaf is leaf), -1)

    def _read(self, output, block: str) -> Piece:
        """Look at the piece of record that ends in `output`: where it starts and what it holds."""
        nodes = graph_of(output)
        for i, node in enumerate(nodes):
            for table, found in ((POOLINGS, self._pooling), (OPAQUE, self._opaque)):
                if node["op"] in table and table[node["op"]](node.get("attrs", {})):
                    found.setdefault(node["name"], block)
            kind = activation_kind(nodes, i)
            if kind == "relu":
                self._relus.setdefault(node["name"], block)
                if i < len(nodes) - 1:
                    self._unguided.add(node["name"])
            elif kind:
                self._plain[node["name"]] = kind
        return _piece(output, nodes, self._leaves)


def _piece(output, nodes: list[dict[str, Any]], leaves: Mapping[str, Leaf]) -> Piece:
    starts = (nodes[i]["name"] for i in differentiable(nodes))
    inputs = tuple(leaves[name] for name in starts if name in leaves)
    return Piece(output, inputs, None, rectified=activation_kind(nodes) == "relu")


def _sum(known, part, compiled: bool):
    # elemwise_add, unlike +, keeps oneDNN's layouts
    return mx.nd.elemwise_add(known, part, out=known) if compiled else known + part


def _places(found: dict[str, str]) -> str:
    return ", ".join(f"block {path!r}" if path else "the net" for path in sorted(set(found.values())))
