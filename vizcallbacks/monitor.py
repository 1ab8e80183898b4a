"""`AttentionMonitor`: one snapshot of what a net looks at, taken, logged and kept; for any training loop."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mxnet import gluon

from . import snapshot as snapshots
from .album import Album
from .attribution import DEFAULT_METHODS, check_batch_size, explain
from .eventlog import EventLog, Sink, check_logdir
from .measures import mean_defined
from .methods import check_methods
from .probe import ProbeSet
from .render import encode, pick_evenly
from .snapshot import Snapshot
from .targets import score_of

ON_ERROR = ("warn", "raise")
IMAGE_FORMATS = ("jpeg", "png")


class AttentionMonitor:
    """Takes snapshots of a net's attention on a fixed set of probe images, and logs them to TensorBoard.

        with AttentionMonitor(probe, "runs/a") as monitor:
            for epoch in range(1, 11):
                ...train...
                monitor.snapshot(net, step=epoch)

    Training is left as it was, to the bit. The training thread runs the passes through the net; drawing,
    encoding and writing are another thread's.

    In the run's folder: TensorBoard's event file; in ``attention/`` the probe set and a .npz file for each
    snapshot, from which a monitor started again in the same folder goes on with sheets and drift. Snapshots of
    the first step that it takes and of later ones are replaced.

    Parameters
    ----------
    probe : ProbeSet
        The same images at every snapshot; 8 to 12 are well looked at.
    logdir : str, os.PathLike or SummaryWriter
        The run's folder, made when missing; or the user's own tensorboardX writer, which is not closed.
    methods : sequence of str
        Names from `vizcallbacks.methods.METHODS`, drawn side by side.
    layer : Conv2D, str or None
        As for `explain`. None: found at the first snapshot, and kept.
    targets : None, "label", int, (N,) ints or callable
        As for `explain`. With None, the prediction, drift is undefined where the prediction changed.
    batch_size : int
        Images per pass; bounds the memory.
    extra : sequence of ndarray or NDArray, (N, ...)
        Further inputs of the net, as for `explain`.
    show : int
        At most so many probe images are drawn; measures are over all.
    image_format : {"jpeg", "png"}
        JPEG (4:4:4, quality 90) is a third as large.
    on_error : {"warn", "raise"}
        When a snapshot fails in mid-training: one warning and on with the training, or the exception. Wrong
        arguments raise in any event, when the monitor is made or at its first snapshot.
    logger : logging.Logger, optional
        Gets a line for each snapshot, and warnings.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said above.
    """

    def __init__(
        self,
        probe: ProbeSet,
        logdir,
        methods: Sequence[str] | str = DEFAULT_METHODS,
        layer=None,
        targets: Any = "label",
        *,
        batch_size: int = 16,
        extra: Sequence = (),
        show: int = 12,
        image_format: str = "jpeg",
        on_error: str = "warn",
        logger: logging.Logger | None = None,
    ) -> None:
        if not isinstance(probe, ProbeSet):
            raise TypeError(
                f"probe must be a ProbeSet, got {type(probe).__name__}; make one: ProbeSet(images)"
            )
        check_batch_size(batch_size)
        score_of(targets, probe.labels, len(probe))  # raises if they do not fit the probe set
        if isinstance(layer, (list, tuple)):
            raise ValueError(
                f"layer must be one Conv2D, its name or path, got {layer!r}; use a monitor for each"
            )
        for name, value, allowed in (
            ("on_error", on_error, ON_ERROR),
            ("image_format", image_format, IMAGE_FORMATS),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        if isinstance(show, bool) or not isinstance(show, int) or show < 1:
            raise ValueError(f"show must be an int of at least 1, got {show!r}")
        self._probe, self._methods, self._layer, self._targets = probe, check_methods(methods), layer, targets
        self._batch_size, self._on_error, self._extra = batch_size, on_error, tuple(extra)
        self._run, self._target = _run_folder(logdir), logdir
        self._encode = lambda picture: encode(picture, image_format)
        self._logger = logger or logging.getLogger(__name__)
        self._album = Album(probe, self._methods, show)
        self._log: EventLog | None = None
        self._previous: Snapshot | None = None
        self._failures = 0
        self._closed = False

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self._run

    @property
    def failures(self) -> int:
        """Snapshots that failed, and jobs that could not be written."""
        return self._failures + (0 if self._log is None else self._log.dropped)

    def start(self, net: gluon.Block, step: int = 0) -> None:
        """Check the net and the folder, go on with snapshots before `step`, and open the log.

        Called by the first `snapshot`; call it before training to learn of wrong arguments as early as can be.

        Raises
        ------
        TypeError, ValueError
            If the net cannot be explained with these arguments, or the folder not be used.
        """
        self._started(net, step)

    def snapshot(self, net: gluon.Block, step: int, when: str | None = None) -> Snapshot | None:
        """Take, log and keep a snapshot.

        Parameters
        ----------
        net : gluon.Block
        step : int, >= 0
            Where it stands in TensorBoard, usually the number of epochs trained so far.
        when : str, optional
            The same in words, for pictures; default "epoch <step>", for 0 "before training".

        Returns
        -------
        Snapshot
            None if it failed and `on_error` is "warn".
        """
        if isinstance(step, bool) or int(step) != step or step < 0:
            raise ValueError(f"step must be an int of at least 0, got {step!r}")
        step = int(step)
        log = self._started(net, step)
        try:
            return self._take(log, net, step, when or (f"epoch {step}" if step else "before training"))
        except Exception as error:
            self._failures += 1
            if self._on_error == "raise":
                raise
            if self._failures == 1:
                self._logger.warning(
                    "the attention snapshot at step %d failed (%s: %s); training goes on, and so do snapshots; "
                    "more failures are only counted",
                    step,
                    type(error).__name__,
                    error,
                )
            return None

    def overview(self):
        """Probe images x steps so far in one picture, (H, W, 3) uint8 RGB, as logged."""
        return self._album.overview()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was logged is written, at most `timeout` seconds; whether it is."""
        return self._log is not None and self._log.flush(timeout)

    def close(self) -> None:
        """Draw the last sheets, write what is pending, and let go. May be called again."""
        if self._log is not None and not self._closed:
            if self._previous is not None:
                for job in self._album.sheets(self._previous.step):
                    self._log.submit(job)
            self._log.close()
        self._closed = True

    def __enter__(self) -> AttentionMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self, net: gluon.Block, step: int) -> EventLog:
        if self._closed:
            raise RuntimeError("the monitor is closed; make a new one, which goes on in the same folder")
        if self._log is not None:
            return self._log
        first = explain(
            net,
            self._probe[:1],
            self._methods,
            layer=self._layer,
            targets=self._first_target(),
            batch_size=1,
            extra=[one[:1] for one in self._extra],
        )
        given = self._probe.labels if isinstance(self._targets, str) else self._targets
        if given is not None and not callable(given) and first.outputs is not None:
            highest, classes = np.max(given), first.outputs.shape[1]
            if highest >= classes:
                raise ValueError(
                    f"targets must be below the net's number of classes, {classes}, got {highest}"
                )
        self._layer = first.layer
        log = EventLog(self._target, encode=self._encode, logger=self._logger).open()
        try:
            self._resume(step)
        except BaseException:
            log.close()
            raise
        self._log = log
        return log

    def _take(self, log: EventLog, net: gluon.Block, step: int, when: str) -> Snapshot:
        began = time.perf_counter()
        result = explain(
            net,
            self._probe,
            self._methods,
            layer=self._layer,
            targets=self._targets,
            batch_size=self._batch_size,
            extra=self._extra,
        )
        passed = time.perf_counter()
        taken = snapshots.take(result, self._probe, step, when, self._previous)
        jobs = [self._save_job(taken), *self._album.add(taken, result.maps)]
        self._previous = taken
        for job in jobs:
            log.submit(job)
        self._report(taken, passed - began, time.perf_counter() - passed)
        return taken

    def _report(self, taken: Snapshot, passes: float, rest: float) -> None:
        drift = mean_defined(taken.measures["drift"])[0] if "drift" in taken.measures else None
        self._logger.info(
            "attention %s: %d images in %.2f s, hand-over %.0f ms; layer %s, guided %d of %d%s",
            taken.when,
            len(self._probe),
            passes,
            1000 * rest,
            taken.layer,
            *taken.relus,
            ""
            if drift is None or drift != drift
            else f"; rank correlation with the last snapshot {drift:.2f}",
        )

    def _save_job(self, taken: Snapshot) -> Callable[[Sink], None]:
        path = snapshots.snapshot_path(self._run, taken.step)
        return lambda sink: taken.save(path)

    def _first_target(self):
        """The target of the first image alone, with which arguments are tried out."""
        targets = self._targets
        single = targets is None or callable(targets) or isinstance(targets, (str, int))
        return targets if single else targets[:1]

    def _resume(self, step: int) -> None:
        """Take up the run's earlier snapshots; clear away those that training from `step` on replaces."""
        folder = self._run / snapshots.FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        probe_path = folder / "probe.npz"
        if probe_path.exists() and ProbeSet.load(probe_path).digest != self._probe.digest:
            raise ValueError(
                f"{self._run} holds snapshots of another probe set, with which these could not be compared; "
                "give another logdir"
            )
        self._probe.save(probe_path)
        earlier = []
        for path in snapshots.list_snapshots(self._run):
            if snapshots.step_of(path) < step:
                earlier.append(path)
            else:
                path.unlink()
        for path in [earlier[i] for i in pick_evenly(len(earlier), 24)] if earlier else []:
            self._previous = Snapshot.load(path)
            self._album.add(self._previous)


def _run_folder(target) -> Path:
    if hasattr(target, "add_scalar"):
        folder = getattr(target, "logdir", None) or getattr(target, "log_dir", None)
        if folder is None:
            raise ValueError(f"logdir must be a folder or a writer that knows its own, got {target!r}")
        return Path(folder)
    if not isinstance(target, (str, os.PathLike)):
        raise TypeError(f"logdir must be a path or a SummaryWriter, got {type(target).__name__}")
    check_logdir(target)
    return Path(target)
