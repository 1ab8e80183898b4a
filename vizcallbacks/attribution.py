"""`explain`: a net and images -> attribution maps, a batch at once, by one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

from .instrument import Instruments, Pass, block_paths, find_layers, instrumented
from .methods import METHODS, check_methods, upsample
from .probe import ProbeSet
from .targets import score_of

DEFAULT_METHODS = ("grad_cam", "guided_grad_cam", "saliency")


@dataclass(frozen=True)
class Attributions:
    """Raw attribution maps of N images, and what the net said about them. ``result[method]`` gives the maps.

    Attributes
    ----------
    maps : mapping of str to ndarray
        Method -> (N, h, w), (N, H, W) or (N, C, H, W) float32, as `vizcallbacks.methods.METHODS` says.
    layer : str or None
        Path of the Conv2D that the CAM family looked at ("features.8"), or its name if it is the net itself.
    image_size : (int, int)
        (H, W).
    outputs : ndarray, (N, classes), float32, or None
        What the net returned, before any softmax; None if that is not one (N, classes) array.
    probabilities : ndarray, (N, classes), float32, or None
        Softmax of the outputs.
    predictions : ndarray, (N,), int64, or None
        The class of the highest output; -1 where an output is NaN.
    targets : ndarray, (N,), int64, or None
        The classes explained; None if the targets were given as a callable.
    scores : ndarray, (N,), float32
        The explained scores.
    relus : (int, int)
        ReLU-like activations that guided backpropagation covered, and all that ran.
    unguided : tuple of str
        Paths of blocks with activations that it could not cover.
    probe : ProbeSet
        What was explained; made of the images if they were given as an array.
    """

    maps: Mapping[str, np.ndarray]
    layer: str | None
    image_size: tuple[int, int]
    outputs: np.ndarray | None
    probabilities: np.ndarray | None
    predictions: np.ndarray | None
    targets: np.ndarray | None
    scores: np.ndarray
    relus: tuple[int, int]
    unguided: tuple[str, ...]
    probe: ProbeSet

    def __getitem__(self, method: str) -> np.ndarray:
        if method not in self.maps:
            raise KeyError(f"method {method!r} was not computed; computed were: {', '.join(self.maps)}")
        return self.maps[method]

    def __len__(self) -> int:
        return len(self.scores)

    def at_image_size(self, method: str) -> np.ndarray:
        """One map per image at the image's size, (N, H, W) float32.

        Maps of the CAM family are upsampled bilinearly; of maps with channels the absolute maximum over
        channels is taken.
        """
        maps = self[method]
        if METHODS[method].shape == "layer":
            return upsample(maps, self.image_size)
        return np.abs(maps).max(axis=1) if maps.ndim == 4 else maps


def explain(
    net: gluon.Block,
    images,
    methods: Sequence[str] | str = DEFAULT_METHODS,
    *,
    layer=None,
    targets=None,
    batch_size: int = 16,
) -> Any:
    """Show what `net` bases a score on, for each image.

    The net is instrumented for the length of the call and left as it was, to the bit.

    Parameters
    ----------
    net : gluon.Block
        Initialised; if its initialisation is deferred, the first image is run through it, as the first training
        batch would be.
    images : ProbeSet, ndarray or NDArray, (N, C, H, W), float32
        As the net takes them.
    methods : sequence of str
        Names from `vizcallbacks.methods.METHODS`.
    layer : Conv2D, str, sequence of these, or None
        The layer of the CAM family: a Conv2D of the net, its name, or its path ("features.8.1.body.3").
        Its output is what the block returns, after its own activation if it has one. None: the last Conv2D to
        run whose output is larger than 1 x 1. A layer that runs several times counts where it ran last.
    targets : None, "label", int, (N,) ints or callable
        The class whose score is explained: the predicted one, the probe's label, one for all, one for each; or a
        function from the net's outputs to scores, (N,) NDArray, by MXNet operators.
    batch_size : int
        Images per pass; bounds the memory.

    Returns
    -------
    Attributions
        A list of them if `layer` is a sequence.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said above, or a part of the net cannot be instrumented.
    """
    probe = images if isinstance(images, ProbeSet) else ProbeSet(images)
    methods = check_methods(methods)
    check_batch_size(batch_size)
    choose = score_of(targets, probe.labels, len(probe))
    needs = {need for name in methods for need in METHODS[name].needs}
    layers = find_layers(net, layer) if needs & {"activation", "gradient"} else []
    context = _context(net)
    _initialise(net, mx.nd.array(probe.images[:1], ctx=context))
    chunks = []
    with instrumented(net) as instruments:
        for start in range(0, len(probe), batch_size):
            part = slice(start, start + batch_size)
            chunk, layers = _explain_chunk(
                instruments, mx.nd.array(probe.images[part], ctx=context), layers, needs, choose, part
            )
            chunks.append(chunk)
        relus, unguided = instruments.relus, tuple(instruments.unguided)
    common: dict[str, Any] = {
        key: None if chunks[0][key] is None else np.concatenate([chunk[key] for chunk in chunks])
        for key in ("outputs", "targets", "scores", "input_gradient", "guided_gradient")
    }
    outputs = common["outputs"]
    paths = {id(block): path or block.name for block, path in block_paths(net)}
    results = []
    for index, one in enumerate(layers or [None]):
        arrays = dict(common)
        if one is not None:
            arrays["activation"] = np.concatenate([chunk["activation"][index] for chunk in chunks])
            arrays["gradient"] = np.concatenate([chunk["gradient"][index] for chunk in chunks])
        with np.errstate(
            all="ignore"
        ):  # NaN and infinity of the net pass through, and are drawn as undefined
            maps = {
                name: METHODS[name].function(*(arrays[need] for need in METHODS[name].needs))
                for name in methods
            }
        results.append(
            Attributions(
                maps=MappingProxyType(maps),
                layer=None if one is None else paths[id(one)],
                image_size=(probe.images.shape[2], probe.images.shape[3]),
                outputs=outputs,
                probabilities=None if outputs is None else _softmax(outputs),
                predictions=None if outputs is None else _predictions(outputs),
                targets=common["targets"],
                scores=common["scores"],
                relus=relus,
                unguided=unguided,
                probe=probe,
            )
        )
    return results if isinstance(layer, (list, tuple)) else results[0]


def check_batch_size(batch_size) -> None:
    """Raise ValueError unless `batch_size` is an int of at least 1."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"batch_size must be an int of at least 1, got {batch_size!r}")


