"""LRP's form of a net: relevance instead of gradients, by the composite EpsilonPlusFlat.

Epsilon rule in dense layers, z+ rule in convolutions, flat rule in the first layers (Montavon et al., 2019,
doi:10.1007/978-3-030-28954-6_10; the name is Zennit's, arXiv:2106.13200). Relevance is a value times the gradient
that arrives there, R = a g: so a rule is a multiplier, and plain gradients do what the epsilon rule does for
epsilon 0. In the first layers it is the gradient itself, as the flat rule does not look at the image's values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .graph import INPUT, Entry, Node, dependent, ordered
from .operators import activation_kind
from .roles import refusal, role_of
from .variants import kept, op, passing

STABLE = 1e-9
"""Added to what is divided by, so that sums of positive parts that are all zero give zeros."""

FIRST = " before the first convolution or dense layer"
GATES = " of two values that both depend on the image, neither or both of which are gates"


def related(heads: Sequence[Entry], epsilon: float, biases: bool) -> list[Entry]:
    """The heads of a graph, which is changed, so that the gradient at the image is its relevance.

    Raises
    ------
    ValueError
        If an operator has no rule, or something other than a convolution or dense layer takes the image.
    """
    moving = dependent(heads, f"{INPUT}0")
    nodes = [node for node in ordered(heads) if node in moving]
    graph = _Form(moving, epsilon, biases)
    for node in nodes:
        graph.take(node)
    for head, _ in heads:
        if head in graph.plain:
            raise refusal("lrp", head, FIRST)
    return [graph.places.get(head, head) for head in heads]


@dataclass
class _Form:
    """What is known half-way, from the image upwards.

    Attributes
    ----------
    plain : dict of Node to (callable, callable)
        Nodes with no layer below: which entry holds the image's pixels where they went, by the number of the
        output, and which holds ones in their places.
    positive, gates : set of Node
        Those whose values are at least 0; those that gate what they are multiplied with.
    """

    moving: set[Node]
    epsilon: float
    biases: bool
    places: dict[Entry, Entry] = field(default_factory=dict)
    plain: dict[Node, tuple[Callable[[int], Entry], Callable[[int], Entry]]] = field(default_factory=dict)
    positive: set[Node] = field(default_factory=set)
    gates: set[Node] = field(default_factory=set)

    def take(self, node: Node) -> None:
        if node.is_variable:
            self.plain[node] = (lambda _: (node, 0)), (lambda _: op("ones_like", (node, 0)))
            return
        try:
            role = role_of(node, self.moving)
        except ValueError:
            raise refusal("lrp", node) from None
        sources = [entry for entry in node.inputs if entry[0] in self.moving]
        self._note(node, role, sources)
        if any(source in self.plain for source, _ in sources):
            if not all(source in self.plain for source, _ in sources):
                raise refusal("lrp", node, FIRST)
            self._first(node, role, sources)
            return
        gates = [source in self.gates for source, _ in node.inputs]
        place = node.inputs.index(sources[0])
        positive = sources[0][0] in self.positive
        node.inputs = [self.places.get(entry, entry) for entry in node.inputs]
        made = self._made(node, role, node.inputs[place], gates, positive)
        if made is not None:
            self.places[node, 0] = made

    def _note(self, node: Node, role: str, sources: list[Entry]) -> None:
        kind = activation_kind(node)
        inside = all(source in self.positive for source, _ in sources)
        if (kind in ("relu", "gate") and node.op != "LeakyReLU") or (
            inside
            and (role in ("moved", "linear", "winner") or node.op in ("elemwise_add", "broadcast_add"))
            and len(sources) == len(node.inputs)
        ):
            self.positive.add(node)
        if kind == "gate" or (
            role in ("moved", "linear", "scaled") and all(source in self.gates for source, _ in sources)
        ):
            self.gates.add(node)

    def _first(self, node: Node, role: str, sources: list[Entry]) -> None:
        """What takes the image: the first layers themselves, and what comes before them."""
        if role == "weighted":
            pixels, ones = (which(sources[0][1]) for which in self.plain[sources[0][0]])
            count = op("_maximum_scalar", _run(node, ones, op("ones_like", node.inputs[1])), scalar=1)
            spread = _run(node, pixels, op("ones_like", node.inputs[1]))
            self.places[node, 0] = passing((node, 0), op("elemwise_div", (node, 0), count), spread)
        elif role == "moved":
            self.plain[node] = self._copy(node, 0), self._copy(node, 1)
        elif role in ("norm", "scaled", "shifted", "curved") and len(sources) == 1:
            below, place = self.plain[sources[0][0]], sources[0][1]
            self.plain[node] = (lambda _: below[0](place)), (lambda _: below[1](place))
        else:
            raise refusal("lrp", node, FIRST)

    def _copy(self, node: Node, which: int) -> Callable[[int], Entry]:
        inputs = [self.plain[s][which](place) if s in self.plain else (s, place) for s, place in node.inputs]
        made = Node(node.op, node.name, dict(node.attrs), inputs)
        return lambda place: (made, place)

    def _made(self, node: Node, role: str, source: Entry, gates: list[bool], positive: bool) -> Entry | None:
        """What takes a node's place; None for itself, whose gradient is right as it is."""
        if role == "weighted" and node.op == "FullyConnected":
            return self._epsilon(node)
        if role == "weighted":
            return self._plus(node, positive)
        if role == "product":
            if sum(gates) != 1:
                raise refusal("lrp", node, GATES)
            node.inputs = [kept(entry) if gate else entry for entry, gate in zip(node.inputs, gates)]
            return None
        if (role == "curved" and not _is_homogeneous(node)) or (role == "shifted" and not self.biases):
            return _passed((node, 0), source)
        return None

    def _epsilon(self, node: Node) -> Entry:
        value: Entry = (node, 0)
        own = value if self.biases else _run(node, node.inputs[0], node.inputs[1])
        sign = op(
            "_minus_scalar", op("_mul_scalar", op("_greater_equal_scalar", own, scalar=0), scalar=2), scalar=1
        )
        divisor = op("elemwise_add", own, op("_mul_scalar", sign, scalar=self.epsilon))
        return passing(value, op("elemwise_div", value, divisor), own)

    def _plus(self, node: Node, positive: bool) -> Entry:
        value, source, weight = (node, 0), node.inputs[0], node.inputs[1]
        bias = node.inputs[2:] if self.biases else []
        above = source if positive else op("Activation", source, act_type="relu")
        parts = _run(node, above, _above(weight), [_above(one) for one in bias])
        if not positive:
            below = _run(
                node, op("_minimum_scalar", source, scalar=0), op("_minimum_scalar", weight, scalar=0)
            )
            parts = op("elemwise_add", parts, below)
        divisor = op("_plus_scalar", parts, scalar=STABLE)
        return passing(value, op("elemwise_div", value, divisor), parts)


def _run(layer: Node, source: Entry, weight: Entry, bias: Sequence[Entry] = ()) -> Entry:
    """The same layer with other inputs."""
    attrs = {**layer.attrs, "no_bias": str(not bias)}
    return Node(layer.op, layer.name, attrs, [source, weight, *bias]), 0


def _above(entry: Entry) -> Entry:
    return op("_maximum_scalar", entry, scalar=0)


def _is_homogeneous(node: Node) -> bool:
    """Whether an activation's derivative is its value over its input."""
    return activation_kind(node) == "relu" and node.op not in ("clip", "_npi_clip")


def _passed(value: Entry, source: Entry) -> Entry:
    """Relevance as it is, whatever the operator does to values."""
    size = op("_greater_scalar", op("abs", source), scalar=STABLE)
    divisor = op("where", size, source, op("ones_like", source))
    return passing(value, op("elemwise_div", value, divisor), source)
