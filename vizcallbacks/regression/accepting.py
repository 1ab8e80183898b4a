"""Before a baseline is accepted: do its runs agree enough for its rules to forbid anything?

From runs that look at different things a baseline learns bounds that every network keeps. `doubts` finds such
rules, with the figures and, where there is one, the run that is unlike the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..measures.of_one_map import mean_defined
from .baseline import Baseline
from .comparing import bounds_of
from .noise import margin
from .quantities import read_name, tolerance_of
from .rules import Rule, parse_rules
from .snapshot import Snapshot

VACUOUS = 0.8
"""A rule that allows more than this share of what a measure can be is vacuous: it forbids next to nothing."""

WIDE = 2.0
"""Margins of the mean, in tolerances for one run, above which runs are said to contradict each other."""


@dataclass(frozen=True)
class Learnt:
    """What a baseline's runs tell about the rule on one measure's mean.

    Attributes
    ----------
    rule : Rule
    margin : float
        How far the mean may be off.
    assumed : bool
        Whether the margin is the tolerance of `quantities`, since one run tells no noise.
    means : tuple of float
        Of the runs; for a similarity, of the pairs of runs.
    low, high : float
        The mean must lie within; infinite where there is no bound.
    odd : str
        The run without which the others agree; "" if there is none, or too few to tell.
    """

    rule: Rule
    margin: float
    assumed: bool
    means: tuple[float, ...]
    low: float
    high: float
    odd: str

    @property
    def bounds(self) -> tuple[float, float]:
        """What the rule allows of all that the measure can be; from 0 on for a correlation, which is chance."""
        least, most = _reach(self.rule)
        return max(self.low, least), min(self.high, most)

    @property
    def allowed(self) -> float:
        """The share of what the measure can be that the rule allows, in [0, 1]."""
        (low, high), (least, most) = self.bounds, _reach(self.rule)
        return max(high - low, 0.0) / (most - least)

    @property
    def vacuous(self) -> bool:
        """Whether the rule forbids next to nothing."""
        return self.allowed > VACUOUS

    @property
    def doubtful(self) -> bool:
        """Whether the runs contradict each other here: they differ by far more than a run is assumed to."""
        return not self.assumed and (self.vacuous or self.margin > WIDE * tolerance_of(self.rule.name))

    def __str__(self) -> str:
        """The rule, the margin and where it is from, in a line."""
        source = "assumed, from one run" if self.assumed else f"learnt from runs with {_numbers(self.means)}"
        return f"{self.rule.name}: mean may be off by {self.margin:.3f}, {source}"

    def doubt(self) -> str:
        """What is doubtful about it, in a sentence."""
        what = "values" if read_name(self.rule.name).quantity.of != "method" else "likeness of two"
        low, high = self.bounds
        text = f"{self.rule.name}: the runs contradict each other ({what} {_numbers(self.means)}); its rule would "
        text += f"allow {low:.3f} to {high:.3f}, {100 * self.allowed:.0f} % of what it can be"
        return text + (f"; without {self.odd} they agree" if self.odd else "")


def learnt(baseline: Baseline) -> tuple[Learnt, ...]:
    """What the runs tell about each default rule on a mean."""
    rules = [rule for rule in parse_rules(baseline.thresholds()) if rule.share is None]
    return tuple(_learnt(baseline, rule) for rule in rules if rule.name in baseline)


def doubts(baseline: Baseline) -> tuple[Learnt, ...]:
    """The rules that a baseline's runs contradict each other about; empty for one run."""
    return tuple(one for one in learnt(baseline) if one.doubtful)


