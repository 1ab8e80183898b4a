"""Targets: heads, contrasts and functions of one's own; and that a target stays the same on changed images."""

from __future__ import annotations

from collections import namedtuple

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.targets import contrast, detection, head, multi_label, segmentation

from ..helpers.nets import images, small_net, state_of

Answers = namedtuple("Answers", "colour shape")


class TwoHeads(gluon.Block):
    """Two classifiers of one trunk; their outputs as a tuple, a named tuple, a list in a tuple, or a mapping."""

    def __init__(self, kind=tuple):
        super().__init__()
        self.kind, self.trunk = kind, small_net()
        self.second = gluon.nn.Dense(3, in_units=4)
        self.second.initialize()

    def forward(self, x):
        first = self.trunk(x)
        second = self.second(first)
        kinds = {"named": Answers(first, second), "nested": (x, [first, second])}
        return kinds.get(self.kind, (first, second))


# Heads


@pytest.mark.parametrize(
    ("kind", "index"),
    [(tuple, 1), ("named", 1), ("named", "shape"), ("nested", (1, 1)), (tuple, np.int64(1))],
)
def test_a_head_keeps_predictions_and_probabilities(kind, index):
    net, batch = TwoHeads(kind), images(3)
    alone = gluon.nn.HybridSequential()
    alone.add(net.trunk, net.second)
    before = state_of(net)
    methods = ("grad_cam", "gradient", "integrated_gradients")
    for inner, labels in ((None, None), ("label", [2, 0, 1]), (2, None), ([2, 0, 1], None)):
        probe = vc.ProbeSet(batch, labels)
        found = vc.explain(net, probe, methods, targets=head(index, inner), batch_size=2)
        expected = vc.explain(alone, probe, methods, targets=inner, batch_size=2)
        for name in ("outputs", "probabilities", "scores"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found.predictions, expected.predictions)
        np.testing.assert_array_equal(found.targets, expected.targets)
        for name in methods:
            unit = np.abs(expected[name]).max()
            np.testing.assert_allclose(found[name] / unit, expected[name] / unit, atol=1e-4)
    assert state_of(net) == before


