"""The instrumented layers: blocks that tell who watches them what they return.

`Conv2D` and `Activation` are drop-in layers: in a net they are Gluon's own, in training and in prediction.
While somebody watches, they, like every block that `vizcallbacks.instrumented` swaps, run as they are and
tell the watch.
"""

from __future__ import annotations

import functools
from typing import Any

from ..mxnet_door import gluon

ATTACHED = "_vizcallbacks_attached"


class Instrumented:
    """Mix-in for a Gluon block that tells a watch when it runs.

    It comes before a Gluon block among the bases. An attachment (set in the block's ``__dict__`` under
    `ATTACHED`, so that Gluon's ``__setattr__`` drops no compiled graph) has ``path``, the block's place in the
    net, and ``watch``, who is to be told in this thread, or None.
    """

    @property
    def _watch(self) -> Any:
        attached = self.__dict__.get(ATTACHED)
        return None if attached is None else attached.watch

    def __call__(self, *args, **kwargs):
        watch, run = self._watch, super().__call__  # type: ignore[misc]
        return run(*args, **kwargs) if watch is None else watch.call(self, run, args, kwargs)

    def _call_cached_op(self, *args):
        watch = self._watch
        if watch is None:
            return super()._call_cached_op(*args)  # type: ignore[misc]
        return watch.call_graph(self, args)  # the user's compiled graph stays out of it


class Conv2D(Instrumented, gluon.nn.Conv2D):
    """`mxnet.gluon.nn.Conv2D` with the same arguments, whose output and gradient can be read by `explain`.

    Examples
    --------
    >>> import vizcallbacks as vc
    >>> from vizcallbacks.mxnet_door import mx
    >>> layer = vc.nn.Conv2D(4, 3)
    >>> layer.initialize()
    >>> layer(mx.nd.ones((1, 3, 8, 8))).shape
    (1, 4, 6, 6)
    """


class Activation(Instrumented, gluon.nn.Activation):
    """`mxnet.gluon.nn.Activation` with the same arguments, which a guided pass can rectify.

    Examples
    --------
    >>> import vizcallbacks as vc
    >>> from vizcallbacks.mxnet_door import mx
    >>> vc.nn.Activation("relu")(mx.nd.array([-1, 2])).asnumpy()
    array([0., 2.], dtype=float32)
    """


@functools.cache
def instrumented_class(cls: type) -> type:
    """Return the instrumented subclass of a block's class; the same one every time."""
    if issubclass(cls, Instrumented):
        return cls
    return type(f"Instrumented{cls.__name__}", (Instrumented, cls), {"__module__": cls.__module__})
