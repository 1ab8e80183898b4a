"""A report as a picture, as JUnit XML and as JSON."""

from __future__ import annotations

import errno
import json
import os
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.pictures.grid import Header
from vizcallbacks.pictures.lettering import AMBER
from vizcallbacks.pictures.panels import WIDTH, side_by_side
from vizcallbacks.regression.report_files import _various, picture, save_json, save_junit, save_picture

from ..helpers.checked import ON_OBJECT, ON_TAG, at, probe_set, snapshot

PROBE = probe_set()
BASELINE = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, PROBE), PROBE)
RULES = {"energy/tag": "<= 0.05", "energy/object": "within 0.1", "dead": "<= 0.1"}


def report(maps=None, baseline=BASELINE, rules=RULES):
    maps = np.concatenate([ON_OBJECT[:1], ON_TAG[1:2], ON_OBJECT[2:]]) if maps is None else maps
    return vc.compare(snapshot(maps, PROBE, step=8), baseline, rules, probe=PROBE)


def test_the_picture_shows_the_worst_image_first_beside_its_baseline():
    drawn = picture(report(), PROBE, count=1)
    found = report().findings
    header = Header(
        label="dog",
        prediction="dog",
        probability=0.75,
        epoch="epoch 8",
        right=True,
        note="picture 1",
        violation=f"energy/tag {found[0].values[1]:.3f}, energy/object {found[1].values[1]:.3f}",
    )
    before, now = (maps[1] / maps[1].max() for maps in (ON_OBJECT, ON_TAG.astype(np.float32)))
    outlines = [mask[1] for mask in PROBE.masks.values()]
    expected = side_by_side(PROBE.pictures[1], before, now, header, outlines=outlines)
    assert drawn.shape == expected.shape
    assert (np.abs(drawn.astype(int) - expected) <= 1).all()


def test_images_that_comply_are_not_on_amber():
    one, two = (picture(report(), PROBE, count=count) for count in (1, 2))
    assert two.shape[1] == 2 * WIDTH + 16
    np.testing.assert_array_equal(two[: len(one), :WIDTH], one)
    assert (one == AMBER).all(axis=2).any()
    assert not (two[:, WIDTH:] == AMBER).all(axis=2).any()


def test_the_worst_are_of_different_classes_and_causes_and_stand_two_by_two():
    probe = probe_set(8)  # classes 0, 1, 2, 0, 1, 2, 0, 1
    tag, far = at(3, 3, 8), at(0, 0, 8)
    maps = np.concatenate([tag[:4], far[4:]])
    maps[[0, 3, 6]] *= 1 + np.arange(3)[:, None, None] / 10
    checked = vc.compare(snapshot(maps, probe, step=8), None, {"energy/tag": "<= 0.05"}, probe=probe)
    chosen = _various(checked, 3)
    assert chosen[0] == checked.worst(1)[0]
    assert {int(probe.labels[i]) for i in chosen} == {0, 1, 2}
    assert set(chosen) <= set(checked.violations())
    assert sorted(_various(checked, 8)) == list(range(8))
    drawn = picture(checked, probe, count=4)
    assert drawn.shape[1] == 2 * WIDTH + 16
    assert drawn.shape[1] > drawn.shape[0]


def test_the_scale_of_a_net_does_not_show():
    np.testing.assert_array_equal(picture(report(ON_TAG), PROBE), picture(report(ON_TAG * 2.0**10), PROBE))


def test_dead_maps_and_rules_alone_can_be_drawn():
    dead = picture(report(0 * ON_OBJECT), PROBE)
    alone = picture(report(ON_TAG, None, {"energy/tag": "<= 0.05"}), PROBE)
    assert dead.dtype == alone.dtype == np.uint8
    assert dead.shape[1] == alone.shape[1] == 2 * WIDTH + 16


def test_maps_that_are_not_finite_can_be_drawn():
    maps = ON_TAG.copy()
    maps[0, 0, 0], maps[1, 0, 0] = np.nan, np.inf
    assert picture(report(maps), PROBE).shape[1] == 2 * WIDTH + 16


def test_another_probe_set_and_no_map_are_refused():
    with pytest.raises(vc.NotComparableError, match="not the one that was checked"):
        picture(report(), probe_set(seed=1))
    with pytest.raises(ValueError, match="needs maps of the CAM family"):
        picture(vc.compare(snapshot({}, PROBE), None, {"probability": ">= 0.9"}), PROBE)


def test_the_picture_is_a_png_file(tmp_path):
    save_picture(report(), PROBE, tmp_path / "a.png")
    found = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    np.testing.assert_allclose(found.astype(int), picture(report(), PROBE), atol=5)  # of 32 levels a colour
    assert os.listdir(tmp_path) == ["a.png"]


def test_json_holds_what_a_program_needs(tmp_path):
    made = report()
    save_json(made, tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert (found["passed"], found["step"], found["layer"], found["images"]) == (False, 8, "features.4", 4)
    assert [rule["rule"] for rule in found["rules"]] == [str(finding.rule) for finding in made.findings]
    assert [rule["passed"] for rule in found["rules"]] == [False, False, True]
    tag = found["rules"][0]
    assert (tag["value"], tag["low"], tag["high"]) == (made.findings[0].value, None, 0.05)
    assert tag["failing_images"] == ["picture 1"]
    assert found["baseline"] == ["epoch 1"]


def test_what_is_undefined_is_null_in_json(tmp_path):
    save_json(report(0 * ON_OBJECT), tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert found["rules"][0]["value"] is None
    assert not found["rules"][0]["passed"]


def test_junit_has_a_case_for_each_rule_and_the_report_once(tmp_path):
    made = report()
    save_junit(made, tmp_path / "a.xml")
    (suite,) = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [case.get("name") for case in suite] == [str(finding.rule) for finding in made.findings]
    texts = [[failure.text for failure in case] for case in suite]
    assert texts == [[str(made)], ["see energy/tag <= 0.05"], []]


def test_names_that_xml_cannot_hold_are_no_error(tmp_path):
    names = ["\x00<&>\ufffe", "\x1b[31m", "é\ud800", "]]>"]
    masks = {"tag\x00\ud800": PROBE.masks["tag"]}
    probe = vc.ProbeSet(PROBE.images, PROBE.labels, names=names, masks=masks)
    made = vc.compare(snapshot(ON_TAG, probe), None, {"energy/tag\x00\ud800": "<= 0"}, probe=probe)
    save_junit(made, tmp_path / "a.xml")
    (suite,) = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert "<&>" in suite[0][0].text
    assert "é?" in suite[0][0].text


@pytest.mark.parametrize("save", [save_json, save_junit, lambda one, path: save_picture(one, PROBE, path)])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(save, tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save(report(), tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"
