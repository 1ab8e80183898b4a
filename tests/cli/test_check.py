"""The commands accept and check, on runs as the monitor writes them, and their exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import mxnet as mx
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.regression.snapshot import list_snapshots

from ..helpers.checked import probe_set
from ..helpers.nets import small_net

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def record(folder, seed, snapshots=2, probe=None, **options):
    """A run of a net whose weights depend on the seed and change between snapshots."""
    mx.random.seed(seed)
    net = small_net()
    with vc.AttentionMonitor(probe or probe_set(), folder, "grad_cam", show=1, **options) as monitor:
        for step in range(snapshots):
            net[4].weight.set_data(
                net[4].weight.data() + 0.3 * step * mx.nd.random.normal(shape=(8, 6, 3, 3))
            )
            monitor.snapshot(net, step)
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs: "a" and "again" are equal, "b" has another seed, "images" another probe set."""
    root = tmp_path_factory.mktemp("runs")
    made = {name: record(root / name, seed) for name, seed in (("a", 1), ("again", 1), ("b", 2))}
    return {**made, "images": record(root / "images", 1, probe=probe_set(seed=5))}


@pytest.fixture
def baseline(runs, tmp_path):
    assert cli.main(["accept", runs["a"], "--out", str(tmp_path / "b.npz")]) == 0
    return str(tmp_path / "b.npz")


STRICT = ["--rule", "grad_cam/pearson >= 0.999 for all", "--rule", "dead <= 1"]


def test_a_run_passes_the_baseline_made_of_it(runs, baseline, capsys):
    assert cli.main(["check", runs["again"], "--baseline", baseline]) == 0
    printed = capsys.readouterr().out
    assert "attention check passed: after 1 epoch" in printed
    assert "by a baseline of 1 run" in printed


def test_another_run_fails_with_code_1_and_files_for_people_and_ci(runs, baseline, tmp_path, capsys):
    png, xml, out = (str(tmp_path / name) for name in ("out.png", "out.xml", "out.json"))
    code = cli.main(
        ["check", runs["b"], "--baseline", baseline, *STRICT, "--report", png, "--junit", xml, "--json", out]
    )
    assert code == 1
    printed = capsys.readouterr().out
    assert "FAIL  grad_cam/pearson >= 0.999 for 100%" in printed
    assert f"picture: {png}" in printed
    assert f"vizcallbacks accept {runs['b']} --out {baseline}" in printed
    assert cv2.imread(png).shape[1] == 1360
    assert ElementTree.parse(xml).getroot()[0].get("failures") == "1"
    found = json.loads((tmp_path / "out.json").read_text())
    assert not found["passed"]
    assert found["files"] == [png]


def test_what_the_report_tells_to_accept_is_accepted(runs, baseline, capsys):
    assert cli.main(["check", runs["b"], "--baseline", baseline, *STRICT]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "how it should look" in line]
    assert cli.main(line.split("vizcallbacks ")[1].split()) == 0
    assert cli.main(["check", runs["b"], "--baseline", baseline, *STRICT]) == 0
    assert cli.main(["check", runs["a"], "--baseline", baseline, *STRICT]) == 1


def test_several_runs_are_one_baseline_with_its_noise(runs, tmp_path, capsys):
    out = str(tmp_path / "b.npz")
    assert cli.main(["accept", runs["a"], runs["b"], "--out", out, "--force"]) == 0
    printed = capsys.readouterr().out
    assert "4 probe images, layer '4'" in printed
    assert f"of {runs['a']}, after 1 epoch; {runs['b']}, after 1 epoch" in printed
    assert "grad_cam/spearman: mean may be off by " in printed
    assert "learnt from runs with " in printed
    assert len(vc.Baseline.load(out)) == 2
    assert cli.main(["check", runs["a"], "--baseline", out]) == 0


