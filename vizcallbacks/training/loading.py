"""Saved parameters into a net: the user's own, built by a function, or one of a graph that was saved as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ..mxnet_door import gluon, mx
from .checkpoints import read_stored


@dataclass(frozen=True)
class SymbolNet:
    """A net factory: the graph in a `-symbol.json` file, as `net.export` and `CheckpointHandler` write it.

    Called, it gives a net without parameters; `load_checkpoint` fills it.
    """

    path: str

    def __call__(self) -> gluon.SymbolBlock:
        return gluon.SymbolBlock(self.symbol, [mx.sym.var(name, dtype="float32") for name in self.inputs])

    @property
    def symbol(self) -> Any:
        try:
            return mx.sym.load(self.path)
        except mx.MXNetError as error:
            raise ValueError(
                f"{self.path!r} must be a graph that net.export wrote, but cannot be read"
            ) from error

    @property
    def inputs(self) -> list[str]:
        """Names of the graph's inputs: "data", or "data0", "data1" ... as Gluon calls them."""
        named = self.symbol.list_inputs()
        listed = [name for name in named if name[:4] == "data" and (name == "data" or name[4:].isdigit())]
        if not listed:
            raise ValueError(
                f"the graph in {self.path!r} must have an input named data or data0, got "
                f"{', '.join(named[:5])}; give a function that builds the net"
            )
        return listed


def load_checkpoint(net: gluon.Block, path: str, shape: tuple[int, ...] | None = None) -> bool:
    """Put a file's parameters into a net, on the CPU.

    Parameters
    ----------
    net : gluon.Block
        As the factory made it, initialised or not.
    path : str
        As `save_parameters`, `export` or `CheckpointHandler` wrote it.
    shape : tuple of int, optional
        Of a batch of the net's first input; needed where a graph's parameters can only be told by their shapes.

    Returns
    -------
    bool
        Whether the parameters were on a GPU when they were saved.

    Raises
    ------
    ValueError
        The file is damaged, or does not fit the net: the message says what to do.
    """
    stored = read_stored(path)
    try:
        if isinstance(net, gluon.SymbolBlock):
            _load_graph(net, path, shape)
        else:
            net.load_parameters(path, ctx=mx.cpu())
    except (AssertionError, KeyError, RuntimeError, mx.MXNetError) as error:
        first = str(error).strip().splitlines()
        raise ValueError(
            f"{path!r} does not fit the net ({first[-1][:300] if first else type(error).__name__}); build the "
            "net that was trained"
        ) from error
    return stored.is_from_gpu


def _load_graph(net: gluon.SymbolBlock, path: str, shape: tuple[int, ...] | None) -> None:
    arrays = mx.nd.load(path)
    own = net.collect_params()
    if all(name[:4] in ("arg:", "aux:") for name in arrays):
        values = {name[4:]: array for name, array in arrays.items()}
    elif set(arrays) == set(own):
        values = arrays
    else:
        values = _by_shape(net, arrays, path, shape)
    missing = sorted(set(own) - set(values))
    if missing:
        raise ValueError(f"{path!r} lacks {', '.join(missing[:5])} of the graph; give the file saved with it")
    for name, parameter in own.items():
        parameter._load_init(values[name], mx.cpu(), cast_dtype=True, dtype_source="saved")


def _by_shape(net: gluon.SymbolBlock, arrays: dict, path: str, shape: tuple[int, ...] | None) -> dict:
    """Structural names (0.weight) to those of the graph (conv0_weight), where every shape occurs once only."""
    graph = net._cached_graph[1] if net._cached_graph else None
    known: dict[str, tuple[int, ...]] = {}
    if graph is not None and shape is not None:
        inputs = [name for name in graph.list_inputs() if name not in net.collect_params()]
        found, _, states = graph.infer_shape(**{inputs[0]: shape})
        known = dict(zip(graph.list_arguments() + graph.list_auxiliary_states(), found + states))
    wanted = {name: known.get(name) for name in net.collect_params()}
    shapes = Counter(array.shape for array in arrays.values())
    if max(shapes.values()) > 1 or Counter(wanted.values()) != shapes:
        raise ValueError(
            f"{path!r} has other names than the graph, and shapes that occur more than once, so that its "
            "parameters cannot be told apart: give a function that builds the net (--net PACKAGE.MODULE:FUNCTION)"
        )
    by_shape = {array.shape: array for array in arrays.values()}
    return {name: by_shape[wanted_shape] for name, wanted_shape in wanted.items()}
