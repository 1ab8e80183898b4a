"""Attributions that a net made, and the page that a monitor writes."""

import base64
import html
import re
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.view import frames

from ..helpers.checked import probe_set as checked_probe
from ..helpers.documents import opened
from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from ..helpers.runs import write_run

METHODS = ("grad_cam", "guided_grad_cam", "saliency")


def data_of(page):
    return opened(base64.b64decode(re.search(r'id="data">([^<]*)<', page)[1]))


def test_attributions_show_each_method_the_gradient_family_by_its_brightest_pixels(tmp_path):
    result = vc.explain(small_net(), probe_set(), METHODS, targets="label")
    (frame,) = re.findall(r'srcdoc="([^"]*)"', result._repr_html_())
    found, parts = data_of(html.unescape(frame))
    (step,) = found["runs"][0]["steps"]
    assert list(step["maps"]) == list(METHODS)
    for name in METHODS:
        maps = step["maps"][name]
        cells = np.frombuffer(parts[maps["part"]], np.uint8).reshape(3, maps["height"], maps["width"]) / 255.0
        values = cells * np.array(maps["peaks"], float)[:, None, None]
        expected = result[name] if name == "grad_cam" else np.abs(result.at_image_size(name))
        if name != "grad_cam":
            expected = np.minimum(expected, np.percentile(expected, 99.5, axis=(1, 2), keepdims=True))
        np.testing.assert_allclose(values, expected, atol=0.003 * expected.max())
    result.save(tmp_path / "r.png")
    assert cv2.imread(str(tmp_path / "r.png")) is not None


def test_a_training_leaves_a_page_over_all_its_snapshots_with_what_its_check_found(tmp_path):
    probe = probe_set()
    page = tmp_path / "run" / "attention" / "report.html"
    rules = {"energy/object": ">= 0.99"}
    with vc.AttentionMonitor(
        probe, tmp_path / "run", "grad_cam", thresholds=rules, on_error="raise"
    ) as monitor:
        for step in range(6):
            monitor.snapshot(small_net(), step)
            if step == 0:
                monitor.flush()
                assert len(data_of(page.read_text(encoding="utf-8"))[0]["runs"][0]["steps"]) == 1
    assert monitor.failures == 0
    (run,) = data_of(page.read_text(encoding="utf-8"))[0]["runs"]
    assert [step["step"] for step in run["steps"]] == list(range(6))
    assert not run["verdict"]["passed"]
    assert run["verdict"]["rules"][0]["rule"] == "energy/object >= 0.99"
    assert "✗ run failed</span> 1 of 1 rules" in page.read_text(encoding="utf-8")


def a_run(folder):
    return vc.Run(write_run(folder / "run", checked_probe(), "tag"))


RECORDS = {
    "Attributions": lambda folder: vc.explain(small_net(), probe_set(), METHODS, targets="label"),
    "Snapshot": lambda folder: a_run(folder).snapshot(),
    "Report": lambda folder: vc.compare(a_run(folder).snapshot(), None, {"energy/tag": "<= 0.1"}),
    "Run": a_run,
}


@pytest.fixture(params=RECORDS)
def record(request, tmp_path):
    return RECORDS[request.param](tmp_path)


def test_every_record_is_saved_as_a_page_and_as_a_picture(record, tmp_path):
    record.save(tmp_path / "x.html")
    found, parts = data_of((tmp_path / "x.html").read_text(encoding="utf-8"))
    assert found["runs"][0]["steps"][-1]["maps"]
    assert len(parts) > 0
    record.save(str(tmp_path / "x.png"))
    picture = cv2.imread(str(tmp_path / "x.png"))
    assert picture.shape[1] > 200
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50  # something is drawn


def test_another_ending_is_refused_and_nothing_is_written(record, tmp_path):
    if isinstance(record, vc.Snapshot):  # it has a file of its own
        record.save(tmp_path / "x.npz")
        assert vc.Snapshot.load(tmp_path / "x.npz").equals(record)
        return
    with pytest.raises(ValueError, match=r"as .html or .png, got .*x.jpg"):
        record.save(tmp_path / "x.jpg")
    assert not (tmp_path / "x.jpg").exists()


def test_show_opens_the_same_page_in_the_browser(record, tmp_path, monkeypatch):
    opened_at = []
    monkeypatch.setattr(frames.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(frames.webbrowser, "open", opened_at.append)
    record.show()
    (address,) = opened_at
    assert address.startswith("file:///")
    record.save(tmp_path / "x.html")
    with open(urlsplit(address).path, "rb") as file:
        assert file.read() == (tmp_path / "x.html").read_bytes()


def test_in_a_notebook_show_displays_the_frame(record, monkeypatch):
    shown = []
    display = pytest.importorskip("IPython.display")
    monkeypatch.setattr(frames, "_in_notebook", lambda: True)
    monkeypatch.setattr(display, "display", shown.append)
    record.show()
    assert shown == [record]
    assert 'sandbox="allow-scripts"' in record._repr_html_()
