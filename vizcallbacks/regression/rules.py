"""Rules: what must hold for a measure of attention, as a line of text.

    "<= 0.05"              the mean over the probe images is at most 0.05
    ">= 0.3 for 90%"       each image's own value, for at least that share of the images; "for all": for every one
    "within 0.1"           the mean differs from the baseline's by at most 0.1
    "within noise"         the mean differs by no more than the baseline's own runs do (`Baseline.margin`)
    "within noise for 80%" each image's own value does, for at least that share of the images

The relations are ``<=``, ``<``, ``>=``, ``>`` and ``within``. Thresholds are a mapping of names to one such
text, or to several: ``{"energy/tag": ["<= 0.05", "<= 0.3 for 95%"], "grad_cam/spearman": ">= 0.7"}``. What is
better than the baseline does not violate "within", where the measure says which direction is better.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Union

Thresholds = Mapping[str, Union[str, Iterable[str]]]
"""Name of a measure -> one rule, or several."""

RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}
"""Those that compare with a number; "within" needs a baseline."""

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"  # each text in one way only, so in linear time
_RULE = re.compile(
    rf"\s*(?:(<=|>=|<|>)\s*({_NUMBER})|within\s+({_NUMBER}|noise))"
    rf"(?:\s+for\s+(?:({_NUMBER})\s*%|(all)))?\s*"
)
_RELATION = re.compile(r"<=|>=|<|>|\bwithin\b")


@dataclass(frozen=True)
class Rule:
    """One rule for one measure; ``str(rule)`` is the text that gives it again, name included.

    Attributes
    ----------
    name : str
        "energy/tag", "dead", "grad_cam/spearman", ...
    relation : {"<=", "<", ">=", ">", "within"}
    bound : float or None
        None: the baseline's noise ("within noise").
    share : float or None
        Of the images that must comply, in (0, 1]; None: the rule is on their mean.
    """

    name: str
    relation: str
    bound: float | None
    share: float | None = None

    def __str__(self) -> str:
        bound = "noise" if self.bound is None else f"{self.bound:.12g}"
        share = "" if self.share is None else f" for {100 * self.share:.12g}%"
        return f"{self.name} {self.relation} {bound}{share}"

    @property
    def needs_baseline(self) -> bool:
        """Whether the bound is relative to a baseline's values."""
        return self.relation == "within"


def parse_rules(thresholds: Thresholds) -> tuple[Rule, ...]:
    """Read thresholds.

    Raises
    ------
    TypeError
        They are no mapping of str to str, or to several.
    ValueError
        A rule is none, or there is not one.
    """
    if not isinstance(thresholds, Mapping):
        raise TypeError(
            f"thresholds must map names to rules, {{'dead': '<= 0.1'}}, got {type(thresholds).__name__}"
        )
    rules = []
    for name, texts in thresholds.items():
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(name, str) or not isinstance(texts, Iterable):
            raise TypeError(
                f"thresholds must map names to rules, {{'dead': '<= 0.1'}}, got {name!r}: {texts!r}"
            )
        rules += [_parse(name, text) for text in texts]
    if not rules:
        raise ValueError("thresholds must hold at least one rule, such as {'dead': '<= 0.1'}; got none")
    return tuple(rules)


def split_named(texts: Iterable[str]) -> dict[str, list[str]]:
    """Thresholds from texts with their names in front, as on a command line: "energy/tag <= 0.05"."""
    thresholds: dict[str, list[str]] = {}
    for text in texts:
        start = len(text) - len(text.lstrip())
        match = _RELATION.search(text, start + 1)  # a name has at least one character
        if not match:
            raise ValueError(f"a rule must be like 'energy/tag <= 0.05', got {text!r}; {_FORMS}")
        thresholds.setdefault(text[start : match.start()].rstrip(), []).append(text[match.start() :])
    return thresholds


_FORMS = "forms: '>= 0.7', '<= 0.05 for 90%', '> 0 for all', 'within 0.1', 'within noise for 80%'"


def _parse(name: str, text: Any) -> Rule:
    match = _RULE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"the rule for {name!r} must be a relation and a number, got {text!r}; {_FORMS}")
    relation, number, width, percent, every = match.groups()
    share = 1.0 if every else None if percent is None else float(percent) / 100
    bound = None if width == "noise" else float(number or width)
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"the share of images in the rule for {name!r} must be in (0, 100] %, got {text!r}")
    if bound is not None and (not math.isfinite(bound) or (relation is None and bound < 0)):
        raise ValueError(f"the bound in the rule for {name!r} must be finite, and a width >= 0, got {text!r}")
    return Rule(name, relation or "within", bound, share)