def test_a_head_takes_other_targets_and_functions():
    net, batch = TwoHeads(), images(3)
    outputs = net(mx.nd.array(batch))[1].asnumpy()
    by_function = vc.explain(net, batch, "gradient", targets=head(1, lambda y: y[:, 2] - y[:, 0]))
    np.testing.assert_allclose(by_function.scores, outputs[:, 2] - outputs[:, 0], rtol=1e-4, atol=1e-5)
    assert by_function.targets is None
    assert by_function.predictions.tolist() == outputs.argmax(axis=1).tolist()
    several = vc.explain(net, batch, "gradient", targets=head(1, multi_label([0, 1])))
    np.testing.assert_allclose(several.scores, outputs[:, :2].sum(axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("index", [2, "shape", (0, 1), (1, 0, 0)])
def test_a_head_that_is_not_there_is_refused_with_the_outputs_there_are(index):
    with pytest.raises(ValueError, match=r"head\(.*\(\(2, 4\), \(2, 3\)\), have no"):
        vc.explain(TwoHeads(), images(), targets=head(index))


@pytest.mark.parametrize("index", [(), None, 1.5, True])
def test_an_index_is_a_number_or_a_name(index):
    with pytest.raises((ValueError, TypeError)):
        head(index)


# Contrasts


def test_a_contrast_is_the_difference_of_two_classes():
    net, batch = small_net(), images(3)
    outputs = net(mx.nd.array(batch)).asnumpy()
    first, second = (vc.explain(net, batch, "gradient", targets=one)["gradient"] for one in (2, [0, 1, 3]))
    result = vc.explain(net, batch, "gradient", targets=contrast(2, [0, 1, 3]), batch_size=2)
    np.testing.assert_allclose(result["gradient"], first - second, atol=1e-6)
    rows = np.arange(3)
    np.testing.assert_allclose(result.scores, outputs[:, 2] - outputs[rows, [0, 1, 3]], rtol=1e-4, atol=1e-6)
    assert result.targets.tolist() == [2, 2, 2]


def test_the_strongest_rival_is_the_highest_of_the_others_and_stays_it():
    net, batch = small_net(), images(3, size=16)
    outputs = net(mx.nd.array(batch)).asnumpy()
    order = np.argsort(-outputs, axis=1)
    methods = ("gradient", "occlusion", "smooth_grad")
    result = vc.explain(net, batch, methods, targets=contrast(None))
    named = vc.explain(net, batch, methods, targets=contrast(order[:, 0], order[:, 1]))
    for name in methods:
        np.testing.assert_array_equal(result[name], named[name])
    np.testing.assert_array_equal(result.targets, order[:, 0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: contrast(1, 1), "two classes that differ, got 1 and 1"),
        (lambda: contrast("best"), "'label'"),
        (lambda: contrast(lambda y: y), "class_id must be a class"),
        (
            lambda: vc.explain(small_net(), vc.ProbeSet(images(), [0, 2]), targets=contrast("label", 2)),
            "image 1",
        ),
        (lambda: vc.explain(small_net(classes=1), images(), targets=contrast(0)), "one output"),
        (lambda: vc.explain(small_net(), images(), targets=contrast(0, 9)), "below .* 4, got 9"),
    ],
)
def test_a_contrast_of_what_cannot_be_compared_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Functions


def test_a_function_may_ask_which_images_it_scores():
    net, batch, labels = small_net(), images(5, size=16), np.array([3, 1, 0, 2, 2])
    asked = []

    def by_number(outputs, numbers):
        asked.append(numbers.tolist())
        return mx.nd.pick(outputs, mx.nd.array(labels[numbers]))

    methods = ("gradient", "occlusion")
    found = vc.explain(net, batch, methods, targets=by_number, batch_size=2)
    expected = vc.explain(net, batch, methods, targets=labels, batch_size=2)
    np.testing.assert_array_equal(found.scores, expected.scores)
    for name in methods:
        np.testing.assert_array_equal(found[name], expected[name])
    assert {tuple(numbers) for numbers in asked} == {(0, 1), (2, 3), (4,)}
    inside = vc.explain(TwoHeads(), batch, "gradient", targets=head(0, by_number), batch_size=2)
    assert len(inside.scores) == 5


def test_an_argument_with_a_default_is_the_functions_own():
    net, batch = small_net(), images(3)
    result = vc.explain(net, batch, "gradient", targets=lambda outputs, index=2: outputs[:, index])
    np.testing.assert_array_equal(result.scores, vc.explain(net, batch, "gradient", targets=2).scores)


def _late(outputs):
    mx.nd.array([1.0]).wait_to_read()
    return mx.nd.Custom(outputs, op_type="nowhere")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda y: mx.nd.pick(y, mx.nd.zeros(3)), "does not take what it is given: Shape inconsistent"),
        (lambda y: y[7][0], "IndexError"),
        (lambda y: y.nowhere, "AttributeError.*nowhere"),
        (_late, "_late, failed"),
    ],
)
def test_a_function_that_fails_is_named_and_not_the_net(function, reason):
    net = small_net()
    before = state_of(net)
    with pytest.raises(ValueError, match=f"targets function.*{reason}|{reason}") as caught:
        vc.explain(net, images(3), targets=function, batch_size=2)
    assert "on a batch of 2 of the 3 images" in str(caught.value)
    assert "the net failed" not in str(caught.value)
    assert "lambda outputs, numbers" in str(caught.value)
    assert state_of(net) == before
    assert len(vc.explain(net, images(3), "gradient").scores) == 3


def test_a_failing_net_is_not_the_functions_fault():
    with pytest.raises(ValueError, match="the net failed on images"):
        vc.explain(small_net(), images(channels=1), targets=lambda y: y[:, 0])


# The same question on changed images


