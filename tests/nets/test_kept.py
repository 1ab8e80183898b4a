"""What is kept of a net between explanations: every change of the net is noticed, and nothing else is held."""

from __future__ import annotations

import gc
import weakref

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

import vizcallbacks as vc
from vizcallbacks.nets.blocks import block_paths
from vizcallbacks.nets.fingerprint import Fingerprint
from vizcallbacks.nets.kept import Kept

from ..helpers.nets import images, small_net, state_of

METHODS = ("grad_cam", "guided_grad_cam", "saliency")


def hybridized(**flags):
    net = small_net(hybridize=True, **flags)
    net(mx.nd.array(images(1)))
    return net


def ran(net):
    """The net, after it has made its compiled graph."""
    net(mx.nd.array(images(1)).astype(net[0].weight.dtype))
    return net


def assert_as_without(net, kept, batch=None, methods=METHODS, **options):
    """To the bit."""
    batch = images(3) if batch is None else batch
    result, expected = (vc.explain(net, batch, methods, kept=one, **options) for one in (kept, None))
    for name, maps in expected.maps.items():
        np.testing.assert_array_equal(result[name], maps, err_msg=name)
    np.testing.assert_array_equal(result.outputs, expected.outputs)
    for name in ("layer", "route", "reason", "coverage", "relus"):
        assert getattr(result, name) == getattr(expected, name), name
    return result


def train(net, steps=2):
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9})
    for _ in range(steps):
        with autograd.record():
            loss = (net(mx.nd.array(images(4))) ** 2).sum()
        loss.backward()
        trainer.step(4)


def test_a_hybridized_net_is_traced_once_and_its_parameters_are_read_anew():
    net, kept = hybridized(), Kept()
    for _ in range(3):
        assert_as_without(net, kept)
        train(net)
    assert (kept.traced, kept.found) == (1, 2)


def test_it_is_left_as_it_was():
    net, kept = hybridized(static_alloc=True), Kept()
    vc.explain(net, images(), METHODS, kept=kept)
    before = state_of(net)
    vc.explain(net, images(), METHODS, kept=kept)
    assert kept.found == 1
    assert state_of(net) == before


def test_other_batches_methods_layers_and_targets_need_no_other_trace():
    net, kept = hybridized(), Kept()
    assert_as_without(net, kept, images(5), batch_size=2)
    assert_as_without(net, kept, images(2, size=20), ("layer_cam", "guided_backprop"), targets=1)
    assert_as_without(net, kept, methods=("grad_cam",), layer="0")
    assert_as_without(net, kept, methods=("occlusion", "smooth_grad"))
    assert kept.traced == 1


# What changes


def reinitialised(net):
    net.initialize(mx.init.Xavier(magnitude=2), force_reinit=True)


def rehybridized(net):
    net.hybridize(static_alloc=True)
    ran(net)


def no_longer_hybridized(net):
    net.hybridize(False)


def hybridized_and_not_run(net):
    net.hybridize()


def with_another_layer(net):
    with net.name_scope():
        layer = gluon.nn.Conv2D(6, 3, padding=1, in_channels=3, activation="tanh")
    layer.initialize(mx.init.Xavier(magnitude=3))
    net._children["0"] = layer
    net.hybridize()
    ran(net)


def with_another_layer_unseen_by_gluon(net):
    """The compiled graph stays the old one."""
    layer = gluon.nn.Conv2D(6, 3, padding=1, in_channels=3, prefix=net[0].prefix)
    layer.initialize(mx.init.Xavier(magnitude=3))
    net._children["0"] = layer


def with_one_more_layer(net):
    more = gluon.nn.Dense(3, in_units=4)
    more.initialize()
    net.add(more)
    ran(net)


def cast(net):
    net.cast("float64")
    ran(net)


def with_another_activation(net):
    net[2]._act_type = "sigmoid"
    net.hybridize()
    ran(net)


def with_another_stride(net):
    net[4]._kwargs["stride"] = (2, 2)
    net.hybridize()
    ran(net)


def with_another_stride_unseen_by_gluon(net):
    net[4]._kwargs["stride"] = (2, 2)


def with_another_momentum(net):
    net[1]._kwargs["eps"] = 0.1
    net.hybridize()
    ran(net)


