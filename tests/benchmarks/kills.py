"""Trainings that are killed at random, again and again in one folder: what is lost, and whether it is told.

    python -m tests.benchmarks.kills [--count 200] [--seed 0]

Each training takes a snapshot after every step, writes down the step when `snapshot` has returned, and is ended
by SIGKILL, SIGTERM (half of them with ``drain_on=signal.SIGTERM``) or SIGINT. The next one begins at the step
after the last that was written down, as one resumed from a checkpoint would. At the end the last one is closed,
and the pictures of all snapshots that are there must be in the event files.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import random
import re
import shutil
import signal
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import mxnet as mx
import numpy as np

import vizcallbacks as vc
from tests.helpers import events
from tests.helpers.nets import images, small_net
from tests.helpers.training import train
from vizcallbacks.regression.snapshot import list_snapshots, step_of

WAYS = ("kill", "term", "term, drained", "int")
SIGNALS = {"kill": signal.SIGKILL, "int": signal.SIGINT}


@dataclass
class Outcome:
    """What became of the snapshots."""

    kills: int = 0
    taken: int = 0
    lost: dict[str, list[int]] = field(default_factory=dict)
    """Way -> for each end, how many snapshots that had returned are not on disk."""
    not_last: int = 0
    """Ends after which others than the last one were missing."""
    untold: list[str] = field(default_factory=list)
    """Holes that the next training did not tell."""
    unpictured: int = 0
    """Snapshots on disk without their pictures in the end."""


def child(folder: Path, first: int, way: str, steps: int | None = None) -> None:
    """A training that goes on until it is killed, or for so many steps."""
    logging.basicConfig(filename=folder / "log.txt", format="%(message)s", force=True, level=logging.WARNING)
    mx.random.seed(first)
    net = small_net()
    probe = vc.ProbeSet(images(3), labels=[0, 1, 2])
    taken = os.open(folder / "taken.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    drain_on = signal.SIGTERM if way == "term, drained" else None
    with vc.AttentionMonitor(probe, folder / "run", drain_on=drain_on) as monitor:
        step = first
        while steps is None or step < first + steps:
            train(net, seed=step)
            monitor.snapshot(net, step)
            os.write(taken, b"%d\n" % step)
            step += 1


def run(folder: Path, count: int, seed: int, shortest: float = 0.05, longest: float = 1.0) -> Outcome:
    """Kill `count` trainings, each between `shortest` and `longest` seconds after its third snapshot."""
    chance, found = random.Random(seed), Outcome()
    first, holes = 0, []
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        process = start(folder, first, way)
        wait_for(folder, first + 3)
        check_told(folder, holes, found)
        time.sleep(chance.uniform(shortest, longest))
        end(process, SIGNALS.get(way, signal.SIGTERM))
        taken = steps_taken(folder)
        stored = {step_of(path) for path in list_snapshots(folder / "run")}
        missing = [step for step in taken if step >= first and step not in stored]
        found.kills, found.taken = number + 1, len(taken)
        found.lost.setdefault(way, []).append(len(missing))
        found.not_last += missing not in ([], taken[-1:])
        holes = missing
        first = taken[-1] + 1
    process = start(folder, first, "kill", steps=2)
    os.waitpid(process, 0)
    check_told(folder, holes, found)
    pictured = events.pictures(folder / "run")
    panels = [shown for tag, shown in pictured.items() if tag.startswith("attention_panels/")]
    for path in list_snapshots(folder / "run"):
        vc.Snapshot.load(path)
        found.unpictured += any(step_of(path) not in {step for step, _ in shown} for shown in panels)
    return found


def start(folder: Path, first: int, way: str, steps: int | None = None) -> int:
    """The process's id; forked, so that MXNet is imported once."""
    (folder / "log.txt").write_text("")
    process = os.fork()
    if process == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            child(folder, first, way, steps)
            code = 0
        except KeyboardInterrupt:
            atexit._run_exitfuncs()  # as the interpreter would
        except Exception:
            (folder / "log.txt").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    return process


def end(process: int, number: int) -> None:
    """Send the signal, and again if it had no effect: a KeyboardInterrupt in a `__del__` is dropped by Python."""
    while True:
        os.kill(process, number)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if os.waitpid(process, os.WNOHANG)[0]:
                return
            time.sleep(0.01)


def wait_for(folder: Path, step: int) -> None:
    """Until the training has taken the snapshot of a step."""
    deadline = time.monotonic() + 120
    while max(steps_taken(folder), default=-1) < step:
        if time.monotonic() > deadline:
            raise TimeoutError((folder / "log.txt").read_text())
        time.sleep(0.02)


def steps_taken(folder: Path) -> list[int]:
    """The steps whose snapshots have returned."""
    path = folder / "taken.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def check_told(folder: Path, holes: list[int], found: Outcome) -> None:
    """Note the holes that the log of the running training does not name."""
    told: set[int] = set()
    for line in (folder / "log.txt").read_text().splitlines():
        for one, begin, end in re.findall(r"\bstep (\d+)|\bsteps (\d+) to (\d+)", line):
            told |= {int(one)} if one else set(range(int(begin), int(end) + 1))
    found.untold += [str(step) for step in holes if step not in told]


def main() -> None:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(description="What kills cost a run.")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp()  # the first forked process that exits would remove a TemporaryDirectory
    try:
        found = run(Path(folder), arguments.count, arguments.seed)
    finally:
        shutil.rmtree(folder)
    print(f"{found.kills} ends, {found.taken} snapshots taken")
    for way, lost in found.lost.items():
        print(f"  {way:14} {len(lost):4} ends, lost {sum(lost)} snapshots, at most {np.max(lost)} at once")
    print(f"ends after which others than the last one taken were missing: {found.not_last}")
    print(f"holes not told: {len(found.untold)}; snapshots without pictures in the end: {found.unpictured}")


if __name__ == "__main__":
    main()
