"""Methods that walk back through the net by rules of their own; `walks` is a `vizcallbacks.nets.walks.Walks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cams import upsample

if TYPE_CHECKING:
    from ..nets.walks import Walks


def deconvnet(walks: Walks):
    """What a deconvolutional net draws of the score: a ReLU lets only positive gradient pass, whatever its input.

    R_in = 1[R_out > 0] R_out; max pooling hands down to its winners, as the gradient does (Zeiler and Fergus,
    2013, section 2.1, arXiv:1311.2901; as a walk: Simonyan et al., 2013, section 4, arXiv:1312.6034). Other
    ReLU-like activations (leaky, ReLU6) do the same; gates and smooth activations keep their own derivative.
    In a net without max pooling, gates and smooth activations, nothing of the image is left but the class.

    Parameters
    ----------
    walks : Walks

    Returns
    -------
    ndarray, (N, C, H, W), float32
    """
    return walks.deconvolved().astype(np.float32)


def full_grad(walks: Walks):
    """What the image and every bias of the net add to the score, each where it adds it, without signs.

    sum over channels of |x o dy/dx|, plus for every layer U(sum over channels of |b o dy/db|), b the bias at each
    place, BatchNorms folded; U upsamples bilinearly (Srinivas and Fleuret, 2019, eq. 4 and 6, arXiv:1905.00780).
    Where an activation is not piecewise linear through zero, its implicit bias counts as one. Departure: the paper
    scales each layer's maps to 0 ... 1, which makes images and epochs incomparable and gives a layer of noise as
    much weight as any other; here each keeps its own, as a density over pixels, so that the map's sum is that of
    all parts. Biases of dense layers have no place; they count in the sum only.

    Parameters
    ----------
    walks : Walks

    Returns
    -------
    ndarray, (N, H, W), float32, >= 0
    dict
        "completeness_gap": (N,) float32, the sum of all parts with their signs, minus the score; 0 but for
        rounding where every operator is known.
    """
    found = walks.decomposed()
    product = walks.images * found.gradient
    maps = np.abs(product).sum(axis=1).astype(np.float32)
    total = product.sum(axis=(1, 2, 3), dtype=np.float64) + found.others
    by_size: dict[tuple[int, ...], np.ndarray] = {}
    for part in found.maps:
        total += part.sum(axis=(1, 2, 3), dtype=np.float64)
        size = part.shape[2:]
        by_size[size] = by_size.get(size, 0) + np.abs(part).sum(axis=1)
    for size, layer in by_size.items():
        share = np.float32(size[0] * size[1] / (maps.shape[1] * maps.shape[2]))
        maps += share * upsample(layer, maps.shape[1:])
    return maps, {"completeness_gap": (total - found.scores).astype(np.float32)}


def deep_lift(walks: Walks, reference: float | np.ndarray = 0.0):
    """What each pixel's difference from a reference image adds to the score, signed: DeepLIFT's Rescale rule.

    (x - x') o multiplier. A multiplier is a ratio of differences: at an activation that of output and input, at
    max pooling what the maximum rises or falls, over what the place of the larger maximum does; elsewhere the
    derivative (Shrikumar et al., 2017, section 3.5.1, arXiv:1704.02685). The paper has no rule for products of two
    values, such as gates: each factor gets the other's mean over image and reference. The sum over an image must
    be y(x) - y(x'); by how much it is not is the completeness gap.

    Parameters
    ----------
    walks : Walks
    reference : float, or ndarray that broadcasts to (N, C, H, W)
        As the net takes images; 0 is the net's own zero, after its normalisation. For others put an entry of your
        own into `METHODS`: ``replace(METHODS["deep_lift"], function=partial(deep_lift, reference=mine))``.

    Returns
    -------
    ndarray, (N, C, H, W), float32
    dict
        "completeness_gap": (N,) float32, sum minus rise, in units of the score.

    Raises
    ------
    ValueError
        If an operator of the net has no rule, such as softmax and norms of an image's own statistics.
    """
    multipliers, end, start = walks.multipliers(reference)
    maps = ((walks.images - np.asarray(reference, np.float32)) * multipliers).astype(np.float32)
    gap = maps.sum(axis=(1, 2, 3), dtype=np.float64) - (end.astype(np.float64) - start)
    return maps, {"completeness_gap": gap.astype(np.float32)}


def lrp(walks: Walks, epsilon: float = 1e-6, biases: bool = True):
    """The score, handed down layer by layer to the pixels: layer-wise relevance propagation, EpsilonPlusFlat.

    The rules of a composite (Montavon et al., 2019, section 10.3, doi:10.1007/978-3-030-28954-6_10): in dense
    layers a value's share is a_i w_ij over the sum plus epsilon; in convolutions (a_i w_ij)^+ over the sum of
    these; the first layers share evenly among the pixels that they see. BatchNorms are folded into convolutions;
    others share as dense layers do. Activations hand relevance on as it is, sums share by values, max pooling
    gives all to the winner, a product all to the factor that is not the gate. Relevance starts as the outputs
    times the score's gradient. There is no negative evidence in z+: most maps have one sign, that of the score.

    Parameters
    ----------
    walks : Walks
    epsilon : float
        In units of the dense layers' outputs.
    biases : bool
        Whether biases take the share that is theirs, as in Zennit; the pixels' sum is that much less than the
        score. Where nothing but its bias speaks for a value, that share is lost either way.

    Returns
    -------
    ndarray, (N, C, H, W), float32
    dict
        "conservation_gap": (N,) float32, sum minus score.

    Raises
    ------
    ValueError
        If an operator of the net has no rule, or something else than a convolution or dense layer takes the image.
    """
    maps, scores = walks.relevances(epsilon, biases)
    gap = maps.sum(axis=(1, 2, 3), dtype=np.float64) - scores
    return maps.astype(np.float32), {"conservation_gap": gap.astype(np.float32)}
