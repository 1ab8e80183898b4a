"""Gradients on ways from baselines: closed forms, and completeness on nets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import mxnet as mx
import numpy as np

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.attribution.paths import expected_gradients, integrated_gradients

from ..helpers.closed_form import QuadraticPasses, noise
from ..helpers.nets import images, small_net


class Cubic(QuadraticPasses):
    """Sum of x^3."""

    def scores(self, batches, count, title):
        return np.array([(x**3).sum(axis=(1, 2, 3)) for x in batches], np.float32)

    def gradients(self, batches, count, title):
        for x in batches:
            yield None, 3 * x**2


# Integrated Gradients


def test_integrated_gradients_of_a_quadratic_are_exact():
    passes = QuadraticPasses(noise(2, 3, 4, 5))
    maps, notes = integrated_gradients(passes, steps=3)
    expected = passes.a * passes.images + passes.b * passes.images**2 / 2
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(notes["completeness_gap"], 0, atol=1e-5)


def test_the_completeness_gap_is_the_sum_minus_the_rise():
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


# Expected Gradients


def test_expected_gradients_of_a_quadratic_are_exact():
    """From x': (x - x') o (a + b (x + x') / 2)."""
    passes, starts = QuadraticPasses(noise(2, 3, 4, 5)), noise(5, 3, 4, 5, seed=1)
    maps, notes = expected_gradients(passes, starts, steps=3)
    x = passes.images[:, None]
    expected = ((x - starts) * (passes.a + passes.b * (x + starts) / 2)).mean(axis=1)
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(notes["completeness_gap"], 0, atol=1e-4)


def test_the_gap_is_the_sum_minus_the_rise_above_the_baselines_mean():
    # one step each, from 0 and from 1 to 2: 2 * 3 * 1 and 1 * 3 * 1.5^2, in place of 8 - 0 and 8 - 1
    maps, notes = expected_gradients(Cubic(np.float32([[[[2]]]])), np.float32([[[[0]]], [[[1]]]]), steps=1)
    np.testing.assert_allclose(maps, [[[[(6 + 6.75) / 2]]]])
    np.testing.assert_allclose(notes["completeness_gap"], [(6 + 6.75) / 2 - 7.5])


def test_from_zeros_alone_it_is_integrated_gradients():
    batch = noise(2, 3, 4, 5)
    expected, notes = integrated_gradients(QuadraticPasses(batch), steps=5)
    for given in (np.zeros((1, 3, 4, 5), np.float32), batch[:0]):
        maps, gaps = expected_gradients(QuadraticPasses(batch), given, steps=5)
        np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gaps["completeness_gap"], notes["completeness_gap"], atol=1e-5)


def test_baselines_are_the_other_images_that_are_finite_whatever_their_order():
    batch = noise(3, 1, 4, 4)
    broken = np.full((1, 1, 4, 4), np.nan, np.float32)
    maps, _ = expected_gradients(QuadraticPasses(batch), np.concatenate([batch, broken, batch[:1]]))
    for i in range(3):
        alone, _ = expected_gradients(QuadraticPasses(batch[i : i + 1]), np.delete(batch, i, axis=0)[::-1])
        np.testing.assert_array_equal(maps[i], alone[0])


def test_of_many_baselines_an_image_gets_the_same_few_each_time():
    batch, starts = noise(2, 1, 4, 4), noise(30, 1, 4, 4, seed=1)
    few, _ = expected_gradients(QuadraticPasses(batch), starts, most=3)
    again, _ = expected_gradients(QuadraticPasses(batch[::-1].copy()), starts[::-1], most=3)
    np.testing.assert_array_equal(few, again[::-1])
    whole, _ = expected_gradients(QuadraticPasses(batch), starts, most=30)
    assert np.abs(few - whole).max() > 1e-2


def test_images_with_fewer_baselines_than_others_count_each_of_theirs_once():
    """One of the two baselines is the first image itself, so that it has one and the second two."""
    batch = noise(2, 1, 4, 4)
    starts = np.concatenate([batch[:1], noise(1, 1, 4, 4, seed=1)])
    passes = QuadraticPasses(batch)
    maps, notes = expected_gradients(passes, starts)
    x, other = batch[0], starts[1]
    np.testing.assert_allclose(
        maps[0], (x - other) * (passes.a + passes.b * (x + other) / 2), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(notes["completeness_gap"], 0, atol=1e-4)


def test_expected_gradients_of_a_net_are_complete_and_own_baselines_are_an_entry_of_the_table(monkeypatch):
    net, batch, mine = small_net(), images(3), images(4, seed=5)
    own = partial(expected_gradients, baselines=mine)
    entry = replace(METHODS["expected_gradients"], needs=("passes",), function=own)
    monkeypatch.setitem(METHODS, "mine", entry)
    assert METHODS["expected_gradients"].sees_all
    assert not entry.sees_all
    result = vc.explain(net, batch, ("expected_gradients", "mine"), targets=[0, 1, 2], batch_size=2)
    answers = {name: net(mx.nd.array(some)).asnumpy() for name, some in (("batch", batch), ("mine", mine))}
    for i in range(3):
        total = result["mine"][i].sum(dtype=np.float64)
        rise = result.scores[i] - answers["mine"][:, i].mean()
        assert np.isclose(result.notes["mine/completeness_gap"][i], total - rise, atol=1e-5)
        assert abs(total - rise) < 0.1
        total = result["expected_gradients"][i].sum(dtype=np.float64)
        rise = result.scores[i] - np.delete(answers["batch"][:, i], i).mean()
        assert np.isclose(result.notes["expected_gradients/completeness_gap"][i], total - rise, atol=1e-5)