class Segmenter(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.body = gluon.nn.HybridSequential()
        self.body.add(gluon.nn.Conv2D(6, 3, padding=1), gluon.nn.ELU(), gluon.nn.Conv2D(4, 3, padding=1))
        self.initialize(mx.init.Xavier(magnitude=3))

    def hybrid_forward(self, F, x):
        return self.body(x)


MANY = ("integrated_gradients", "occlusion", "smooth_grad", "score_cam")


def test_a_region_is_that_of_the_image_as_it_is():
    net, batch = Segmenter(), images(2, size=12)
    seen = net(mx.nd.array(batch)).asnumpy().argmax(axis=1) == 1
    chosen = vc.explain(net, batch, MANY, targets=segmentation(1), layer="body.0")
    named = vc.explain(net, batch, MANY, targets=segmentation(1, seen), layer="body.0")
    for name in MANY:
        np.testing.assert_array_equal(chosen[name], named[name])
    np.testing.assert_array_equal(chosen.target.region, seen)


class SortingDetector(gluon.Block):
    """Four boxes that never move, of two classes, sorted by their scores as a detector does it."""

    boxes = np.float32([[0, 0, 8, 8], [8, 0, 16, 8], [0, 8, 8, 16], [8, 8, 16, 16]])
    kinds = np.float32([0, 1, 0, 1])

    def __init__(self):
        super().__init__()
        self.conv = gluon.nn.Conv2D(4, 3, padding=1, activation="relu", in_channels=3)
        self.head = gluon.nn.Conv2D(1, 8, strides=8, in_channels=4)
        self.initialize(mx.init.Xavier(magnitude=3))

    def raw(self, x):
        return self.head(self.conv(x)).reshape((0, -1)).sigmoid()

    def forward(self, x):
        scores = self.raw(x)
        order = scores.asnumpy().argsort(axis=1)[:, ::-1]
        columns = [mx.nd.pick(scores, mx.nd.array(order[:, k])) for k in range(4)]
        return (
            mx.nd.array(self.kinds[order])[:, :, None],
            mx.nd.stack(*columns, axis=1).expand_dims(2),
            mx.nd.array(self.boxes[order]),
        )


class Unsorted(SortingDetector):
    def forward(self, x):
        return self.raw(x)


@pytest.mark.parametrize(("rank", "class_id"), [(0, None), (1, None), (0, 1), (1, 0)])
def test_a_detection_is_found_again_by_its_class_and_box(rank, class_id):
    net, batch = SortingDetector(), images(2, size=16, seed=3)
    known = net.raw(mx.nd.array(batch)).asnumpy()
    allowed = np.ones(4, bool) if class_id is None else net.kinds == class_id
    cell = np.argsort(np.where(allowed, -known, np.inf), axis=1)[:, rank]
    by_place = Unsorted()
    for own, other in zip(by_place.collect_params().values(), net.collect_params().values()):
        own.set_data(other.data())
    methods = ("gradient", "occlusion", "smooth_grad", "integrated_gradients")
    found = vc.explain(net, batch, methods, targets=detection(rank, class_id), layer="conv")
    expected = vc.explain(
        by_place, batch, methods, targets=lambda y, n: mx.nd.pick(y, mx.nd.array(cell[n])), layer="conv"
    )
    for name in methods:
        unit = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name] / unit, expected[name] / unit, atol=1e-5, err_msg=name)


def test_a_detection_that_is_gone_has_no_score():
    fixed = detection(class_id=2).fixed(
        (mx.nd.array([[2]]), mx.nd.array([[0.75]]), mx.nd.array([[[0, 0, 4, 4]]]))
    )
    elsewhere = (
        mx.nd.array([[2, 1]]),
        mx.nd.array([[0.75, 0.5]]),
        mx.nd.array([[[6, 6, 9, 9], [0, 0, 4, 4]]]),
    )
    assert fixed.score(elsewhere).asnumpy().tolist() == [0]
    # intersection over union: 2 x 4 of 4 x 4 + 2 x 4 is 1/2 against 1/9
    moved = (mx.nd.array([[2, 2]]), mx.nd.array([[0.75, 0.5]]), mx.nd.array([[[2, 2, 6, 6], [0, 0, 2, 4]]]))
    assert fixed.score(moved).asnumpy().tolist() == [0.5]


def test_a_fixed_target_asks_the_same_again():
    net, batch = small_net(), images(3)
    first = vc.explain(net, batch, "gradient", targets=contrast(None), batch_size=2)
    again = vc.explain(net, batch, "gradient", targets=first.target)
    np.testing.assert_allclose(again["gradient"], first["gradient"], atol=1e-7)
    some = vc.explain(net, batch[1:], "gradient", targets=first.target.pick(slice(1, 3)))
    np.testing.assert_allclose(some["gradient"], first["gradient"][1:], atol=1e-7)
