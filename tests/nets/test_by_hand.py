"""ReLUs and sums that are run where their values lie: nothing is written over that is still needed."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.nets.by_hand import RELU, SUM
from vizcallbacks.nets.planning import Simple, Wanted

from ..helpers import onednn
from ..helpers.nets import Functional, images

VALUES = np.array([[-2.0, 0.5], [3.0, 0.0]], np.float32)
GRADIENT = np.array([[1.0, -2.0], [4.0, 8.0]], np.float32)


def test_a_relu_is_written_over_its_input_only_if_told():
    x = mx.nd.array(VALUES)
    assert RELU.run([x], None).asnumpy().tolist() == [[0, 0.5], [3, 0]]
    assert x.asnumpy().tolist() == VALUES.tolist()
    assert RELU.run([x], 0).asnumpy().tolist() == [[0, 0.5], [3, 0]]
    assert x.asnumpy().tolist() == [[0, 0.5], [3, 0]]


@pytest.mark.parametrize("given", [False, True])
def test_a_relus_gradient_passes_where_the_output_is_above_zero(given):
    spare = mx.nd.array([[7.0, 7.0], [7.0, 7.0]]) if given else None
    gradient = mx.nd.array(GRADIENT)
    (found,) = RELU.backward(gradient, mx.nd.array(np.maximum(VALUES, 0)), lambda: spare, 1)
    assert found.asnumpy().tolist() == [[0, -2], [4, 0]]
    assert gradient.asnumpy().tolist() == GRADIENT.tolist()
    assert not given or spare.asnumpy().tolist() == [[0, -2], [4, 0]]


@pytest.mark.parametrize("over", [0, 1])
def test_a_sum_is_written_over_the_input_that_is_named(over):
    pair = [mx.nd.array(VALUES), mx.nd.array(GRADIENT)]
    assert SUM.run(pair, over).asnumpy().tolist() == (VALUES + GRADIENT).tolist()
    assert pair[over].asnumpy().tolist() == (VALUES + GRADIENT).tolist()
    assert pair[1 - over].asnumpy().tolist() == [VALUES, GRADIENT][1 - over].tolist()
    one = mx.nd.ones((2,))
    assert all(part is one for part in SUM.backward(one, pair[0], lambda: None, 2))


def test_sums_of_maps_and_of_gradients_are_written_in_place_by_onednns_account():
    code = (
        "import numpy as np\n"
        "import vizcallbacks as vc\n"
        "from vizcallbacks.mxnet_door import gluon, mx\n"
        "block = gluon.model_zoo.vision.BasicBlockV1\n"
        "net = gluon.nn.HybridSequential()\n"
        "net.add(gluon.nn.Conv2D(16, 3, padding=1, in_channels=3), gluon.nn.Activation('relu'))\n"
        "net.add(block(16, 1, in_channels=16), block(16, 1, in_channels=16))\n"
        "net.add(gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(3))\n"
        "net.initialize()\n"
        "net(mx.nd.ones((1, 3, 16, 16)))\n"
        "mx.nd.waitall()\n"
        f"print({onednn.MARK!r}, flush=True)\n"
        "vc.explain(net, np.ones((2, 3, 16, 16), np.float32))\n"
    )
    lines = onednn.ran(code)
    kinds = [fields[3] for fields in lines]
    # one forward, and one of gradients in each of the two walks, for both blocks; not hybridized: also compared
    assert kinds.count("sum") >= 6
    layouts = [fields[6].split() for fields in lines if fields[3] == "reorder" and "2x16x16x16" in fields[-2]]
    copies = [one for one in layouts if one[0].split(":", 1)[1] == one[1].split(":", 1)[1]]
    assert copies == []


def net_of(function):
    """A convolution without a bias, the function, a mean and a dense layer; random weights."""
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3, padding=1, in_channels=3, use_bias=False),
        Functional(function),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Dense(2, in_units=4),
    )
    mx.random.seed(3)
    net.initialize(mx.init.Xavier(magnitude=3))
    return net


def by_numpy(net, x, function, slope):
    """Score and gradients of class 0, for a function of the convolution's output with its slope: in float64."""
    weight = net[0].weight.data().asnumpy().astype(np.float64)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    n, _, height, width = x.shape
    a = np.zeros((n, 4, height, width))
    for i in range(3):
        for j in range(3):
            a += np.einsum("nchw,oc->nohw", padded[:, :, i : i + height, j : j + width], weight[:, :, i, j])
    dense = net[3].weight.data().asnumpy().astype(np.float64)[0]
    head = dense[None, :, None, None] / (height * width) * np.ones_like(a)
    score = (function(a) * head).sum(axis=(1, 2, 3)) + net[3].bias.data().asnumpy()[0]
    inner = head * slope(a)
    found = np.zeros_like(padded)
    for i in range(3):
        for j in range(3):
            part = np.einsum("nohw,oc->nchw", inner, weight[:, :, i, j])
            found[:, :, i : i + height, j : j + width] += part
    return a, score, inner, found[:, :, 1:-1, 1:-1]


