"""The part of a replay that may run elsewhere: parameters into a net, probe images through it, maps out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..attribution.methods import METHODS
from ..regression.snapshot import written_by
from .checkpoints import Checkpoint
from .loading import load_checkpoint
from .question import WORTHWHILE, Question


@dataclass(frozen=True, eq=False)
class Job:
    """What is asked of every checkpoint, and by which net.

    `rows` are the numbers of the question's images in the whole probe set, `shown` those among them that are
    drawn; methods whose maps are only drawn run on these alone where they are few. `shown` None: all methods run
    on all images.
    """

    make_net: Callable[[], Any]
    question: Question
    rows: Sequence[int]
    shown: tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class Answer:
    """What a checkpoint's net said: arrays only, so that it can travel.

    The maps of `drawn` methods are of the images shown only. `fault`: why it could not be asked, or "".
    """

    checkpoint: Checkpoint
    rows: Sequence[int] = ()
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    drawn: Mapping[str, np.ndarray] = field(default_factory=dict)
    outputs: np.ndarray | None = None
    targets: np.ndarray | None = None
    scores: np.ndarray | None = None
    layer: str | None = None
    relus: tuple[int, int] = (0, 0)
    pure: bool | None = None
    is_from_gpu: bool = False
    fault: str = ""


def jobs_of(job: Job, chunk: int) -> list[Job]:
    """The job, or where the probe set is larger than `chunk` images its parts, which give the same bits.

    Chunks are whole batches. The methods that are only drawn are a part of their own. A function that scores
    images may depend on their company, and is not parted; nor is a method that sees all images.
    """
    whole, shown = job.question, list(job.shown or ())
    count = len(whole.probe)
    drawn = tuple(name for name in whole.methods if METHODS[name].shape != "layer")
    measured = tuple(name for name in whole.methods if name not in drawn)
    chunk = max(1, chunk // whole.batch_size) * whole.batch_size
    if (
        count <= chunk
        or callable(whole.targets)
        or any(METHODS[name].sees_all for name in whole.methods)
        or not measured
        or (drawn and count <= WORTHWHILE * len(shown))
    ):
        return [job]
    pieces = [(measured, list(range(first, min(first + chunk, count)))) for first in range(0, count, chunk)]
    if drawn:
        pieces.append((drawn, shown))
    return [
        replace(job, question=replace(whole.of(rows), methods=methods), rows=rows, shown=None)
        for methods, rows in pieces
    ]


def answer(job: Job, checkpoint: Checkpoint) -> Answer:
    """Explain the job's images by a checkpoint's parameters, with the very calls of a snapshot in training."""
    net, question = job.make_net(), job.question
    try:
        is_from_gpu = load_checkpoint(net, checkpoint.path, (1, *question.probe.images.shape[1:]))
    except (OSError, ValueError) as error:
        return Answer(checkpoint, fault=str(error))
    if job.shown is None:
        result = question.ask_all(net)
        shown = result.maps
    else:
        result, shown = question.ask(net, job.shown)
    return Answer(
        checkpoint,
        rows=job.rows,
        maps={name: maps for name, maps in result.maps.items() if METHODS[name].shape == "layer"},
        drawn={name: maps for name, maps in shown.items() if METHODS[name].shape != "layer"},
        outputs=result.outputs,
        targets=result.targets,
        scores=result.scores,
        layer=result.layer,
        relus=result.relus,
        pure=None if written_by(result) is None else not written_by(result),
        is_from_gpu=is_from_gpu,
    )


def joined(parts: Sequence[Answer]) -> Answer:
    """The answer of all jobs to one checkpoint, from those of its parts in their order."""
    faulty = next((part for part in parts if part.fault), None)
    if faulty is not None or len(parts) == 1:
        return faulty or parts[0]
    measured = [part for part in parts if part.maps]
    drawn = next((part for part in parts if part.drawn), None)

    pure = [part.pure for part in parts]

    def whole(name: str) -> np.ndarray | None:
        arrays = [getattr(part, name) for part in measured]
        return None if arrays[0] is None else np.concatenate(arrays)

    return replace(
        measured[0],
        rows=[row for part in measured for row in part.rows],
        maps={name: np.concatenate([part.maps[name] for part in measured]) for name in measured[0].maps},
        drawn={} if drawn is None else drawn.drawn,
        outputs=whole("outputs"),
        targets=whole("targets"),
        scores=whole("scores"),
        relus=measured[0].relus if drawn is None else drawn.relus,
        pure=None if None in pure else all(pure),
    )


def given_by(answer: Answer, job: Job) -> dict[str, Any]:
    """An answer to the whole job as arguments of `AttentionMonitor.record` and `Snapshot.from_arrays`."""
    return {
        "maps": _maps_of(answer, job.question.methods, job.shown or ()),
        "outputs": answer.outputs,
        "targets": job.question.targets if answer.targets is None else answer.targets,
        "layer": answer.layer,
        "scores": answer.scores,
        "relus": answer.relus,
        "pure": answer.pure,
    }


def _maps_of(answer: Answer, methods: Sequence[str], shown: Sequence[int]) -> dict[str, np.ndarray]:
    """All methods' maps of all images.

    Of images that are not drawn, the maps that are only drawn are zeros, which take no memory until they are read.
    """
    maps = dict(answer.maps)
    for name, values in answer.drawn.items():
        maps[name] = np.zeros((len(answer.rows), *values.shape[1:]), np.float32)
        maps[name][list(shown)] = values
    return {name: maps[name] for name in methods}
