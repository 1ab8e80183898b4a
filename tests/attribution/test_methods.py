"""Attribution methods on arrays: the table's promises for every entry, and values computed by hand."""

import re

import numpy as np
import pytest

from vizcallbacks.attribution.cams import (
    eigen_cam,
    eigen_grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    xgrad_cam,
)
from vizcallbacks.attribution.methods import (
    GROUPS,
    METHODS,
    check_methods,
    chosen_methods,
    grad_cam,
    gradient,
    gradient_x_input,
    guided_backprop,
    guided_grad_cam,
    saliency,
    upsample,
)

from ..helpers.closed_form import QuadraticPasses, QuadraticWalks

SIZES = {
    "images": (5, 3, 10, 12),
    "activation": (5, 6, 3, 4),
    "gradient": (5, 6, 3, 4),
    "input_gradient": (5, 3, 10, 12),
    "guided_gradient": (5, 3, 10, 12),
    "baselines": (7, 3, 10, 12),
}
SHAPES = {"layer": (5, 3, 4), "concepts": (5, 4, 3, 4), "image": (5, 10, 12), "channels": (5, 3, 10, 12)}


def arrays(name, of=lambda rng, shape: rng.normal(size=shape)):
    """Seeded noise, float32, for what the method needs; as after a ReLU if it has no sign."""
    rng = np.random.default_rng(1)
    made = {need: of(rng, shape).astype(np.float32) for need, shape in SIZES.items()}
    if not METHODS[name].signed:
        made["activation"] = np.maximum(made["activation"], 0)
    return {need: made[need] for need in ("images", *METHODS[name].needs) if need in made}


def run(name, given, strength=1):
    """The maps of a method alone, its needs taken from `given`; passes are those of a quadratic score."""
    given = {**given, "passes": QuadraticPasses(given["images"], strength)}
    given["walks"] = QuadraticWalks(given["images"], strength)
    if "activation" in given:
        given["above"] = QuadraticPasses(given["activation"], strength)
    found = METHODS[name].function(*(given[need] for need in METHODS[name].needs))
    return found[0] if isinstance(found, tuple) else found


# Every method


@pytest.mark.parametrize("name", METHODS)
def test_its_maps_have_the_shape_the_table_says_and_are_float32(name):
    maps = run(name, arrays(name))
    assert maps.shape == SHAPES[METHODS[name].shape]
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert maps.any()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.jointly])
def test_a_batch_equals_its_images_one_by_one_to_the_bit(name):
    given = arrays(name)
    together = run(name, given)
    for i, one in enumerate(together):
        own = {need: array[i : i + 1] for need, array in given.items() if need != "baselines"}
        alone = run(name, {**given, **own})
        assert alone[0].tobytes() == one.tobytes()


@pytest.mark.parametrize("name", METHODS)
def test_its_values_have_the_sign_the_table_says(name):
    lowest = run(name, arrays(name)).min()
    assert lowest < 0 if METHODS[name].signed else lowest >= 0


@pytest.mark.parametrize("name", METHODS)
def test_zeros_give_zeros(name):
    maps = run(name, arrays(name, lambda rng, shape: np.zeros(shape)), strength=0)
    assert maps.shape == SHAPES[METHODS[name].shape]
    assert not maps.any()
    assert not np.isnan(maps).any()


@pytest.mark.parametrize("name", METHODS)
def test_it_does_not_write_into_its_arguments(name):
    given = arrays(name)
    for array in given.values():
        array.flags.writeable = False
    run(name, given)


