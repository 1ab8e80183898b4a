"""Nets that return their arrays in dicts, as those of other libraries do: `head("logits")`, or a plain refusal."""

from __future__ import annotations

import collections

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc

from ..helpers.nets import images, state_of

METHODS = ("grad_cam", "guided_backprop", "gradient")


class Backbone(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.first = gluon.nn.Conv2D(4, 3, padding=1, activation="relu", in_channels=3)
        self.last = gluon.nn.Conv2D(5, 3, activation="relu", in_channels=4)
        self.dense = gluon.nn.Dense(3, in_units=5 * 10 * 10)

    def parts(self, x):
        features = self.last(self.first(x))
        return self.dense(features), features

    def hybrid_forward(self, F, x):
        return self.parts(x)[0]


class HybridDict(Backbone):
    def hybrid_forward(self, F, x):
        logits, features = self.parts(x)
        return {"features": features, "logits": logits}


class PlainDict(HybridDict):
    def forward(self, x):
        logits, features = self.parts(x)
        return {"features": features, "logits": logits, "scale": 2.5, "kind": "dict", "more": None}


class Output(collections.OrderedDict):
    """As other libraries have it: its entries are attributes, too."""

    def __getattr__(self, name):
        if name in self:
            return self[name]
        raise AttributeError(name)


class OwnDict(PlainDict):
    def forward(self, x):
        return Output(super().forward(x))


class NestedDict(PlainDict):
    def forward(self, x):
        found = super().forward(x)
        return {"aux": [found["features"]], "main": {"logits": found["logits"]}}


class Outcome:
    def __init__(self, logits):
        self.logits = logits


class Odd(PlainDict):
    def forward(self, x):
        return Outcome(super().forward(x)["logits"])


def built(cls):
    mx.random.seed(3)
    net = cls()
    net.initialize(mx.init.Xavier())
    return net


PATHS = {HybridDict: "logits", PlainDict: "logits", OwnDict: "logits", NestedDict: ("main", "logits")}


@pytest.mark.parametrize("cls", PATHS)
def test_a_head_of_a_dict_is_explained_as_the_net_that_returns_it_alone(cls):
    net, batch = built(cls), images(4, size=12)
    before = state_of(net)
    found = vc.explain(net, batch, METHODS, targets=vc.targets.head(PATHS[cls]), batch_size=3)
    alone = vc.explain(built(Backbone), batch, METHODS, batch_size=3)
    assert state_of(net) == before
    for method in METHODS:
        np.testing.assert_allclose(found[method], alone[method], atol=1e-6, err_msg=method)
    np.testing.assert_allclose(found.outputs, alone.outputs, atol=1e-6)
    assert (found.predictions == alone.predictions).all()
    np.testing.assert_allclose(found.probabilities, alone.probabilities, atol=1e-6)
    assert found.relus == (2, 2)


@pytest.mark.parametrize("cls", PATHS)
def test_without_a_head_the_way_out_names_the_output_with_the_classes(cls):
    path = PATHS[cls] if isinstance(PATHS[cls], tuple) else f"'{PATHS[cls]}'"
    with pytest.raises(ValueError, match=r"returned \{.*logits: \(2, 3\)") as raised:
        vc.explain(built(cls), images(2, size=12), "grad_cam")
    assert f"targets=vizcallbacks.targets.head({path})" in str(raised.value)


def test_a_function_gets_the_net_s_own_kind_of_dict():
    net, batch = built(OwnDict), images(2, size=12)
    found = vc.explain(
        net, batch, "gradient", targets=lambda outputs: outputs.logits[:, 1] * outputs["scale"]
    )
    single = vc.explain(built(Backbone), batch, "gradient", targets=1)
    np.testing.assert_allclose(found["gradient"], 2.5 * single["gradient"], atol=1e-6)


def test_measures_that_run_the_net_again_take_dicts():
    net, batch = built(PlainDict), images(3, size=12)
    target = vc.targets.head("logits")
    found = vc.explain(net, batch, ("grad_cam", "occlusion"), targets=target)
    alone = vc.explain(built(Backbone), batch, ("grad_cam", "occlusion"))
    np.testing.assert_allclose(found["occlusion"], alone["occlusion"], atol=1e-5)
    asked, other = vc.ask_net(net, found), vc.ask_net(built(Backbone), alone)
    np.testing.assert_allclose(asked["deletion"], other["deletion"], atol=1e-5)
    assert vc.sanity(net, batch, "grad_cam", targets=target, stages=2).stages == (
        "head (dense)",
        "all (first)",
    )


def test_a_monitor_keeps_predictions_and_probabilities_of_the_head(tmp_path):
    probe = vc.ProbeSet(images(3, size=12), [0, 1, 2])
    with vc.AttentionMonitor(
        probe, tmp_path, "grad_cam", targets=vc.targets.head("logits", "label"), on_error="raise"
    ) as monitor:
        taken = monitor.snapshot(built(HybridDict), 0)
    alone = vc.explain(built(Backbone), probe, "grad_cam")
    assert (taken.predictions == alone.predictions).all()
    np.testing.assert_allclose(taken.confidence, alone.confidence, atol=1e-6)
    assert (taken.targets == probe.labels).all()


def test_other_objects_are_refused_with_the_way_out():
    with pytest.raises(
        ValueError, match="lists, tuples and dicts of them, but returned a Outcome; explain a gluon.Block"
    ):
        vc.explain(built(Odd), images(2, size=12), "grad_cam", targets=0)


def test_named_tuples_are_told_by_the_names_of_their_fields():
    Both = collections.namedtuple("Both", "features logits")

    class Named(PlainDict):
        def forward(self, x):
            return Both(*(super(Named, self).forward(x)[name] for name in Both._fields))

    with pytest.raises(ValueError, match=r"\(features=\(2, 5, 10, 10\), logits=\(2, 3\)\).*head\('logits'\)"):
        vc.explain(built(Named), images(2, size=12), "grad_cam")
