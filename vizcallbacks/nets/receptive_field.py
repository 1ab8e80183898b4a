"""How much of the image a cell of a layer can depend on, read from the net's graph."""

from __future__ import annotations

from collections.abc import Iterable

from .graph import Entry, Node, ordered
from .operators import known
from .reach import Reach


def receptive_fields(
    entries: Iterable[Entry], image: str, image_size: tuple[int, int]
) -> list[tuple[int, int] | None]:
    """The receptive field of layers' outputs, by what the table of operators knows; where ways meet, the larger.

    Parameters
    ----------
    entries : iterable of Entry
        Outputs in a graph.
    image : str
        The name of the image's variable in it.
    image_size : (int, int)
        (H, W).

    Returns
    -------
    list of (int, int) or None
        Pixels, (height, width), at most the whole image; None where an operator on the way is not known, or the
        output does not depend on the image.
    """
    entries = list(entries)
    found: dict[Node, Reach | None] = {}
    unknown: set[Node] = set()
    for node in ordered(entries):
        found[node] = None
        if any(source in unknown for source, _ in node.inputs):
            unknown.add(node)
            continue
        before = [one for source, _ in node.inputs if (one := found[source]) is not None]
        if node.is_variable:
            found[node] = Reach() if node.name == image else None
        elif before:
            follow = known(node.op).reach
            found[node] = None if follow is None else follow(node, _largest(before))
            if found[node] is None:
                unknown.add(node)
    return [
        None
        if (one := found[node]) is None
        else (int(min(one.rows.size, image_size[0])), int(min(one.columns.size, image_size[1])))
        for node, _ in entries
    ]


def _largest(ways: list[Reach]) -> Reach:
    rows = max((one.rows for one in ways), key=lambda field: field.size)
    columns = max((one.columns for one in ways), key=lambda field: field.size)
    return Reach(rows, columns, all(one.whole for one in ways))
