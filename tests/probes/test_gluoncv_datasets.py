"""Real photographs in GluonCV's own datasets, and imgaug's quokka with its own box and polygon."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest
from mxnet.gluon.data.vision import transforms
from PIL import Image

from vizcallbacks.probes.annotations import read_annotations
from vizcallbacks.probes.photographs import read_photograph
from vizcallbacks.probes.probe_set import ProbeSet

SKIMAGE = pathlib.Path(importlib.util.find_spec("skimage").submodule_search_locations[0], "data")
PHOTOGRAPHS = {"cat": ("chelsea.png", (63, 40, 401, 281)), "cup": ("coffee.png", (160, 70, 440, 330))}
"""Class -> a photograph and the box of its object: the first and last pixel in it, counted from 0."""


def voc_tree(root):
    """Pascal VOC's folders with the photographs; returns name -> (picture, box)."""
    home = root / "VOC2007"
    for folder in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (home / folder).mkdir(parents=True)
    truth = {}
    for name, (file, box) in PHOTOGRAPHS.items():
        picture = read_photograph(SKIMAGE / file)
        Image.fromarray(picture).save(home / "JPEGImages" / f"{name}.jpg")
        height, width = picture.shape[:2]
        sides = "".join(
            f"<{side}>{value + 1}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box)
        )
        (home / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename><size><width>{width}</width><height>{height}</height></size>"
            f"<object><name>{name}</name><difficult>0</difficult><bndbox>{sides}</bndbox></object></annotation>"
        )
        truth[name] = (picture, box)
    (home / "ImageSets" / "Main" / "trainval.txt").write_text("cat\ncup\n")
    return truth


def boxed(shape, box):
    mask = np.zeros(shape, bool)
    mask[box[1] : box[3] + 1, box[0] : box[2] + 1] = True
    return mask


@pytest.fixture
def voc(tmp_path):
    from gluoncv.data import VOCDetection

    class Photographs(VOCDetection):
        CLASSES = ("cat", "cup")

    truth = voc_tree(tmp_path)
    return Photographs(root=str(tmp_path), splits=((2007, "trainval"),)), truth, tmp_path


def test_gluoncvs_voc_boxes_are_followed_through_gluons_transforms(voc):
    """Resize of the short side to 60 and crop of the centre: where arithmetic takes the corners, to a pixel."""
    dataset, truth, _ = voc
    block = transforms.Compose(
        [transforms.Resize(60, keep_ratio=True), transforms.CenterCrop(60), transforms.ToTensor()]
    )
    probe = ProbeSet.from_dataset(dataset, 1, block, masks="label", class_names=["cat", "cup"])
    assert probe.labels.tolist() == [0, 1]
    for mask, (picture, box) in zip(probe.masks["object"], truth.values()):
        height, width = picture.shape[:2]
        scale = 60 / min(height, width)
        left, top = (width * scale - 60) / 2, (height * scale - 60) / 2
        x, y = np.arange(60) + 0.5 + left, np.arange(60) + 0.5 + top
        down = (y > box[1] * scale) & (y < (box[3] + 1) * scale)
        across = (x > box[0] * scale) & (x < (box[2] + 1) * scale)
        expected = down[:, None] & across
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns)  # still a box
        assert (mask != expected).sum() <= 2 * (
            rows.sum() + columns.sum()
        )  # each side off by a pixel at most
        assert mask.sum() > 500


def test_gluoncvs_preset_for_ssd_is_taken_as_it_is(voc):
    """It takes the boxes as well, and moves them itself: its boxes and our masks agree to a pixel."""
    from gluoncv.data.transforms.presets.ssd import SSDDefaultValTransform

    dataset, _, _ = voc
    preset = SSDDefaultValTransform(128, 96)
    probe = ProbeSet.from_dataset(dataset, 1, preset, masks="label")
    moved = ProbeSet.from_dataset(dataset.transform(preset), 1, masks="label")
    np.testing.assert_array_equal(probe.images, moved.images)
    assert probe.images.shape == (2, 3, 96, 128)
    for one, other, (_, boxes) in zip(
        probe.masks["object"], moved.masks["object"], dataset.transform(preset)
    ):
        for axis, (low, high) in ((0, boxes[0, [0, 2]]), (1, boxes[0, [1, 3]])):
            inside = np.flatnonzero(one.any(axis=axis))
            assert abs(inside[0] - low) <= 0.5
            assert abs(inside[-1] - high) <= 1.5  # GluonCV moves the last pixel, we its right edge
        row_and_column = one.any(axis=1).sum() + one.any(axis=0).sum() + 1
        assert (one ^ other).sum() <= row_and_column  # so the right and lower edges differ by a pixel


def test_random_augmentation_of_gluon_is_refused(voc):
    augmented = transforms.Compose(
        [transforms.Resize(64), transforms.RandomBrightness(0.5), transforms.ToTensor()]
    )
    with pytest.raises(ValueError, match="another result the second time"):
        ProbeSet.from_dataset(voc[0], 1, lambda image: augmented(image), masks="label")


def test_a_flip_by_chance_is_refused_by_its_name(voc):
    flipped = transforms.Compose(
        [transforms.Resize(64), transforms.RandomFlipLeftRight(), transforms.ToTensor()]
    )
    with pytest.raises(ValueError, match="masks cannot follow RandomFlipLeftRight"):
        ProbeSet.from_dataset(voc[0], 1, flipped, masks="label")


def test_the_xml_files_give_the_masks_that_gluoncvs_dataset_gives(voc):
    dataset, truth, root = voc
    found = read_annotations(root / "VOC2007" / "Annotations")
    for (name, (picture, box)), (_, boxes) in zip(truth.items(), dataset):
        expected = boxed(picture.shape[:2], box)
        np.testing.assert_array_equal(found.mask(f"{name}.jpg", picture.shape[:2]), expected)
        np.testing.assert_array_equal(boxes[0, :4], box)


def test_gluoncvs_class_maps_become_masks(tmp_path):
    from gluoncv.data import VOCSegmentation

    home = tmp_path / "VOC2012"
    for folder in ("ImageSets/Segmentation", "SegmentationClass", "JPEGImages"):
        (home / folder).mkdir(parents=True)
    for number, (name, (file, box)) in enumerate(PHOTOGRAPHS.items(), start=3):
        picture = read_photograph(SKIMAGE / file)
        Image.fromarray(picture).save(home / "JPEGImages" / f"{name}.jpg")
        numbers = boxed(picture.shape[:2], box).astype(np.uint8) * number
        classes = Image.frombytes("P", numbers.shape[::-1], numbers.tobytes())
        classes.putpalette(list(range(256)) * 3)
        classes.save(home / "SegmentationClass" / f"{name}.png")
    (home / "ImageSets" / "Segmentation" / "val.txt").write_text("cat\ncup\n")
    dataset = VOCSegmentation(root=str(tmp_path), split="val", base_size=96, crop_size=80)
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.25)])
    probe = ProbeSet.from_dataset(dataset, 1, normalise, masks="label")
    assert probe.labels.tolist() == [3, 4]
    for i, number in enumerate((3, 4)):
        np.testing.assert_array_equal(probe.masks["object"][i], dataset[i][1].asnumpy() == number)
        assert probe.masks["object"][i].mean() > 0.2


def coco_tree(root):
    """One photograph with the polygon of a triangle, in COCO's folders."""
    from gluoncv.data import COCODetection

    (root / "annotations").mkdir()
    (root / "val2017").mkdir()
    picture = read_photograph(SKIMAGE / "chelsea.png")
    Image.fromarray(picture).save(root / "val2017" / "1.jpg")
    entry = {"id": 1, "file_name": "1.jpg", "coco_url": "http://x/val2017/1.jpg", "height": 300, "width": 451}
    region = {
        "id": 1,
        "image_id": 1,
        "category_id": 17,
        "bbox": [100, 50, 200, 200],
        "area": 20000,
        "iscrowd": 0,
        "segmentation": [[100, 50, 300, 50, 100, 250]],
    }
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(COCODetection.CLASSES)]
    content = {"images": [entry], "annotations": [region], "categories": categories}
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return picture


