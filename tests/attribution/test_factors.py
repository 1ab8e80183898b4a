"""feature_factors: parts that are known, its own identities, and the same concepts for all images of a net."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.attribution.cams import eigen_cam
from vizcallbacks.attribution.factors import aligned, feature_factors
from vizcallbacks.attribution.methods import METHODS

from ..helpers.closed_form import noise
from ..helpers.nets import images, small_net


def activations(count=3, channels=7, seed=0):
    return np.maximum(noise(count, channels, 4, 5, seed=seed), 0)


def error(activation, batch, updates, concepts=3):
    """Of the best approximation that the maps allow: the concepts are solved for anew."""
    maps = feature_factors(activation, batch, concepts, updates).transpose(0, 2, 3, 1).reshape(-1, concepts)
    values = activation.transpose(0, 2, 3, 1).reshape(len(maps), -1)
    found, *_ = np.linalg.lstsq(maps.astype(np.float64), values.astype(np.float64), rcond=None)
    return np.linalg.norm(values - maps @ found)


def test_parts_that_do_not_overlap_are_found_with_their_strengths():
    """Left half: 2 x (3, 4, 0, 0), length 10; right half: (0, 0, 0, 7)."""
    activation = np.zeros((2, 4, 4, 6), np.float32)
    activation[:, 0, :, :3], activation[:, 1, :, :3], activation[:, 3, :, 3:] = 6, 8, 7
    maps = feature_factors(activation, noise(2, 3, 8, 8), concepts=2, updates=400)
    first = int(maps[0, :, 0, 0].argmax())
    expected = np.zeros((2, 2, 4, 6))
    expected[:, first, :, :3], expected[:, 1 - first, :, 3:] = 10, 7
    np.testing.assert_allclose(maps, expected, atol=0.05)


def test_one_concept_is_the_first_principal_component():
    activation = activations(count=1)
    maps = feature_factors(activation, noise(1, 3, 8, 8), concepts=1, updates=200)
    np.testing.assert_allclose(maps[:, 0], eigen_cam(activation), rtol=1e-3, atol=1e-4)


def test_more_updates_never_fit_worse():
    activation, batch = activations(), noise(3, 3, 8, 8)
    errors = [error(activation, batch, updates) for updates in (1, 3, 10, 50, 200)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.9 * errors[0]


def test_values_scale_with_the_activations():
    activation, batch = activations(), noise(3, 3, 8, 8)
    np.testing.assert_allclose(
        feature_factors(1e4 * activation, batch), 1e4 * feature_factors(activation, batch), rtol=1e-3, atol=1
    )


def test_concepts_are_the_same_whatever_the_order_of_the_images():
    activation, batch = activations(), noise(3, 3, 8, 8)
    turned = feature_factors(activation[::-1], batch[::-1])[::-1]
    np.testing.assert_allclose(turned, feature_factors(activation, batch), rtol=1e-2, atol=1e-3)


def test_a_little_change_of_the_activations_changes_the_maps_a_little():
    activation, batch = activations(), noise(3, 3, 8, 8)
    before = feature_factors(activation, batch)
    after = feature_factors(activation * (1 + 1e-4 * noise(*activation.shape, seed=1)), batch)
    assert 0 < np.abs(after - before).max() < 0.02 * before.max()


def test_an_image_that_is_not_finite_is_left_out():
    activation, batch = activations(), noise(3, 3, 8, 8)
    expected = feature_factors(activation[[0, 2]], batch[[0, 2]])
    activation[1, 0, 0, 0] = np.inf
    maps = feature_factors(activation, batch)
    np.testing.assert_array_equal(maps[[0, 2]], expected)
    assert np.isnan(maps[1]).all()
    assert np.isnan(feature_factors(activation[1:2], batch[1:2])).all()


def test_aligned_undoes_an_exchange_of_concepts():
    before = feature_factors(activations(), noise(3, 3, 8, 8))
    order = [2, 0, 3, 1]
    now = before[:, order] * np.float32([1, 3, 0.5, 1])[:, None, None]
    found = aligned(before, now)
    for i in range(4):
        np.testing.assert_array_equal(found[:, i], now[:, order.index(i)])
    np.testing.assert_array_equal(aligned(before, before), before)
    assert aligned(before[:, :3], now) is now
    np.testing.assert_array_equal(aligned(before, 0 * now), 0 * now)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_net_s_images_share_their_concepts_however_they_are_batched(batch_size, monkeypatch):
    net, batch = small_net(), images(5, size=16)
    result = vc.explain(net, batch, ("feature_factors", "grad_cam"), batch_size=batch_size)
    assert list(result.maps) == ["feature_factors", "grad_cam"]
    assert result["feature_factors"].shape == (5, 4, 8, 8)
    assert result.at_image_size("feature_factors").shape == (5, 16, 16)
    given = []
    monkeypatch.setitem(
        METHODS,
        "eigen_cam",
        METHODS["feature_factors"].__class__(
            lambda activation: given.append(activation) or activation[:, 0],
            ("activation",),
            "layer",
            True,
            True,
            "A",
        ),
    )
    vc.explain(net, batch, "eigen_cam")
    np.testing.assert_allclose(
        result["feature_factors"], feature_factors(given[0], batch), rtol=1e-2, atol=1e-3
    )


def test_several_layers_have_concepts_of_their_own():
    net, batch = small_net(), images(3, size=16)
    both = vc.explain(net, batch, "feature_factors", layer=["0", "4"])
    for found, path in zip(both, ("0", "4")):
        alone = vc.explain(net, batch, "feature_factors", layer=path)
        np.testing.assert_allclose(found["feature_factors"], alone["feature_factors"], rtol=1e-2, atol=1e-3)
    assert both[0]["feature_factors"].shape != both[1]["feature_factors"].shape
