"""Random small nets of Gluon, from descriptions that hypothesis can draw and shrink.

A description is a tuple (kind, more ...); `build` makes the block. All blocks keep the shape (N, C, H, W), and are
smooth but for kinks of measure zero, so that finite differences in double precision tell their gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import mxnet as mx
import numpy as np
from hypothesis import strategies as st
from mxnet import autograd, gluon

from .nets import Functional

CHANNELS, SIDE = 4, 6


def conv(channels=CHANNELS, kernel=3, **options):
    return gluon.nn.Conv2D(channels, kernel, padding=kernel // 2, **options)


# Blocks that ask for more than symbols, or tell less


class PlainFunction(gluon.Block):
    """A plain Block that calls functions and methods of arrays."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class OwnCall(gluon.nn.HybridSequential):
    """Scales its input where it is called."""

    def __call__(self, x):
        return super().__call__(x * 0.5 + 0.1)


class PlainOwnCall(gluon.nn.Sequential):
    def __call__(self, x, factor=None):
        return super().__call__(x * (2.0 if factor is None else factor))


class AsksForF(gluon.HybridBlock):
    """Another function on arrays than on symbols; Gluon runs the one or the other."""

    def hybrid_forward(self, F, x):
        return F.tanh(x) if F is mx.nd else F.sigmoid(x)


class OwnMode(gluon.HybridBlock):
    """A norm on the batch's own statistics, whatever the mode."""

    def __init__(self):
        super().__init__()
        self.norm = gluon.nn.BatchNorm()

    def hybrid_forward(self, F, x):
        with autograd.train_mode():
            return self.norm(x)


class KeepsState(gluon.Block):
    """Counts, collects and writes an array; none of it reaches the output."""

    def __init__(self):
        super().__init__()
        self.calls, self.log, self.mean = 0, [], mx.nd.zeros((1,))

    def forward(self, x):
        self.calls += 1
        self.log.append(x.shape)
        with autograd.pause():
            self.mean[:] = self.mean * 0.5 + x.mean().astype("float32")
        return x * 1.5


class Looks(gluon.Block):
    """Branches by values."""

    def forward(self, x):
        return x * 2 if float(x.max().asscalar()) > 1e9 else x * 3


