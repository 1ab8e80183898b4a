"""What a net takes: images and more, a batch at a time, in the net's type and on its device."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import as_numpy
from ..mxnet_door import autograd, gluon, mx
from .blocks import block_paths, parameters_of


class Inputs:
    """All inputs of a net, for all images.

    Parameters
    ----------
    net : gluon.Block
    images : ndarray, (N, C, H, W), float32
    extra : sequence of ndarray or NDArray, (N, ...)

    Raises
    ------
    TypeError, ValueError
        If `net` is no Gluon block, has weights that MXNet cannot run where they are, or `extra` not N rows.
    """

    def __init__(self, net, images: np.ndarray, extra: Sequence) -> None:
        self.images = images
        self._context, self._type = _context_and_type(net)
        self._extra = [as_numpy(one) for one in extra]
        for one in self._extra:
            if one.shape[:1] != images.shape[:1]:
                raise ValueError(
                    f"extra inputs must have {len(images)} rows, as the images; got shape {one.shape}"
                )

    def to_net(self, array: np.ndarray):
        """Images as the net takes them."""
        return self._moved(array, self._type)

    def batch(self, part: slice) -> list:
        """All inputs of some images."""
        return [self.to_net(self.images[part]), *(self._moved(one[part], one.dtype) for one in self._extra)]

    def _moved(self, array: np.ndarray, dtype):
        moved = mx.nd.array(array, ctx=self._context, dtype=dtype)
        return moved.as_np_ndarray() if mx.util.is_np_array() else moved


def _context_and_type(net) -> tuple[Any, Any]:
    """Where the net's parameters are, and the type of its weights."""
    parameters = parameters_of(block_paths(net))
    context = next(
        (p.list_ctx()[0] for p in parameters if p._data is not None or p._deferred_init),
        mx.context.current_context(),
    )
    types = [np.dtype(p.dtype) for p in parameters if p.name.endswith("weight")]
    dtype = types[0] if types else np.dtype(np.float32)
    if context.device_type == "cpu":
        _check_cpu(net, dtype)
    return context, dtype


def _check_cpu(net, dtype) -> None:
    """Refuse what MXNet cannot run on the CPU, in clearer words than its own."""
    if dtype == np.float16:
        raise ValueError(
            "the net's weights are float16, for which MXNet 1.9.1 has no convolutions on the CPU; "
            "explain a copy after net.cast('float32')"
        )
    for block, path in block_paths(net):
        if isinstance(block, gluon.nn.Conv2D) and block._kwargs["layout"] != "NCHW":
            raise ValueError(
                f"layer {path or block.name!r} has the layout {block._kwargs['layout']}, for which MXNet 1.9.1 "
                "has no convolutions on the CPU; build the net with layout='NCHW'"
            )


def initialise(net, inputs: list) -> None:
    """Resolve deferred initialisation as the first training batch would: by running the net."""
    if any(parameter._deferred_init for parameter in parameters_of(block_paths(net))):
        try:
            with autograd.pause(train_mode=False):
                net(*inputs)
        except (mx.MXNetError, ValueError) as error:
            raise failed(inputs[0], error) from error


def failed(images, error: Exception) -> ValueError:
    """What to raise instead of MXNet's error, in words that name the images' shape."""
    with contextlib.suppress(mx.MXNetError):
        mx.nd.waitall()  # MXNet raises an operator's error there as well: not in the training's next waitall
    reason = str(error).strip().splitlines()[-1]
    return ValueError(f"the net failed on images of shape {images.shape}: {reason}")
