"""`ask_net`: does the net rely on what its maps highlight? It is asked again, with pixels taken away or shown.

The measures take `probabilities`, a callable: images (M, C, H, W) of the dtype given -> probabilities (M,
classes); logits would make every number here meaningless. It is called with the whole batch at once, always of one
size. `images` (N, C, H, W) are what the network takes, `maps` (N, H, W) real numbers at the image's size,
`classes` (N,) ints: the papers take the class predicted on the full image. Arguments are not written to. A
constant (flat or dead) map, or one that is not finite, ranks no pixel above another: NaN, undefined, never a
score. `mean_defined` averages the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..checks import check_whole, did_you_mean, names_arguments
from ..measures.of_one_map import gaussian_weights, mean_defined
from ..mxnet_door import gluon
from ..nets.inputs import Inputs
from ..nets.instrument import instrumented
from .outputs import probabilities_of
from .removal import mu_fidelity, road
from .result import Attributions


def deletion(
    probabilities: Callable, images: np.ndarray, maps: np.ndarray, classes: np.ndarray, steps: int = 50
):
    """Area under the class's probability as pixels are set to zero, the map's highest first: (N,) in [0, 1].

    Lower is better: what the map marks was needed. Zero is the network's own, after its normalisation. Pixels
    go in `steps` parts of equal size (within a pixel), in steps + 1 calls; ties go to the lower index, row by
    row. AUC = (sum - first/2 - last/2) / steps, the trapezoidal rule (RISE, Petsiuk et al., 2018,
    arXiv:1806.07421).
    """
    images, maps, classes = _checked(images, maps, classes)
    return _area_under_curve(probabilities, images, np.zeros_like(images), maps, classes, steps)


def insertion(
    probabilities: Callable,
    images: np.ndarray,
    maps: np.ndarray,
    classes: np.ndarray,
    steps: int = 50,
    sigma: float = 5.0,
):
    """Area under the class's probability as a blur turns sharp, the map's highest first: (N,) in [0, 1].

    Higher is better: what the map marks is enough. Steps, ties, area and source as in `deletion`. The start
    is `blurred(images, sigma)`.
    """
    images, maps, classes = _checked(images, maps, classes)
    return _area_under_curve(probabilities, blurred(images, sigma), images, maps, classes, steps)


def blurred(images: np.ndarray, sigma: float = 5.0):
    """Images (N, C, H, W) under a Gaussian of `sigma` pixels, same shape and dtype.

    The window has RISE's 11 x 11 pixels. Beyond the edge there is nothing: the weights within the image are
    made to sum to one again, so that no dark frame appears (RISE pads with zeros).
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0 pixels, got {sigma}")
    images = np.asarray(images)
    rows, columns = (gaussian_weights(length, sigma, radius=5) for length in images.shape[2:])
    return (rows @ images @ columns.T).astype(images.dtype)


def full_and_kept(probabilities: Callable, images: np.ndarray, maps: np.ndarray, classes: np.ndarray):
    """Y and O of `average_drop`, `average_increase`: probability on the images and on what the maps keep.

    A map keeps L o image, L its positive part scaled to a maximum of 1 (Grad-CAM++, Chattopadhay et al.,
    2018, arXiv:1710.11063). Returns two (N,) float64 in [0, 1]; O is NaN where the map is undefined or
    nowhere above zero.
    """
    images, maps, classes = _checked(images, maps, classes)
    kept = np.maximum(maps, 0)
    highest = kept.max(axis=(1, 2))
    shares = (kept / np.where(highest > 0, highest, 1)[:, None, None]).astype(images.dtype)
    full = _class_probabilities(probabilities, images, classes)
    rest = _class_probabilities(probabilities, images * shares[:, None], classes)
    return full, np.where(_ranks_pixels(maps) & (highest > 0), rest, np.nan)


def average_drop(full: np.ndarray, kept: np.ndarray):
    """Mean of max(0, Y - O) / Y in [0, 1], lower is better (Grad-CAM++, arXiv:1710.11063).

    `full` Y and `kept` O are probabilities (N,), as `full_and_kept` gives them. Images where either is NaN,
    or Y is 0, are left out; none left gives NaN. The paper prints percent.
    """
    full, kept = _checked_scores(full, kept)
    drop = np.divide(np.maximum(full - kept, 0), full, out=np.full(full.shape, np.nan), where=full > 0)
    return mean_defined(drop)[0]


def average_increase(full: np.ndarray, kept: np.ndarray):
    """Share of images in [0, 1] where O > Y, higher is better (Grad-CAM++, arXiv:1710.11063).

    `full` Y and `kept` O are probabilities (N,), as `full_and_kept` gives them; images where either is NaN
    are left out; none left gives NaN.
    """
    full, kept = _checked_scores(full, kept)
    return mean_defined(np.where(np.isnan(full) | np.isnan(kept), np.nan, kept > full))[0]


