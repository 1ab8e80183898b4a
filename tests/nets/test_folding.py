"""Rewriting a traced graph: BatchNorms folded by hand, and only where that changes nothing else."""

from __future__ import annotations

import json
import resource

import mxnet as mx
import numpy as np
import pytest

from vizcallbacks.nets.folding import LARGEST, fold, rewritten
from vizcallbacks.nets.graph import cloned, ordered, read, rewired, symbol_of
from vizcallbacks.nets.operators import OPERATORS

from ..helpers import onednn
from ..helpers.nets import small_net


def conv_norm(x, fix_gamma=False, no_bias=False, **options):
    conv = mx.sym.Convolution(x, kernel=(1, 1), num_filter=2, no_bias=no_bias, name="conv")
    return conv, mx.sym.BatchNorm(conv, fix_gamma=fix_gamma, eps=0.25, name="norm", **options)


ARRAYS = {
    "conv_weight": mx.nd.array([[[[2.0]]], [[[-1.0]]]]),
    "conv_bias": mx.nd.array([1.0, 4.0]),
    "norm_gamma": mx.nd.array([3.0, 0.5]),
    "norm_beta": mx.nd.array([10.0, 20.0]),
    "norm_moving_mean": mx.nd.array([5.0, -2.0]),
    "norm_moving_var": mx.nd.array([3.75, 0.0]),  # with eps: standard deviations of 2 and 0.5
}


def ops(heads):
    return [node.op for node in ordered(heads) if not node.is_variable]


def folded(symbol):
    heads, folding = fold(rewritten(read(symbol)))
    return heads, folding.arrays(ARRAYS)


@pytest.mark.parametrize(
    ("options", "weight", "bias"),
    [
        # gamma w / sd = 3 * 2 / 2, 0.5 * -1 / 0.5
        # beta + gamma (b - mean) / sd = 10 + 3 * -4 / 2, 20 + 0.5 * 6 / 0.5
        ({}, [3, -1], [4, 26]),
        # gamma counts as 1, whatever the parameter holds
        ({"fix_gamma": True}, [1, -2], [8, 32]),
        # without a bias: 10 + 3 * -5 / 2, 20 + 0.5 * 2 / 0.5
        ({"no_bias": True}, [3, -1], [2.5, 22]),
    ],
)
def test_a_batch_norm_becomes_weight_and_bias(options, weight, bias):
    heads, made = folded(conv_norm(mx.sym.var("x"), **options)[1])
    assert ops(heads) == ["Convolution"]
    variables = [node.name for node in ordered(heads) if node.is_variable]
    np.testing.assert_allclose(made[variables[1]].asnumpy().ravel(), weight)
    np.testing.assert_allclose(made[variables[2]].asnumpy(), bias)
    assert ARRAYS["norm_gamma"].asnumpy().tolist() == [3, 0.5]


def test_behind_a_large_weight_it_stays_and_changes_nothing():
    norm = conv_norm(mx.sym.var("x"))[1]
    for size, found in ((LARGEST, ["Convolution"]), (LARGEST + 1, ["Convolution", "BatchNorm"])):
        heads, folding = fold(rewritten(read(norm)), {**dict.fromkeys(ARRAYS, 1), "conv_weight": size})
        assert ops(heads) == found
        given = {**ARRAYS, **folding.arrays(ARRAYS), "x": mx.nd.array([[[[1.0]]]])}
        symbol = symbol_of(heads)
        outputs = mx.nd.CachedOp(symbol)(*(given[name] for name in symbol.list_inputs()))
        outputs = outputs[0] if isinstance(outputs, list) else outputs
        # of 2 + 1 and of -1 + 4: 10 + 3 (3 - 5) / 2, 20 + 0.5 (3 + 2) / 0.5
        np.testing.assert_allclose(outputs.asnumpy().ravel(), [7, 25])


def test_one_whose_convolution_is_looked_at_or_used_elsewhere_stays():
    conv, norm = conv_norm(mx.sym.var("x"))
    for symbol in (mx.sym.Group([norm, conv]), norm + conv, conv_norm(mx.sym.var("x"), axis=2)[1]):
        heads, made = folded(symbol)
        assert "BatchNorm" in ops(heads)
        assert not made


