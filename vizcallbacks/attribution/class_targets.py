"""Targets of classifiers: the score of a class, of one against another, of several labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mxnet_later import mx
from .target import Target, shapes_of


@dataclass(frozen=True)
class Classes(Target):
    """The score of a class, one for all images or one for each."""

    values: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        return self.values

    def bound(self, labels: np.ndarray | None, count: int) -> Classes:
        return Classes(np.broadcast_to(self.values, (count,))) if self.values.ndim == 0 else self

    def fixed(self, outputs: Any) -> Classes:
        answers, count = _class_answers(outputs), len(_class_answers(outputs))
        highest, classes = self.values.max(initial=0), answers.shape[1]
        if highest >= classes:
            raise too_high(highest, classes)
        return Classes(np.broadcast_to(self.values, (count,)))

    def instead(self, classes: np.ndarray) -> Classes:
        return Classes(classes)

    def score(self, outputs: Any) -> Any:
        answers = _class_answers(outputs)
        return mx.nd.pick(answers, mx.nd.array(self.values, ctx=answers.ctx), axis=1)

    def _each(self) -> dict[str, np.ndarray]:
        return {"values": self.values} if self.values.ndim else {}


@dataclass(frozen=True)
class Predicted(Target):
    """The score of the class that the net predicts."""

    def fixed(self, outputs: Any) -> Classes:
        return Classes(_class_answers(outputs).asnumpy().argmax(axis=1))

    def score(self, outputs: Any) -> Any:
        return self.fixed(outputs).score(outputs)


@dataclass(frozen=True)
class Label(Target):
    """The score of the image's label."""

    def bound(self, labels: np.ndarray | None, count: int) -> Classes:  # type: ignore[override]
        if labels is None:
            raise ValueError(
                "targets='label' needs labels, and the probe has none; "
                "give ProbeSet(..., labels=...), or targets=None for the predicted class"
            )
        return Classes(labels)

    def fixed(self, outputs: Any) -> Target:
        raise TypeError("targets='label' is known for images with labels only: ProbeSet(images, labels)")

    def score(self, outputs: Any) -> Any:
        return self.fixed(outputs).score(outputs)


@dataclass(frozen=True)
class Contrast(Target):
    """How far the score of one class is above that of another.

    Attributes
    ----------
    inner : Target
        The class.
    other : Classes or None
        None: the class with the highest score among the others.
    """

    inner: Target
    other: Classes | None

    def bound(self, labels: np.ndarray | None, count: int) -> Contrast:
        both = super().bound(labels, count)
        if both.other is not None and both.inner.classes is not None:
            _check_differ(both.inner.classes, both.other.values)
        return both

    def fixed(self, outputs: Any) -> Contrast:
        chosen = self.inner.fixed(outputs)
        mine = chosen.classes
        if mine is None:
            raise ValueError("contrast() compares two classes, got a target that is no class")
        if self.other is not None:
            other = self.other.fixed(outputs)
            _check_differ(mine, other.values)
            return Contrast(chosen, other)
        scores = _class_answers(outputs).asnumpy().copy()
        if scores.shape[1] < 2:
            raise ValueError("contrast() needs two classes, and the net has one output")
        scores[np.arange(len(mine)), mine] = -np.inf
        return Contrast(chosen, Classes(scores.argmax(axis=1)))

    def instead(self, classes: np.ndarray) -> Target:
        return self.inner.instead(classes)  # the other may be the same

    def score(self, outputs: Any) -> Any:
        if self.other is None:
            return self.fixed(outputs).score(outputs)
        return self.inner.score(outputs) - self.other.score(outputs)


@dataclass(frozen=True)
class MultiLabel(Target):
    """The sum of several labels' scores."""

    labels: np.ndarray

    def fixed(self, outputs: Any) -> MultiLabel:
        return self

    def score(self, outputs: Any) -> Any:
        each = self.labels.ndim == 2
        classes = f"{self.labels.shape[1]}" if each else f"more than {self.labels.max()}"
        answers = self.answers(outputs)
        count = 0 if answers is None else answers.shape[1]
        if self.labels.shape[1] != count if each else self.labels.max() >= count:
            raise ValueError(f"the net must return (n, {classes} classes), got {shapes_of(outputs)}")
        marked = self.labels if each else np.isin(np.arange(count), self.labels)[None]
        weights = mx.nd.array(marked, ctx=answers.ctx, dtype=answers.dtype)
        return mx.nd.broadcast_mul(answers, weights).sum(axis=1)

    def _each(self) -> dict[str, np.ndarray]:
        return {"labels": self.labels} if self.labels.ndim == 2 else {}


def too_high(highest: int, classes: int) -> ValueError:
    """What to raise for a class that a net of so many does not have."""
    reason = f"targets must be below the net's number of classes, {classes}, got {highest}"
    if classes == 1:
        reason += (
            "; a net with one output has a score and no classes: targets=0 explains what raises it, "
            "targets=lambda outputs: -outputs[:, 0] what lowers it"
        )
    return ValueError(reason)


def _class_answers(outputs: Any) -> Any:
    if not isinstance(outputs, mx.nd.NDArray) or len(outputs.shape) != 2:
        raise ValueError(
            "the net must return one (N, classes) array for class targets, but returned "
            f"{shapes_of(outputs)}; give a callable: targets=lambda outputs: <(N,) scores>, {_way_from(outputs)}"
        )
    return outputs.as_nd_ndarray()


def _way_from(outputs: Any) -> str:
    """What target may be meant for outputs of this form."""
    if isinstance(outputs, mx.nd.NDArray) and len(outputs.shape) == 4:
        return "or, where these are scores of classes at each pixel: targets=vizcallbacks.targets.segmentation(0)"
    path = _path_to_answers(outputs) or (0,)
    shown = repr(path[0] if len(path) == 1 else path)
    return f"or say which of several outputs holds the classes: targets=vizcallbacks.targets.head({shown})"


def _path_to_answers(outputs: Any) -> tuple | None:
    """Where the first (N, classes) array is among nested outputs; None if there is none."""
    if isinstance(outputs, mx.nd.NDArray):
        return () if len(outputs.shape) == 2 else None
    names: Any = getattr(
        outputs, "_fields", range(len(outputs)) if isinstance(outputs, (list, tuple)) else ()
    )
    parts = outputs.items() if isinstance(outputs, Mapping) else zip(names, outputs) if names else ()
    for name, part in parts:
        below = _path_to_answers(part)
        if below is not None:
            return (name, *below)
    return None


def _check_differ(mine: np.ndarray, others: np.ndarray) -> None:
    same = np.flatnonzero(mine == others)
    if len(same):
        raise ValueError(
            f"contrast() needs two classes that differ, got {mine[same[0]]} twice for image {same[0]}; "
            "leave out `other` for the strongest rival"
        )
