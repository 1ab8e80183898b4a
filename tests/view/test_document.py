"""The view's document: what is stored, and how exactly."""

import cv2
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.view import document as made
from vizcallbacks.view.document import Pack, chosen_steps, eight_bits, picture_sheet, probe_part, step_part

from ..helpers.checked import at, probe_set, snapshot
from ..helpers.documents import opened

PROBE = probe_set(4)


@pytest.mark.parametrize("signed", [False, True])
def test_maps_in_eight_bits_are_exact_to_half_a_level(signed):
    maps = (
        np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
        * np.array([1e-6, 1, 30, 1e6, 2])[:, None, None]
    )
    maps = maps - maps.mean(axis=(1, 2), keepdims=True) if signed else maps
    data, peaks, is_signed = eight_bits(maps)
    assert is_signed is signed
    cells = np.frombuffer(data, np.int8 if signed else np.uint8).reshape(maps.shape) / (
        127 if signed else 255
    )
    np.testing.assert_array_equal(peaks, np.abs(maps.astype(np.float64)).max(axis=(1, 2)))
    error = np.abs(cells * peaks[:, None, None] - maps) / peaks[:, None, None]
    assert error.max() <= 0.5 / (127 if signed else 255) + 1e-6


def test_dead_and_undefined_maps_are_told_apart():
    maps = at(0, 0)
    maps[1], maps[2, 1, 1], maps[3, 0, 0] = 0, np.nan, np.inf
    _, peaks, _ = eight_bits(maps)
    assert peaks[0] == 1
    assert peaks[1] == 0
    assert np.isnan(peaks[2:]).all()


def test_a_pack_holds_the_document_and_its_parts():
    pack = Pack()
    part = step_part(snapshot({"grad_cam": at(1, 2), "hirescam": at(0, 0) - 0.5}, PROBE, step=3), pack.put)
    found, parts = opened(pack.join(part))
    assert found["step"] == 3
    assert found["when"] == "epoch 3"
    assert found["targets"] == PROBE.labels.tolist()
    cells = np.frombuffer(parts[found["maps"]["grad_cam"]["part"]], np.uint8).reshape(4, 4, 4)
    np.testing.assert_array_equal(cells.reshape(4, -1).argmax(axis=1), [6] * 4)
    assert found["maps"]["hirescam"]["signed"]
    assert not found["maps"]["grad_cam"]["signed"]


def test_a_step_holds_how_alike_the_peaks_are_by_class_and_in_all():
    pack = Pack()
    taken = snapshot({"grad_cam": at(1, 2), "layer_cam": at(0, 0) - 0.5}, PROBE)
    maps = step_part(taken, pack.put, PROBE)["maps"]
    _, parts = opened(pack.join({}))
    for method in ("grad_cam", "layer_cam"):
        rows = np.frombuffer(parts[maps[method]["sameness"]], "<f4").reshape(-1, 4)
        found = vc.peaks(taken, PROBE, method)
        wanted = [
            (number, one.value, one.chance, one.count)
            for number, one in [*found.sameness.items(), (np.nan, found.overall)]
        ]
        np.testing.assert_allclose(rows, wanted, rtol=1e-6)
    assert "sameness" not in step_part(taken, Pack().put)["maps"]["grad_cam"]  # without the pictures


def test_numbers_have_four_digits_and_undefined_ones_are_null():
    assert made.numbers(np.array([0.123456, np.nan, np.inf, -123456.0, 0.0])) == [
        0.1235,
        None,
        None,
        -123500.0,
        0.0,
    ]


def test_pictures_lie_on_the_sheet_in_order_each_in_a_frame_of_its_edge():
    colours = np.arange(5 * 3).reshape(5, 1, 1, 3).astype(np.uint8) * 16
    data, shape = picture_sheet(np.broadcast_to(colours, (5, 8, 10, 3)))
    assert shape == {"columns": 3, "rows": 2, "height": 8, "width": 10}
    sheet = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert sheet.shape == (20, 36, 3)
    for i, colour in enumerate(colours[:, 0, 0]):
        y, x = i // 3 * 10, i % 3 * 12
        assert (np.abs(sheet[y + 2 : y + 8, x + 2 : x + 10].astype(int) - colour) < 14).all()


def test_many_large_pictures_are_reduced(monkeypatch):
    monkeypatch.setattr(made, "MOST_PIXELS", 4 * 50 * 100)
    _, shape = picture_sheet(np.zeros((4, 100, 200, 3), np.uint8))
    assert (shape["height"], shape["width"]) == (50, 100)


def test_the_sheet_of_the_same_pictures_is_the_same_and_others_get_their_own():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3)).astype(np.uint8)
    first, again, mirrored = map(picture_sheet, (pictures, pictures.copy(), pictures[:, :, ::-1]))
    assert again == first
    assert mirrored[0] != first[0]
    first[1]["rows"] = 7
    assert picture_sheet(pictures) == again


def test_masks_are_bits_row_by_row_and_large_ones_are_reduced():
    pack = Pack()
    part = probe_part(PROBE, pack.put)
    bits = np.unpackbits(np.frombuffer(opened(pack.join({}))[1][part["masks"]["tag"]["part"]], np.uint8))
    np.testing.assert_array_equal(bits.reshape(4, 8, 8).astype(bool), PROBE.masks["tag"])
    large = vc.ProbeSet(
        np.zeros((1, 1, 224, 448), np.float32),
        masks={"left": np.arange(448)[None, None] < np.full((1, 224, 1), 200)},
    )
    pack = Pack()
    mask = probe_part(large, pack.put)["masks"]["left"]
    assert (mask["height"], mask["width"]) == (56, 112)
    bits = np.unpackbits(np.frombuffer(opened(pack.join({}))[1][mask["part"]], np.uint8)).reshape(56, 112)
    np.testing.assert_array_equal(bits.sum(axis=1), 50)


def test_steps_are_thinned_only_where_their_maps_are_too_large(monkeypatch):
    assert chosen_steps(tuple(range(100)), 1000, 2) == list(range(100))
    monkeypatch.setattr(made, "MOST_MAP_BYTES", 10_000)
    assert chosen_steps(tuple(range(100)), 1000, 2) == [0, 25, 50, 74, 99]
    assert chosen_steps((3, 4, 9), 10**9, 2) == [3, 9]
