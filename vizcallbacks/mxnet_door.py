"""The one door to MXNet and GluonCV: no other file of the package imports them by name.

Importing this module imports MXNet (seconds, two hundred megabytes), so only what runs a net comes through here.

MXNet 1.9.1 and GluonCV 0.10.5 read `numpy.bool` and other old names, of which NumPy warns since 1.20 and which it
lacks since 1.24. NumPy has them here while the two are imported, and no longer. The few of their modules that read
the names when they run get a namespace of their own in the place of `numpy`. So NumPy stays as it is for the
user's process, and no warning of all this reaches the user, on any NumPy below 2. `scipy.sparse.csr` is the same
case.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

OLD_NAMES = {"bool": bool, "int": int, "float": float, "object": object, "complex": complex, "str": str}
"""Names that NumPy once had for Python's own types."""

READERS = {
    # module -> its name for NumPy
    "mxnet.ndarray.numpy._op": "_np",
    "mxnet.numpy.multiarray": "_np",
    "mxnet.symbol.numpy._symbol": "_np",
    "mxnet.test_utils": "np",
    "gluoncv.data.kitti.kitti_utils": "np",
    "gluoncv.model_zoo.hrnet": "np",
    "gluoncv.model_zoo.rcnn.rpn.anchor": "np",
    "gluoncv.utils.metrics.coco_detection": "np",
}
"""Modules, of those imported here, that read old names when they run. A test finds them in the sources."""

SPARSE_READERS = ("mxnet.ndarray.sparse", "mxnet.ndarray.utils")
"""Modules that read `scipy.sparse.csr.csr_matrix`, of which SciPy warns: every `mx.nd.array` does."""

_LOCK = threading.RLock()


class _Namespace(ModuleType):
    """A module with a few more names: all others are looked up in the module itself each time."""

    def __init__(self, module: ModuleType, more: Mapping[str, Any]) -> None:
        super().__init__(module.__name__)
        vars(self).update(more, _module=module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


_NUMPY = _Namespace(np, OLD_NAMES)


@contextlib.contextmanager
def _old_names() -> Iterator[None]:
    """Give NumPy its old names, without warnings, while the block imports what reads them."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        added = OLD_NAMES.keys() - vars(np).keys()  # a program may have defined some itself: those stay
        vars(np).update({name: OLD_NAMES[name] for name in added})
        try:
            yield
        finally:
            for name in added:
                del vars(np)[name]
    for name in READERS.keys() & sys.modules.keys():
        setattr(sys.modules[name], READERS[name], _NUMPY)


with _old_names():
    import mxnet as mx
    from mxnet import autograd, gluon
    from mxnet.gluon import nn
    from mxnet.gluon.contrib import estimator
    from mxnet.gluon.model_zoo import model_store, vision

for _reader in SPARSE_READERS:
    _sparse = vars(sys.modules[_reader])["spsp"]
    vars(sys.modules[_reader])["spsp"] = _Namespace(
        _sparse, {"csr": _sparse}
    )  # csr_matrix is one up, as ever


@functools.cache
def gluoncv_model_zoo() -> ModuleType:
    """GluonCV's zoo of networks; its import takes a second, so it waits until a network of its is asked for."""
    with _old_names():
        from gluoncv import model_zoo
    return model_zoo


__all__ = ["autograd", "estimator", "gluon", "gluoncv_model_zoo", "model_store", "mx", "nn", "vision"]
