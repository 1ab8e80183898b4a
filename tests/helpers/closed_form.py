"""A score whose gradient is known: what the methods of many passes are tried on without a net."""

from __future__ import annotations

import numpy as np

from vizcallbacks.nets.walks import Decomposition


class QuadraticPasses:
    """`vizcallbacks.nets.passes.Passes` of y(x) = sum (a x + b x^2 / 2), a and b fixed noise times `strength`."""

    def __init__(self, images: np.ndarray, strength: float = 1) -> None:
        self.images = images
        rng = np.random.default_rng(4)
        self.a, self.b = (strength * rng.normal(size=images.shape[1:]).astype(np.float32) for _ in range(2))

    def scores(self, batches, count, title):
        found = [(self.a * x + self.b * x**2 / 2).sum(axis=(1, 2, 3)) for x in batches]
        assert len(found) == count
        assert title
        return np.array(found, np.float32)

    def gradients(self, batches, count, title):
        made = 0
        for x in batches:
            made += 1
            yield (self.a * x + self.b * x**2 / 2).sum(axis=(1, 2, 3)), self.a + self.b * x
        assert made == count
        assert title


class QuadraticWalks(QuadraticPasses):
    """`vizcallbacks.nets.walks.Walks` of the same score; where pixels have even numbers, an intercept a x."""

    def deconvolved(self):
        return self.a + self.b * self.images

    def decomposed(self):
        maps = [(self.a * self.images)[:, :, ::2, ::2]]
        others = np.zeros(len(self.images))
        return Decomposition(self.deconvolved(), maps, others, self.scores([self.images], 1, "y")[0])

    def multipliers(self, reference=0.0):
        """Of the way from the reference, exactly: the mean gradient on it."""
        start = np.zeros_like(self.images) + np.float32(reference)
        mean = self.a + self.b * (self.images + start) / 2
        end, begin = self.scores([self.images, start], 2, "y")
        return mean, end, begin

    def relevances(self, epsilon=1e-6, biases=True):
        found = self.images * self.multipliers()[0]
        return found, found.sum(axis=(1, 2, 3))


class Scores:
    """Passes whose score is a function of the image, (C, H, W) -> number."""

    def __init__(self, given, function):
        self.images, self._function, self.seen = np.float32(given), function, []

    def scores(self, batches, count, title):
        batches = [np.array(batch) for batch in batches]
        self.seen += batches
        return np.float32([[self._function(image) for image in batch] for batch in batches])


def noise(*shape, seed=0):
    """Seeded, normal, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
