"""What a net takes: images and more, a batch at a time, in the net's type and on its device."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..checks import as_numpy
from ..mxnet_door import autograd, gluon, mx
from .blocks import block_paths, parameters_of
from .plain_words import plain_words

_LOGGER = logging.getLogger(__name__)

DRAWS = (
    "the net's initialisation was deferred and has been resolved by one image: as a Dropout comes before such a "
    "layer, the random numbers of this training come in another order than without vizcallbacks; for the same "
    "order hybridize the net, or run one batch through it first"
)


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

    def __init__(self, net: gluon.Block, images: np.ndarray, extra: Sequence) -> None:
        self.images = images
        self._context, self._type = _context_and_type(net)
        if hasattr(extra, "shape") or not isinstance(extra, Sequence):
            raise TypeError(
                "extra must be a tuple of arrays, one for each input after the images, got "
                f"{type(extra).__name__}; for one further input: extra=(array,)"
            )
        _check_count(net, 1 + len(extra))
        for place, one in enumerate(extra):
            if one is None:
                raise ValueError(
                    f"extra[{place}] must be an array with a row for each of the {len(images)} images, got None; "
                    "leave out inputs that the net does without"
                )
        self._extra = [as_numpy(one) for one in extra]
        for place, one in enumerate(self._extra):
            if one.shape[:1] != images.shape[:1]:
                raise ValueError(
                    f"extra inputs must have {len(images)} rows, as the images; got shape {one.shape} for "
                    f"extra[{place}]"
                )

    @contextlib.contextmanager
    def told(self, images: Any) -> Iterator[None]:
        """For the length of a ``with`` block, raise MXNet's errors in words (ValueError)."""
        try:
            yield
        except mx.MXNetError as error:
            raise self._failed(images, error) from error

    def _failed(self, images: Any, error: Exception) -> ValueError:
        """What to raise instead of MXNet's error, with the images' shape and what may be the cause."""
        reason = plain_words(error)
        typed = "type" in reason  # whole numbers may be meant as such: for an embedding
        other = [i for i, one in enumerate(self._extra) if one.dtype != self._type]
        hint = "".join(
            f"; extra[{i}] is {self._extra[i].dtype}, and the net's weights are {self._type}: pass "
            f"extra[{i}].astype({self._type.name!r})"
            for i in other
            if typed or self._extra[i].dtype == np.float64
        )
        with contextlib.suppress(mx.MXNetError):
            mx.nd.waitall()  # MXNet raises an operator's error there as well: not in the training's next waitall
        return ValueError(f"the net failed on images of shape {images.shape}: {reason}{hint}")

    def initialise(self, net: gluon.Block) -> None:
        """Resolve deferred initialisation as the first training batch would: by running the net on one image."""
        if any(parameter._deferred_init for parameter in parameters_of(block_paths(net))):
            if not getattr(net, "_active", False) and _draws(net):
                _LOGGER.warning(DRAWS)
            inputs = self.batch(slice(0, 1))
            try:
                with autograd.pause(train_mode=False):
                    net(*inputs)
            except (mx.MXNetError, ValueError) as error:
                raise self._failed(inputs[0], error) from error

    def to_net(self, array: np.ndarray):
        """Images as the net takes them."""
        return self._moved(array, self._type)

    def batch(self, part: slice) -> list:
        """All inputs of some images."""
        return [self.to_net(self.images[part]), *(self._moved(one[part], one.dtype) for one in self._extra)]

    def _moved(self, array: np.ndarray, dtype: Any):
        moved = mx.nd.array(array, ctx=self._context, dtype=dtype)
        return moved.as_np_ndarray() if mx.util.is_np_array() else moved


def _context_and_type(net: Any) -> tuple[Any, Any]:
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


def _check_cpu(net: Any, dtype: Any) -> None:
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


def _check_count(net: gluon.Block, count: int) -> None:
    """Raise ValueError if a net does not take so many inputs, as far as its signature tells."""
    if isinstance(net, gluon.SymbolBlock):
        return
    hybrid = isinstance(net, gluon.HybridBlock) and type(net).forward is gluon.HybridBlock.forward
    function, own = (net.hybrid_forward, 1) if hybrid else (net.forward, 0)
    parameters = list(inspect.signature(function).parameters.values())[own:]
    parameters = [one for one in parameters if one.name not in net._reg_params]
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = [one.name for one in positional if one.default is one.empty]
    more = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    if count < len(needed):
        raise ValueError(
            f"the net takes {len(needed)} inputs, {', '.join(needed)}, and got {count}: pass those after "
            f"the images as extra=({', '.join(needed[1:])},), arrays with a row for each image"
        )
    if count > len(positional) and not more:
        names = ", ".join(one.name for one in positional)
        raise ValueError(
            f"the net takes {len(positional)} inputs at most, {names}, and got {count}: the images and "
            f"{count - 1} in extra"
        )


def _draws(net: gluon.Block) -> bool:
    """Whether a Dropout is followed by a layer whose initialisation is deferred."""
    dropout = False
    for block, _ in block_paths(net):
        dropout = dropout or isinstance(block, gluon.nn.Dropout)
        if dropout and any(parameter._deferred_init for parameter in block._reg_params.values()):
            return True
    return False
