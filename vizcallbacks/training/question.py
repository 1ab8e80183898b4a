"""`Question`: what is asked of a net at every snapshot of a run, the same each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..attribution.class_targets import too_high
from ..attribution.explaining import Kept, explain
from ..attribution.methods import METHODS
from ..attribution.randomisation import Sanity, sanity
from ..attribution.result import Attributions
from ..attribution.targets import targets_of
from ..checks import as_numpy
from ..mxnet_door import gluon
from ..probes.probe_set import ProbeSet

WORTHWHILE = 1.5  # images in all for each one shown: with fewer, a second call costs more than it saves


@dataclass(frozen=True, eq=False)
class Question:
    """The arguments of `explain`, as `Plan` has checked them; one layer at most.

    `kept` holds what is kept of the net's structure from one snapshot to the next; None: nothing is.
    """

    probe: ProbeSet
    methods: tuple[str, ...]
    layer: Any
    targets: Any
    batch_size: int
    extra: Sequence = ()
    kept: Kept | None = None
    output: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What `explain` and `sanity` take alike."""
        return {"layer": self.layer, "targets": self.targets, "batch_size": self.batch_size}

    @property
    def _all(self) -> dict[str, Any]:
        """What `explain` takes of all images, beside the methods."""
        return {**self.options, "extra": self.extra, "output": self.output, "kept": self.kept}

    def of(self, rows: list[int]) -> Question:
        """The same question of some of the images, by their numbers; for one without `extra`."""
        return replace(self, probe=self.probe[rows], targets=targets_of(self.targets, rows, len(self.probe)))

    def ask_all(self, net: gluon.Block) -> Attributions:
        """Explain all probe images by all methods."""
        return explain(net, self.probe, self.methods, **self._all)

    def ask(self, net: gluon.Block, shown: Sequence[int]) -> tuple[Attributions, Mapping[str, np.ndarray]]:
        """Explain the probe images: for what is measured all, for what is only drawn those shown.

        The CAM family's maps are measured. Where there are any, maps of the image's size are only drawn, and
        their methods, by far the slower ones, run on the images shown alone, if these are few among all; unless
        their maps of an image depend on the others.

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
        kinds = {name: METHODS[name] for name in self.methods}
        drawn = tuple(name for name, one in kinds.items() if one.shape != "layer" and not one.sees_all)
        measured = tuple(name for name in self.methods if name not in drawn)
        if drawn and measured and len(self.probe) > WORTHWHILE * len(rows):
            result = explain(net, self.probe, measured, **self._all)
            target = result.target.pick(rows)
            more = self._explain_some(net, rows, drawn, layer=result.layer, targets=target)
            # a function may score an image by its place or by its company, unknown to us: then it needs all
            if _agree(more.scores, result.scores[rows]):
                maps = {**{name: result[name][rows] for name in measured}, **more.maps}
                return replace(result, coverage=more.coverage, purity=result.purity + more.purity), maps
        result = self.ask_all(net)
        return result, {name: maps[rows] for name, maps in result.maps.items()}

    def ask_why(
        self, net: gluon.Block, asked: Attributions, shown: Sequence[int], method: str
    ) -> dict[int, np.ndarray]:
        """For each image shown that the net gets wrong, the map of the class that it predicts instead.

        Parameters
        ----------
        asked : Attributions
            What `ask` found.
        shown : sequence of int
        method : str
            Of the CAM family; for others there are none.

        Returns
        -------
        dict of int to ndarray, (h, w)
            By the image's number; empty, without a walk through the net, if none is wrong, or if the net has one
            output, which tells two classes by one score.
        """
        if asked.outputs is None or asked.outputs.shape[1] == 1:
            return {}
        if asked.predictions is None or asked.targets is None or METHODS[method].shape != "layer":
            return {}
        wanted = asked.targets if self.probe.labels is None else self.probe.labels
        found = asked.predictions
        rows = [i for i in shown if found[i] >= 0 and found[i] not in (wanted[i], asked.targets[i])]
        if not rows:
            return {}
        more = self._explain_some(
            net, rows, (method,), layer=asked.layer, targets=asked.target.instead(found[rows])
        )
        return dict(zip(rows, more[method]))

    def try_out(self, net: gluon.Block) -> tuple[Attributions, np.ndarray | None]:
        """Explain the first image, to see that net and arguments fit.

        Returns
        -------
        Attributions
            Of the first image; its `layer` is the one to ask for from then on.
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
            raise too_high(int(classes.max()), first.outputs.shape[1])
        return first, classes

    def sanity(self, net: gluon.Block) -> Sanity:
        """How alike the maps stay when the head's weights are random, and when all are."""
        return sanity(net, self.probe, self.methods, stages=2, extra=self.extra, **self.options)

    def _explain_some(
        self, net: gluon.Block, rows: list[int] | slice, methods: tuple[str, ...], **instead: Any
    ) -> Attributions:
        targets = targets_of(self.targets, rows, len(self.probe))
        extra = [as_numpy(one)[rows] for one in self.extra]
        options = {**self.options, "targets": targets, **instead}
        return explain(
            net, self.probe[rows], methods, extra=extra, output=self.output, kept=self.kept, **options
        )

    def _classes(self) -> np.ndarray | None:
        targets = self.targets
        given = self.probe.labels if isinstance(targets, str) else targets
        if given is None or callable(given):
            return None
        return np.broadcast_to(as_numpy(given), (len(self.probe),))


def _agree(some: np.ndarray, others: np.ndarray) -> bool:
    """Whether scores are the same but for rounding, which differs with the size of a batch."""
    largest = np.abs(others[np.isfinite(others)]).max(initial=0)
    return np.allclose(some, others, rtol=0, atol=1e-3 * largest, equal_nan=True)
