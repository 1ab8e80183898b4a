"""One snapshot: the raw maps, predictions and measures of all probe images at one step, to and from disk."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..attribution.methods import METHODS
from ..attribution.result import Attributions
from ..checks import check_step, pick_evenly
from ..measures.of_one_map import measure_maps
from ..measures.of_two_maps import SIMILARITY
from ..probes.probe_set import ProbeSet
from ..showing import Shown
from . import snapshot_file
from .given_maps import attributions_of

FOLDER = "attention"
"""Sub-folder of a run's folder that holds ``probe.npz`` and one ``snapshot-<step>.npz`` for each snapshot."""


@dataclass(frozen=True, repr=False)
class Snapshot(Shown):
    """What a net looked at, at one step of its training.

    Attributes
    ----------
    step : int, >= 0
        Epochs, or batches, trained so far.
    when : str
        The same in words ("before training", "epoch 3").
    layer : str or None
        Path of the Conv2D that the maps are of.
    maps : mapping of str to ndarray, (N, h, w), float32
        The CAM family's raw maps, at the layer's resolution.
    targets, predictions : ndarray, (N,), int64
        Classes; -1 where the target was a callable, or the outputs are no (N, classes) array.
    measures : mapping of str to ndarray, (N,), float64
        "score", "probability" (of the target), "drift" and "<measure>" or "<measure>/<mask>" of the first map;
        NaN: undefined.
    confidence : ndarray, (N,), float32
        Probability of the predicted class; NaN where there is none.
    relus : (int, int)
        Guided, and in all.
    digest : str
        Of the probe set.
    pure : bool or None
        False: a block of the net wrote its state when it ran for the snapshot, which was put back. None: unknown.
    output : "logits", "probabilities", "sigmoid" or None
        What the net's outputs were taken for; None: they have no probabilities, or an older version took it.
    """

    step: int
    when: str
    layer: str | None
    maps: Mapping[str, np.ndarray]
    targets: np.ndarray
    predictions: np.ndarray
    confidence: np.ndarray
    measures: Mapping[str, np.ndarray]
    relus: tuple[int, int]
    digest: str
    pure: bool | None = None
    output: str | None = None

    @classmethod
    def from_arrays(
        cls,
        probe: ProbeSet,
        step: int,
        maps: Mapping[str, Any],
        outputs: Any = None,
        targets: Any = None,
        *,
        layer: str | None = None,
        when: str | None = None,
        scores: Any = None,
        relus: tuple[int, int] = (0, 0),
        pure: bool | None = None,
        output: str | None = None,
        previous: Snapshot | None = None,
    ) -> Snapshot:
        """A snapshot of maps that another library or framework computed. Needs no MXNet.

        Parameters
        ----------
        probe : ProbeSet
            What the maps are of.
        step : int, >= 0
            Epochs, or batches, trained so far.
        maps : mapping of str to array
            Name in `vizcallbacks.attribution.methods.METHODS` -> maps, real numbers: (N, h, w) for the CAM
            family, of any resolution. Others are checked and left out, as in every snapshot.
        outputs : array, (N, classes), optional
            The net's scores before the softmax; None: there are no predictions and no probabilities.
        targets : None, "label", int, (N,) ints or callable
            The classes that the maps explain, as for `explain`: None: those predicted. A callable: no class.
        layer : str, optional
            Where the maps are from; snapshots of other layers are not compared.
        when : str, optional
            The step in words; default "after <step> epochs".
        scores : array, (N,), optional
            The explained scores; default: the targets' outputs.
        relus : (int, int)
            As the attribute.
        pure, output
            As the attributes; `output` as for `explain`.
        previous : Snapshot, optional
            That drift is measured against.

        Raises
        ------
        ValueError
            An array does not have the right type or shape, or a method is unknown.
        """
        result = attributions_of(
            probe, maps, outputs, targets, layer=layer, scores=scores, relus=relus, output=output
        )
        step = check_step(step)
        taken = take(result, probe, step, when_words(step) if when is None else when, previous)
        return replace(taken, pure=pure)

    def __repr__(self) -> str:
        of = f"{len(self.targets)} images, layer {self.layer!r}, {', '.join(self.maps) or 'no maps'}"
        return f"Snapshot({self.when}, {of}, {len(self.measures)} measures)"

    def equals(self, other: Snapshot) -> bool:
        """Whether all that was taken is the same to the bit: step, words, maps, classes and measures but drift."""

        def parts(snapshot: Snapshot) -> list[Any]:
            measures = {name: v.tobytes() for name, v in snapshot.measures.items() if name != "drift"}
            maps = {name: (v.shape, v.tobytes()) for name, v in snapshot.maps.items()}
            facts = (snapshot.step, snapshot.when, snapshot.layer, snapshot.relus, snapshot.digest)
            arrays = (snapshot.targets, snapshot.predictions, snapshot.confidence)
            return [facts, maps, measures, *(array.tobytes() for array in arrays)]

        return parts(self) == parts(other)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one .npz file, whole or not at all (OSError); .html writes the view of it, .png a still one."""
        if os.path.splitext(os.fsdecode(path))[1].lower() in (".html", ".png"):
            super().save(path)
        else:
            snapshot_file.write(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Snapshot:
        """Read a file that `save` wrote; ValueError if it is foreign or damaged."""
        return cls(**snapshot_file.read(path))


def when_words(step: int, unit: str = "epoch") -> str:
    """A step in words: "before training", "after 1 epoch", "after 12 batches"."""
    several = {"epoch": "epochs", "batch": "batches"}
    return f"after {step} {unit if step == 1 else several[unit]}" if step else "before training"


def take(result: Any, probe: ProbeSet, step: int, when: str, previous: Snapshot | None = None) -> Snapshot:
    """Measure attributions and keep what later comparisons need.

    Parameters
    ----------
    result : Attributions
        Of `probe`.
    previous : Snapshot, optional
        That drift, Spearman's rank correlation of the maps, is measured against. It is undefined for images
        whose target class changed, and where either map is constant; there is none if the snapshots are of
        different probe sets, layers, methods or sizes of map.
    """
    nothing = np.full(len(probe), np.nan)
    unknown = np.full(len(probe), -1)
    rows = np.arange(len(probe))
    known = result.probabilities is not None
    targets = unknown if result.targets is None else result.targets
    probability = result.probabilities[rows, targets] if known and result.targets is not None else nothing
    maps = {name: values for name, values in result.maps.items() if METHODS[name].shape == "layer"}
    measures = {"score": result.scores.astype(np.float64), "probability": probability.astype(np.float64)}
    if maps:
        first, values = next(iter(maps.items()))
        measures.update(measure_maps(values, probe.masks))
        if previous is not None and _comparable(previous, result.layer, first, values, probe):
            drift = SIMILARITY["spearman"].function(values, previous.maps[first])
            measures["drift"] = np.where(targets == previous.targets, drift, np.nan)
    return Snapshot(
        step=step,
        when=when,
        layer=result.layer,
        maps=MappingProxyType(maps),
        targets=targets,
        predictions=result.predictions if known else unknown,
        confidence=result.confidence if known else nothing.astype(np.float32),
        measures=MappingProxyType(measures),
        relus=result.relus,
        digest=probe.digest,
        pure=None if written_by(result) is None else not written_by(result),
        output=getattr(result, "output", None),
    )


def written_by(result: Attributions) -> tuple[str, ...] | None:
    """Paths of the blocks that wrote their state in the passes, which was put back; None: not recorded."""
    purity = getattr(result, "purity", None)
    return None if purity is None else tuple(purity.blocks)


def _comparable(previous: Snapshot, layer: Any, method: str, maps: np.ndarray, probe: ProbeSet) -> bool:
    same_layer = previous.layer == layer and previous.digest == probe.digest
    return same_layer and method in previous.maps and previous.maps[method].shape == maps.shape


def snapshot_path(run: str | os.PathLike[str], step: int) -> Path:
    """Where the snapshot of a step lies in a run's folder."""
    return Path(run) / FOLDER / f"snapshot-{step:08d}.npz"


