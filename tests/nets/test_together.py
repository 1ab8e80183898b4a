"""How many images share a pass: by what it keeps, counted by hand; and the same maps, however many."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.nets import compiled as compiled_module
from vizcallbacks.nets import together
from vizcallbacks.nets.compiled import CompiledNet
from vizcallbacks.nets.planning import LIMIT, Wanted

from ..helpers.nets import images, small_net

METHODS = ("grad_cam", "guided_grad_cam", "saliency", "gradient")


@pytest.fixture
def little(monkeypatch):
    """Less memory: that of two images of 32 px of the small net, and none too small to be looked at."""
    monkeypatch.setattr(compiled_module, "SMALL", 0)
    monkeypatch.setattr(together, "LIMIT", 2 * SMALL_NET)


# The small net on 3 x 32 x 32, BatchNorm folded, the first ReLU in place, the second not, as its input is tapped:
# 6 x 32 x 32 of the first convolution, 6 x 16 x 16 of the pool, 8 x 16 x 16 of the second convolution and as many
# of its ReLU, 8 of the mean, 8 of the dropout that passes them on, 4 of the dense layer; and twice the largest
SMALL_NET = 4 * (6 * 1024 + 6 * 256 + 8 * 256 + 8 * 256 + 8 + 8 + 4 + 2 * 6 * 1024)


def passes(monkeypatch):
    """How many images each pass with a record takes, from now on."""
    found, forward = [], CompiledNet.forward

    def watched(self, inputs, taps, wanted):
        if wanted.record:
            found.append(len(inputs[0]))
        return forward(self, inputs, taps, wanted)

    monkeypatch.setattr(CompiledNet, "forward", watched)
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_what_a_pass_keeps_is_what_is_counted_by_hand(count):
    with vc.instrumented(small_net()) as runner:
        run = runner.forward_to_last(mx.nd.array(images(count)))
        found, inputs, chosen = run.origin
        shapes = {name: one.shape for name, one in found.graph.arrays.items()}
        shapes["vizcallbacks_input_0"] = inputs[0].shape
        assert together.bytes_kept(found.plan(chosen, Wanted()), shapes, 4) == count * SMALL_NET


@pytest.mark.parametrize(
    ("count", "parts"), [(1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2]), (5, [2, 2, 1]), (7, [2, 2, 2, 1])]
)
def test_equal_parts_share_a_pass(little, monkeypatch, count, parts):
    found = passes(monkeypatch)
    vc.explain(small_net(), images(count), METHODS)
    assert found == parts


def test_a_small_batch_size_holds(little, monkeypatch):
    found = passes(monkeypatch)
    vc.explain(small_net(), images(5), METHODS, batch_size=3)
    assert found == [2, 1, 2]


def test_maps_do_not_depend_on_it(monkeypatch, little):
    net, x = small_net(), images(7)
    parts = vc.explain(net, x, METHODS, targets=[0, 1, 2, 3, 0, 1, 2])
    monkeypatch.setattr(together, "LIMIT", 2**40)
    found = passes(monkeypatch)
    whole = vc.explain(net, x, METHODS, targets=[0, 1, 2, 3, 0, 1, 2])
    assert found == [7]
    for name in METHODS:
        scale = np.abs(whole[name]).max()
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-5 * scale)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-5)
    np.testing.assert_allclose(parts.outputs, whole.outputs, rtol=1e-5, atol=1e-6)


def test_further_inputs_are_taken_apart_as_well(little):
    class Added(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def hybrid_forward(self, F, x, shift):
            return self.net(F.broadcast_add(x, F.reshape(shift, (-1, 1, 1, 1))))

    net, x, shifts = Added(), images(5), np.arange(5, dtype=np.float32) / 5
    result = vc.explain(net, x, "saliency", extra=(shifts,), targets=0)
    alone = vc.explain(net.net, x + shifts[:, None, None, None], "saliency", targets=0)
    np.testing.assert_allclose(result["saliency"], alone["saliency"], rtol=1e-4, atol=1e-7)


def test_a_net_that_looks_across_its_batch_is_not_taken_apart(little, monkeypatch):
    class Across(gluon.HybridBlock):
        """Normalises by the batch's own statistics, also in predict mode."""

        def __init__(self):
            super().__init__()
            self.net = small_net()

        def hybrid_forward(self, F, x):
            with mx.autograd.train_mode():
                x = F.BatchNorm(x, F.ones((3,)), F.zeros((3,)), F.zeros((3,)), F.ones((3,)), fix_gamma=False)
            return self.net(x)

    found = passes(monkeypatch)
    vc.explain(Across(), images(5), "saliency", targets=0)
    assert found == [5]


@pytest.mark.parametrize("methods", ["grad_cam", "saliency"])
def test_only_passes_down_to_the_image_are_taken_apart(little, monkeypatch, methods):
    found = passes(monkeypatch)
    vc.explain(small_net(), images(4), methods)
    assert found == ([4] if methods == "grad_cam" else [2, 2])


def test_few_small_images_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(together, "LIMIT", 1)
    found = passes(monkeypatch)
    vc.explain(small_net(), images(4), METHODS)
    assert found == [4]


def test_what_is_held_of_batches_of_many_sizes_is_bounded(little):
    with vc.instrumented(small_net()) as runner:
        for size in range(4, 4 + LIMIT + 3):
            x = mx.nd.array(images(1, size=size))
            assert runner.together(x, None, (), image=True, guided=True) == 1
        assert len(runner.forward(x, []).origin[0].plans.together) == LIMIT
