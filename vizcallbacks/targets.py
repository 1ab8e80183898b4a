"""Targets: what the user asks to have explained -> one score per image, from the net's outputs."""

from __future__ import annotations

from collections.abc import Callable

import mxnet as mx
import numpy as np


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


def _checked_classes(targets, count: int) -> np.ndarray:
    classes = np.asarray(targets.asnumpy() if isinstance(targets, mx.nd.NDArray) else targets)
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
