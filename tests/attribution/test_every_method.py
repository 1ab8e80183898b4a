"""What holds for every method of the table on nets, newcomers included."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS

from ..helpers.few_passes import with_few_passes
from ..helpers.known_weights import Plain
from ..helpers.nets import images, small_net

APPROXIMATED = {"feature_factors": 1e-2}
"""Whose maps come from many updates, in which rounding adds up."""


@pytest.fixture(autouse=True)
def _(monkeypatch):
    with_few_passes(monkeypatch)


def assert_alike(name, maps, others):
    assert np.abs(maps).max() > 0
    np.testing.assert_allclose(others, maps, rtol=0, atol=APPROXIMATED.get(name, 1e-4) * np.abs(maps).max())


@pytest.mark.parametrize("name", METHODS)
def test_traced_and_recorded_nets_agree(name):
    net, batch = small_net(), images(3, size=16)
    traced, recorded = (vc.explain(one, batch, name, targets=[0, 1, 2]) for one in (net, Plain(net)))
    assert (traced.route, recorded.route) == ("traced", "recorded")
    assert_alike(name, traced[name], recorded[name])


@pytest.mark.parametrize("name", METHODS)
def test_batches_of_a_call_are_of_no_consequence(name):
    net, batch = small_net(), images(3, size=16)
    whole, parts = (vc.explain(net, batch, name, targets=[0, 1, 2], batch_size=size) for size in (16, 2))
    assert_alike(name, whole[name], parts[name])
    if not METHODS[name].sees_all:
        for i in range(3):
            assert_alike(
                name, whole[name][i : i + 1], vc.explain(net, batch[i : i + 1], name, targets=i)[name]
            )
