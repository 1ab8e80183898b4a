"""Trained networks: `load` and `efficientnet_lite0`, from files on this machine, never by a download.

May use MXNet (by `mxnet_door`) and `probes`. `zoo` knows Gluon's and GluonCV's weights, `torch_file` reads
PyTorch's files without PyTorch, `efficientnet` is the network whose weights come in a package.
"""

from .efficientnet import EfficientNetLite
from .models import efficientnet_lite0, imagenet_class_names, load
from .preprocessing import Preprocessing, PretrainedModel

__all__ = [
    "EfficientNetLite",
    "Preprocessing",
    "PretrainedModel",
    "efficientnet_lite0",
    "imagenet_class_names",
    "load",
]
