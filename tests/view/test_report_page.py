"""The page as a file: what is in it, what refuses, how large it is."""

import base64
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.demo import run as demo
from vizcallbacks.regression.snapshot import snapshot_path
from vizcallbacks.view.page import SCRIPTS, script
from vizcallbacks.view.report_page import report_path, write_checked, write_report

from ..helpers.checked import ON_OBJECT, ON_TAG, probe_set, snapshot
from ..helpers.documents import opened
from ..helpers.runs import HOSTILE, hostile_probe, write_run

ROOT = Path(__file__).parents[2]
PROBE = probe_set(6)


class Tags(HTMLParser):
    """Elements with their attributes, and all text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._inside = [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data


@pytest.fixture
def runs(tmp_path):
    return [write_run(tmp_path / name, PROBE, name) for name in ("tag", "object")]


def read(path):
    return Path(path).read_text(encoding="utf-8")


def test_verdict_rules_and_worst_images_are_plain_html(runs, tmp_path):
    write_report(runs, tmp_path / "r.html", rules={"energy/tag": "<= 0.3", "energy/object": ">= 0.01"})
    page = Tags(read(tmp_path / "r.html"))
    assert "✗ tag failed 1 of 2 rules" in page.text
    assert "✓ object passed its attention check: 2 of 2 rules hold" in page.text
    assert "energy/tag <= 0.3" in page.text
    assert page.text.index("tag failed") < page.text.index("object passed")
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == ["tag, epoch 3: the images that violate the rules most"]


def test_the_page_needs_no_network(runs, tmp_path):
    write_report(runs, tmp_path / "r.html")
    page = Tags(read(tmp_path / "r.html"))
    addresses = [
        value
        for tag, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    assert addresses
    assert all(address.startswith("data:image/webp;base64,") for address in addresses)
    (policy,) = [found["content"] for tag, found in page.tags if tag == "meta" and "http-equiv" in found]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_the_data_are_those_of_the_runs(runs, tmp_path):
    write_report(runs, tmp_path / "r.html", rules={"energy/tag": ["<= 0.3", "<= 0.5 for 90%"]})
    packed = re.search(r'id="data">([^<]*)<', read(tmp_path / "r.html"))[1]
    found, parts = opened(base64.b64decode(packed))
    assert [run["name"] for run in found["runs"]] == ["tag", "object"]
    assert len(found["probes"]) == 1
    (tag, thing) = found["runs"]
    assert [step["step"] for step in tag["steps"]] == [0, 1, 2, 3]
    assert [rule["of_mean"] for rule in tag["verdict"]["rules"]] == [True, False]
    report = vc.compare(
        vc.Run(runs[0]).snapshot(), None, {"energy/tag": ["<= 0.3", "<= 0.5 for 90%"]}, probe=PROBE
    )
    assert tag["verdict"]["order"] == report.worst(6)
    assert thing["verdict"]["passed"]
    maps = tag["steps"][3]["maps"]["grad_cam"]
    cells = np.frombuffer(parts[maps["part"]], np.uint8).reshape(6, 12, 12) / 255.0
    np.testing.assert_allclose(
        cells * np.array(maps["peaks"])[:, None, None],
        vc.Run(runs[0]).snapshot(3).maps["grad_cam"],
        atol=0.003,
    )


def test_a_run_that_cannot_be_compared_is_shown_with_the_reason(runs, tmp_path):
    other = probe_set(4)
    vc.Baseline.from_snapshots(snapshot(ON_OBJECT, other), other).save(tmp_path / "baseline.npz")
    write_report(runs, tmp_path / "r.html", tmp_path / "baseline.npz")
    assert "tag was not checked: " in Tags(read(tmp_path / "r.html")).text


def test_damaged_snapshots_are_told_and_a_run_without_any_is_refused(runs, tmp_path):
    snapshot_path(runs[0], 2).write_bytes(b"half")
    write_report(runs, tmp_path / "r.html")
    for step in range(4):
        snapshot_path(runs[0], step).write_bytes(b"half")
    (tmp_path / "r.html").write_text("older")
    with pytest.raises(ValueError, match="no snapshot in .* can be read"):
        write_report(runs, tmp_path / "r.html")
    assert read(tmp_path / "r.html") == "older"


def test_names_cannot_leave_the_text_they_stand_in(tmp_path):
    run = write_run(tmp_path / "<script>alert(1)", hostile_probe(), "tag")
    write_report(run, tmp_path / "r.html", rules={f"energy/{HOSTILE}": ">= 0.9"})
    page = Tags(read(tmp_path / "r.html"))
    assert "<script>alert(1) failed 1 of 1 rules" in page.text
    assert f"energy/{HOSTILE} >= 0.9" in page.text
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert all("onerror" not in attributes for _, attributes in page.tags)


def test_assets_are_files_and_nothing_is_inline(runs, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    write_report(runs[0], folder / "r.html", rules={"energy/tag": "<= 0.1"}, assets=folder / "r & files")
    page = Tags(read(folder / "r.html"))
    addresses = [
        found.get("src") or found.get("href") for tag, found in page.tags if tag in ("link", "script", "img")
    ]
    assert set(addresses) == {
        f"r & files/{name}" for name in ("view.css", "view.js", "data.js", "picture-0.webp")
    }
    assert all((folder / address).exists() for address in addresses)
    assert "style" not in [tag for tag, _ in page.tags]


def test_the_page_of_a_check_has_its_outcome(runs, tmp_path):
    report = vc.compare(vc.Run(runs[0]).snapshot(1), None, {"energy/tag": "<= 0.1"}, probe=PROBE)
    write_checked(runs[0], report, tmp_path / "r.html")
    assert "epoch 1, layer 'features.4'" in Tags(read(tmp_path / "r.html")).text


def test_the_page_of_a_run_lies_beside_its_snapshots():
    assert report_path("runs/a") == Path("runs/a/attention/report.html")


def test_the_page_is_made_without_mxnet(runs, tmp_path):
    code = (
        "import sys; sys.modules['mxnet'] = None; import vizcallbacks as vc;"
        "from vizcallbacks.view.report_page import write_report;"
        f"write_report({runs!r}, 'r.html'); vc.Run({runs[0]!r}).save('r.png')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=environment, check=True)
    assert "What the network looks at" in Tags(read(tmp_path / "r.html")).text
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"


def test_a_page_of_the_demo_s_size_is_below_a_megabyte(tmp_path):
    probe = demo.probe_set()
    for mask in ("object", "tag"):
        write_run(tmp_path / mask, probe, mask, steps=range(9))
    write_report(tmp_path, tmp_path / "r.html", rules={"energy/tag": "<= 0.1"})
    assert len(probe) == 200
    assert 100_000 < (tmp_path / "r.html").stat().st_size < 1_000_000


def test_all_script_files_are_joined_once_and_no_name_is_taken_twice():
    folder = ROOT / "vizcallbacks" / "view" / "script"
    assert sorted(path.stem for path in folder.glob("*.js")) == sorted(SCRIPTS)
    joined = script()
    assert not re.search(r"(?m)^(import|export) ", joined)
    names = re.findall(r"(?m)^(?:async )?(?:function|class|const|let) (\w+)", joined)
    assert len(names) == len(set(names)) > 40


def test_each_script_file_imports_only_files_before_it():
    for place, name in enumerate(SCRIPTS):
        text = (ROOT / "vizcallbacks" / "view" / "script" / f"{name}.js").read_text(encoding="utf-8")
        for used in re.findall(r'from "\./(\w+)\.js"', text):
            assert used in SCRIPTS[:place], f"{name}.js uses {used}.js"
        assert "innerHTML" not in text
        assert "eval(" not in text


def test_records_show_themselves_in_sandboxed_frames(tmp_path, runs):
    shown = snapshot(ON_TAG, probe_set(4))
    report = vc.compare(shown, None, {"energy/tag": "<= 0.1"}, probe=probe_set(4))
    for record in (shown, report, vc.Run(runs[0])):
        ((_, frame),) = [one for one in Tags(record._repr_html_()).tags if one[0] == "iframe"]
        assert frame["sandbox"] == "allow-scripts"
        assert frame["srcdoc"].startswith("<!DOCTYPE html>")
    assert "✗ this snapshot failed 1 of 1 rules" in Tags(frame_of(report)).text
    report.save(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match=r"saved as \.html or \.png, got .*x\.pdf"):
        report.save(tmp_path / "x.pdf")


def frame_of(record):
    return next(
        attributes["srcdoc"] for tag, attributes in Tags(record._repr_html_()).tags if tag == "iframe"
    )


def test_showing_outside_a_notebook_opens_a_temporary_page(monkeypatch, tmp_path, runs):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    vc.Run(runs[0]).show()
    assert opened[0].startswith("file://")
    assert "<!DOCTYPE html>" in Path(opened[0][7:]).read_text(encoding="utf-8")


def test_a_page_over_checked_runs_needs_neither_mxnet_nor_slow_imports(tmp_path):
    run = write_run(tmp_path / "run", probe_set(5), "object")
    baseline = tmp_path / "b.npz"
    vc.Baseline.from_runs(run).save(baseline)
    command = ["report", run, "--baseline", str(baseline), "--out", str(tmp_path / "r.html")]
    code = f"""
import sys
from vizcallbacks.cli.main import main
assert main({command!r}) == 0
slow = {{"mxnet", "scipy", "tqdm", "tensorboardX", "skimage"}}
print(slow & {{name.split(".")[0] for name in sys.modules}})
"""
    line = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.splitlines()[-1] == "set()"
