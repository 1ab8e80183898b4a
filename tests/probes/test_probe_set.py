"""Probe sets: the same images every time, whole files, and an error for every bad argument."""

import dataclasses
import hashlib
import os
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from vizcallbacks import archive
from vizcallbacks.probes.probe_set import ProbeSet

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def images(count=4, channels=3, height=5, width=6):
    return np.random.default_rng(0).normal(size=(count, channels, height, width)).astype(np.float32)


def labels(probe):
    return np.asarray(probe.labels)  # not None, if it has a dtype


def full_probe():
    return ProbeSet(
        images(),
        [2, 0, 1, 1],
        pictures=np.random.default_rng(1).integers(0, 256, (4, 8, 9, 3), dtype=np.uint8),
        names=["a", "b/../c", "é😀\n", "d" * 10_000],
        class_names=["cat", "dog", "fox"],
        masks={"object": images()[:, 0] > 0, "tag": images()[:, 1] > 1},
    )


def same(one, other):
    for name in ("images", "labels", "pictures"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.names, one.class_names) == (other.names, other.class_names)
    assert list(one.masks) == list(other.masks)
    for name in one.masks:
        np.testing.assert_array_equal(one.masks[name], other.masks[name])
    assert one.digest == other.digest


# The record


def test_defaults_are_filled_in():
    probe = ProbeSet(images())
    assert len(probe) == 4
    assert probe.labels is None
    assert probe.names == ("image_000", "image_001", "image_002", "image_003")
    assert probe.class_names == ()
    assert dict(probe.masks) == {}
    assert probe.label_name(1) == "image_001"
    assert repr(probe) == "ProbeSet(4 images of 3x5x6, no labels, masks: none)"


def test_labels_and_classes_have_names():
    probe = full_probe()
    assert [probe.label_name(i) for i in range(4)] == ["fox", "cat", "dog", "dog"]
    assert probe.class_name(np.int64(2)) == "fox"
    assert probe.class_name(3) == "class 3"
    assert probe.class_name(-1) == "class -1"
    assert repr(probe) == "ProbeSet(4 images of 3x5x6, 3 classes, masks: object, tag)"


def test_arrays_are_read_only_copies():
    given, mask = images(), np.ones((4, 5, 6), bool)
    probe = ProbeSet(given, masks={"m": mask})
    given[:], mask[:] = 0, False
    assert probe.images.any()
    assert probe.masks["m"].all()
    for array in (probe.images, probe.pictures, probe.masks["m"], full_probe().labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(TypeError, match="mappingproxy"):
        probe.masks["n"] = mask  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        probe.images = given  # type: ignore[misc]


def test_pictures_are_stretched_over_the_whole_set():
    colour = np.zeros((2, 3, 1, 2), np.float32)
    colour[0, :, 0, 0] = [-1, 0, 1]
    colour[1, :, 0, 1] = [3, 3, 3]
    # -1 is 0, 3 is 255: 63.75 a unit; 0 is 63.75, 1 is 127.5 (rounded to even)
    expected = [[[[0, 64, 128], [64, 64, 64]]], [[[64, 64, 64], [255, 255, 255]]]]
    np.testing.assert_array_equal(ProbeSet(colour).pictures, expected)


def test_one_channel_is_grey_and_five_are_averaged():
    grey = np.array([0, 1, 2, 4], np.float32).reshape(1, 1, 2, 2)
    expected = np.repeat(np.array([[0, 64], [128, 255]])[None, :, :, None], 3, axis=3)
    np.testing.assert_array_equal(ProbeSet(grey).pictures, expected)
    five = np.concatenate([grey * k for k in (0, 1, 1, 1, 2)], axis=1)  # mean: grey
    np.testing.assert_array_equal(ProbeSet(five).pictures, expected)


def test_constant_images_are_black():
    assert not ProbeSet(np.full((1, 1, 2, 2), 7, np.float32)).pictures.any()


@pytest.mark.parametrize(
    ("index", "chosen"),
    [(2, [2]), (-1, [3]), (slice(1, 3), [1, 2]), ([3, 0], [3, 0]), (np.array([True, False] * 2), [0, 2])],
)
def test_a_part_is_the_probe_set_of_those_images(index, chosen):
    probe = full_probe()
    part = probe[index]
    masks = {name: mask[chosen] for name, mask in probe.masks.items()}
    names = [probe.names[i] for i in chosen]
    expected = ProbeSet(
        probe.images[chosen],
        probe.labels[chosen],
        pictures=probe.pictures[chosen],
        names=names,
        class_names=probe.class_names,
        masks=masks,
    )
    same(part, expected)
    assert part.digest != probe.digest


def test_going_through_a_probe_set_ends():
    assert [part.names for part in iter(ProbeSet(images(2)))] == [("image_000",), ("image_001",)]


def test_the_digest_is_of_images_labels_and_masks():
    probe = full_probe()
    text = hashlib.sha256()
    text.update(b'["images", "<f4", [4, 3, 5, 6]]\n' + probe.images.tobytes())
    text.update(b'["labels", "<i8", [4]]\n' + probe.labels.tobytes())
    text.update(b'["mask object", "|b1", [4, 5, 6]]\n' + probe.masks["object"].tobytes())
    text.update(b'["mask tag", "|b1", [4, 5, 6]]\n' + probe.masks["tag"].tobytes())
    assert probe.digest == text.hexdigest()


def test_the_digest_changes_with_what_comparisons_depend_on_only():
    mask = images()[:, 0] > 0
    base = ProbeSet(images(), [0, 1, 2, 0], masks={"a": mask, "b": ~mask})
    alike = ProbeSet(
        images(), [0, 1, 2, 0], masks={"b": ~mask, "a": mask}, names=list("wxyz"), class_names=list("abc")
    )
    assert alike.digest == base.digest
    moved = images()
    moved[3, 2, 4, 5] = np.nextafter(moved[3, 2, 4, 5], np.float32(9))
    others = [
        ProbeSet(moved, base.labels, masks=base.masks),
        ProbeSet(images(), [0, 1, 2, 1], masks=base.masks),
        ProbeSet(images(), None, masks=base.masks),
        ProbeSet(images(), base.labels, masks={"a": ~mask, "b": mask}),
        ProbeSet(images(), base.labels, masks={"a": mask}),
        ProbeSet(images().reshape(4, 3, 6, 5), base.labels),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 7


# Bad arguments


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (images()[0], ValueError, r"must be \(N, C, H, W\), got 3 dimensions .*images\[None\]"),
        (images().transpose(0, 2, 3, 1), ValueError, r"looks like NHWC; images.transpose\(0, 3, 1, 2\)"),
        (images()[:0], ValueError, r"at least one image and pixel, got shape \(0, 3, 5, 6\)"),
        ([], ValueError, "at least one image"),
        (images().astype(np.uint8), TypeError, "must be float32, .* got uint8; apply the net's transform"),
        (images().astype(np.float64), TypeError, "must be float32, .* got float64; convert"),
        (
            [images()[0], images(height=7)[0]],
            ValueError,
            r"one shape, got \[\(3, 5, 6\), \(3, 7, 6\)\]; resize",
        ),
    ],
)
def test_bad_images_are_refused(bad, error, message):
    with pytest.raises(error, match=message):
        ProbeSet(bad)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite_are_named(value):
    bad = images(14)
    bad[[1, 3], 0, 2, 2] = value
    with pytest.raises(ValueError, match=r"got NaN or infinity in image 1, 3; check their transform"):
        ProbeSet(bad)
    bad[:, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"in image 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\.;"):
        ProbeSet(bad)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"labels": [0, 1]}, ValueError, r"\(4,\), got shape \(2,\)"),
        ({"labels": np.eye(4)}, ValueError, r"got shape \(4, 4\)"),
        ({"labels": [0, -1, 1, 1]}, ValueError, r"0 or more, got \[-1\] for image 1"),
        ({"labels": [0, 0.5, 1, np.nan]}, ValueError, r"got \[0.5, nan\] for image 1, 3"),
        (
            {"labels": [0, 1, 2, 3], "class_names": ["a", "b"]},
            ValueError,
            r"below 2.*got \[2, 3\] for image 2, 3",
        ),
        ({"labels": ["a", "b", "c", "d"]}, TypeError, "class numbers, not names"),
        ({"labels": np.ones(4, bool)}, TypeError, "got bool"),
        (
            {"pictures": np.zeros((3, 5, 6, 3), np.uint8)},
            ValueError,
            r"must be \(4, H, W, 3\), .* \(3, 5, 6, 3\)",
        ),
        ({"pictures": np.zeros((4, 3, 5, 6), np.uint8)}, ValueError, r"got shape \(4, 3, 5, 6\)"),
        ({"pictures": np.zeros((4, 5, 6, 3), np.float32)}, TypeError, "must be uint8, got float32"),
        ({"names": ["a", "b"]}, ValueError, "one per image, 4, got 2"),
        ({"names": ["a", "b", "a", "c"]}, ValueError, r"got \['a'\] more than once; number them"),
        ({"names": [0, 1, 2, 3]}, TypeError, r"names must be a list of str, got \[0, 1, 2, 3\]"),
        ({"class_names": "cat"}, TypeError, "class_names must be a list of str"),
        (
            {"masks": {"m": np.ones((4, 3, 3), bool)}},
            ValueError,
            r"masks\['m'\] .*\(4, 5, 6\), got shape \(4, 3, 3\)",
        ),
        (
            {"masks": {"m": np.ones((4, 5, 6))}},
            TypeError,
            r"must be bool, got float64; say where .*mask > 0.5",
        ),
        ({"masks": [np.ones((4, 5, 6), bool)]}, TypeError, "must be a dict of name to array, got list"),
        ({"masks": {1: np.ones((4, 5, 6), bool)}}, TypeError, "names of masks must be a list of str"),
    ],
)
def test_bad_companions_are_refused(bad, error, message):
    with pytest.raises(error, match=message):
        ProbeSet(images(), **bad)


