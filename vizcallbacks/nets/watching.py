"""MXNet's own calls, seen by a watch for the length of a ``with`` block, in the calling thread only.

MXNet's functions of arrays all end in one Python function, a global of a few of its modules. That, what
allocates arrays, what writes into them from NumPy and what reads them are replaced while at least one thread
watches; other threads go straight through to MXNet's. The last watch to end puts MXNet's own back, also after
an error or a signal.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ..mxnet_door import autograd, mx


class Watch(Protocol):
    """Who is told. Each gets MXNet's own function first, and must call it."""

    def invoke(
        self, native: Callable, handle: int, inputs: list, keys: list, values: list, out: Any, *rest: Any
    ) -> Any:
        """An operator is called."""

    def tensordot(self, native: Callable, *args: Any) -> Any:
        """An operator of `mx.np` that has a way of its own is called."""

    def allocate(self, native: Callable, *args: Any, **kwargs: Any) -> Any:
        """The handle of a new array is wanted."""

    def copy_from(self, native: Callable, array: Any, source: Any) -> None:
        """NumPy's values are written into an array."""

    def read(self, native: Callable, array: Any) -> Any:
        """An array's values are read into NumPy."""

    def function(self, native: Callable, function: Any, *inputs: Any) -> Any:
        """An `autograd.Function` is called."""


_watching: dict[int, list[Watch | None]] = {}
_replaced: list[tuple[Any, str, Any]] = []
_lock = threading.RLock()


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Let `watch` see the calls of this thread. One inside another hides the outer."""
    thread = threading.get_ident()
    try:
        with _lock:
            _watching.setdefault(thread, []).append(watch)
            _install()
        yield
    finally:
        try:
            _end(thread, watch)
        except BaseException:  # a signal's, half-way through: once more, then raise
            _end(thread, watch)
            raise


@contextmanager
def unwatched() -> Iterator[None]:
    """Let nobody see the calls of this thread."""
    watches = _watching.setdefault(threading.get_ident(), [])
    watches.append(None)
    try:
        yield
    finally:
        watches.pop()


def operator_name(handle: int) -> str:
    """An operator's canonical name."""
    if handle not in _names:
        name = ctypes.c_char_p()
        mx.base.check_call(
            mx.base._LIB.MXSymbolGetAtomicSymbolName(ctypes.c_void_p(handle), ctypes.byref(name))
        )
        _names[handle] = (name.value or b"").decode()
    return _names[handle]


_names: dict[int, str] = {}


def _end(thread: int, watch: Watch) -> None:
    with _lock:
        left = [one for one in _watching.get(thread, []) if one is not watch]
        if left:
            _watching[thread] = left
        else:
            _watching.pop(thread, None)
        if not _watching:
            while _replaced:
                place, name, native = _replaced[-1]
                setattr(place, name, native)
                _replaced.pop()


def _install() -> None:
    if _replaced:
        return
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("mxnet") and isinstance(getattr(module, "__dict__", None), dict)
    ]
    for name, method in (("_imperative_invoke", "invoke"), ("_new_alloc_handle", "allocate")):
        for module in modules:
            if name in module.__dict__:
                _replace(module, name, method)
    _replace(mx.ndarray.numpy._op._api_internal, "tensordot", "tensordot")
    _replace(mx.nd.NDArray, "_sync_copyfrom", "copy_from")
    _replace(mx.nd.NDArray, "asnumpy", "read")
    _replace(autograd.Function, "__call__", "function")


def _replace(place: Any, name: str, method: str) -> None:
    native = place.__dict__[name]

    @functools.wraps(native)
    def instead(*args, **kwargs):
        watches = _watching.get(threading.get_ident())
        watch = watches[-1] if watches else None
        if watch is None:
            return native(*args, **kwargs)
        return getattr(watch, method)(native, *args, **kwargs)

    _replaced.append((place, name, native))
    setattr(place, name, instead)
