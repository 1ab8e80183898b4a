"""One member of each family of the model zoos, as small as it comes: for tests and the README's table.

Names are those of `gluoncv.model_zoo.get_model`, or with "gluon:" in front those of Gluon's own zoo.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import gluoncv
import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon.model_zoo import vision

CLASSES = 10


@dataclass(frozen=True)
class Family:
    """A net to be run.

    Attributes
    ----------
    name : str
    member : str
    size : int
        The smallest image of 32, 64, 96, 224, 299 pixels that the net takes.
    options : dict
        For the constructor.
    traced_as : str
        The net whose traced graph tells how many activations there are, where it is not this one.
    double : bool
        Whether the net runs in float64 throughout, so that finite differences are exact.
    onednn : bool
        Whether MXNet itself can train the net with oneDNN's kernels; if not: MXNET_MKLDNN_ENABLED=0.
    modes : bool
        Whether a part of it runs in another mode of `autograd`, which a trace does not show.
    """

    name: str
    member: str
    size: int = 32
    options: dict = field(default_factory=lambda: {"classes": CLASSES})
    traced_as: str = ""
    double: bool = True
    onednn: bool = True
    modes: bool = False


FAMILIES = [
    Family("VGG", "gluon:vgg11"),
    Family("VGG with BatchNorm", "vgg11_bn"),
    Family("ResNet v1", "resnet18_v1"),
    Family("ResNet v2", "resnet18_v2"),
    Family("ResNet v1b", "resnet18_v1b"),
    Family("ResNet v1b, GroupNorm", "resnet50_v1b_gn", traced_as="resnet50_v1b", double=False, modes=True),
    Family("ResNet v1c", "resnet50_v1c"),
    Family("ResNet v1d", "resnet50_v1d"),
    Family("ResNet v1e", "resnet50_v1e"),
    Family("ResNet v1s", "resnet50_v1s"),
    Family("ResNeXt", "resnext50_32x4d"),
    Family("SE-ResNet", "se_resnet18_v1"),
    Family("SE-ResNeXt", "se_resnext50_32x4d"),
    Family("ResNeSt", "resnest14"),
    Family("DenseNet", "densenet121", 224),
    Family("Inception v3", "inceptionv3", 299),
    Family("GoogLeNet", "googlenet", 224),
    Family("Xception", "xception"),
    Family("SqueezeNet", "squeezenet1.0", 224),
    Family("MobileNet", "mobilenet0.25"),
    Family("MobileNet v2", "mobilenetv2_0.25"),
    Family("MobileNet v3, small", "mobilenetv3_small"),
    Family("MobileNet v3, large", "mobilenetv3_large"),
    Family("ShuffleNet v1", "shufflenet_v1"),
    Family("ShuffleNet v2", "shufflenet_v2"),
    Family("AlexNet", "alexnet", 64),
    Family("DarkNet", "darknet53", double=False),
    Family("DLA", "dla34"),
    Family("HRNet", "hrnet_w18_small_v1_c", options={"num_classes": CLASSES}),
    Family("NASNet", "nasnet_4_1056", onednn=False),
    Family("Residual attention", "cifar_residualattentionnet56"),
    Family("CIFAR ResNet v1", "cifar_resnet20_v1"),
    Family("CIFAR ResNet v2", "cifar_resnet20_v2"),
    Family("CIFAR WideResNet", "cifar_wideresnet16_10"),
    Family("CIFAR ResNeXt", "cifar_resnext29_32x4d"),
]


def family_net(family: Family) -> gluon.HybridBlock:
    """The net, initialised, with running statistics of noise images.

    With those of initialisation an untrained net's gradients fade to 1e-18 on the way to the image; with very
    small variances, as maps of one cell have them, they grow to 1e6. Neither is anybody's case.
    """
    net = make(family.member, **family.options)
    net.initialize(mx.init.Xavier(magnitude=2.5))
    data = mx.nd.array(np.random.RandomState(7).normal(size=(4, 3, family.size, family.size)))
    net(data[:1])
    norms: list = []
    net.apply(lambda block: norms.append(block) if isinstance(block, gluon.nn.BatchNorm) else None)
    momenta = [norm._kwargs["momentum"] for norm in norms]
    for norm in norms:
        norm._kwargs["momentum"] = 0.0
    with autograd.record():
        score = first(net(data)).sum()
    score.backward()
    for norm, momentum in zip(norms, momenta):
        norm._kwargs["momentum"] = momentum
        variance = norm.running_var.data()
        norm.running_var.set_data(variance + 0.5 * variance.mean())
    return net


def make(member: str, **options) -> gluon.HybridBlock:
    """A net by its name, without parameters."""
    if member.startswith("gluon:"):
        return vision.get_model(member[6:], **options)
    return gluoncv.model_zoo.get_model(member, pretrained=False, **options)


def first(outputs):
    """The class scores: NASNet returns auxiliary ones as well."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs
