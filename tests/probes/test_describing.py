"""What a probe set says of itself, and what it says that it cannot tell."""

import re

import numpy as np
import pytest

from tests.helpers.probes import probe_set as noise
from vizcallbacks.probes.describing import advice
from vizcallbacks.probes.probe_set import ProbeSet


def probe_set(count=8, classes=2, mask=True, **instead):
    region = np.zeros((count, 10, 10), bool)
    region[:, 2:7, 2:4] = True
    facts = {
        "labels": np.arange(count) % classes,
        "class_names": (),
        "masks": {"object": region} if mask else {},
    }
    return noise(count, 10, **{**facts, **instead})


def test_a_good_set_gets_no_advice():
    assert advice(probe_set()) == []
    assert advice(probe_set(mask=False), has_baseline=True) == []


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (probe_set(classes=1), "only one class: .*; add images of others"),
        (probe_set(7), "7 images: a single odd one decides; give at least 8"),
        (probe_set(1, 1), "1 image: a single"),
        (probe_set(mask=False), "no masks: without a baseline .*; give masks .*, or compare with a baseline"),
        (ProbeSet(probe_set().images, masks=probe_set().masks), "no labels: .*; give the images' classes"),
    ],
)
def test_what_a_set_cannot_tell_is_said_with_what_would_help(probe, words):
    found = [sentence for sentence in advice(probe) if re.search(words, sentence)]
    assert len(found) == 1, advice(probe)
    assert f"note: {found[0]}" in probe.describe().splitlines()


def test_empty_and_full_masks_and_copies_are_named():
    masks = np.array(probe_set().masks["object"])
    masks[2] = False
    masks[5] = True
    images = np.array(probe_set().images)
    images[7] = images[0]
    empty, full, copies = advice(ProbeSet(images, np.arange(8) % 2, masks={"tag": masks}))
    assert "mask 'tag' is empty in 1 image (image_002)" in empty
    assert "mask 'tag' covers more than 90 % of 1 image:" in full
    assert copies.startswith("1 image like another to the bit")


def test_a_set_describes_itself():
    probe = probe_set(9, 3, class_names=["cat", "dog", "fox"])
    lines = probe.describe().splitlines()
    low, high = probe.images.min(), probe.images.max()
    assert lines == [
        f"9 images of 3 x 10 x 10, values {low:.4g} to {high:.4g}",
        "3 classes (images): cat 3, dog 3, fox 3",
        "mask 'object': 10.0% of the area, from 10.0% to 10.0%",
        f"digest {probe.digest[:16]}",
    ]


def test_many_classes_are_counted_and_some_listed():
    line = probe_set(30, 30).describe().splitlines()[1]
    assert line.startswith("30 classes (images): class 0 1, ")
    assert line.endswith("class 11 1, and 18 more")


def test_its_repr_is_one_short_line():
    many = {f"mask {i}": np.zeros((8, 10, 10), bool) for i in range(3)}
    for probe in (probe_set(), probe_set(mask=False), probe_set(masks=many)):
        assert "\n" not in repr(probe)
        assert len(repr(probe)) < 120
    assert repr(probe_set()) == "ProbeSet(8 images of 3x10x10, 2 classes, masks: object)"
