"""`AttentionMonitor`: one snapshot of what a net looks at, taken, logged and kept; for any training loop."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..attribution.methods import DEFAULT_METHODS
from ..checks import as_numpy, check_step
from ..measures.of_one_map import mean_defined
from ..probes.probe_set import ProbeSet
from ..regression import snapshot as snapshots
from ..regression.baseline import Baseline
from ..regression.report import Report
from ..regression.snapshot import Snapshot, when_words
from .beside import check_alone
from .budget import Budget
from .draining import Draining
from .jobs import Job, sanity_job
from .journal import Journal
from .plan import Plan

if TYPE_CHECKING:
    from ..mxnet_door import gluon
    from .question import Question


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
        JPEG (4:4:4, quality 80) is a third as large.
    on_error : {"warn", "raise"}
        When a snapshot fails in mid-training: one warning and on with the training, or the exception. Wrong
        arguments always raise, when the monitor is made or at its first snapshot.
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
    drain_on : signal.Signals, optional
        On this signal, such as `signal.SIGTERM` (what Slurm, Kubernetes and docker send), what is pending is
        written for at most 5 seconds; then the handler that was there before acts, or the process ends as it
        would have. From `start` to `close`, both called in the main thread. None: no handler is installed.
    sinks : sequence of str or object
        Where curves and pictures go: "tensorboard"; "folder" (``scalars.csv`` and ``pictures/`` in the run's
        folder); "mlflow" and "wandb", the run of theirs that is open when snapshots begin (curves, overview,
        peaks, checks, and at the end the report page); any object with ``scalar(tag, value, step)``,
        ``image(tag, picture, step)`` and ``text(tag, text, step)``, and ``file(path)`` if it takes the page. Each
        has a thread of its own; one that raises is left out, with one warning. Snapshots are kept in any event.
    keep : "all" or int, >= 4
        For long runs: at most so many snapshots stay on disk, and so in the view: the first, the best, the newest,
        and others evenly spaced; panels are thinned out alike. Curves are of all. See
        `vizcallbacks.training.keeping`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said above.
    """

    def __init__(
        self,
        probe: ProbeSet,
        logdir: Any,
        methods: Sequence[str] | str = DEFAULT_METHODS,
        layer: Any = None,
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
        drain_on: int | None = None,
        sinks: Sequence[Any] = ("tensorboard",),
        keep: int | str = "all",
    ) -> None:
        plan = Plan(
            probe=probe,
            methods=methods,
            layer=layer,
            targets=targets,
            batch_size=batch_size,
            extra=extra,
            show=show,
            per_image_curves=per_image_curves,
            wrong=wrong,
            image_format=image_format,
            on_error=on_error,
            max_overhead=max_overhead,
            shard=shard,
            sanity_period=sanity_period,
            baseline=baseline,
            thresholds=thresholds,
            patience=patience,
            action=action,
            check_from=check_from,
            drain_on=drain_on,
            sinks=sinks,
            keep=keep,
        )
        self._begin(plan, logdir, logger)

    @classmethod
    def of(cls, plan: Plan, logdir: Any, logger: logging.Logger | None = None) -> AttentionMonitor:
        """A monitor by a plan that was made, and so checked, before."""
        monitor = cls.__new__(cls)
        monitor._begin(plan, logdir, logger)
        return monitor

    def _begin(self, plan: Plan, logdir: Any, logger: logging.Logger | None) -> None:
        self._plan = plan
        self._logger = logger or logging.getLogger(__name__)
        self._journal = Journal(plan, logdir, self._logger)
        self._budget, self._stretched = Budget(plan.max_overhead), False
        self._alarm = plan.alarm()
        self._question: Question | None = None
        self._previous: Snapshot | None = None
        self._checked: Report | None = None
        self._failures = self._taken = 0
        self._stop = self._told_written = self._told_where = False
        self._draining = Draining(plan.drain_on, self._journal.drain)

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self._journal.run

    @property
    def failures(self) -> int:
        """Snapshots that failed, and jobs that could not be written."""
        return self._failures + self._journal.dropped

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
        self._start(step, net)

    def check(self, net: gluon.Block) -> None:
        """Explain one image, to see that the arguments fit the net; `start` does, before it touches the disk.

        Raises
        ------
        TypeError, ValueError
            If the net cannot be explained with these arguments.
        """
        from .question import Question  # MXNet is imported here, where a net is run

        probe, targets, _ = self._plan.share
        plan = self._plan
        question = Question(probe, tuple(plan.methods), plan.layer, targets, plan.batch_size, plan.extra)
        check_alone(net)
        first, classes = question.try_out(net)
        if self._alarm is not None:
            self._alarm.check_start(first, classes)
        self._question = replace(question, layer=first.layer)

    def snapshot(self, net: gluon.Block, step: int, when: str | None = None) -> Snapshot | None:
        """Take, log and keep a snapshot.

        Parameters
        ----------
        net : gluon.Block
        step : int, >= 0
            Where it stands in TensorBoard, usually the number of epochs trained so far.
        when : str, optional
            The same in words, for pictures; default "after <step> epochs", for 0 "before training".

        Returns
        -------
        Snapshot
            None if it failed and `on_error` is "warn", or if `max_overhead` left it out.
        """
        step = check_step(step)
        self._start(step, net)
        if not self._budget.begin():
            self._checked = None
            self._leave_out()
            return None
        try:
            return self._guarded(step, lambda: self._asked(net, step, when or when_words(step)))
        finally:
            self._budget.end()
            self._act()

    def record(
        self,
        step: int,
        maps: Mapping[str, Any],
        outputs: Any = None,
        targets: Any = None,
        *,
        when: str | None = None,
        **more: Any,
    ) -> Snapshot | None:
        """Log, check and keep a snapshot of maps that something else computed. No net is run, nor MXNet imported.

        Parameters
        ----------
        step, when
            As for `snapshot`.
        maps : mapping of str to array
            Method -> maps of the probe images, (N, h, w), (N, H, W) or (N, C, H, W) as
            `vizcallbacks.attribution.methods.METHODS` says; at least the first of the CAM family that the monitor
            was made with. Panels show those that are there.
        outputs : array, (N, classes), optional
            The net's scores before the softmax.
        targets : None, "label", int, (N,) ints or callable
            The classes that the maps explain; None: those that the monitor was made with.
        **more
            `layer`, `scores`, `relus` and `pure`, as for `Snapshot.from_arrays`.

        Raises
        ------
        ValueError
            An array does not have the right type or shape, or the map that sheets are of is missing.
        """
        step = check_step(step)
        probe, planned, _ = self._plan.share
        album = self._journal.album
        if album.main not in maps:
            raise ValueError(
                f"maps must hold {album.main!r}, which the monitor was made for, got {', '.join(maps) or 'none'}; "
                "make it with methods=... of what you record"
            )
        given = (step, maps, outputs, planned if targets is None else targets)
        Snapshot.from_arrays(
            probe, *given, when=when, **more
        )  # wrong arguments raise before the folder is touched
        self._start(step)

        def make() -> Snapshot:
            began = time.perf_counter()
            taken = Snapshot.from_arrays(probe, *given, when=when, previous=self._previous, **more)
            drawn = {name: as_numpy(maps[name])[album.shown] for name in self._plan.methods if name in maps}
            return self._keep(taken, drawn, [], began)

        try:
            return self._guarded(step, make)
        finally:
            self._act()

    def overview(self):
        """Probe images x steps so far in one picture, (H, W, 3) uint8 RGB, as logged."""
        return self._journal.album.overview()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was logged is written, at most `timeout` seconds; whether it is."""
        with self._draining.undisturbed():
            return self._journal.flush(timeout)

    def close(self) -> None:
        """Draw the last sheets, write what is pending, and let go. May be called again."""
        with self._draining.undisturbed():
            self._journal.close()
        self._draining.restore()

    def __enter__(self) -> AttentionMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, step: int, net: gluon.Block | None = None) -> None:
        if self._journal.is_closed:
            raise RuntimeError("the monitor is closed; make a new one, which goes on in the same folder")
        if net is not None and self._question is None:
            self.check(net)
        if not self._journal.is_open:
            self._draining.check_thread()
            self._previous = self._journal.open(step, self._judge)
            self._draining.install()

    def _judge(self, taken: Snapshot) -> Report | None:
        return None if self._alarm is None else self._alarm.judge(taken)

    def _guarded(self, step: int, make: Callable[[], Snapshot]) -> Snapshot | None:
        """What `make` returns; None, with one warning, if it fails and `on_error` is "warn"."""
        self._checked = None
        try:
            return make()
        except Exception as error:
            self._failures += 1
            if self._plan.on_error == "raise":
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

    def _act(self) -> None:
        if self._alarm is not None and self._checked is not None and self._alarm.due:
            self._stop = self._alarm.act(self._checked, self._logger) or self._stop

    def _asked(self, net: gluon.Block, step: int, when: str) -> Snapshot:
        if self._question is None:
            raise RuntimeError("the monitor has no question yet; call start")
        check_alone(net)
        began = time.perf_counter()
        album = self._journal.album
        result, drawn = self._question.ask(net, album.shown)
        also = self._plan.wrong == "also predicted"
        why = self._question.ask_why(net, result, album.shown, album.main) if also else {}
        passed = time.perf_counter()
        self._tell_written(snapshots.written_by(result))
        taken = snapshots.take(result, result.probe, step, when, self._previous)
        period, facts = self._plan.sanity_period, []
        if period is not None and (self._taken + 1) % period == 0:
            facts.append(sanity_job(self._question.sanity(net), step))
        return self._keep(taken, drawn, facts, began, passed, why)

    def _keep(
        self,
        taken: Snapshot,
        drawn: Mapping[str, Any],
        facts: list[Job],
        began: float,
        passed: float | None = None,
        why: Mapping[int, Any] | None = None,
    ) -> Snapshot:
        passed = time.perf_counter() if passed is None else passed
        self._checked, pictures = self._judge(taken), []
        if self._alarm is not None and self._checked is not None and self._alarm.due:
            self._checked, job = self._alarm.described(self._checked, self.run)
            pictures.append(job)
        self._taken += 1
        self._previous = taken
        handed = [0.0]
        with self._draining.undisturbed():
            self._journal.write(
                taken,
                drawn,
                self._checked,
                facts,
                pictures,
                lambda seconds, processor: self._report(taken, passed - began, handed[0], seconds, processor),
                why,
            )
        handed[0] = time.perf_counter() - passed
        return taken

    def _report(
        self, taken: Snapshot, passes: float, handing: float, drawing: float, processor: float
    ) -> None:
        """In the thread that draws, when all of the snapshot is drawn."""
        self._budget.drew(processor)
        self._tell_where(taken)
        drift = mean_defined(taken.measures["drift"])[0] if "drift" in taken.measures else float("nan")
        self._logger.info(
            "attention %s: %d images in %.2f s, hand-over %.0f ms, drawn and written in %.2f s; "
            "layer %s, guided %d of %d%s",
            taken.when,
            len(taken.targets),
            passes,
            1000 * handing,
            drawing,
            taken.layer,
            *taken.relus,
            "" if drift != drift else f"; rank correlation with the last snapshot {drift:.2f}",
        )

    def _tell_where(self, taken: Snapshot) -> None:
        """After the first snapshot, say where to look; on the error stream if no logging is set up."""
        if self._told_where:
            return
        self._told_where = True
        run = shlex.quote(str(self.run))
        looks = [f"vizcallbacks report {run} --out report.html"]
        if "tensorboard" in self._plan.sinks:
            looks.insert(0, f"tensorboard --logdir {run} --samples_per_plugin images=1000")
        height, width = next(iter(taken.maps.values())).shape[1:] if taken.maps else (0, 0)
        size = f"; the maps of layer {taken.layer!r} have {height} x {width} cells" if taken.maps else ""
        if 0 < min(height, width) <= 4:
            size += ", which is coarse: name an earlier layer (layer=...), or give larger images"
        line = f"to see what the net looks at: {', or '.join(looks)}{size}"
        if self._logger.hasHandlers():
            self._logger.info("%s", line)
        else:
            print(line, file=sys.stderr)

    def _tell_written(self, blocks: tuple[str, ...] | None) -> None:
        """Warn once of blocks that keep state in `forward`."""
        if blocks and not self._told_written:
            self._told_written = True
            several = len(blocks) > 1
            self._logger.warning(
                "block%s %s write%s state in forward; it was put back after the snapshot, and is after each one",
                "s" if several else "",
                ", ".join(repr(path) for path in blocks),
                "" if several else "s",
            )

    def _leave_out(self) -> None:
        if not self._stretched:
            self._stretched = True
            self._logger.warning(
                "attention snapshots cost %.2f s each, of which max_overhead=%g allows one in %.0f s of training; "
                "snapshots are thinned out from now on",
                self._budget.cost,
                self._budget.share,
                self._budget.cost / self._budget.share,  # type: ignore[operator]
            )
