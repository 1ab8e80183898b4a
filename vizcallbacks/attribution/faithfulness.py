"""Does the net rely on what its maps highlight? It is asked again, with pixels taken away or shown.

The measures take `probabilities`, a callable: images (M, C, H, W) of the dtype given -> probabilities (M,
classes); logits would make every number here meaningless. It is called with the whole batch at once, always of one
size. `images` (N, C, H, W) are what the network takes, `maps` (N, H, W) real numbers at the image's size,
`classes` (N,) ints: the papers take the class predicted on the full image. Arguments are not written to. A
constant (flat or dead) map, or one that is not finite, ranks no pixel above another: NaN, undefined, never a
score. `mean_defined` averages the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..measures.of_one_map import gaussian_weights, mean_defined


def deletion(
    probabilities: Callable, images: np.ndarray, maps: np.ndarray, classes: np.ndarray, steps: int = 50
):
    """Area under the class's probability as pixels are set to zero, the map's highest first: (N,) in [0, 1].

    Lower is better: what the map marks was needed. Zero is the network's own, after its normalisation. Pixels
    go in `steps` parts of equal size (within a pixel), in steps + 1 calls; ties go to the lower index, row by
    row. AUC = (sum - first/2 - last/2) / steps, the trapezoidal rule (RISE, Petsiuk et al., 2018,
    arXiv:1806.07421).
    """
    images, maps, classes = checked(images, maps, classes)
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
    images, maps, classes = checked(images, maps, classes)
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
    images, maps, classes = checked(images, maps, classes)
    kept = np.maximum(maps, 0)
    highest = kept.max(axis=(1, 2))
    shares = (kept / np.where(highest > 0, highest, 1)[:, None, None]).astype(images.dtype)
    full = class_probabilities(probabilities, images, classes)
    rest = class_probabilities(probabilities, images * shares[:, None], classes)
    return full, np.where(ranks_pixels(maps) & (highest > 0), rest, np.nan)


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
    curve = np.stack([class_probabilities(probabilities, stage, classes) for stage in stages])
    area = (curve.sum(axis=0) - curve[0] / 2 - curve[-1] / 2) / steps
    return np.where(ranks_pixels(maps), area, np.nan)


def class_probabilities(probabilities: Callable, images: np.ndarray, classes: np.ndarray):
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


def ranks_pixels(maps: np.ndarray):
    """Where a map puts some pixel above another; `checked` made those constant that are not finite."""
    return maps.max(axis=(1, 2)) > maps.min(axis=(1, 2))


def checked(images: np.ndarray, maps: np.ndarray, classes: np.ndarray):
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
