"""Concepts: what a layer's activations are made of, the same few parts for all images."""

from __future__ import annotations

import numpy as np

from .multipass import seed_of


def feature_factors(activation: np.ndarray, images: np.ndarray, concepts: int = 4, updates: int = 50):
    """How strongly each of a few concepts, common to all images, is at each place of the layer.

    The activations of all images, cells x K, are factorised into maps (cells x concepts) times concepts
    (concepts x K, of length 1), neither below zero (Deep Feature Factorization, Collins et al., 2018, section 3,
    arXiv:1806.10206). Activations below zero count as zero. It looks neither at the target nor at anything above
    the layer.

    The factorisation is by multiplicative updates of squared error (Lee and Seung, 2001, theorem 1) and not by
    scikit-learn, for two reasons: the package does without that, and its start, by singular vectors, may swap two
    concepts when the net hardly changes. Here the start is random numbers seeded by the image's own bytes, and the
    number of updates is fixed, so that the maps are a continuous function of the activations: a concept keeps its
    number from epoch to epoch while the net changes little. Where it changes much, `aligned` puts them in order.

    Parameters
    ----------
    activation : ndarray, (N, K, h, w), float32
    images : ndarray, (N, C, H, W), float32
        Their seeds.
    concepts : int
    updates : int

    Returns
    -------
    ndarray, (N, concepts, h, w), float32, >= 0
        In units of the activations; all NaN for an image with activations that are not finite, which is left out.
    """
    count, channels, height, width = activation.shape
    found = np.full((count, concepts, height, width), np.nan, np.float32)
    finite = np.isfinite(activation).all(axis=(1, 2, 3))
    if not finite.any():
        return found
    values = np.maximum(activation[finite], 0).transpose(0, 2, 3, 1).reshape(-1, channels)
    unit = values.mean() or 1.0  # so that the tiny numbers below are tiny
    values = values / unit
    generators = [np.random.default_rng(seed_of(image)) for image in images[finite]]
    maps = np.concatenate([one.random((height * width, concepts), np.float32) for one in generators])
    parts = maps.T @ values / maps.sum(axis=0)[:, None]
    for _ in range(updates):
        parts *= (maps.T @ values) / (maps.T @ maps @ parts + TINY)
        maps *= (values @ parts.T) / (maps @ (parts @ parts.T) + TINY)
    maps *= np.linalg.norm(parts, axis=1) * unit
    found[finite] = maps.reshape(-1, height, width, concepts).transpose(0, 3, 1, 2)
    return found


TINY = 1e-9


def aligned(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The maps of now with the concepts in the order of those before that they are most alike.

    Most alike all in all, by the correlation of maps over all images and cells.

    Parameters
    ----------
    before, now : ndarray, (N, concepts, h, w), float
        Of the same images.

    Returns
    -------
    ndarray, as `now`
        `now` itself where the two have not one shape.
    """
    if before.shape != now.shape:
        return now
    flat = [np.nan_to_num(one).transpose(1, 0, 2, 3).reshape(one.shape[1], -1) for one in (before, now)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in flat]
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in centred]
    first, second = (
        np.divide(one, by, out=np.zeros_like(one), where=by > 0) for one, by in zip(centred, lengths)
    )
    from scipy.optimize import (
        linear_sum_assignment,
    )  # its import takes half a second, and pages need none of it

    _, places = linear_sum_assignment(first @ second.T, maximize=True)
    return now[:, places]
