"""`explain`: a net and images -> attribution maps, a batch at once, by one forward pass."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, overload

import numpy as np

from ..checks import check_whole, names_arguments
from ..mxnet_door import gluon
from ..nets.blocks import ConvLayer, block_paths, conv_layers, find_layers
from ..nets.inputs import Inputs
from ..nets.instrument import instrumented
from ..nets.kept import Kept
from ..probes.probe_set import ProbeSet
from .gaps import gap_remarks
from .methods import DEFAULT_METHODS, chosen_methods
from .one_batch import LAYER, Batch, Question, apply_methods, needs_of
from .outputs import check_output, kind_of, predictions_of, probabilities_of
from .result import Attributions
from .targets import target_of

if TYPE_CHECKING:
    from typing_extensions import Unpack  # for mypy and editors, which know it without its being installed


class Options(TypedDict, total=False):
    """The arguments of `explain` that say nothing of the kind of its result."""

    targets: Any
    batch_size: int
    extra: Sequence
    output: str | None
    compiled: bool | None
    kept: Kept | None


@overload
def explain(
    net: gluon.Block,
    images: Any,
    methods: Sequence[str] | str = ...,
    *,
    layer: list | tuple,
    **options: Unpack[Options],
) -> list[Attributions]: ...


@overload
def explain(
    net: gluon.Block,
    images: Any,
    methods: Sequence[str] | str = ...,
    *,
    layer: str | ConvLayer | None = None,
    **options: Unpack[Options],
) -> Attributions: ...


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
    kept: Kept | None = None,
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
        Names from `vizcallbacks.attribution.methods.METHODS`; "all-fast" stands for those that share their passes,
        "all" also for those of many passes, of which some take minutes.
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
        Images per pass at most; bounds the memory. Where a pass down to the image would keep more memory than is
        used again, it takes fewer.
    extra : sequence of ndarray or NDArray, (N, ...)
        Further inputs of the net, after the images: ``net(images, *extra)``. They are not explained.
    output : "logits", "probabilities", "sigmoid" or None
        What outputs (N, classes) are, for `Attributions.probabilities`: to be taken through softmax, as they are,
        or each through a sigmoid. None: probabilities if every image's are at least 0 and sum to 1, otherwise
        logits; a single output has no probability then. Scores are always those before.
    compiled : bool or None
        Deprecated, and without effect: there is one way through a net, by its graph. `Attributions.route` tells
        where the graph is from.
    kept : vizcallbacks.nets.kept.Kept, optional
        What earlier calls found of the net's structure, for this and later ones: ``kept = Kept()``, given to each.

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
    With `net` of two classes, and `images`, (3, 3, 16, 16) float32:

    >>> import numpy as np, vizcallbacks as vc
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
    block_paths(net)  # raises where it is no net, before the images are blamed
    probe = images if isinstance(images, ProbeSet) else ProbeSet(images)
    methods = chosen_methods(methods)
    check_whole("batch_size", batch_size)
    check_output(output)
    target = target_of(targets, probe.labels, len(probe))
    layers = find_layers(net, layer) if needs_of(methods) & LAYER else []
    inputs = Inputs(net, probe.images, extra)
    inputs.initialise(net)
    with instrumented(net, kept) as runner:
        question = Question(runner, inputs, methods, target, batch_size)
        batches = list(question.answers(len(probe), layers))
        layers = batches[0].layers
        remarks = batches[0].remarks
    outputs = _joined([batch.outputs for batch in batches])
    target = batches[0].target.joined([batch.target for batch in batches[1:]])
    kind = output if outputs is None or output is not None else kind_of(outputs)
    probabilities = None if outputs is None else probabilities_of(outputs, kind)
    paths = {conv: path or conv.name for path, conv in conv_layers(block_paths(net)).items()}
    found = [_joined_maps(batches, index, methods) for index in range(len(layers or [None]))]
    scores = np.concatenate([batch.scores for batch in batches])
    results = [
        Attributions(
            maps=found[index][0],
            layer=None if one is None else paths[one],
            image_size=(probe.images.shape[2], probe.images.shape[3]),
            outputs=outputs,
            probabilities=probabilities,
            predictions=None if outputs is None else predictions_of(outputs, probabilities),
            output=kind,
            targets=target.classes,
            target=target,
            scores=scores,
            coverage=runner.coverage,
            notes=found[index][1],
            probe=probe,
            route=runner.route or "",
            reason=runner.reason,
            purity=runner.purity,
            remarks=(*remarks, *gap_remarks(found[index][1], scores)),
        )
        for index, one in enumerate(layers or [None])
    ]
    return results if isinstance(layer, (list, tuple)) else results[0]


def _joined(parts: list) -> Any:
    return None if parts[0] is None else np.concatenate(parts)


def _joined_values(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _joined_maps(batches: list[Batch], index: int, methods: Sequence[str]) -> tuple[Mapping, Mapping]:
    """Maps and notes of a layer, with those of methods that take the arrays of all images at once."""
    maps = _joined_values([batch.maps[index] for batch in batches])
    notes = _joined_values([batch.notes[index] for batch in batches])
    joint = [name for name in methods if name not in maps]
    if joint:
        more = apply_methods(joint, _joined_values([batch.kept[index] for batch in batches]))
        maps, notes = {**maps, **more[0]}, {**notes, **more[1]}
    return MappingProxyType({name: maps[name] for name in methods}), MappingProxyType(notes)
