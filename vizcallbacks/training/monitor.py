"""`AttentionMonitor`: one snapshot of what a net looks at, taken, logged and kept; for any training loop."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..attribution.methods import DEFAULT_METHODS
from ..checks import check_step, names_arguments
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.report import Report
from ..regression.snapshot import Snapshot, when_words
from .plan import Plan
from .taking import Taking

if TYPE_CHECKING:
    from ..mxnet_door import gluon


class AttentionMonitor:
    """Takes snapshots of a net's attention on a fixed set of probe images, and logs them to TensorBoard.

        with AttentionMonitor(probe, "runs/a") as monitor:
            for epoch in range(1, 11):
                ...train...
                monitor.snapshot(net, step=epoch)

    Training is left as it was, to the bit. The training thread runs the passes through the net; drawing,
    encoding and writing happen in another thread.

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
    layer, targets
        As for `explain`. A layer of None is found at the first snapshot, and kept; with targets of None, the
        prediction, drift is undefined where the prediction changed.
    batch_size : int
        Images per pass; bounds the memory.
    extra, output
        Further inputs of the net, and what its outputs are, as for `explain`. Snapshots keep the latter.
    show : int
        How many probe images are drawn at most; measures are over all. Where few of many are drawn, methods
        outside the CAM family run on these alone.
    per_image_curves : bool
        Whether each image drawn has curves of its own (``attention_per_image/``), beside those of the means.
    wrong : {"also predicted", "label only"}
        Whether panels of images that the net gets wrong also show the map of the class that it predicts, which
        costs one more walk for these images.
    image_format : {"jpeg", "png"}
        JPEG (4:4:4, quality 80) is a third as large.
    on_error : {"warn", "raise"}
        When a snapshot fails in mid-training: warn once and continue, or raise. Wrong arguments always raise,
        when the monitor is made or at its first snapshot.
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
        With every `sanity_period`-th snapshot, also log how alike maps stay when the weights are random
        (`vizcallbacks.sanity` with two stages); that costs as much as two more snapshots.
    drain_on : signal.Signals, optional
        On this signal, such as `signal.SIGTERM` (what Slurm, Kubernetes and docker send), what is pending is
        written for at most 5 seconds; then the handler that was there before acts, or the process ends as it
        would have. From `start` to `close`, both called in the main thread. None: no handler is installed.
    sinks : sequence of str or object
        Where curves and pictures go: "tensorboard"; "folder" (``scalars.csv`` and ``pictures/`` in the run's
        folder); "mlflow" and "wandb", the run of theirs that is open when snapshots begin (curves, overview,
        peaks, checks, and at the end the report page); any object with ``scalar(tag, value, step)``,
        ``image(tag, picture, step)`` and ``text(tag, text, step)``, and ``file(path)`` if it takes the page. Each
        has a thread of its own; one that raises is left out, with one warning. Snapshots are always kept.
    keep : "all" or int, >= 4
        For long runs: how many snapshots stay on disk, and so in the view, at most: the first, the best, the
        newest and others evenly spaced; panels are thinned out alike. Curves are of all. See
        `vizcallbacks.training.keeping`.
    keep_trace : bool
        Whether the net's graph and its compiled pieces are kept from one snapshot to the next, as long as the net
        is made as it was. Parameters are read anew each time; none is held. False: each snapshot traces the net.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    """

    @names_arguments
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
        output: str | None = None,
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
        keep_trace: bool = True,
    ) -> None:
        plan = Plan(
            probe=probe,
            methods=methods,
            layer=layer,
            targets=targets,
            batch_size=batch_size,
            extra=extra,
            output=output,
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
            keep_trace=keep_trace,
        )
        self._begin(plan, logdir, logger)

    @classmethod
    def of(cls, plan: Plan, logdir: Any, logger: logging.Logger | None = None) -> AttentionMonitor:
        """A monitor by a plan that was made, and so checked, before."""
        (monitor := cls.__new__(cls))._begin(plan, logdir, logger)
        return monitor

    def _begin(self, plan: Plan, logdir: Any, logger: logging.Logger | None) -> None:
        self._plan = plan
        self._taking = Taking(plan, logdir, logger or logging.getLogger(__name__))
        self._journal = self._taking.journal

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self._journal.run

    @property
    def failures(self) -> int:
        """Snapshots that failed, and jobs that could not be written."""
        return self._taking.failures + self._journal.dropped

    @property
    def report(self) -> Report | None:
        """What the check of the last snapshot found; None if it was not checked."""
        return self._taking.report

    @property
    def should_stop(self) -> bool:
        """Whether the alarm's action asked for the end of the training."""
        return self._taking.should_stop

    def start(self, net: gluon.Block, step: int = 0) -> None:
        """Check the net and the folder, go on with snapshots before `step`, and open the log.

        Called by the first `snapshot`; call it before training to learn of wrong arguments as early as can be.

        Raises
        ------
        TypeError, ValueError
            If the net cannot be explained with these arguments, or the folder not be used.
        """
        self._taking.start(step, net)

    def check(self, net: gluon.Block) -> None:
        """Explain one image, to see that the arguments fit the net; `start` does, before it touches the disk.

        Raises
        ------
        TypeError, ValueError
            If the net cannot be explained with these arguments.
        """
        self._taking.try_out(net)

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
        self._taking.start(step, net)
        return self._taking.of_net(net, step, when or when_words(step))

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
            `layer`, `scores`, `relus`, `pure` and `output`, as for `Snapshot.from_arrays`.

        Raises
        ------
        ValueError
            An array does not have the right type or shape, or the map that sheets are of is missing.
        """
        return self._taking.of_maps(check_step(step), maps, outputs, targets, when=when, **more)

    def overview(self):
        """Probe images x steps so far in one picture, (H, W, 3) uint8 RGB, as logged."""
        return self._journal.album.overview()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was logged is written, at most `timeout` seconds; whether it is."""
        with self._taking.draining.undisturbed():
            return self._journal.flush(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Draw the last sheets, wait `timeout` seconds for what is pending, let go. May be called again."""
        with self._taking.draining.undisturbed():
            self._journal.close(timeout)
        self._taking.draining.restore()

    def __enter__(self) -> AttentionMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
