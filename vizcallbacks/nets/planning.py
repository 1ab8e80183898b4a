"""What is found from a graph's structure alone: which operators make one piece, compiled, in which order they run.

The graph is cut behind every activation, and wherever a value goes several ways; each segment is one of MXNet's
compiled graphs and one piece of the tape. Nothing here holds a parameter's values, or a block: plans may be kept
from one snapshot to the next (`kept`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union

from ..mxnet_door import mx
from .by_hand import ByHand, by_hand
from .coverage import Coverage
from .folding import Folding, fold, rewritten
from .graph import INPUT, PYTHON, Entry, Node, cloned, dependent, ordered, symbol_of
from .operators import activation_kind, coverage_of, differentiable, known

CUT = "vizcallbacks_cut_"

LIMIT = 16
"""So many plans of one graph are held at most."""


def held(found: dict, key: Hashable, make: Callable[[], Any]) -> Any:
    """What was made for a key; the last `LIMIT` are held."""
    if key not in found:
        made = make()
        while len(found) >= LIMIT:
            del found[next(iter(found))]
        found[key] = made
    return found[key]


@dataclass(frozen=True)
class Wanted:
    """What a pass has to keep for the walks backwards that follow it.

    Attributes
    ----------
    record, image, guided : bool
        Whether there will be any; whether they go down to the image, or only to the layers asked for; whether some
        are guided.
    """

    record: bool = True
    image: bool = True
    guided: bool = True


OUTPUTS_ONLY = Wanted(record=False, image=False, guided=False)
"""No walk follows."""


@dataclass(frozen=True)
class Segment:
    """A piece of a graph, compiled.

    Attributes
    ----------
    run : CachedOp
        From arrays for `variables` to `outputs`.
    variables : list of str
        The names of its inputs, in order.
    sources : dict of str to Entry
        Those of them that other segments compute.
    differentiable : list of str
        Those from which a gradient of its outputs can come, in the order in which they run.
    outputs : list of Entry
        In the whole graph.
    rectified : bool
        Whether it ends in an activation whose gradient a guided walk rectifies.
    """

    run: Any
    variables: list[str]
    sources: dict[str, Entry]
    differentiable: list[str]
    outputs: list[Entry]
    rectified: bool


@dataclass(frozen=True)
class Simple:
    """An operator between segments that is run by hand.

    Attributes
    ----------
    node : Node
    how : ByHand
    over : int or None
        The number of the input that its output may be written over.
    rectified : bool
        Whether it is an activation whose gradient a guided walk rectifies.
    """

    node: Node
    how: ByHand
    over: int | None
    rectified: bool


Step = Union[Segment, Simple, Node]
"""What is run: a segment, an operator by hand, or a node that is a function in Python."""


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they run.

    Attributes
    ----------
    heads, taps : list of Entry
        What the net returns, and the outputs asked for, in the graph as it is run.
    folding : Folding
        Makes the parameters that the steps take, beside the net's own.
    below : Segment or None
        What no gradient is wanted of: runs first, without a record.
    steps : list of Step
        The segments have one output each.
    given : list of Entry
        What functions in Python returned that no gradient is wanted of.
    """

    heads: list[Entry]
    taps: list[Entry]
    folding: Folding
    below: Segment | None
    steps: list[Step]
    given: list[Entry]


class Plans:
    """A graph's structure, and how each kind of pass runs it.

    Parameters
    ----------
    heads : list of Entry
        What the net returns.
    runs : list of Entry
        What its layers return, each time that they run.
    calls : mapping of str to int
        Name of a node that is a function in Python -> how many outputs it has.
    sizes : mapping of str to int
        How many numbers each parameter holds.

    Attributes
    ----------
    together : dict
        How many images share a pass (`together`), by kind of pass and shapes of the inputs.
    """

    def __init__(
        self, heads: list[Entry], runs: list[Entry], calls: Mapping[str, int], sizes: Mapping[str, int]
    ) -> None:
        self.heads, self.runs, self._calls, self._sizes = heads, runs, calls, sizes
        self.in_training = any(node.training for node in ordered(heads))
        self._made: dict[tuple, Plan] = {}
        self.together: dict[tuple, int] = {}

    @cached_property
    def coverage(self) -> Coverage:
        """What a guided walk covers of the graph."""
        return coverage_of(self.heads)

    @cached_property
    def of_image(self) -> set[Node]:
        """The nodes that depend on the image."""
        return dependent([*self.heads, *self.runs], f"{INPUT}0")

    @cached_property
    def reached(self) -> set[Node]:
        """The nodes on which the net's output depends; none if it has several, so that the score decides."""
        return differentiable(self.heads) if len(self.heads) == 1 else set()

    @cached_property
    def symbol(self) -> Any:
        """MXNet's symbol of the graph as it is."""
        return symbol_of(self.heads)

    def of(self, taps: Sequence[Entry], wanted: Wanted) -> Plan:
        """How a pass of that kind runs; made once.

        Parameters
        ----------
        taps : sequence of Entry
            Of `runs`: what is to be kept.
        wanted : Wanted

        Raises
        ------
        ValueError
            If the graph holds what cannot be run right.
        """
        kind = tuple(taps), wanted
        return held(self._made, kind, lambda: self._planned(*kind))

    def _planned(self, taps: Sequence[Entry], wanted: Wanted) -> Plan:
        ends = [*self.heads, *taps]
        copies, _ = cloned(ends)
        # what a layer returns must stay what it is, whatever is done to the nodes around it
        count = len(self.heads)
        marks = [Node("identity", "", {}, [entry]) for entry in copies[count:]]
        ends = rewritten([*copies[:count], *((mark, 0) for mark in marks)])
        ends, folding = fold(ends, self._sizes)
        heads, tapped = ends[:count], [mark.inputs[0] for mark in marks]
        nodes = ordered([*heads, *tapped])
        moving = _moving(nodes, tapped, wanted.image) if wanted.record else set()
        relus = {node for node in nodes if activation_kind(node) == "relu"}
        calls = [node for node in nodes if node.op == PYTHON]
        given = [
            (node, place) for node in calls if node not in moving for place in range(self._calls[node.name])
        ]
        cuts = {entry for entry in (*heads, *tapped) if entry[0] in moving}
        if wanted.guided or len(cuts) > 1:
            cuts |= _branches(nodes, heads, moving)
        if wanted.guided:
            cuts |= {(node, 0) for node in relus & moving}
        simple = _simple(relus & moving, cuts, moving) if wanted.guided else {}
        cuts |= {(node, 0) for node in simple}
        apart = [*(node for node in calls if node in moving), *simple]
        cuts |= {entry for node in apart for entry in node.inputs if entry[0] in moving}
        uses = Counter(entry for node in nodes for entry in node.inputs) + Counter([*heads, *tapped])
        frontier = [one for one in _frontier(nodes, [*heads, *tapped], moving) if one not in given]
        below = _compiled(frontier, given, False) if frontier else None
        places = {node: place for place, node in enumerate(nodes)}
        done: list[Entry] = [*given, *frontier]
        steps: list[Step] = []
        for node, output in sorted({*cuts, *((one, 0) for one in calls)}, key=lambda e: (places[e[0]], e[1])):
            if node in calls:
                if node in moving and node not in steps:
                    steps.append(node)
                    done += [(node, place) for place in range(self._calls[node.name])]
            elif node in simple:
                steps.append(Simple(node, simple[node], _over(node, uses), node in relus))
                done.append((node, output))
            else:
                steps.append(_compiled([(node, output)], done, node in relus))
                done.append((node, output))
        return Plan(heads, tapped, folding, below, steps, given)


