"""A net's blocks and their paths, and the layers that the CAM family can look at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Union

from ..mxnet_door import gluon, mx
from .graph import ordered, read


@dataclass(frozen=True)
class GraphLayer:
    """A convolution inside a `SymbolBlock`, whose closed graph has no blocks.

    Attributes
    ----------
    block : SymbolBlock
        In whose graph it is.
    name : str
        MXNet's for the operator, without the "_fwd" that Gluon adds to a layer's name.
    node : str
        The operator's name in the graph.
    """

    block: gluon.SymbolBlock
    name: str
    node: str


ConvLayer = Union[gluon.nn.Conv2D, GraphLayer]


def block_paths(net: gluon.Block) -> list[tuple[gluon.Block, str]]:
    """Every block of `net` once, parents first, with the path of its first appearance; TypeError if it is none."""
    if not isinstance(net, gluon.Block):
        got = net.__name__ if isinstance(net, type) else type(net).__name__
        raise TypeError(f"net must be a mxnet.gluon.Block, got {got}{_way_from(net)}")
    seen: set[int] = set()
    found: list[tuple[gluon.Block, str]] = []

    def visit(block: gluon.Block, path: str):
        if id(block) in seen:
            return
        seen.add(id(block))
        found.append((block, path))
        for key, child in block._children.items():
            visit(child, f"{path}.{key}" if path else key)

    visit(net, "")
    return found


def _way_from(net: Any) -> str:
    """How what is given instead of a block becomes one."""
    if isinstance(net, type):
        return (
            f"; that is the class: make a net of it, {net.__name__}()" if issubclass(net, gluon.Block) else ""
        )
    if isinstance(getattr(net, "net", None), gluon.Block):
        return "; give the net that it holds: its .net"
    if isinstance(net, (str, os.PathLike)):
        return (
            "; build the net and load its parameters into it, or take one of the zoos: "
            "vizcallbacks.pretrained.load(name, params).net"
        )
    if hasattr(net, "shape") or type(net).__name__ == "ProbeSet":
        return "; the net comes first, then the images"
    if isinstance(net, (list, tuple)):
        return "; explain one net after the other"
    if isinstance(net, mx.mod.BaseModule):
        return (
            "; save it, module.save_checkpoint('net', 0), and load it as a block: "
            "gluon.SymbolBlock.imports('net-symbol.json', ['data'], 'net-0000.params')"
        )
    if isinstance(net, mx.sym.Symbol):
        return "; make it a block: gluon.SymbolBlock(symbol, mx.sym.var('data')), with its parameters"
    if callable(net):
        return "; put it into a gluon.Block whose forward calls it, and whose children are the layers that it uses"
    return "; give the net itself"


def named(path: str) -> str:
    """A block in messages."""
    return f"block {path!r}" if path else "the net"


def parameters_of(blocks: Iterable[tuple[gluon.Block, str]]) -> list[gluon.Parameter]:
    """The parameters of blocks with their paths, each once: `collect_params` of the net, much faster."""
    return list({id(one): one for block, _ in blocks for one in block._params.values()}.values())


def conv_layers(blocks: Iterable[tuple[gluon.Block, str]]) -> dict[str, ConvLayer]:
    """Path -> every Conv2D among blocks with their paths, in the order of definition.

    The convolutions of a SymbolBlock have its path and their name: "features.resnet0_conv0".
    """
    found: dict[str, ConvLayer] = {}
    for block, path in blocks:
        if isinstance(block, gluon.nn.Conv2D):
            found[path] = block
        elif isinstance(block, gluon.SymbolBlock):
            for node in ordered(read(block._cached_graph[1])):
                if node.op == "Convolution" and node.attrs["kernel"].count(",") == 1:
                    name = node.name[: -len("_fwd")] if node.name.endswith("_fwd") else node.name
                    found[f"{path}.{name}" if path else name] = GraphLayer(block, name, node.name)
    return found


def layout_of(layer: ConvLayer) -> str:
    """The order of its output's axes, such as "NCHW"."""
    return "NCHW" if isinstance(layer, GraphLayer) else layer._kwargs["layout"]


def cells(layer: ConvLayer, shape: tuple[int, ...]) -> int:
    """h times w of an output of that shape."""
    layout = layout_of(layer)
    return shape[layout.index("H")] * shape[layout.index("W")]


def find_layers(net: gluon.Block, layer: Any) -> list[ConvLayer] | None:
    """Resolve an argument `layer`: a Conv2D, its name or path, or a sequence of these, to a list of layers.

    None stays None: to be found by running the net.

    Raises
    ------
    ValueError
        The net has no such Conv2D; the message lists those it has.
    """
    convs = conv_layers(block_paths(net))
    if not convs:
        raise ValueError(
            "the net has no gluon.nn.Conv2D layer for the CAM family to look at; "
            "use methods that need no layer, such as 'saliency'"
        )
    if layer is None:
        return None
    wanted = list(layer) if isinstance(layer, (list, tuple)) else [layer]
    if not wanted:
        raise ValueError("layer must name at least one Conv2D, got an empty sequence")
    resolved = []
    for one in wanted:
        match = [conv for path, conv in convs.items() if one is conv or one in (path, conv.name)]
        if not match:
            shown = one.name if isinstance(one, gluon.Block) else one
            names = ", ".join(
                f"{path} ({conv.name})" if path and path != conv.name else conv.name
                for path, conv in convs.items()
            )
            raise ValueError(f"layer {shown!r} is not a Conv2D of this net; its Conv2D layers are: {names}")
        resolved.append(match[0])
    return resolved
