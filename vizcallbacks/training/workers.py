"""Which of several training processes this one is, and which probe images are its."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..attribution.targets import targets_of
from ..probes.probe_set import ProbeSet


class Worker(NamedTuple):
    """One of the processes that train one net together: `rank` of 0 ... `size` - 1."""

    rank: int = 0
    size: int = 1


def check_worker(rank: Any, size: Any) -> Worker | None:
    """The worker that the arguments name, None if both are None; ValueError if they name none."""
    if rank is None and size is None:
        return None
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (rank, size))
    if not whole or not 0 <= rank < size:
        raise ValueError(
            f"rank and size must be given together, ints with 0 <= rank < size, got {rank!r} and {size!r}"
        )
    return Worker(rank, size)


def part(worker: Sequence[int] | None, probe: ProbeSet, targets: Any) -> tuple[ProbeSet, Any, Sequence[int]]:
    """A worker's part of the probe images: every size-th, from number rank on; all if `worker` is None.

    Returns
    -------
    probe, targets
        Of those images.
    numbers : sequence of int
        Theirs in the whole probe set.

    Raises
    ------
    ValueError
        There is no image for the worker.
    """
    if worker is None:
        return probe, targets, range(len(probe))
    if not isinstance(worker, tuple) or len(worker) != 2:
        raise ValueError(f"shard must be (rank, size), got {worker!r}")
    rank, size = check_worker(*worker) or Worker()
    numbers = list(range(rank, len(probe), size))
    if not numbers:
        raise ValueError(
            f"there must be a probe image for each worker, got {len(probe)} for rank {rank} of {size}"
        )
    return probe[numbers], targets_of(targets, numbers, len(probe)), numbers


def find_worker(trainer: Any) -> Worker:
    """Find the worker that a Gluon trainer trains on.

    From the trainer's key-value store; from Horovod, if the program uses it; else the only one. Nothing is sent
    or received.

    Raises
    ------
    ValueError
        The trainer was given the *name* of a distributed store. It makes the store in its first step, with the
        batch size that it learns there, so that doing it for the trainer would change the training; before, the
        rank cannot be known.
    """
    store = trainer._kvstore or trainer._kvstore_params["kvstore"]
    horovod = sys.modules.get("horovod.mxnet")
    if horovod is not None and horovod.is_initialized():
        return Worker(horovod.rank(), horovod.size())
    if isinstance(store, str):
        if "dist" in store or store in ("horovod", "byteps"):
            raise ValueError(
                f"the trainer's kvstore must be made before training to know this worker's rank, got its name "
                f"{store!r}; give the trainer kvstore=mx.kv.create({store!r}), or the handler rank and size"
            )
        return Worker()
    return Worker() if store is None else Worker(store.rank, store.num_workers)