STEP = lambda a: (a > 0).astype(float)  # noqa: E731
CASES = {
    # the function in MXNet, in NumPy, its derivative; how many operators are run by hand, how many in place
    "a ReLU": (lambda F, a: F.relu(a), lambda a: np.maximum(a, 0), STEP, 1, 1),
    "a ReLU beside a sum with its input": (
        lambda F, a: F.relu(a) + a,
        lambda a: np.maximum(a, 0) + a,
        lambda a: STEP(a) + 1,
        1,
        0,
    ),
    "a value added to itself": (
        lambda F, a: F.relu(F.elemwise_add(a, a)),
        lambda a: np.maximum(2 * a, 0),
        lambda a: 2 * STEP(a),
        2,
        1,
    ),
    "two ReLUs of one value, added": (
        lambda F, a: F.relu(F.elemwise_add(F.relu(a), F.relu(-a))),
        np.abs,
        np.sign,
        4,
        1,
    ),
    "a shortcut": (
        lambda F, a: F.relu(F.elemwise_add(F.relu(a), a * 0.5)),
        lambda a: np.maximum(np.maximum(a, 0) + 0.5 * a, 0),
        lambda a: 1.5 * STEP(a),
        3,
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_maps_and_gradients_are_those_of_numpy_whatever_is_written_over(name):
    function, by_hand, slope, _, _ = CASES[name]
    net, x = net_of(function), images(2, size=7)
    a, score, inner, expected = by_numpy(net, x, by_hand, slope)
    with vc.instrumented(net) as runner:
        run = runner.forward(mx.nd.array(x))
        with mx.autograd.record(train_mode=False):
            chosen = run.outputs[:, 0]
        run.tape.close(chosen)
        tapped = run.ran[0][1]
        first = run.tape.walk([tapped, run.images])
        run.tape.walk([run.images], guided=True)
        again = run.tape.walk([tapped, run.images], last=True)
    np.testing.assert_allclose(tapped.asnumpy(), a, atol=1e-5)
    np.testing.assert_allclose(chosen.asnumpy(), score, atol=1e-5)
    for found in (first, again):
        np.testing.assert_allclose(found[0], inner, atol=1e-6)
        np.testing.assert_allclose(found[1], expected, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_what_is_run_by_hand_and_what_written_over(name):
    function, *_, many, over = CASES[name]
    with vc.instrumented(net_of(function)) as runner:
        compiled, _, taps = runner.forward(mx.nd.array(images(1, size=7)), []).origin
        steps = [step for step in compiled.plan(taps, Wanted()).steps if isinstance(step, Simple)]
    assert len(steps) == many
    assert sum(step.over is not None for step in steps) == over


def test_guided_gradients_of_a_sum_are_rectified_behind_it():
    """At y = relu(a + relu(b)) only positive gradient goes on, and through the sum it is handed to both."""
    net, x = net_of(lambda F, a: F.relu(F.elemwise_add(F.relu(a), a * 0.5))), images(1, size=7)
    a, _, _, _ = by_numpy(net, x, lambda a: a, lambda a: a)
    dense = net[3].weight.data().asnumpy().astype(np.float64)[0][None, :, None, None] / 49
    head = np.maximum(dense, 0) * (a > 0)
    expected = head + 0.5 * head
    with vc.instrumented(net) as runner:
        run = runner.forward(mx.nd.array(x))
        with mx.autograd.record(train_mode=False):
            chosen = run.outputs[:, 0]
        run.tape.close(chosen)
        (found,) = run.tape.walk([run.ran[0][1]], guided=True, last=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