def test_a_fixed_gamma_that_stays_is_not_the_parameter():
    """MXNet writes ones into it."""
    x = mx.sym.var("x")
    heads, made = folded(mx.sym.BatchNorm(mx.sym.relu(x), fix_gamma=True, name="norm"))
    assert ops(heads) == ["Activation", "BatchNorm"]
    assert [array.asnumpy().tolist() for array in made.values()] == [[1, 1]]
    assert "norm_gamma" not in symbol_of(heads).list_arguments()


def test_dropouts_in_a_row_go():
    x = mx.sym.var("x")
    heads = rewritten(read(mx.sym.Dropout(mx.sym.Dropout(x)) * 2))
    assert ops(heads) == ["_mul_scalar"]
    assert heads[0][0].inputs[0][0].name == "x"


def test_every_operator_of_the_table_is_one_of_mxnets():
    assert set(OPERATORS) <= {name.lstrip() for name in mx.operator.get_all_registered_operators()}


def test_a_graph_goes_to_mxnet_and_back():
    x = mx.sym.var("x")
    shared = mx.sym.relu(x, name="same") + mx.sym.relu(x - 1, name="same")
    heads = read(shared * shared)
    assert ops(heads) == ["relu", "_minus_scalar", "relu", "elemwise_add", "elemwise_mul"]
    symbol = symbol_of(heads)
    names = [node["name"] for node in json.loads(symbol.tojson())["nodes"]]
    assert len(set(names)) == len(names)
    result = symbol.eval(x=mx.nd.array([3.0]))[0]
    assert result.asscalar() == 25


def test_a_copy_stops_where_it_is_told_and_leaves_the_original():
    x = mx.sym.var("x")
    heads = read(mx.sym.exp(mx.sym.tanh(x)) + mx.sym.tanh(x))
    exp = heads[0][0].inputs[0]
    (variable,) = [node for node in ordered(heads) if node.is_variable]
    copies, became = cloned(heads, {exp: (variable, 0)})
    assert ops(copies) == ["tanh", "elemwise_add"]
    assert ops(heads) == ["tanh", "exp", "tanh", "elemwise_add"]
    assert became[heads[0][0]] is copies[0][0]
    assert ops(rewired(heads, {exp: (variable, 0)})) == ["tanh", "elemwise_add"]


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def test_a_graph_that_is_read_again_and_again_leaves_nothing_in_memory():
    """MXNet's own `Symbol.tojson` leaves a copy of the graph, 13 kB here, at every call."""
    symbol = small_net()(mx.sym.var("data"))
    for _ in range(200):
        read(symbol)
    before = resident()
    for _ in range(2000):
        read(symbol)
    assert resident() < before + 3  # MB; it was 26


def test_a_convolution_without_a_bias_gets_one_of_zeros():
    heads, made = folded(mx.sym.relu(conv_norm(mx.sym.var("x"), no_bias=True)[0]))
    (conv,) = (node for node in ordered(heads) if node.op == "Convolution")
    assert conv.attrs["no_bias"] == "False"
    assert {name: one.asnumpy().tolist() for name, one in made.items()} == {conv.inputs[2][0].name: [0, 0]}
    assert ops(folded(mx.sym.relu(conv_norm(mx.sym.var("x"))[0]))[0]) == ["Convolution", "Activation"]


def test_no_gradient_of_a_weight_is_computed():
    """By oneDNN's own account; of convolutions without a bias MXNet computes some, at random."""
    code = (
        "import numpy as np\n"
        "import vizcallbacks as vc\n"
        "from vizcallbacks.mxnet_door import mx, nn\n"
        "net = nn.HybridSequential()\n"
        "for _ in range(12):\n"
        "    net.add(nn.Conv2D(16, 3, padding=1, use_bias=False), nn.Activation('relu'))\n"
        "net.add(nn.GlobalAvgPool2D(), nn.Dense(3))\n"
        "net.initialize()\n"
        "for _ in range(5):\n"
        "    vc.explain(net, np.ones((2, 3, 32, 32), np.float32))\n"
    )
    kinds = [fields[5] for fields in onednn.ran(code) if fields[3] == "convolution"]
    assert kinds.count("backward_data") == 5 * 2 * 12
    assert "backward_weights" not in kinds
