"""What goes wrong in a call is told in words: which input, layer or argument, and what to pass instead."""

from __future__ import annotations

import logging
import warnings

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS

from ..helpers.nets import images, small_net, state_of

BATCH = images(3, size=12)
AGES = np.random.RandomState(1).rand(3, 2).astype(np.float32)


def built_as(base, forward):
    """A net of two inputs whose forward is a HybridBlock's or a plain Block's own."""

    class Two(base):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = gluon.nn.Conv2D(4, 3, in_channels=3), gluon.nn.Dense(3, in_units=402)
            self.initialize()

    setattr(Two, forward.__name__, forward)
    return Two()


def hybrid_forward(self, F, image, ages):
    return self.dense(F.concat(self.conv(image).flatten(), ages, dim=1))


def forward(self, image, ages):
    return self.dense(mx.nd.concat(self.conv(image).flatten(), ages, dim=1))


KINDS = {"hybrid": (gluon.HybridBlock, hybrid_forward), "plain": (gluon.Block, forward)}

EXTRA = {
    "none": ((), r"takes 2 inputs, image, ages, and got 1: .* extra=\(ages,\)"),
    "an array": (AGES, r"extra must be a tuple of arrays.* got ndarray; for one .* extra=\(array,\)"),
    "an NDArray": (mx.nd.array(AGES), "got NDArray"),
    "None among them": (
        (None,),
        r"extra\[0\] must be an array with a row for each of the 3 images, got None",
    ),
    "too few rows": ((AGES[:2],), r"must have 3 rows, as the images; got shape \(2, 2\) for extra\[0\]"),
    "too many": ((AGES, AGES), "2 inputs at most, image, ages, and got 3"),
    "double precision": (
        (AGES.astype(np.float64),),
        r"extra\[0\] is float64, .* pass .*astype\('float32'\)",
    ),
    "whole numbers": (
        (AGES.astype(np.int64),),
        r"Non-uniform data type .*; extra\[0\] is int64, .* pass .*astype\('float32'\)",
    ),
}


@pytest.mark.parametrize("function", ["explain", "layers", "sanity", "ask_net"])
@pytest.mark.parametrize("case", EXTRA)
@pytest.mark.parametrize("kind", KINDS)
def test_further_inputs_that_do_not_fit_are_named(kind, case, function):
    extra, message = EXTRA[case]
    net = built_as(*KINDS[kind])
    before = state_of(net)
    more = () if function != "ask_net" else (vc.explain(net, BATCH, "grad_cam", extra=(AGES,)),)
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(vc, function)(net, *(more or (BATCH,)), extra=extra)
    assert state_of(net) == before


def test_ask_net_and_sanity_take_further_inputs_and_arrays():
    net = built_as(*KINDS["hybrid"])
    result = vc.explain(net, BATCH, "grad_cam", extra=(AGES,))
    found = vc.ask_net(net, result, steps=3, extra=(AGES,), batch_size=2)
    assert all(len(values) == 3 for values in found.values())
    table = vc.sanity(net, BATCH, "grad_cam", stages=2, extra=(AGES,))
    assert table.similarity["grad_cam"].shape == (2, 3)


