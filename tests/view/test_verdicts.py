"""Verdicts beside a run's snapshots: what is read is what was found, and nothing that is damaged is shown."""

import json

import pytest

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.view.document import verdict_part
from vizcallbacks.view.verdicts import forget_verdict, read_verdict, save_verdict, verdict_path

from ..helpers.checked import probe_set
from ..helpers.nets import small_net
from ..helpers.probes import probe_set as small_probe
from ..helpers.runs import write_run

RULES = {"energy/tag": "<= 0.4 for all", "energy/object": ">= 0.2"}
PROBE = probe_set(6)


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", PROBE, "tag")


def report_of(run):
    return vc.compare(vc.Run(run).snapshot(), None, RULES, probe=PROBE)


def test_a_verdict_is_read_as_it_was_found(run):
    report = report_of(run)
    save_verdict(run, report)
    found = read_verdict(run, PROBE.digest, len(PROBE))
    expected = json.loads(json.dumps(verdict_part(report)))
    del expected["baseline"]
    assert found == {"step": 3, **expected}
    assert not found["passed"]


def test_without_a_check_there_is_no_verdict(run):
    assert read_verdict(run, PROBE.digest, len(PROBE)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"format": "other"},
        {"passed": "yes"},
        {"order": [0, 6]},
        {"order": [-1]},
        {"flips": [True]},
        {"violations": {"6": "x"}},
        {"violations": {"-1": "x"}},
        {"violations": {"1": ["x"]}},
        {"violations": []},
        {"rules": [{}]},
        {"rules": {}},
        {"when": None},
        {"step": 1.5},
        {"title": 3},
    ],
)
def test_a_foreign_or_damaged_file_is_refused(run, change):
    save_verdict(run, report_of(run))
    whole = json.loads(verdict_path(run).read_text())
    verdict_path(run).write_text(json.dumps({**whole, **change}))
    with pytest.raises(ValueError, match="check the run again"):
        read_verdict(run, PROBE.digest, len(PROBE))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
def test_what_is_no_json_object_is_refused(run, text):
    verdict_path(run).write_bytes(text)
    with pytest.raises(ValueError, match="no verdict of this version"):
        read_verdict(run, PROBE.digest, len(PROBE))
    forget_verdict(run, 100)
    assert not verdict_path(run).exists()


def test_a_verdict_on_other_images_is_refused(run):
    save_verdict(run, report_of(run))
    with pytest.raises(ValueError, match="another probe set"):
        read_verdict(run, "other", len(PROBE))


@pytest.mark.parametrize(("step", "kept"), [(2, False), (3, False), (4, True)])
def test_a_verdict_on_a_replaced_snapshot_is_forgotten(run, step, kept):
    save_verdict(run, report_of(run))
    forget_verdict(run, step)
    assert verdict_path(run).exists() == kept
    forget_verdict(run, step)  # none is no error


def test_a_training_keeps_the_verdict_on_its_newest_snapshot_and_a_new_one_from_the_start_has_none(tmp_path):
    probe, folder = small_probe(), tmp_path / "run"

    def train(**options):
        with vc.AttentionMonitor(probe, folder, "grad_cam", on_error="raise", **options) as monitor:
            for step in range(3):
                monitor.snapshot(small_net(), step)

    train(thresholds={"energy/object": ">= 0.99"}, action="log")
    found = read_verdict(folder, probe.digest, len(probe))
    assert (found["step"], found["passed"]) == (2, False)
    train()
    assert read_verdict(folder, probe.digest, len(probe)) is None


@pytest.mark.parametrize("more", [[], ["--all"]])
def test_the_command_writes_a_verdict_on_request_only(run, more, capsys):
    line = ["check", run, "--rule", "energy/tag <= 0.01", *more]
    assert cli.main(line) == 1
    assert not verdict_path(run).exists()
    assert cli.main([*line, "--tab"]) == 1
    found = read_verdict(run, PROBE.digest, len(PROBE))
    assert (found["step"], found["passed"]) == (3, False)
