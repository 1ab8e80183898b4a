"""Everything that the command prints: a name in it cannot forge another line, an order to CI or a colour."""

from __future__ import annotations

import io
import json
import logging
import sys
from xml.etree import ElementTree

import pytest

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.cli.terminal import say

from ..helpers.checked import probe_set
from ..helpers.nets import small_net

EVIL = "a\n::error::all failed\n\x1b[2J\u202e"
SHOWN = r"a\n::error::all failed\n\x1b[2J\u202e"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose images, classes and masks have such names."""
    plain = probe_set()
    probe = vc.ProbeSet(
        plain.images,
        plain.labels,
        names=[EVIL, "::warning::", "##[group]", "d"],
        class_names=[f"{EVIL}{number}" for number in range(10)],
        masks={EVIL: next(iter(plain.masks.values()))},
    )
    folder = tmp_path_factory.mktemp("evil") / "run"
    with vc.AttentionMonitor(probe, folder, "grad_cam", show=1) as monitor:
        monitor.snapshot(small_net(), 0)
    return str(folder)


def nothing_is_obeyed(printed):
    assert printed.isascii()
    assert not set(printed) & {"\x1b", "\r"}
    return not [line for line in printed.split("\n") if line.lstrip().startswith("::") or "##[" in line]


def test_check_prints_names_safely_and_its_files_keep_them(run, tmp_path, capsys):
    files = {name: str(tmp_path / name) for name in ("a.json", "a.xml")}
    rule = f"energy/{EVIL} <= -1 for all"
    line = ["check", run, "--rule", rule, "--json", files["a.json"], "--junit", files["a.xml"]]
    assert cli.main(line) == 1
    printed = capsys.readouterr().out
    assert nothing_is_obeyed(printed)
    assert f"FAIL  energy/{SHOWN} <= -1" in printed
    with open(files["a.json"], encoding="utf-8") as file:
        rules = json.load(file)["rules"]
    assert set(rules[0]["failing_images"]) == {EVIL, "::warning::", "##[group]", "d"}
    text = ElementTree.parse(files["a.xml"]).find(".//failure").text
    assert "\n::error::all failed\n" in text


def test_accept_and_probe_print_names_safely(run, tmp_path, capsys):
    assert cli.main(["accept", run, "--out", str(tmp_path / "b.npz")]) == 0
    assert cli.main(["probe", f"{run}/attention/probe.npz"]) == 0
    printed = capsys.readouterr().out
    assert nothing_is_obeyed(printed)
    assert SHOWN in printed


@pytest.mark.parametrize(
    "line",
    [
        ["check", "no\n::error::run", "--rule", "dead <= 1"],
        ["check", "run", "--rule", "\x1b[2J"],
        ["check", "run", "::error::one too many"],
        ["no\n::error::command"],
        ["explain", "\n::error::.jpg", "--out", "out"],
    ],
    ids=["run", "rule", "too many", "command", "photograph"],
)
def test_errors_repeat_arguments_safely(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(line)
    except SystemExit as stopped:  # argparse's own
        code = stopped.code
    assert code == 2
    assert nothing_is_obeyed(capsys.readouterr().err)


def test_an_error_nobody_foresaw_is_shown_safely(run, capsys, monkeypatch):
    def fail(path):
        raise KeyError(EVIL + "\n::error::") from RuntimeError("\n::error::x\x1b[2J")

    monkeypatch.setattr(vc.Snapshot, "load", fail)
    assert cli.main(["check", run, "--rule", "dead <= 1"]) == 2
    assert nothing_is_obeyed(capsys.readouterr().err)


def test_a_log_of_a_check_is_safe(run, caplog):
    caplog.set_level(logging.INFO)
    snapshot, probe = vc.Snapshot.load(f"{run}/attention/snapshot-00000000.npz"), f"{run}/attention/probe.npz"
    report = vc.compare(snapshot, None, {f"energy/{EVIL}": "<= -1"}, probe=vc.ProbeSet.load(probe))
    with vc.AttentionMonitor(
        vc.ProbeSet.load(probe), f"{run}-2", "grad_cam", thresholds={f"energy/{EVIL}": "<= -1"}, patience=1
    ) as monitor:
        monitor.snapshot(small_net(), 1)
    assert nothing_is_obeyed(str(report))
    assert SHOWN in str(report)
    assert any(SHOWN in record.getMessage() for record in caplog.records)
    assert all(nothing_is_obeyed(record.getMessage()) for record in caplog.records)


def test_what_the_encoding_lacks_is_escaped():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("é \U0001f600", "b", file=stream)
    stream.flush()
    assert stream.buffer.getvalue() == rb"\xe9 \U0001f600" + b"\nb\n"


def test_each_argument_is_a_line(capsys):
    say("a\nb", "c", file=sys.stdout)
    assert capsys.readouterr().out == "a\\nb\nc\n"
