"""`explain`: a net and images -> attribution maps, a batch at once, by one forward pass."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, overload

import numpy as np

from ..checks import check_whole, names_arguments
from ..mxnet_door import autograd, gluon
from ..nets.blocks import ConvLayer, block_paths, cells, conv_layers, find_layers, layout_of
from ..nets.inputs import Inputs
from ..nets.instrument import instrumented
from ..nets.passes import Passes
from ..nets.runner import Runner
from ..nets.tape import IndependentError, Pass
from ..probes.probe_set import ProbeSet
from .methods import DEFAULT_METHODS, METHODS, check_methods
from .outputs import check_output, kind_of, predictions_of, probabilities_of
from .result import Attributions
from .target import Target
from .targets import target_of


@overload
def explain(
    net: gluon.Block,
    images: Any,
    methods: Sequence[str] | str = ...,
    *,
    layer: str | ConvLayer | None = None,
    targets: Any = None,
    batch_size: int = 16,
    extra: Sequence = (),
    output: str | None = None,
    compiled: bool | None = None,
) -> Attributions: ...


@overload
def explain(
    net: gluon.Block,
    images: Any,
    methods: Sequence[str] | str = ...,
    *,
    layer: list | tuple,
    targets: Any = None,
    batch_size: int = 16,
    extra: Sequence = (),
    output: str | None = None,
    compiled: bool | None = None,
) -> list[Attributions]: ...


@names_arguments
def explain(
    net: gluon.Block,
    images: Any,
    methods: Sequence[str] | str = DEFAULT_METHODS,
    *,
    layer: Any = None,
    targets: Any = None,
    batch_size: int = 16,
    extra: Sequence = (),
    output: str | None = None,
    compiled: bool | None = None,
) -> Attributions | list[Attributions]:
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
        Names from `vizcallbacks.attribution.methods.METHODS`.
    layer : Conv2D, str, sequence of these, or None
        The layer of the CAM family: a Conv2D of the net, its name, or its path ("features.8.1.body.3").
        Its output is what the block returns, after its own activation if it has one. None: the last Conv2D to
        run that depends on the image and whose output is larger than 1 x 1 and has a part in the score. A layer
        that runs several times counts where it ran last on the way from the image to the score. For the targets
        of segmentation and detection, whose last Conv2D computes the scores themselves: the last with another
        Conv2D between it and the scores.
    targets : None, "label", int, (N,) ints, Target or callable
        The class whose score is explained: the predicted one, the probe's label, one for all, one for each. Or a
        target of `vizcallbacks.targets`: of one of several outputs, a contrast of two classes, segmentation,
        detection, several labels. Or a function from the net's outputs for a batch to its scores, (n,) NDArray, by
        MXNet operators; if it takes a second argument, it gets the numbers of the batch's images, (n,) ints.
    batch_size : int
        Images per pass; bounds the memory.
    extra : sequence of ndarray or NDArray, (N, ...)
        Further inputs of the net, after the images: ``net(images, *extra)``. They are not explained.
    output : "logits", "probabilities", "sigmoid" or None
        What outputs (N, classes) are, for `Attributions.probabilities`: to be taken through softmax, as they are,
        or each through a sigmoid. None: probabilities if every image's are at least 0 and sum to 1, otherwise
        logits; a single output has no probability then. Scores are always those before.
    compiled : bool or None
        Deprecated, and without effect: there is one way through a net, by its graph. `Attributions.route` tells
        where the graph is from.

    Returns
    -------
    Attributions
        A list of them if `layer` is a sequence.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or the net holds what cannot be explained right: a layer without maps of the
        images, an operator that draws random numbers in predict mode, an operator in Python.

    Examples
    --------
    >>> import mxnet as mx, numpy as np, vizcallbacks as vc
    >>> from mxnet.gluon import nn
    >>> net = nn.HybridSequential()
    >>> net.add(nn.Conv2D(8, 3, activation="relu"), nn.GlobalAvgPool2D(), nn.Dense(2))
    >>> net.initialize()
    >>> images = np.random.rand(3, 3, 16, 16).astype("float32")
    >>> result = vc.explain(net, images, ("grad_cam", "saliency"), targets=1)
    >>> result
    Attributions(3 images of 16x16, grad_cam, saliency, layer '0')
    >>> result["grad_cam"].shape, result.at_image_size("grad_cam").shape
    ((3, 14, 14), (3, 16, 16))
    >>> why = vc.explain(net, images, "gradient", targets=vc.targets.contrast(0, 1))
    >>> np.allclose(why.scores, result.outputs[:, 0] - result.outputs[:, 1], atol=1e-6)
    True
    """
    if compiled is not None:
        warnings.warn(
            "explain(compiled=) has no effect any more and will be removed; leave it out",
            DeprecationWarning,
            2,
        )
    probe = images if isinstance(images, ProbeSet) else ProbeSet(images)
    methods = check_methods(methods)
    check_whole("batch_size", batch_size)
    check_output(output)
    target = target_of(targets, probe.labels, len(probe))
    layers = find_layers(net, layer) if _needs(methods) & {"activation", "gradient"} else []
    inputs = Inputs(net, probe.images, extra)
    inputs.initialise(net)
    chunks: list[_Chunk] = []
    with instrumented(net) as runner:
        for start in range(0, len(probe), batch_size):
            part = slice(start, min(start + batch_size, len(probe)))
            chunks.append(_explain_chunk(runner, inputs, part, methods, layers, target, batch_size))
            layers = chunks[0].layers
        remarks = chunks[0].remarks
    outputs = _joined([chunk.outputs for chunk in chunks])
    target = chunks[0].target.joined([chunk.target for chunk in chunks[1:]])
    kind = output if outputs is None or output is not None else kind_of(outputs)
    probabilities = None if outputs is None else probabilities_of(outputs, kind)
    paths = {conv: path or conv.name for path, conv in conv_layers(block_paths(net)).items()}
    results = [
        Attributions(
            maps=_joined_values([chunk.maps[index] for chunk in chunks]),
            layer=None if one is None else paths[one],
            image_size=(probe.images.shape[2], probe.images.shape[3]),
            outputs=outputs,
            probabilities=probabilities,
            predictions=None if outputs is None else predictions_of(outputs, probabilities),
            output=kind,
            targets=target.classes,
            target=target,
            scores=np.concatenate([chunk.scores for chunk in chunks]),
            coverage=runner.coverage,
            notes=_joined_values([chunk.notes[index] for chunk in chunks]),
            probe=probe,
            route=runner.route or "",
            reason=runner.reason,
            purity=runner.purity,
            remarks=remarks,
        )
        for index, one in enumerate(layers or [None])
    ]
    return results if isinstance(layer, (list, tuple)) else results[0]