def _moving(nodes: Sequence[Node], taps: Iterable[Entry], image: bool) -> set[Node]:
    """The operators that gradients go through: all, if that of the image is wanted; or those behind the taps."""
    if image:
        return {node for node in nodes if not node.is_variable}
    starts, found = set(taps), set()
    for node in nodes:
        if any(entry in starts or entry[0] in found for entry in node.inputs):
            found.add(node)
    return found


def _branches(nodes: Sequence[Node], heads: Sequence[Entry], moving: Collection[Node]) -> set[Entry]:
    """Where a value goes several ways, so that none computes it again; of several outputs, their sources."""
    uses: dict[Node, list[int]] = {}
    for source, output in (*(entry for node in nodes if node in moving for entry in node.inputs), *heads):
        uses.setdefault(source, []).append(output)
    found: set[Entry] = set()
    for node, outputs in uses.items():
        if node not in moving or len(outputs) == 1:
            continue
        found.update([(node, outputs[0])] if len(set(outputs)) == 1 else node.inputs)
    return {entry for entry in found if entry[0] in moving and not entry[0].is_constant}


def _simple(relus: Collection[Node], cuts: Collection[Entry], moving: Collection[Node]) -> dict[Node, ByHand]:
    """The operators to be run by hand: ReLUs, sums behind which the graph is cut, and those before such ReLUs."""
    found = {node: how for node in relus if (how := by_hand(node)) is not None}
    sums = {node for node, _ in cuts if node not in relus} | {node.inputs[0][0] for node in found}
    found.update(
        (node, how) for node in sums & set(moving) if node not in relus and (how := by_hand(node)) is not None
    )
    return {
        node: how
        for node, how in found.items()
        if all(source in moving and not source.is_constant for source, _ in node.inputs)
    }


def _over(node: Node, uses: Mapping[Entry, int]) -> int | None:
    """The number of an input that nothing else needs."""
    spent = (
        place for place, entry in enumerate(node.inputs) if uses[entry] == 1 and known(entry[0].op).spent
    )
    return next(spent, None)


def _frontier(nodes: Sequence[Node], ends: Sequence[Entry], moving: Collection[Node]) -> list[Entry]:
    """What is computed below the moving part and used in it, or wanted itself.

    Operators that take nothing are run where they are used: MXNet infers the shape of a recurrent layer's first
    state from there.
    """
    used = [entry for node in nodes if node in moving for entry in node.inputs if not entry[0].is_constant]
    return [one for one in dict.fromkeys([*used, *ends]) if one[0] not in moving and not one[0].is_variable]


def _compiled(outputs: list[Entry], done: Sequence[Entry], rectified: bool) -> Segment:
    """The part of the graph between what is `done` and the outputs."""
    cuts: dict[Entry, Entry] = {
        entry: (Node("null", f"{CUT}{number}"), 0) for number, entry in enumerate(done)
    }
    heads, _ = cloned(outputs, cuts)
    symbol = symbol_of(heads)
    variables = symbol.list_inputs()
    names = set(variables)
    sources = {node.name: entry for entry, (node, _) in cuts.items() if node.name in names}
    reach = differentiable(heads)
    reaching = dict.fromkeys(node.name for node in ordered(heads) if node.is_variable and node in reach)
    return Segment(mx.nd.CachedOp(symbol), variables, sources, list(reaching), outputs, rectified)
