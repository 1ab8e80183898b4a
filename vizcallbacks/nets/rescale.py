"""DeepLIFT's form of a net: derivatives become ratios of differences from a reference (the Rescale rule).

Shrikumar et al., 2017, section 3.5.1, arXiv:1704.02685. The reference's values are computed in the same graph, by
a second copy of what depends on the image. Then the gradient at the image is the multiplier, and the image's
difference times it sums to the score's difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .graph import INPUT, Entry, Node, cloned, dependent, ordered
from .roles import refusal, role_of
from .variants import kept, op, passing, summed

NEAR = 1e-6
"""Differences smaller than this share of the values are rounding; the derivative takes the ratio's place."""


def rescaled(heads: Sequence[Entry], name: str) -> list[Entry]:
    """The heads of a graph, which is changed, with multipliers in the place of derivatives.

    `name`: of the variable that will hold the reference images.

    Raises
    ------
    ValueError
        If an operator has no rule.
    """
    moving = dependent(heads, f"{INPUT}0")
    nodes = ordered(heads)
    reference = Node("null", name)
    still = {entry: entry for node in nodes for entry in node.inputs if entry[0] not in moving}
    images = [node for node in nodes if node.is_variable and node in moving]
    _, copies = cloned(
        [head for head in heads if head[0] in moving],
        {**still, **{(image, 0): (reference, 0) for image in images}},
    )
    copies.update(dict.fromkeys(images, reference))
    places: dict[Entry, Entry] = {}
    for node in nodes:
        if node not in moving or node.is_variable:
            continue
        try:
            rule = RULES.get(role_of(node, moving))
        except ValueError:
            raise refusal("deep_lift", node) from None
        taken = list(node.inputs)
        node.inputs = [places.get(entry, entry) for entry in taken]
        if rule is not None:
            then = [(copies[source], place) for source, place in taken if source in moving]
            now = [own for own, (source, _) in zip(node.inputs, taken) if source in moving]
            places[node, 0] = rule((node, 0), (copies[node], 0), now, then)
    return [places.get(head, head) for head in heads]


def _ratio(value: Entry, then: Entry, sources: list[Entry], references: list[Entry]) -> Entry:
    """Of a function of single values."""
    (x,), (r,) = sources, references
    change = op("elemwise_sub", x, r)
    size = op("elemwise_add", op("abs", x), op("abs", r))
    apart = kept(op("broadcast_greater", op("abs", change), op("_mul_scalar", size, scalar=NEAR)))
    ratio = op("elemwise_div", op("elemwise_sub", value, then), _safe(apart, change))
    return op("where", apart, passing(value, ratio, x), value)


def _winner(value: Entry, then: Entry, sources: list[Entry], references: list[Entry]) -> Entry:
    """Of max pooling.

    Where the maximum is above the reference's, its rise goes to the place of the maximum, whose own rise is
    at least that; where it is below, its fall goes to the place of the reference's maximum, whose own fall is.
    """
    (x,), (r,) = sources, references
    change = op("elemwise_sub", x, r)
    share = op("elemwise_sub", x, kept(x))
    share = op("elemwise_div", share, kept(_safe(op("_not_equal_scalar", change, scalar=0), change)))
    rise = op("elemwise_sub", value, then)
    made = kept(value)
    for part, at in (("_maximum_scalar", x), ("_minimum_scalar", r)):
        winner = Node("Pooling", "winner", dict(value[0].attrs), [summed(kept(at), share)]), 0
        only = op("elemwise_sub", winner, kept(winner))
        made = summed(made, op("elemwise_mul", kept(op(part, rise, scalar=0)), only))
    return made


def _product(value: Entry, then: Entry, sources: list[Entry], references: list[Entry]) -> Entry:
    """Of two factors: the mean over both orders in which they change, so each gets the other's mean.

    The paper has no rule for products. This is the Shapley value of two players (Lundberg and Lee, 2017,
    arXiv:1705.07874).
    """
    made = kept(value)
    for one, other in ((0, 1), (1, 0)):
        mean = op("_mul_scalar", op("elemwise_add", sources[other], references[other]), scalar=0.5)
        change = op("elemwise_sub", sources[one], kept(sources[one]))
        made = summed(made, op("broadcast_mul", change, kept(mean)))
    return made


def _safe(where: Entry, divisor: Entry) -> Entry:
    return op("where", where, divisor, op("ones_like", divisor))


RULES: dict[str, Callable[[Entry, Entry, list[Entry], list[Entry]], Entry]] = {
    "curved": _ratio,
    "winner": _winner,
    "product": _product,
}
"""Role -> (value, reference's value, inputs that depend on the image, reference's) -> what takes the place.

All other roles are linear: there the derivative is the ratio.
"""