def _needs(methods: Sequence[str]) -> set[str]:
    return {need for name in methods for need in METHODS[name].needs}


@dataclass(frozen=True)
class _Chunk:
    """What one batch gave; `maps` and `notes` for each of the layers."""

    layers: list
    maps: list[dict[str, np.ndarray]]
    notes: list[dict[str, np.ndarray]]
    outputs: np.ndarray | None
    target: Target
    scores: np.ndarray
    remarks: tuple[str, ...]


def _explain_chunk(
    runner: Runner,
    inputs: Inputs,
    part: slice,
    methods: Sequence[str],
    layers: list | None,
    target: Target,
    batch_size: int,
) -> _Chunk:
    """One batch: a forward pass, then as many walks backwards as the methods need.

    `layers` None: the default layer is looked for.
    """
    images, *extra = inputs.batch(part)
    needs = _needs(methods)
    with inputs.told(images):
        guided = "guided_gradient" in needs
        image = guided or "input_gradient" in needs or not needs & {"activation", "gradient"}
        if layers is None and target.spatial:
            run = runner.forward(images, None, extra, image=image, guided=guided)
        elif layers is None:
            run = runner.forward_to_last(images, extra, image=image, guided=guided)
        else:
            run = runner.forward(images, layers, extra, image=image, guided=guided)
        try:
            chosen, score = scored(run, target.pick(part))
        except IndependentError as error:
            if not layers or image:
                raise
            raise ValueError(_no_part(runner, images, extra, target.pick(part), layers)) from error
        outputs = chosen.answers(run.outputs)
        remarks: tuple[str, ...] = ()
        if layers is None:
            found, remarks = default_layer(run, target.spatial)
            layers = [found]
        tapped = taps(run, layers, runner)
        if layers and not any(run.tape.reached(tapped)):
            raise ValueError(_no_part(runner, images, extra, target.pick(part), layers))
        shared: dict[str, Any] = {"images": inputs.images[part]}
        plain = tapped + ([run.images] if "input_gradient" in needs else [])
        gradients = run.tape.walk(plain, last=not guided) if plain else []
        if "input_gradient" in needs:
            shared["input_gradient"] = _single(gradients[-1])
        if guided:
            shared["guided_gradient"] = _single(run.tape.walk([run.images], guided=True, last=True)[0])
        activations = [tap.asnumpy() for tap in tapped]
        score = score.asnumpy()
        del run  # and with it the record: methods of many passes need the memory
        shared["passes"] = Passes(
            runner,
            inputs.images[part],
            inputs.to_net,
            extra,
            chosen.score,
            batch_size,
        )
        maps, notes = [], []
        for index in range(max(1, len(layers))):
            own = {}
            if layers:
                own["activation"] = channels_first(layers[index], activations[index])
                own["gradient"] = channels_first(layers[index], gradients[index])
            applied = _apply(methods, {**shared, **own})
            maps.append(applied[0])
            notes.append(applied[1])
    outputs = None if outputs is None else _single(outputs.asnumpy())
    return _Chunk(layers, maps, notes, outputs, chosen, _single(score), remarks)


