"""The contact sheet shows every image, and outlines each mask where it is."""

import numpy as np
import pytest

from vizcallbacks.pictures.contact_sheet import GAP, LINE, MARGIN, OUTLINES, SIDE, contact_sheet
from vizcallbacks.probes.probe_set import ProbeSet

TOP = MARGIN + LINE


def probe_set(count=3, side=SIDE, **masks):
    """Pictures of one grey each, lighter from one to the next."""
    greys = np.arange(1, count + 1, dtype=np.uint8) * 2 + 60
    pictures = np.broadcast_to(greys[:, None, None, None], (count, side, side, 3)).astype(np.uint8)
    images = pictures.transpose(0, 3, 1, 2).astype(np.float32)
    return ProbeSet(images, [0] * count, pictures=pictures, class_names=["cat"], masks=masks)


def square(sheet, line, column):
    y, x = TOP + line * (SIDE + LINE + GAP), MARGIN + column * (SIDE + GAP)
    return sheet[y : y + SIDE, x : x + SIDE]


def test_every_image_stands_in_its_place():
    sheet = contact_sheet(probe_set(8), columns=3)
    assert sheet.shape == (TOP + 3 * (SIDE + LINE + GAP) + MARGIN, 3 * SIDE + 2 * GAP + 2 * MARGIN, 3)
    for i in range(8):
        assert (square(sheet, *divmod(i, 3)) == 62 + 2 * i).all()
    assert (square(sheet, 2, 2) == 255).all()


def test_a_mask_is_outlined_inside_its_region():
    """Two pixels of colour inside the region's edge, one dark pixel outside it, and the picture elsewhere."""
    mask = np.zeros((3, SIDE, SIDE), bool)
    mask[1, 40:100, 20:150] = True
    sheet = contact_sheet(probe_set(object=mask))
    drawn = square(sheet, 0, 1)
    coloured = (drawn == OUTLINES[0]).all(axis=2)
    expected = mask[1].copy()
    expected[42:98, 22:148] = False
    np.testing.assert_array_equal(coloured, expected)
    assert (drawn[39, 20:150] < 60).all()
    assert (drawn[43:97, 23:147] == 64).all()
    assert (square(sheet, 0, 0) == 62).all()  # nothing where the mask is empty


def test_each_mask_has_its_colour_and_stands_in_the_legend():
    one, two = np.zeros((2, 3, SIDE, SIDE), bool)
    one[:, 10:60, 10:60] = two[:, 100:170, 100:170] = True
    sheet = contact_sheet(probe_set(object=one, tag=two))
    for colour in OUTLINES[:2]:
        assert (square(sheet, 0, 0) == colour).all(axis=2).any()
        assert (sheet[MARGIN : MARGIN + LINE] == colour).all(axis=2).any()


@pytest.mark.parametrize(("height", "width"), [(8, 16), (40, 20), (300, 500)])
def test_an_outline_fits_pictures_of_any_size_and_proportion(height, width):
    """The mask is of the net's size; its right half is the right half of what is shown."""
    images = np.zeros((1, 3, 10, 10), np.float32)
    pictures = np.full((1, height, width, 3), 90, np.uint8)
    mask = np.zeros((1, 10, 10), bool)
    mask[:, :, 5:] = True
    drawn = square(contact_sheet(ProbeSet(images, pictures=pictures, masks={"object": mask})), 0, 0)
    rows, columns = np.nonzero((drawn == OUTLINES[0]).all(axis=2))
    scale = SIDE / max(height, width)
    left, top = (SIDE - width * scale) / 2, (SIDE - height * scale) / 2
    assert columns.min() == pytest.approx(SIDE / 2, abs=1)
    assert columns.max() + 1 == pytest.approx(SIDE - left, abs=1)
    assert rows.min() == pytest.approx(top, abs=1)
    assert rows.max() + 1 == pytest.approx(SIDE - top, abs=1)


def test_of_many_images_sixty_are_shown():
    sheet = contact_sheet(probe_set(90, side=8))
    assert sheet.shape[0] == TOP + 10 * (SIDE + LINE + GAP) + MARGIN
    assert (square(sheet, 9, 5) == 62 + 2 * 89).all()
