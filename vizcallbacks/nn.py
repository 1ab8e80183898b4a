"""The instrumented layers and operators.

`Conv2D` and `Activation` are drop-in layers: in a net they are Gluon's own, in training and in prediction.
While a `Tape` is attached, they, like every block that `vizcallbacks.instrumented` swaps, run on MXNet's
imperative operators with the few replacements in `REPLACED` and hand their results to the tape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import mxnet as mx
from mxnet import autograd, gluon

ATTACHED = "_vizcallbacks_attached"


class Instrumented:
    """Mix-in for a Gluon block: with an attachment, it runs operator by operator and tells the tape.

    It comes before a Gluon block among the bases. An attachment (set in the block's ``__dict__`` under
    `ATTACHED`, so that Gluon's ``__setattr__`` drops no compiled graph) has ``path``, the block's place in the
    net, and ``session.tape``, the tape or None.
    """

    forward: Any
    _reg_params: Any

    @property
    def _tape(self):
        attached = self.__dict__.get(ATTACHED)
        return None if attached is None else attached.session.tape

    def __call__(self, *args):
        tape = self._tape
        if tape is None:
            return super().__call__(*args)  # type: ignore[misc]
        # forward hooks are the user's and may count or collect: they must not see this pass
        return self.__dict__[ATTACHED].session.finish(self, self.forward(*args))

    def _call_cached_op(self, *args):
        if self._tape is None:
            return super()._call_cached_op(*args)  # type: ignore[misc]
        params = {name: param.data(args[0].ctx) for name, param in self._reg_params.items()}
        return self.hybrid_forward(mx.nd, *args, **params)

    def hybrid_forward(self, F, x, *args, **params):
        tape = self._tape
        if tape is not None and F is mx.nd:
            F = Operators(tape, self.__dict__[ATTACHED].path)
        return super().hybrid_forward(F, x, *args, **params)  # type: ignore[misc]


class Conv2D(Instrumented, gluon.nn.Conv2D):
    """`mxnet.gluon.nn.Conv2D` with the same arguments, whose output and gradient can be read by `explain`."""


class Activation(Instrumented, gluon.nn.Activation):
    """`mxnet.gluon.nn.Activation` with the same arguments, which a guided pass can rectify."""


@functools.cache
def instrumented_class(cls: type) -> type:
    """Return the instrumented subclass of a block's class; the same one every time."""
    if issubclass(cls, Instrumented):
        return cls
    bases = (Instrumented, cls) if issubclass(cls, gluon.HybridBlock) else (_InstrumentedBlock, cls)
    return type(f"Instrumented{cls.__name__}", bases, {"__module__": cls.__module__})


class _InstrumentedBlock(Instrumented):
    """The mix-in for a plain Block, which has its own forward and no operators to replace."""

    hybrid_forward = None  # type: ignore[assignment]
    _call_cached_op = None  # type: ignore[assignment]


class Operators:
    """What `hybrid_forward` gets as ``F`` during a pass: `mx.nd` with the operators of `REPLACED` replaced."""

    def __init__(self, tape, block: str, native=mx.nd, prefix: str = "") -> None:
        self._tape, self._block, self._native, self._prefix = tape, block, native, prefix

    def __getattr__(self, name: str):
        native = getattr(self._native, name)
        replacement = REPLACED.get(self._prefix + name)
        if replacement is not None:
            return functools.partial(replacement, native, self._tape, self._block)
        if isinstance(native, ModuleType):
            return Operators(self._tape, self._block, native, f"{self._prefix}{name}.")
        return native


def _in_train_mode(native, tape, block, *args, **kwargs):
    # oneDNN keeps for the backward pass what it can only keep now. After a forward pass in predict mode gradients
    # come in a memory layout on which other backward passes, BatchNorm most, take up to twenty times as long
    with autograd.train_mode():
        return native(*args, **kwargs)


def _relu(native, tape, block, data, **_):
    # mx.nd.relu is no oneDNN operator and takes ten times as long
    return _activation(mx.nd.Activation, tape, block, data, act_type="relu")


def _activation(native, tape, block, data, act_type, **kwargs):
    output = _in_train_mode(native, tape, block, data, act_type=act_type, **kwargs)
    return tape.cut(output, block, rectified=True) if act_type == "relu" else output


def _leaky_relu(native, tape, block, data, *args, act_type="leaky", **kwargs):
    output = native(data, *args, act_type=act_type, **kwargs)
    rectified = act_type in ("leaky", "prelu", "rrelu")
    return tape.cut(output, block, rectified=True) if rectified else output


def _clip(native, tape, block, data, a_min, a_max, **kwargs):
    output = native(data, a_min, a_max, **kwargs)
    return tape.cut(output, block, rectified=True) if a_min == 0 else output


def _maximum(native, tape, block, left, right):
    output = native(left, right)
    rectified = any(isinstance(side, (int, float)) and side == 0 for side in (left, right))
    return tape.cut(output, block, rectified=True) if rectified else output


def _batch_norm_relu(native, tape, block, data, *args, **kwargs):
    return tape.cut(_batch_norm(native, tape, block, data, *args, **kwargs), block, rectified=True)


def _batch_norm(native, tape, block, data, *args, **kwargs):
    # with the global statistics the backward pass is fast, and nothing updates them
    return _in_train_mode(native, tape, block, data, *args, **{**kwargs, "use_global_stats": True})


def _sync_batch_norm(native, tape, block, data, gamma, beta, mean, var, eps=1e-3, fix_gamma=True, **_):
    statistics = (gamma, beta, mean, var)
    return _batch_norm(mx.nd.BatchNorm, tape, block, data, *statistics, eps=eps, fix_gamma=fix_gamma)


def _pooling(native, tape, block, data, *args, **kwargs):
    # oneDNN's max pooling keeps the winners' places only in a forward pass in train mode; its backward after
    # one in predict mode reads uninitialised memory (apache/mxnet#10994)
    output = _in_train_mode(native, tape, block, data, *args, **kwargs)
    if kwargs.get("pool_type", "max") == "max":
        tape.pooled()
    return output


def _dropout(native, tape, block, data, *args, **kwargs):
    return data


REPLACED: dict[str, Callable[..., Any]] = {
    "Convolution": _in_train_mode,
    "Deconvolution": _in_train_mode,
    "FullyConnected": _in_train_mode,
    "relu": _relu,
    "Activation": _activation,
    "LeakyReLU": _leaky_relu,
    "clip": _clip,
    "maximum": _maximum,
    "contrib.BatchNormWithReLU": _batch_norm_relu,
    "BatchNorm": _batch_norm,
    "contrib.SyncBatchNorm": _sync_batch_norm,
    "Pooling": _pooling,
    "Dropout": _dropout,
}
"""Operator's name below `mx.nd` -> function(native operator, tape, block's path, its arguments ...)."""