def test_runs_that_contradict_each_other_are_told_with_figures_and_refused_unless_forced(
    runs, tmp_path, capsys
):
    out = tmp_path / "b.npz"
    assert cli.main(["accept", runs["a"], runs["b"], "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert "warning: grad_cam/spearman: the runs contradict each other (likeness of two " in printed.out
    assert "% of what it can be" in printed.out
    assert "the rules on grad_cam/spearman would forbid next to nothing" in printed.err
    assert "--force" in printed.err
    assert not out.exists()
    assert cli.main(["accept", runs["a"], runs["b"], "--out", str(out), "--force"]) == 0
    assert "warning: grad_cam/spearman" in capsys.readouterr().out
    assert len(vc.Baseline.load(out)) == 2


def test_what_one_run_cannot_tell_is_said_to_be_assumed(runs, tmp_path, capsys):
    out, told = str(tmp_path / "b.npz"), tmp_path / "told.json"
    assert cli.main(["accept", runs["a"], "--out", out, "--json", str(told)]) == 0
    assert "energy/tag: mean may be off by 0.100, assumed, from one run" in capsys.readouterr().out
    found = json.loads(told.read_text())
    assert (found["baseline"], found["images"], found["layer"]) == (out, 4, "4")
    assert all(rule["assumed"] and rule["doubt"] is None for rule in found["rules"])
    assert [rule["margin"] for rule in found["rules"]] == pytest.approx([0.4, 0.1, 0.1, 0.1])


def test_the_run_of_another_probe_set_is_named(runs, tmp_path, capsys):
    several = [runs["a"], runs["images"], runs["again"]]
    assert cli.main(["accept", *several, "--out", str(tmp_path / "b.npz")]) == 2
    assert f"{runs['images']}, after 1 epoch is unlike {runs['a']}, after 1 epoch" in capsys.readouterr().err


def test_single_images_are_accepted(runs, baseline, capsys):
    before = vc.Baseline.load(baseline)
    assert cli.main(["accept", runs["b"], "--only", "picture 1", "picture 2", "--out", baseline]) == 0
    after = vc.Baseline.load(baseline)
    now = vc.Snapshot.load(list_snapshots(runs["b"])[-1]).maps["grad_cam"]
    np.testing.assert_array_equal(after.maps["grad_cam"][0, 1:3], now[1:3])
    np.testing.assert_array_equal(after.maps["grad_cam"][0, [0, 3]], before.maps["grad_cam"][0, [0, 3]])
    assert f"picture 1, picture 2 of {runs['b']}, after 1 epoch" in capsys.readouterr().out


def test_every_step_is_checked_and_the_first_bad_one_named(runs, baseline, tmp_path, capsys):
    """The run that the baseline is of passes at its last step only; the other never does."""
    xml, out, png = (str(tmp_path / name) for name in ("a.xml", "a.json", "a.png"))
    assert cli.main(["check", runs["a"], "--baseline", baseline, *STRICT, "--all", "--junit", xml]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("step 0  FAIL  grad_cam/pearson >= 0.999 for 100%")
    assert printed[1] == "step 1  pass"
    assert printed[2] == "no step from which the rules stay failed: 1 of 2 passed, the newest too"
    (suite,) = ElementTree.parse(xml).getroot()
    assert [len(case) for case in suite] == [1, 0]
    assert cli.main(["check", runs["a"], "--baseline", baseline, *STRICT, "--first-bad"]) == 0
    capsys.readouterr()
    command = [
        "check",
        runs["b"],
        "--baseline",
        baseline,
        *STRICT,
        "--first-bad",
        "--json",
        out,
        "--report",
        png,
    ]
    assert cli.main(command) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(
        "first bad step: 0 (before training); from it on the rules fail and stay failed, 2 of 2"
    )
    assert "attention check FAILED" in printed
    assert f"picture: {png}" in printed
    assert json.loads(Path(out).read_text())["first_bad"] == 0
    assert cv2.imread(png).shape[1] == 1360
    with pytest.raises(SystemExit, match="2"):
        cli.main(["check", runs["b"], "--baseline", baseline, "--all", "--step", "0"])


def test_a_step_may_be_chosen(runs, tmp_path, capsys):
    out = str(tmp_path / "b.npz")
    assert cli.main(["accept", runs["a"], "--step", "0", "--out", out]) == 0
    assert vc.Baseline.load(out).sources == (f"{runs['a']}, before training",)
    assert cli.main(["check", runs["a"], "--step", "0", "--baseline", out, *STRICT]) == 0
    assert cli.main(["check", runs["a"], "--baseline", out, *STRICT]) == 1
    assert cli.main(["check", runs["a"], "--step", "7", "--baseline", out]) == 2
    assert "holds no attention snapshot of step 7" in capsys.readouterr().err


def test_rules_on_masks_need_no_baseline(runs, capsys):
    assert cli.main(["check", runs["a"], "--rule", "energy/tag <= 1"]) == 0
    assert cli.main(["check", runs["a"], "--rule", "energy/tag < 0"]) == 1
    assert "by rules alone" in capsys.readouterr().out


def _damage(runs, baseline):
    with open(baseline, "r+b") as file:
        file.truncate(200)
    return ["check", runs["a"], "--baseline", baseline]


NOT_COMPARABLE = {
    "another probe set": (lambda r, b: ["check", r["images"], "--baseline", b], "probe sets differ"),
    "a damaged baseline": (_damage, "no readable vizcallbacks baseline file"),
    "no baseline": (lambda r, b: ["check", r["a"], "--baseline", b + ".none"], "b.npz.none'; check the path"),
    "no run": (lambda r, b: ["check", b + "/none", "--baseline", b], "there is no folder"),
    "a baseline for a run": (lambda r, b: ["check", b, "--baseline", b], "there is no folder"),
    "a run for a baseline": (lambda r, b: ["check", r["a"], "--baseline", r["a"]], "directory"),
    "no rule": (lambda r, b: ["check", r["a"], "--baseline", b, "--rule", "dead"], "a rule must be like"),
    "an unknown measure": (
        lambda r, b: ["check", r["a"], "--baseline", b, "--rule", "x <= 1"],
        "no measure 'x'",
    ),
    "no run and nothing to check it by": (lambda r, b: ["check", b + "/none"], "there is no folder"),
    "an empty folder": (
        lambda r, b: ["check", os.path.dirname(b), "--baseline", b],
        "holds no attention snapshot",
    ),
    "a step that there is not": (
        lambda r, b: ["check", r["a"], "--baseline", b, "--step", "99"],
        "holds no attention snapshot of step 99; its steps are 0, 1",
    ),
    "a mask that there is not": (
        lambda r, b: ["check", r["a"], "--rule", "energy/dog <= 1"],
        "no measure 'energy/dog', because the probe set has no mask 'dog' (its masks are object, tag)",
    ),
    "an image that there is not": (
        lambda r, b: ["accept", r["a"], "--only", "none", "--out", b],
        "there is no image 'none'; images are picture 0, picture 1",
    ),
    "images of no baseline": (
        lambda r, b: ["accept", r["a"], "--only", "picture 0", "--out", b + ".none"],
        "b.npz.none'; check the path",
    ),
    "neither": (lambda r, b: ["check", r["a"]], "give --baseline, or at least one --rule"),
    "nowhere to write": (
        lambda r, b: ["check", r["a"], "--baseline", b, "--report", b + "/a.png"],
        "directory",
    ),
    "runs of two kinds": (lambda r, b: ["accept", r["a"], r["images"], "--out", b], "probe sets differ"),
    "nowhere to accept": (lambda r, b: ["accept", r["a"], "--out", b + "/b.npz"], "directory"),
}


@pytest.mark.parametrize("case", NOT_COMPARABLE)
def test_what_cannot_be_compared_or_read_ends_with_code_2_and_the_reason(case, runs, baseline, capsys):
    make, message = NOT_COMPARABLE[case]
    arguments = make(runs, baseline)
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert f"vizcallbacks {arguments[0]}: " in printed.err


def test_damaged_runs_end_with_code_2(tmp_path, baseline, capsys):
    run = record(tmp_path / "run", 1, snapshots=1)
    (path,) = list_snapshots(run)
    whole = path.read_bytes()
    for place in range(0, len(whole), 211):
        path.write_bytes(whole[:place])
        assert cli.main(["check", run, "--baseline", baseline]) == 2
    path.write_bytes(whole)
    (path.parent / "probe.npz").write_bytes(b"")
    assert cli.main(["check", run, "--baseline", baseline]) == 2
    probe_set(seed=3).save(path.parent / "probe.npz")
    assert cli.main(["check", run, "--baseline", baseline]) == 2
    assert "is of another probe set than the one beside it" in capsys.readouterr().err


def test_an_error_nobody_foresaw_is_not_taken_for_a_regression(runs, monkeypatch, capsys):
    monkeypatch.setattr(vc.Snapshot, "load", lambda path: 1 // 0)
    assert cli.main(["check", runs["a"], "--rule", "dead <= 1"]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_names_that_the_terminal_does_not_have_are_no_error(tmp_path):
    probe = probe_set()
    probe = vc.ProbeSet(
        probe.images, probe.labels, names=["\U0001f600", "é", "b", "c"], masks=dict(probe.masks)
    )
    run = record(tmp_path / "run", 1, snapshots=1, probe=probe)
    code = "import sys; from vizcallbacks.cli import main; sys.exit(main())"
    command = [sys.executable, "-W", "ignore", "-c", code, "check", run, "--rule", "energy/tag < 0"]
    environment = {**os.environ, "PYTHONPATH": ROOT, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 1, done.stderr
    assert rb"\U0001f600" in done.stdout


def test_the_energy_that_was_logged_is_the_one_that_is_checked(runs, tmp_path):
    """The rule's value is the mean of a curve in TensorBoard: that of the snapshot on disk."""
    snapshot = vc.Snapshot.load(list_snapshots(runs["a"])[-1])
    mean = float(np.nanmean(snapshot.measures["energy/tag"]))
    assert cli.main(["check", runs["a"], "--rule", f"energy/tag within {mean}"]) == 2
    assert cli.main(["check", runs["a"], "--rule", f"energy/tag <= {mean + 1e-9!r}"]) == 0
    assert cli.main(["check", runs["a"], "--rule", f"energy/tag <= {mean - 1e-9!r}"]) == 1


MISSPELT = {
    "a command": (["chekc", "run"], "there is no command 'chekc'; did you mean 'check'?"),
    "an argument": (
        ["check", "run", "--rulle", "dead <= 1"],
        "no argument '--rulle'; did you mean '--rule'?",
    ),
    "one run more": (["check", "run", "other"], "'other' is one word too many"),
}


@pytest.mark.parametrize("case", MISSPELT)
def test_what_is_misspelt_ends_with_exit_code_2_and_what_may_be_meant(case, capsys):
    line, message = MISSPELT[case]
    with pytest.raises(SystemExit) as ended:
        cli.main(line)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
