"""Every family of the model zoos: same forward pass, right gradient, every activation found, all restored."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

import vizcallbacks as vc

from ..helpers.families import FAMILIES, family_net, first, make
from ..helpers.known_weights import Plain
from ..helpers.nets import images, state_of


def traced_activations(member, **options):
    """Counts by kind in the net's symbol: found by tracing, not by running."""
    outputs = make(member, **options)(mx.sym.var("data"))
    symbol = mx.sym.Group(list(outputs)) if isinstance(outputs, (list, tuple)) else outputs
    counts = {"relu": 0, "gate": 0, "smooth": 0}
    nodes = json.loads(symbol.tojson())["nodes"]
    for node in nodes:
        attrs = node.get("attrs", {})
        act_type = attrs.get("act_type")
        if node["op"] == "relu" or (node["op"] == "LeakyReLU" and act_type in (None, "leaky")):
            counts["relu"] += 1
        elif node["op"] == "Activation":
            counts[{"relu": "relu", "sigmoid": "gate"}[act_type]] += 1
        elif node["op"] == "clip":
            assert attrs["a_min"] == "0"
            shifted = nodes[node["inputs"][0][0]]["op"] == "_plus_scalar"
            counts["gate" if shifted else "relu"] += 1
    return counts


def double_twin(net, family):
    twin = make(family.member, **family.options)
    twin.initialize()
    twin.cast("float64")
    for own, other in zip(twin.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data().astype("float64"))
    return twin


@functools.lru_cache(maxsize=1)  # both ways to explain a net leave it as it was
def nets_of(member):
    """(the net, the one of which finite differences are taken)."""
    (family,) = [one for one in RUNNING if one.member == member]
    net = family_net(family)
    return net, double_twin(net, family) if family.double else net


ONEDNN = os.environ.get("MXNET_MKLDNN_ENABLED") != "0"
RUNNING = [family for family in FAMILIES if family.onednn or not ONEDNN]


@pytest.mark.skipif(not ONEDNN, reason="runs in the process that this test starts: no third one")
def test_families_that_mxnet_cannot_train_with_onednn_are_explained_right_without():
    chosen = " or ".join(family.member for family in FAMILIES if not family.onednn)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", __file__, "-k", chosen],
        check=True,
        env={**os.environ, "MXNET_MKLDNN_ENABLED": "0", "MXNET_STORAGE_FALLBACK_LOG_VERBOSE": "0"},
        timeout=600,
    )


@pytest.mark.parametrize("route", ["by itself", "recorded"])
@pytest.mark.parametrize("family", RUNNING, ids=lambda family: family.member)
def test_the_family_is_explained_right_and_left_as_it_was(family, route):
    batch = images(2 if family.size < 224 else 1, size=family.size)
    targets = np.array([3, 8])[: len(batch)]
    net, twin = nets_of(family.member)
    data = mx.nd.array(batch)
    expected = first(net(data)).asnumpy()
    before = state_of(net)

    def score(outputs):
        return mx.nd.pick(first(outputs), mx.nd.array(targets, dtype=first(outputs).dtype), axis=1)

    methods = ("gradient", "guided_backprop", "grad_cam")
    shown = net if route == "by itself" else Plain(net)
    result = vc.explain(shown, batch, methods, targets=score)
    assert result.route == ("traced" if route == "by itself" and not family.modes else "recorded")
    assert result.purity.pure

    assert state_of(net) == before
    # the pass runs the kernels of training, which round otherwise than those of predict mode
    np.testing.assert_allclose(
        result.scores, expected[range(len(batch)), targets], rtol=0, atol=1e-5 * np.abs(expected).max()
    )
    np.testing.assert_array_equal(first(net(data)).asnumpy(), expected)

    traced = traced_activations(family.traced_as or family.member, **family.options)
    assert result.relus == (traced["relu"], traced["relu"])
    assert result.plain_activations == {"gate": traced["gate"], "smooth": traced["smooth"]}
    assert result.unguided == ()
    assert result["guided_backprop"].any()
    assert not np.array_equal(result["guided_backprop"], result["gradient"])

    # finite differences in double precision agree to seven digits; where an operator computes in single precision
    # whatever the type, the step must be larger and meets kinks
    step_size, tolerance, dtype = (1e-6, 1e-3, "float64") if family.double else (1e-3, 2e-2, "float32")
    slope = result["gradient"].astype(np.float64)
    noise = np.random.RandomState(1).normal(size=slope.shape)
    step = slope / norm(slope) + noise / norm(noise)
    step *= step_size * np.abs(result.scores).reshape(-1, 1, 1, 1) / norm(slope)
    above, below = (score(twin(mx.nd.array(batch + way * step, dtype=dtype))).asnumpy() for way in (1, -1))
    np.testing.assert_allclose((slope * step).sum(axis=(1, 2, 3)), (above - below) / 2, rtol=tolerance)


def norm(array):
    return np.sqrt((array**2).sum(axis=(1, 2, 3), keepdims=True))
