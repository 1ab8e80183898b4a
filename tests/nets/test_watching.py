"""MXNet's calls are seen by one thread, for one `with` block, and MXNet is itself again afterwards, always."""

from __future__ import annotations

import signal
import sys
import threading

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.nets import watching
from vizcallbacks.nets.operators import OPERATORS
from vizcallbacks.nets.watching import operator_name, watched

from ..helpers.nets import images, small_net, state_of


class Listener:
    """Notes what it sees."""

    def __init__(self):
        self.seen = []

    def invoke(self, native, handle, *rest):
        self.seen.append(operator_name(handle))
        return native(handle, *rest)

    def allocate(self, native, *args, **kwargs):
        return native(*args, **kwargs)

    def copy_from(self, native, array, source):
        native(array, source)

    def read(self, native, array):
        self.seen.append("read")
        return native(array)


def originals():
    """What is replaced, wherever it is."""
    found = {
        (name, one): module.__dict__[one]
        for name, module in list(sys.modules.items())
        if name.startswith("mxnet") and hasattr(module, "__dict__")
        for one in ("_imperative_invoke", "_new_alloc_handle")
        if one in module.__dict__
    }
    for name in ("_sync_copyfrom", "asnumpy"):
        found[name] = mx.nd.NDArray.__dict__[name]
    found["function"] = autograd.Function.__dict__["__call__"]
    found["tensordot"] = mx.ndarray.numpy._op._api_internal.tensordot
    return found


NATIVE = originals()


def test_calls_of_this_thread_are_seen_and_only_inside_the_block():
    listener = Listener()
    mx.nd.relu(mx.nd.ones(2))
    with watched(listener):
        mx.nd.relu(mx.nd.ones(2)).asnumpy()
        thread = threading.Thread(target=lambda: mx.nd.tanh(mx.nd.ones(2)).asnumpy())
        thread.start()
        thread.join()
    mx.nd.sigmoid(mx.nd.ones(2))
    assert listener.seen == ["_ones", "relu", "read"]
    assert originals() == NATIVE


def test_two_threads_that_watch_at_once_see_their_own_calls_and_leave_mxnet_as_it_was():
    listeners, gate = [Listener(), Listener()], threading.Barrier(2)

    def run(listener, function):
        gate.wait()
        with watched(listener):
            gate.wait()
            for _ in range(50):
                function(mx.nd.ones(2))
            gate.wait()

    pairs = zip(listeners, (mx.nd.relu, mx.nd.tanh))
    threads = [threading.Thread(target=run, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [listener.seen for listener in listeners] == [["_ones", "relu"] * 50, ["_ones", "tanh"] * 50]
    assert originals() == NATIVE


class Interrupted(gluon.Block):
    def forward(self, x):
        signal.raise_signal(signal.SIGINT)
        return x


class Fails(gluon.Block):
    def forward(self, x):
        raise ArithmeticError("no")


@pytest.mark.parametrize(("block", "error"), [(Interrupted, KeyboardInterrupt), (Fails, ArithmeticError)])
def test_mxnet_is_itself_again_after_an_error_or_a_signal(block, error):
    net = gluon.nn.Sequential()
    net.add(small_net(), block())
    before = state_of(net)
    with pytest.raises(error):
        vc.explain(net, images(), targets=0)
    assert originals() == NATIVE
    assert not watching._watching
    assert state_of(net) == before
    assert not autograd.is_recording()


def test_another_thread_that_runs_the_net_meanwhile_is_not_recorded():
    net, outputs = small_net(), []

    class Waits(gluon.Block):
        def forward(self, x):
            thread = threading.Thread(target=lambda: outputs.append(net(mx.nd.array(images())).asnumpy()))
            thread.start()
            thread.join()
            return x

    whole = gluon.nn.Sequential()
    whole.add(net, Waits())
    result = vc.explain(whole, images(), targets=1)
    np.testing.assert_allclose(outputs[0], result.outputs, rtol=1e-4, atol=1e-5)
    assert result.relus == (2, 2)
    assert result.purity.pure


def test_canonical_names_are_those_of_the_table():
    listener, x = Listener(), mx.nd.ones((1, 2, 4, 4))
    vectors = [mx.nd.ones(2) for _ in range(4)]
    with watched(listener):
        mx.nd.BatchNorm(x, *vectors)
        mx.nd.Dropout(x)
        mx.nd.LeakyReLU(x)
        mx.nd.contrib.SyncBatchNorm(x, *vectors, key="a")
        mx.nd.Pooling(x, kernel=(2, 2))
        mx.nd.maximum(x, 0)
    assert len(listener.seen) == 6
    assert set(listener.seen) <= set(OPERATORS)


DRAWING = [
    (mx.nd.random.uniform, {}),
    (mx.nd.random.normal, {}),
    (mx.nd.random.gamma, {}),
    (mx.nd.random.exponential, {}),
    (mx.nd.random.poisson, {}),
    (mx.nd.random.negative_binomial, {"k": 3, "p": 0.5}),
    (mx.nd.random.randint, {"low": 0, "high": 5}),
    (mx.nd.random.multinomial, {"data": mx.nd.array([0.5, 0.5])}),
    (mx.nd.random.shuffle, {"data": mx.nd.arange(5)}),
    (mx.nd.random.uniform, {"low": mx.nd.zeros(2), "high": mx.nd.ones(2)}),
    (mx.np.random.uniform, {}),
    (mx.np.random.normal, {}),
    (mx.np.random.gamma, {"shape": 2.0}),
    (mx.np.random.choice, {"a": 4}),
]


@pytest.mark.parametrize(("draw", "options"), DRAWING)
def test_every_operator_that_draws_is_refused_before_it_draws(draw, options):
    class Noisy(gluon.Block):
        def forward(self, x):
            draw(**options)
            return x

    net = gluon.nn.Sequential()
    net.add(small_net(), Noisy())
    mx.random.seed(3)
    expected = float(mx.nd.random.uniform().asscalar())
    mx.random.seed(3)
    with pytest.raises(ValueError, match="in block '1' draws random numbers in predict mode"):
        vc.explain(net, images(), targets=0)
    assert float(mx.nd.random.uniform().asscalar()) == expected
