"""Gradients on ways from baselines: closed forms, and completeness on nets."""

from __future__ import annotations

import mxnet as mx
import numpy as np

import vizcallbacks as vc
from vizcallbacks.attribution.paths import integrated_gradients

from ..helpers.closed_form import QuadraticPasses, noise
from ..helpers.nets import images, small_net

# Integrated Gradients


def test_integrated_gradients_of_a_quadratic_are_exact():
    passes = QuadraticPasses(noise(2, 3, 4, 5))
    maps, notes = integrated_gradients(passes, steps=3)
    expected = passes.a * passes.images + passes.b * passes.images**2 / 2
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(notes["completeness_gap"], 0, atol=1e-5)


def test_the_completeness_gap_is_the_sum_minus_the_rise():
    class Cubic(QuadraticPasses):
        def scores(self, batches, count, title):
            return np.array([(x**3).sum(axis=(1, 2, 3)) for x in batches], np.float32)

        def gradients(self, batches, count, title):
            for x in batches:
                yield None, 3 * x**2

    # one step: the midpoint rule takes 3 (x / 2)^2 for the mean of 3 t^2 x^2: x^3 3/4 in place of x^3
    maps, notes = integrated_gradients(Cubic(np.float32([[[[2, -1]]]])), steps=1)
    np.testing.assert_allclose(maps, [[[[6, -0.75]]]])
    np.testing.assert_allclose(notes["completeness_gap"], [5.25 - 7])


def test_integrated_gradients_of_a_net_are_complete():
    net, batch = small_net(), images(3)
    result = vc.explain(net, batch, "integrated_gradients", targets=[0, 1, 2])
    zeros = net(mx.nd.zeros(batch.shape)).asnumpy()[range(3), [0, 1, 2]]
    rise = result.scores - zeros
    gap = result.notes["integrated_gradients/completeness_gap"]
    total = result["integrated_gradients"].sum(axis=(1, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(gap, total - rise, atol=1e-6)
    assert (np.abs(gap) < 0.02 * np.abs(rise)).all()
