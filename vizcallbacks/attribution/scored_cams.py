"""Class activation maps weighted by scores instead of gradients: a pass for each of the layer's K maps.

Activations are (N, K, h, w) float32, maps (N, h, w) float32 at the layer's resolution, as in `cams`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cams import upsample

if TYPE_CHECKING:
    from ..nets.above import Above
    from ..nets.passes import Passes


def score_cam(activation: np.ndarray, passes: Passes):
    """Class activation map weighted by the score of the image seen through each map alone (Score-CAM).

    ReLU(sum_k w_k A_k), w = softmax over k of y(x o s(U(A_k))), s scaling to [0, 1] from the map's minimum to
    its maximum, U bilinear upsampling (Wang et al., 2019, algorithm 1, arXiv:1910.01279). No gradient is used:
    one forward pass for each of the layer's K maps. Channels that are constant on an image are left out. The
    authors' code weights by the class's probability instead; the score before the softmax is what the algorithm
    says, and what other targets than classes have. The baseline's score, one number for each image, drops out
    of the softmax.

    Parameters
    ----------
    activation : ndarray, (N, K, h, w), float32
    passes : Passes

    Returns
    -------
    ndarray, (N, h, w), float32, >= 0
    """
    low = activation.min(axis=(2, 3), keepdims=True)
    span = activation.max(axis=(2, 3), keepdims=True) - low
    unit = np.divide(activation - low, span, out=np.zeros_like(activation), where=span != 0)
    size = passes.images.shape[2:]
    masked = (passes.images * upsample(unit[:, k], size)[:, None] for k in range(unit.shape[1]))
    scores = passes.scores(masked, unit.shape[1], "Score-CAM").T.astype(np.float64)
    scores = np.where(span[:, :, 0, 0] != 0, scores, -np.inf)
    highest = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - np.where(highest == -np.inf, 0, highest))
    weights /= np.where(highest == -np.inf, 1, weights.sum(axis=1, keepdims=True))
    return np.maximum(np.einsum("nk,nkhw->nhw", weights, activation), 0).astype(np.float32)


def ablation_cam(activation: np.ndarray, above: Above):
    """Class activation map weighted by the share of the score that is lost without each map (Ablation-CAM).

    ReLU(sum_k w_k A_k), w_k = (y - y_k) / |y|, y_k the score with map k set to zero (Desai and Ramaswamy, 2020,
    eq. 2-3, doi:10.1109/WACV45572.2020.9093360). No gradient is used. Only the part of the net above the layer
    runs, once for each of the K maps. Departure: the paper divides by y, which turns the map over where the score
    before the softmax is negative. An image whose score is 0 has no shares: its map is all zero.

    Parameters
    ----------
    activation : ndarray, (N, K, h, w), float32
    above : Above
        `vizcallbacks.nets.above.Above`: scores on changed outputs of the layer.

    Returns
    -------
    ndarray, (N, h, w), float32, >= 0
    """
    count = activation.shape[1]

    def ablated():
        yield activation
        for k in range(count):
            changed = activation.copy()
            changed[:, k] = 0
            yield changed

    scores = above.scores(ablated(), count + 1, "Ablation-CAM").T.astype(np.float64)
    score = scores[:, :1]
    lost = score - scores[:, 1:]
    weights = np.divide(lost, np.abs(score), out=np.zeros_like(lost), where=score != 0)
    return np.maximum(np.einsum("nk,nkhw->nhw", weights, activation), 0).astype(np.float32)
