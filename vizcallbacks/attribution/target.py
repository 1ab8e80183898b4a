"""`Target`: one score for each image, from the net's outputs; `Head` and `Function` take outputs of any kind.

A target goes through three states. *Bound*, it fits the images and knows their labels. *Fixed* on the outputs for
some images as they are, it holds whatever it chooses by itself (a predicted class, a region, a detection), so that
it stays the same question on noisy or covered copies of these images. Then it *scores* outputs, while recording.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from ..mxnet_later import mx

Self = TypeVar("Self", bound="Target")
Rows = Any
"""Which images: a slice, a list of int or an array of int."""


@dataclass(frozen=True)
class Target(ABC):
    """What is explained: a score for each image.

    Called with a net's outputs for all its images, a target returns their scores, (N,) NDArray.
    """

    def __call__(self, outputs: Any) -> Any:
        return self.fixed(outputs).score(outputs)

    @property
    def classes(self) -> np.ndarray | None:
        """The class explained for each image, (n,) int64; None where the target is none, or not fixed yet."""
        return next((inner.classes for inner in self._inner().values()), None)

    @property
    def spatial(self) -> bool:
        """Whether it scores places of the image, so that the last layer holds the scores themselves."""
        return any(inner.spatial for inner in self._inner().values())

    def bound(self: Self, labels: np.ndarray | None, count: int) -> Self:
        """The same target of `count` images with `labels`; ValueError if it does not fit them."""
        for name, array in self._each().items():
            if len(array) != count:
                raise ValueError(
                    f"{name} must be given once, or for each of the {count} images, got {len(array)} rows"
                )
        return replace(self, **{name: one.bound(labels, count) for name, one in self._inner().items()})

    def numbered(self: Self, count: int) -> Self:
        """The same target, told that it is of `count` images before some of them are picked."""
        return replace(self, **{name: one.numbered(count) for name, one in self._inner().items()})

    def pick(self: Self, rows: Rows) -> Self:
        """The same target of some of its images."""
        own = {name: array[rows] for name, array in self._each().items()}
        return replace(self, **own, **{name: one.pick(rows) for name, one in self._inner().items()})

    def joined(self: Self, others: Sequence[Self]) -> Self:
        """One target of the images of several of the same kind, in their order."""
        own = {
            name: np.concatenate([array, *(other._each()[name] for other in others)])
            for name, array in self._each().items()
        }
        inner = {
            name: one.joined([other._inner()[name] for other in others])
            for name, one in self._inner().items()
        }
        return replace(self, **own, **inner)

    def instead(self, classes: np.ndarray) -> Target:
        """The target of other classes, (n,) ints, of as many images; for targets that are classes."""
        return replace(self, **{name: one.instead(classes) for name, one in self._inner().items()})

    def answers(self, outputs: Any) -> Any:
        """The NDArray among the net's outputs that holds its (n, classes) answers, or None."""
        return outputs if isinstance(outputs, mx.nd.NDArray) and len(outputs.shape) == 2 else None

    @abstractmethod
    def fixed(self, outputs: Any) -> Target:
        """The target with all that it chooses by itself, chosen on the outputs for its images as they are."""

    @abstractmethod
    def score(self, outputs: Any) -> Any:
        """(n,) NDArray, one score for each image; to be called on a fixed target, while recording."""

    def _each(self) -> dict[str, np.ndarray]:
        """The fields that hold a row for each image."""
        return {}

    def _inner(self) -> dict[str, Target]:
        """The fields that hold another target."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if isinstance(value, Target)}


@dataclass(frozen=True)
class Head(Target):
    """A target of one of several outputs.

    Attributes
    ----------
    path : tuple of int or str
        Where the output is: positions, or names of a named tuple's fields or a mapping's keys, outermost first.
    inner : Target
    """

    path: tuple[int | str, ...]
    inner: Target

    def answers(self, outputs: Any) -> Any:
        return self.inner.answers(self._part(outputs))

    def fixed(self, outputs: Any) -> Head:
        return replace(self, inner=self.inner.fixed(self._part(outputs)))

    def score(self, outputs: Any) -> Any:
        return self.inner.score(self._part(outputs))

    def _part(self, outputs: Any) -> Any:
        part = outputs
        for step in self.path:
            try:
                if isinstance(part, mx.nd.NDArray):
                    raise TypeError  # it has rows, and they are the images
                part = (
                    getattr(part, step) if isinstance(step, str) and hasattr(part, "_fields") else part[step]
                )
            except (TypeError, IndexError, KeyError, AttributeError):
                raise ValueError(
                    f"head({self.path[0] if len(self.path) == 1 else self.path!r}): the net's outputs, "
                    f"{shapes_of(outputs)}, have no {step!r} there"
                ) from None
        return part


@dataclass(frozen=True)
class Function(Target):
    """A score by the user's own function.

    Attributes
    ----------
    function : callable
        Of the outputs, and the images' numbers if it takes a second argument.
    takes_numbers : bool
    numbers : ndarray, (n,), int64, or None
        Of its images, among all that there are.
    count : int or None
        How many there are.
    """

    function: Callable
    takes_numbers: bool
    numbers: np.ndarray | None = None
    count: int | None = None

    def bound(self, labels: np.ndarray | None, count: int) -> Function:
        return super().bound(labels, count) if self.numbers is not None else self.numbered(count)

    def numbered(self, count: int) -> Function:
        return self if self.numbers is not None else replace(self, numbers=np.arange(count), count=count)

    def fixed(self, outputs: Any) -> Function:
        return self

    def score(self, outputs: Any) -> Any:
        for array in arrays_of(outputs):
            array.wait_to_read()  # an error of the net is not one of the function
        try:
            score = self.function(*((outputs, self.numbers) if self.takes_numbers else (outputs,)))
            if isinstance(score, mx.nd.NDArray):
                score.wait_to_read()
        except Exception as error:
            raise ValueError(self._failed(error)) from error
        count = len(arrays_of(outputs)[0]) if self.numbers is None else len(self.numbers)
        if not isinstance(score, mx.nd.NDArray) or score.shape != (count,):
            got = score.shape if isinstance(score, mx.nd.NDArray) else type(score).__name__
            raise ValueError(
                f"the targets function must return an NDArray of shape ({count},), one score per image; got {got}"
            )
        return score

    def _each(self) -> dict[str, np.ndarray]:
        return {} if self.numbers is None else {"numbers": self.numbers}

    def _failed(self, error: Exception) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__name__).rsplit(".", 1)[-1]
        batch = (
            "" if self.numbers is None else f" on a batch of {len(self.numbers)} of the {self.count} images"
        )
        reason = (str(error).strip().splitlines() or [""])[-1]
        if isinstance(error, mx.MXNetError):
            reason = reason.split("Check failed: ")[-1].replace("MXNetError: ", "")
        more = (
            ""
            if self.takes_numbers
            else "; it is given the outputs for one batch: for what differs between images, let it take a second "
            "argument, the numbers of the batch's images, (n,) ints: targets=lambda outputs, numbers: ..."
        )
        kind = (
            "an operator does not take what it is given"
            if isinstance(error, mx.MXNetError)
            else type(error).__name__
        )
        return f"the targets function, {name}, failed{batch}: {kind}: {reason}{more}"


def arrays_of(outputs: Any) -> list:
    """A net's outputs laid flat, the NDArrays among them."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return [array for part in outputs for array in arrays_of(part)]
    return [outputs] if isinstance(outputs, mx.nd.NDArray) else []


def shapes_of(outputs: Any) -> str:
    """What a net returned, for messages."""
    if isinstance(outputs, Mapping):
        return f"{{{', '.join(f'{key}: {shapes_of(output)}' for key, output in outputs.items())}}}"
    if hasattr(outputs, "_fields"):
        return f"({', '.join(f'{name}={shapes_of(one)}' for name, one in zip(outputs._fields, outputs))})"
    if isinstance(outputs, (list, tuple)):
        return f"({', '.join(shapes_of(output) for output in outputs)})"
    return str(getattr(outputs, "shape", type(outputs).__name__))
