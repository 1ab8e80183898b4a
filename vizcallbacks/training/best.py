"""`Best`: the best snapshot of a training so far, as a baseline that moves while the net learns.

A net that learns looks elsewhere every few epochs, and should. So nothing is compared until attention has settled:
STEADY snapshots in a row looked where the best one before each of them looked. A snapshot is better if the mean
probability of its targets is higher (or their mean score, where there are no probabilities). Until attention has
settled, a better snapshot becomes the best wherever it looks. After that it does so if it keeps the rules, or if
it is better by CLEARLY; in the second case learning goes on, and attention has to settle anew. Snapshots that
break a rule that needs no baseline never become the best.

This cannot find a net that looked at the wrong thing from the start: its best snapshot does so, too. Rules on
masks and baselines of other runs can. ``regression/README.md`` has the figures of
``tests/benchmarks/best_rule.py``.
"""

from __future__ import annotations

import numpy as np

from ..measures.of_one_map import mean_defined
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.comparing import compare
from ..regression.quantities import read_name
from ..regression.report import Report
from ..regression.rules import Thresholds, parse_rules
from ..regression.snapshot import Snapshot

STEADY = 3
"""Snapshots in a row that must look where the best one looked before anything counts as a violation."""

CLEARLY = 0.05
"""By how much the mean probability of a better net is higher; of scores, this share of the best one's."""


class Best:
    """Judges the snapshots of a training by its best one so far.

    Parameters
    ----------
    probe : ProbeSet
    thresholds : mapping of str to str, or to several, optional
        As for `compare`. Those that need no baseline are judged from the first snapshot on.
    """

    def __init__(self, probe: ProbeSet, thresholds: Thresholds | None = None) -> None:
        self._probe, self._all = probe, thresholds
        self._absolute: Thresholds | None = None
        self._relative: Thresholds | None = None
        if thresholds is not None:
            self._absolute, self._relative = _split(thresholds)
        self._baseline: Baseline | None = None
        self._worth = -np.inf
        self._steady = 0

    def judge(self, taken: Snapshot) -> Report | None:
        """What a snapshot violates; None while there is nothing that it could. It may become the best one."""
        before = self._baseline
        alone = compare(taken, None, self._absolute, probe=self._probe) if self._absolute else None
        relative = None if before is None else self._compare(taken, before, self._relative)
        settled, moved = self._steady >= STEADY, relative is not None and not relative.passed
        better, clearly = self._better(taken)
        if moved and (clearly or not settled):
            self._steady, settled = 0, False
        elif relative is not None and not moved:
            self._steady += 1
        if better and (alone is None or alone.passed) and not (moved and settled):
            self._worth, self._baseline = _worth(taken)[0], Baseline.from_snapshots(taken, self._probe)
        if before is None or relative is None or not settled:
            return alone
        return relative if alone is None else self._compare(taken, before, self._all)

    def _compare(self, taken: Snapshot, best: Baseline, thresholds: Thresholds | None) -> Report | None:
        if thresholds is not None and not thresholds:
            return None
        reference = f"the best snapshot so far, {best.sources[0]}"
        return compare(taken, best, thresholds, probe=self._probe, reference=reference)

    def _better(self, taken: Snapshot) -> tuple[bool, bool]:
        """Whether a snapshot is better than the best one, and whether clearly."""
        worth, is_probability = _worth(taken)
        gain = CLEARLY if is_probability else CLEARLY * abs(self._worth)
        return worth > self._worth, worth > self._worth + gain


def _split(thresholds: Thresholds) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Those that need no baseline, and those that do."""
    absolute: dict[str, list[str]] = {}
    relative: dict[str, list[str]] = {}
    for name, texts in thresholds.items():
        for text in [texts] if isinstance(texts, str) else texts:
            (rule,) = parse_rules({name: text})
            compares = rule.needs_baseline or read_name(name).quantity.needs_baseline
            (relative if compares else absolute).setdefault(name, []).append(text)
    return absolute, relative


def _worth(taken: Snapshot) -> tuple[float, bool]:
    """The mean probability of the targets, or their mean score; and which of the two it is."""
    probability = mean_defined(taken.measures["probability"])[0]
    known = probability == probability
    return (probability if known else mean_defined(taken.measures["score"])[0]), known
