"""``--json`` of every command: valid JSON, alone on standard output or in a file, with the words' numbers."""

from __future__ import annotations

import argparse
import importlib
import json

import mxnet as mx
import numpy as np
import pytest
from gluoncv.model_zoo import get_model
from PIL import Image

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.cli import demo as demo_command
from vizcallbacks.cli.json_out import without_file
from vizcallbacks.cli.main import COMMANDS
from vizcallbacks.demo.run import Outcome
from vizcallbacks.demo.run import probe_set as demo_probe_set

from ..helpers.probes import probe_set
from ..helpers.runs import write_run

RULE = ("--rule", "energy/object >= 0.01")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two runs, photographs in folders of classes, and a small net's parameters."""
    home = tmp_path_factory.mktemp("json")
    plain = probe_set(6, 16)
    masks = {"object": np.zeros((6, 16, 16), bool), "tag": np.zeros((6, 16, 16), bool)}
    masks["object"][:, 4:12, 4:12] = True
    masks["tag"][:, :4, :4] = True
    probe = vc.ProbeSet(plain.images, np.arange(6) % 3, masks=masks)
    write_run(home / "runs" / "a", probe, "object")
    write_run(home / "runs" / "b", probe, "tag")
    probe.save(home / "probe.npz")
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (home / "photographs" / name).mkdir(parents=True)
        pixels = random.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(home / "photographs" / name / "1.png")
    (home / "broken").mkdir()
    (home / "broken" / "a.png").write_text("no picture")
    Image.fromarray(pixels).save(home / "broken" / "b.png")
    mx.random.seed(0)
    net = get_model("cifar_resnet20_v1", classes=3)
    net.initialize(mx.init.Xavier())
    net(mx.nd.zeros((1, 3, 32, 32)))
    net.save_parameters(str(home / "m-epoch0batch1.params"))
    (home / "names.txt").write_text("cat\ndog\ncow\n")
    return home


LINES = {
    "accept": "accept {0}/runs/a --out {1}/b.npz",
    "check": "check {0}/runs/a {rule}",
    "check --all": "check {0}/runs/a {rule} --all",
    "explain": "explain {0}/photographs --out {1}/maps --model cifar_resnet20_v1 "
    "--params {0}/m-epoch0batch1.params --classes {0}/names.txt --methods grad_cam --target cow --raw",
    "export": "export {0}/runs/a --out {1}/a.csv",
    "probe": "probe {0}/probe.npz",
    "replay": "replay {0}/m-epoch0batch1.params --net cifar_resnet20_v1 --classes 3 --probe {0}/photographs "
    "--logdir {1}/run --methods grad_cam {rule0}",
    "report": "report {0}/runs --out {1}/r.html",
}


def words(line, place, tmp_path):
    found = []
    for word in LINES[line].split():
        if word in ("{rule}", "{rule0}"):
            found += RULE if word == "{rule}" else ("--rule", "dead <= 1")
        else:
            found.append(word.format(place, tmp_path))
    return found


