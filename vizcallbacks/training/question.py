"""`Question`: what is asked of a net at every snapshot of a run, the same each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..attribution.explaining import explain
from ..attribution.methods import METHODS, check_methods
from ..attribution.result import Attributions
from ..attribution.targets import target_of, targets_of
from ..checks import as_numpy, check_whole
from ..mxnet_door import gluon
from ..probes.probe_set import ProbeSet

WORTHWHILE = 1.5  # images in all for each one shown: with fewer, a second call costs more than it saves


class Question:
    """The arguments of `explain`, checked as far as they can be without a net.

    Parameters
    ----------
    probe, methods, layer, targets, batch_size, extra
        As for `explain`, but for one layer at the most. A layer of None is looked for when the net is first
        asked, and kept.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said there.
    """

    def __init__(
        self, probe: ProbeSet, methods: Sequence[str] | str, layer, targets, batch_size: int, extra: Sequence
    ) -> None:
        check_whole("batch_size", batch_size)
        target_of(targets, probe.labels, len(probe))  # raises if they do not fit the probe set
        if isinstance(layer, (list, tuple)):
            raise ValueError(
                f"layer must be one Conv2D, its name or path, got {layer!r}; use a monitor for each"
            )
        self.probe, self.methods = probe, check_methods(methods)
        self.options: dict[str, Any] = {"layer": layer, "targets": targets, "batch_size": batch_size}
        self._extra = tuple(extra)

    def ask(self, net: gluon.Block, shown: Sequence[int]) -> tuple[Attributions, Mapping[str, np.ndarray]]:
        """Explain the probe images: for what is measured all, for what is only drawn those shown.

        Measured are the CAM family's maps. Where there are any, maps of the image's size are only drawn, and
        their methods, by far the dearer ones, run on the images shown alone, if these are few among all.

        Parameters
        ----------
        net : gluon.Block
        shown : sequence of int
            The numbers of the images that are drawn.

        Returns
        -------
        Attributions
            Of all images, by the methods of the CAM family at least; its `relus`, `unguided` and
            `plain_activations` are those of all methods.
        mapping of str to ndarray
            Method -> maps of the images shown, in their order; all methods.
        """
        rows = list(shown)
        drawn = tuple(name for name in self.methods if METHODS[name].shape != "layer")
        measured = tuple(name for name in self.methods if name not in drawn)
        if drawn and measured and len(self.probe) > WORTHWHILE * len(rows):
            result = explain(net, self.probe, measured, extra=self._extra, **self.options)
            pinned = {} if result.targets is None else {"targets": result.targets[rows]}
            more = self._explain_some(net, rows, drawn, layer=result.layer, **pinned)
            # a function may score an image by its place or by its company, unknown to us: then it needs all
            if _agree(more.scores, result.scores[rows]):
                maps = {**{name: result[name][rows] for name in measured}, **more.maps}
                covered = ("relus", "unguided", "plain_activations")
                return replace(result, **{name: getattr(more, name) for name in covered}), maps
        result = explain(net, self.probe, self.methods, extra=self._extra, **self.options)
        return result, {name: maps[rows] for name, maps in result.maps.items()}

    def try_out(self, net: gluon.Block) -> tuple[Attributions, np.ndarray | None]:
        """Explain the first image, to see that net and arguments fit; the layer is known from then on.

        Returns
        -------
        Attributions
            Of the first image.
        ndarray, (N,), or None
            The classes of all images, if they are known before the predictions.

        Raises
        ------
        TypeError, ValueError
            They do not fit.
        """
        first = self._explain_some(net, slice(0, 1), self.methods, batch_size=1)
        classes = self._classes()
        if classes is not None and first.outputs is not None and classes.max() >= first.outputs.shape[1]:
            raise ValueError(
                f"targets must be below the net's number of classes, {first.outputs.shape[1]}, got {classes.max()}"
            )
        self.options["layer"] = first.layer
        return first, classes

    def _explain_some(
        self, net: gluon.Block, rows: list[int] | slice, methods: tuple[str, ...], **instead: Any
    ) -> Attributions:
        targets = targets_of(self.options["targets"], rows, len(self.probe))
        extra = [as_numpy(one)[rows] for one in self._extra]
        options = {**self.options, "targets": targets, **instead}
        return explain(net, self.probe[rows], methods, extra=extra, **options)

    def _classes(self) -> np.ndarray | None:
        targets = self.options["targets"]
        given = self.probe.labels if isinstance(targets, str) else targets
        if given is None or callable(given):
            return None
        return np.broadcast_to(as_numpy(given), (len(self.probe),))


def _agree(some: np.ndarray, others: np.ndarray) -> bool:
    """Whether scores are the same but for rounding, which differs with the size of a batch."""
    largest = np.abs(others[np.isfinite(others)]).max(initial=0)
    return np.allclose(some, others, rtol=0, atol=1e-3 * largest, equal_nan=True)