CURVES: dict[str, Callable[..., np.ndarray]] = {"deletion": deletion, "insertion": insertion}
"""Name -> function of (probabilities, images, maps, classes, steps): (N,)."""

RATIOS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "drop": lambda full, kept: np.maximum(full - kept, 0) / np.where(full > 0, full, np.nan),
    "increase": lambda full, kept: np.where(np.isnan(full) | np.isnan(kept), np.nan, kept > full),
}
"""Name -> function of the probability (N,) on the image and on what the map keeps of it; their means over the
images are `average_drop` and `average_increase`."""

REMOVALS: dict[str, Callable[..., np.ndarray]] = {
    "road": road,
    "mu_fidelity": lambda of_class, images, maps, steps: mu_fidelity(of_class, images, maps, 10 * steps),
}
"""Name -> function of (probabilities of the classes, images, maps, steps): (N,)."""

NAMES = (*CURVES, *RATIOS, *REMOVALS)
"""What `ask_net` measures."""


@names_arguments
def ask_net(
    net: gluon.Block,
    result: Attributions,
    method: str = "grad_cam",
    measures: Sequence[str] | str = ("deletion", "insertion", "drop", "increase"),
    *,
    steps: int = 20,
    batch_size: int = 16,
    extra: Sequence = (),
) -> dict[str, np.ndarray]:
    """Ask the net how much of its answer each map accounts for.

    It is measured on the probability of the class predicted on the full image, with maps at the image's size: for
    deletion and insertion the net runs 2 (steps + 1) times over the images, for drop and increase twice. Like
    `explain` it leaves the net as it was.

    Parameters
    ----------
    net : gluon.Block
        The one that `result` is of.
    result : Attributions
        With `probabilities`: for a net with one output, explain it with ``output="sigmoid"``.
    method : str
        One that `result` holds.
    measures : sequence of str
        "deletion" (lower is better), "insertion" (higher), "drop" (lower), "increase" (higher: 1 or 0), "road"
        (lower), "mu_fidelity" (higher; 0 is chance); their definitions and sources are in
        `vizcallbacks.attribution.faithfulness` and `vizcallbacks.attribution.removal`.
    steps : int, >= 1
        Of deletion, insertion and ROAD; MuFidelity takes ten subsets for each.
    batch_size, extra
        As for `explain`.

    Returns
    -------
    dict of str to ndarray, (N,), float64
        NaN for flat or dead maps.

    Raises
    ------
    KeyError
        The method was not computed.
    TypeError, ValueError
        A measure is unknown, further inputs do not fit, or the net's outputs have no probabilities.

    Examples
    --------
    >>> import mxnet as mx, numpy as np, vizcallbacks as vc
    >>> from mxnet.gluon import nn
    >>> net = nn.HybridSequential()
    >>> net.add(nn.Conv2D(8, 3, activation="relu"), nn.GlobalAvgPool2D(), nn.Dense(2))
    >>> net.initialize()
    >>> images = np.random.rand(3, 3, 16, 16).astype("float32")
    >>> found = vc.ask_net(net, vc.explain(net, images, "saliency"), "saliency", steps=4)
    >>> {name: values.shape for name, values in found.items()}
    {'deletion': (3,), 'insertion': (3,), 'drop': (3,), 'increase': (3,)}
    """
    names = (measures,) if isinstance(measures, str) else tuple(measures)
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        hint = did_you_mean(unknown[0], NAMES) if unknown else ""
        raise ValueError(f"measures must be names from {', '.join(NAMES)}, got {unknown or 'none'}{hint}")
    check_whole("batch_size", batch_size)
    maps = result.at_image_size(method)
    if result.probabilities is None or result.predictions is None or (result.predictions < 0).any():
        raise ValueError(
            "the net must give one (N, classes) array of numbers that have probabilities; for one of "
            "several outputs explain it with targets=vizcallbacks.targets.head(0), for a single "
            "number with output='sigmoid'"
        )
    inputs = Inputs(net, result.probe.images, extra)
    found = {}
    with instrumented(net) as runner, inputs.told(result.probe.images):

        def probabilities(images: np.ndarray) -> np.ndarray:
            parts = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
            return np.concatenate([answered(images[part], inputs.batch(part)[1:]) for part in parts])

        def answered(images: np.ndarray, further: list) -> np.ndarray:
            run = runner.forward(inputs.to_net(images), (), further, record=False)
            outputs = result.target.answers(run.outputs).asnumpy().astype(np.float32)
            values: Any = probabilities_of(outputs, result.output)
            return np.hstack([1 - values, values]) if outputs.shape[1] == 1 else values

        asked = (probabilities, result.probe.images, maps, result.predictions)
        if set(names) & set(RATIOS):
            full, kept = full_and_kept(*asked)
        for name in names:
            if name in REMOVALS:
                found[name] = _removed(REMOVALS[name], *asked, steps)
            else:
                found[name] = CURVES[name](*asked, steps) if name in CURVES else RATIOS[name](full, kept)
    return found


