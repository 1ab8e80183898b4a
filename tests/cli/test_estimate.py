"""What methods of many passes will take is told before they begin."""

from __future__ import annotations

import re
from pathlib import Path

import mxnet as mx
import pytest
import skimage
from gluoncv import model_zoo

from vizcallbacks import cli
from vizcallbacks.cli.estimate import estimate, in_words

from ..helpers.nets import images, small_net

CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "1 s"),
        (20.4, "20 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5000, "83 min"),
        (5400, "2 h"),
        (36000, "10 h"),
    ],
)
def test_a_time_in_words(seconds, words):
    assert in_words(seconds) == words


def test_the_slowest_are_named_with_their_passes():
    net, batch = small_net(), images(2, size=16)
    assert estimate(net, batch, ("grad_cam", "ablation_cam", "lrp"), None, 2, 10) == ""
    methods = ("score_cam", "smooth_grad", "occlusion", "rise")
    told = estimate(net, batch, methods, "0", 2, 1)
    time = r"\d+ (?:s|min|h)"
    slowest = re.fullmatch(rf"methods of many passes take about {time} a photograph: (.*), ...", told)[1]
    assert sorted(re.sub(f" {time}", "", one) for one in slowest.split(", ")) == [
        "occlusion (226 passes)",
        "rise (4000 passes)",
        "smooth_grad (25 passes)",
    ]
    told = estimate(net, batch, ("score_cam",), "0", 2, 10)
    assert re.search(rf"a photograph, about {time} in all: score_cam {time} \(6 passes\)$", told)


def test_the_command_tells_it_first_and_each_line_is_one(tmp_path, capsys):
    net = model_zoo.get_model("cifar_resnet20_v1", classes=10)
    net.initialize()
    net(mx.nd.array(images(1)))
    net.save_parameters(str(tmp_path / "net.params"))
    given = [
        "--model",
        "cifar_resnet20_v1",
        "--params",
        str(tmp_path / "net.params"),
        "--out",
        str(tmp_path / "out"),
    ]
    methods = "integrated_gradients,guided_backprop,guided_grad_cam,deconvnet"
    assert cli.main(["explain", str(CAT), *given, "--methods", methods]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("methods of many passes take about ")
    assert "(32 passes)" in lines[0]
    assert lines[1].startswith("cifar_resnet20_v1")
    assert lines[2] == "Guided backprop, Guided Grad-CAM and Deconvnet show edges as much as reasons."
