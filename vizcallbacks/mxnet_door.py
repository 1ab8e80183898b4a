"""The one door to MXNet and GluonCV: no other file of the package imports them by name.

Importing this module imports MXNet (seconds, two hundred megabytes), so only what runs a net comes through here.
MXNet 1.9.1 reads names that NumPy has deprecated or removed (`numpy.bool` and others); the warnings of that do not
reach the user.
"""

from __future__ import annotations

import warnings
from types import ModuleType

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mxnet as mx
    from mxnet import autograd, gluon
    from mxnet.gluon import nn
    from mxnet.gluon.contrib import estimator
    from mxnet.gluon.model_zoo import model_store, vision


def gluoncv_model_zoo() -> ModuleType:
    """GluonCV's zoo of networks; its import takes a second, so it waits until a network of its is asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from gluoncv import model_zoo
    return model_zoo


__all__ = ["autograd", "estimator", "gluon", "gluoncv_model_zoo", "model_store", "mx", "nn", "vision"]