def _area_under_curve(
    probabilities: Callable,
    start: np.ndarray,
    finish: np.ndarray,
    maps: np.ndarray,
    classes: np.ndarray,
    steps: int,
):
    pixels = maps[0].size
    if steps not in range(1, pixels + 1):
        raise ValueError(f"steps must be from 1 to the {pixels} pixels of an image, got {steps}")
    order = np.argsort(-maps.reshape(len(maps), pixels), axis=1, kind="stable")
    turn = np.empty(order.shape, dtype=np.int64)  # when each pixel changes
    np.put_along_axis(turn, order, np.arange(pixels), axis=1)
    turn = turn.reshape(maps.shape)[:, None]
    counts = [pixels * step // steps for step in range(steps + 1)]
    stages = (np.where(turn < count, finish, start) for count in counts)
    curve = np.stack([_class_probabilities(probabilities, stage, classes) for stage in stages])
    area = (curve.sum(axis=0) - curve[0] / 2 - curve[-1] / 2) / steps
    return np.where(_ranks_pixels(maps), area, np.nan)


def _removed(
    measure: Callable,
    probabilities: Callable,
    images: np.ndarray,
    maps: np.ndarray,
    classes: np.ndarray,
    steps: int,
):
    images, maps, classes = _checked(images, maps, classes)
    check_whole("steps", steps)
    values = measure(
        lambda changed: _class_probabilities(probabilities, changed, classes), images, maps, steps
    )
    return np.where(_ranks_pixels(maps), values, np.nan)


def _class_probabilities(probabilities: Callable, images: np.ndarray, classes: np.ndarray):
    """(N,) float64: the probability of each image's class; raises if the callable gives anything else."""
    values = np.asarray(probabilities(images), dtype=np.float64)
    if values.ndim != 2 or len(values) != len(images):
        raise ValueError(f"probabilities must return ({len(images)}, classes), got {values.shape}")
    if not 0 <= classes.min() <= classes.max() < values.shape[1]:
        raise ValueError(
            f"classes must be from 0 to {values.shape[1] - 1}, got {classes.min()} to {classes.max()}"
        )
    chosen = values[np.arange(len(classes)), classes]
    # float32 rounding may step over the ends; NaN, from a broken network, passes and stays NaN
    if (chosen < -1e-5).any() or (chosen > 1 + 1e-5).any():
        raise ValueError(
            f"probabilities must lie in [0, 1], got {chosen.min():.3g} to {chosen.max():.3g}; apply softmax"
        )
    return np.clip(chosen, 0, 1)


def _ranks_pixels(maps: np.ndarray):
    """Where a map puts some pixel above another; `_checked` made those constant that are not finite."""
    return maps.max(axis=(1, 2)) > maps.min(axis=(1, 2))


def _checked(images: np.ndarray, maps: np.ndarray, classes: np.ndarray):
    """The arguments as arrays: images as given, maps float64 and all zero where not finite, classes int."""
    images, maps, classes = np.asarray(images), np.asarray(maps), np.asarray(classes)
    if images.ndim != 4 or 0 in images.shape or images.dtype.kind != "f":
        raise ValueError(f"images must be floats (N, C, H, W), got {images.dtype} {images.shape}")
    expected = (len(images), *images.shape[2:])
    if maps.shape != expected or maps.dtype.kind not in "fiub":
        raise ValueError(
            f"maps must be real numbers {expected}, the images' size, got {maps.dtype} {maps.shape}"
        )
    if classes.shape != expected[:1] or classes.dtype.kind not in "iu":
        raise ValueError(
            f"classes must be ints {expected[:1]}, one per image, got {classes.dtype} {classes.shape}"
        )
    finite = np.isfinite(maps).all(axis=(1, 2))
    return images, np.where(finite[:, None, None], maps, 0).astype(np.float64), classes


def _checked_scores(full: np.ndarray, kept: np.ndarray):
    full, kept = np.asarray(full, dtype=np.float64), np.asarray(kept, dtype=np.float64)
    if full.ndim != 1 or full.shape != kept.shape:
        raise ValueError(f"full and kept must be (N,) each, got {full.shape} and {kept.shape}")
    return full, kept
