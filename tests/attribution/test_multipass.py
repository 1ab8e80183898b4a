"""Methods of many passes: closed forms, hand-computed cases, and real nets, where the batches must not matter."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.attribution.multipass import occlusion, rise, smooth_grad, smooth_grad_squared, var_grad

from ..helpers.closed_form import QuadraticPasses, Scores, noise
from ..helpers.few_passes import with_few_passes
from ..helpers.nets import images, random_state, small_net, state_of

MANY = tuple(name for name, method in METHODS.items() if not method.is_fast)


@pytest.fixture(autouse=True)
def _(monkeypatch):
    with_few_passes(monkeypatch)


# SmoothGrad


def test_smooth_grad_of_a_quadratic_is_the_gradient_at_the_mean_of_the_noise():
    passes = QuadraticPasses(noise(2, 3, 20, 20))
    many = smooth_grad(passes, samples=400)
    span = passes.images.max(axis=(1, 2, 3)) - passes.images.min(axis=(1, 2, 3))
    rest = (many - passes.a) / passes.b - passes.images  # the noise's mean, of variance sigma^2 / samples
    for one, sigma in zip(rest, 0.15 * span):
        # 1200 pixels: the standard deviation is known to 2 %
        np.testing.assert_allclose(one.std(), sigma / 20, rtol=0.1)
        assert abs(one.mean()) < 5 * sigma / 20 / 1200**0.5


def test_smooth_grad_has_the_same_noise_for_an_image_whatever_its_place():
    batch = noise(3, 1, 4, 4)
    together = smooth_grad(QuadraticPasses(batch), samples=3)
    turned = smooth_grad(QuadraticPasses(batch[::-1].copy()), samples=3)
    np.testing.assert_array_equal(together, turned[::-1])
    assert np.abs(together[0] - QuadraticPasses(batch).a - QuadraticPasses(batch).b * batch[0]).max() > 1e-3


class Noted(QuadraticPasses):
    """Keeps the gradients that it gave."""

    def gradients(self, batches, count, title):
        self.given = [gradient for _, gradient in super().gradients(batches, count, title)]
        yield from ((None, gradient) for gradient in self.given)


def test_squares_and_variances_are_those_of_the_gradients_that_smooth_grad_averages():
    batch, found = noise(2, 3, 4, 5), {}
    for function in (smooth_grad, smooth_grad_squared, var_grad):
        passes = Noted(batch)
        found[function] = function(passes, samples=7), np.stack(passes.given).astype(np.float64)
    (mean, given), (squared, again), (variance, more) = found.values()
    np.testing.assert_array_equal(given, again)
    np.testing.assert_array_equal(given, more)
    np.testing.assert_allclose(mean, given.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(squared, (given**2).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(variance, given.var(axis=0), rtol=1e-4, atol=1e-7)


def test_the_variance_of_a_linear_score_is_zero_and_its_square_the_gradients():
    passes = QuadraticPasses(noise(1, 3, 4, 5))
    passes.b = passes.b * 0
    np.testing.assert_allclose(var_grad(passes), 0 * passes.images)
    np.testing.assert_allclose(smooth_grad_squared(passes), passes.a[None] ** 2, rtol=1e-5)


# RISE


def test_rise_of_a_linear_score_finds_the_weights_within_its_own_noise():
    """y = sum c_p x_p m_p. Masks are correlated within a cell only, so far pixels tell nothing of each other."""
    weights = np.zeros((16, 16))
    weights[2:4, 2:4], weights[12, 12] = 1, -3
    passes = Scores(np.ones((1, 1, 16, 16)), lambda x: (x[0] * weights).sum())
    maps = rise(passes, masks=3000, cells=8)[0]
    assert np.unravel_index(maps.argmax(), maps.shape) in {(2, 2), (2, 3), (3, 2), (3, 3)}
    assert np.hypot(*np.subtract(np.unravel_index(maps.argmin(), maps.shape), (12, 12))) <= 1
    far = maps[2:8, 10:16]
    assert np.abs(far).max() < 0.15 * maps.max()
    # where nothing but the pixel itself counts, the map is its weight times the mask's variance by its mean
    masks = np.stack(passes.seen)[:, 0, 0]
    expected = -3 * masks[:, 12, 12].var() / 0.5
    assert maps[12, 12] == pytest.approx(expected, abs=0.1)


def test_rise_by_hand():
    passes = Scores(noise(1, 2, 6, 8), lambda x: (x**2).sum())
    maps = rise(passes, masks=5, cells=3, share=0.5)
    seen = np.stack(passes.seen)[:, 0]
    masks = seen[:, 0] / passes.images[0, 0]
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    scores = (seen.astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    expected = np.einsum("m,mhw->hw", scores - scores.mean(), masks) / (5 * 0.5)
    np.testing.assert_allclose(maps[0], expected, rtol=1e-3, atol=1e-4)


# Occlusion


def test_occlusion_by_hand():
    # y = sum of weights * image; a patch's drop is the sum of what it covers
    image = np.float32([[[[1, 2, 0, 1], [0, 1, 1, 0]]]])
    weights = np.float32([[1, 1, 3, -1], [2, 0, 1, 1]])
    passes = Scores(image, lambda x: (x[0] * weights).sum())
    maps = occlusion(passes, patch=2, stride=1)
    # patches at column 0: 1 + 2 = 3; at 1: 2 + 0 + 0 + 1 = 3; at 2: -1 + 1 = 0; then means where two cover a pixel
    np.testing.assert_allclose(maps, [[[3, 3, 1.5, 0], [3, 3, 1.5, 0]]])


def test_occlusion_covers_each_pixel_also_where_the_stride_does_not_fit():
    passes = Scores(np.ones((1, 1, 5, 5)), lambda x: x.sum())
    maps = occlusion(passes, patch=2, stride=2)
    assert len(passes.seen) == 1 + 9
    np.testing.assert_allclose(maps, np.full((1, 5, 5), 4))
    assert sum(batch == 0 for batch in passes.seen).min() >= 1


@pytest.mark.parametrize(("patch", "stride"), [(0, 1), (6, 1), (2, 3), (2, 0)])
def test_occlusion_refuses_patches_that_leave_pixels_out(patch, stride):
    passes = Scores(np.ones((1, 1, 5, 5)), lambda x: x.sum())
    with pytest.raises(ValueError, match=f"patch must be .* 5 pixels .* got {patch} and {stride}"):
        occlusion(passes, patch, stride)


# On nets


class WithMore(gluon.Block):
    """A plain Block around a net that returns a tuple: the scores, and a list with the images."""

    def __init__(self):
        super().__init__()
        self.body = small_net()

    def forward(self, x):
        return self.body(x), [x]


@pytest.mark.parametrize("name", MANY)
def test_a_batch_equals_its_images_one_by_one(name):
    net, batch = small_net(), images(3, size=16)
    whole = vc.explain(net, batch, name, batch_size=7)[name]
    for i in range(3):
        if METHODS[name].sees_all:
            single = vc.explain(net, batch, name, batch_size=1)[name][i : i + 1]
        else:
            single = vc.explain(net, batch[i : i + 1], name, batch_size=2)[name]
        unit = np.abs(single).max()
        assert unit > 0
        np.testing.assert_allclose(whole[i] / unit, single[0] / unit, atol=1e-4)


@pytest.mark.parametrize("name", MANY)
def test_targets_stay_those_of_the_unchanged_image(name):
    net, batch = small_net(), images(3, size=16)
    predicted = vc.explain(net, batch, name)
    given = vc.explain(net, batch, name, targets=predicted.targets)
    np.testing.assert_array_equal(predicted[name], given[name])
    classes = mx.nd.array(predicted.targets)
    wrapped = WithMore()
    for own, other in zip(wrapped.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    by_callable = vc.explain(wrapped, batch, name, targets=lambda y: mx.nd.pick(y[0], classes), batch_size=8)
    unit = np.abs(given[name]).max()
    np.testing.assert_allclose(by_callable[name] / unit, given[name] / unit, atol=1e-5)


def test_a_linear_net_gives_closed_forms():
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3, padding=1, in_channels=3),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Dense(2, in_units=4),
    )
    net.initialize(mx.init.Normal(1))
    batch = images(2, size=8)
    methods = ("gradient", "gradient_x_input", "smooth_grad", "integrated_gradients", "occlusion")
    result = vc.explain(net, batch, methods, targets=1)
    np.testing.assert_allclose(result["smooth_grad"], result["gradient"], rtol=1e-4, atol=1e-7)
    product = batch * result["gradient"]
    np.testing.assert_allclose(result["gradient_x_input"], product)
    np.testing.assert_allclose(result["integrated_gradients"], product, rtol=1e-4, atol=1e-6)
    # patches of one pixel: the drop is the sum over channels of the product
    np.testing.assert_allclose(result["occlusion"], product.sum(axis=1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", MANY)
def test_nothing_of_the_net_or_the_random_streams_moves(name):
    net, batch = small_net(dropout=0.5, hybridize=True), images(2, size=16)
    net(mx.nd.array(batch)).asnumpy()
    before = state_of(net)
    reseed()
    untouched = random_state()
    reseed()
    vc.explain(net, batch, name)
    assert random_state() == untouched
    assert state_of(net) == before


def reseed():
    random.seed(0)
    np.random.seed(0)
    mx.random.seed(3)


def test_an_own_setting_is_an_own_entry_of_the_table(monkeypatch):
    own = replace(METHODS["occlusion"], function=partial(occlusion, patch=8, stride=8))
    monkeypatch.setitem(METHODS, "coarse", own)
    result = vc.explain(small_net(), images(1, size=16), ("coarse", "occlusion"))
    assert len(np.unique(result["coarse"])) <= 4
    assert len(np.unique(result["occlusion"])) > 4
