"""The argument `targets`: makers for users, and from what a user gives to a `Target`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..checks import as_numpy, check_whole, did_you_mean
from .class_targets import Classes, Contrast, Label, MultiLabel, Predicted
from .spatial_targets import Detection, Segmentation
from .target import Function, Head, Rows, Target


def target_of(targets: Any, labels: np.ndarray | None, count: int) -> Target:
    """Turn an argument `targets` into a target of `count` images.

    Parameters
    ----------
    targets : None, "label", int, (count,) ints, Target or callable
        The class whose score before the softmax is explained: the predicted one, the label, one for all, one
        for each; or what this module makes; or a function from the net's outputs, and if it takes a second
        argument the numbers of the images, to scores.
    labels : ndarray, (count,), int64, or None
    count : int
        Images in all.

    Raises
    ------
    ValueError
        If `targets` is none of these, or does not fit the images.
    """
    return _as_target(targets, count).bound(labels, count)


def targets_of(targets: Any, rows: Rows, count: int) -> Any:
    """The argument `targets` of `count` images, for some of them alone.

    Parameters
    ----------
    targets
        As for `target_of`.
    rows : list of int, or slice
        Which images.
    count : int

    Returns
    -------
    As for `target_of`
        Of these images; `targets` itself if it holds nothing for each.
    """
    if callable(targets):
        return _as_target(targets, count).numbered(count).pick(rows)
    if targets is None or isinstance(targets, str):
        return targets
    classes = as_numpy(targets)
    return classes[rows] if classes.shape[:1] == (count,) else targets


def segmentation(class_id: int, region: Any = None) -> Target:
    """The target of a semantic segmentation net: a class's mean score over a region.

    Parameters
    ----------
    class_id : int
    region : ndarray, (H, W) or (N, H, W), bool, optional
        One for all images, or one for each, of the size of the net's output. None: where the net sees the
        class on the image as it is; an image where the class is predicted nowhere gets the whole image.

    Returns
    -------
    Target
        For `explain(targets=)`: takes a net's outputs, (n, classes, H, W), or a tuple or list with these first,
        as GluonCV's FCN, PSPNet and DeepLab return them.

    Examples
    --------
    >>> import mxnet as mx, vizcallbacks as vc
    >>> maps = mx.nd.array([[[[1, 2], [3, 4]], [[5, 0], [7, 0]]]])  # 1 image, 2 classes, 2 x 2 pixels
    >>> vc.targets.segmentation(1)(maps).asnumpy()  # class 1 is seen in the left column
    array([6.], dtype=float32)
    """
    regions = None if region is None else np.asarray(region)
    if regions is not None and (regions.dtype != bool or regions.ndim not in (2, 3)):
        raise ValueError(f"region must be (H, W) or (N, H, W) bool, got {regions.dtype} {regions.shape}")
    return Segmentation(_checked_index("class_id", class_id), regions)


def detection(rank: int = 0, class_id: int | None = None) -> Target:
    """The target of an object detector: the score of one detection, as the net gives it, a probability.

    Parameters
    ----------
    rank : int
        0: the detection with the highest score, 1: the next, ...
    class_id : int, optional
        Among those of this class; None: among all.

    Returns
    -------
    Target
        For `explain(targets=)`: takes (ids, scores, boxes) of (n, K, 1) or (n, K), the same, and (n, K, 4), as
        GluonCV's SSD, YOLO and CenterNet return them, -1 for no object. An image without such a detection
        has score 0 and no gradient: its maps are dead. The detection is chosen on the image as it is; on a
        covered or noisy copy it is the one of the same class whose box overlaps most with that, and its score
        is 0 where none does.

    Examples
    --------
    >>> import mxnet as mx, vizcallbacks as vc
    >>> ids, scores = mx.nd.array([[[6], [2]]]), mx.nd.array([[[0.75], [0.5]]])  # 1 image, 2 detections
    >>> boxes = mx.nd.array([[[0, 0, 9, 9], [4, 4, 20, 20]]])
    >>> vc.targets.detection(class_id=2)((ids, scores, boxes)).asnumpy()
    array([0.5], dtype=float32)
    """
    rank = _checked_index("rank", rank)
    return Detection(rank, None if class_id is None else _checked_index("class_id", class_id))


def multi_label(labels: Any) -> Target:
    """The target of a net with several labels for an image: the sum of these labels' scores.

    Parameters
    ----------
    labels : sequence of int, or ndarray, (N, classes), bool
        The labels, the same for all images or marked for each.

    Returns
    -------
    Target
        For `explain(targets=)`: takes outputs (n, classes), before any sigmoid.

    Examples
    --------
    >>> import mxnet as mx, vizcallbacks as vc
    >>> vc.targets.multi_label([0, 2])(mx.nd.array([[1, 2, 4], [8, 16, 32]])).asnumpy()
    array([ 5., 40.], dtype=float32)
    """
    marked = np.asarray(labels)
    if marked.dtype == bool and marked.ndim == 2:
        return MultiLabel(marked)
    if marked.dtype.kind not in "iu" or marked.ndim != 1 or not marked.size or (marked < 0).any():
        raise ValueError(f"labels must be ints, or (N, classes) bool, got {marked.dtype} {marked.shape}")
    return MultiLabel(marked)


def head(index: int | str | Sequence[int | str], targets: Any = None) -> Target:
    """A target of one output of a net that returns several.

    The output that is named counts as the net's answer: predictions, probabilities and whether they are right
    are those of this head.

    Parameters
    ----------
    index : int, str, or sequence of these
        The position of the output, or its name in a named tuple or dict; of nested outputs the way there, from the
        outermost: ``head(("main", 0))`` is ``outputs["main"][0]``.
    targets : optional
        What is explained of this output, whatever `explain` takes: None the predicted class, "label", an int, (N,)
        ints, a function of this output, or another target.

    Returns
    -------
    Target
        For `explain(targets=)`.

    Raises
    ------
    ValueError
        `index` is none of these; when used, the net has no such output.

    Examples
    --------
    >>> import mxnet as mx, vizcallbacks as vc
    >>> colour, shape = mx.nd.array([[1, 5, 2]]), mx.nd.array([[7, 3]])
    >>> vc.targets.head(1, 0)((colour, shape)).asnumpy()  # the score of class 0 of the second output
    array([7.], dtype=float32)
    """
    path = (index,) if isinstance(index, (int, str, np.integer)) else tuple(index)
    wrong = [one for one in path if isinstance(one, bool) or not isinstance(one, (int, str, np.integer))]
    if wrong or not path:
        raise ValueError(f"index must be an int, a name, or a sequence of these, got {index!r}")
    return Head(path, _as_target(targets))


def contrast(class_id: Any, other: Any = None) -> Target:
    """Why this class and not that: how far its score is above the other's.

    Grad-CAM of it is Finer-CAM with one reference class (Zhang et al., 2025, arXiv:2501.11309).

    Parameters
    ----------
    class_id : int, (N,) ints, "label", or None
        The class; None: the predicted one.
    other : int, (N,) ints, or None
        The class that it is held against; None: the strongest rival, with the highest score among all others on
        the image as it is.

    Returns
    -------
    Target
        For `explain(targets=)`; takes outputs (n, classes).

    Raises
    ------
    ValueError
        The two are one class.

    Examples
    --------
    >>> import mxnet as mx, vizcallbacks as vc
    >>> outputs = mx.nd.array([[1, 5, 2], [4, 0, 3]])
    >>> vc.targets.contrast(None)(outputs).asnumpy()  # 5 - 2 and 4 - 3
    array([3., 1.], dtype=float32)
    >>> vc.targets.contrast(1, 0)(outputs).asnumpy()
    array([ 4., -4.], dtype=float32)
    """
    mine = _as_target(class_id)
    if not isinstance(mine, (Classes, Predicted, Label)):
        raise ValueError(f"class_id must be a class, 'label' or None, got {class_id!r}")
    against = None if other is None else Classes(_checked_classes(other, None))
    if against is not None and isinstance(mine, Classes) and np.any(mine.values == against.values):
        raise ValueError(f"contrast() needs two classes that differ, got {class_id} and {other}")
    return Contrast(mine, against)


def _as_target(targets: Any, count: int | None = None) -> Target:
    """The target that an argument means; `count` None: the number of images is checked later."""
    if isinstance(targets, Target):
        return targets
    if callable(targets):
        return Function(targets, _takes_numbers(targets))
    if targets is None:
        return Predicted()
    if isinstance(targets, str):
        if targets != "label":
            hint = did_you_mean(targets, ["label"]) or (
                f"; for an output of that name: targets=vizcallbacks.targets.head({targets!r}), for one inside "
                "another: head(('a', 'b'))"
            )
            raise ValueError(f"targets must be None, 'label', ints or a callable, got {targets!r}{hint}")
        return Label()
    return Classes(_checked_classes(targets, count))


def _takes_numbers(function: Callable) -> bool:
    """Whether it cannot be called without a second argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is one.empty for one in parameters) > 1


def _checked_index(name: str, value: Any) -> int:
    check_whole(name, value, 0)
    return int(value)


def _checked_classes(targets: Any, count: int | None) -> np.ndarray:
    classes = as_numpy(targets)
    whole = classes.dtype.kind in "iu" or (classes.dtype.kind == "f" and np.all(classes == np.round(classes)))
    shaped = classes.ndim <= 1 if count is None else classes.shape in ((), (count,))
    if not whole or not shaped or (classes < 0).any():
        images = "image" if count is None else f"of the {count} images"
        raise ValueError(
            f"targets must be a class (an int >= 0) or one for each {images}, "
            f"got {classes.dtype} of shape {classes.shape}: {str(targets)[:80]}"
        )
    return classes.astype(np.int64)