def test_whole_floats_are_labels():
    probe = ProbeSet(images(), np.array([3, 0, 1, 2], np.float32))
    assert labels(probe).dtype == np.int64
    assert labels(probe).tolist() == [3, 0, 1, 2]


# Files


def test_what_is_saved_is_loaded_to_the_bit(tmp_path):
    probe = full_probe()
    probe.save(tmp_path / "probe.npz")
    same(ProbeSet.load(tmp_path / "probe.npz"), probe)
    ProbeSet(images()).save(tmp_path / "probe.npz")  # in place of the other
    assert ProbeSet.load(str(tmp_path / "probe.npz")).labels is None
    assert os.listdir(tmp_path) == ["probe.npz"]


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "probe.npz"
    full_probe().save(path)

    def broken(file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", broken)
    with pytest.raises(OSError, match="No space left"):
        ProbeSet(images()).save(path)
    assert os.listdir(tmp_path) == ["probe.npz"]
    same(ProbeSet.load(path), full_probe())


def test_every_truncated_file_is_refused(tmp_path):
    ProbeSet(images(1, 1, 2, 2), [0]).save(tmp_path / "whole.npz")
    data = (tmp_path / "whole.npz").read_bytes()
    for length in range(0, len(data), 7):
        (tmp_path / "cut.npz").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cut.npz is no readable vizcallbacks probe set file"):
            ProbeSet.load(tmp_path / "cut.npz")


def test_a_damaged_file_is_refused_or_harmless(tmp_path):
    probe = ProbeSet(images(1, 1, 2, 2), [0])
    probe.save(tmp_path / "whole.npz")
    data = (tmp_path / "whole.npz").read_bytes()
    refused = 0
    for place in range(0, len(data), 3):
        (tmp_path / "bad.npz").write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            same(ProbeSet.load(tmp_path / "bad.npz"), probe)  # bytes that say nothing, such as a date
        except ValueError:
            refused += 1
    assert refused > len(data) / 3 / 2


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "file.npz"
    np.savez(path, images=images())
    with pytest.raises(ValueError, match=r"no readable vizcallbacks probe set file"):
        ProbeSet.load(path)
    with open(path, "wb") as file:
        np.save(file, images())
    with pytest.raises(ValueError, match=r"no readable vizcallbacks probe set file"):
        ProbeSet.load(path)
    path.write_text("a text")
    with pytest.raises(ValueError, match=r"no readable vizcallbacks probe set file"):
        ProbeSet.load(path)
    with pytest.raises(FileNotFoundError):
        ProbeSet.load(tmp_path / "none.npz")


def rewritten(path, schema=1, **changes):
    arrays, facts = archive.read(path, "probe set", 1)
    archive.write(path, "probe set", schema, {**arrays, **changes}, facts)
    return path


def test_another_version_is_refused_by_name(tmp_path):
    full_probe().save(tmp_path / "probe.npz")
    rewritten(tmp_path / "probe.npz", schema=2)
    with pytest.raises(ValueError, match=r"has schema 2, this vizcallbacks reads schema 1"):
        ProbeSet.load(tmp_path / "probe.npz")


def test_images_that_were_changed_in_the_file_are_noticed(tmp_path):
    full_probe().save(tmp_path / "probe.npz")
    rewritten(tmp_path / "probe.npz", images=images() + np.float32(1))
    with pytest.raises(ValueError, match="digest"):
        ProbeSet.load(tmp_path / "probe.npz")


def test_a_file_with_arrays_that_are_no_probe_set_is_refused(tmp_path):
    full_probe().save(tmp_path / "probe.npz")
    rewritten(tmp_path / "probe.npz", labels=np.array([0.5] * 4))
    with pytest.raises(ValueError, match=r"holds no probe set \(ValueError: labels must be whole numbers"):
        ProbeSet.load(tmp_path / "probe.npz")


# Datasets


class Counted:
    """Image i is filled with i; labels as given; counts what is read."""

    def __init__(self, labels, shape=(4, 4, 3)):
        self.labels, self.shape, self.reads = labels, shape, 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        assert type(index) is int
        self.reads += 1
        return np.full(self.shape, index, np.uint8), np.float32(self.labels[index])


def scaled(image):
    return image.astype(np.float32).transpose(2, 0, 1) / 10


LABELS = [2, 0, 2, 2, 1, 0, 1, 0, 1, 2]


def test_the_first_images_of_each_class_are_taken():
    probe = ProbeSet.from_dataset(Counted(LABELS), 2, scaled)
    assert probe.names == ("item_1", "item_5", "item_4", "item_6", "item_0", "item_2")
    assert labels(probe).tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(probe.images[:, 2, 3, 3], [0.1, 0.5, 0.4, 0.6, 0.0, 0.2], rtol=1e-6)
    assert probe.pictures[:, 0, 0, 0].tolist() == [1, 5, 4, 6, 0, 2]
    same(ProbeSet.from_dataset(Counted(LABELS), 2, scaled), probe)


@pytest.mark.parametrize(
    ("known", "reads"),
    [
        ({}, 10),
        ({"classes": [0, 2]}, 6),
        ({"class_names": ["a", "b", "c"]}, 7),
        ({"classes": np.array([2])}, 3),
    ],
)
def test_reading_stops_when_all_known_classes_are_complete(known, reads):
    dataset = Counted(LABELS)
    probe = ProbeSet.from_dataset(dataset, 2, scaled, **known)
    assert dataset.reads == reads
    wanted = known.get("classes", range(3))
    assert labels(probe).tolist() == [c for c in sorted(wanted) for _ in range(2)]


def test_a_seed_chooses_others_and_always_the_same_without_touching_numpys_stream():
    dataset = Counted(np.arange(200) % 2)
    before = pickle.dumps(np.random.get_state())
    probe = ProbeSet.from_dataset(dataset, 3, scaled, seed=5)
    same(ProbeSet.from_dataset(dataset, 3, scaled, seed=5), probe)
    assert labels(probe).tolist() == [0, 0, 0, 1, 1, 1]
    assert [int(name[5:]) % 2 for name in probe.names] == [0, 0, 0, 1, 1, 1]
    assert probe.names != ProbeSet.from_dataset(dataset, 3, scaled).names
    assert probe.names != ProbeSet.from_dataset(dataset, 3, scaled, seed=6).names
    assert pickle.dumps(np.random.get_state()) == before


def test_a_picture_of_another_size_than_the_nets_is_not_shown_under_its_maps():
    probe = ProbeSet.from_dataset(Counted([0, 1]), 1, lambda image: scaled(image)[:, 1:3, 1:3])
    assert probe.pictures.shape == (2, 2, 2, 3)
    assert probe.pictures[:, 0, 0, 0].tolist() == [0, 255]  # made from the images


def test_a_picture_transform_makes_the_display_pictures():
    probe = ProbeSet.from_dataset(
        Counted([0, 1]),
        per_class=1,
        transform=lambda image: scaled(image)[:, 1:3, 1:3],
        picture_transform=lambda image: image[1:3, 1:3],
    )
    assert probe.pictures[:, 0, 0, 0].tolist() == [0, 1]


def test_grey_items_become_grey_pictures():
    probe = ProbeSet.from_dataset(Counted([0, 1], (4, 4, 1)), 1, scaled)
    assert probe.images.shape == (2, 1, 4, 4)
    assert probe.pictures[:, 1, 1].tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("dataset", "arguments", "message"),
    [
        (Counted([]), {}, "the dataset must hold images, got an empty one"),
        (
            Counted(LABELS),
            {"per_class": 4},
            r"per_class=4 images, got \(class: images\) \{0: 3, 1: 3\}; give a",
        ),
        (
            Counted(LABELS),
            {"classes": [1, 7]},
            r"got \(class: images\) \{7: 0\}; .*classes=\[...\] without them",
        ),
        (Counted(LABELS), {"per_class": 0}, "per_class must be an int of at least 1, got 0"),
        (Counted(LABELS), {"class_names": ["a", "b"]}, r"below 2 \(class_names\), got 2 at 0"),
        (Counted([0.5]), {}, "labels of the dataset must be whole numbers"),
        ([images()[0]], {}, r"must be \(image, label\), got a ndarray at 0; .*ArrayDataset"),
        (
            Counted(LABELS),
            {"transform": None},
            r"\(C, H, W\) float32, got \(4, 4, 3\) uint8 for item_1; give transform",
        ),
        (
            Counted(LABELS, (6, 6, 3)),
            {"transform": np.float32},
            r"got \(6, 6, 3\) float32 for item_1; .*transpose\(\(2, 0, 1\)\)",
        ),
        (
            Counted(LABELS),
            {"transform": lambda i: scaled(i)[:, : 2 + i[0, 0, 0]]},
            r"one size, got \(3, 3, 4\) for item_1",
        ),
    ],
)
def test_datasets_that_cannot_be_probed_are_refused(dataset, arguments, message):
    with pytest.raises(ValueError, match=message):
        ProbeSet.from_dataset(dataset, **{"transform": scaled, **arguments})


