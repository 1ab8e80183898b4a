"""Checkpoint files: which step each is of, by its name, and whether it is whole, by its bytes. Runs no net."""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..checks import check_whole

ENDING = ".params"


@dataclass(frozen=True, order=True)
class Checkpoint:
    """A parameter file, and the step of the training that it was written at."""

    step: int
    path: str


NAMES: tuple[tuple[str, Callable[[re.Match], int]], ...] = (
    # of the Estimator's CheckpointHandler, which counts epochs from 0; the batch is looked at below
    (r"(?P<prefix>.+)-epoch(?P<epoch>\d+)batch(?P<batch>\d+)", lambda m: int(m["epoch"]) + 1),
    # of GluonCV's training scripts, the best so far; they count epochs from 0
    (r"\d+\.\d+-(?P<prefix>.+)-(?P<epoch>\d+)-best", lambda m: int(m["epoch"]) + 1),
    # of net.export(prefix, epoch), where the user says how many
    (r"(?P<prefix>.+)-(?P<epoch>\d{4,})", lambda m: int(m["epoch"])),
)
"""Patterns of files' names without ".params", the first that fits counts, and the step: epochs trained."""

_HELP = (
    "names are understood as the Estimator's CheckpointHandler (<prefix>-epoch3batch40.params), net.export "
    "(<name>-0012.params) and GluonCV's scripts (<score>-<name>-<epoch>-best.params) write them; for others say "
    "where the step stands: step_from='step(\\d+)' (--step-from)"
)


def find_checkpoints(places: Any, step_from: str | None = None, every: int = 1) -> list[Checkpoint]:
    """Checkpoints in files and folders, in the order of their steps.

    Parameters
    ----------
    places : path, or list of paths
        Files; of folders all that end in .params, without those in folders below.
    step_from : str, optional
        A regular expression with one group, the step, that is looked for in each file's name. Default: `NAMES`
        tell the epochs trained; where a CheckpointHandler wrote several files in an epoch, the batches.
    every : int
        Only those whose step is a multiple of it.

    Returns
    -------
    list of Checkpoint
        A file "<prefix>-best.params" beside numbered ones of its prefix is a copy of one of them and left out.

    Raises
    ------
    ValueError
        A name tells no step, or two files have the same step; all such files are listed.
    OSError
        There is none, or a folder may not be read.
    """
    check_whole("every", every)
    paths = [places] if isinstance(places, (str, os.PathLike)) else list(places)
    files = [file for place in paths for file in _files(os.fspath(place))]
    files = list(dict.fromkeys(files))
    if not files:
        raise FileNotFoundError(
            f"there must be checkpoints in {', '.join(map(repr, map(str, paths)))}, got none"
        )
    found = _steps(files, step_from)
    at: dict[int, list[str]] = {}
    for one in found:
        at.setdefault(one.step, []).append(one.path)
    twice = {step: sorted(listed) for step, listed in sorted(at.items()) if len(listed) > 1}
    if twice:
        raise ValueError(
            "each step must have one checkpoint, got "
            + "; ".join(f"step {step}: {_listed(listed)}" for step, listed in list(twice.items())[:10])
            + "; give those of one training"
        )
    return sorted(one for one in found if one.step % every == 0)


def _files(place: str) -> list[str]:
    if os.path.isdir(place):
        names = sorted(name for name in os.listdir(place) if name.endswith(ENDING))
        return [os.path.join(place, name) for name in names]
    if not os.path.exists(place):
        raise FileNotFoundError(
            f"{place!r} must be a checkpoint or a folder of them, but is not there; check the path"
        )
    return [place]


def _steps(files: Sequence[str], step_from: str | None) -> list[Checkpoint]:
    if step_from is not None:
        try:
            pattern = re.compile(step_from)
        except re.error as error:
            raise ValueError(f"step_from must be a regular expression, got {step_from!r}: {error}") from error
        if pattern.groups != 1:
            raise ValueError(f"step_from must have one group, such as 'step(\\d+)', got {step_from!r}")
        matches = {path: pattern.search(os.path.basename(path)) for path in files}
        _check_all(matches, f"that {step_from!r} finds a whole number in")
        return [Checkpoint(int(match[1]), path) for path, match in matches.items() if match]
    parsed: dict[str, tuple[re.Match, int] | None] = {path: _by_name(path) for path in files}
    prefixes = {m[0]["prefix"] for m in parsed.values() if m}
    for path in files:
        name = _name(path)
        if parsed[path] is None and name.endswith("-best") and name[: -len("-best")] in prefixes:
            del parsed[path]
    _check_all(parsed, "that tells its step; " + _HELP)
    whole = {path: match for path, match in parsed.items() if match}
    batches = {path: match.groupdict().get("batch") for path, (match, _) in whole.items()}
    steps = [step for _, step in whole.values()]
    if len(set(steps)) < len(steps) and all(batch is not None for batch in batches.values()):
        return [Checkpoint(int(batch or 0) + 1, path) for path, batch in batches.items()]
    return [Checkpoint(step, path) for path, (_, step) in whole.items()]


