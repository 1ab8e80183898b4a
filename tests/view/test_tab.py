"""The tab "Attention" inside a real TensorBoard: what its server answers, and what a person does with it."""

import dataclasses
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

import vizcallbacks as vc
from vizcallbacks.regression.predicted import save_predicted
from vizcallbacks.regression.snapshot import snapshot_path
from vizcallbacks.view.tab import AttentionTab
from vizcallbacks.view.verdicts import save_verdict, verdict_path

from ..helpers.browser import needs_browser
from ..helpers.checked import probe_set
from ..helpers.runs import HOSTILE, blobs, hostile_probe, write_run
from ..helpers.tensorboard_server import tensorboard

ROOT = Path(__file__).parents[2]
PROBE = probe_set(30)
OWN = "data/plugin/attention/"


def active(client):
    listed = json.loads(client.get("data/plugins_listing"))
    return listed.get("attention", {}).get("enabled", False)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logdir")
    write_run(folder / "biased", PROBE, "tag")
    write_run(folder / "honest", PROBE, "object")
    write_run(folder / "deep" / "er & <b>", hostile_probe(), "tag", steps=[0])
    return folder


@pytest.fixture(scope="module")
def server(logdir):
    with tensorboard(logdir, active) as client:
        yield client


def answer(client, path, headers=None, method="GET"):
    """(status, headers, body)."""
    request = urllib.request.Request(f"{client.url}{OWN}{path}", headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as found:
            return found.status, dict(found.headers), found.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def document(client, query=""):
    return json.loads(answer(client, f"document{query}")[2])


def test_the_tab_is_listed_under_its_name(server):
    listed = json.loads(server.get("data/plugins_listing"))["attention"]
    assert listed["tab_name"] == "Attention"
    assert listed["loading_mechanism"] == {
        "type": "IFRAME",
        "module_path": "/data/plugin/attention/index.js",
    }


def test_the_document_tells_what_the_snapshots_hold(server, logdir):
    found = document(server)
    runs = {run["name"]: run for run in found["runs"]}
    assert list(runs) == ["biased", "deep/er & <b>", "honest"]
    for step in runs["biased"]["steps"]:
        snapshot = vc.Run(logdir / "biased").snapshot(step["step"])
        assert step["predictions"] == snapshot.predictions.tolist()
        np.testing.assert_allclose(step["measures"]["energy/tag"], snapshot.measures["energy/tag"], rtol=1e-3)
        maps = step["maps"]["grad_cam"]
        status, headers, data = answer(server, maps["part"])
        assert status == 200
        assert headers["Content-Type"] == "application/octet-stream"
        cells = np.frombuffer(data, np.uint8).reshape(30, 12, 12) / 255.0
        drawn = cells * np.array(maps["peaks"])[:, None, None]
        np.testing.assert_allclose(
            drawn, snapshot.maps["grad_cam"], atol=0.003 * snapshot.maps["grad_cam"].max()
        )


def test_how_alike_the_peaks_are_is_measured_when_it_is_asked_for(server, logdir):
    for step in next(run for run in document(server)["runs"] if run["name"] == "biased")["steps"]:
        status, _, data = answer(server, step["maps"]["grad_cam"]["sameness"])
        assert status == 200
        found = vc.peaks(vc.Run(logdir / "biased").snapshot(step["step"]), PROBE)
        rows = np.frombuffer(data, "<f4").reshape(-1, 4)
        np.testing.assert_allclose(rows[:-1, 1], [one.value for one in found.sameness.values()], rtol=1e-6)
        assert rows[-1, 2] == pytest.approx(found.overall.chance)


def test_maps_of_predicted_classes_are_sent_where_there_are_some(tmp_path):
    run = write_run(tmp_path / "run", PROBE, "object", steps=[0])
    taken = vc.Run(run).snapshot()
    taken = dataclasses.replace(taken, predictions=(taken.predictions + 1) % 3)
    taken.save(snapshot_path(run, 0))
    with tensorboard(tmp_path, active) as client:
        (step,) = document(client)["runs"][0]["steps"]
        assert "predicted" not in step
        save_predicted(run, taken, "grad_cam", {4: taken.maps["grad_cam"][7]})
        (step,) = document(client)["runs"][0]["steps"]
        assert (step["predicted"]["method"], step["predicted"]["images"]) == ("grad_cam", [4])
        status, _, data = answer(client, step["predicted"]["part"])
        assert status == 200
        wanted = taken.maps["grad_cam"][7]
        cells = np.frombuffer(data, np.uint8).reshape(wanted.shape) / 255 * step["predicted"]["peaks"][0]
        np.testing.assert_allclose(cells, wanted, atol=0.003 * wanted.max())


def test_runs_that_are_not_asked_for_are_named_only(server):
    runs = {run["name"]: run["steps"] for run in document(server, "?run=honest&run=none")["runs"]}
    assert len(runs["honest"]) == 4
    assert runs["biased"] == runs["deep/er & <b>"] == []


@pytest.mark.parametrize("path", ["document", "index.js", "view.css"])
def test_what_has_not_changed_is_not_sent_again(server, path):
    status, headers, _ = answer(server, path)
    assert status == 200
    status, again, body = answer(server, path, {"If-None-Match": headers["ETag"]})
    assert (status, body) == (304, b"")
    assert again["X-Content-Type-Options"] == "nosniff"
    assert again["Content-Type"].split(";")[0] == headers["Content-Type"].split(";")[0]


@pytest.mark.parametrize(
    "query",
    [
        "run=../biased&step=0&name=grad_cam",
        "run=/etc&step=0&name=grad_cam",
        "run=biased&step=..%2F..%2Fprobe&name=grad_cam",
        "run=biased&step=-1&name=grad_cam",
        "run=biased&step=99&name=grad_cam",
        "run=biased&step=0&name=../../probe",
        "run=biased&step=0&name=sameness%20../../probe",
        "run=biased&name=sameness%20grad_cam",
        "run=biased&step=0&name=of%20the%20predicted%20class",
        "run=biased&name=../attention/probe.npz",
        "run=biased%00&step=0&name=grad_cam",
        "step=0&name=grad_cam",
        "run=biased",
        "run=biased&step=%C2%B2&name=grad_cam",
        "",
    ],
)
def test_nothing_else_can_be_read(server, query):
    assert answer(server, f"part?{query}")[0] in (400, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_tab_only_reads(server, method):
    status, headers, _ = answer(server, "document", method=method)
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


def test_a_new_snapshot_changes_the_document_and_a_damaged_one_is_told(tmp_path):
    run = write_run(tmp_path / "run", PROBE, "object", steps=[0, 1])
    with tensorboard(tmp_path, active) as client:
        first = answer(client, "document")[1]["ETag"]
        taken = vc.Run(run).snapshot(1)
        dataclasses.replace(taken, step=2, when="epoch 2").save(snapshot_path(run, 2))
        snapshot_path(run, 1).write_bytes(b"cut off")
        status, headers, body = answer(client, "document", {"If-None-Match": first})
        assert status == 200
        assert headers["ETag"] != first
        (found,) = json.loads(body)["runs"]
        assert [step["step"] for step in found["steps"]] == [0, 2]
        assert "step 1 is left out" in found["notes"][0]


def test_logdir_spec_names_the_runs(tmp_path):
    write_run(tmp_path / "here", PROBE, "object", steps=[0])
    write_run(tmp_path / "there" / "one", PROBE, "tag", steps=[0])
    spec = f"mine:{tmp_path / 'here'},{tmp_path / 'there'}"
    with tensorboard(spec, active, option="--logdir_spec") as client:
        names = [run["name"] for run in document(client)["runs"]]
    assert names == ["mine", f"{str(tmp_path / 'there').strip('/')}/one"]


def test_a_folder_without_runs_says_where_it_looked(tmp_path):
    with tensorboard(tmp_path, lambda client: client.get("data/plugins_listing")) as client:
        assert not active(client)
        assert f"No attention snapshots yet in {tmp_path}" in document(client)["message"]


def test_a_broken_environment_does_not_keep_tensorboard_from_starting(logdir, tmp_path):
    for name in ("cv2", "mxnet"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name} here')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    listed = lambda client: json.loads(client.get("data/plugins_listing"))  # noqa: E731
    with tensorboard(logdir, listed, env=environment) as client:
        assert "attention" not in listed(client)
        assert "scalars" in listed(client)


def test_a_package_that_is_listed_twice_has_one_tab(logdir, tmp_path):
    """As Python 3.9 lists one that is installed and lies where TensorBoard is started."""
    again = tmp_path / "vizcallbacks_again-1.dist-info"
    again.mkdir()
    (again / "METADATA").write_text("Metadata-Version: 2.1\nName: vizcallbacks_again\nVersion: 1\n")
    (again / "entry_points.txt").write_text(
        "[tensorboard_plugins]\nattention = vizcallbacks.view.tab:AttentionTab\n"
    )
    with tensorboard(logdir, active, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}) as client:
        assert document(client)["runs"]


def test_the_door_imports_nothing_but_tensorboard():
    code = (
        "import sys, tensorboard.plugins.base_plugin as _; before = set(sys.modules);"
        "import vizcallbacks.view.tab; print(*(set(sys.modules) - before))"
    )
    line = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    own = {name for name in done.stdout.split() if name.split(".")[0] == "vizcallbacks"}
    assert own == {f"vizcallbacks{part}" for part in ("", ".showing", ".version", ".view", ".view.tab")}
    assert "numpy" not in done.stdout.split()
    assert AttentionTab().define_flags(None) is None


@needs_browser
def test_the_tab_shows_runs_drags_and_keeps_its_state_in_the_window_s_address(page, server):
    page.open(f"{server.url}#attention")
    inside(page)
    assert page.texts(".player .epoch") == ["epoch 3"]
    page.one(".player input").send_keys(Keys.ARROW_LEFT * 2)
    assert page.texts(".player .epoch") == ["epoch 1"]
    page.all(".segments button")[3].click()
    page.settle()
    page.wait("return parent.location.hash.includes('difference')")
    page.driver.switch_to.default_content()
    address = page.driver.current_url
    assert address.endswith("#attention&view=step%3D1%26mode%3Ddifference")
    page.open(address)
    inside(page)
    assert page.texts(".player .epoch") == ["epoch 1"]
    assert "red: more in honest" in page.texts(".count")[0]
    page.all(".card")[0].click()
    page.settle()
    assert page.run("return document.querySelector('dialog').open")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.run("return document.querySelector('dialog').open")


@needs_browser
@pytest.mark.slow
def test_the_tab_tells_what_checks_found_the_failed_run_first_and_names_are_no_html(page, tmp_path):
    probe = hostile_probe()
    for name, mask in (("a", HOSTILE), ("b", "tag")):
        run = write_run(tmp_path / name, probe, mask, steps=[0, 1])
        rules = {f"energy/{HOSTILE}": ">= 0.3 for all"}
        save_verdict(run, vc.compare(vc.Run(run).snapshot(), None, rules, probe=probe))
    with tensorboard(tmp_path, active) as client:
        page.open(f"{client.url}#attention")
        inside(page)
        assert page.texts(".verdict .sentence") == [
            "✗ b failed 1 of 1 rules",
            "✓ a passed its attention check: 1 of 1 rules hold",
        ]
        assert page.texts(".rules td")[:1] == ["✗ FAIL"]
        assert page.texts(".violation")[0].startswith("✗ fails: b: energy/<img")
        assert page.run("return window.hacked === undefined")
        verdict_path(tmp_path / "b").write_text("{}")
        page.wait("return document.querySelector('.notes').textContent.includes('check the run again')")
        assert page.texts(".verdict .sentence") == ["✓ a passed its attention check: 1 of 1 rules hold"]
        page.driver.switch_to.default_content()


@needs_browser
@pytest.mark.slow
def test_the_tab_follows_a_training_and_dark_mode(page, tmp_path):
    run = write_run(tmp_path / "run", PROBE, "object", steps=[0, 1])
    with tensorboard(tmp_path, active) as client:
        page.open(f"{client.url}#attention")
        inside(page)
        assert page.run("return document.documentElement.dataset.theme") == "light"
        page.run("parent.document.body.classList.add('dark-mode')")
        page.wait("return document.documentElement.dataset.theme === 'dark'")
        maps = {"grad_cam": blobs(PROBE, "tag", 1.0)}
        taken = dataclasses.replace(vc.Run(run).snapshot(1), step=2, when="epoch 2", maps=maps)
        taken.save(snapshot_path(run, 2))
        page.wait("return document.querySelector('.player .epoch').textContent === 'epoch 2'", seconds=30)
        page.driver.switch_to.default_content()


def inside(page):
    """Into the tab's frame, once it is drawn."""
    page.wait(
        "return !!document.querySelector('iframe')?.contentDocument?.querySelector('.card')", seconds=60
    )
    page.driver.switch_to.frame(page.one("iframe"))
    page.ready()
