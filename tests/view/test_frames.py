"""Attributions that a net made, and the page that a monitor writes."""

import base64
import html
import re

import cv2
import numpy as np

import vizcallbacks as vc

from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from .test_document import opened

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