class TwoHeads(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.trunk = gluon.nn.Conv2D(4, 3, in_channels=3)
        self.left, self.right = (gluon.nn.Conv2D(3, 3, in_channels=4) for _ in range(2))
        self.initialize()

    def hybrid_forward(self, F, x):
        x = self.trunk(x)
        return self.left(x).mean(axis=(2, 3)), self.right(x).mean(axis=(2, 3))


@pytest.mark.parametrize("methods", ["grad_cam", ("grad_cam", "guided_grad_cam")])
def test_a_layer_without_part_in_the_score_is_named_not_the_input(methods):
    with pytest.raises(ValueError, match="layer 'left' has no part in the target's score.*: trunk, right$"):
        vc.explain(TwoHeads(), BATCH, methods, layer="left", targets=vc.targets.head(1, 0))


FUNCTIONS = {
    "explain": (
        lambda: vc.explain(small_net(), BATCH, method="grad_cam"),
        "explain.*'method'; did you mean 'methods'",
    ),
    "layers": (lambda: vc.layers(small_net(), BATCH, target=1), "layers.*'target'; did you mean 'targets'"),
    "sanity": (lambda: vc.sanity(small_net(), BATCH, stage=2), "sanity.*'stage'; did you mean 'stages'"),
    "ask_net": (lambda: vc.ask_net(small_net(), None, step=2), "ask_net.*'step'; did you mean 'steps'"),
    "no likeness": (
        lambda: vc.layers(small_net(), BATCH, zzz=2),
        "'zzz'; it takes net, images, targets, extra",
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_an_unknown_argument_is_answered_by_the_closest(case):
    call, message = FUNCTIONS[case]
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(("wrong", "meant"), [("gradcam", "grad_cam"), ("smoothgrad", "smooth_grad")])
def test_an_unknown_method_is_answered_by_the_closest(wrong, meant):
    assert meant in METHODS
    with pytest.raises(ValueError, match=f"got '{wrong}'; did you mean '{meant}'"):
        vc.explain(small_net(), BATCH, wrong)


def test_a_module_is_told_how_it_becomes_a_block(tmp_path, monkeypatch):
    net = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=2, name="conv")
    net = mx.sym.FullyConnected(net.flatten(), num_hidden=3, name="dense")
    module = mx.mod.Module(net, label_names=None)
    module.bind(data_shapes=[("data", BATCH.shape)], for_training=False)
    module.init_params()
    with pytest.raises(TypeError, match=r"got Module; save it, module.save_checkpoint\('net', 0\)"):
        vc.explain(module, BATCH)
    monkeypatch.chdir(tmp_path)
    module.save_checkpoint("net", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MXNet's, on types that it infers later
        block = gluon.SymbolBlock.imports("net-symbol.json", ["data"], "net-0000.params")
    module.forward(mx.io.DataBatch([mx.nd.array(BATCH)]))
    result = vc.explain(block, BATCH, "grad_cam")
    np.testing.assert_allclose(result.outputs, module.get_outputs()[0].asnumpy(), rtol=1e-5)


def deferred(dropout):
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3), gluon.nn.Dropout(0.5) if dropout else gluon.nn.Flatten(), gluon.nn.Dense(3)
    )
    net.initialize()
    return net


@pytest.mark.parametrize("dropout", [True, False])
def test_random_numbers_in_another_order_are_told_of_once(dropout, caplog):
    net = deferred(dropout)
    with caplog.at_level(logging.WARNING, logger="vizcallbacks"):
        for _ in range(2):
            vc.explain(net, BATCH, "gradient")
    told = [record for record in caplog.records if "another order" in record.message]
    assert len(told) == dropout


def test_attributions_show_themselves_in_one_line():
    result = vc.explain(small_net(), BATCH, ("grad_cam", "saliency"), layer="4")
    assert repr(result) == "Attributions(3 images of 12x12, grad_cam, saliency, layer '4')"


NO_NETS = {
    "a class": (gluon.nn.Dense, r"got Dense; that is the class: make a net of it, Dense\(\)"),
    "a function": (lambda x: x, "got function; put it into a gluon.Block whose forward calls it"),
    "a name": ("resnet18_v1", r"got str; build the net .* vizcallbacks.pretrained.load\(name, params\).net"),
    "a list": ([small_net()], "got list; explain one net after the other"),
    "images": (BATCH, "got ndarray; the net comes first, then the images"),
    "a holder": (
        vc.pretrained.PretrainedModel("a", small_net(), (), None),
        "; give the net that it holds: its .net",
    ),
    "a symbol": (mx.sym.var("data"), r"got Symbol; make it a block: gluon.SymbolBlock\("),
}


@pytest.mark.parametrize("case", NO_NETS)
def test_what_is_no_net_is_told_with_the_way_to_one(case):
    given, message = NO_NETS[case]
    with pytest.raises(TypeError, match=f"net must be a mxnet.gluon.Block, .*{message}"):
        vc.explain(given, BATCH)


MISNAMED = {
    "AttentionMonitor": (lambda: vc.AttentionMonitor(vc.ProbeSet(BATCH), "a", method="saliency"), "methods"),
    "AttentionHandler": (
        lambda: vc.AttentionHandler(vc.ProbeSet(BATCH), "a", epochs_period=2),
        "epoch_period",
    ),
    "ProbeSet": (lambda: vc.ProbeSet(BATCH, label=[0, 1, 2]), "labels"),
    "ProbeSet.from_dataset": (lambda: vc.ProbeSet.from_dataset([], perclass=1), "per_class"),
    "ProbeSet.from_folder": (lambda: vc.ProbeSet.from_folder("a", mask="b"), "masks"),
    "peaks": (lambda: vc.peaks(None, None, methods="grad_cam"), "method"),
    "compare": (lambda: vc.compare(None, None, threshold={}), "thresholds"),
    "replay": (lambda: vc.replay("a", small_net, vc.ProbeSet(BATCH), "b", worker=2), "workers"),
}


@pytest.mark.parametrize("name", MISNAMED)
def test_a_misnamed_argument_is_told_in_the_name_of_what_was_called(name):
    call, meant = MISNAMED[name]
    with pytest.raises(TypeError, match=rf"^{name}(\(\))? has no argument .*; did you mean '{meant}'\?"):
        call()


def test_a_misnamed_public_name_and_method_are_told():
    with pytest.raises(AttributeError, match="no attribute 'explian'; did you mean 'explain'"):
        vc.explian  # noqa: B018
    with pytest.raises(KeyError, match="did you mean 'grad_cam'"):
        vc.explain(small_net(), images(), "grad_cam")["gradcam"]
    with pytest.raises(ValueError, match="got 'labels'; did you mean 'label'"):
        vc.explain(small_net(), images(), "grad_cam", targets="labels")
    with pytest.raises(ValueError, match=r"for an output of that name: .*head\('logits'\)"):
        vc.targets.head("main", "logits")


class Draws(gluon.Block):
    """A randomised ReLU, which is random in training only."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense = gluon.nn.Conv2D(4, 3), gluon.nn.Dense(3)

    def forward(self, x):
        found = mx.nd.LeakyReLU(self.conv(x), act_type="rrelu", lower_bound=0.1, upper_bound=0.3)
        return self.dense(found[0] if isinstance(found, list) else found)


class DrawsHybrid(Draws, gluon.HybridBlock):
    forward = gluon.HybridBlock.forward

    def hybrid_forward(self, F, x):
        return self.dense(F.LeakyReLU(self.conv(x), act_type="rrelu", lower_bound=0.1, upper_bound=0.3)[0])


@pytest.mark.parametrize("kind", [Draws, DrawsHybrid])
@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("hybridized", [True, False])
def test_a_randomised_relu_is_right_or_refused_without_mxnet_s_inner_words(kind, deferred, hybridized):
    net = kind()
    net.initialize()
    if hybridized:
        net.hybridize()
    if not deferred:
        net(mx.nd.array(BATCH))
    try:
        found = vc.explain(net, BATCH, ("gradient", "guided_backprop"), targets=0)
    except ValueError as error:
        told = str(error)
        assert not [word for word in ("MXNetError", "Check failed", "../", "<Symbol") if word in told], told
        return
    step = 1e-2 * np.sign(found["gradient"])
    ends = [net(mx.nd.array(BATCH + sign * step)).asnumpy()[:, 0] for sign in (1, -1)]
    slope = (found["gradient"] * step).sum(axis=(1, 2, 3))
    np.testing.assert_allclose((ends[0] - ends[1]) / 2, slope, rtol=2e-2)
