"""Nets, images and the state of a net, as many tests need them."""

from __future__ import annotations

import random

import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.gluon.model_zoo import vision


def images(count=2, channels=3, size=32, seed=0):
    """Noise images, (count, channels, size, size) float32."""
    return np.random.RandomState(seed).normal(size=(count, channels, size, size)).astype(np.float32)


def small_net(activation="relu", dropout=0.0, classes=4, hybridize=False, **flags):
    """conv - BN - act - max pool - conv - act - GAP - dropout - dense, initialised."""
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(6, 3, padding=1, in_channels=3),
        gluon.nn.BatchNorm(in_channels=6),
        gluon.nn.Activation(activation),
        gluon.nn.MaxPool2D(2),
        gluon.nn.Conv2D(8, 3, padding=1, in_channels=6),
        gluon.nn.Activation(activation),
        gluon.nn.GlobalAvgPool2D(),
        gluon.nn.Dropout(dropout),
        gluon.nn.Dense(classes, in_units=8),
    )
    net.initialize(mx.init.Xavier(magnitude=3))
    if hybridize:
        net.hybridize(**flags)
    return net


class Functional(gluon.HybridBlock):
    """A block whose hybrid_forward is the function given."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def hybrid_forward(self, F, x):
        return self._function(F, x)


ZOO = {
    # name: (input size, ReLUs)
    "resnet18_v1": (64, 17),
    "resnet18_v2": (64, 18),
    "vgg11_bn": (64, 10),
    "alexnet": (224, 7),
    "densenet121": (224, 121),
    "squeezenet1.1": (224, 26),
}


def zoo_net(name, hybridize=False):
    """A net of Gluon's zoo for 10 classes, initialised, its running statistics moved off their initial values."""
    net = vision.get_model(name, classes=10)
    net.initialize(mx.init.Xavier(magnitude=2.5))
    size, _ = ZOO[name]
    if hybridize:
        net.hybridize()
    net(mx.nd.array(images(1, size=size)))  # resolves deferred initialisation
    for parameter in net.collect_params(".*(running|gamma|beta).*").values():
        noise = np.random.RandomState(1).uniform(0.5, 1.5, size=parameter.shape)
        centred = parameter.name.endswith(("mean", "beta"))
        parameter.set_data(mx.nd.array(0.2 * (noise - 1) if centred else noise))
    return net


def state_of(net):
    """All that a snapshot must leave as it was: classes, attributes, flags, graphs, arrays to the bit."""
    mx.nd.waitall()  # a pass in predict mode lays weights out anew in the background; a read meanwhile is torn
    blocks, pending = [], [net]
    while pending:
        block = pending.pop()
        blocks.append(block)
        pending.extend(block._children.values())
    arrays = {}
    for parameter in net.collect_params().values():
        arrays[parameter.name] = [array.asnumpy().tobytes() for array in parameter.list_data()]
        if parameter.grad_req != "null":
            arrays[parameter.name + ".grad"] = [array.asnumpy().tobytes() for array in parameter.list_grad()]
    return {
        "classes": [type(block) for block in blocks],
        "attributes": [{key: id(value) for key, value in vars(block).items()} for block in blocks],
        "graphs": [id(getattr(block, "_cached_op", None)) for block in blocks],
        "hooks": [(len(block._forward_hooks), len(block._forward_pre_hooks)) for block in blocks],
        "lists": [id(parameter._data) for parameter in net.collect_params().values()],
        "arrays": arrays,
    }


def random_state():
    """The next numbers of Python's, NumPy's and MXNet's random streams (drawn, so they move)."""
    return random.random(), np.random.rand(), float(mx.nd.random.uniform().asscalar())
