"""The image classifiers of Gluon's and GluonCV's model zoos, and parameter files that are checked before they
load.

Nothing is downloaded. MXNet's own loaders fetch a missing or damaged file, again and again if there is no network.
Here a missing or damaged file is an immediate error that says which file belongs where.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..mxnet_door import gluon, gluoncv_model_zoo, model_store, mx, vision

_TASKS = re.compile(
    r"_(voc|coco|ade|citys|mhpv1|custom|kinetics\d+|sthsthv2|ucf101|hmdb51|otb15|kitti|int8)|_pose_|rcnn|_s$"
)
"""In the names of GluonCV's nets for detection, segmentation, poses, videos, depth, and of its closed graphs."""

_FILE_NAMES = (
    # name of a net of GluonCV's, as a pattern -> the name of its file, where the two differ
    (r"(hrnet_w\d+(_small_v\d)?)_c", r"\1_cls"),
    (r"resnet18_v1b_0\.89", "resnet18_v1b_2.6x"),
    (r"resnet50_v1d_0\.86", "resnet50_v1d_1.8x"),
    (r"resnet50_v1d_0\.48", "resnet50_v1d_3.6x"),
    (r"resnet50_v1d_0\.37", "resnet50_v1d_5.9x"),
    (r"resnet50_v1d_0\.11", "resnet50_v1d_8.8x"),
    (r"resnet101_v1d_0\.76", "resnet101_v1d_1.9x"),
    (r"resnet101_v1d_0\.73", "resnet101_v1d_2.2x"),
)


@dataclass(frozen=True)
class ZooNet:
    """A net of a zoo, by its name there.

    Attributes
    ----------
    name : str
        Without the zoo.
    zoo : {"gluon", "gluoncv"}
    """

    name: str
    zoo: str

    @property
    def file_name(self) -> str | None:
        """What the zoo calls the file of its own weights; None if it has none."""
        name = self._stored_name
        return f"{name}-{self._hashes[name][:8]}.params" if name in self._hashes else None

    @property
    def sha1(self) -> str | None:
        """Of that file, hexadecimal."""
        return self._hashes.get(self._stored_name)

    def build(self, classes: int | None = None) -> gluon.HybridBlock:
        """The net without weights; `classes` None: as many as the zoo's own weights have."""
        return self._make(pretrained=False, **({} if classes is None else {"classes": classes}))

    def load(self, root: str, ctx: Any) -> gluon.HybridBlock:
        """The net with the zoo's own weights from the folder `root`; see `weights_file`.

        The zoo's own loader reads them, as some nets need a special way. The file is found and checked before, so
        that the loader has nothing to download. GluonCV's loader puts a lock file beside it.
        """
        path = weights_file(self, root)
        return self._make(pretrained=True, root=os.path.dirname(path), ctx=ctx)

    def _make(self, **options: Any) -> gluon.HybridBlock:
        make = vision.get_model if self.zoo == "gluon" else gluoncv_model_zoo().get_model
        return make(self.name, **options)

    @property
    def _stored_name(self) -> str:
        for pattern, stored in _FILE_NAMES if self.zoo == "gluoncv" else ():
            if re.fullmatch(pattern, self.name):
                return re.sub(pattern, stored, self.name)
        return self.name

    @property
    def _hashes(self) -> Mapping[str, str]:
        return (model_store if self.zoo == "gluon" else gluoncv_model_zoo().model_store)._model_sha1


def find(name: str) -> ZooNet:
    """The image classifier of that name: Gluon's own, else GluonCV's; "gluon:name", "gluoncv:name" choose.

    Raises
    ------
    ValueError
        There is none. Nets for other tasks are refused: their images are prepared in another way, and their
        outputs are not classes.
    """
    zoo, colon, plain = name.rpartition(":")
    known = {"gluon": list(model_store._model_sha1)}
    if zoo == "gluoncv" or (not colon and plain not in known["gluon"]):
        known["gluoncv"] = [one for one in gluoncv_model_zoo().get_model_list() if not _TASKS.search(one)]
    for one in [zoo] if colon else known:
        if plain in known.get(one, ()):
            return ZooNet(plain, one)
    if _TASKS.search(plain):
        raise ValueError(
            f"{name!r} is no image classifier; build and load it with gluoncv.model_zoo.get_model, and give "
            "explain() targets for its task (vizcallbacks.targets)"
        )
    listed = ", ".join(sorted({one for names in known.values() for one in names}))
    raise ValueError(
        f"name must be 'efficientnet_lite0' or that of an image classifier of Gluon's or GluonCV's model zoo, got "
        f"{name!r}; these are: {listed}"
    )


