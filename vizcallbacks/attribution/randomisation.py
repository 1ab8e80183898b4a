"""Does a map depend on the weights at all? `sanity` randomises them and looks.

After Adebayo et al., Sanity Checks for Saliency Maps (2018, arXiv:1810.03292): the weights are randomised from the
output downwards, layer after layer, and the maps compared with those of the net as it is. A method whose maps stay
alike shows the picture's edges, not the net's reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_whole, names_arguments, pick_evenly
from ..measures.of_one_map import mean_defined
from ..measures.of_two_maps import spearman
from ..mxnet_door import gluon, mx
from ..nets.blocks import block_paths
from ..probes.probe_set import ProbeSet
from .explaining import explain
from .methods import DEFAULT_METHODS, METHODS
from .result import Attributions


@dataclass(frozen=True, eq=False)
class Sanity:
    """How alike maps stay when weights are randomised. ``str()`` gives a table of means.

    Attributes
    ----------
    stages : tuple of str
        Down to which layer the weights are random: "head (8)", ..., "all (0)".
    similarity : mapping of str to ndarray, (stages, N), float64
        Method -> Spearman's rank correlation with the maps of the net as it is; NaN where a map is constant.
    control : mapping of str to ndarray, (N,), float64
        The same with random maps: the map's own values, shuffled. What "has nothing to do with it" looks like.
    """

    stages: tuple[str, ...]
    similarity: Mapping[str, np.ndarray]
    control: Mapping[str, np.ndarray]

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.stages, "random map"))
        lines = ["rank correlation with the maps of the net as it is; 1: the weights do not matter"]
        lines.append(
            " ".join([f"{'random weights':{max(width, 14)}}", *(f"{name:>16}" for name in self.control)])
        )
        for number, stage in enumerate(self.stages):
            cells = [_cell(values[number]) for values in self.similarity.values()]
            lines.append(" ".join([f"{stage:{max(width, 14)}}", *cells]))
        cells = [_cell(values) for values in self.control.values()]
        return "\n".join([*lines, " ".join([f"{'random map':{max(width, 14)}}", *cells])])


@names_arguments
def sanity(
    net: gluon.Block,
    probe: Any,
    methods: Sequence[str] | str = DEFAULT_METHODS,
    *,
    layer: Any = None,
    targets: Any = None,
    stages: int = 5,
    seed: int = 0,
    batch_size: int = 16,
    extra: Sequence = (),
) -> Sanity:
    """Compare a net's maps with those of the same net with random weights.

    Each array of weights is replaced by a copy whose values have changed places: their distribution stays, what
    was learnt goes. Cascading: first those of the last layer that has any, in the order of definition, then those
    below it as well, down to all. When the call ends or fails, the net has its own arrays back, and
    neither it nor any random stream has moved. Classes explained stay those of the net as it is.

    Parameters
    ----------
    net, probe, methods, layer, targets, batch_size, extra
        As for `explain`.
    stages : int, >= 2
        The head, all, and evenly spaced between; each costs what `explain` costs.
    seed : int
        Of the shuffling.

    Raises
    ------
    TypeError, ValueError
        As `explain`; or fewer than two stages, or no weights.

    Examples
    --------
    With `net` of two classes, and `images`, (3, 3, 16, 16) float32:

    >>> import numpy as np, vizcallbacks as vc
    >>> table = vc.sanity(net, images, "grad_cam", stages=2)
    >>> table.stages, table.similarity["grad_cam"].shape
    (('head (2)', 'all (0)'), (2, 3))
    """
    check_whole("stages", stages, 2)  # one for the head, one for all
    probe = probe if isinstance(probe, ProbeSet) else ProbeSet(probe)
    options: dict[str, Any] = {"batch_size": batch_size, "extra": extra}
    first = explain(net, probe, methods, layer=layer, targets=targets, **options)
    options["layer"] = layer if first.layer is None else first.layer
    options["targets"] = first.target
    layers = _layers_with_weights(net)
    if not layers:
        raise ValueError("the net has no weights to randomise")
    before = _maps(first)
    names, found = [], []
    for place in pick_evenly(len(layers), stages):
        random = [parameter for _, parameters in layers[: place + 1] for parameter in parameters]
        with shuffled(random, np.random.default_rng(seed)):
            now = _maps(explain(net, probe, methods, **options))
        found.append({method: spearman(maps, now[method]) for method, maps in before.items()})
        role = "head" if place == 0 else "all" if place == len(layers) - 1 else "to"
        names.append(f"{role} ({layers[place][0]})")
    generator = np.random.default_rng(seed)
    return Sanity(
        stages=tuple(names),
        similarity={method: np.stack([one[method] for one in found]) for method in before},
        control={method: spearman(maps, _shuffled_maps(maps, generator)) for method, maps in before.items()},
    )


@contextmanager
def shuffled(parameters: Sequence[gluon.Parameter], generator: np.random.Generator) -> Iterator[None]:
    """For the length of a ``with`` block, give parameters copies of their arrays with the values shuffled."""
    with ExitStack() as undo:
        for parameter in parameters:
            values = parameter.list_data()[0].asnumpy()
            values = generator.permutation(values.ravel()).reshape(values.shape)
            undo.callback(setattr, parameter, "_data", parameter._data)
            parameter._data = [
                mx.nd.array(values, ctx=array.context, dtype=array.dtype) for array in parameter._data
            ]
        yield


def _layers_with_weights(net: gluon.Block) -> list[tuple[str, list[gluon.Parameter]]]:
    """Blocks with parameters of their own, the last defined first; each parameter once."""
    seen: set[int] = set()
    found = []
    for block, path in block_paths(net):
        own = [
            p
            for p in block._reg_params.values()
            if not isinstance(p, gluon.Constant) and p._stype == "default"
        ]
        own = [p for p in own if id(p) not in seen]
        seen.update(id(p) for p in own)
        if own:
            found.append((path or block.name, own))
    return found[::-1]


def _maps(result: Attributions) -> dict[str, np.ndarray]:
    """Method -> (N, h, w): of maps with channels, the largest absolute value; concepts below each other."""
    found = {}
    for method, maps in result.maps.items():
        if METHODS[method].shape == "channels":
            maps = np.abs(maps).max(axis=1)
        found[method] = maps.reshape(len(maps), -1, maps.shape[-1])
    return found


def _shuffled_maps(maps: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.permuted(maps.reshape(len(maps), -1), axis=1).reshape(maps.shape)


def _cell(values: np.ndarray) -> str:
    mean, count = mean_defined(values)
    share = "" if count == len(values) else f" of {100 * count / len(values):.0f} %"
    return f"{'undefined' if count == 0 else f'{mean:.2f}{share}':>16}"
