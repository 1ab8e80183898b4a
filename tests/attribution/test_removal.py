"""ROAD and MuFidelity by hand and in closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.attribution.removal import imputed, infidelity, mu_fidelity, road
from vizcallbacks.attribution.sensitivity import max_sensitivity

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


def test_infidelity_is_zero_for_the_map_that_is_the_evidence_and_one_for_its_opposite():
    image = np.random.default_rng(0).random((3, 2, 9, 9)) / 200
    evidence = image.sum(axis=1)

    def total(pictures):
        return pictures.sum(axis=(1, 2, 3))

    np.testing.assert_allclose(infidelity(total, image, evidence, 50), 0, atol=1e-12)
    np.testing.assert_allclose(infidelity(total, image, 7 * evidence, 50), 0, atol=1e-12)
    np.testing.assert_array_equal(infidelity(total, image, -evidence, 50), 1)
    np.testing.assert_array_equal(infidelity(total, image, 0 * evidence, 50), 1)
    assert np.isnan(infidelity(lambda pictures: np.full(len(pictures), 0.5), image, evidence, 50)).all()


def test_infidelity_by_hand():
    """3 x 3 pixels: each square is one pixel; the probability is that of the first alone."""
    image = np.ones((1, 1, 3, 3)) / 2
    maps = np.zeros((1, 3, 3))
    maps[0, 0, 0], maps[0, 0, 1] = 1, 1
    seen = []

    def first(pictures):
        seen.append(pictures.copy())
        return pictures[:, 0, 0, 0]

    found = infidelity(first, image, maps, 100)
    hit = np.array([one[0, 0] == 0 for one in seen[1:]])
    assert (hit.sum(axis=(1, 2)) == 1).all()
    # d is 1/2 at the first pixel's squares, s is 1 at those and at the second's: b = a / 2 (a + c)
    a, c = hit[:, 0, 0].sum(), hit[:, 0, 1].sum()
    b = a / 2 / (a + c)
    assert found[0] == pytest.approx((a * (b - 0.5) ** 2 + c * b**2) / (a / 4))


def test_max_sensitivity_by_hand_and_in_a_closed_form():
    image = np.random.default_rng(0).random((2, 1, 4, 4))
    spans = np.ptp(image, axis=(1, 2, 3))
    seen = []

    def squared(pictures):
        seen.append(pictures)
        return pictures[:, 0] ** 2

    found = max_sensitivity(squared, image, squared(image), samples=5, radius=0.1)
    maps, changed = seen[0][:, 0] ** 2, np.stack(seen[1:])[:, :, 0]
    moved = np.abs(changed - image[:, 0])
    assert (moved.max(axis=(0, 2, 3)) <= 0.1 * spans).all()
    assert (moved.max(axis=(0, 2, 3)) > 0.08 * spans).all()
    apart = np.sqrt(((changed**2 - maps) ** 2).sum(axis=(2, 3)))
    np.testing.assert_allclose(found, apart.max(axis=0) / np.sqrt((maps**2).sum(axis=(1, 2))))
    np.testing.assert_array_equal(max_sensitivity(lambda pictures: maps, image, maps), [0, 0])
    assert np.isnan(max_sensitivity(lambda pictures: 0 * maps, image, 0 * maps)).all()


def test_another_seed_draws_other_numbers_and_the_same_seed_the_same():
    image = np.random.default_rng(0).random((1, 1, 9, 9)) / 100
    maps = np.random.default_rng(1).random((1, 9, 9))
    weights = np.random.default_rng(2).random((9, 9))

    def score(pictures):
        return (pictures[:, 0] * weights).sum(axis=(1, 2))

    for measure in (mu_fidelity, infidelity, road):
        one, again, other = (measure(score, image, maps, 20, seed=seed) for seed in (0, 0, 1))
        assert one == again
        assert one != other
    one, again, other = (
        max_sensitivity(lambda x: x[:, 0], image, image[:, 0], seed=seed) for seed in (0, 0, 1)
    )
    assert one == again != other


BY_CHANCE = ("road", "mu_fidelity", "infidelity", "max_sensitivity")


def test_ask_net_measures_them_and_a_batch_equals_its_images():
    net, batch = small_net(), images(3, size=16)
    before = state_of(net)
    result = vc.explain(net, batch, "saliency")
    whole = vc.ask_net(net, result, "saliency", BY_CHANCE, steps=5)
    assert list(whole) == list(BY_CHANCE)
    assert state_of(net) == before
    for i in range(3):
        single = vc.explain(net, batch[i : i + 1], "saliency")
        alone = vc.ask_net(net, single, "saliency", BY_CHANCE, steps=5)
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], whole[name][i], atol=1e-3, err_msg=name)
    assert ((whole["road"] >= 0) & (whole["road"] <= 1)).all()
    assert ((whole["infidelity"] >= 0) & (whole["infidelity"] <= 1)).all()
    assert (whole["max_sensitivity"] > 0).all()
    net[4].bias.set_data(net[4].bias.data() - 1e6)
    dead = vc.explain(net, batch, "grad_cam", layer="4")
    for values in vc.ask_net(net, dead, "grad_cam", BY_CHANCE, steps=2).values():
        assert np.isnan(values).all()


def test_max_sensitivity_is_that_of_maps_of_noisy_images_of_the_same_class():
    net, batch = small_net(), images(2, size=16)
    result = vc.explain(net, batch, "saliency", targets=[1, 2])
    given = []

    def again(changed):
        given.append(changed)
        return vc.explain(net, changed, "saliency", targets=[1, 2])["saliency"]

    expected = max_sensitivity(again, batch, result["saliency"].astype(np.float64), samples=3)
    found = vc.ask_net(net, result, "saliency", "max_sensitivity", steps=3)
    np.testing.assert_allclose(found["max_sensitivity"], expected, rtol=1e-4)


def test_chance_is_what_maps_with_their_values_in_other_places_get():
    net, batch = small_net(), images(3, size=16)
    result = vc.explain(net, batch, ("saliency", "grad_cam", "gradient"))
    for method in result.maps:
        found = vc.ask_net(net, result, method, ("deletion", "mu_fidelity"), steps=4, chance=True)
        assert list(found) == ["deletion", "mu_fidelity", "deletion/chance", "mu_fidelity/chance"]
        alone = vc.ask_net(net, result, method, ("deletion", "mu_fidelity"), steps=4)
        np.testing.assert_array_equal(found["deletion"], alone["deletion"])
    other = vc.ask_net(net, result, "saliency", "deletion", steps=4, chance=True, seed=3)
    assert (other["deletion/chance"] != found["deletion/chance"]).any()


def test_chance_of_mu_fidelity_is_about_zero():
    net, batch = small_net(), images(8, size=18)
    result = vc.explain(net, batch, "gradient_x_input")
    found = vc.ask_net(net, result, "gradient_x_input", "mu_fidelity", steps=20, chance=True)
    assert abs(found["mu_fidelity/chance"].mean()) < 0.25