def _apply(methods: Sequence[str], arrays: Mapping[str, Any]) -> tuple[dict, dict]:
    """Maps by method, and notes by "method/name"."""
    maps: dict[str, np.ndarray] = {}
    notes: dict[str, np.ndarray] = {}
    for name in methods:
        with np.errstate(all="ignore"):  # NaN and infinity of the net pass, and are drawn as undefined
            found = METHODS[name].function(*(arrays[need] for need in METHODS[name].needs))
        if isinstance(found, tuple):
            found, more = found
            notes.update({f"{name}/{key}": value for key, value in more.items()})
        maps[name] = _single(found)
    return maps, notes


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)


def _joined(parts: list) -> Any:
    return None if parts[0] is None else np.concatenate(parts)


def _joined_values(parts: list[dict[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    return MappingProxyType({key: np.concatenate([part[key] for part in parts]) for key in parts[0]})


def channels_first(layer, array: np.ndarray) -> np.ndarray:
    """A Conv2D's (N, K, h, w) from what it returns, in single precision."""
    axes = [layout_of(layer).index(letter) for letter in "NCHW"]
    return _single(array.transpose(axes))


def default_layer(run: Pass, spatial: bool = False) -> tuple[ConvLayer, tuple[str, ...]]:
    """The last Conv2D to run with an output larger than 1 x 1 and a part in the score; ValueError if none.

    For spatial targets the last with another Conv2D between it and the score, if there is one. Second: remarks.
    """
    outputs = [output for _, output in run.ran]
    remarks: tuple[str, ...] = ()
    reached = run.tape.reached(outputs, through=True) if spatial else []
    if not any(reached):
        reached = run.tape.reached(outputs)
        if spatial:
            remarks = (
                "the layer computes the scores themselves, as no other Conv2D is between it and them: its maps "
                "show the net's output",
            )
    large = [
        layer
        for (layer, output), by_gradient in zip(run.ran, reached)
        if by_gradient and cells(layer, output.shape) > 1
    ]
    if not large:
        raise ValueError(
            "no Conv2D on the way from the image to the target's score gave an output larger than 1 x 1, so there "
            "is nothing to map; use larger images, or name a layer"
        )
    return large[-1], remarks


def taps(run: Pass, layers: list, runner: Runner) -> list:
    """The layers' outputs of a pass, NDArrays in the layers' own layout.

    Of a layer that ran several times: where it ran last on the way from the image to the score; if it never has a
    part in that, where it ran last on the image.

    Raises
    ------
    ValueError
        If a layer gave another number of maps than there are images.
    """
    reached = run.tape.reached([output for _, output in run.ran])
    found = []
    for layer in layers:
        runs = [
            (by_gradient, place) for place, by_gradient in enumerate(reached) if run.ran[place][0] == layer
        ]
        output = run.ran[max(runs)[1]][1]
        count, wanted = output.shape[layout_of(layer).index("N")], run.images.shape[0]
        if count != wanted:
            raise ValueError(
                f"layer {runner.path_of(layer)!r} gave {count} maps for {wanted} images: the net folds "
                "something into "
                "the batch axis before it (views, frames or patches), so its maps are not the images'; name "
                "a layer "
                "that runs on whole images, or explain one view as the image of a wrapper"
            )
        found.append(output)
    return found


def _no_part(runner: Runner, images: Any, extra: list, target: Target, layers: list[ConvLayer]) -> str:
    """What to say of layers on which the score does not depend."""
    run = runner.forward(images, None, extra, guided=False)
    scored(run, target)
    reached = run.tape.reached([output for _, output in run.ran])
    paths = dict.fromkeys(runner.path_of(one) for (one, _), depends in zip(run.ran, reached) if depends)
    named = ", ".join(repr(runner.path_of(one)) for one in layers)
    return (
        f"layer {named} has no part in the target's score, so there is nothing to map; layers that have: "
        f"{', '.join(paths) or 'none'}"
    )


def scored(run: Pass, target: Target) -> tuple[Target, Any]:
    """Fix a target of a pass's images on its outputs, score them, (n,) NDArray, and close the pass's record."""
    chosen = target.fixed(run.outputs)
    with autograd.record(train_mode=False):
        score = chosen.score(run.outputs)
    run.tape.close(score)
    return chosen, score
