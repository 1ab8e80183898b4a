"""A run checked step by step."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

import vizcallbacks as vc
from vizcallbacks.regression.course import check_course, course_lines, first_bad
from vizcallbacks.regression.report_files import save_course_json, save_course_junit
from vizcallbacks.regression.snapshot import snapshot_path

from ..helpers.checked import ON_OBJECT, ON_TAG, probe_set, snapshot

PROBE = probe_set()
RULES = {"energy/tag": "<= 0.5", "energy/object": ">= 0.5"}


def run_of(folder, kinds, start=0):
    """A run's folder with a snapshot for each letter: "o" looks at the object, "t" at the tag."""
    (folder / "attention").mkdir(parents=True)
    PROBE.save(folder / "attention" / "probe.npz")
    for step, kind in enumerate(kinds, start):
        snapshot({"o": ON_OBJECT, "t": ON_TAG}[kind], PROBE, step=step).save(snapshot_path(folder, step))
    return folder


@pytest.mark.parametrize(
    ("kinds", "step"),
    [("oott", 2), ("otot", 3), ("tttt", 0), ("oooo", None), ("ttto", None), ("t", 0), ("o", None)],
)
def test_the_first_bad_step_is_the_first_from_which_all_fail(kinds, step, tmp_path):
    reports, probe = check_course(run_of(tmp_path / "run", kinds), None, RULES)
    assert [report.passed for report in reports] == [kind == "o" for kind in kinds]
    assert probe.digest == PROBE.digest
    bad = first_bad(reports)
    assert (None if bad is None else bad.snapshot.step) == step
    assert first_bad([]) is None


def test_a_line_for_each_step_names_the_rules_that_failed(tmp_path):
    reports, _ = check_course(run_of(tmp_path / "run", "ot", start=9), None, RULES)
    assert course_lines(reports) == [
        "step  9  pass",
        "step 10  FAIL  energy/tag <= 0.5, energy/object >= 0.5",
    ]


def test_junit_has_a_case_for_each_step_and_json_the_first_bad_one(tmp_path):
    reports, _ = check_course(run_of(tmp_path / "run", "ott"), None, RULES)
    save_course_junit(reports, tmp_path / "a.xml")
    (suite,) = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [case.get("name") for case in suite] == ["step 0", "step 1", "step 2"]
    assert [len(case) for case in suite] == [0, 1, 1]
    assert suite[1][0].get("message") == "energy/tag <= 0.5, energy/object >= 0.5"
    assert suite[1][0].text == str(reports[1])
    save_course_json(reports, tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["first_bad"] == 1
    assert [step["passed"] for step in found["steps"]] == [True, False, False]
    assert [step["step"] for step in found["steps"]] == [0, 1, 2]


def test_a_run_of_another_kind_is_not_comparable(tmp_path):
    baseline = vc.Baseline.from_snapshots(snapshot(ON_OBJECT, probe_set(seed=1)))
    with pytest.raises(vc.NotComparableError, match="probe sets differ"):
        check_course(run_of(tmp_path / "run", "oo"), baseline)
