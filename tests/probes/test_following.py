"""Masks through the transforms of pictures: where they must be by hand, and which transforms are refused."""

import cv2
import numpy as np
import pytest

from vizcallbacks.probes.following import follow, size_of
from vizcallbacks.probes.preparing import centre_crop


def picture(height=8, width=12, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(dtype)


def block(top, bottom, left, right, shape=(8, 12)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def normalised(image):
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return ((image / np.float32(255) - mean) / std).transpose(2, 0, 1)


def followed(transform, mask, image=None):
    return follow(transform, picture() if image is None else image, [mask], "x.png")[0]


def test_normalisation_leaves_a_mask_where_it_is():
    mask = np.random.default_rng(1).random((8, 12)) > 0.5
    np.testing.assert_array_equal(followed(normalised, mask), mask)


def test_a_crop_cuts_the_mask():
    np.testing.assert_array_equal(
        followed(lambda image: normalised(image[2:6, 3:9]), block(1, 4, 5, 7)), block(0, 2, 2, 4, (4, 6))
    )


def test_a_flip_moves_the_mask():
    np.testing.assert_array_equal(
        followed(lambda image: normalised(image[:, ::-1]), block(1, 4, 0, 2)), block(1, 4, 10, 12)
    )


def test_a_resize_to_half_keeps_pixels_that_are_covered_by_half():
    """Each of the net's pixels is 2 x 2 of the picture's: of 4, 2 are enough and 1 is not."""
    mask = np.zeros((8, 12), bool)
    mask[0, 0] = True  # a quarter
    mask[2, 2:4] = True  # a half
    mask[4:6, 4:6] = True  # whole
    small = np.zeros((4, 6), bool)
    small[1, 1] = small[2, 2] = True
    halve = lambda image: normalised(cv2.resize(image, (6, 4), interpolation=cv2.INTER_AREA))  # noqa: E731
    np.testing.assert_array_equal(followed(halve, mask), small)


def test_resize_and_centre_crop_take_a_box_where_arithmetic_takes_it():
    """A box in a 300 x 400 picture; short side to 60, so a fifth; (80 - 60) / 2 = 10 columns cut off."""
    box = block(100, 200, 150, 300, (300, 400))
    expected = block(20, 40, 30 - 10, 60 - 10, (60, 60))
    for dtype in (np.uint8, np.float32):
        found = followed(lambda image: normalised(centre_crop(image, 60)), box, picture(300, 400, dtype))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("way", [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])
def test_any_interpolation_can_be_followed(way):
    image = cv2.GaussianBlur(picture(60, 90), (7, 7), 0)
    found = followed(
        lambda image: normalised(cv2.resize(image, (30, 20), interpolation=way)),
        block(15, 45, 30, 60, (60, 90)),
        image,
    )
    np.testing.assert_array_equal(found, block(5, 15, 10, 20, (20, 30)))


def test_a_border_that_the_transform_adds_is_outside():
    padded = lambda image: normalised(np.pad(image, ((2, 2), (0, 0), (0, 0)), constant_values=255))  # noqa: E731
    np.testing.assert_array_equal(followed(padded, np.ones((8, 12), bool)), block(2, 10, 0, 12, (12, 12)))


def test_colours_may_be_reordered_inverted_or_turned_grey():
    mask = block(2, 5, 3, 9)
    for colours in (
        lambda image: normalised(image[..., ::-1]),
        lambda image: -normalised(image),
        lambda image: normalised(image).mean(axis=0, keepdims=True),
        lambda image: normalised(image)[[1]],
    ):
        np.testing.assert_array_equal(followed(colours, mask), mask)


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 1), (1, 8, 12), (3, 8, 12)])
def test_pictures_may_be_grey_or_have_their_channels_first(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert size_of(image) == (8, 12)
    crop = lambda image: np.squeeze(image).reshape(-1, 8, 12)[:, 1:7, 2:10] * np.float32(3) + 1  # noqa: E731
    np.testing.assert_array_equal(followed(crop, block(0, 3, 4, 12), image), block(0, 2, 2, 8, (6, 8)))


def test_a_constant_picture_can_be_followed():
    np.testing.assert_array_equal(
        followed(normalised, block(1, 3, 2, 5), np.full((8, 12, 3), 7, np.float32)), block(1, 3, 2, 5)
    )


def standardised(image):
    image = image.astype(np.float32)
    return ((image - image.mean()) / (image.std() + np.float32(1e-6))).transpose(2, 0, 1)


def equalised(image):
    return normalised(np.stack([cv2.equalizeHist(image[..., c]) for c in range(3)], axis=2))


@pytest.mark.parametrize(
    "transform",
    [standardised, equalised, lambda image: normalised(image) ** 2, lambda image: 0 * normalised(image)],
)
def test_transforms_that_do_not_treat_colours_linearly_are_refused(transform):
    dark = (picture().astype(np.float32) ** 2 / 255).astype(np.uint8)
    with pytest.raises(ValueError, match=r"does not treat colours linearly \(for x.png\).*net's input size"):
        followed(transform, block(1, 3, 2, 5), dark)


def test_a_random_transform_is_refused():
    random = np.random.default_rng(0)

    def shifted(image):
        return normalised(np.roll(image, random.integers(1, 8), axis=1))

    with pytest.raises(ValueError, match=r"another result the second time \(for x.png\); leave random"):
        followed(shifted, block(1, 3, 2, 5))


def test_a_transform_whose_size_depends_on_the_colours_is_refused():
    with pytest.raises(ValueError, match="the size of what it gives depends on the picture's colours"):
        followed(lambda image: normalised(image[: 2 + int(image[0, 0, 0] > 250) * 3]), block(1, 3, 2, 5))
