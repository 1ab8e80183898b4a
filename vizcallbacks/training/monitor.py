"""`AttentionMonitor`: one snapshot of what a net looks at, taken, logged and kept; for any training loop."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..attribution.methods import DEFAULT_METHODS
from ..attribution.randomisation import sanity, sanity_job
from ..checks import check_whole
from ..measures.of_one_map import mean_defined
from ..pictures.render import encode
from ..probes.probe_set import ProbeSet
from ..regression import snapshot as snapshots
from ..regression.baseline import Baseline
from ..regression.report import Report
from ..regression.snapshot import Snapshot
from ..tensorboard.event_log import EventLog
from .alarm import Alarm
from .album import Album
from .budget import Budget, Drawing, timed
from .question import Question
from .run_folder import RunFolder
from .workers import part

if TYPE_CHECKING:
    from ..mxnet_door import gluon

ON_ERROR = ("warn", "raise")
IMAGE_FORMATS = ("jpeg", "png")
WRONG = ("also predicted", "label only")


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
    the first step that it takes and of later ones are replaced. Two at a time in one folder are refused.

    Parameters
    ----------
    probe : ProbeSet
        The same images at every snapshot; 8 to 12 are well looked at.
    logdir : str, os.PathLike or SummaryWriter
        The run's folder, made when missing; or the user's own tensorboardX writer, which is not closed.
    methods : sequence of str
        Names from `vizcallbacks.attribution.methods.METHODS`, drawn side by side.
    layer : Conv2D, str or None
        As for `explain`. None: found at the first snapshot, and kept.
    targets : None, "label", int, (N,) ints or callable
        As for `explain`. With None, the prediction, drift is undefined where the prediction changed.
    batch_size : int
        Images per pass; bounds the memory.
    extra : sequence of ndarray or NDArray, (N, ...)
        Further inputs of the net, as for `explain`.
    show : int
        At most so many probe images are drawn; measures are over all. Where few of many are drawn, methods
        outside the CAM family run on these alone.
    per_image_curves : bool
        Whether each image drawn has curves of its own (``attention_per_image/``), beside those of the means.
    wrong : {"also predicted", "label only"}
        Whether panels of images that the net gets wrong also show the map of the class that it predicts, which
        costs one more walk for these images.
    image_format : {"jpeg", "png"}
        JPEG (4:4:4, quality 90) is a third as large.
    on_error : {"warn", "raise"}
        When a snapshot fails in mid-training: one warning and on with the training, or the exception. Wrong
        arguments raise in any event, when the monitor is made or at its first snapshot.
    max_overhead : float, optional
        The share of the training's time that snapshots may take, such as 0.05: where they would take more, only
        some of those asked for are taken (see `vizcallbacks.training.budget`). Default: all are.
    shard : (int, int), optional
        (rank, size) of this worker among several that train one net: it takes every size-th probe image from
        number rank on, in a sub-run ``worker-<rank>``.
    logger : logging.Logger, optional
        Gets a line for each snapshot, and warnings.
    baseline, thresholds, patience, action, check_from
        As for `vizcallbacks.training.alarm.Alarm`: with a baseline or thresholds, each snapshot is checked.
        What the rules measure and how many are violated become curves, and panels of violating images are marked.
    sanity_period : int, optional
        At every so many snapshots, also log how alike maps stay when the weights are random (`vizcallbacks.sanity`
        with two stages); that costs two snapshots more.

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
        baseline: Baseline | str | os.PathLike | None = None,
        thresholds: Mapping[str, str | Iterable[str]] | None = None,
        *,
        patience: int = 2,
        action: str | Callable[[Report], Any] = "warn",
        check_from: int = 1,
        sanity_period: int | None = None,
        batch_size: int = 16,
        extra: Sequence = (),
        show: int = 12,
        per_image_curves: bool = False,
        wrong: str = "also predicted",
        image_format: str = "jpeg",
        on_error: str = "warn",
        max_overhead: float | None = None,
        shard: tuple[int, int] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        if not isinstance(probe, ProbeSet):
            raise TypeError(
                f"probe must be a ProbeSet, got {type(probe).__name__}; make one: ProbeSet(images)"
            )
        for name, value, allowed in (
            ("on_error", on_error, ON_ERROR),
            ("image_format", image_format, IMAGE_FORMATS),
            ("wrong", wrong, WRONG),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        for name, count in (("show", show), ("sanity_period", 1 if sanity_period is None else sanity_period)):
            check_whole(name, count)
        probe, targets, numbers = part(shard, probe, targets, logdir)
        if extra and (shard is not None or sanity_period is not None):
            raise ValueError(
                "extra inputs cannot be shared out or randomised: leave out shard and sanity_period"
            )
        self._question = Question(probe, methods, layer, targets, batch_size, extra)
        self._on_error = on_error
        self._budget, self._stretched = Budget(max_overhead), False
        checked = baseline is not None or thresholds is not None
        alarm = (self._question.methods, baseline, thresholds, patience, action, check_from)
        self._alarm = Alarm(probe, *alarm) if checked else None
        self._stop = False
        self._sanity_period, self._taken = sanity_period, 0
        self._encode = lambda picture: encode(picture, image_format)
        self._logger = logger or logging.getLogger(__name__)
        self._folder = RunFolder(logdir, "" if shard is None else f"worker-{shard[0]}", self._logger)
        self._target = logdir if shard is None else self._folder.path
        self._pending = max(64, 3 * (2 * show + 4))  # jobs of three snapshots may wait
        self._album = Album(
            probe, self._question.methods, show, numbers, per_image_curves, keep=self._folder.save_picture
        )
        self._ask_why = wrong == "also predicted"
        self._log: EventLog | None = None
        self._previous: Snapshot | None = None
        self._checked: Report | None = None
        self._failures = 0
        self._closed = False

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def failures(self) -> int:
        """Snapshots that failed, and jobs that could not be written."""
        return self._failures + (0 if self._log is None else self._log.dropped)

    @property
    def report(self) -> Report | None:
        """What the check of the last snapshot found; None if it was not checked."""
        return self._checked

    @property
    def should_stop(self) -> bool:
        """Whether the alarm's action asked for the end of the training."""
        return self._stop

    def start(self, net: gluon.Block, step: int = 0) -> None:
        """Check the net and the folder, go on with snapshots before `step`, and open the log.

        Called by the first `snapshot`; call it before training to learn of wrong arguments as early as can be.

        Raises
        ------
        TypeError, ValueError
            If the net cannot be explained with these arguments, or the folder not be used.
        """
        self._started(net, step)

    def check(self, net: gluon.Block) -> None:
        """Explain one image, to see that the arguments fit the net; `start` does, before it touches the disk.

        Raises
        ------
        TypeError, ValueError
            If the net cannot be explained with these arguments.
        """
        first, classes = self._question.try_out(net)
        if self._alarm is not None:
            self._alarm.check_start(first, classes)

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
            None if it failed and `on_error` is "warn", or if `max_overhead` left it out.
        """
        check_whole("step", step, 0)
        step = int(step)
        log = self._started(net, step)
        self._checked = None
        if not self._budget.begin():
            self._leave_out()
            return None
        try:
            taken = self._take(log, net, step, when or (f"epoch {step}" if step else "before training"))
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
        finally:
            self._budget.end()
        if self._alarm is not None and self._checked is not None and self._alarm.due:
            self._stop = self._alarm.act(self._checked, self._logger) or self._stop
        return taken

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
        self._folder.close()
        self._closed = True

    def __enter__(self) -> AttentionMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self, net: gluon.Block, step: int) -> EventLog:
        if self._closed:
            raise RuntimeError("the monitor is closed; make a new one, which goes on in the same folder")
        if self._log is None:
            self.check(net)
            earlier = self._folder.open(self._question.probe, step)
            try:
                for self._previous in earlier:
                    self._album.add(self._previous)
                    if self._alarm is not None:
                        self._alarm.judge(self._previous)
                log = EventLog(
                    self._target, encode=self._encode, max_pending=self._pending, logger=self._logger
                )
                self._log = log.open()
            except BaseException:
                self._folder.close()
                raise
        return self._log

    def _take(self, log: EventLog, net: gluon.Block, step: int, when: str) -> Snapshot:
        began = time.perf_counter()
        result, drawn = self._question.ask(net, self._album.shown)
        why = (
            self._question.ask_why(net, result, self._album.shown, self._album.main) if self._ask_why else {}
        )
        passed = time.perf_counter()
        taken = snapshots.take(result, result.probe, step, when, self._previous)
        self._checked = None if self._alarm is None else self._alarm.judge(taken)
        jobs = [lambda sink: self._folder.save(taken), *self._album.add(taken, drawn, self._checked, why)]
        if self._alarm is not None and self._checked is not None and self._alarm.due:
            self._checked, job = self._alarm.described(self._checked, self.run)
            jobs.append(job)
        self._taken += 1
        if self._sanity_period is not None and self._taken % self._sanity_period == 0:
            found = sanity(net, result.probe, self._question.methods, stages=2, **self._question.options)
            jobs.append(sanity_job(found, step))
        self._previous = taken

        jobs, drawing = timed(jobs)
        for job in jobs:
            log.submit(job)
        handed = time.perf_counter()
        log.submit(lambda sink: self._report(taken, passed - began, handed - passed, drawing))
        return taken

    def _report(self, taken: Snapshot, passes: float, handing: float, drawing: Drawing) -> None:
        """In the log's thread, when all of the snapshot is drawn and written."""
        self._budget.drew(drawing.processor)
        drift = mean_defined(taken.measures["drift"])[0] if "drift" in taken.measures else float("nan")
        self._logger.info(
            "attention %s: %d images in %.2f s, hand-over %.0f ms, drawn and written in %.2f s; "
            "layer %s, guided %d of %d%s",
            taken.when,
            len(taken.targets),
            passes,
            1000 * handing,
            drawing.seconds,
            taken.layer,
            *taken.relus,
            "" if drift != drift else f"; rank correlation with the last snapshot {drift:.2f}",
        )

    def _leave_out(self) -> None:
        if not self._stretched:
            self._stretched = True
            self._logger.warning(
                "attention snapshots cost %.2f s each, of which max_overhead=%g allows one in %.0f s of training; "
                "some of those due are left out from now on",
                self._budget.cost,
                self._budget.share,
                self._budget.cost / self._budget.share,  # type: ignore[operator]
            )