def accept_images(
    baseline: Baseline, names: Iterable[str], snapshots: Snapshot | Iterable[Snapshot], source: str = ""
) -> Baseline:
    """The same baseline, but for some images, of which it has what newer snapshots have.

    Parameters
    ----------
    names : iterable of str
        The images.
    snapshots : Snapshot, or several
        One, which every run gets, or as many as there are runs.
    source : str
        Where they are from, for `sources`; default: when they were taken.

    Raises
    ------
    NotComparableError
        The snapshots are not of the baseline's images, layer, methods and targets.
    ValueError
        There is no such image, or another number of snapshots.
    """
    wanted, taken = list(names), [snapshots] if isinstance(snapshots, Snapshot) else list(snapshots)
    unknown = [name for name in wanted if name not in baseline.names]
    if unknown or not wanted:
        raise ValueError(
            f"there is no image {', '.join(map(repr, unknown)) or 'to accept'}; images are "
            f"{', '.join(baseline.names[:12])}{', ...' * (len(baseline.names) > 12)}"
        )
    if len(taken) not in (1, len(baseline)):
        raise ValueError(f"give one run, or as many as the baseline is of, {len(baseline)}; got {len(taken)}")
    rows = [i for i, name in enumerate(baseline.names) if name in wanted]
    made = Baseline.from_snapshots(taken)

    def mixed(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        array = np.array(old)
        array[:, rows] = new[:, rows]
        return array

    some = replace(
        baseline,
        targets=mixed(baseline.targets, made.targets),
        predictions=mixed(baseline.predictions, made.predictions),
    )
    for one in taken:
        some.check_comparable(one)
    told = f"{', '.join(baseline.names[i] for i in rows)} of {source or made.sources[0]}"
    return replace(
        some,
        maps={name: mixed(maps, made.maps[name]) for name, maps in baseline.maps.items()},
        measures={
            name: mixed(values, made.measures[name])
            for name, values in baseline.measures.items()
            if name in made.measures
        },
        sources=tuple(f"{old}; {told}" for old in baseline.sources),
    )


def _learnt(baseline: Baseline, rule: Rule) -> Learnt:
    values = baseline.values(rule.name)
    low, high, _, _ = bounds_of(rule, baseline, values)
    means = tuple(mean_defined(run)[0] for run in values)
    width, assumed = baseline.margin(rule.name)[0], len(baseline) == 1
    return Learnt(rule, width, assumed, means, float(low), float(high), _odd(baseline, rule))


def _reach(rule: Rule) -> tuple[float, float]:
    least, most = read_name(rule.name).quantity.range
    return max(least, 0.0), most


def _odd(baseline: Baseline, rule: Rule) -> str:
    """The run whose leaving halves the margin at least, and more than any other's; three runs are needed."""
    if len(baseline) < 3:
        return ""
    name = rule.name
    if read_name(name).quantity.of == "method":  # values are of pairs: how alike a run is to the others
        return _unlike(baseline, name)
    means = np.array([mean_defined(run)[0] for run in baseline.values(name)])
    prior = (tolerance_of(name) / 3) ** 2
    without = [
        margin(np.delete(means, run)[:, None], prior)[0] if np.isfinite(means).all() else np.inf
        for run in range(len(means))
    ]
    best = int(np.argmin(without))
    halves = 2 * without[best] <= margin(means[:, None], prior)[0]
    return baseline.sources[best] if halves else ""


def _unlike(baseline: Baseline, name: str) -> str:
    pairs = [(run, other) for run in range(1, len(baseline)) for other in range(run)]
    alike = [mean_defined(values)[0] for values in baseline.values(name)]
    rest = [
        np.array([value for value, pair in zip(alike, pairs) if run not in pair])
        for run in range(len(baseline))
    ]
    own = [
        np.array([value for value, pair in zip(alike, pairs) if run in pair]) for run in range(len(baseline))
    ]
    gaps = [others.min() - mine.max() for others, mine in zip(rest, own)]
    best = int(np.argmax(gaps))
    return baseline.sources[best] if gaps[best] > tolerance_of(name) / 2 else ""


def _numbers(values: tuple[float, ...]) -> str:
    shown = [f"{value:.3f}" for value in values[:6]]
    return ", ".join(shown) + (", ..." if len(values) > 6 else "")
