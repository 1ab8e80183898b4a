"""Class activation maps: a layer's activations, weighted by what the score's gradient says of them.

The activations A_k, k = 1 ... K, and the gradients g_k = dy/dA_k of the pre-softmax score y are those of one
layer, at the point where it returns its output. A Gluon Conv2D returns values before any ReLU of its own net's
next layer, so that A may be below zero where the papers have it behind a ReLU; where a formula needs A >= 0, its
docstring says what is done. All arrays are (N, K, h, w) float32, maps (N, h, w) float32 at the layer's
resolution, not normalised.
"""

from __future__ import annotations

import cv2
import numpy as np


def grad_cam(activation: np.ndarray, gradient: np.ndarray):
    """Class activation map weighted by mean gradients (Grad-CAM).

    ReLU(sum_k a_k A_k), a_k the mean over (h, w) of dy/dA_k (Selvaraju et al., 2017, eq. 1-2,
    arXiv:1610.02391). MXNet's tutorial starts the sum from ones and quantises it to 8 bits; neither is done here.

    Parameters
    ----------
    activation, gradient : ndarray, (N, K, h, w), float32
        The layer's output and the target score's gradient there.

    Returns
    -------
    ndarray, (N, h, w), float32, >= 0
        At the layer's resolution, not normalised; all zero where nothing speaks for the target.
    """
    weights = gradient.mean(axis=(2, 3))
    return np.maximum(np.einsum("nk,nkhw->nhw", weights, activation), 0)


def grad_cam_plus_plus(activation: np.ndarray, gradient: np.ndarray):
    """Class activation map weighted by positive gradients, cells that share a map counting for each other.

    ReLU(sum_k w_k A_k), w_k = sum_ij alpha_ij ReLU(g_ij), alpha_ij = g^2 / (2 g^2 + g^3 S) = 1 / (2 + g S), S the
    sum over the map of A_k (Chattopadhay et al., 2018, eq. 10 and 19 for a score exp(y), arXiv:1710.11063).

    Departures: S is of ReLU(A), the same behind a ReLU, so that no denominator is below 2 and no epsilon is
    needed; the factor exp(y), one number for each image, is left out. torchcam and MONAI put A inside the sum
    over g^3, pytorch-grad-cam adds 1e-6 to the denominator; neither is the equation.

    `activation` and `gradient` as for `grad_cam`; returns (N, h, w), float32, >= 0.
    """
    positive = np.maximum(gradient, 0)
    sums = np.maximum(activation, 0).sum(axis=(2, 3), keepdims=True)
    weights = (positive / (2 + positive * sums)).sum(axis=(2, 3))
    return np.maximum(np.einsum("nk,nkhw->nhw", weights, activation), 0)


def xgrad_cam(activation: np.ndarray, gradient: np.ndarray):
    """Class activation map weighted by gradients, each cell's counting by its share of the map (XGrad-CAM).

    ReLU(sum_k w_k A_k), w_k = sum_ij (A_ij / sum_ab A_ab) g_ij (Fu et al., 2020, eq. 8, arXiv:2008.02312).
    Departure: the shares are of ReLU(A), the same behind a ReLU; a map without a positive value gets weight 0.

    `activation` and `gradient` as for `grad_cam`; returns (N, h, w), float32, >= 0.
    """
    positive = np.maximum(activation, 0)
    sums = positive.sum(axis=(2, 3), keepdims=True)
    shares = np.divide(positive, sums, out=np.zeros_like(positive), where=sums != 0)
    weights = (shares * gradient).sum(axis=(2, 3))
    return np.maximum(np.einsum("nk,nkhw->nhw", weights, activation), 0)


def layer_cam(activation: np.ndarray, gradient: np.ndarray):
    """Class activation map weighted cell by cell by positive gradients, for layers of any depth (LayerCAM).

    ReLU(sum_k ReLU(g_k) o A_k) (Jiang et al., 2021, eq. 5-6, doi:10.1109/TIP.2021.3089943). The authors scale the
    maps of early layers by tanh for the eye; not done here.

    `activation` and `gradient` as for `grad_cam`; returns (N, h, w), float32, >= 0.
    """
    return np.maximum((np.maximum(gradient, 0) * activation).sum(axis=1), 0)


def hires_cam(activation: np.ndarray, gradient: np.ndarray):
    """What each cell adds to the score, to first order: activation times gradient (HiResCAM), signed.

    sum_k g_k o A_k (Draelos and Carin, 2020, eq. 4, arXiv:2011.08891), without a final ReLU. Where the layer is
    followed by global average pooling and one dense layer, its positive part is Grad-CAM.

    `activation` and `gradient` as for `grad_cam`; returns (N, h, w), float32, negative where a cell speaks against
    the target.
    """
    return (gradient * activation).sum(axis=1)


def eigen_cam(activation: np.ndarray):
    """What the layer answers with most, whatever the class: its first principal component (EigenCAM), signed.

    The (h w, K) matrix of activations times its first right singular vector (Muhammad and Yeasin, 2020,
    arXiv:2008.00299), not centred. The sign of a singular vector is arbitrary; here it is the one that makes the
    map's sum positive. It looks neither at the target nor at anything above the layer.

    Parameters
    ----------
    activation : ndarray, (N, K, h, w), float32

    Returns
    -------
    ndarray, (N, h, w), float32
        >= 0 if the activations are; all NaN for an image with activations that are not finite.
    """
    count, maps, height, width = activation.shape
    projected = np.full((count, height * width), np.nan, np.float32)
    for i, matrix in enumerate(activation.reshape(count, maps, height * width)):
        if np.isfinite(matrix).all():
            right = np.linalg.svd(matrix.T.astype(np.float64), full_matrices=False)[2][0]
            projection = matrix.T @ right
            projected[i] = -projection if projection.sum() < 0 else projection
    return projected.reshape(count, height, width)


def eigen_grad_cam(activation: np.ndarray, gradient: np.ndarray):
    """What activation times gradient agree on: the first principal component of g o A, signed (Eigen-Grad-CAM).

    `eigen_cam` of the products, so that the target counts (Gildenblat and contributors, pytorch-grad-cam, 2021,
    after Muhammad and Yeasin, 2020, arXiv:2008.00299). The sign is fixed as there: the map's sum is positive.

    `activation` and `gradient` as for `grad_cam`; returns (N, h, w), float32, signed.
    """
    return eigen_cam(activation * gradient)


def upsample(maps: np.ndarray, size: tuple[int, ...]):
    """Resize maps bilinearly, pixel centres at halves (OpenCV's INTER_LINEAR).

    Parameters
    ----------
    maps : ndarray, (N, h, w), float32
    size : (H, W)

    Returns
    -------
    ndarray, (N, H, W), float32
    """
    height, width = size
    resized = [
        cv2.resize(np.asarray(map_, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        for map_ in maps
    ]
    return np.stack(resized) if resized else np.empty((0, height, width), np.float32)
