"""``vizcallbacks probe``: from folders and functions to a file, a contact sheet and words."""

import json
import re
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from vizcallbacks.cli import main
from vizcallbacks.probes.probe_set import ProbeSet


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in: images of two classes, masks, annotations, and a module."""
    random = np.random.default_rng(0)
    notes = []
    for class_name in ("cat", "dog"):
        for folder in ("images", "masks"):
            (tmp_path / folder / class_name).mkdir(parents=True)
        for i in range(4):
            pixels = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / class_name / f"{i}.png")
            mask = np.zeros((20, 30), np.uint8)
            mask[5:15, 10:20] = 255
            Image.fromarray(mask).save(tmp_path / "masks" / class_name / f"{i}.png")
            entry = {
                "id": f"{class_name}{i}",
                "file_name": f"{class_name}/{i}.png",
                "width": 30,
                "height": 20,
            }
            notes.append(entry)
    box = [10, 5, 10, 10]
    content = {
        "images": notes,
        "annotations": [{"image_id": e["id"], "category_id": 1, "bbox": box} for e in notes],
        "categories": [{"id": 1, "name": "animal"}],
    }
    (tmp_path / "notes.json").write_text(json.dumps(content))
    (tmp_path / "my_probe_data.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_probe_data", raising=False)
    return tmp_path


MODULE = """
import numpy as np

PICTURES = np.random.default_rng(1).integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)
BOXES = [np.array([[2, 3, 5, 8, i % 2]]) for i in range(6)]

def labelled():
    return [(picture, i % 2) for i, picture in enumerate(PICTURES)]

def boxes():
    return list(zip(PICTURES, BOXES))

def doubled(picture):
    return picture.astype(np.float32).transpose(2, 0, 1) * 2

def broken():
    import no_such_package

NUMBER = 3
"""


def run(*arguments):
    return main([str(argument) for argument in ("probe", *arguments)])


MASK = np.zeros((20, 20), bool)
MASK[5:15, 5:15] = True  # five columns are cropped away


@pytest.mark.parametrize("regions", [("--masks", "masks"), ("--annotations", "notes.json")])
def test_a_folder_becomes_a_probe_set_with_masks_and_a_contact_sheet(place, capsys, regions):
    assert (
        run("images", "--out", "p.npz", "--size", 20, "--mean", "0.5,0.4,0.3", "--std", "0.25", *regions) == 0
    )
    probe = ProbeSet.load("p.npz")
    np.testing.assert_array_equal(probe.masks["object"], np.broadcast_to(MASK, (8, 20, 20)))
    pixels = np.asarray(Image.open("images/dog/1.png"))[:, 5:25].transpose(2, 0, 1)
    expected = (pixels / 255 - np.array([0.5, 0.4, 0.3])[:, None, None]) / 0.25
    np.testing.assert_allclose(probe.images[5], expected, atol=1e-5)
    sheet = cv2.imread("p.png")
    assert sheet.shape[1] > 6 * 176
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [
        "p.npz and p.png",
        f"8 images of 3 x 20 x 20, values {probe.images.min():.4g} to {probe.images.max():.4g}",
    ]
    assert not any(line.startswith("note:") for line in out)


def test_what_a_poor_set_cannot_tell_is_said(place, capsys):
    assert run("images", "--out", "p.npz", "--size", 20, "--per-class", 1) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]
    assert len(notes) == 2
    assert "2 images" in notes[0]
    assert "no masks" in notes[1]


def test_a_functions_dataset_becomes_a_probe_set(place):
    assert run("my_probe_data:labelled", "--out", "p.npz", "--size", 12, "--per-class", 1) == 0
    import my_probe_data

    probe = ProbeSet.load("p.npz")
    np.testing.assert_array_equal(probe.pictures, my_probe_data.PICTURES[:2])
    np.testing.assert_allclose(probe.images, probe.pictures.transpose(0, 3, 1, 2) / 255, atol=1e-7)


def test_boxes_in_labels_and_a_transform_of_ones_own_are_taken(place):
    arguments = ("--transform", "my_probe_data:doubled", "--labels-are-regions")
    assert run("my_probe_data:boxes", "--out", "p.npz", *arguments) == 0
    probe = ProbeSet.load("p.npz")
    assert probe.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(probe.images, probe.pictures.transpose(0, 3, 1, 2) * np.float32(2))
    mask = np.zeros((12, 12), bool)
    mask[3:9, 2:6] = True
    np.testing.assert_array_equal(probe.masks["object"], np.broadcast_to(mask, (4, 12, 12)))


def test_a_finished_probe_set_is_shown(place, capsys):
    run("images", "--out", "p.npz", "--size", 20, "--masks", "masks")
    said = capsys.readouterr().out.splitlines()[1:]
    (place / "p.png").unlink()
    assert run("p.npz") == 0
    assert capsys.readouterr().out.splitlines() == said
    assert not (place / "p.png").exists()
    assert run("p.npz", "--sheet", "sheet.png") == 0
    assert cv2.imread("sheet.png") is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images"], "give --out"),
        (["images", "--out", "p.npy", "--size", "20"], "--out must end in .npz"),
        (
            ["nowhere", "--out", "p.npz"],
            "'nowhere' must be a folder .*, PACKAGE.MODULE:FUNCTION .*check the path",
        ),
        (["p.npz", "--size", "20"], "--size must be left out for a finished probe set"),
        (["p.npz"], "p.npz"),
        (["no_such_module:f", "--out", "p.npz"], "there is no module 'no_such_module' in the current folder"),
        (
            ["my_probe_data:none", "--out", "p.npz"],
            "has no function 'none'; it has labelled, boxes, doubled, broken",
        ),
        (["my_probe_data:NUMBER", "--out", "p.npz"], "has no function 'NUMBER'"),
        (["my_probe_data:labelled", "--out", "p.npz", "--masks", "masks"], "go with a folder of images"),
        (["images", "--out", "p.npz", "--size", "20", "--masks", "masks", "--annotations", "x"], "not both"),
        (["images", "--out", "p.npz", "--size", "20", "--std", "0"], "--std above 0"),
        (["images", "--out", "p.npz", "--size", "20", "--mean", "1,2"], "one for each of 3 channels"),
        (["images", "--out", "p.npz", "--size", "20", "--masks", "none"], "which is none; check the path"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(place, capsys, arguments, message):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert "Traceback" not in error
    assert not (place / "p.png").exists()


def test_numbers_that_are_none_are_refused_by_the_parser(place, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("images", "--out", "p.npz", "--mean", "a,b")
    assert stopped.value.code == 2
    assert "must be numbers such as 0.485,0.456,0.406, got 'a,b'" in capsys.readouterr().err