def _by_name(path: str) -> tuple[re.Match, int] | None:
    for pattern, step in NAMES:
        match = re.fullmatch(pattern, _name(path))
        if match:
            return match, step(match)
    return None


def _check_all(matches: dict[str, Any], what: str) -> None:
    none = [
        path
        for path, match in matches.items()
        if not match or (isinstance(match, re.Match) and not str(match[1]).isdecimal())
    ]
    if none:
        raise ValueError(f"each checkpoint must have a name {what}; got {_listed(none)}")


def _name(path: str) -> str:
    name = os.path.basename(path)
    return name[: -len(ENDING)] if name.endswith(ENDING) else name


def _listed(paths: Iterable[str]) -> str:
    paths = list(paths)
    return ", ".join(map(repr, paths[:10])) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")


# What the bytes tell


@dataclass(frozen=True)
class Stored:
    """What a parameter file holds: names with shapes, and whether it was written on another device than a CPU."""

    shapes: dict[str, tuple[int, ...]]
    is_from_gpu: bool


_LIST, _DENSE, _CPUS = 0x112, (0xF993FAC9, 0xF993FACA), (1, 3, 5)
_ITEM_SIZES = {0: 4, 1: 8, 2: 2, 3: 1, 4: 4, 5: 1, 6: 8, 7: 1, 8: 2, 9: 2, 10: 4, 11: 8, 12: 2}


def read_stored(path: str) -> Stored:
    """What a parameter file holds, without reading its numbers; whether it is whole to its last byte.

    Parameters
    ----------
    path : str
        As MXNet's `nd.save` writes it (NDArray list, dense arrays).

    Returns
    -------
    Stored

    Raises
    ------
    ValueError
        It is another kind of file, or is damaged, or still being written: its arrays do not end where it ends.
    OSError
        It may not be read.
    """
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        try:
            magic, _, count = _take(file, "<QQQ")
            if magic != _LIST:
                raise ValueError("it is no file of MXNet's parameters")
            arrays = [_skip_array(file, size) for _ in range(_bounded(count, size))]
            (named,) = _take(file, "<Q")
            names = []
            for _ in range(_bounded(named, size)):
                (length,) = _take(file, "<Q")
                name = file.read(_bounded(length, size))
                if len(name) < length:
                    raise ValueError("it ends too early")
                names.append(name.decode("utf-8", "replace"))
            if file.tell() != size or len(names) != len(arrays):
                raise ValueError("its names do not end where it ends")
        except (struct.error, ValueError) as error:
            reason = "it ends too early" if isinstance(error, struct.error) else str(error)
            raise ValueError(
                f"{path!r} is no whole checkpoint ({reason}); it is damaged or still being written"
            ) from error
    return Stored(
        {name: shape for name, (shape, _) in zip(names, arrays)},
        any(device not in _CPUS for _, device in arrays),
    )


def _skip_array(file: BinaryIO, size: int) -> tuple[tuple[int, ...], int]:
    """The shape and the kind of device of the array that begins here; the file then stands behind it."""
    magic, kind, axes = _take(file, "<Iii")
    if magic not in _DENSE or kind != 0:
        raise ValueError("it holds an array that is not dense, or of an MXNet before 1.0")
    if not 0 <= axes <= 32 or (axes == 0 and magic == _DENSE[0]):
        raise ValueError(f"it holds an array with {axes} axes")
    shape = _take(file, f"<{axes}q")
    device, _, dtype = _take(file, "<iii")
    if dtype not in _ITEM_SIZES or min(shape, default=0) < 0:
        raise ValueError(f"it holds an array of shape {shape} and type {dtype}")
    file.seek(_bounded(math.prod(shape) * _ITEM_SIZES[dtype], size), os.SEEK_CUR)
    if file.tell() > size:
        raise ValueError("it ends too early")
    return shape, device


def _take(file: BinaryIO, form: str) -> tuple:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _bounded(count: int, size: int) -> int:
    """A number of bytes, or of things that take one at least, that the file can hold."""
    if count > size:
        raise ValueError("it ends too early")
    return count
