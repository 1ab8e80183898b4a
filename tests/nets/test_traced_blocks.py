"""A trace is held to what each block returned, not to the net's outputs alone, which may hide a difference."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet import gluon

import vizcallbacks as vc

from ..helpers.nets import images


class AsksForF(gluon.HybridBlock):
    """Twice its input on symbols, three times on arrays."""

    def hybrid_forward(self, F, x):
        return x * 3 if F is mx.nd else x * 2


class Hidden(gluon.HybridBlock):
    """What the block returns shows in the output where the image is positive only."""

    def __init__(self):
        super().__init__()
        self.conv, self.odd = gluon.nn.Conv2D(2, 3, in_channels=3, use_bias=False), AsksForF()

    def hybrid_forward(self, F, x):
        return F.relu(self.odd(self.conv(x))).mean(axis=(2, 3))


def test_a_block_that_differs_in_the_trace_is_found_though_the_first_image_hides_it():
    net = Hidden()
    net.initialize(mx.init.One())
    batch = np.stack([-(images(1)[0] ** 2) - 1, images(1)[0] ** 2 + 1]).astype(np.float32)
    found = vc.explain(net, batch, "gradient", targets=0)
    assert found.route == "recorded"
    assert found.reason == "block 'odd' gives another output in the trace"
    side = batch.shape[2] - 2
    inner = found["gradient"][
        :, :, 2:-2, 2:-2
    ]  # each pixel there is in 9 windows, of side**2 of which is the mean
    np.testing.assert_allclose(inner[0], 0, atol=1e-9)
    np.testing.assert_allclose(inner[1], 3 * 9 / side**2, rtol=1e-5)


def test_a_net_whose_blocks_agree_stays_traced():
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3, activation="relu"),
        gluon.nn.Dropout(0.5),
        gluon.nn.BatchNorm(),
        gluon.nn.Dense(3),
    )
    net.initialize()
    assert vc.explain(net, images(), "grad_cam").route == "traced"
