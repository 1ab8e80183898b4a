"""Regions as masks, against masks drawn by hand and areas by formula."""

import numpy as np
import pytest

from vizcallbacks.probes.geometry import DRAW, MAX_POINTS, box_mask, circle_mask, polygon_mask, runs_mask


def drawn(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_a_box_holds_the_pixels_whose_centres_are_inside():
    expected = drawn(
        "......",
        "..##..",
        "..##..",
        "......",
    )
    np.testing.assert_array_equal(box_mask((4, 6), (2, 1, 4, 3)), expected)
    np.testing.assert_array_equal(box_mask((4, 6), (1.5001, 0.51, 3.51, 2.51)), expected)
    np.testing.assert_array_equal(box_mask((4, 6), (4, 3, 2, 1)), expected)  # corners in another order


def test_a_centre_on_the_left_or_upper_edge_is_inside_and_on_the_others_outside():
    np.testing.assert_array_equal(
        box_mask((3, 3), (0.5, 0.5, 1.5, 1.5)),
        drawn("#..", "...", "..."),
    )


@pytest.mark.parametrize("numbers", [(-5, -5, 99, 99), (-1e6, -1e6, 1e6, 1e6)])
def test_what_lies_outside_the_picture_is_cut_off(numbers):
    assert box_mask((3, 4), numbers).all()
    x0, y0, x1, y1 = numbers
    assert polygon_mask((3, 4), (x0, y0, x1, y0, x1, y1, x0, y1)).all()


def test_regions_beside_the_picture_are_empty():
    assert not box_mask((3, 4), (7, 0, 9, 2)).any()
    assert not polygon_mask((3, 4), (7, 0, 9, 0, 9, 2)).any()
    assert not polygon_mask((3, 4), (-7, 0, -1, 0, -1, 2)).any()
    assert not circle_mask((3, 4), (-9, -9, 2)).any()


def test_a_triangle_is_as_drawn_by_hand():
    """Right angle at (0, 0), legs of 4: a centre (x + .5, y + .5) is inside where x + y + 1 < 4."""
    np.testing.assert_array_equal(
        polygon_mask((5, 5), (0, 0, 4, 0, 0, 4)),
        drawn("###..", "##...", "#....", ".....", "....."),
    )


def test_a_polygon_with_a_hollow_is_as_drawn_by_hand():
    """A U: (0,0) (1,0) (1,2) (3,2) (3,0) (4,0) (4,3) (0,3)."""
    corners = (0, 0, 1, 0, 1, 2, 3, 2, 3, 0, 4, 0, 4, 3, 0, 3)
    expected = drawn("#..#.", "#..#.", "####.", ".....")
    np.testing.assert_array_equal(polygon_mask((4, 5), corners), expected)
    backwards = np.array(corners).reshape(-1, 2)[::-1].ravel()
    np.testing.assert_array_equal(polygon_mask((4, 5), backwards), expected)


def test_where_an_outline_crosses_itself_the_even_odd_rule_holds():
    """A square of 4 walked, then one of 2 inside it, joined by a line walked twice: a frame."""
    corners = (0, 0, 4, 0, 4, 4, 0, 4, 0, 0, 1, 1, 3, 1, 3, 3, 1, 3, 1, 1)
    np.testing.assert_array_equal(polygon_mask((4, 4), corners), drawn("####", "#..#", "#..#", "####"))


def test_a_polygon_of_a_boxs_corners_is_the_box_and_neighbours_share_no_pixel():
    random = np.random.default_rng(0)
    for _ in range(50):
        x0, middle, x1 = np.sort(random.uniform(-3, 13, 3))
        y0, y1 = np.sort(random.uniform(-3, 9, 2))
        left = polygon_mask((6, 10), (x0, y0, middle, y0, middle, y1, x0, y1))
        right = polygon_mask((6, 10), (middle, y0, x1, y0, x1, y1, middle, y1))
        assert not (left & right).any()
        np.testing.assert_array_equal(left | right, box_mask((6, 10), (x0, y0, x1, y1)))


def test_the_area_of_a_polygon_is_that_of_the_shoelace_formula():
    random = np.random.default_rng(1)
    angles = np.sort(random.uniform(0, 2 * np.pi, 17))
    corners = 500 + 450 * random.uniform(0.3, 1, 17)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    x, y = corners.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert polygon_mask((1000, 1000), corners.ravel()).sum() == pytest.approx(area, rel=2e-3)


def test_a_circle_has_its_area_and_is_round():
    mask = circle_mask((400, 500), (250, 200, 150))
    assert mask.sum() == pytest.approx(np.pi * 150**2, rel=1e-3)
    assert mask[:, 250].sum() == mask[200].sum() == 300
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])


def test_run_lengths_go_down_the_columns_and_begin_outside():
    """COCO's example of counts: 2 out, 3 in, 1 out on a 3 x 2 picture."""
    np.testing.assert_array_equal(runs_mask((3, 2), (2, 3, 1)), drawn(".#", ".#", "#."))
    np.testing.assert_array_equal(runs_mask((3, 2), (0, 6)), np.ones((3, 2), bool))


@pytest.mark.parametrize("counts", [(2, 3), (2, 3, 2), (-1, 7), (2.5, 3.5), (1e18,)])
def test_run_lengths_that_do_not_fill_the_picture_are_refused(counts):
    with pytest.raises(ValueError, match=r"add up to 3 x 2 pixels"):
        runs_mask((3, 2), counts)


@pytest.mark.parametrize("numbers", [(0, 0, 1, 1), (0,) * (2 * MAX_POINTS + 2)])
def test_a_polygon_of_two_corners_or_far_too_many_is_refused(numbers):
    with pytest.raises(
        ValueError, match=r"a polygon must have 3 to 10000 corners, got (2|10001); simplify it"
    ):
        polygon_mask((3, 3), numbers)


@pytest.mark.parametrize("kind", DRAW)
def test_every_kind_of_region_gives_a_mask_of_the_shape_asked_for(kind):
    numbers = {"polygon": (0, 0, 3, 0, 0, 3), "circle": (1, 1, 1), "runs": (0, 12)}.get(kind, (0, 0, 2, 2))
    mask = DRAW[kind]((3, 4), numbers)
    assert (mask.shape, mask.dtype) == ((3, 4), bool)
    assert mask.any()
