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

from ..mxnet_door import autograd, gluon, mx

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
        if tape is not None:
            F = tape.operators(F, self.__dict__[ATTACHED].path)
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
    """What `hybrid_forward` gets as ``F`` during a pass: a module of MXNet's with some operators replaced.

    Parameters
    ----------
    native : module
        `mxnet.nd` or `mxnet.sym`.
    instead : callable
        (name below the module, MXNet's own) -> what the block gets.
    """

    __slots__ = ("_instead", "_native", "_prefix")
    # GluonCV asks whether "box_decode" is in F.contrib.__dict__
    __dict__ = property(lambda self: self._native.__dict__)  # type: ignore[assignment]

    def __init__(self, native, instead: Callable[[str, Any], Any], prefix: str = "") -> None:
        self._native, self._instead, self._prefix = native, instead, prefix

    def __getattr__(self, name: str):
        native, name = getattr(self._native, name), self._prefix + name
        if isinstance(native, ModuleType):
            return Operators(native, self._instead, f"{name}.")
        return self._instead(name, native)


def replaced_operators(F, tape, block: str):
    """`mxnet.nd` with operators replaced by those that tell `tape`; `F` itself if it is another module."""

    def instead(name, native):
        replacement = REPLACED.get(name)
        return native if replacement is None else functools.partial(replacement, native, tape, block)

    return Operators(F, instead) if F is mx.nd else F


def _in_train_mode(native, tape, block, *args, **kwargs):
    # oneDNN keeps for the backward pass what it can only keep now. After a forward pass in predict mode other
    # backward passes, BatchNorm's most, take up to twenty times as long (by their memory layout, it seems)
    with autograd.train_mode():
        return native(*args, **kwargs)


def _relu(native, tape, block, data, **_):
    # mx.nd.relu is no oneDNN operator and takes ten times as long
    return _activation(mx.nd.Activation, tape, block, data, act_type="relu")


def _npx_relu(native, tape, block, data):
    return _activation(mx.npx.activation, tape, block, data, act_type="relu")


def _activation(native, tape, block, *args, **kwargs):
    return tape.activation(_in_train_mode(native, tape, block, *args, **kwargs), block)


def _leaky_relu(native, tape, block, data, *args, act_type="leaky", **kwargs):
    output = native(data, *args, act_type=act_type, **kwargs)
    if act_type != "selu":
        return tape.activation(output, block)
    # MXNet's own gradient of SELU is wrong below zero (by up to 0.24 a unit); that of ELU is right
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return tape.cut(scale * native(data, act_type="elu", slope=alpha), block, values=output.detach())


def _batch_norm_relu(native, tape, block, data, *args, **kwargs):
    # its own gradient is zero after a forward pass in predict mode
    with autograd.pause():
        values = native(data, *args, **kwargs)
    output = mx.nd.Activation(
        _batch_norm(mx.nd.BatchNorm, tape, block, data, *args, **kwargs), act_type="relu"
    )
    return tape.cut(output, block, values=values)


def _batch_norm(native, tape, block, data, gamma, beta, mean, var, **kwargs):
    if kwargs.get("fix_gamma", True):
        gamma = gamma.copy()  # MXNet writes ones into it, whatever the parameter holds
    if autograd.is_training() and not kwargs.get("use_global_stats", False):
        # the block asks for the batch's own statistics, as GluonCV's GroupNorm does; the running ones stay
        return native(data, gamma, beta, mean.copy(), var.copy(), **kwargs)
    # with the global statistics the backward pass is fast, and nothing updates them
    arguments = {**kwargs, "use_global_stats": True}
    return _in_train_mode(native, tape, block, data, gamma, beta, mean, var, **arguments)


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


def _box_decode(native, tape, block, *args, **kwargs):
    # boxes get no gradient: MXNet's own is zero, and its backward pass crashes the process in GluonCV's SSD
    with autograd.pause():
        return native(*args, **kwargs)


REPLACED: dict[str, Callable[..., Any]] = {
    "Convolution": _in_train_mode,
    "Deconvolution": _in_train_mode,
    "FullyConnected": _in_train_mode,
    "relu": _relu,
    "Activation": _activation,
    "LeakyReLU": _leaky_relu,
    "clip": _activation,
    "maximum": _activation,
    "contrib.BatchNormWithReLU": _batch_norm_relu,
    "BatchNorm": _batch_norm,
    "contrib.SyncBatchNorm": _sync_batch_norm,
    "Pooling": _pooling,
    "Dropout": _dropout,
    "contrib.box_decode": _box_decode,
    # the same where mx.npx.set_np() is on
    "npx.relu": _npx_relu,
    "npx.activation": _activation,
    "npx.leaky_relu": _leaky_relu,
    "np.clip": _activation,
    "np.maximum": _activation,
    "npx.batch_norm": _batch_norm,
    "npx.pooling": _pooling,
    "npx.dropout": _dropout,
}
"""Operator's name below `mx.nd` -> function(native operator, tape, block's path, its arguments ...)."""