def test_gluon_datasets_and_transforms_are_taken():
    """In a process of its own, as the other tests here are of NumPy alone."""
    script = """if 1:
        import vizcallbacks.mxnet_door  # opens NumPy's newer releases to MXNet
        import mxnet as mx, numpy as np
        from mxnet.gluon.data import ArrayDataset
        from mxnet.gluon.data.vision import transforms
        from vizcallbacks.probes.probe_set import ProbeSet
        pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
        labels = mx.nd.array([0, 1, 0, 1, 2, 2, 1, 0])
        block = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.25)])
        chosen = [0, 2, 1, 3, 4, 5]
        expected = (pixels[chosen].transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25
        for data in (mx.nd.array(pixels, dtype="uint8"), pixels):
            probe = ProbeSet.from_dataset(ArrayDataset(data, labels), 2, block)
            np.testing.assert_allclose(probe.images, expected, atol=1e-5)
            np.testing.assert_array_equal(probe.pictures, pixels[chosen])
            assert probe.labels.tolist() == [0, 0, 1, 1, 2, 2]
        first = ArrayDataset(mx.nd.array(pixels, dtype="uint8"), labels).transform_first(block)
        np.testing.assert_array_equal(ProbeSet.from_dataset(first, 2).images, probe.images)
        example = lambda image: image.astype('float32').transpose((2, 0, 1)) / 255  # of the error's message
        ProbeSet.from_dataset(ArrayDataset(mx.nd.array(pixels, dtype="uint8"), labels), 2, example)
        masks = {"m": mx.np.array(pixels[chosen, ..., 0] > 9)}
        direct = ProbeSet(mx.nd.array(probe.images), mx.nd.array(probe.labels), masks=masks)
        assert direct[:].labels.tolist() == probe.labels.tolist()
        lists = ProbeSet([mx.nd.array(image) for image in probe.images], list(mx.nd.array(probe.labels)))
        assert lists.digest == ProbeSet(direct.images, direct.labels).digest
        assert direct.masks["m"].tolist() == (pixels[chosen, ..., 0] > 9).tolist()
        assert lists.images.tobytes() == direct.images.tobytes() == probe.images.tobytes()
    """
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


