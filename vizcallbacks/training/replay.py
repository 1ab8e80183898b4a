"""`replay`: the run folder that a training would have written, from its checkpoints."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..checks import check_whole, pick_evenly
from ..probes.probe_set import ProbeSet
from ..regression.snapshot import Snapshot, snapshot_path
from .checkpoints import Checkpoint
from .loading import load_checkpoint
from .monitor import AttentionMonitor
from .plan import Plan
from .question import Question
from .replay_tasks import Answer, Job, given_by, jobs_of
from .replay_workers import asker
from .source import Follow, Source

CHUNK = 1024  # images of a task; a thousand of 224 px take 0.6 GB, and their maps a hundredth
WRITTEN = 60.0  # seconds that a snapshot's file may take
DRAWN = 600.0  # seconds that pictures may take after the last snapshot: nothing else waits for a replay's end


@dataclass(frozen=True)
class Replayed:
    """What `replay` did.

    Attributes
    ----------
    run : Path
        The run's folder.
    steps : tuple of int
        Taken now; those that were there before are not among them.
    skipped : mapping of str to str
        Checkpoint -> why it could not be used.
    passed : bool or None
        Whether the last snapshot passed its check; None if there was nothing to check.
    """

    run: Path
    steps: tuple[int, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    passed: bool | None = None


def replay(
    checkpoints: Any,
    make_net: Callable[[], Any],
    probe: ProbeSet,
    logdir: Any,
    workers: int = 1,
    *,
    cluster: str | None = None,
    step_from: str | None = None,
    every: int = 1,
    follow: Follow | None = None,
    chunk: int = CHUNK,
    told: Callable[[int | None, int, str], Any] | None = None,
    logger: logging.Logger | None = None,
    **options: Any,
) -> Replayed:
    """Take snapshots of saved parameters, to the bit those that a monitor would have taken in the training.

    Steps that are in the run's folder already are not taken again, so a replay that was interrupted goes on. A
    file that is damaged, or does not fit the net, is named and left out.

    Parameters
    ----------
    checkpoints : path, or list of paths
        Files and folders; see `checkpoints.find_checkpoints` for their names.
    make_net : callable
        Builds the net; called for every checkpoint, in the process that runs it. Parameters are loaded on the CPU,
        also those that were saved from a GPU.
    probe : ProbeSet
    logdir : str or os.PathLike
        The run's folder.
    workers : int
        Local processes. Bits do not depend on their number.
    cluster : str, optional
        The address of a Dask scheduler to use instead (``pip install 'vizcallbacks[cluster]'``).
    step_from, every
        As for `find_checkpoints`.
    follow : Follow, optional
        Go on and take checkpoints as another process writes them, each when it is whole.
    chunk : int
        How many images of a larger probe set are one task.
    told : callable, optional
        Called after each snapshot: how many there are in all (None while following), how many are done, and a word
        on the last.
    **options
        Those of `AttentionMonitor`.

    Returns
    -------
    Replayed

    Raises
    ------
    ValueError, TypeError
        An argument is invalid, no checkpoint can be used, or two have the same step.
    ImportError
        Several workers without dask.distributed, or a worker without the net's module.

    Examples
    --------
    With parameters of two epochs, as a training saved them:

    >>> import vizcallbacks as vc
    >>> from vizcallbacks.mxnet_door import mx, nn
    >>> def make_net():
    ...     net = nn.HybridSequential()
    ...     net.add(nn.Conv2D(4, 3, in_channels=3, activation="relu"), nn.GlobalAvgPool2D())
    ...     net.add(nn.Dense(2, in_units=4))
    ...     return net
    >>> net = make_net()
    >>> net.initialize()
    >>> for epoch in range(2):
    ...     net.save_parameters(f"m-epoch{epoch}batch40.params")
    >>> probe = vc.ProbeSet(images, labels=[0, 1, 1])
    >>> done = vc.replay(["m-epoch0batch40.params", "m-epoch1batch40.params"], make_net, probe, "runs/a")
    >>> done.steps, vc.Run("runs/a").steps
    ((1, 2), (1, 2))
    """
    check_whole("workers", workers)
    check_whole("chunk", chunk)
    logger = logger or logging.getLogger(__name__)
    plan = make_plan(probe, options)
    source = Source(checkpoints, Path(logdir), step_from, every, follow)
    stream = source.stream()
    taken: list[int] = []
    report = None
    with (
        contextlib.ExitStack() as stack,
        contextlib.suppress(*([] if follow is None else [KeyboardInterrupt])),
    ):  # Ctrl-C ends the following
        job, first = first_job(plan, make_net, stream, source.skip)
        if job is None:
            return Replayed(Path(logdir), (), source.skipped)
        monitor = stack.enter_context(AttentionMonitor.of(plan, logdir, logger))
        stack.callback(monitor.close, DRAWN)
        ask = stack.enter_context(asker(jobs_of(job, chunk), workers, cluster))
        told_gpu = False
        for found in ask(itertools.chain([first], stream)):
            if found.fault:
                source.skip(found.checkpoint.path, found.fault)
                continue
            if found.is_from_gpu and not told_gpu:
                told_gpu = True
                logger.warning(
                    "%s was saved from a GPU; its parameters are loaded on the CPU", found.checkpoint.path
                )
            snapshot = record(monitor, found, job)
            taken.append(snapshot.step)
            report = monitor.report
            if told is not None:
                told(source.total, len(taken), snapshot.when)
    return Replayed(Path(logdir), tuple(taken), source.skipped, None if report is None else report.passed)


def make_plan(probe: ProbeSet, options: Mapping[str, Any]) -> Plan:
    plan = Plan.of_options(replay, {"probe": probe, "on_error": "raise", **options})
    if plan.shard is not None or plan.sanity_period is not None or plan.extra:
        raise ValueError("replay takes no shard, sanity_period or extra; leave them out")
    return plan


def first_job(
    plan: Plan,
    make_net: Callable[[], Any],
    stream: Iterator[Checkpoint | None],
    skip: Callable[[str, str], None],
) -> tuple[Job | None, Checkpoint | None]:
    """What is asked of every checkpoint, with the layer that the first usable one has; and that one.

    Raises
    ------
    TypeError, ValueError
        The net cannot be explained with the plan's arguments.
    """
    probe, targets, _ = plan.share
    for one in stream:
        if one is None:
            continue
        net = make_net()
        try:
            load_checkpoint(net, one.path, (1, *probe.images.shape[1:]))
        except (OSError, ValueError) as error:
            skip(one.path, str(error))
            continue
        asked = (probe, tuple(plan.methods), plan.layer, targets, plan.batch_size)
        question = Question(*asked, output=plan.output)
        found, classes = question.try_out(net)
        shown = tuple(pick_evenly(len(probe), min(plan.show, len(probe))))
        alarm = plan.alarm()
        if alarm is not None:
            alarm.check_start(found, classes)
        return Job(make_net, replace(question, layer=found.layer), range(len(probe)), shown), one
    return None, None


def record(monitor: AttentionMonitor, found: Answer, job: Job) -> Snapshot:
    """Keep an answer, and wait until its file is there: who is killed afterwards does not lose it."""
    taken = monitor.record(found.checkpoint.step, **given_by(found, job))
    if taken is None:
        raise RuntimeError(f"step {found.checkpoint.step} was not kept")
    path, until = snapshot_path(monitor.run, taken.step), time.monotonic() + WRITTEN
    while not path.exists():
        if time.monotonic() > until:
            raise OSError(f"{path} could not be written within {WRITTEN:g} s; is the disk full?")
        time.sleep(0.005)
    return taken
