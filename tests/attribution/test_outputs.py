"""What outputs mean: probabilities, predicted classes, and nets that have neither."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.attribution.outputs import kind_of, predictions_of, probabilities_of
from vizcallbacks.pictures.panels import header_of

from ..helpers.nets import images, small_net

LOGITS = np.float32([[0, np.log(3)], [np.log(4), 0]])


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        (LOGITS, "logits"),
        (np.float32([[0.25, 0.75], [1, 0]]), "probabilities"),
        (np.float32([[0.25, 0.7504]]), "probabilities"),
        (np.float32([[0.25, 0.75], [0.5, 0.6]]), "logits"),
        (np.float32([[1.25, -0.25]]), "logits"),
        (np.float32([[np.nan, 1], [0.5, 0.5]]), "probabilities"),
        (np.float32([[np.nan, np.nan]]), "logits"),
        (np.float32([[0.5], [1]]), None),
    ],
)
def test_outputs_that_sum_to_one_are_probabilities(outputs, kind):
    assert kind_of(outputs) == kind


def test_probabilities_by_hand():
    np.testing.assert_allclose(probabilities_of(LOGITS, "logits"), [[0.25, 0.75], [0.8, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(probabilities_of(LOGITS, "sigmoid"), [[0.5, 0.75], [0.8, 0.5]], rtol=1e-6)
    given = np.float32([[0.25, 0.75]])
    np.testing.assert_array_equal(probabilities_of(given, "probabilities"), given)
    assert probabilities_of(np.float32([[3]]), "logits") is None
    assert probabilities_of(np.float32([[3]]), None) is None
    np.testing.assert_array_equal(probabilities_of(np.float32([[-1e30]]), "sigmoid"), [[0]])
    with pytest.raises(ValueError, match="range from 0 to 1.386; output='logits'"):
        probabilities_of(LOGITS, "probabilities")


def test_predictions_of_one_output_need_a_probability():
    one = np.float32([[0.3], [-0.2], [np.nan]])
    assert predictions_of(one) is None
    assert predictions_of(one, probabilities_of(one, "sigmoid")).tolist() == [1, 0, -1]
    assert predictions_of(LOGITS).tolist() == [1, 0]


def softmax_net(scale=20):
    net = gluon.nn.HybridSequential()
    net.add(small_net(), gluon.nn.HybridLambda(lambda F, x: F.softmax(x * scale)))
    return net


def test_a_net_that_ends_in_softmax_keeps_its_probabilities():
    net = softmax_net()
    result = vc.explain(net, images(4), "gradient")
    np.testing.assert_array_equal(result.probabilities, result.outputs)
    assert result.output == "probabilities"
    told = vc.explain(net, images(4), "gradient", output="logits")
    assert told.output == "logits"
    assert told.probabilities.max() < 0.5


def test_one_output_has_a_score_and_no_classes_unless_told():
    net, probe = small_net(classes=1), vc.ProbeSet(images(4), [0, 1, 1, 0])
    result = vc.explain(net, probe, "gradient")
    assert result.probabilities is None
    assert result.predictions is None
    assert result.confidence is None
    outputs = net(mx.nd.array(probe.images)).asnumpy()
    np.testing.assert_allclose(result.scores, outputs[:, 0], rtol=1e-5)
    told = vc.explain(net, probe, "gradient", output="sigmoid")
    np.testing.assert_allclose(told.probabilities, 1 / (1 + np.exp(-outputs)), rtol=1e-5)
    np.testing.assert_array_equal(told.predictions, outputs[:, 0] >= 0)
    np.testing.assert_allclose(told.confidence, 1 / (1 + np.exp(-np.abs(outputs[:, 0]))), rtol=1e-5)
    with pytest.raises(ValueError, match="one output has a score and no classes: targets=0"):
        vc.explain(net, probe, targets="label")


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="output must be None or one of 'logits', .* got 'softmax'"):
        vc.explain(small_net(), images(), output="softmax")


def test_a_monitor_of_one_output_tells_the_score(tmp_path):
    net, probe = small_net(classes=1), vc.ProbeSet(images(3), [0, 1, 1])
    with vc.AttentionMonitor(probe, tmp_path, targets=None, on_error="raise") as monitor:
        found = monitor.snapshot(net, 1)
    assert np.isnan(found.confidence).all()
    assert found.predictions.tolist() == [-1, -1, -1]
    assert header_of(probe, 1, -1, np.nan, score=2.0).label.endswith(" · score 2")


# The layer of targets that score places


class Segmenter(gluon.HybridBlock):
    """Two convolutions and one that makes the scores, which some ReLU and pooling follow."""

    def __init__(self, depth=3):
        super().__init__()
        self.body = gluon.nn.HybridSequential()
        for _ in range(depth):
            self.body.add(gluon.nn.Conv2D(4, 3, padding=1))
        self.aside = gluon.nn.Conv2D(2, 1)
        self.initialize(mx.init.Xavier(magnitude=3))

    def hybrid_forward(self, F, x):
        return F.UpSampling(self.body(x), scale=2, sample_type="nearest"), self.aside(x)


def test_segmentation_looks_at_the_last_layer_below_the_scores():
    net, batch = Segmenter(), images(2, size=12)
    result = vc.explain(net, batch, "grad_cam", targets=vc.targets.segmentation(1))
    assert (result.layer, result.remarks) == ("body.1", ())
    inside = vc.explain(net, batch, "grad_cam", targets=vc.targets.head(0, vc.targets.segmentation(1)))
    assert inside.layer == "body.1"
    regions = [np.zeros((24, 24), bool) for _ in range(2)]
    regions[0][:12], regions[1][12:] = True, True
    targets = [vc.targets.segmentation(1, one) for one in regions]
    maps = [vc.explain(net, batch, "hires_cam", targets=one)["hires_cam"] for one in targets]
    assert not np.allclose(*maps)


def test_segmentation_by_one_layer_has_a_remark():
    net = Segmenter(depth=1)
    result = vc.explain(net, images(2, size=12), "grad_cam", targets=vc.targets.segmentation(1))
    assert result.layer == "body.0"
    assert "computes the scores themselves" in result.remarks[0]
    assert (
        vc.explain(net, images(2, size=12), "grad_cam", targets=lambda y: y[1].sum((1, 2, 3))).remarks == ()
    )