@pytest.mark.parametrize("name", METHODS)
def test_a_nan_in_one_image_stays_in_that_image(name):
    given = arrays(name)
    for array in given.values():
        array[2, 0, 0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        maps = run(name, given).reshape(5, -1)
    assert np.isnan(maps).any(axis=1).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("name", METHODS)
def test_it_can_be_used_from_the_table(name):
    method = METHODS[name]
    assert set(method.needs) <= {*SIZES, "passes", "above", "walks"}
    assert len(set(method.needs)) == len(method.needs) > 0
    assert method.title
    assert method.function.__name__ == name
    doc = method.function.__doc__ or ""
    assert re.search(r"\d{4},\s.*(arXiv:\d{4}\.\d{4,5}|doi:10\.)", doc, re.DOTALL), (
        "the docstring names no source"
    )
    assert all(need in doc for need in method.needs)


def test_titles_differ():
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


# By hand

ACTIVATION = np.zeros((1, 2, 4, 4), np.float32)
ACTIVATION[0, 0] = np.arange(16).reshape(4, 4)
ACTIVATION[0, 1] = 1
GRADIENT = np.zeros((1, 2, 4, 4), np.float32)
GRADIENT[0, 0, 1, 2] = 8  # mean 0.5
GRADIENT[0, 1] = -3  # mean -3
CAM = np.array([[0, 0, 0, 0], [0, 0, 0, 0.5], [1, 1.5, 2, 2.5], [3, 3.5, 4, 4.5]], np.float32)
"""ReLU(0.5 * 0..15 - 3 * 1)."""


def test_grad_cam_of_a_4x4_layer():
    np.testing.assert_array_equal(grad_cam(ACTIVATION, GRADIENT), CAM[None])


def test_grad_cam_is_zero_where_all_speaks_against_the_target():
    np.testing.assert_array_equal(grad_cam(ACTIVATION, -np.abs(GRADIENT)), np.zeros((1, 4, 4)))


def test_grad_cam_is_linear_in_the_gradient_and_not_normalised():
    np.testing.assert_array_equal(grad_cam(ACTIVATION, 8 * GRADIENT), 8 * CAM[None])


def test_guided_grad_cam_of_a_4x4_layer_and_image():
    guided = np.array([[1.0], [-2.0]], np.float32)[None, :, :, None] * np.ones((1, 2, 4, 4), np.float32)
    expected = np.array([[CAM, -2 * CAM]])
    np.testing.assert_array_equal(guided_grad_cam(ACTIVATION, GRADIENT, guided), expected)


def test_guided_grad_cam_is_the_guided_gradient_times_the_upsampled_map():
    guided = np.random.default_rng(0).normal(size=(1, 3, 8, 6)).astype(np.float32)
    expected = guided * upsample(CAM[None], (8, 6))[:, None]
    np.testing.assert_allclose(guided_grad_cam(ACTIVATION, GRADIENT, guided), expected, rtol=1e-6)


def test_saliency_is_the_largest_magnitude_among_the_channels():
    channels = np.array([[[[1, -4]], [[-3, 2]], [[0, 3.5]]]], np.float32)
    np.testing.assert_array_equal(saliency(channels), [[[3, 4]]])


@pytest.mark.parametrize("function", [gradient, guided_backprop])
def test_gradients_are_given_as_they_are(function):
    given = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(function(given), given)


def test_gradient_x_input_is_their_product():
    images, slope = np.float32([[[[2, -3]]]]), np.float32([[[[0.5, 4]]]])
    np.testing.assert_array_equal(gradient_x_input(images, slope), [[[[1, -12]]]])


# The CAM family on two 2 x 2 maps
TWO = np.float32([[[[0, 1], [3, 0]], [[2, 2], [0, 0]]]])
SLOPES = np.float32([[[[1, -1], [0.5, 0]], [[0, 1], [0, -2]]]])


def test_grad_cam_plus_plus_by_hand():
    # sums of the maps: 4 and 4; alpha = 1 / (2 + 4 g) where g > 0: 1/6 at g = 1, 1/4 at 0.5
    # w_1 = 1/6 + 0.5/4 = 7/24, w_2 = 1/6
    expected = 7 / 24 * TWO[:, 0] + 1 / 6 * TWO[:, 1]
    np.testing.assert_allclose(grad_cam_plus_plus(TWO, SLOPES), expected, rtol=1e-6)


def test_grad_cam_plus_plus_is_the_papers_formula_where_that_is_defined():
    rng = np.random.default_rng(0)
    activation = np.maximum(rng.normal(size=(2, 3, 4, 5)), 0)
    slopes = rng.normal(size=activation.shape)
    alpha = slopes**2 / (2 * slopes**2 + slopes**3 * activation.sum(axis=(2, 3), keepdims=True))
    weights = (alpha * np.maximum(slopes, 0)).sum(axis=(2, 3))
    expected = np.maximum((weights[:, :, None, None] * activation).sum(axis=1), 0)
    np.testing.assert_allclose(grad_cam_plus_plus(activation, slopes), expected, rtol=1e-9)


def test_xgrad_cam_by_hand():
    # w_1 = (1 * -1 + 3 * 0.5) / 4 = 1/8, w_2 = (2 * 0 + 2 * 1) / 4 = 1/2
    expected = TWO[:, 0] / 8 + TWO[:, 1] / 2
    np.testing.assert_allclose(xgrad_cam(TWO, SLOPES), expected, rtol=1e-6)


def test_xgrad_cam_gives_a_map_without_positive_values_no_weight():
    activation = np.concatenate([-TWO[:, :1], TWO[:, 1:]], axis=1)
    np.testing.assert_allclose(xgrad_cam(activation, SLOPES), TWO[:, 1] / 2, rtol=1e-6)


def test_layer_cam_by_hand():
    # cell by cell: 0 * 1 + 2 * 0, 1 * 0 + 2 * 1, 3 * 0.5 + 0, 0
    np.testing.assert_array_equal(layer_cam(TWO, SLOPES), [[[0, 2], [1.5, 0]]])


def test_hires_cam_by_hand():
    # cell by cell: 0 * 1 + 2 * 0, 1 * -1 + 2 * 1, 3 * 0.5 + 0, 0 - 0
    np.testing.assert_array_equal(hires_cam(TWO, SLOPES), [[[0, 1], [1.5, 0]]])
    np.testing.assert_array_equal(hires_cam(TWO, -SLOPES), [[[0, -1], [-1.5, 0]]])


def test_eigen_cam_of_one_pattern_is_that_pattern_times_its_strength():
    # every map a multiple of one pattern: A_k = s_k P, singular vector s / |s|, map |s| P
    pattern, strengths = np.float32([[1, 0], [2, 5]]), np.float32([3, 0, 4])
    activation = strengths[None, :, None, None] * pattern
    np.testing.assert_allclose(eigen_cam(activation), 5 * pattern[None], rtol=1e-6)


def test_eigen_cam_has_the_sign_that_makes_its_sum_positive():
    pattern = np.float32([[1, 0], [2, -5]])
    activation = np.float32([3, 0, 4])[None, :, None, None] * pattern
    np.testing.assert_allclose(eigen_cam(activation), -5 * pattern[None], rtol=1e-6)
    np.testing.assert_allclose(eigen_cam(-activation), -5 * pattern[None], rtol=1e-6)


def test_eigen_cam_is_the_eigenvector_of_the_channels_second_moments():
    activation = np.random.default_rng(0).normal(size=(1, 4, 5, 6)).astype(np.float32)
    flat = activation[0].reshape(4, 30).astype(np.float64)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    assert values.argmax() == 3
    expected = (vectors[:, 3] @ flat).reshape(1, 5, 6)
    np.testing.assert_allclose(eigen_cam(activation), expected * np.sign(expected.sum()), rtol=1e-5)


def test_eigen_grad_cam_of_one_pattern_of_products_is_that_pattern_times_its_strength():
    # g o A = s_k P for every map, though neither g nor A has one pattern
    pattern, strengths = np.float32([[1, 0], [2, 5]]), np.float32([3, 0, -4])
    gradient = np.random.default_rng(0).uniform(1, 2, (1, 3, 2, 2)).astype(np.float32)
    activation = strengths[None, :, None, None] * pattern / gradient
    np.testing.assert_allclose(eigen_grad_cam(activation, gradient), 5 * pattern[None], rtol=1e-5)


# Upsampling


def test_upsampling_puts_pixel_centres_at_halves():
    maps = np.array(
        [[[0, 4]], [[8, 0]]], np.float32
    )  # (2, 1, 2): centres at 1 and 3 of 4 pixels' 0.5 ... 3.5
    expected = [[[0, 1, 3, 4]] * 3, [[8, 6, 2, 0]] * 3]
    np.testing.assert_array_equal(upsample(maps, (3, 4)), expected)


def test_height_and_width_are_not_swapped():
    maps = np.array([[[0], [6]]], np.float32)  # the two rows' centres lie at 1.5 and 4.5 of 6
    np.testing.assert_allclose(upsample(maps, (6, 1))[0, :, 0], [0, 0, 2, 4, 6, 6], atol=1e-6)
    assert upsample(maps, (5, 7)).shape == (1, 5, 7)


def test_upsampling_keeps_raw_values_and_the_type():
    maps = np.full((1, 2, 2), 1e30)
    assert upsample(maps, (4, 4)).dtype == np.float32
    np.testing.assert_array_equal(upsample(maps, (4, 4)), np.full((1, 4, 4), np.float32(1e30)))
    np.testing.assert_array_equal(upsample(CAM[None], (4, 4)), CAM[None])


def test_no_maps_are_upsampled_to_none():
    assert upsample(np.empty((0, 2, 2), np.float32), (4, 5)).shape == (0, 4, 5)


# Names


def test_names_become_a_tuple():
    assert check_methods("saliency") == ("saliency",)
    assert check_methods(["saliency", "grad_cam"]) == ("saliency", "grad_cam")
    assert check_methods(name for name in METHODS) == tuple(METHODS)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "got none"),
        ("", "got ''"),
        ("gradcam", "got 'gradcam'"),
        (["grad_cam", "x", 3], "got 'x', 3"),
        ([["grad_cam"]], r"got \['grad_cam'\]"),
        (None, "got None"),
        (7, "got 7"),
    ],
)
def test_wrong_names_are_refused_with_the_right_ones(names, message):
    with pytest.raises(ValueError, match=f"methods must be names from: {', '.join(METHODS)}; {message}"):
        check_methods(names)
    with pytest.raises(
        ValueError, match=f"methods must be names from: {', '.join([*METHODS, *GROUPS])}; {message}"
    ):
        chosen_methods(names)


def test_all_stands_for_every_method_and_all_fast_for_those_that_share_their_passes():
    assert chosen_methods("all") == chosen_methods(["all", "all-fast", "saliency"]) == tuple(METHODS)
    fast = chosen_methods("all-fast")
    assert {"grad_cam", "guided_backprop", "saliency", "feature_factors"} < set(fast)
    many = {"score_cam", "ablation_cam", "smooth_grad", "integrated_gradients", "occlusion", "rise"}
    assert not many & set(fast)
    assert chosen_methods(["rise", "all-fast", "rise"]) == ("rise", *fast)
    assert chosen_methods(["saliency", "saliency"]) == ("saliency", "saliency")
    with pytest.raises(ValueError, match="all, all-fast; got 'all_fast'; did you mean 'all-fast'"):
        chosen_methods("all_fast")


def test_maps_that_are_there_cannot_be_called_all():
    for names in ("all", ["grad_cam", "all-fast"]):
        with pytest.raises(ValueError, match="got 'all.*'; that stands for methods to be computed, and maps"):
            check_methods(names)
