"""Where the tasks of a replay run: here, in local processes, or on a Dask cluster; answers come in order."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Optional

from .checkpoints import Checkpoint
from .replay_tasks import Answer, Job, answer, joined

INSTALL = "pip install 'vizcallbacks[cluster]'"
AHEAD = 2  # tasks for each worker that are under way or done but not yet written; bounds the memory

Asker = Callable[[Iterable[Optional[Checkpoint]]], Iterator[Answer]]


@contextlib.contextmanager
def asker(jobs: Sequence[Job], workers: int = 1, cluster: str | None = None) -> Iterator[Asker]:
    """A function from checkpoints to their answers, in the same order; processes end with the block.

    Parameters
    ----------
    jobs : sequence of Job
        The parts of what is asked of each checkpoint.
    workers : int
        1: this process; else so many local ones.
    cluster : str, optional
        The address of a Dask scheduler, such as "tcp://10.0.0.1:8786", instead. Its workers read the checkpoints
        at the same paths.

    Raises
    ------
    ImportError
        `dask.distributed` is not installed; or a worker lacks a module, which the message names with the worker.
    OSError
        No scheduler answers at the address.
    """
    if workers == 1 and cluster is None:
        yield lambda checkpoints: (
            joined([answer(job, one) for job in jobs]) for one in checkpoints if one is not None
        )
        return
    distributed, pickler = _distributed()
    with contextlib.ExitStack() as stack:
        if cluster is None:
            local = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                host="127.0.0.1",
                silence_logs=logging.ERROR,
            )
            client = stack.enter_context(distributed.Client(stack.enter_context(local), set_as_default=False))
        else:
            client = stack.enter_context(distributed.Client(cluster, timeout=30, set_as_default=False))
        yield lambda checkpoints: _gathered(client, pickler, jobs, checkpoints)


def _gathered(
    client: Any, pickler: Any, jobs: Sequence[Job], checkpoints: Iterable[Checkpoint | None]
) -> Iterator[Answer]:
    """Answers in the order of the checkpoints, with a few tasks ahead. Dask runs a lost worker's tasks again."""
    # the net's factory travels as bytes, so that a worker without its module can say so in words; what all
    # checkpoints share is a task, not scattered data: that is lost with the worker that holds it
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        sent = [client.submit(_same, replace(job, make_net=_none), pure=False) for job in jobs]
    factories = [pickler.dumps(job.make_net) for job in jobs]
    ahead = AHEAD * max(1, len(client.scheduler_info()["workers"]))
    waiting: list[list[Any]] = []
    for one in checkpoints:
        if one is None:  # nothing new for now: what is under way is not kept waiting for more
            while waiting:
                yield joined(client.gather(waiting.pop(0)))
            continue
        waiting.append(
            [
                client.submit(_task, job, factory, one, sys.path[:1], pure=False)
                for job, factory in zip(sent, factories)
            ]
        )
        if len(waiting) >= ahead:
            yield joined(client.gather(waiting.pop(0)))
    for futures in waiting:
        yield joined(client.gather(futures))


def _same(job: Job) -> Job:
    """In a worker: what many tasks take is sent once."""
    return job


def _none() -> None:
    """In the place of a factory that travels by itself."""


def _task(job: Job, factory: bytes, checkpoint: Checkpoint, path: list[str]) -> Answer:
    """In a worker."""
    import cloudpickle
    from distributed import get_worker

    for folder in path:  # where the user's modules are, as for the process that asks
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        return answer(replace(job, make_net=cloudpickle.loads(factory)), checkpoint)
    except ImportError as error:
        raise ImportError(
            f"worker {get_worker().address} cannot build the net: {error}; install the module there, or start the "
            "worker in the folder that holds it"
        ) from None


def _distributed() -> tuple[Any, Any]:
    try:
        import cloudpickle
        import distributed
    except ImportError as error:
        raise ImportError(f"several workers need dask.distributed, which is missing: {INSTALL}") from error
    return distributed, cloudpickle
