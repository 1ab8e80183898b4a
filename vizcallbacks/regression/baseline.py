"""`Baseline`: the attention that was accepted, of one run or of several that show the noise."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..measures.of_one_map import mean_defined
from ..measures.of_two_maps import SIMILARITY
from ..probes.probe_set import ProbeSet
from . import baseline_file
from .comparable import OTHER_PROBE, NotComparableError, check_alike
from .noise import margin, usual_variance
from .quantities import known_names, masks_of, read_name, tolerance_of
from .rules import parse_rules
from .snapshot import Snapshot, read_run


@dataclass(frozen=True, eq=False)
class Baseline:
    """Accepted snapshots of S runs on the same N probe images.

    Attributes
    ----------
    layer : str or None
        Path of the Conv2D that the maps are of.
    maps : mapping of str to ndarray, (S, N, h, w), float32
        Method of the CAM family -> raw maps; the first method is the one the measures are of.
    targets, predictions : ndarray, (S, N), int64
    measures : mapping of str to ndarray, (S, N), float64
        As in a `Snapshot`, those that all of them have, without "drift".
    digest : str
        Of the probe set.
    names, class_names : tuple of str
        Of the probe images and of classes, for reports.
    sources : tuple of str
        Where each of the S snapshots is from.
    versions : mapping of str to str
        Of this package, MXNet, NumPy, Python, when the baseline was made.

    Examples
    --------
    >>> import numpy as np, vizcallbacks as vc
    >>> probe = vc.ProbeSet(np.zeros((2, 3, 8, 8), np.float32), labels=[0, 1])
    >>> maps = {"grad_cam": np.random.default_rng(0).random((2, 4, 4))}
    >>> snapshot = vc.Snapshot.from_arrays(probe, step=3, maps=maps, targets="label")
    >>> vc.Baseline.from_snapshots(snapshot, probe)
    Baseline(1 run, 2 images, layer None, grad_cam, 6 measures)
    """

    layer: str | None
    maps: Mapping[str, np.ndarray]
    targets: np.ndarray
    predictions: np.ndarray
    measures: Mapping[str, np.ndarray]
    digest: str
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    sources: tuple[str, ...]
    versions: Mapping[str, str]

    @classmethod
    def from_snapshots(
        cls,
        snapshots: Snapshot | Iterable[Snapshot],
        probe: ProbeSet | None = None,
        sources: Sequence[str] | None = None,
    ) -> Baseline:
        """Accept one snapshot, or one of each of several runs (other seeds), from which the noise is learnt.

        Parameters
        ----------
        probe : ProbeSet, optional
            Theirs: gives reports the names of images and classes.
        sources : sequence of str, optional
            Default: when the snapshots were taken.

        Raises
        ------
        NotComparableError
            They are not of the same images, layer, methods and targets.
        ValueError
            There is no snapshot, or no map of the CAM family in it.
        """
        snapshots = [snapshots] if isinstance(snapshots, Snapshot) else list(snapshots)
        if not snapshots:
            raise ValueError("a baseline needs at least one snapshot, got none")
        first = snapshots[0]
        if not first.maps:
            raise ValueError(
                "a baseline needs maps of the CAM family; take snapshots with the method 'grad_cam'"
            )
        if probe is not None and probe.digest != first.digest:
            raise NotComparableError(OTHER_PROBE)
        names = tuple(f"image_{i:03d}" for i in range(len(first.targets))) if probe is None else probe.names
        sources = tuple(snapshot.when for snapshot in snapshots) if sources is None else tuple(sources)
        class_names = () if probe is None else probe.class_names
        check_alike(snapshots, sources, lambda one: cls._stacked([one], names, class_names, sources))
        return cls._stacked(snapshots, names, class_names, sources)

    @classmethod
    def _stacked(cls, snapshots: list[Snapshot], names: Any, class_names: Any, sources: Any) -> Baseline:
        first = snapshots[0]
        shared = [n for n in first.measures if n != "drift" and all(n in s.measures for s in snapshots)]
        return cls(
            layer=first.layer,
            maps=_stacks({name: [s.maps[name] for s in snapshots] for name in first.maps}),
            targets=np.stack([s.targets for s in snapshots]),
            predictions=np.stack([s.predictions for s in snapshots]),
            measures=_stacks({name: [s.measures[name] for s in snapshots] for name in shared}),
            digest=first.digest,
            names=names,
            class_names=class_names,
            sources=sources,
            versions=MappingProxyType(baseline_file.versions()),
        )

    @classmethod
    def from_runs(
        cls, runs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], step: int | None = None
    ) -> Baseline:
        """Accept the newest snapshot, or the one at `step`, of each run's folder (ValueError, OSError)."""
        folders = [runs] if isinstance(runs, (str, os.PathLike)) else list(runs)
        found = [read_run(run, step) for run in folders]
        if not found:
            raise ValueError("a baseline needs at least one run, got none")
        sources = [f"{run}, {snapshot.when}" for run, (snapshot, _) in zip(folders, found)]
        return cls.from_snapshots([snapshot for snapshot, _ in found], found[0][1], sources)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one .npz file, whole or not at all (OSError)."""
        baseline_file.write(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Baseline:
        """Read a file that `save` wrote; ValueError if it is foreign or damaged, OSError if there is none."""

        def checked(parts: dict[str, Any]) -> Baseline:
            made = cls(**parts)
            parse_rules(made.thresholds())
            return made

        return baseline_file.read(path, checked)

    def __repr__(self) -> str:
        runs = f"{len(self)} run{'s' * (len(self) > 1)}"
        maps, measures = ", ".join(self.maps), len(self.measures)
        return (
            f"Baseline({runs}, {len(self.names)} images, layer {self.layer!r}, {maps}, {measures} measures)"
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __contains__(self, name: str) -> bool:
        """Whether the runs have values of a measure, or of a similarity ("grad_cam/spearman"), or "flips"."""
        method, _, similarity = name.partition("/")
        return name in self.measures or name == "flips" or (method in self.maps and similarity in SIMILARITY)

    def check_comparable(self, now: Snapshot) -> None:
        """Raise NotComparableError, with the reason, unless images, layer, methods and targets are the same."""
        self.check_probe(now.digest, len(now.targets))
        self.check_maps(now.layer, now.maps)
        explains_prediction = (now.targets == now.predictions).all() and self.explains_prediction
        if not explains_prediction:
            self.check_targets(now.targets)

    def check_probe(self, digest: str, count: int) -> None:
        """Raise NotComparableError unless a probe set of this digest and so many images is the baseline's."""
        if digest != self.digest:
            raise NotComparableError(OTHER_PROBE)
        if count != len(self.names):
            raise NotComparableError(
                f"the baseline is of {len(self.names)} images, this is of {count}, though of one probe set: "
                "its file was changed; accept a new baseline"
            )

    def check_maps(self, layer: str | None, maps: Mapping[str, np.ndarray]) -> None:
        """Raise NotComparableError, with the reason, unless layer, methods and sizes of maps are the same."""
        if layer != self.layer:
            raise NotComparableError(
                f"the baseline is of layer {self.layer!r}, this is of layer {layer!r}; "
                "explain the same layer, or accept a new baseline"
            )
        for name, before in self.maps.items():
            got = maps[name].shape[-2:] if name in maps else None
            if got != before.shape[-2:]:
                raise NotComparableError(
                    f"the baseline has maps of {name!r} of shape {before.shape[-2:]}, these are "
                    f"{'missing' if got is None else got}; compute the same methods on images of the same size"
                )
        if next(iter(maps)) != next(iter(self.maps)):
            raise NotComparableError(
                f"the baseline's measures are of {next(iter(self.maps))!r}, these of {next(iter(maps))!r}; "
                "name it first"
            )

    @property
    def explains_prediction(self) -> bool:
        """Whether every target is the class predicted: then another prediction is a flip, not another target."""
        return bool((self.targets == self.predictions).all())

    def check_targets(self, targets: np.ndarray) -> None:
        """Raise NotComparableError, with the reason, unless all runs explain these classes, (N,) int."""
        differ = (targets != self.targets).any(axis=0)
        if differ.any():
            i = int(differ.argmax())
            raise NotComparableError(
                f"the targets differ for {differ.sum()} of {len(differ)} images, {self.names[i]!r} is explained "
                f"for class {targets[i]}, in the baseline for {self.targets[0, i]}; give the same targets"
            )

    def similarity(self, method: str, name: str, maps: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Similarity of maps (N, h, w) of target classes (N,) to those of each run: (S, N) float64.

        NaN where it is undefined, and where a run explains another class.
        """
        return np.stack(
            [
                np.where(mine == targets, SIMILARITY[name].function(maps, own), np.nan)
                for own, mine in zip(self.maps[method], self.targets)
            ]
        )

    def values(self, name: str) -> np.ndarray:
        """What the baseline's own runs have for a measure: (S, N) float64.

        For a similarity, "grad_cam/spearman", one row for each pair of runs; a single run pairs with itself.
        For "flips" they are zero: a prediction of any run is no flip.
        """
        if name in self.measures:
            return self.measures[name]
        if name == "flips":
            return np.zeros(self.targets.shape)
        found = read_name(name)
        if found.of not in self.maps:
            raise ValueError(
                f"there is no measure {name!r}; {known_names(self.maps, masks_of(self.measures))}"
            )
        rows = [
            self.similarity(found.of, found.key, self.maps[found.of][run], self.targets[run])[:run]
            for run in range(1, len(self))
        ]
        if not rows:
            rows = [self.similarity(found.of, found.key, self.maps[found.of][0], self.targets[0])]
        return np.concatenate(rows)

    def margin(self, name: str) -> tuple[float, np.ndarray]:
        """How far a measure may be off by chance: of the mean over the images, float, and of each image, (N,).

        `vizcallbacks.regression.noise.margin` of the runs' values. Before there are many runs, the mean leans on
        the tolerance in `vizcallbacks.regression.quantities`, and an image on what is usual among all images, or
        twice that tolerance. The tolerance of a similarity is halved where several runs show how alike two of
        them are.
        """
        tolerance, values = tolerance_of(name), self.values(name)
        if len(self) > 1 and name not in self.measures and name != "flips":
            tolerance /= 2
        means = np.array([[mean_defined(run)[0]] for run in values])
        of_mean = margin(means, (tolerance / 3) ** 2)[0]
        return float(of_mean), margin(values, usual_variance(values, 2 * tolerance))

    def thresholds(self) -> dict[str, list[str]]:
        """The default rules: rank correlation, dead maps, and energy in each mask stay within the noise.

        The mean over the images has to, and (but for dead maps) 80 % of the images individually.
        """
        judged = [f"{next(iter(self.maps))}/spearman", *(n for n in self.measures if n.startswith("energy/"))]
        rules = {name: ["within noise", "within noise for 80%"] for name in judged}
        return {**rules, "dead": ["within noise"]}


def _stacks(lists: Mapping[str, list]) -> Mapping[str, np.ndarray]:
    return MappingProxyType({name: np.stack(arrays) for name, arrays in lists.items()})