CHANGES = {
    reinitialised: 1,
    rehybridized: 2,
    no_longer_hybridized: 2,
    hybridized_and_not_run: 2,
    with_another_layer: 2,
    with_another_layer_unseen_by_gluon: 2,
    with_one_more_layer: 2,
    cast: 2,
    with_another_activation: 2,
    with_another_stride: 2,
    with_another_stride_unseen_by_gluon: 2,
    with_another_momentum: 2,
}
"""What is done between two explanations -> how often the net is traced in all."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_net_is_noticed(change):
    net, kept = hybridized(), Kept()
    before = assert_as_without(net, kept)
    change(net)
    after = assert_as_without(net, kept)
    assert kept.traced == CHANGES[change]
    if change not in (rehybridized, no_longer_hybridized, hybridized_and_not_run):
        gone = change in (with_another_layer_unseen_by_gluon, with_another_stride_unseen_by_gluon)
        assert gone or not np.array_equal(before.outputs, after.outputs)
    assert_as_without(net, kept)


def test_another_net_of_the_same_make_is_another():
    kept, nets = Kept(), [hybridized(), hybridized()]
    for net in (*nets, *nets):
        assert_as_without(net, kept)
    assert kept.found == 0


def test_what_a_net_is_called_with_is_part_of_its_fingerprint():
    net = hybridized()

    def fingerprint(inputs):
        return Fingerprint.of(net, block_paths(net), inputs)

    first = fingerprint(1)
    assert first.fits(fingerprint(1))
    assert not first.fits(fingerprint(2))
    with mx.util.np_array(True):
        assert not first.fits(fingerprint(1))


# Nets that run no compiled graph


class Flips(gluon.HybridBlock):
    """A branch that Python takes or not, and Python code that looks at an attribute only."""

    def __init__(self):
        super().__init__()
        self.branch = False
        self.conv = gluon.nn.Conv2D(4, 3, in_channels=3, activation="relu")
        self.more = gluon.nn.Conv2D(4, 3, in_channels=4)
        self.head = gluon.nn.Dense(3, in_units=4)
        self.initialize(mx.init.Xavier(magnitude=3))

    def hybrid_forward(self, F, x):
        x = self.conv(x)
        if self.branch:
            x = F.tanh(self.more(x))
        return self.head(F.mean(x, axis=(2, 3)))


class Around(gluon.Block):
    """A plain Block: no symbols, so it is recorded."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("wrap", [lambda net: net, Around], ids=["traced", "recorded"])
def test_a_branch_that_flips_between_snapshots_is_followed(wrap):
    inside = Flips()
    net, kept = wrap(inside), Kept()
    layers = []
    for branch in (False, True, True, False):
        inside.branch = branch
        layers.append(assert_as_without(net, kept).layer.split(".")[-1])
    assert layers == ["conv", "more", "more", "conv"]
    assert kept.found == 0


@pytest.mark.filterwarnings("ignore:Parameter .* is not used")
def test_a_flag_that_flips_in_a_hybridized_net_changes_nothing_until_gluon_traces_it_again():
    net, kept = Flips(), Kept()
    net.hybridize()
    net(mx.nd.array(images(1)))
    for _ in range(2):
        assert vc.explain(net, images(), METHODS, kept=kept).layer == "conv"
    net.branch = True  # the compiled graph is without the branch until Gluon makes another
    own = net(mx.nd.array(images())).asnumpy()
    np.testing.assert_allclose(
        vc.explain(net, images(), METHODS, kept=kept).outputs, own, rtol=1e-4, atol=1e-6
    )
    net.hybridize()
    own = net(mx.nd.array(images())).asnumpy()
    result = vc.explain(net, images(), METHODS, kept=kept)
    assert result.layer == "more"
    np.testing.assert_allclose(result.outputs, own, rtol=1e-4, atol=1e-6)


def test_compiled_pieces_of_a_net_that_is_not_hybridized_are_used_again_and_its_outputs_compared(monkeypatch):
    net, kept = small_net(), Kept()
    assert_as_without(net, kept)
    made, make = [], mx.nd.CachedOp

    def counted(*args, **options):
        made.append(args)
        return make(*args, **options)

    monkeypatch.setattr(mx.nd, "CachedOp", counted)
    train(net)
    vc.explain(net, images(3), METHODS, kept=kept)
    assert (kept.traced, kept.found, len(made)) == (2, 0, 0)


class CountsCalls(gluon.HybridBlock):
    """Another function on arrays than on symbols."""

    def hybrid_forward(self, F, x):
        return x if isinstance(x, mx.sym.Symbol) else 2 * x


def test_a_trace_that_gives_other_outputs_is_not_kept():
    net, kept = small_net(), Kept()
    net.add(CountsCalls())
    for _ in range(2):
        assert assert_as_without(net, kept).route == "recorded"
    assert (kept.traced, kept.found) == (2, 0)


def test_a_closed_graph_is_traced_once(tmp_path):
    net = hybridized()
    net.export(str(tmp_path / "net"))
    files = [str(tmp_path / name) for name in ("net-symbol.json", "net-0000.params")]
    with pytest.warns(UserWarning, match="Cannot decide type"):
        imported = gluon.SymbolBlock.imports(files[0], ["data"], files[1])
    kept = Kept()
    for _ in range(2):
        assert_as_without(imported, kept)
    assert (kept.traced, kept.found) == (1, 1)


# What is held


def reachable(start):
    """Everything that an object refers to, directly or not; no modules, and classes only by name."""
    seen, stack, found = {id(start)}, [start], []
    while stack:
        for one in gc.get_referents(stack.pop()):
            if id(one) not in seen and not isinstance(one, (type, type(gc))) and not callable(one):
                seen.add(id(one))
                stack.append(one)
                found.append(one)
    return found


@pytest.mark.parametrize("make", [hybridized, small_net, lambda: Around(small_net())])
def test_no_array_and_no_block_is_held(make):
    net, kept = make(), Kept()
    vc.explain(net, images(), METHODS, kept=kept)
    held = reachable(kept)
    assert not [
        one for one in held if isinstance(one, (mx.nd.NDArray, np.ndarray, gluon.Block, gluon.Parameter))
    ]
    known = weakref.ref(net)
    del net, held
    gc.collect()
    assert known() is None
