"""A net and one batch of images, for methods that walk back through the net by other rules than the gradient's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mxnet_door import autograd, mx
from .compiled import CompiledNet
from .graph import INPUT
from .intercepts import intercepts_of
from .planning import OUTPUTS_ONLY
from .relevance import related
from .rescale import rescaled
from .straight import straightened
from .variants import prepared, variant, walked


@dataclass(frozen=True)
class Decomposition:
    """A score as a sum over the image and over what the net adds.

    Attributes
    ----------
    gradient : ndarray, (n, C, H, W)
        Of the score at the image.
    maps : list of ndarray, (n, K, h, w)
        Each operator's intercept times the gradient there; of those with maps.
    others : ndarray, (n,)
        The sum of those without places, such as the biases of dense layers.
    scores : ndarray, (n,)
    """

    gradient: np.ndarray
    maps: list[np.ndarray]
    others: np.ndarray
    scores: np.ndarray


class Walks:
    """Walks back through a net, each with a forward pass of its own.

    Parameters
    ----------
    compiled : CompiledNet
    inputs : sequence of NDArray
        As the net takes them, the images first.
    images : ndarray, (n, C, H, W), float32
    choose : callable
        The net's outputs for the n images -> (n,) scores.
    """

    def __init__(
        self, compiled: CompiledNet, inputs: Sequence, images: np.ndarray, choose: Callable[[Any], Any]
    ) -> None:
        self.images = images
        self._compiled, self._inputs, self._choose = compiled, inputs, choose

    def deconvolved(self) -> np.ndarray:
        """What comes down to the image if ReLUs let positive gradient pass and nothing else, (n, C, H, W)."""
        form, _ = self._form("deconvnet", lambda heads, arrays: (straightened(heads), None))
        run, _ = walked(form, self._inputs, self._choose, guided=True)
        return run.tape.walk([run.images], guided=True, last=True)[0]

    def decomposed(self) -> Decomposition:
        """The score's parts by the image and by each operator that adds something."""
        form, found = self._form("full_grad", lambda heads, arrays: (heads, intercepts_of(heads, arrays)))
        taps = list(dict.fromkeys(entry for one in found for entry in one.taps))
        run, score = walked(form, self._inputs, self._choose, taps)
        values = [value for _, value in run.ran]
        gradient, *gradients = run.tape.walk([run.images, *values], last=True)
        known = {entry: (value.asnumpy(), slope) for (entry, value), slope in zip(run.ran, gradients)}
        scores = score.asnumpy()
        maps, others = [], np.zeros(len(scores), np.float64)
        for one in found:
            term = one.term([known[entry] for entry in one.taps])
            if term.ndim == 4 and len(term) == len(scores):
                maps.append(term)
            elif term.ndim and len(term) == len(scores):
                others += term.reshape(len(term), -1).sum(axis=1, dtype=np.float64)
        return Decomposition(gradient, maps, others, scores)

    def multipliers(self, reference: Any = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """By how much of its difference from a reference each pixel changes the score (DeepLIFT's Rescale rule).

        Parameters
        ----------
        reference : float, or ndarray that broadcasts to (n, C, H, W)
            Reference images, as the net takes them.

        Returns
        -------
        ndarray, (n, C, H, W)
            Multipliers.
        ndarray, ndarray, (n,)
            Scores of the images and of the references.

        Raises
        ------
        ValueError
            If an operator of the net has no rule.
        """
        first, name = self._inputs[0], f"{INPUT}{len(self._inputs)}"
        values = np.broadcast_to(np.asarray(reference, np.float32), self.images.shape)
        given = mx.nd.array(values, ctx=first.ctx, dtype=first.dtype)
        form, _ = self._form("deep_lift", lambda heads, arrays: (rescaled(heads, name), None))
        run, score = walked(form, [*self._inputs, given], self._choose)
        (found,) = run.tape.walk([run.images], last=True)
        run = self._compiled.forward([given, *self._inputs[1:]], [], OUTPUTS_ONLY)
        with autograd.pause(train_mode=False):
            then = self._choose(run.outputs)
        return found, score.asnumpy(), then.asnumpy()

    def relevances(self, epsilon: float = 1e-6, biases: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """How much of the score comes from each pixel, handed down layer by layer (LRP, EpsilonPlusFlat).

        Parameters
        ----------
        epsilon : float
            Of the rule of dense layers, in units of their outputs.
        biases : bool
            Whether biases take the share that is theirs.

        Returns
        -------
        ndarray, (n, C, H, W)
        ndarray, (n,)
            Scores.

        Raises
        ------
        ValueError
            If an operator of the net has no rule.
        """
        form, _ = self._form(
            ("lrp", epsilon, biases), lambda heads, arrays: (related(heads, epsilon, biases), None)
        )
        run, score = walked(form, self._inputs, self._choose)
        (found,) = run.tape.walk([run.images], last=True)
        return found, score.asnumpy()

    def _form(
        self, name: Hashable, make: Callable[[list, dict], tuple[list, Any]]
    ) -> tuple[CompiledNet, Any]:
        """Another form of the net, and what was found of it; made once for all batches that run the same graph.

        `make` takes the prepared heads and arrays, and returns the form's heads and what it found.
        """
        forms = self._compiled.forms
        if name not in forms:
            heads, arrays = prepared(self._compiled)
            heads, found = make(heads, arrays)
            forms[name] = variant(self._compiled, heads, arrays), found
        return forms[name]
