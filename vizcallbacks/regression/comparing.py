"""`compare`: attention now against a baseline, by rules.

A value that is undefined (NaN: the map is flat or dead, say) is never a pass: its image violates every rule on
that measure, unless the image was undefined in one of the baseline's runs too, or the mask of the measure is
empty; such an image is not judged. Means are over the defined values; a mean is itself undefined, and fails,
once more than MOST_UNDEFINED of the images are newly undefined. "dead" is defined for dead maps, and counts them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..attribution.result import Attributions
from ..checks import names_arguments
from ..measures.of_one_map import mean_defined
from ..probes.probe_set import ProbeSet
from .baseline import Baseline
from .comparable import NotComparableError
from .noise import mean_of_runs
from .quantities import known_names, masks_of, no_mask, read_name
from .report import Finding, Report
from .rules import RELATIONS, Rule, Thresholds, parse_rules
from .snapshot import Snapshot, take

MOST_UNDEFINED = 0.25


@names_arguments
def compare(
    now: Snapshot | Attributions,
    baseline: Baseline | None,
    thresholds: Thresholds | None = None,
    *,
    probe: ProbeSet | None = None,
    reference: str = "",
    accept: str = "",
) -> Report:
    """Check what a net looks at now.

    Parameters
    ----------
    now : Snapshot or Attributions
    baseline : Baseline or None
        None: by rules that need none, such as those on masks.
    thresholds : mapping of str to str, or to several
        Measure -> rules, as in `vizcallbacks.regression.rules`. Measures are a snapshot's ("energy/tag", "dead",
        "entropy", "probability", ...), with a baseline also "<method>/<similarity>" ("grad_cam/spearman") and
        "flips" (1 where the predicted class is none that the baseline's runs predicted). None: the baseline's own,
        `Baseline.thresholds`.
    probe : ProbeSet, optional
        For names of images and classes where the baseline has none.
    reference : str
        What the baseline is, in words, for the report; default: "a baseline of 3 runs".
    accept : str
        How to accept what is now, for the report: a command, see `accept_command`.

    Raises
    ------
    NotComparableError
        Other images, layer, methods or targets than the baseline's.
    TypeError, ValueError
        The thresholds are wrong, or name a measure that there is not.

    Examples
    --------
    >>> import numpy as np, vizcallbacks as vc
    >>> probe = vc.ProbeSet(np.zeros((2, 3, 8, 8), np.float32), labels=[0, 1])
    >>> maps = np.random.default_rng(0).random((2, 4, 4))
    >>> then, now = (
    ...     vc.Snapshot.from_arrays(probe, step, {"grad_cam": values}, targets="label")
    ...     for step, values in ((1, maps), (2, maps[:, ::-1]))
    ... )
    >>> print(vc.compare(now, vc.Baseline.from_snapshots(then), {"grad_cam/spearman": ">= 0.9", "dead": "<= 0"}))
    attention check FAILED 1 of 2 rules: after 2 epochs, layer None, 2 probe images, by a baseline of 1 run
      FAIL  grad_cam/spearman >= 0.9: mean ..., ... below the bound (baseline 1.000)
            2 images fail individually; worst: image_...
      pass  dead <= 0: mean 0.000 (baseline 0.000)
    """
    if isinstance(now, Attributions):
        probe = now.probe if probe is None else probe
        now = take(now, now.probe, step=0, when="now")
    if thresholds is None and baseline is None:
        raise ValueError("thresholds must be given where there is no baseline to take them from")
    if probe is not None and probe.digest != now.digest:
        raise NotComparableError("the probe set given is not the one that was explained")
    rules = parse_rules(baseline.thresholds() if thresholds is None else thresholds)  # type: ignore[union-attr]
    if baseline is not None:
        baseline.check_comparable(now)
    findings = tuple(_judge(rule, now, baseline, probe) for rule in rules)
    unnamed = tuple(f"image_{i:03d}" for i in range(len(now.targets)))
    named = probe if probe is not None else baseline
    return Report(
        findings=findings,
        snapshot=now,
        baseline=baseline,
        names=unnamed if named is None else named.names,
        class_names=() if named is None else named.class_names,
        reference=reference or _reference(baseline),
        accept=accept,
        flips=() if baseline is None else tuple(np.flatnonzero(_flips(now, baseline) == 1).tolist()),
    )


def _reference(baseline: Baseline | None) -> str:
    if baseline is None:
        return "rules alone"
    return f"a baseline of {len(baseline)} run{'s' * (len(baseline) > 1)}"


def values_of(name: str, now: Snapshot, baseline: Baseline | None) -> np.ndarray:
    """A measure of each image, (N,) float64; ValueError, with the names there are, for one that there is not."""
    if name in now.measures:
        return np.asarray(now.measures[name])
    try:
        found = read_name(name)
    except ValueError:
        raise ValueError(f"there is no measure {name!r}; {_known(now, baseline)}") from None
    if name == "drift":  # of a first snapshot
        return np.full(len(now.targets), np.nan)
    if found.quantity.of == "mask":
        raise ValueError(f"there is no measure {name!r}, {no_mask(found.of, masks_of(now.measures))}")
    if baseline is None:
        raise ValueError(f"there is no measure {name!r} without a baseline; {_known(now, None)}")
    if name == "flips":
        return _flips(now, baseline)
    if found.of not in baseline.maps:
        raise ValueError(f"there is no measure {name!r}; {_known(now, baseline)}")
    return mean_of_runs(baseline.similarity(found.of, found.key, now.maps[found.of], now.targets))


def _known(now: Snapshot, baseline: Baseline | None) -> str:
    methods = () if baseline is None else tuple(baseline.maps)
    return known_names(methods, masks_of(now.measures), baseline is not None)


def _flips(now: Snapshot, baseline: Baseline) -> np.ndarray:
    known = (now.predictions >= 0) & (baseline.predictions >= 0).all(axis=0)
    return np.where(known, (now.predictions != baseline.predictions).all(axis=0), np.nan)


def _judge(rule: Rule, now: Snapshot, baseline: Baseline | None, probe: ProbeSet | None) -> Finding:
    values = values_of(rule.name, now, baseline)
    known = baseline is not None and rule.name in baseline
    own = baseline.values(rule.name) if known and baseline is not None else None
    low, high, lows, highs = bounds_of(rule, baseline, own)
    undefined = np.isnan(values)
    excused = undefined & _undefined_before(rule.name, own, probe, len(values))
    beyond = np.where(undefined, np.inf, np.fmax(lows - values, values - highs))
    fails = ~excused & (undefined | ~_complies(rule, values, lows, highs))
    judged = ~excused
    if rule.share is not None:
        value = float(1 - fails[judged].mean()) if judged.any() else np.nan
        low, high, passed = rule.share, np.inf, not judged.any() or value >= rule.share - 1e-12
    else:
        value = mean_defined(values)[0]
        lost = (undefined & judged).sum()
        if lost > MOST_UNDEFINED * len(values):
            value = np.nan
        passed = bool(_complies(rule, value, low, high)) or (value != value and not lost)
    return Finding(
        rule=rule,
        passed=passed,
        value=value,
        low=low,
        high=high,
        baseline=np.nan if own is None else mean_defined([mean_defined(run)[0] for run in own])[0],
        values=values,
        failing=tuple(sorted(np.flatnonzero(fails).tolist(), key=lambda i: -beyond[i])),
    )


def _complies(rule: Rule, values: Any, low: Any, high: Any) -> Any:
    """Whether values, or a mean, lie within their bounds; NaN never does."""
    if rule.relation == "within":
        return (values >= low - 1e-12) & (values <= high + 1e-12)
    return RELATIONS[rule.relation](values, rule.bound)


def bounds_of(rule: Rule, baseline: Baseline | None, own: np.ndarray | None):
    """Bounds of a rule: lowest and highest of the mean, and of each image (arrays, or floats for all).

    `own`: the baseline's values of the measure, (S, N).
    """
    if rule.relation != "within":
        low, high = (-np.inf, rule.bound) if rule.relation in ("<=", "<") else (rule.bound, np.inf)
        return low, high, low, high
    if baseline is None or own is None:
        raise ValueError(
            f"the rule '{rule}' needs a baseline with that measure; give a bound that is a number"
        )
    centre, centres = mean_defined([mean_defined(run)[0] for run in own])[0], mean_of_runs(own)
    width, widths = baseline.margin(rule.name) if rule.bound is None else (rule.bound, rule.bound)
    quantity = read_name(rule.name).quantity
    down, up = quantity.better != "lower", quantity.better != "higher"
    least, most = quantity.range
    return (
        _bound(centre - width, down and centre - width >= least, -np.inf),
        _bound(centre + width, up and centre + width <= most, np.inf),
        _bound(centres - widths, down, -np.inf),
        _bound(centres + widths, up, np.inf),
    )


def _bound(at: Any, counts: bool, none: float) -> Any:
    """`at`, or `none` where that is undefined (the baseline was) or does not count."""
    return np.where(np.isnan(at) | (not counts), none, at)[()]


def _undefined_before(name: str, own: np.ndarray | None, probe: ProbeSet | None, count: int) -> np.ndarray:
    """Where a measure may be undefined now: (N,) bool."""
    may = np.zeros(count, bool) if own is None else np.isnan(own).any(axis=0)
    mask = name.partition("/")[2]
    if probe is not None and mask in probe.masks:
        may = may | ~probe.masks[mask].any(axis=(1, 2))
    return np.ones(count, bool) if name == "drift" else may