class Twice(gluon.HybridBlock):
    """A convolution and a norm that run twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = conv(), gluon.nn.BatchNorm()

    def hybrid_forward(self, F, x):
        return self.norm(self.conv(F.tanh(self.norm(self.conv(x)))))


class Views(gluon.HybridBlock):
    """Channels folded into the batch axis and back, with a convolution between."""

    def __init__(self):
        super().__init__()
        self.conv = conv(1)

    def hybrid_forward(self, F, x):
        single = F.reshape(x, shape=(-1, 1, SIDE, SIDE))
        return F.reshape(self.conv(single), shape=(-1, CHANNELS, SIDE, SIDE))


class Gate(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.dense = gluon.nn.Dense(CHANNELS, activation="sigmoid")

    def hybrid_forward(self, F, x):
        gate = self.dense(F.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))
        return F.broadcast_mul(x, F.expand_dims(F.expand_dims(gate, 2), 3))


class Cube(autograd.Function):
    def forward(self, x):
        self.save_for_backward(x)
        return x * x * x / 9

    def backward(self, dy):
        (x,) = self.saved_tensors
        return dy * x * x / 3


# Blocks of blocks


class Residual(gluon.HybridBlock):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def hybrid_forward(self, F, x):
        return F.relu(self.body(x)) + x


class PlainResidual(gluon.Block):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x).tanh() + x


class Concat(gluon.HybridBlock):
    """Two ways, joined along the channels and mixed."""

    def __init__(self, one, other):
        super().__init__()
        self.one, self.other, self.mix = one, other, conv(kernel=1)

    def hybrid_forward(self, F, x):
        return self.mix(F.concat(self.one(x), self.other(x), dim=1))


def in_a_row(blocks, kind=None):
    kind = kind or (
        gluon.nn.HybridSequential
        if all(isinstance(block, gluon.HybridBlock) for block in blocks)
        else gluon.nn.Sequential
    )
    net = kind()
    net.add(*blocks)
    return net


def pooling(pool_type, convention, kernel, stride, pad):
    options = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "pad": (pad,) * 2}

    def pool(F, x):
        return F.Pooling(x, pool_type=pool_type, pooling_convention=convention, **options)

    def same_size(F, x):
        # back to the size of the input, so that ways can meet
        return F.slice_like(F.UpSampling(pool(F, x), scale=3, sample_type="nearest"), x, axes=(2, 3))

    return Functional(same_size)


LEAVES = {
    "conv": conv,
    "conv relu": lambda: conv(activation="relu"),
    "conv 1": lambda: conv(kernel=1, use_bias=False),
    "norm": gluon.nn.BatchNorm,
    "norm, fixed": lambda: gluon.nn.BatchNorm(scale=False),
    "relu": lambda: gluon.nn.Activation("relu"),
    "softsign": lambda: gluon.nn.Activation("softsign"),
    "dropout": lambda: gluon.nn.Dropout(0.5),
    "relu 6": lambda: Functional(lambda F, x: F.clip(x, 0, 6)),
    "hard swish": lambda: Functional(lambda F, x: x * F.clip(x + 3, 0, 6) / 6),
    "maximum": lambda: Functional(lambda F, x: F.maximum(x, 0) - 0.3 * F.relu(-x)),
    "by name": lambda: gluon.nn.HybridLambda("tanh"),
    "by name, plain": lambda: gluon.nn.Lambda("relu"),
    "method": lambda: PlainFunction(lambda x: x.relu() + 0.1 * x),
    "slices": lambda: PlainFunction(lambda x: mx.nd.concat(x[:, 1:], x[:, :1] * 2, dim=1)),
    "function": lambda: PlainFunction(lambda x: Cube()(x)),
    "noticed": lambda: PlainFunction(lambda x: mx.nd.Pooling(x, kernel=(3, 3), pad=(1, 1))),
    "constants": lambda: PlainFunction(lambda x: x * mx.nd.arange(x.shape[3], dtype=x.dtype).sin()),
    "asks for F": AsksForF,
    "own mode": OwnMode,
    "state": KeepsState,
    "looks": Looks,
    "twice": Twice,
    "views": Views,
    "gate": Gate,
}
POOLINGS = st.tuples(
    st.just("pool"),
    st.sampled_from(["max", "avg"]),
    st.sampled_from(["valid", "full"]),
    st.sampled_from([2, 3]),
    st.sampled_from([1, 2]),
    st.sampled_from([0, 1]),
)
HEADS = ("one", "flat", "lstm", "list", "named")

leaf = st.one_of(st.tuples(st.sampled_from(sorted(LEAVES))), POOLINGS)
blocks = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.tuples(
            st.sampled_from(
                ["row", "row, hybridized", "own call", "own call, plain", "residual", "plain residual"]
            ),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.tuples(st.just("concat"), st.lists(inner, min_size=2, max_size=2)),
    ),
    max_leaves=7,
)


@dataclass(frozen=True)
class Description:
    """Of a net."""

    body: list
    head: str
    extra: str
    hybridize: bool
    seed: int


descriptions = st.builds(
    Description,
    body=st.lists(blocks, min_size=1, max_size=4),
    head=st.sampled_from(HEADS),
    extra=st.sampled_from(["none", "none", "scale", "second image"]),
    hybridize=st.booleans(),
    seed=st.integers(0, 5),
)


def build(description):
    """The block that a description is of."""
    kind, *more = description
    if kind in LEAVES:
        return LEAVES[kind]()
    if kind == "pool":
        return pooling(*more)
    inner = [build(one) for one in more[0]]
    if kind == "concat":
        made = (Concat, PlainConcat)[any(not isinstance(one, gluon.HybridBlock) for one in inner)]
        return made(*inner)
    row = in_a_row(inner)
    hybrid = isinstance(row, gluon.HybridBlock)
    if kind == "row, hybridized":
        row.hybridize()
    elif kind in ("own call", "own call, plain"):
        return in_a_row(inner, OwnCall if hybrid and kind == "own call" else PlainOwnCall)
    elif kind in ("residual", "plain residual"):
        return (Residual if hybrid and kind == "residual" else PlainResidual)(row)
    return row


class PlainConcat(gluon.Block):
    def __init__(self, one, other):
        super().__init__()
        self.one, self.other, self.mix = one, other, conv(kernel=1)

    def forward(self, x):
        return self.mix(mx.nd.concat(self.one(x), self.other(x), dim=1))


class Whole(gluon.Block):
    """stem - body - head, in Python."""

    def __init__(self, body, head, extra):
        super().__init__()
        self.stem, self.body, self.dense = conv(), body, gluon.nn.Dense(3)
        self.lstm = gluon.rnn.LSTM(4) if head == "lstm" else None
        self.head, self.extra = head, extra

    def forward(self, x, *extra):
        return ending(self, mx.nd, self.body(starting(self, mx.nd, x, extra)))


class HybridWhole(gluon.HybridBlock):
    """The same as a HybridBlock."""

    def __init__(self, body, head, extra):
        super().__init__()
        self.stem, self.body, self.dense = conv(), body, gluon.nn.Dense(3)
        self.lstm = gluon.rnn.LSTM(4) if head == "lstm" else None
        self.head, self.extra = head, extra

    def hybrid_forward(self, F, x, *extra):
        return ending(self, F, self.body(starting(self, F, x, extra)))


def starting(net, F, x, extra):
    if net.extra == "scale":
        x = F.broadcast_mul(x, F.reshape(extra[0], shape=(-1, 1, 1, 1)))
    maps = net.stem(x)
    return maps * F.tanh(net.stem(extra[0])) if net.extra == "second image" else maps


def ending(net, F, maps):
    if net.head == "lstm":
        steps = F.reshape(F.transpose(maps, axes=(3, 0, 1, 2)), shape=(0, 0, -1))
        maps = F.transpose(net.lstm(steps), axes=(1, 0, 2))
    elif net.head != "flat":
        maps = F.mean(maps, axis=(2, 3))
    scores = net.dense(maps)
    if net.head == "list":
        return [scores, (F.tanh(scores), maps)]
    return (scores, maps) if net.head == "named" else scores


def net_of(description):
    """The net, initialised, in float64; images, (2, 3, 6, 6) float32; and what it takes beside."""
    mx.random.seed(description.seed)
    body = in_a_row([build(one) for one in description.body])
    whole = HybridWhole if isinstance(body, gluon.HybridBlock) else Whole
    net = whole(body, description.head, description.extra)
    net.initialize(mx.init.Xavier(magnitude=2))
    random = np.random.RandomState(description.seed)
    batch = random.normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
    extra = {
        "none": (),
        "scale": (random.uniform(0.5, 1.5, size=(2,)),),
        "second image": (random.normal(size=(2, 3, SIDE, SIDE)),),
    }[description.extra]
    net(mx.nd.array(batch), *(mx.nd.array(one) for one in extra))
    for parameter in net.collect_params().values():
        if parameter.name.endswith(("running_mean", "running_var", "gamma", "beta")):
            parameter.set_data(mx.nd.array(random.uniform(0.5, 1.5, size=parameter.shape)))
    net.cast("float64")
    if description.hybridize:
        net.hybridize()
    return net, batch, extra
