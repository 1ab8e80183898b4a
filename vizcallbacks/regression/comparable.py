"""Whether snapshots may be compared: `NotComparableError`, and which of several is unlike the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .snapshot import Snapshot


class NotComparableError(ValueError):
    """Two snapshots are of other images, another layer, other methods or targets: there is nothing to compare."""


OTHER_PROBE = (
    "the probe sets differ: these snapshots are not of the same images, labels and masks; "
    "use the probe set of the baseline, or accept a new baseline"
)


def check_alike(snapshots: list[Snapshot], sources: Sequence[str], alone: Callable[[Snapshot], Any]) -> None:
    """Raise NotComparableError, with the odd one's source, unless all snapshots can be compared.

    `alone` makes a baseline of one snapshot.
    """

    def kind(one: Snapshot) -> tuple:
        shapes = tuple((name, maps.shape) for name, maps in one.maps.items())
        return one.digest, one.layer, shapes, one.targets.tobytes()

    kinds = [kind(one) for one in snapshots]
    usual = max(kinds, key=kinds.count)  # the first of the most frequent ones
    reference = alone(snapshots[kinds.index(usual)])
    for one, source in zip(snapshots, sources):
        try:
            reference.check_comparable(one)
        except NotComparableError as error:
            others = [other for other, its in zip(sources, kinds) if its == usual]
            raise NotComparableError(f"{source} is unlike {', '.join(others)}: {error}") from None
