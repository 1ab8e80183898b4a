"""Snapshots -> what TensorBoard shows: panels, history sheets, the overview, and curves.

An `Album` turns each snapshot into jobs for the `EventLog`, whose thread draws, encodes and writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..attribution.methods import METHODS
from ..checks import pick_evenly
from ..measures.of_one_map import mean_defined
from ..pictures.panels import cells_of, guided_note
from ..pictures.sheets import Header, Row, history_sheet, overview, panel
from ..probes.probe_set import ProbeSet
from ..regression.report import Report
from ..regression.snapshot import Snapshot
from ..tensorboard.event_log import clean_label
from .jobs import Sink

KEPT = 24  # snapshots in memory, for sheets of at most 11: evenly spaced ones, whatever their number
EVERY_SNAPSHOT_UNTIL, THEN_EVERY = 12, 5  # history sheets and overview are drawn anew at these


@dataclass(frozen=True)
class Entry:
    """What is kept of a snapshot for later sheets; only of the images shown."""

    number: int
    when: str
    headers: list[Header]
    maps: np.ndarray


class Album:
    """Pictures and curves of the snapshots of one run.

    Parameters
    ----------
    probe : ProbeSet
    methods : tuple of str
        Drawn on each panel, in this order. The first of the CAM family, or else the first, is the one that
        sheets, overview and measures are of.
    show : int
        At most so many probe images, evenly spaced, are drawn and have curves of their own; means are over all.
    numbers : sequence of int, optional
        The probe images' numbers in tags, if `probe` is a part of a larger set.

    Attributes
    ----------
    shown : list of int
        The numbers of the images drawn, in `probe`.
    main : str
        The method that sheets, overview and measures are of.
    """

    def __init__(
        self, probe: ProbeSet, methods: tuple[str, ...], show: int, numbers: Sequence[int] | None = None
    ) -> None:
        self._probe, self._methods = probe, methods
        self.shown = pick_evenly(len(probe), min(show, len(probe)))
        self.main = next((name for name in methods if METHODS[name].shape == "layer"), methods[0])
        numbers = range(len(probe)) if numbers is None else numbers
        self._tags = [f"{numbers[i]:02d}_{clean_label(probe.label_name(i))}" for i in self.shown]
        self._scales = np.zeros(len(self.shown))
        self._entries: list[Entry] = []
        self._stride = 1
        self._count = 0
        self._sheets_at = 0

    @property
    def panel_tags(self) -> list[str]:
        """The tags under which every snapshot has a picture."""
        return [f"attention/{tag}" for tag in self._tags]

    def add(
        self, snapshot: Snapshot, maps: Mapping[str, np.ndarray] | None = None, report: Report | None = None
    ) -> list[Callable]:
        """Take in a snapshot; return the jobs that log it: the first its curves, the others pictures.

        Parameters
        ----------
        maps : mapping of str to ndarray, optional
            Method -> maps of the images `shown`, in their order, for the panels; methods without maps are left
            out of them. None: the snapshot is taken from disk to go on with its run; there is nothing to log.
        report : Report, optional
            What a check of the snapshot found: it gets curves, and violating panels are marked.

        Raises
        ------
        ValueError
            If `maps` are not of as many images as are shown.
        """
        for name, values in {} if maps is None else maps.items():
            if len(values) != len(self.shown):
                raise ValueError(
                    f"maps must be of the {len(self.shown)} images shown, got {len(values)} of {name!r}; "
                    "pick them: maps[album.shown]"
                )
        if maps is None and self.main not in snapshot.maps:
            return []
        main = snapshot.maps[self.main][self.shown] if maps is None else maps[self.main]
        small = np.stack([_small(map_) for map_ in main])
        self._scales = np.fmax(self._scales, _peaks(small))
        headers = [self._header(snapshot, i) for i in self.shown]
        self._remember(Entry(self._count, snapshot.when, headers, small))
        if maps is None:
            return []
        jobs = [self._curves_job(snapshot, report)]
        violations = {} if report is None else report.violations()
        jobs += [self._panel_job(snapshot, maps, k, violations.get(i, "")) for k, i in enumerate(self.shown)]
        if self._count <= EVERY_SNAPSHOT_UNTIL or self._count % THEN_EVERY == 0:
            jobs += self.sheets(snapshot.step)
        return jobs

    def sheets(self, step: int) -> list[Callable]:
        """Jobs that draw history sheets and overview up to the newest snapshot, unless drawn already."""
        if self._sheets_at == self._count:
            return []
        self._sheets_at = self._count
        entries = list(self._entries)
        jobs = [self._history_job(entries, k, step) for k in range(len(self.shown))]
        return [*jobs, self._overview_job(entries, step)]

    def _remember(self, entry: Entry) -> None:
        """Keep the entries number 0, s, 2 s, ... and the newest; double s when they become many."""
        if self._entries and self._entries[-1].number % self._stride:
            self._entries.pop()
        self._entries.append(entry)
        self._count += 1
        if len(self._entries) > KEPT:
            self._stride *= 2
            self._entries = [e for e in self._entries if e.number % self._stride == 0 or e is entry]

    def _header(self, snapshot: Snapshot, i: int) -> Header:
        probe, predicted = self._probe, int(snapshot.predictions[i])
        known = predicted >= 0
        right = None if probe.labels is None or not known else bool(predicted == probe.labels[i])
        return Header(
            label=probe.label_name(i),
            prediction=probe.class_name(predicted) if known else "",
            probability=float(snapshot.confidence[i]) if known else None,
            epoch=snapshot.when,
            right=right,
            note=guided_note(self._methods, snapshot.relus),
        )

    def _panel_job(
        self, snapshot: Snapshot, maps: Mapping[str, np.ndarray], k: int, violation: str
    ) -> Callable[[Sink], None]:
        i, scale = self.shown[k], float(self._scales[k])
        header = replace(self._header(snapshot, i), violation=violation)
        own = {name: np.array(maps[name][k]) for name in self._methods if name in maps}

        def job(sink: Sink) -> None:
            cells = cells_of(own, {self.main: scale} if scale > 0 else {})
            drawn = panel(self._probe.pictures[i], cells, header)
            sink.image(f"attention/{self._tags[k]}", drawn, snapshot.step)

        return job

    def _history_job(self, entries: list[Entry], k: int, step: int) -> Callable[[Sink], None]:
        def job(sink: Sink) -> None:
            cells = [(entry.headers[k], entry.maps[k]) for entry in entries]
            i = self.shown[k]
            title = f"{METHODS[self.main].title} · {self._probe.label_name(i)}"
            picture = history_sheet(self._probe.pictures[i], cells, title)
            sink.image(f"attention_history/{self._tags[k]}", picture, step)

        return job

    def _overview_job(self, entries: list[Entry], step: int) -> Callable[[Sink], None]:
        def job(sink: Sink) -> None:
            sink.image(f"attention_overview/{self.main}", self._overview(entries), step)

        return job

    def overview(self) -> np.ndarray:
        """The overview of the snapshots so far, (H, W, 3) uint8."""
        return self._overview(list(self._entries))

    def _overview(self, entries: list[Entry]) -> np.ndarray:
        rows = [
            Row(
                label=self._probe.label_name(i),
                picture=self._probe.pictures[i],
                cams=[entry.maps[k] for entry in entries],
                right=[entry.headers[k].right for entry in entries],
            )
            for k, i in enumerate(self.shown)
        ]
        columns = [_short(entry.when) for entry in entries]
        return overview(rows, columns, corner=METHODS[self.main].title)

    def _curves_job(self, snapshot: Snapshot, report: Report | None) -> Callable[[Sink], None]:
        checked = {} if report is None else {one.rule.name: one.values for one in report.findings}
        measures = {**snapshot.measures, **checked}

        def job(sink: Sink) -> None:
            if report is not None:
                sink.scalar("attention_check/violations", len(report.failures), snapshot.step)
                sink.scalar("attention_check/violating_images", len(report.violations()), snapshot.step)
            for name, values in measures.items():
                group = "attention_" + clean_label(name, 60)  # a mask may have any name
                for tag, i in zip(self._tags, self.shown):
                    sink.scalar(f"{group}/{tag}", float(values[i]), snapshot.step)
                sink.scalar(f"{group}/_mean", mean_defined(values)[0], snapshot.step)

        return job


def _small(map_: np.ndarray) -> np.ndarray:
    """A map as sheets need it: (h, w), at most 56 cells a side, magnitude if it has channels."""
    map_ = np.abs(map_).max(axis=0) if map_.ndim == 3 else map_
    height, width = map_.shape
    ratio = min(1.0, 56 / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.array(map_ if ratio == 1 else cv2.resize(map_, size, interpolation=cv2.INTER_AREA))


def _peaks(maps: Iterable[np.ndarray]) -> np.ndarray:
    return np.array([map_.max() if np.isfinite(map_).all() else 0.0 for map_ in maps])


def _short(when: str) -> str:
    """ "after 12 epochs" (earlier "epoch 12") -> "12", "before training" -> "start": fits above a column."""
    number = re.fullmatch(r"(?:after |epoch |batch )(\d+)(?: (?:epoch|batch)(?:e?s)?)?", when)
    return number[1] if number else {"before training": "start"}.get(when, when)
