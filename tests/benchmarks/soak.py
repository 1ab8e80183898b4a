"""Trainings on a disk that fills up, goes read-only and comes back, killed and resumed: the history must be whole.

    python -m tests.benchmarks.soak [--minutes 60] [--seed 0]

Runs in a mount namespace of its own (``unshare``), on a tmpfs of 400 MB. The training takes a snapshot after each
step and then saves a checkpoint, on another disk. Every few seconds one thing happens: the disk is filled,
emptied, made read-only or writable, or the training is ended by SIGKILL or SIGTERM; after an end the disk is put
in order, and the training goes on from its checkpoint. In the end the same steps are trained once without trouble:
what is on disk must equal that to the bit, and what is not must have been told.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import mxnet as mx

import vizcallbacks as vc
from tests.helpers.nets import images, small_net
from tests.helpers.training import train
from vizcallbacks.regression.snapshot import list_snapshots, step_of, take
from vizcallbacks.training.question import Question

EVENTS = ("fill", "empty", "read-only", "writable", "kill", "term")
INSIDE = "VIZCALLBACKS_SOAK_INSIDE"


@dataclass
class Soaked:
    """What became of the run."""

    steps: int = 0
    events: dict[str, int] = field(default_factory=dict)
    stored: int = 0
    different: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    untold: list[int] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    same_parameters: bool = False


class Disk:
    """A tmpfs that things happen to."""

    def __init__(self, path: Path) -> None:
        self.path, self._filler = path, path / "filler"
        path.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=400m", "tmpfs")

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, str(self.path)], check=True)

    def happen(self, event: str) -> None:
        """One of the first four `EVENTS`; what cannot happen now does not."""
        with contextlib.suppress(OSError):
            if event == "fill":
                with open(self._filler, "ab", buffering=0) as file:
                    while True:
                        file.write(bytes(2**16))
            elif event == "empty":
                self._filler.unlink()
        if event in ("read-only", "writable"):
            # a file that is being written keeps a disk from becoming read-only
            subprocess.run(
                ["mount", "-o", f"remount,{'ro' if event == 'read-only' else 'rw'}", str(self.path)],
                check=False,
                capture_output=True,
            )

    def put_in_order(self) -> None:
        """Writable, and with room."""
        self.happen("writable")
        self.happen("empty")


def probe_set() -> vc.ProbeSet:
    return vc.ProbeSet(images(3), labels=[0, 1, 2])


def trained(folder: Path):
    """(the net as the checkpoint has it, the next step)."""
    mx.random.seed(1)
    net = small_net()
    marks = sorted(folder.glob("*.params"), key=lambda path: int(path.stem))
    if marks:
        net.load_parameters(str(marks[-1]))
    return net, int(marks[-1].stem) + 1 if marks else 0


def training(disk: Path, checkpoints: Path, pause: float) -> None:
    """Goes on until it is ended."""
    logging.basicConfig(
        filename=checkpoints / "log.txt", format="%(message)s", level=logging.WARNING, force=True
    )
    net, step = trained(checkpoints)
    options = {"show": 1, "methods": "grad_cam", "wrong": "label only", "drain_on": signal.SIGTERM}
    with vc.AttentionMonitor(probe_set(), disk / "run", **options) as monitor:
        while True:
            train(net, seed=step)
            monitor.snapshot(net, step)
            mx.nd.waitall()
            net.save_parameters(str(checkpoints / "new"))
            os.replace(checkpoints / "new", checkpoints / f"{step}.params")
            with contextlib.suppress(FileNotFoundError):
                (checkpoints / f"{step - 2}.params").unlink()
            time.sleep(pause)
            step += 1


def start(disk: Path, checkpoints: Path, pause: float) -> int:
    """The process's id; forked, so that MXNet is imported once."""
    process = os.fork()
    if process == 0:
        try:
            training(disk, checkpoints, pause)
        except BaseException:
            with open(checkpoints / "log.txt", "a") as file:
                traceback.print_exc(file=file)
        finally:
            os._exit(1)
    return process


def soak(folder: Path, minutes: float, seed: int, pause: float = 0.25) -> Soaked:
    """Let things happen for so long, then compare."""
    chance, found = random.Random(seed), Soaked()
    disk, checkpoints = Disk(folder / "disk"), folder / "checkpoints"
    checkpoints.mkdir()
    over = time.monotonic() + 60 * minutes
    process = start(disk.path, checkpoints, pause)
    while time.monotonic() < over:
        time.sleep(chance.uniform(1, 8))
        event = chance.choice(EVENTS)
        found.events[event] = found.events.get(event, 0) + 1
        if event in ("kill", "term"):
            os.kill(process, signal.SIGKILL if event == "kill" else signal.SIGTERM)
            os.waitpid(process, 0)
            disk.put_in_order()
            process = start(disk.path, checkpoints, pause)
        else:
            disk.happen(event)
    disk.put_in_order()
    time.sleep(10)
    os.kill(process, signal.SIGTERM)
    os.waitpid(process, 0)
    compare(disk.path / "run", checkpoints, found)
    return found


def compare(run: Path, checkpoints: Path, found: Soaked) -> None:
    """Train the same steps without trouble, and note what differs."""
    last, found.steps = trained(checkpoints)
    stored = {step_of(path): vc.Snapshot.load(path) for path in list_snapshots(run)}
    # the end may come between a snapshot and the checkpoint of its step
    found.stored = sum(step < found.steps for step in stored)
    found.left_over = [path.name for path in run.glob("attention/*.tmp")]
    mx.random.seed(1)
    net, probe = small_net(), probe_set()
    question = Question(probe, ("grad_cam",), None, "label", 16, ())
    for step in range(found.steps):
        train(net, seed=step)
        if step in stored:
            result, _ = question.ask(net, [2])
            now = take(result, probe, step, stored[step].when)
            if not now.equals(stored[step]):
                found.different.append(step)
        else:
            found.missing.append(step)
    arrays = [[p.data().asnumpy().tobytes() for p in one.collect_params().values()] for one in (last, net)]
    found.same_parameters = arrays[0] == arrays[1]
    told: set[int] = set()
    for one, begin, end in re.findall(
        r"\bstep (\d+)|\bsteps (\d+) to (\d+)", (checkpoints / "log.txt").read_text()
    ):
        told |= {int(one)} if one else set(range(int(begin), int(end) + 1))
    found.untold = [step for step in found.missing if step not in told]


def main() -> None:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(description="Trainings on a disk that comes and goes.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not os.environ.get(INSIDE):
        command = [
            "unshare",
            "--mount",
            "--map-root-user",
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.benchmarks.soak",
        ]
        os.execvpe(command[0], [*command, *sys.argv[1:]], {**os.environ, INSIDE: "1"})
    folder = tempfile.mkdtemp()
    found = soak(Path(folder), arguments.minutes, arguments.seed)
    print(
        f"{found.steps} steps; {', '.join(f'{name} {count}' for name, count in sorted(found.events.items()))}"
    )
    print(f"parameters as of a training without trouble: {found.same_parameters}")
    print(f"{found.stored} snapshots on disk, {len(found.different)} differ from those of such a training")
    print(
        f"missing {len(found.missing)} {found.missing[:20]}, not told {len(found.untold)} {found.untold[:20]}"
    )
    print(f"left over: {len(found.left_over)}")


if __name__ == "__main__":
    main()
