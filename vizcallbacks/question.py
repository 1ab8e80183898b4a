"""`Question`: what is asked of a net at every snapshot of a run, the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import gluon

from .attribution import check_batch_size, explain
from .methods import check_methods
from .probe import ProbeSet
from .result import Attributions
from .targets import score_of


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
        check_batch_size(batch_size)
        score_of(targets, probe.labels, len(probe))  # raises if they do not fit the probe set
        if isinstance(layer, (list, tuple)):
            raise ValueError(
                f"layer must be one Conv2D, its name or path, got {layer!r}; use a monitor for each"
            )
        self.probe, self.methods = probe, check_methods(methods)
        self.options: dict[str, Any] = {"layer": layer, "targets": targets, "batch_size": batch_size}
        self._extra = tuple(extra)

    def ask(self, net: gluon.Block) -> Attributions:
        """Explain all probe images."""
        return explain(net, self.probe, self.methods, extra=self._extra, **self.options)

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
        options = {**self.options, "targets": self._first_target(), "batch_size": 1}
        extra = [one[:1] for one in self._extra]
        first = explain(net, self.probe[:1], self.methods, extra=extra, **options)
        classes = self._classes()
        if classes is not None and first.outputs is not None and classes.max() >= first.outputs.shape[1]:
            raise ValueError(
                f"targets must be below the net's number of classes, {first.outputs.shape[1]}, got {classes.max()}"
            )
        self.options["layer"] = first.layer
        return first, classes

    def _first_target(self):
        targets = self.options["targets"]
        single = targets is None or callable(targets) or isinstance(targets, (str, int))
        return targets if single else targets[:1]

    def _classes(self) -> np.ndarray | None:
        targets = self.options["targets"]
        given = self.probe.labels if isinstance(targets, str) else targets
        if given is None or callable(given):
            return None
        given = given.asnumpy() if isinstance(given, mx.nd.NDArray) else np.asarray(given)
        return np.broadcast_to(given, (len(self.probe),))
