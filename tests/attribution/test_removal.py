"""ROAD and MuFidelity by hand and in closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.attribution.removal import imputed, mu_fidelity, road

from ..helpers.nets import images, small_net, state_of


def test_one_pixel_is_the_weighted_mean_of_its_neighbours():
    image, gone = np.arange(9.0).reshape(1, 1, 3, 3) ** 2, np.zeros((1, 3, 3), bool)
    gone[0, 1, 1] = True
    # direct 1 9 25 49 by a sixth, diagonal 0 4 36 64 by a twelfth
    expected = 84 / 6 + 104 / 12
    np.testing.assert_allclose(imputed(image, gone, noise=0)[0, 0, 1, 1], expected)
    gone[:] = False
    gone[0, 0, 0] = True  # a corner: 1 and 9 direct, 16 diagonal; 2 + 2 + 1 twelfths
    np.testing.assert_allclose(imputed(image, gone, noise=0)[0, 0, 0, 0], (2 * 1 + 2 * 9 + 16) / 5)


def test_a_ramp_is_restored_wherever_it_is_enclosed():
    down, right = np.mgrid[:7, :8]
    ramp = (2.0 * right - 3 * down + 1)[None, None] * np.array([1, -2])[:, None, None]
    gone = np.zeros((1, 7, 8), bool)
    gone[0, 1:6, 1:7] = True
    np.testing.assert_allclose(imputed(ramp, gone, noise=0), ramp, atol=1e-9)


def test_imputation_solves_its_own_equations_and_leaves_the_rest():
    image, gone = (
        np.random.default_rng(0).random((2, 1, 6, 5)),
        np.random.default_rng(1).random((2, 6, 5)) < 0.7,
    )
    gone[:, 0, 0] = False
    filled = imputed(image, gone, noise=0)
    np.testing.assert_array_equal(filled[:, 0][~gone], image[:, 0][~gone])
    for one, mask in zip(filled[:, 0], gone):
        for row, column in np.argwhere(mask):
            around = [
                (one[r, c], 2 if r == row or c == column else 1)
                for r in range(max(0, row - 1), min(6, row + 2))
                for c in range(max(0, column - 1), min(5, column + 2))
                if (r, c) != (row, column)
            ]
            mean = sum(value * weight for value, weight in around) / sum(weight for _, weight in around)
            assert one[row, column] == pytest.approx(mean)
    noisy = imputed(image, gone, noise=0.5) - filled
    assert not noisy[:, 0][~gone].any()
    np.testing.assert_array_equal(
        imputed(image[1:], gone[1:], noise=0.5)[0], imputed(image, gone, noise=0.5)[1]
    )


def test_road_by_hand():
    # four pixels in a row; the probability is the first one. First to go is the first: 1, then its neighbour's 0.5
    image = np.array([[[[1.0, 0.5, 0.25, 0.25]]]])
    maps = np.array([[[4.0, 3, 2, 1]]])
    seen = []

    def first(pictures):
        seen.append(pictures.copy())
        return pictures[:, 0, 0, 0]

    # 1, 2 and 3 of 4 pixels gone: 0.5, then 0.25, which both take from the third, then 0.25
    # (1 + 0.5 + 0.25 + 0.25 - (1 + 0.25) / 2) / 3
    assert road(first, image, maps, steps=3, noise=0)[0] == pytest.approx((2 - 0.625) / 3)
    np.testing.assert_allclose(seen[2][0, 0, 0], [0.25, 0.25, 0.25, 0.25])


def test_mu_fidelity_is_one_for_the_map_that_is_the_evidence_and_minus_one_for_its_opposite():
    image = np.random.default_rng(0).random((3, 2, 9, 9)) / 200
    evidence = image.sum(axis=1)

    def total(pictures):
        return pictures.sum(axis=(1, 2, 3))

    np.testing.assert_allclose(mu_fidelity(total, image, evidence, 50), 1)
    np.testing.assert_allclose(mu_fidelity(total, image, -evidence, 50), -1)
    chance = mu_fidelity(total, image, np.random.default_rng(1).random(evidence.shape), 400)
    assert (np.abs(chance) < 0.4).all()
    assert np.isnan(mu_fidelity(total, image, 0 * evidence, 50)).all()


def test_ask_net_measures_them_and_a_batch_equals_its_images():
    net, batch = small_net(), images(3, size=16)
    before = state_of(net)
    result = vc.explain(net, batch, "saliency")
    whole = vc.ask_net(net, result, "saliency", ("road", "mu_fidelity"), steps=5)
    assert state_of(net) == before
    for i in range(3):
        single = vc.explain(net, batch[i : i + 1], "saliency")
        alone = vc.ask_net(net, single, "saliency", ("road", "mu_fidelity"), steps=5)
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], whole[name][i], atol=1e-4, err_msg=name)
    assert ((whole["road"] >= 0) & (whole["road"] <= 1)).all()
    net[4].bias.set_data(net[4].bias.data() - 1e6)
    dead = vc.explain(net, batch, "grad_cam", layer="4")
    assert np.isnan(vc.ask_net(net, dead, "grad_cam", ("road", "mu_fidelity"), steps=2)["road"]).all()