def _explain_chunk(
    instruments: Instruments, images, layers: list | None, needs: set[str], choose: Callable, part: slice
) -> tuple[dict[str, Any], list]:
    """One batch: a forward pass, then as many walks backwards as the methods need.

    `layers` None: the default layer is looked for; the layers used are returned beside the arrays.
    """
    try:
        run = instruments.forward(images, layers)
        outputs = _class_outputs(run.outputs)
        with autograd.record(train_mode=False):
            score, classes = choose(run.outputs, outputs, part)
        run.tape.close(score)
        if layers is None:
            layers = [_default_layer(run)]
        taps = _taps(run, layers, instruments)
        found: dict[str, Any] = {
            "outputs": outputs,
            "targets": classes,
            "scores": score.asnumpy().astype(np.float32),
            "input_gradient": None,
            "guided_gradient": None,
        }
        guided = "guided_gradient" in needs
        plain = taps + ([run.images] if "input_gradient" in needs else [])
        if plain:
            gradients = run.tape.walk(plain, last=not guided)
            found["activation"] = [tap.asnumpy() for tap in taps]
            found["gradient"] = gradients[: len(taps)]
            if "input_gradient" in needs:
                found["input_gradient"] = gradients[-1]
        if guided:
            (found["guided_gradient"],) = run.tape.walk([run.images], guided=True, last=True)
    except mx.MXNetError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"the net failed on images of shape {images.shape}: {reason}") from error
    return found, layers


def _default_layer(run: Pass):
    large = [layer for layer, output in run.ran if output.shape[2] * output.shape[3] > 1]
    if not large:
        raise ValueError(
            "no Conv2D of the net gave an output larger than 1 x 1, so there is nothing to map; "
            "use larger images, or name a layer"
        )
    return large[-1]


def _taps(run: Pass, layers: list, instruments: Instruments) -> list:
    outputs = {id(layer): output for layer, output in run.ran}
    for layer in layers:
        if id(layer) not in outputs:
            ran = ", ".join(path for path, conv in instruments.conv_layers.items() if id(conv) in outputs)
            raise ValueError(
                f"layer {layer.name!r} did not run on these images; layers that ran: {ran or 'none'}"
            )
    return [outputs[id(layer)] for layer in layers]


def _class_outputs(outputs) -> np.ndarray | None:
    single = isinstance(outputs, mx.nd.NDArray) and len(outputs.shape) == 2
    return outputs.asnumpy().astype(np.float32) if single else None


def _predictions(outputs: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(outputs).any(axis=1), -1, outputs.argmax(axis=1))


def _softmax(outputs: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)


def _context(net):
    if not isinstance(net, gluon.Block):
        raise TypeError(f"net must be a mxnet.gluon.Block, got {type(net).__name__}")
    for parameter in net.collect_params().values():
        if parameter._data is not None or parameter._deferred_init:
            return parameter.list_ctx()[0]
    return mx.context.current_context()


def _initialise(net, image) -> None:
    """Resolve deferred initialisation as the first training batch would: by running the net."""
    if any(parameter._deferred_init for parameter in net.collect_params().values()):
        try:
            with autograd.pause(train_mode=False):
                net(image)
        except (mx.MXNetError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"the net failed on images of shape {image.shape}: {reason}") from error
