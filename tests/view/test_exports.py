"""Tables, moving pictures and the summary of a job."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.view.summary import MOST_CHARACTERS, add_to_job_summary, markdown

from ..helpers.checked import ON_TAG, probe_set, snapshot
from ..helpers.runs import HOSTILE, hostile_probe, write_run

PROBE = probe_set(6)
RULES = {"energy/tag": "<= 0.1", "energy/object": ">= 0"}


@pytest.fixture
def runs(tmp_path):
    for name in ("tag", "object"):
        write_run(tmp_path / "runs" / name, PROBE, name, steps=[0, 1, 4])
    return tmp_path / "runs"


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_table_has_every_measure_of_every_image_run_and_step(runs, tmp_path, ending, capsys):
    out = tmp_path / f"all.{ending}"
    assert cli.main(["export", str(runs), "--out", str(out)]) == 0
    assert "36 rows" in capsys.readouterr().out
    text = out.read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines())) if ending == "csv" else json.loads(text)
    assert len(rows) == 2 * 3 * 6
    measures = set(vc.Run(runs / "tag").snapshot().measures)
    for row in rows:
        snapshot = vc.Run(runs / row["run"]).snapshot(int(row["step"]))
        i = PROBE.names.index(row["image"])
        assert int(row["label"]) == PROBE.labels[i]
        assert measures <= set(row)
        for name in measures:
            value = snapshot.measures[name][i]
            if np.isnan(value):
                assert row[name] in ("", None)
            else:
                assert float(row[name]) == value  # to the last bit


def test_names_are_no_formulas_in_a_spreadsheet(tmp_path):
    probe = vc.ProbeSet(
        PROBE.images, PROBE.labels, names=["=1+1", "-x", "@y", "+z", "plain", ',"'], masks=PROBE.masks
    )
    write_run(tmp_path / "run", probe, "tag", steps=[0])
    cli.main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "t.csv")])
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        assert [row["image"] for row in csv.DictReader(file)] == ["'=1+1", "'-x", "'@y", "'+z", "plain", ',"']


def test_other_endings_are_refused(runs, tmp_path, capsys):
    assert cli.main(["export", str(runs), "--out", str(tmp_path / "t.xlsx")]) == 2
    assert "must end in .csv or .json, got" in capsys.readouterr().err
    assert cli.main(["report", str(runs), "--animate", str(tmp_path / "t.mp4")]) == 2
    assert "must end in .webp or .gif, got" in capsys.readouterr().err
    assert not list(tmp_path.glob("t.*"))


@pytest.mark.parametrize("ending", ["webp", "gif"])
def test_a_moving_picture_has_a_frame_for_each_step(runs, tmp_path, ending):
    out = tmp_path / f"evolution.{ending}"
    assert cli.main(["report", str(runs), "--animate", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.n_frames == 3
        shown = []
        for frame in range(3):
            picture.seek(frame)
            shown.append(np.asarray(picture.convert("RGB")).astype(int))
        assert picture.info["loop"] == 0
    # the first image of each run; the tag is its lower right quarter: there the map grows
    for top in (72, 72 + 154):
        first, last = (one[top : top + 112, 6 : 6 + 112] for one in (shown[0], shown[2]))
        moved = np.abs(last - first).mean(axis=2)
        assert moved.mean() > 2


def test_runs_of_other_images_have_no_common_moving_picture(runs, tmp_path, capsys):
    write_run(runs / "other", probe_set(6, seed=1), "tag", steps=[0])
    assert cli.main(["report", str(runs), "--animate", str(tmp_path / "x.gif")]) == 2
    assert "must have the same probe images, those of other differ" in capsys.readouterr().err


def test_the_command_writes_the_page(runs, tmp_path, capsys):
    out = tmp_path / "r.html"
    assert cli.main(["report", str(runs), "--out", str(out), "--rule", "energy/tag <= 0.1"]) == 0
    assert f"written: {out}" in capsys.readouterr().out
    assert "✗ tag failed" in out.read_text(encoding="utf-8").replace("</span>", "")
    assert cli.main(["report", str(runs)]) == 2
    assert "give --out report.html, --animate evolution.webp, or both" in capsys.readouterr().err


def test_check_writes_the_page_and_the_summary_of_the_job(runs, tmp_path, monkeypatch, capsys):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    line = ["check", str(runs / "tag"), "--rule", "energy/tag <= 0.1", "--html", str(tmp_path / "c.html")]
    assert cli.main(line) == 1
    capsys.readouterr()
    assert summary.read_text(encoding="utf-8").startswith(
        "before\n### ❌ Attention check failed: 0 of 1 rules hold\n"
    )
    assert "tag failed" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_the_summary_names_rules_and_worst_images():
    report = vc.compare(snapshot(ON_TAG, probe_set(4)), None, RULES, probe=probe_set(4))
    lines = markdown(report).splitlines()
    assert lines[0] == "### ❌ Attention check failed: 1 of 2 rules hold"
    rows = [line.split(" | ") for line in lines if line.startswith("| ") and "rule" not in line]
    assert [row[0] for row in rows] == ["| ❌ FAIL", "| ✅ pass"]
    assert all(f"picture {i} \\(" in rows[0][3] for i in range(4))


def test_the_summary_stays_below_its_cap_and_names_do_no_harm(monkeypatch):
    probe = hostile_probe(6)
    many = {f"energy/{HOSTILE}": [f">= 0.9{i}" for i in range(10, 99)]}
    report = vc.compare(snapshot(np.repeat(ON_TAG, 2, axis=0)[:6], probe), None, many, probe=probe)
    text = markdown(report)
    assert len(text) <= MOST_CHARACTERS + 100
    assert text.endswith("The rest is left out: the summary would be too long.\n")
    assert "<img" not in text
    assert "<script" not in text
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert not add_to_job_summary(report)
