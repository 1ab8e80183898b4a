"""ask_net(): the net is asked with pixels taken away, and is what it was afterwards."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.attribution.faithfulness import (
    CURVES,
    RATIOS,
    average_drop,
    average_increase,
    deletion,
    full_and_kept,
    insertion,
)

from ..helpers.nets import images, random_state, small_net, state_of

PROBE = vc.ProbeSet(images(5, size=16), np.arange(5) % 4)
METHODS = ("grad_cam", "saliency", "guided_grad_cam")


def softmax_of(net):
    return lambda pictures: mx.nd.softmax(net(mx.nd.array(pictures))).asnumpy()


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_the_measures_give_for_the_nets_own_softmax(method):
    net = small_net(dropout=0.5, hybridize=True)
    result = vc.explain(net, PROBE, METHODS, targets="label")
    found = vc.ask_net(net, result, method, steps=7, batch_size=2)
    asked = (softmax_of(net), PROBE.images, result.at_image_size(method), result.predictions)
    np.testing.assert_allclose(found["deletion"], deletion(*asked, 7), rtol=1e-5)
    np.testing.assert_allclose(found["insertion"], insertion(*asked, 7), rtol=1e-5)
    full, kept = full_and_kept(*asked)
    assert np.nanmean(found["drop"]) == pytest.approx(average_drop(full, kept), rel=1e-5)
    assert np.nanmean(found["increase"]) == average_increase(full, kept)


def test_the_net_and_the_random_streams_are_left_alone():
    net = small_net(dropout=0.5, hybridize=True)
    net(mx.nd.array(PROBE.images))
    result = vc.explain(net, PROBE, "grad_cam")
    before = state_of(net)
    vc.ask_net(net, result, steps=3)
    assert state_of(net) == before
    moved = random_state()
    import random

    random.seed(0)
    np.random.seed(0)
    mx.random.seed(0)
    small_net(dropout=0.5)
    assert random_state() == moved


def test_only_what_is_asked_for_is_measured():
    net = small_net()
    result = vc.explain(net, PROBE, "saliency")
    assert list(vc.ask_net(net, result, "saliency", "deletion", steps=2)) == ["deletion"]
    assert list(vc.ask_net(net, result, "saliency", ("increase", "drop"))) == ["increase", "drop"]
    assert list(vc.ask_net(net, result, "saliency", steps=2)) == [*CURVES, *RATIOS]


def test_a_dead_map_is_undefined():
    net = small_net()
    net[4].bias.set_data(mx.nd.full((8,), -1e6))  # nothing passes the ReLU behind the layer
    result = vc.explain(net, PROBE, "grad_cam", layer="4")
    for values in vc.ask_net(net, result, steps=2).values():
        assert np.isnan(values).all()


def test_wrong_arguments_are_refused():
    net = small_net()
    result = vc.explain(net, PROBE, "saliency")
    with pytest.raises(ValueError, match="measures must be names from deletion.*got \\['removal'\\]"):
        vc.ask_net(net, result, "saliency", "removal")
    with pytest.raises(ValueError, match="got none"):
        vc.ask_net(net, result, "saliency", ())
    with pytest.raises(KeyError, match="grad_cam"):
        vc.ask_net(net, result)
    with pytest.raises(ValueError, match="steps must be an int of at least 1, got 0"):
        vc.ask_net(net, result, "saliency", steps=0)
    with pytest.raises(ValueError, match="seed must be an int of at least 0, got -1"):
        vc.ask_net(net, result, "saliency", seed=-1)
    with pytest.raises(ValueError, match="steps must be from 1 to the 256 pixels"):
        vc.ask_net(net, result, "saliency", steps=257)
