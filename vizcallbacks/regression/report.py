"""What a check of attention found: a `Finding` for each rule, and the `Report` that tells it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..safe_text import one_line
from ..showing import Shown
from .baseline import Baseline
from .rules import Rule
from .snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class Finding:
    """The outcome of one rule.

    Attributes
    ----------
    rule : Rule
    passed : bool
    value : float
        The mean over the images, or for a rule on each image the share of those that comply; NaN: undefined.
    low, high : float
        What `value` had to lie in; infinite where there is no bound.
    baseline : float
        The baseline's mean; NaN without one.
    values : ndarray, (N,), float64
        Of the measure.
    failing : tuple of int
        Images that violate the rule individually, the worst first; also where the mean complies.
    """

    rule: Rule
    passed: bool
    value: float
    low: float
    high: float
    baseline: float
    values: np.ndarray
    failing: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Finding({'pass' if self.passed else 'FAIL'} {self.rule}: {describe(self)})"

    @property
    def excess(self) -> float:
        """By how much `value` lies outside its bounds; 0 within, NaN if it is undefined."""
        return float(np.maximum(0.0, np.maximum(self.low - self.value, self.value - self.high)))


@dataclass(frozen=True, eq=False)
class Report(Shown):
    """What was found. ``str(report)`` tells it. `compare` makes it.

    Attributes
    ----------
    findings : tuple of Finding
        One for each rule.
    snapshot : Snapshot
        What was checked.
    baseline : Baseline or None
    names, class_names : tuple of str
        Of the images, and of classes.
    flips : tuple of int
        Images whose predicted class is none that the baseline's runs predicted.
    reference : str
        What it was compared with, in words.
    files : tuple of str
        Where pictures of it lie.
    accept : str
        The command that accepts what is now; "" where there is none.

    Examples
    --------
    >>> import numpy as np, vizcallbacks as vc
    >>> probe = vc.ProbeSet(np.zeros((2, 3, 8, 8), np.float32), labels=[0, 1])
    >>> maps = {"grad_cam": np.zeros((2, 4, 4))}
    >>> snapshot = vc.Snapshot.from_arrays(probe, step=3, maps=maps, targets="label")
    >>> report = vc.compare(snapshot, None, {"dead": "<= 0.1"})
    >>> report
    Report(attention check FAILED 1 of 1 rules: after 3 epochs, layer None, 2 probe images, by rules alone)
    >>> report.failures
    (Finding(FAIL dead <= 0.1: mean 1.000, 0.9 above the bound),)
    """

    findings: tuple[Finding, ...]
    snapshot: Snapshot
    baseline: Baseline | None
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    flips: tuple[int, ...]
    reference: str
    files: tuple[str, ...] = ()
    accept: str = ""

    def __repr__(self) -> str:
        return f"Report({one_line(self._title())})"

    @property
    def passed(self) -> bool:
        """Whether every rule holds."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(finding for finding in self.findings if not finding.passed)

    def filed(self, *files: str | os.PathLike[str], accept: str | None = None) -> Report:
        """The same report, which also tells where its pictures lie, and how to accept what is now."""
        paths = (*self.files, *(os.fspath(file) for file in files))
        return replace(self, files=paths, accept=self.accept if accept is None else accept)

    def worst(self, count: int) -> list[int]:
        """At most `count` images that violate the failed rules most, each rule in turn; then class flips."""
        queues = [finding.failing for finding in self.failures] or [f.failing for f in self.findings]
        longest = max((len(queue) for queue in queues), default=0)
        ordered = [queue[place] for place in range(longest) for queue in queues if place < len(queue)]
        return list(dict.fromkeys([*ordered, *self.flips, *range(len(self.names))]))[:count]

    def violations(self) -> dict[int, str]:
        """Image -> what it violates by itself of the failed rules, in a few words."""
        found: dict[int, list[str]] = {}
        for finding in self.failures:
            for i in finding.failing:
                found.setdefault(i, []).append(f"{finding.rule.name} {_number(finding.values[i])}")
        return {i: ", ".join(dict.fromkeys(words)) for i, words in found.items()}

    def __str__(self) -> str:
        return "\n".join(map(one_line, self.lines()))  # for terminals and logs; names are the user's

    def lines(self) -> list[str]:
        """The report line by line, with names as they are: one may hold a line break."""
        lines, told = [self._title()], set()
        for finding in self.findings:
            verdict = "pass" if finding.passed else "FAIL"
            lines.append(f"  {verdict}  {finding.rule}: {describe(finding)}")
            if not finding.passed and finding.failing and finding.rule.name not in told:
                told.add(finding.rule.name)
                worst = [f"{self.image(i)} {_number(finding.values[i])}" for i in finding.failing[:3]]
                count = len(finding.failing)
                fail = f"{count} image{'s fail' if count > 1 else ' fails'} individually"
                lines.append(f"        {fail}; worst: {', '.join(worst)}")
        if self.flips and self.baseline is not None:
            shown = [self._flip(i, self.baseline) for i in self.flips[:4]] + ["..."] * (len(self.flips) > 4)
            lines.append(f"  {len(self.flips)} of {len(self.names)} class flips: {', '.join(shown)}")
        lines += [f"  picture: {path}" for path in self.files]
        if self.accept and not self.passed:
            lines.append(f"  If this is how it should look: {self.accept}")
        return lines

    def _title(self) -> str:
        verdict = "passed" if self.passed else f"FAILED {len(self.failures)} of {len(self.findings)} rules"
        return (
            f"attention check {verdict}: {self.snapshot.when}, layer {self.snapshot.layer!r}, "
            f"{len(self.names)} probe images, by {self.reference}"
        )

    def image(self, i: int) -> str:
        """An image's name, and its class if that has a name."""
        target = int(self.snapshot.targets[i])
        named = 0 <= target < len(self.class_names)
        return f"{self.names[i]} ({self.class_names[target]})" if named else self.names[i]

    def _flip(self, i: int, baseline: Baseline) -> str:
        classes = int(baseline.predictions[0, i]), int(self.snapshot.predictions[i])
        before, now = (self.class_names[c] if c < len(self.class_names) else f"class {c}" for c in classes)
        return f"{self.names[i]} {before} -> {now}"


def accept_command(
    runs: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str], step: int | None = None
) -> str:
    """The command that makes a baseline of runs, quoted for a shell.

    Examples
    --------
    >>> accept_command(["runs/my net"], "b.npz", step=3)
    "vizcallbacks accept 'runs/my net' --step 3 --out b.npz"
    """
    words = ["vizcallbacks", "accept", *(os.fspath(run) for run in runs)]
    words += [] if step is None else ["--step", str(step)]
    return shlex.join([*words, "--out", os.fspath(out)])


def describe(finding: Finding) -> str:
    """A finding in one line: value, bound, by how much, the baseline's value."""
    if finding.rule.share:
        return f"{100 * finding.value:.1f} % of the images comply"
    text = f"mean {_number(finding.value)}"
    low, high = f">= {finding.low:.3g}", f"<= {finding.high:.3g}"
    bounds = ([low] if finding.low > -np.inf else []) + ([high] if finding.high < np.inf else [])
    text += f", must be {' and '.join(bounds)}" if finding.rule.needs_baseline else ""
    if finding.excess > 0:
        text += f", {finding.excess:.3g} {'below' if finding.value < finding.low else 'above'} the bound"
    return text + (f" (baseline {finding.baseline:.3f})" if finding.baseline == finding.baseline else "")


def _number(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"
