"""The tutorial: its notebook is its script, runs, tells the truth, and loads the zoo's weights where they are."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import mxnet as mx
import nbformat
import numpy as np
import pytest
from mxnet.gluon.model_zoo import model_store, vision
from PIL import Image

from .helpers.nets import images

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPT = (EXAMPLES / "tutorial.py").read_text(encoding="utf-8")
PICTURES = ["digits", "photographs", "clock", "astronaut"]
MACHINE = re.compile(r"(^|[\s'\"(])/(home|root|tmp|usr|work|var|Users)/|site-packages")


@pytest.fixture(scope="module")
def make_notebook():
    spec = importlib.util.spec_from_file_location("make_notebook", EXAMPLES / "make_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kept():
    return nbformat.read(EXAMPLES / "tutorial.ipynb", as_version=4)


def outputs_of(notebook):
    """What is printed, and the pictures."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} == {"stream", "display_data"}, "an error, or a value"
    streams = [output for output in outputs if output.output_type == "stream"]
    assert {stream.name for stream in streams} == {"stdout"}, [stream.text for stream in streams]
    drawn = [base64.b64decode(o.data["image/jpeg"]) for o in outputs if o.output_type == "display_data"]
    return "".join(stream.text for stream in streams), [Image.open(io.BytesIO(data)) for data in drawn]


def check_what_the_text_says(printed):
    """The claims between the cells: who is right where, and who looks where."""
    share = r"(\d+)% where the tag is aligned, (\d+)% where the tag is wrong"
    (biased_aligned, biased_wrong), (_, random_wrong) = (map(int, m) for m in re.findall(share, printed))
    assert biased_aligned > 90
    assert biased_wrong < 20
    assert random_wrong > 65
    biased, random, area = map(float, re.findall(r"(0\.\d\d) (?:on )?the tag", printed))
    assert biased > 3 * area
    assert random < area


# The notebook


def test_the_notebook_is_the_script(make_notebook, kept):
    cells = [(cell.cell_type, cell.source) for cell in kept.cells]
    assert cells == make_notebook.cells_of(SCRIPT), "make it anew: python examples/make_notebook.py"
    nbformat.validate(kept)


def test_the_cells_of_a_script(make_notebook):
    source = (
        "# %% [markdown]\n# # Title\n#\n# Text with *stars*\n\n# %%\nx = 1  # one\n\n\n# %%\n# note\ny = 2\n"
    )
    assert make_notebook.cells_of(source) == [
        ("markdown", "# Title\n\nText with *stars*"),
        ("code", "x = 1  # one"),
        ("code", "# note\ny = 2"),
    ]


def test_the_kept_notebook_can_be_read_without_running_it(kept):
    printed, drawn = outputs_of(kept)
    check_what_the_text_says(printed)
    assert [picture.size[0] > 900 for picture in drawn] == [True] * len(PICTURES)
    file = EXAMPLES / "tutorial.ipynb"
    assert file.stat().st_size < 600_000
    texts = [cell.source for cell in kept.cells] + [printed]
    assert not [text for text in texts if MACHINE.search(text) or "warning" in text.lower()]
    counts = [cell.execution_count for cell in kept.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "cells that were run more than once, or out of order"


@pytest.mark.slow
def test_the_notebook_runs_and_says_what_comes_out(make_notebook, tmp_path):
    notebook = make_notebook.run(make_notebook.notebook_of(SCRIPT), tmp_path)
    printed, drawn = outputs_of(notebook)
    check_what_the_text_says(printed)
    assert len(drawn) == len(PICTURES)
    assert not [picture for picture in drawn if np.asarray(picture).std() < 20], (
        "a picture with nothing on it"
    )


# The script


@pytest.mark.slow
def test_the_script_runs_without_a_screen_and_leaves_its_pictures(tmp_path):
    quick, changed = re.subn(r"^EPOCHS = \d+$", "EPOCHS = 1", SCRIPT, flags=re.MULTILINE)
    assert changed == 1
    (tmp_path / "tutorial.py").write_text(quick, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-W", "ignore::FutureWarning", "tutorial.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(EXAMPLES.parent)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for name in PICTURES:
        with Image.open(tmp_path / "runs" / "tutorial" / f"{name}.png") as picture:
            assert picture.size[0] == 1000


# Its VGG


@pytest.fixture
def flow(make_notebook, monkeypatch, tmp_path):
    """The tutorial's definitions of networks: the first cell, and those that define VGG and get_vgg."""
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    cells = [source for kind, source in make_notebook.cells_of(SCRIPT) if kind == "code"]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # matplotlib's, of what newer pyparsing deprecates
        exec(cells[0], names)
    for source in [cells[1], *(source for source in cells if "def get_vgg" in source)]:
        exec(source, names)
    return names


def test_a_vgg_without_its_weights_says_what_to_put_where(flow, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"weights of 'vgg16' must be in .*vgg16-\w{8}\.params.*downloads nothing"
    ):
        flow["vgg16"](pretrained=True, root=str(tmp_path))


def test_a_vgg_takes_the_zoos_weights(flow, tmp_path, monkeypatch):
    """The zoo's own class and file name, with few filters; its dense layers of 4096 are the zoo's."""
    monkeypatch.setitem(flow["vgg_spec"], 11, ([1, 1, 2, 2, 2], [4, 4, 6, 6, 8]))
    zoo = vision.VGG(*flow["vgg_spec"][11])
    zoo.initialize(mx.init.Xavier(magnitude=3))
    image = mx.nd.array(images(1))
    expected = zoo(image).asnumpy()
    file = tmp_path / "zoo.params"
    zoo.save_parameters(str(file))
    monkeypatch.setitem(model_store._model_sha1, "vgg11", hashlib.sha1(file.read_bytes()).hexdigest())
    file.rename(tmp_path / f"vgg11-{model_store.short_hash('vgg11')}.params")
    for layers in ("mxnet.gluon.nn", "vizcallbacks.gradcam"):
        exec(f"from {layers} import Activation, Conv2D", flow)  # the one line
        net = flow["get_vgg"](11, pretrained=True, root=str(tmp_path))
        assert type(net.features[0]) is flow["Conv2D"]
        np.testing.assert_array_equal(net(image).asnumpy(), expected)
