"""What methods of many passes will run is known before, and is what they run."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.attribution.counting import Counted, count_passes, time_passes
from vizcallbacks.attribution.methods import METHODS, Method
from vizcallbacks.nets.passes import Passes

from ..helpers.nets import images, small_net, state_of

OWN = [name for name, method in METHODS.items() if "passes" in method.needs]
LAYER = np.zeros((3, 8, 4, 4), np.float32)


def test_each_methods_passes_are_counted():
    batch = images(3, size=16)
    found = count_passes(["grad_cam", "ablation_cam", "lrp", *OWN], batch, LAYER)
    assert found == {
        "score_cam": Counted(8, False),
        "smooth_grad": Counted(25, True),
        "smooth_grad_squared": Counted(25, True),
        "var_grad": Counted(25, True),
        "integrated_gradients": Counted(32, True),
        "expected_gradients": Counted(2 * 8, True),  # two other images
        "occlusion": Counted(15 * 15 + 1, False),  # patches of 2 at every pixel
        "rise": Counted(4000, False),
    }


@pytest.mark.parametrize("name", [name for name in OWN if name != "rise"])
def test_what_is_counted_is_what_runs(name, monkeypatch):
    ran = []
    forward = Passes._forward
    monkeypatch.setattr(
        Passes,
        "_forward",
        lambda self, group, record=True: ran.append((record, len(group))) or forward(self, group, record),
    )
    net, batch = small_net(), images(3, size=16)
    vc.explain(net, batch, name, layer="4" if "activation" in METHODS[name].needs else None)
    counted = count_passes([name], batch, LAYER)[name]
    assert sum(count for walks, count in ran if walks == counted.walks) == counted.passes
    assert sum(count for _, count in ran) <= counted.passes + 3  # the ends of paths


def test_a_newcomers_passes_are_counted_too(monkeypatch):
    def halves(passes):
        return passes.scores((passes.images * part for part in (0.5, 1)), 2, "Halves").T[:, :, None]

    monkeypatch.setitem(METHODS, "halves", Method(halves, ("passes",), "image", True, True, "Halves"))
    assert count_passes(["halves"], images(1), LAYER) == {"halves": Counted(2, False)}


def test_passes_are_timed_and_nothing_of_the_net_moves():
    net = small_net(dropout=0.5)
    net(mx.nd.array(images(1)))
    before = state_of(net)
    assert all(seconds > 0 for seconds in time_passes(net, images(4)))
    assert state_of(net) == before