def weights_file(net: ZooNet, root: str) -> str:
    """The path of the zoo's own weights in the folder `root`, checked by their SHA-1.

    For GluonCV's nets, $MXNET_HOME/models takes the place of `root` if it is set, as in GluonCV itself.

    Raises
    ------
    ValueError
        The zoo has no weights for this net; the file is damaged.
    FileNotFoundError
        It is not there.
    """
    if net.file_name is None:
        raise ValueError(
            f"the zoo has published no weights for {net.name!r}; give a file of your own: params='FILE'"
        )
    if net.zoo == "gluoncv" and "MXNET_HOME" in os.environ:
        root = os.path.join(os.environ["MXNET_HOME"], "models")
    path = os.path.join(root, net.file_name)
    module = "mxnet.gluon.model_zoo" if net.zoo == "gluon" else "gluoncv.model_zoo"
    call = f"model_store.get_model_file({net._stored_name!r}, root={root!r})"
    fetch = f'python -c "from {module} import model_store; {call}"'
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"the weights of {net.name!r} must be in {path} (sha1 {net.sha1}), and are not. vizcallbacks "
            "downloads nothing: where there is a network, MXNet fetches the file by: "
            f"{fetch}. Or give a file of your own: params='FILE'"
        )
    if not gluon.utils.check_sha1(path, net.sha1):
        raise ValueError(
            f"{path} must have the sha1 {net.sha1}, and has another: it is damaged, or not the zoo's. Remove it "
            f"and get it anew ({fetch}); if these are weights of your own: params={path!r}"
        )
    return path


def shapes_in(path: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters in a file that `save_parameters` wrote, or its predecessor `save_params`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no parameter file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"params must be a parameter file, and there is none at {path!r}")
    try:
        found = mx.nd.load(path)
    except mx.MXNetError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"{path} must be a parameter file of MXNet, and cannot be read ({reason}); make it anew: "
            "net.save_parameters(path)"
        ) from error
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path} must hold parameters by name, and has none; use net.save_parameters(path)")
    return {name: array.shape for name, array in found.items()}


def classes_in(shapes: Mapping[str, tuple], net: gluon.Block) -> int | None:
    """The number of classes in a file of parameters for `net`, if the two differ in nothing else.

    The parameters that depend on it (weights and biases of the last layer) have it as their first length. None:
    all parameters fit already, or they differ in something else.
    """
    pairs = [
        (shape, shapes[name])
        for name, shape in _wanted(net, list(shapes)).items()
        if name in shapes and not _fits(shape, shapes[name])
    ]
    if not all(want and have and _fits((0, *want[1:]), have) for want, have in pairs):
        return None
    counts = {(want[0], have[0]) for want, have in pairs}
    return counts.pop()[1] if len(counts) == 1 else None


def load_file(net: gluon.Block, path: str, shapes: Mapping[str, tuple], ctx: Any) -> None:
    """Load a file's parameters into a net; first all of its `shapes_in` are compared.

    Raises
    ------
    ValueError
        It lacks parameters of `net`, or has others, by name and shape; the net is as it was then.
    """
    check_same(_wanted(net, list(shapes)), shapes, path)
    net.load_parameters(path, ctx=ctx, cast_dtype=True)


def check_same(wanted: Mapping[str, tuple], found: Mapping[str, tuple], path: str) -> None:
    """Compare names and shapes (0: not known yet) of parameters; ValueError names the first few that differ."""
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    other = [
        f"{name} is {found[name]} there, {shape} in the net"
        for name, shape in wanted.items()
        if name in found and not _fits(shape, found[name])
    ]
    faults = [
        ("it lacks", missing),
        ("it has besides", extra),
        ("shapes differ:", other),
    ]
    told = [f"{words} {_few(names)}" for words, names in faults if names]
    if told:
        raise ValueError(
            f"{path} must hold the {len(wanted)} parameters of the net; {'; '.join(told)}. Load it into the net "
            "it was saved from (name), with its number of classes (classes)"
        )


def _wanted(net: gluon.Block, names: list[str]) -> dict[str, tuple]:
    """Names and shapes as the file should have them: with dots (paths), or in old files without (prefixes)."""
    if any("." in name for name in names):
        parameters = net._collect_params_with_prefix()
    else:
        start = len(net.prefix)
        parameters = {name[start:]: parameter for name, parameter in net.collect_params().items()}
    return {name: tuple(parameter.shape or ()) for name, parameter in parameters.items()}


def _fits(shape: tuple, found: tuple) -> bool:
    if not shape:  # nothing is known of it before it is loaded
        return True
    return len(shape) == len(found) and all(want in (have, 0, -1) for want, have in zip(shape, found))


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
