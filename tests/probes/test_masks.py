"""Masks of probe sets from whatever people have, on their way to the net's input size."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from vizcallbacks.probes.annotations import read_annotations
from vizcallbacks.probes.masks import read_mask
from vizcallbacks.probes.probe_set import ProbeSet


def scaled(image):
    return image.astype(np.float32).transpose(2, 0, 1) / np.float32(255)


def cropped(image):
    """Of (6, 9): two rows and three columns off."""
    return scaled(image[2:, :6])


def dataset(count=6, labels=(0, 1)):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (count, 6, 9, 3), dtype=np.uint8)
    return [(pictures[i], labels[i % len(labels)]) for i in range(count)]


def regions(count=6):
    return np.random.default_rng(1).random((count, 6, 9)) > 0.6


def test_an_array_of_masks_goes_with_the_items_that_are_chosen_through_their_transform():
    probe = ProbeSet.from_dataset(dataset(), 2, cropped, masks=regions())
    assert probe.names == ("item_0", "item_2", "item_1", "item_3")
    np.testing.assert_array_equal(probe.masks["object"], regions()[[0, 2, 1, 3], 2:, :6])


def test_masks_of_the_nets_input_size_are_taken_as_they_are():
    small = regions()[:, :4, :6]
    probe = ProbeSet.from_dataset(dataset(), 1, cropped, masks={"object": regions(), "tag": list(small)})
    np.testing.assert_array_equal(probe.masks["object"], regions()[:2, 2:, :6])
    np.testing.assert_array_equal(probe.masks["tag"], small[:2])


def test_a_function_gets_the_index_and_the_item():
    def lighter(index, item):
        picture, label = item
        assert label == index % 2
        return picture[..., 0] > 100 + index

    probe = ProbeSet.from_dataset(dataset(), 2, scaled, masks={"light": lighter})
    for i, index in enumerate([0, 2, 1, 3]):
        np.testing.assert_array_equal(probe.masks["light"][i], dataset()[index][0][..., 0] > 100 + index)


def test_size_crops_pictures_and_masks_alike():
    """6 x 9 to 6 x 6: columns 1 to 6."""
    probe = ProbeSet.from_dataset(dataset(), 1, scaled, size=6, masks=regions())
    np.testing.assert_array_equal(probe.masks["object"], regions()[:2, :, 1:7])
    np.testing.assert_array_equal(probe.pictures, [dataset()[i][0][:, 1:7] for i in range(2)])


def test_boxes_tell_the_label_and_the_mask():
    """The class that covers most is the label: of 12, 2 x 2 and 20 pixels, first and last of each inside."""
    picture = dataset(1)[0][0]
    boxes = np.array([[0, 0, 3, 2, 1, 0], [7, 4, 8, 5, 3, 0], [5, 0, 8, 2, 3, 1], [-1] * 6], np.float32)
    other = np.array([[1.5, 1, 1.5, 1, 1]])
    probe = ProbeSet.from_dataset(
        [(picture, boxes), (picture, np.zeros((0,))), (picture, other)], 1, scaled, masks="label"
    )
    assert probe.labels.tolist() == [1, 3]
    assert probe.names == ("item_2", "item_0")
    three = np.zeros((6, 9), bool)
    three[4:6, 7:9] = three[0:3, 5:9] = True
    np.testing.assert_array_equal(probe.masks["object"][1], three)
    one = np.zeros((6, 9), bool)
    one[1, 1] = True  # from 1.5 to 2.5: the centre at 1.5 is on the left edge, that at 2.5 on the right one
    np.testing.assert_array_equal(probe.masks["object"][0], one)


def test_polygons_take_the_place_of_their_boxes():
    picture = dataset(1)[0][0]
    item = (picture, np.array([[0, 0, 9, 6, 2.0]]), [[np.float32([[0, 0], [4, 0], [0, 4]])]])
    probe = ProbeSet.from_dataset([item], 1, scaled, masks="label")
    assert [row.sum() for row in probe.masks["object"][0]] == [3, 2, 1, 0, 0, 0]


def test_a_class_map_tells_the_label_and_the_mask():
    classes = np.zeros((6, 9), np.int32)
    classes[0], classes[1, :4], classes[2:5] = 2, 1, -1  # -1: void, as GluonCV has it
    probe = ProbeSet.from_dataset([(dataset(1)[0][0], classes)], 1, scaled, masks="label")
    assert probe.labels.tolist() == [2]
    np.testing.assert_array_equal(probe.masks["object"][0], classes == 2)


def test_labels_of_another_kind_are_refused_with_the_way_out():
    picture = dataset(1)[0][0]
    with pytest.raises(
        ValueError, match=r"whole numbers, got shape \(2, 6\) at 0; for boxes .*masks='label'"
    ):
        ProbeSet.from_dataset([(picture, np.zeros((2, 6)))], 1, scaled)
    with pytest.raises(
        ValueError, match=r"labels must be boxes .* size \(6, 9\), got shape \(5, 4\) for item_0"
    ):
        ProbeSet.from_dataset([(picture, np.zeros((5, 4)))], 1, scaled, masks="label")
    with pytest.raises(ValueError, match="must hold labelled objects, got none in any image"):
        ProbeSet.from_dataset([(picture, np.zeros((6, 9)))], 1, scaled, masks="label")


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (regions()[:3], r"must be one for each item of the dataset, got 3"),
        (
            regions()[:, :5],
            r"must be \(6, 9\), as the image before .* or \(4, 6\), .*, got \(5, 9\) for item_0",
        ),
        (regions().astype(float), "must be bool, got float64 for item_0; .*mask > 0.5"),
        (lambda index, item: None, "must be bool, got object for item_0"),
        (7, r"must be an array of masks, a function of \(index, item\), .*got int"),
        ("masks", "must be a folder of mask files or of annotations, .*got 'masks', which is none"),
        (os.path.dirname(__file__), "masks from files need the images' names, .*use ProbeSet.from_folder"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ProbeSet.from_dataset(dataset(), 3, cropped, masks=masks)


def test_a_transform_that_cannot_be_followed_is_refused_only_where_it_matters():
    random = np.random.default_rng(0)

    def noisy(image):
        return cropped(image) + random.normal(size=(3, 4, 6)).astype(np.float32)

    with pytest.raises(ValueError, match=r"another result the second time \(for item_0\)"):
        ProbeSet.from_dataset(dataset(), 1, noisy, masks=regions())
    probe = ProbeSet.from_dataset(dataset(), 1, noisy, masks=regions()[:, :4, :6])
    np.testing.assert_array_equal(probe.masks["object"], regions()[:2, :4, :6])


class DataLoader:
    def __iter__(self):
        return iter(dataset())

    def __len__(self):
        return 3


def test_a_data_loader_is_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"got a DataLoader; give the dataset that the loader was made of"):
        ProbeSet.from_dataset(DataLoader())
    with pytest.raises(TypeError, match=r"got a generator; give a gluon.data.Dataset, or a list"):
        ProbeSet.from_dataset(item for item in dataset())


# Folders


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for class_name, files in {"cat": "ab", "dog": "a"}.items():
        (tmp_path / "images" / class_name).mkdir(parents=True)
        for file in files:
            pixels = random.integers(0, 256, (6, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / class_name / f"{file}.png")
    return tmp_path / "images"


def save_masks(root, masks, ending="png"):
    for name, mask in masks.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / f"{name}.{ending}")


def test_mask_files_lie_in_folders_like_those_of_the_images(folder, tmp_path):
    masks = dict(zip(["cat/a", "cat/b", "dog/a"], regions()))
    save_masks(tmp_path / "masks", masks)
    probe = ProbeSet.from_folder(folder, size=6, masks=tmp_path / "masks")
    np.testing.assert_array_equal(probe.masks["object"], regions()[:3, :, 1:7])
    whole = ProbeSet.from_folder(folder, scaled, masks={"tag": str(tmp_path / "masks")})
    np.testing.assert_array_equal(whole.masks["tag"], regions()[:3])


def test_a_missing_and_a_doubled_mask_file_are_named(folder, tmp_path):
    save_masks(tmp_path / "masks", {"cat/a": regions()[0], "cat/b": regions()[1]})
    with pytest.raises(ValueError, match=r"'dog/a.png' must have one mask, .*dog.a.png or .*, got none"):
        ProbeSet.from_folder(folder, size=6, masks=tmp_path / "masks")
    save_masks(tmp_path / "masks", {"cat/a": regions()[0]}, "bmp")
    with pytest.raises(ValueError, match=r"'cat/a.png' must have one mask, .*, got a.bmp, a.png"):
        ProbeSet.from_folder(folder, size=6, masks=tmp_path / "masks")


def test_a_folders_array_and_function_go_by_its_images(folder):
    probe = ProbeSet.from_folder(folder, scaled, masks=regions(3))
    np.testing.assert_array_equal(probe.masks["object"], regions(3))
    with pytest.raises(ValueError, match="must be one for each of 3 images, got 4"):
        ProbeSet.from_folder(folder, scaled, masks=regions(4))
    seen = []

    def mask(index, item):
        picture, label = item
        seen.append((index, label))
        return picture[..., 1] > 99

    probe = ProbeSet.from_folder(folder, scaled, masks=mask)
    assert seen == [("cat/a.png", 0), ("cat/b.png", 0), ("dog/a.png", 1)]
    np.testing.assert_array_equal(probe.masks["object"], probe.pictures[..., 1] > 99)


def test_annotations_of_a_folders_images_become_masks_by_label(folder, tmp_path):
    for i, name in enumerate(["cat/a", "cat/b", "dog/a"]):
        shapes = [
            {"label": "animal", "points": [[i, 0], [i + 4, 6]], "shape_type": "rectangle"},
            {"label": "tag", "points": [[7, 4], [9, 4], [9, 6], [7, 6]], "shape_type": "polygon"},
        ]
        path = tmp_path / "notes" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"shapes": shapes, "imageHeight": 6, "imageWidth": 9}))
    animal, tag = np.zeros((3, 6, 9), bool), np.zeros((3, 6, 9), bool)
    for i in range(3):
        animal[i, :, i : i + 4] = True
    tag[:, 4:, 7:] = True
    for masks in (tmp_path / "notes", [str(tmp_path / "notes" / "cat"), str(tmp_path / "notes" / "dog")]):
        probe = ProbeSet.from_folder(folder, scaled, masks=masks)
        np.testing.assert_array_equal(probe.masks["object"], animal | tag)
    notes = read_annotations(tmp_path / "notes")
    probe = ProbeSet.from_folder(folder, size=6, masks={"object": notes.of("animal"), "tag": notes.of("tag")})
    np.testing.assert_array_equal(probe.masks["object"], animal[:, :, 1:7])
    np.testing.assert_array_equal(probe.masks["tag"], tag[:, :, 1:7])


# Mask files


def saved(tmp_path, values, mode="L", name="m.png", **options):
    pixels = np.asarray(values, np.uint8)
    image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    if mode == "P":
        image.putpalette(list(range(256)) * 3)
    image.save(tmp_path / name, **options)
    return str(tmp_path / name)


def test_a_mask_file_is_white_inside(tmp_path):
    path = saved(tmp_path, [[0, 127, 128, 255]])
    assert read_mask(path, (1, 4)).tolist() == [[False, False, True, True]]
    assert read_mask(saved(tmp_path, [[0, 1, 1]]), (1, 3)).tolist() == [[False, True, True]]
    assert not read_mask(saved(tmp_path, [[0, 0, 0]]), (1, 3)).any()


def test_a_palettes_numbers_are_classes_and_255_belongs_to_none(tmp_path):
    path = saved(tmp_path, [[0, 1, 15, 255]], "P")
    assert read_mask(path, (1, 4)).tolist() == [[False, True, True, False]]


def test_a_cut_out_is_inside_where_it_is_opaque(tmp_path):
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = 0, 255, 200
    assert read_mask(saved(tmp_path, pixels, "RGBA"), (1, 3)).tolist() == [[False, True, True]]


def test_a_mask_in_one_bit_is_read(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "m.png")
    assert read_mask(str(tmp_path / "m.png"), (1, 2)).tolist() == [[False, True]]


def test_mask_files_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must have its image's 4 x 1 pixels, got 3 x 1"):
        read_mask(saved(tmp_path, [[0, 0, 255]]), (1, 4))
    with pytest.raises(
        ValueError, match=r"white inside, got values up to 3: .*lambda index, item: numbers == 3"
    ):
        read_mask(saved(tmp_path, [[0, 1, 3]]), (1, 3))
    (tmp_path / "m.png").write_text("no picture")
    with pytest.raises(ValueError, match="must be a mask, but cannot be read as an image"):
        read_mask(str(tmp_path / "m.png"), (1, 3))
    whole = (tmp_path / saved(tmp_path, np.random.default_rng(0).integers(0, 255, (50, 50)))).read_bytes()
    (tmp_path / "m.png").write_bytes(whole[:500])
    with pytest.raises(ValueError, match="must be a mask, but cannot be read as an image"):
        read_mask(str(tmp_path / "m.png"), (50, 50))
