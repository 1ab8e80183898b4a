"""Snapshots -> what TensorBoard shows: overview, peaks, panels, history sheets, and curves.

An `Album` turns each snapshot into jobs for the `EventLog`, whose thread draws, encodes and writes them.
TensorBoard opens the first two groups of tags by name: these are the sheets of all images and the mean curves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ..attribution.factors import aligned
from ..attribution.methods import METHODS
from ..checks import pick_evenly
from ..pictures.grid import Header
from ..pictures.panels import TitledMap, edges_note, guided_note, header_of, panel, titled_maps
from ..pictures.peak_sheet import peak_sheet
from ..pictures.peaks import peaks
from ..pictures.sheets import Track, history_sheet, overview
from ..probes.probe_set import ProbeSet
from ..regression.report import Report
from ..regression.snapshot import Snapshot
from ..tensorboard.event_log import clean_label
from .curves import curves_job
from .jobs import Sink
from .pages import Page, Pages, maxima, small_map

SIZES = {80: (375, 80), 10**9: (512, 120)}  # px: pictures up to this side -> panels' width, history's cells
SHEETS, PANELS, HISTORY = "attention", "attention_panels", "attention_panels_history"


class Album:
    """Pictures and curves of the snapshots of one run.

    Overview and peaks are drawn anew after snapshot 1, 2, 3, 4, 6, 8, 12, 16, 24, ..., history sheets after the
    powers of two, and all at the end: their number grows with the logarithm of the run's length.

    Parameters
    ----------
    probe : ProbeSet
    methods : tuple of str
        Drawn on each panel, in this order. The first of the CAM family, or else the first, is the one that
        sheets, overview and measures are of.
    show : int
        How many probe images, evenly spaced, are drawn at most; means are over all.
    numbers : sequence of int, optional
        The probe images' numbers in tags, if `probe` is a part of a larger set.
    per_image_curves : bool
        Whether each image drawn has curves of its own, beside those of the means.
    keep : callable, (name, picture) -> None, optional
        Gets the overview and the peaks as well, to write them to files ("overview.png", "peaks.png").

    Attributes
    ----------
    shown : list of int
        The numbers of the images drawn, in `probe`.
    main : str
        The method that sheets, overview and measures are of.
    sheets_at : int
        How many snapshots there were when sheets were drawn last.
    concepts : dict of str to ndarray, (n, concepts, h, w)
        Method -> maps drawn of the snapshot before: those of the next are put in the same order.
    """

    def __init__(
        self,
        probe: ProbeSet,
        methods: tuple[str, ...],
        show: int,
        numbers: Sequence[int] | None = None,
        per_image_curves: bool = False,
        keep: Callable[[str, np.ndarray], None] | None = None,
    ) -> None:
        self._probe, self._methods = probe, methods
        self.shown = pick_evenly(len(probe), min(show, len(probe)))
        self.main = next((name for name in methods if METHODS[name].shape == "layer"), methods[0])
        numbers = range(len(probe)) if numbers is None else numbers
        self._tags = [f"{numbers[i]:02d}_{clean_label(probe.label_name(i))}" for i in self.shown]
        self._per_image_curves, self._keep = per_image_curves, keep
        self._sizes = sizes_for(probe.pictures.shape)
        self._scales = np.zeros(len(self.shown))
        self._pages = Pages()
        self._newest: Snapshot | None = None
        self.concepts: dict[str, np.ndarray] = {}
        self.sheets_at = self._history_at = 0

    @property
    def panel_tags(self) -> list[str]:
        """The tags under which every snapshot has a picture."""
        return [f"{PANELS}/{tag}" for tag in self._tags]

    def add(
        self,
        snapshot: Snapshot,
        maps: Mapping[str, np.ndarray] | None = None,
        report: Report | None = None,
        predicted: Mapping[int, np.ndarray] | None = None,
    ) -> list[Callable]:
        """Take in a snapshot; return the jobs that log it: curves, a panel for each tag, sheets.

        Parameters
        ----------
        maps : mapping of str to ndarray, optional
            Method -> maps of the images `shown`, in their order, for the panels; methods without maps are left
            out of them. None: the snapshot is taken from disk to go on with its run; there is nothing to log.
        report : Report, optional
            What a check of the snapshot found: it gets curves, and violating panels are marked.
        predicted : mapping of int to ndarray, optional
            Number of an image that the net gets wrong -> the map of `main` for the class that it predicts.

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
        if maps is not None:
            maps = self._aligned(maps)
        main = snapshot.maps[self.main][self.shown] if maps is None else maps[self.main]
        small = np.stack([small_map(map_) for map_ in main])
        self._scales = np.fmax(self._scales, maxima(small))
        headers = [self._header(snapshot, i) for i in self.shown]
        self._pages.add(snapshot.when, headers, small)
        own = {name: np.array(values) for name, values in snapshot.maps.items() if name == self.main}
        self._newest = replace(snapshot, maps=MappingProxyType(own))  # of the caller's arrays, none is kept
        if maps is None:
            return []
        own_curves = list(zip(self._tags, self.shown)) if self._per_image_curves else []
        jobs = [curves_job(snapshot, report, own_curves)]
        violations = {} if report is None else report.violations()
        for k, i in enumerate(self.shown):
            other = None if predicted is None else predicted.get(i)
            jobs.append(self._panel_job(snapshot, maps, k, violations.get(i, ""), other))
        if _sheets_are_due(self._pages.count):
            jobs += self.sheets(snapshot.step, history=self._pages.count & (self._pages.count - 1) == 0)
        note = edges_note(self._methods)
        if note and self._pages.count == 1:
            jobs.append(lambda sink: sink.text(f"{SHEETS}/note", note, snapshot.step))
        return jobs

    def _aligned(self, maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The maps with their concepts in the order of the snapshot before, so that a concept keeps its colour."""
        concepts = {name: maps[name] for name in maps if METHODS[name].shape == "concepts"}
        for name in concepts.keys() & self.concepts.keys():
            concepts[name] = aligned(self.concepts[name], concepts[name])
        self.concepts = concepts
        return {**maps, **concepts}

    def sheets(self, step: int, history: bool = True) -> list[Callable]:
        """Jobs that draw overview, peaks and history sheets up to the newest snapshot, unless drawn already."""
        pages, newest, jobs = self._pages.kept(), self._newest, []
        if history and self._history_at < self._pages.count:
            self._history_at = self._pages.count
            jobs += [self._history_job(pages, k, step) for k in range(len(self.shown))]
        if self.sheets_at < self._pages.count:
            self.sheets_at = self._pages.count
            drawn = self._sheet_job(f"overview_{self.main}", "overview", lambda: self._overview(pages), step)
            jobs.append(drawn)
            if newest is not None and newest.maps:
                jobs.append(self._sheet_job("peaks", "peaks", lambda: self._peaks(newest), step))
        return jobs

    def _header(self, snapshot: Snapshot, i: int) -> Header:
        return header_of(
            self._probe,
            i,
            int(snapshot.predictions[i]),
            float(snapshot.confidence[i]),
            epoch=snapshot.when,
            note=guided_note(self._methods, snapshot.relus),
            score=float(snapshot.measures["score"][i]) if "score" in snapshot.measures else None,
        )

    def _panel_job(
        self,
        snapshot: Snapshot,
        maps: Mapping[str, np.ndarray],
        k: int,
        violation: str,
        predicted: np.ndarray | None,
    ) -> Callable[[Sink], None]:
        i, scale = self.shown[k], float(self._scales[k])
        header = replace(self._header(snapshot, i), violation=violation)
        own = {name: np.array(maps[name][k]) for name in self._methods if name in maps}
        probe = self._probe

        def job(sink: Sink) -> None:
            drawn = titled_maps(own, {self.main: scale} if scale > 0 else {})
            if predicted is not None:
                place = list(own).index(self.main)
                drawn[place] = replace(
                    drawn[place], title=f"why {probe.class_name(int(snapshot.targets[i]))}?"
                )
                why = f"why {probe.class_name(int(snapshot.predictions[i]))}?"
                drawn.insert(place + 1, TitledMap(why, predicted, scale=_larger(scale, predicted)))
                drawn[place] = replace(drawn[place], scale=_larger(scale, predicted))
            outlines = [mask[i] for mask in probe.masks.values()]
            picture = panel(probe.pictures[i], drawn, header, self._sizes[0], outlines)
            sink.image(f"{PANELS}/{self._tags[k]}", picture, snapshot.step)

        return job

    def _history_job(self, pages: list[Page], k: int, step: int) -> Callable[[Sink], None]:
        def job(sink: Sink) -> None:
            entries = [(replace(page.headers[k], epoch=_short(page.when)), page.maps[k]) for page in pages]
            i = self.shown[k]
            title = f"{METHODS[self.main].title} · {self._probe.label_name(i)} · {pages[-1].when}"
            numbers = [page.number for page in pages]
            picture = history_sheet(
                self._probe.pictures[i], entries, title, numbers=numbers, side=self._sizes[1]
            )
            sink.image(f"{HISTORY}/{self._tags[k]}", picture, step)

        return job

    def _sheet_job(
        self, name: str, file: str, draw: Callable[[], np.ndarray], step: int
    ) -> Callable[[Sink], None]:
        def job(sink: Sink) -> None:
            picture = draw()
            if self._keep is not None:
                self._keep(f"{file}.png", picture)
            sink.image(f"{SHEETS}/{name}", picture, step)

        return job

    def overview(self) -> np.ndarray:
        """The overview of the snapshots so far, (H, W, 3) uint8."""
        return self._overview(self._pages.kept())

    def _overview(self, pages: list[Page]) -> np.ndarray:
        tracks = [
            Track(
                label=self._probe.label_name(i),
                picture=self._probe.pictures[i],
                maps=[page.maps[k] for page in pages],
                right=[page.headers[k].right for page in pages],
            )
            for k, i in enumerate(self.shown)
        ]
        captions, numbers = [_short(page.when) for page in pages], [page.number for page in pages]
        return overview(tracks, captions, METHODS[self.main].title, numbers)

    def _peaks(self, snapshot: Snapshot) -> np.ndarray:
        return peak_sheet(peaks(snapshot, self._probe), snapshot.when)


def sizes_for(shape: tuple[int, ...]) -> tuple[int, int]:
    """Panels' width and history sheets' cells, px, for pictures of shape (N, H, W, 3).

    Panels of small pictures are as wide as a card of TensorBoard: more pixels would show no more.
    """
    return next(sizes for side, sizes in SIZES.items() if max(shape[1:3]) <= side)


def _sheets_are_due(count: int) -> bool:
    """At 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: the powers of two and those times three."""
    while count % 2 == 0:
        count //= 2
    return count in (1, 3)


def _larger(scale: float, map_: np.ndarray) -> float | None:
    """The scale of two maps that are set side by side; None if neither is positive."""
    return max(scale, float(maxima([map_])[0])) or None


def _short(when: str) -> str:
    """ "after 12 epochs" (earlier "epoch 12") -> "12", "before training" -> "start": what fits at a map."""
    number = re.fullmatch(r"(?:after |epoch |batch )(\d+)(?: (?:epoch|batch)(?:e?s)?)?", when)
    return number[1] if number else {"before training": "start"}.get(when, when)
