"""`Keeping`: which snapshots of a long run stay on disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import check_whole
from ..measures.of_one_map import mean_defined
from ..regression.snapshot import Snapshot

ALL = "all"
FEWEST = 4  # the first, the best, the newest, and one between


class Keeping:
    """The first snapshot, the best, the newest, and others so that what is left is spread evenly over the steps.

    When there are more than `keep`, the one is given up whose neighbours are nearest to each other. So the
    distances of those kept differ by a factor of about two, whenever the run ends, and a run that is resumed goes
    on with what is on disk. The best has the highest mean probability of its targets, or score where there is
    none.

    Parameters
    ----------
    keep : "all" or int, >= 4

    Raises
    ------
    ValueError
        `keep` is neither.
    """

    def __init__(self, keep: int | str) -> None:
        check_keep(keep)
        self._most = None if keep == ALL else int(keep)
        self._steps: list[int] = []
        self._best: tuple[float, int] = (-np.inf, -1)
        self._pictured: int | None = None

    def add(self, taken: Snapshot) -> list[int]:
        """Take in a snapshot, of a later step than those before; the steps of those to be given up."""
        if self._most is None:
            return []
        worth = mean_defined(taken.measures["probability"])[0]
        worth = mean_defined(taken.measures["score"])[0] if worth != worth else worth
        if worth > self._best[0]:
            self._best = (worth, taken.step)
        self._steps.append(taken.step)
        given_up = []
        while len(self._steps) > self._most:
            given_up.append(self._steps.pop(self._least_missed()))
        return given_up

    def wants_panels(self, step: int) -> bool:
        """Whether panels are drawn of the snapshot at `step`: not nearer to the last ones than most kept are."""
        full = self._most is not None and len(self._steps) >= self._most
        if full and self._pictured is not None:
            usual = float(np.median(np.diff(self._steps[:-1])))
            if step - self._pictured < usual:
                return False
        self._pictured = step
        return True

    def _least_missed(self) -> int:
        """The place of the one whose neighbours are nearest to each other; the earliest of several."""
        steps = self._steps
        inner = [i for i in range(1, len(steps) - 1) if steps[i] != self._best[1]]
        return min(inner, key=lambda i: steps[i + 1] - steps[i - 1])


def check_keep(keep: Any) -> None:
    """Raise ValueError unless `keep` is "all" or a whole number of at least 4."""
    if isinstance(keep, str):
        if keep != ALL:
            raise ValueError(f"keep must be 'all' or an int of at least {FEWEST}, got {keep!r}")
    else:
        check_whole("keep", keep, FEWEST)