def run(line, place, tmp_path, capsys):
    """Exit code, JSON on standard output, and words on standard error."""
    code = cli.main([*words(line, place, tmp_path), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_every_command_has_it():
    assert {line.split()[0] for line in LINES} | {"demo"} == set(COMMANDS)
    for name, (module, _) in COMMANDS.items():
        parser = argparse.ArgumentParser()
        importlib.import_module(module, "vizcallbacks.cli").add_arguments(parser)
        assert "--json [FILE.json]" in parser.format_help(), name


@pytest.mark.parametrize("line", LINES)
def test_it_is_alone_on_standard_output_and_the_words_are_on_standard_error(line, place, tmp_path, capsys):
    code, found, err = run(line, place, tmp_path, capsys)
    assert code == 0
    assert found
    (tmp_path / "again").mkdir()
    assert cli.main(words(line, place, tmp_path / "again")) == 0
    said = capsys.readouterr().out.replace("/again", "").splitlines()
    assert [one for one in said if one not in err.splitlines()] == []


@pytest.mark.parametrize("line", ["accept", "check", "probe"])
def test_a_file_gets_the_same(line, place, tmp_path, capsys):
    _, found, _ = run(line, place, tmp_path, capsys)
    path = tmp_path / "found.json"
    assert cli.main([*words(line, place, tmp_path), "--json", str(path)]) == 0
    assert json.loads(path.read_text()) == found
    assert capsys.readouterr().out


def test_a_check_that_fails_gives_its_rules_and_exit_code_1(place, tmp_path, capsys):
    line = [
        "check",
        "--json",
        f"{place}/runs/b",
        "--rule",
        "energy/object >= 0.9",
    ]  # RUN is no file of --json
    assert cli.main(line) == 1
    found = json.loads(capsys.readouterr().out)
    taken = list(vc.Run(place / "runs" / "b"))[-1]
    assert not found["passed"]
    assert found["rules"][0]["value"] == pytest.approx(taken.measures["energy/object"].mean())


def test_what_fails_is_json_too(place, tmp_path, capsys):
    assert cli.main(["check", str(place / "none"), *RULE, "--json"]) == 2
    out, err = capsys.readouterr()
    assert "there is no folder" in json.loads(out)["error"]
    assert json.loads(out)["error"] in err


def test_explain_tells_classes_and_files(place, tmp_path, capsys):
    _, found, _ = run("explain", place, tmp_path, capsys)
    assert found["model"] == "cifar_resnet20_v1"
    assert found["methods"] == ["grad_cam"]
    first = found["photographs"][0]
    assert first["photograph"] == str(place / "photographs" / "cat" / "1.png")
    assert first["asked_for"]["name"] == "cow"
    assert first["explained"] == 2
    with np.load(first["raw"]) as raw:
        order = np.argsort(-raw["probabilities"])
        assert [one["class"] for one in first["classes"]] == order.tolist()
        np.testing.assert_allclose(
            [one["probability"] for one in first["classes"]], raw["probabilities"][order]
        )
    for path in (first["picture"], found["peaks"], found["sheet"], found["table"]):
        assert (tmp_path / path).is_file()


def test_explain_tells_which_photographs_were_not_explained(place, tmp_path, capsys):
    line = words("explain", place, tmp_path)
    line[1] = str(place / "broken")
    assert cli.main([*line, "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert len(found["photographs"]) == 1
    assert "a.png" in found["not_explained"][0]


def test_probe_tells_what_the_set_holds(place, tmp_path, capsys):
    _, found, _ = run("probe", place, tmp_path, capsys)
    assert found["images"] == 6
    assert found["shape"] == [3, 16, 16]
    assert [one["images"] for one in found["classes"]] == [2, 2, 2]
    assert found["masks"]["tag"] == {"mean": 1 / 16, "least": 1 / 16, "most": 1 / 16}
    assert any("6 images" in one for one in found["advice"])
    assert found["digest"] == vc.ProbeSet.load(place / "probe.npz").digest


def test_replay_report_and_export_tell_what_was_written(place, tmp_path, capsys):
    _, found, _ = run("replay", place, tmp_path, capsys)
    assert found == {"run": str(tmp_path / "run"), "steps": [1], "skipped": {}, "passed": True}
    _, found, _ = run("report", place, tmp_path, capsys)
    assert found["written"] == [str(tmp_path / "r.html")]
    assert len(found["runs"]) == 2
    _, found, _ = run("export", place, tmp_path, capsys)
    assert found == {"written": [str(tmp_path / "a.csv")], "rows": 4 * 6}


def test_a_first_bad_checkpoint_is_told(place, tmp_path, capsys):
    line = words("replay", place, tmp_path)[:-1] + ["dead <= -1", "--first-bad", "--json"]
    assert cli.main(line) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["first_bad"] == 1
    assert found["looked_at"] == {"1": False}


def test_the_demo_tells_both_networks(tmp_path, monkeypatch, capsys):
    """Its numbers; that they come from trainings is tested with the demo."""
    outcome = Outcome(
        {"aligned": 0.25, "none": 0.5, "wrong": float("nan")}, {"energy/tag": (0.1, 0.2)}, tmp_path / "o"
    )

    def demo(logdir, *rest):
        print("words")
        return {"biased": outcome, "honest": outcome}

    monkeypatch.setattr(demo_command, "run_demo", demo)
    probe = demo_probe_set()
    for name, mask in (("biased", "tag"), ("honest", "object")):
        write_run(tmp_path / name, probe, mask)
    vc.Baseline.from_runs(tmp_path / "honest").save(tmp_path / "baseline.npz")
    assert cli.main(["demo", "--logdir", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == "words\n"
    assert found["networks"]["biased"]["accuracy"] == {"aligned": 0.25, "none": 0.5, "wrong": None}
    assert found["networks"]["honest"]["energy"]["energy/tag"] == {"first": 0.1, "last": 0.2}
    assert not found["learnt"]
    assert not found["check"]["passed"]


def test_a_json_that_no_json_file_follows_has_standard_output():
    assert without_file(["check", "--json", "runs/a"]) == ["check", "--json=-", "runs/a"]
    assert without_file(["check", "runs/a", "--json"]) == ["check", "runs/a", "--json=-"]
    assert without_file(["check", "--json", "a.json", "runs/a"]) == ["check", "--json", "a.json", "runs/a"]