# Folders


@pytest.fixture
def folder(tmp_path):
    for class_name, values in {"cat": (10, 20, 30), "dög": (40, 50)}.items():
        (tmp_path / class_name).mkdir()
        for number, value in enumerate(values):
            picture = np.full((8, 12, 3), (0, 0, value), np.uint8)  # BGR: red
            picture[:, :2] = picture[:, -2:] = 255  # cropped away
            (tmp_path / class_name / f"{number}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "README.md").write_text("no folder")
    return tmp_path


def test_a_folder_of_class_folders_is_read_in_order(folder):
    probe = ProbeSet.from_folder(folder, size=4)
    assert probe.class_names == ("cat", "dög")
    assert probe.names == ("cat/0.png", "cat/1.png", "cat/2.png", "dög/0.png", "dög/1.png")
    assert labels(probe).tolist() == [0, 0, 0, 1, 1]
    assert probe.pictures.shape == (5, 4, 4, 3)
    assert (probe.pictures == [[[[value, 0, 0]]] for value in (10, 20, 30, 40, 50)]).all()
    np.testing.assert_array_equal(probe.images, probe.pictures.transpose(0, 3, 1, 2) / np.float32(255))
    same(ProbeSet.from_folder(str(folder), size=4), probe)


def test_only_the_first_images_of_each_folder_are_read(folder):
    assert ProbeSet.from_folder(folder, per_class=1, size=4).names == ("cat/0.png", "dög/0.png")


def test_a_transform_gets_the_picture_in_rgb(folder):
    probe = ProbeSet.from_folder(folder, scaled, per_class=1)
    assert probe.images.shape == (2, 3, 8, 12)
    np.testing.assert_allclose(probe.images[:, :, 4, 6], [[1, 0, 0], [4, 0, 0]])
    assert probe.pictures[:, 4, 6].tolist() == [[10, 0, 0], [40, 0, 0]]


def test_pictures_are_read_as_photographs_are(folder):
    """Transparent parts white, whatever colour stands there; turned as EXIF says."""
    red = np.zeros((8, 12, 4), np.uint8)
    red[..., 0], red[:4, :, 3] = 255, 255  # the lower half is clear
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    Image.fromarray(red).save(folder / "cat" / "0.png", exif=turned)
    picture = ProbeSet.from_folder(folder, size=8).pictures[0]
    assert (picture[:4] == 255).all()
    assert (picture[4:] == (255, 0, 0)).all()


def test_small_pictures_are_enlarged(folder):
    assert ProbeSet.from_folder(folder, size=20).images.shape == (5, 3, 20, 20)


def test_a_broken_image_is_named(folder):
    for content in (b"no image", b""):
        (folder / "cat" / "1.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"cat.1.png' must be an image, but cannot be read as one"):
            ProbeSet.from_folder(folder, size=4)


def test_folders_that_cannot_be_probed_are_refused(folder):
    with pytest.raises(ValueError, match=r"needs size=..., e.g. 224, or a transform"):
        ProbeSet.from_folder(folder)
    with pytest.raises(ValueError, match="which is none; check the path"):
        ProbeSet.from_folder(folder / "none", size=4)
    with pytest.raises(ValueError, match="must hold class folders"):
        ProbeSet.from_folder(folder / "cat", size=4)
    with pytest.raises(ValueError, match=r"per_class=3 images, got 2 in .*dög'; give a smaller per_class"):
        ProbeSet.from_folder(folder, per_class=3, size=4)
    with pytest.raises(ValueError, match="size must be an int of at least 1, or None, got 0"):
        ProbeSet.from_folder(folder, size=0)
    (folder / "empty" / "class").mkdir(parents=True)
    with pytest.raises(ValueError, match="must hold images, got none ending in"):
        ProbeSet.from_folder(folder / "empty", size=4)
    (folder / "cat" / "9.png").write_bytes(cv2.imencode(".png", np.zeros((5, 5, 3), np.uint8))[1].tobytes())
    with pytest.raises(
        ValueError, match=r"one size, got \(3, 8, 12\) for cat/0.png and \(3, 5, 5\) for cat/9.png"
    ):
        ProbeSet.from_folder(folder, scaled)