def list_snapshots(run: str | os.PathLike[str]) -> list[Path]:
    """Files of a run's snapshots, in the order of their steps; empty if there are none."""
    found = Path(run, FOLDER).glob("snapshot-*.npz")
    return sorted(
        (path for path in found if re.fullmatch(r"snapshot-[0-9]{8,}\.npz", path.name)), key=step_of
    )


def step_of(path: Path) -> int:
    """The step in a snapshot file's name."""
    return int(path.stem.split("-")[1])


def read_run(run: str | os.PathLike[str], step: int | None = None) -> tuple[Snapshot, ProbeSet]:
    """A run's newest snapshot, or the one at `step`, and its probe set, from its folder.

    Raises
    ------
    ValueError
        There is none, or a file is damaged.
    OSError
        A file cannot be read.
    """
    paths = list_snapshots(run)
    if not paths:
        missing = "" if Path(run).is_dir() else f"there is no folder {os.fspath(run)!r}: "
        raise ValueError(
            f"{missing}{run} holds no attention snapshot; give the folder that the training logged to"
        )
    if step is not None:
        steps = [step_of(path) for path in paths]
        if step not in steps:
            shown = [steps[place] for place in pick_evenly(len(steps), 20)]
            some = (
                f"{len(shown)} of its {len(steps)} steps are" if len(shown) < len(steps) else "its steps are"
            )
            raise ValueError(
                f"{run} holds no attention snapshot of step {step}; {some} {', '.join(map(str, shown))}"
            )
        paths = [snapshot_path(run, step)]
    snapshot, probe = Snapshot.load(paths[-1]), ProbeSet.load(paths[-1].parent / "probe.npz")
    if snapshot.digest != probe.digest:
        raise ValueError(f"{paths[-1]} is of another probe set than the one beside it; take it again")
    return snapshot, probe
