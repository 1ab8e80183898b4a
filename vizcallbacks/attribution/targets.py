"""Targets: what the user asks to have explained -> one score per image, from the net's outputs.

`segmentation`, `detection` and `multi_label` make the argument `targets` of `explain` for nets of these tasks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..checks import as_numpy, check_whole
from ..mxnet_later import autograd, mx


def score_of(targets, labels: np.ndarray | None, count: int) -> Callable:
    """Turn an argument `targets` into a function that scores a batch.

    Parameters
    ----------
    targets : None, "label", int, (count,) ints or callable
        The class whose score before the softmax is explained: the predicted one, the label, one for all, one
        for each; or a function from the net's outputs to scores.
    labels : ndarray, (count,), int64, or None
    count : int
        Images in all.

    Returns
    -------
    callable
        (net's outputs, the same as (n, classes) ndarray or None, the batch's slice of the images) -> (scores,
        (n,) NDArray; classes, (n,) ndarray or None). To be called while recording.

    Raises
    ------
    ValueError
        If `targets` is none of these; when called, if the outputs do not have the classes.
    """
    if isinstance(targets, _PerImage):
        targets.check(count)
        return lambda raw, outputs, part: (
            _checked_score(targets.score(raw, part), len(range(*part.indices(count)))),
            None,
        )
    if callable(targets):
        return lambda raw, outputs, part: (
            _checked_score(targets(raw), len(range(*part.indices(count)))),
            None,
        )
    if isinstance(targets, str):
        if targets != "label":
            raise ValueError(f"targets must be None, 'label', ints or a callable, got {targets!r}")
        if labels is None:
            raise ValueError(
                "targets='label' needs labels, and the probe has none; "
                "give ProbeSet(..., labels=...), or targets=None for the predicted class"
            )
        targets = labels
    if targets is not None:
        targets = _checked_classes(targets, count)

    def pick(raw, outputs, part):
        if outputs is None:
            raise ValueError(
                "the net must return one (N, classes) array for class targets, but returned "
                f"{_shapes(raw)}; give a callable: targets=lambda outputs: <(N,) scores>"
            )
        classes = outputs.argmax(axis=1) if targets is None else targets[part]
        if classes.max() >= outputs.shape[1]:
            raise ValueError(
                f"targets must be below the net's number of classes, {outputs.shape[1]}, got {classes.max()}"
            )
        return mx.nd.pick(raw.as_nd_ndarray(), mx.nd.array(classes, ctx=raw.ctx), axis=1), classes

    return pick


def targets_of(targets, rows: list[int] | slice, count: int):
    """The argument `targets` of `count` images, for some of them alone.

    Parameters
    ----------
    targets
        As for `score_of`.
    rows : list of int, or slice
        Which images.
    count : int

    Returns
    -------
    As for `score_of`
        Of these images; `targets` itself if it holds nothing for each.
    """
    if isinstance(targets, _PerImage):
        return targets.pick(rows)
    if targets is None or isinstance(targets, str) or callable(targets):
        return targets
    classes = as_numpy(targets)
    return classes[rows] if classes.shape[:1] == (count,) else targets


def segmentation(class_id: int, region=None) -> Callable:
    """The target of a semantic segmentation net: a class's mean score over a region.

    Parameters
    ----------
    class_id : int
    region : ndarray, (H, W) or (N, H, W), bool, optional
        One for all images, or one for each, of the size of the net's output. None: where the net sees the
        class; an image where it sees it nowhere gets the whole image.

    Returns
    -------
    callable
        For `explain(targets=)`: takes a net's outputs, (n, classes, H, W), or a tuple or list with these first,
        as GluonCV's FCN, PSPNet and DeepLab return them.
    """
    regions = None if region is None else np.asarray(region)
    if regions is not None and (regions.dtype != bool or regions.ndim not in (2, 3)):
        raise ValueError(f"region must be (H, W) or (N, H, W) bool, got {regions.dtype} {regions.shape}")
    return _Segmentation(_checked_index("class_id", class_id), regions)


def detection(rank: int = 0, class_id: int | None = None) -> Callable:
    """The target of an object detector: the score of one detection, as the net gives it, a probability.

    Parameters
    ----------
    rank : int
        0: the detection with the highest score, 1: the next, ...
    class_id : int, optional
        Among those of this class; None: among all.

    Returns
    -------
    callable
        For `explain(targets=)`: takes (ids, scores, boxes) of (n, K, 1) or (n, K), the same, and (n, K, 4), as
        GluonCV's SSD, YOLO and CenterNet return them, -1 for no object. An image without such a detection
        has score 0 and no gradient: its maps are dead.
    """
    rank = _checked_index("rank", rank)
    class_id = None if class_id is None else _checked_index("class_id", class_id)

    def score(outputs):
        several = isinstance(outputs, (list, tuple)) and len(outputs) >= 3
        if not several or outputs[1].shape[2:] not in ((), (1,)):
            raise ValueError(
                f"a detector must return ids (n, K, 1), scores (n, K, 1) and boxes, got {_shapes(outputs)}"
            )
        ids, scores = (output.reshape((output.shape[0], -1)) for output in outputs[:2])
        with autograd.pause():
            known, values = ids.asnumpy(), scores.asnumpy()
        wanted = known >= 0 if class_id is None else known == class_id
        order = np.argsort(np.where(wanted, -values, np.inf), axis=1, kind="stable")
        found = wanted.sum(axis=1) > rank
        chosen = order[:, min(rank, order.shape[1] - 1)]
        picked = mx.nd.pick(scores, mx.nd.array(chosen, ctx=scores.ctx), axis=1)
        return mx.nd.where(mx.nd.array(found, ctx=scores.ctx), picked, 0 * picked)

    return score


def multi_label(labels) -> Callable:
    """The target of a net with several labels for an image: the sum of these labels' scores.

    Parameters
    ----------
    labels : sequence of int, or ndarray, (N, classes), bool
        The labels, the same for all images or marked for each.

    Returns
    -------
    callable
        For `explain(targets=)`: takes outputs (n, classes), before any sigmoid.
    """
    marked = np.asarray(labels)
    if marked.dtype == bool and marked.ndim == 2:
        return _MultiLabel(marked)
    if marked.dtype.kind not in "iu" or marked.ndim != 1 or not marked.size or (marked < 0).any():
        raise ValueError(f"labels must be ints, or (N, classes) bool, got {marked.dtype} {marked.shape}")
    return _MultiLabel(marked)


class _PerImage(ABC):
    """A target that may hold something for each image, and so is told which images it scores."""

    def __call__(self, outputs):
        """Score the outputs of all images at once."""
        return self.score(outputs, slice(None))

    @abstractmethod
    def check(self, count: int) -> None:
        """Raise ValueError if it does not fit `count` images."""

    @abstractmethod
    def pick(self, rows: list[int] | slice) -> _PerImage:
        """The same target of some of the images."""

    @abstractmethod
    def score(self, outputs, part: slice):
        """(n,) scores of the images that `part` picks."""


@dataclass(frozen=True)
class _Segmentation(_PerImage):
    class_id: int
    regions: np.ndarray | None

    def check(self, count: int) -> None:
        if self.regions is not None and self.regions.ndim == 3 and len(self.regions) != count:
            raise ValueError(
                f"region must be one, or one for each of the {count} images, got {len(self.regions)}"
            )

    def pick(self, rows: list[int] | slice) -> _Segmentation:
        if self.regions is None or self.regions.ndim == 2:
            return self
        return replace(self, regions=self.regions[rows])

    def score(self, outputs, part: slice):
        maps = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        if maps.ndim != 4 or self.class_id >= maps.shape[1]:
            raise ValueError(
                f"a segmentation net must return (n, more than {self.class_id} classes, H, W), "
                f"got {_shapes(outputs)}"
            )
        if self.regions is None:
            with autograd.pause():
                seen = maps.asnumpy().argmax(axis=1) == self.class_id
            regions = np.where(seen.any(axis=(1, 2), keepdims=True), seen, True)
        else:
            regions = self.regions[part] if self.regions.ndim == 3 else self.regions[None]
        if regions.shape[1:] != maps.shape[2:]:
            raise ValueError(
                f"region must have the size of the net's output, {maps.shape[2:]}, got {regions.shape[1:]}"
            )
        areas = np.maximum(regions.sum(axis=(1, 2), keepdims=True), 1)
        weights = mx.nd.array(regions / areas, ctx=maps.ctx, dtype=maps.dtype)
        return mx.nd.broadcast_mul(maps[:, self.class_id], weights).sum(axis=(1, 2))


@dataclass(frozen=True)
class _MultiLabel(_PerImage):
    labels: np.ndarray

    def check(self, count: int) -> None:
        if self.labels.ndim == 2 and len(self.labels) != count:
            raise ValueError(
                f"labels must be marked for each of the {count} images, got {len(self.labels)} rows"
            )

    def pick(self, rows: list[int] | slice) -> _MultiLabel:
        return replace(self, labels=self.labels[rows]) if self.labels.ndim == 2 else self

    def score(self, outputs, part: slice):
        each = self.labels.ndim == 2
        classes = f"{self.labels.shape[1]}" if each else f"more than {self.labels.max()}"
        if not isinstance(outputs, mx.nd.NDArray) or outputs.ndim != 2:
            raise ValueError(f"the net must return (n, {classes} classes), got {_shapes(outputs)}")
        count = outputs.shape[1]
        if self.labels.shape[1] != count if each else self.labels.max() >= count:
            raise ValueError(f"the net must return (n, {classes} classes), got {_shapes(outputs)}")
        marked = self.labels[part] if each else np.isin(np.arange(count), self.labels)[None]
        weights = mx.nd.array(marked, ctx=outputs.ctx, dtype=outputs.dtype)
        return mx.nd.broadcast_mul(outputs, weights).sum(axis=1)


def _checked_index(name: str, value) -> int:
    check_whole(name, value, 0)
    return int(value)


def _checked_classes(targets, count: int) -> np.ndarray:
    classes = as_numpy(targets)
    whole = classes.dtype.kind in "iu" or (classes.dtype.kind == "f" and np.all(classes == np.round(classes)))
    if not whole or classes.shape not in ((), (count,)) or (classes < 0).any():
        raise ValueError(
            f"targets must be a class (an int >= 0) or one for each of the {count} images, "
            f"got {classes.dtype} of shape {classes.shape}: {str(targets)[:80]}"
        )
    return np.broadcast_to(classes.astype(np.int64), (count,))


def _checked_score(score, count: int):
    if not isinstance(score, mx.nd.NDArray) or score.shape != (count,):
        got = score.shape if isinstance(score, mx.nd.NDArray) else type(score).__name__
        raise ValueError(
            f"the targets function must return an NDArray of shape ({count},), one score per image; got {got}"
        )
    return score


def _shapes(outputs) -> str:
    if isinstance(outputs, (list, tuple)):
        return f"({', '.join(_shapes(output) for output in outputs)})"
    return str(getattr(outputs, "shape", type(outputs).__name__))
