"""The README of the room says what the code does: its examples are run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

import vizcallbacks
from vizcallbacks.probes.probe_set import ProbeSet

README = (Path(vizcallbacks.__file__).parent / "probes" / "README.md").read_text(encoding="utf-8")

NOTE = """<annotation>
  <folder>{0}</folder><filename>{1}.png</filename>
  <size><width>40</width><height>20</height><depth>3</depth></size>
  <object><name>{0}</name>
    <bndbox><xmin>11</xmin><ymin>1</ymin><xmax>20</xmax><ymax>10</ymax></bndbox></object>
  <object><name>watermark</name>
    <bndbox><xmin>21</xmin><ymin>11</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""
"""Boxes in the top left and bottom right quarter of the central square, in Pascal VOC's way of counting."""


def test_masks_come_from_a_voc_style_xml_in_ten_lines(tmp_path, monkeypatch, capsys):
    (lines,) = re.findall(r"From a VOC-style XML in ten lines:\n\n```python\n(.*?)```", README, re.DOTALL)
    assert len(lines.strip().splitlines()) <= 10
    (tmp_path / "Annotations").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            pixels = np.full((20, 40, 3), 60 * i + 30, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{name}{i}.png")
            (tmp_path / "Annotations" / f"{name}{i}.xml").write_text(NOTE.format(name, f"{name}{i}"))
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "README", "exec"), {})
    assert "mask 'object': 25.0% of the area" in capsys.readouterr().out
    probe = ProbeSet.load("probe.npz")
    assert probe.images.shape == (4, 3, 224, 224)
    assert probe.class_names == ("cat", "dog")
    # the photograph's short side, 20, is scaled to 224, and its centre taken; interpolation rounds corners
    expected = {name: np.zeros((224, 224), bool) for name in ("object", "tag")}
    expected["object"][:112, :112] = expected["tag"][112:, 112:] = True
    sure = np.ones((224, 224), bool)
    for corner in (0, 112, 224):
        sure[104:120, max(0, corner - 8) : corner + 8] = False
    for name, mask in expected.items():
        assert (probe.masks[name] == mask)[:, sure].all(), name
