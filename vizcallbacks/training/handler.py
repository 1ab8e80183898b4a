"""`AttentionHandler`: an `AttentionMonitor` that the Gluon Estimator calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..checks import check_whole
from ..mxnet_door import estimator as gluon_estimator
from ..probes.probe_set import ProbeSet
from ..regression.snapshot import when_words
from .fit_locals import Trained, find_trained
from .monitor import AttentionMonitor
from .plan import Plan
from .run_folder import path_of
from .workers import Worker, check_worker, find_worker


class AttentionHandler(
    gluon_estimator.TrainBegin,
    gluon_estimator.BatchEnd,
    gluon_estimator.EpochEnd,
    gluon_estimator.TrainEnd,
):
    """Event handler for `mxnet.gluon.contrib.estimator.Estimator.fit`: takes attention snapshots in training.

        estimator.fit(train_data, epochs=10, event_handlers=[AttentionHandler(probe, "runs/a")])

    It stops the training only if asked to, by `action`: in order, when the epoch's other handlers, checkpoints
    among them, have had their turn. A line for each snapshot, with its cost, goes to the Estimator's logger.

    Parameters
    ----------
    probe, logdir
        As for `AttentionMonitor`.
    epoch_period : int or None
        Take a snapshot every `epoch_period` epochs.
    batch_period : int or None
        Take one every `batch_period` batches as well. TensorBoard's steps are then batches, otherwise epochs.
    before_training : bool
        One more before the first batch, at `initial_epoch`.
    initial_epoch, initial_batch : int or None
        Epochs and batches trained before the first fit, in a run that is resumed. None: as many as a
        `CheckpointHandler` of the same fit has resumed from, else 0. A second fit with the same handler goes on
        after the first one.
    shard_probes : bool
        In a training on several workers, rank 0 takes the snapshots. With True each worker takes those of its
        share of the probe images, in a sub-run ``worker-<rank>``, so that each waits for its share only.
    rank, size : int, optional
        This worker and how many there are. Found, if not given, from the trainer's key-value store, or from
        Horovod if it is loaded. Workers exchange nothing about snapshots.
    priority : int
        The Estimator calls handlers in ascending order; 1000 comes after validation (-1000) and checkpoints (0).
    **options
        Those of `AttentionMonitor`.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong: here, or when `fit` begins and the net is known.
    """

    def __init__(
        self,
        probe: ProbeSet,
        logdir: Any,
        epoch_period: int | None = 1,
        batch_period: int | None = None,
        before_training: bool = True,
        *,
        initial_epoch: int | None = None,
        initial_batch: int | None = None,
        shard_probes: bool = False,
        rank: int | None = None,
        size: int | None = None,
        priority: int = 1000,
        **options: Any,
    ) -> None:
        for name, period in (("epoch_period", epoch_period), ("batch_period", batch_period)):
            check_whole(name, period, 1, optional=True)
        for name, count in (("initial_epoch", initial_epoch), ("initial_batch", initial_batch)):
            check_whole(name, count, 0, optional=True)
        self.epoch_period, self.batch_period = epoch_period, batch_period
        self.before_training, self.priority = before_training, priority
        self.initial_epoch, self.initial_batch = initial_epoch, initial_batch
        self.shard_probes, self.worker = shard_probes, check_worker(rank, size)
        self._own_logger = options.pop("logger", None)
        if shard_probes:
            if hasattr(logdir, "add_scalar"):
                raise ValueError(
                    "logdir must be a folder if the probe images are shared out: each worker has a sub-run"
                )
            options.setdefault("shard", Worker())
        self._plan = Plan.of_options(AttentionHandler, {"probe": probe, **options})
        self._logdir = logdir if hasattr(logdir, "add_scalar") else path_of(logdir)
        self._monitor: AttentionMonitor | None = None
        self._epochs = self._batches = 0
        self._idle = False

    @property
    def monitor(self) -> AttentionMonitor:
        """That of the fit that is running, or of the last one."""
        if self._monitor is None:
            raise RuntimeError("the handler has a monitor when fit has begun; call estimator.fit first")
        return self._monitor

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        if self._monitor is not None:
            self._monitor.close()  # of a fit before, which an error may have ended
        behind = find_trained(estimator)
        if not any(behind):  # a second fit goes on after the first
            behind = Trained(self._epochs, self._batches)
        first = self._monitor is None
        self._epochs = behind.epochs if self.initial_epoch is None or not first else self.initial_epoch
        self._batches = behind.batches if self.initial_batch is None or not first else self.initial_batch
        worker = self.worker or find_worker(estimator.trainer)
        self._idle = worker.rank >= (len(self._plan.probe) if self.shard_probes else 1)
        plan = self._plan
        if self.shard_probes and plan.shard == Worker():
            plan = replace(plan, shard=worker if worker.size > 1 and not self._idle else None)
        self._monitor = AttentionMonitor.of(plan, self._logdir, self._own_logger or estimator.logger)
        if self._idle:
            self._monitor.check(estimator.net)  # so that all workers stop at a wrong argument, not one alone
            return
        self._monitor.start(estimator.net, self._step + (not self.before_training))
        if self.before_training:
            self._snapshot(estimator)

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        self._batches += 1
        if self.batch_period and self._batches % self.batch_period == 0:
            self._snapshot(estimator)
        return self.monitor.should_stop

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        self._epochs += 1
        just_taken = self.batch_period and self._batches % self.batch_period == 0
        if self.epoch_period and self._epochs % self.epoch_period == 0 and not just_taken:
            self._snapshot(estimator)
        return self.monitor.should_stop

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.monitor.close()

    @property
    def _step(self) -> int:
        return self._batches if self.batch_period else self._epochs

    def _snapshot(self, estimator: Any) -> None:
        if self._idle:
            return
        when = when_words(self._step, "batch" if self.batch_period else "epoch")
        try:
            self.monitor.snapshot(estimator.net, self._step, when)
        except BaseException:
            self.monitor.close()  # `fit` ends here, without `train_end`
            raise
