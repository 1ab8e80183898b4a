"""One snapshot: the raw maps, predictions and measures of all probe images at one step, to and from disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from .. import archive
from ..attribution.methods import METHODS
from ..measures.of_one_map import MEASURES
from ..measures.of_two_maps import SIMILARITY
from ..probes.probe_set import ProbeSet
from ..showing import Shown

SCHEMA = 1
FOLDER = "attention"
"""Sub-folder of a run's folder that holds ``probe.npz`` and one ``snapshot-<step>.npz`` for each snapshot."""


@dataclass(frozen=True)
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

    def save(self, path) -> None:
        """Write to one .npz file, whole or not at all (OSError)."""
        arrays = {
            "targets": self.targets,
            "predictions": self.predictions,
            "confidence": self.confidence,
            "measures": np.array(list(self.measures.values())),  # one array: masks may have any names
            **{f"maps/{name}": maps for name, maps in self.maps.items()},
        }
        facts = {
            "step": self.step,
            "when": self.when,
            "layer": self.layer,
            "maps": list(self.maps),
            "measures": list(self.measures),
            "relus": list(self.relus),
            "digest": self.digest,
        }
        archive.write(path, "snapshot", SCHEMA, arrays, facts)

    @classmethod
    def load(cls, path) -> Snapshot:
        """Read a file that `save` wrote; ValueError if it is foreign or damaged."""
        arrays, facts = archive.read(path, "snapshot", SCHEMA)
        try:
            return cls(
                step=facts["step"],
                when=facts["when"],
                layer=facts["layer"],
                maps=MappingProxyType({name: arrays[f"maps/{name}"] for name in facts["maps"]}),
                targets=arrays["targets"],
                predictions=arrays["predictions"],
                confidence=arrays["confidence"],
                measures=MappingProxyType(dict(zip(facts["measures"], arrays["measures"]))),
                relus=(facts["relus"][0], facts["relus"][1]),
                digest=facts["digest"],
            )
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{path} lacks a part of a snapshot ({error!r}); make it anew") from error


def take(result, probe: ProbeSet, step: int, when: str, previous: Snapshot | None = None) -> Snapshot:
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
        confidence=result.probabilities.max(axis=1) if known else nothing.astype(np.float32),
        measures=MappingProxyType(measures),
        relus=result.relus,
        digest=probe.digest,
    )


def _comparable(previous: Snapshot, layer, method: str, maps: np.ndarray, probe: ProbeSet) -> bool:
    same_layer = previous.layer == layer and previous.digest == probe.digest
    return same_layer and method in previous.maps and previous.maps[method].shape == maps.shape


def measure_maps(maps: np.ndarray, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All measures of maps, (N, h, w): name, or name/mask, -> (N,) float64, NaN where undefined."""
    values = {}
    for name, measure in MEASURES.items():
        if not measure.needs_mask:
            values[name] = measure.function(maps)
        for mask, region in masks.items() if measure.needs_mask else ():
            values[f"{name}/{mask}"] = measure.function(maps, region)
    return values


def snapshot_path(run, step: int) -> Path:
    """Where the snapshot of a step lies in a run's folder."""
    return Path(run) / FOLDER / f"snapshot-{step:08d}.npz"


def list_snapshots(run) -> list[Path]:
    """Files of a run's snapshots, in the order of their steps; empty if there are none."""
    found = Path(run, FOLDER).glob("snapshot-*.npz")
    return sorted(
        (path for path in found if re.fullmatch(r"snapshot-[0-9]{8,}\.npz", path.name)), key=step_of
    )


def step_of(path: Path) -> int:
    """The step in a snapshot file's name."""
    return int(path.stem.split("-")[1])


def read_run(run, step: int | None = None) -> tuple[Snapshot, ProbeSet]:
    """A run's newest snapshot, or the one at `step`, and its probe set, from its folder.

    Raises
    ------
    ValueError
        There is none, or a file is damaged.
    OSError
        A file cannot be read.
    """
    paths = list_snapshots(run)
    if step is not None:
        paths = [path for path in paths if path == snapshot_path(run, step)]
    if not paths:
        wanted = "" if step is None else f" of step {step}"
        raise ValueError(
            f"{run} holds no attention snapshot{wanted}; give the folder of a run, as `logdir` was"
        )
    snapshot, probe = Snapshot.load(paths[-1]), ProbeSet.load(paths[-1].parent / "probe.npz")
    if snapshot.digest != probe.digest:
        raise ValueError(f"{paths[-1]} is of another probe set than the one beside it; take it again")
    return snapshot, probe