def test_gluoncvs_coco_boxes_and_instances_become_masks(tmp_path):
    pytest.importorskip("pycocotools")
    from gluoncv.data import COCODetection, COCOInstance

    picture = coco_tree(tmp_path)
    scaled = lambda image: image.astype("float32").transpose((2, 0, 1)) / 255  # noqa: E731
    boxes = ProbeSet.from_dataset(COCODetection(root=str(tmp_path)), 1, scaled, masks="label")
    assert boxes.labels.tolist() == [16]
    np.testing.assert_array_equal(boxes.masks["object"][0], boxed(picture.shape[:2], (100, 50, 299, 249)))
    outlines = COCOInstance(root=str(tmp_path), splits=("instances_val2017",))
    probe = ProbeSet.from_dataset(outlines, 1, scaled, masks="label")
    from_file = read_annotations(tmp_path / "annotations").mask("1.jpg", picture.shape[:2])
    np.testing.assert_array_equal(probe.masks["object"][0], from_file)
    assert from_file.sum() == 200 * 199 / 2  # centres with x + y + 1 < 200: 199 + 198 + ... + 1


def test_the_quokkas_box_and_polygon_become_masks(tmp_path):
    """imgaug's photograph; its polygon has the area of the shoelace formula and lies in its box."""
    home = pathlib.Path(importlib.util.find_spec("imgaug").submodule_search_locations[0])
    truth = json.loads((home / "quokka_annotations.json").read_text())
    box, polygon = truth["bounding_boxes"][0], truth["polygons"][0]["keypoints"]
    picture = read_photograph(home / "quokka.jpg")
    height, width = picture.shape[:2]
    (tmp_path / "images" / "quokka").mkdir(parents=True)
    Image.fromarray(picture).save(tmp_path / "images" / "quokka" / "quokka.png")
    corners = [[point["x"], point["y"]] for point in polygon]
    shapes = [
        {"label": "outline", "points": corners, "shape_type": "polygon"},
        {
            "label": "box",
            "points": [[box["x1"], box["y1"]], [box["x2"], box["y2"]]],
            "shape_type": "rectangle",
        },
    ]
    content = {"shapes": shapes, "imagePath": "quokka.jpg", "imageHeight": height, "imageWidth": width}
    (tmp_path / "quokka.json").write_text(json.dumps(content))
    notes = read_annotations(tmp_path / "quokka.json")
    probe = ProbeSet.from_folder(
        tmp_path / "images", size=224, masks={"object": notes.of("outline"), "box": notes.of("box")}
    )
    x, y = np.array(corners).T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert notes.of("outline").mask("quokka.jpg", (height, width)).sum() == pytest.approx(area, rel=2e-3)
    scale = 224 / min(height, width)
    left, top = (width * scale - 224) / 2, (height * scale - 224) / 2
    rows, columns = (
        np.flatnonzero(probe.masks["box"][0].any(axis=1)),
        np.flatnonzero(probe.masks["box"][0].any(axis=0)),
    )
    for found, wanted in (
        (columns[0], box["x1"] * scale - left),
        (columns[-1] + 1, min(224, box["x2"] * scale - left)),
        (rows[0], box["y1"] * scale - top),
        (rows[-1] + 1, min(224, box["y2"] * scale - top)),
    ):
        assert found == pytest.approx(max(0, wanted), abs=1)
    outline = probe.masks["object"][0]
    assert 0.5 < (outline & probe.masks["box"][0]).sum() / probe.masks["box"][0].sum() < 1
    assert (outline & ~probe.masks["box"][0]).mean() < 0.02
