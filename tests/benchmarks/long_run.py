"""What hundreds of snapshots leave in memory and on disk.

    python -m tests.benchmarks.long_run [--snapshots 300] [--probes 12] [--size 224] [--checked]

Prints a line every so many snapshots: threads, open files, resident memory, the same after the allocator has given
back what is free (``malloc_trim``), and Python's objects: what grows in the last two is a leak. Then the sizes on
disk for each snapshot. The probe images are 224 x 224 and the net's maps 14 x 14, as in a usual run; the net
itself is tiny.

``--checked`` adds a baseline, rules, and a sanity check at every tenth snapshot. ``--loaders`` measures how long
TensorBoard's two loaders take to read the event file. ``--keep`` is the monitor's.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import gluon
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

import vizcallbacks as vc
from tests.helpers.tensorboard_server import tensorboard
from vizcallbacks.regression.snapshot import list_snapshots, step_of, take


@dataclass(frozen=True)
class Usage:
    """Of this process, after a number of snapshots; memory in MB."""

    snapshots: int
    threads: int
    files: int
    memory: float
    in_use: float = 0.0
    objects: int = 0


@dataclass(frozen=True)
class Sizes:
    """Bytes on disk: of a snapshot file, of the event file for each snapshot, of the probe set."""

    snapshot: float
    events: float
    probe: float


def run(
    folder: Path,
    snapshots: int,
    probes: int,
    every: int,
    size: int = 224,
    show: int = 12,
    checked: bool = False,
    keep: int | str = "all",
    tell: Callable[[Usage], None] = lambda usage: None,
) -> tuple[list[Usage], Sizes]:
    """Take snapshots of a net whose weights change: the usage every so many of them, and the sizes at the end."""
    net = _net()
    net(mx.nd.array(_images(1, size)))
    probe = vc.ProbeSet(_images(probes, size), labels=np.arange(probes) % 4)
    usages = []
    more: dict[str, Any] = {}
    if checked:
        result = vc.explain(net, probe, "grad_cam", targets="label")
        baseline = vc.Baseline.from_snapshots(take(result, probe, 0, "before"), probe)
        more = {"baseline": baseline, "sanity_period": 10, "action": "log"}
    with vc.AttentionMonitor(probe, folder, show=show, keep=keep, on_error="raise", **more) as monitor:
        for step in range(snapshots):
            _change(net, step)
            monitor.snapshot(net, step)
            measured = (step + 1) % every == 0
            if measured or (step + 1) % 20 == 0:  # no training gives the drawing time here
                monitor.flush(600)
            if measured:
                usages.append(_usage(step + 1))
                tell(usages[-1])
    if monitor.failures:
        raise RuntimeError(f"{monitor.failures} snapshots or jobs failed")
    files = [path.stat().st_size for path in list_snapshots(folder)]
    events = sum(path.stat().st_size for path in folder.glob("*tfevents*"))
    probe_size = (folder / "attention" / "probe.npz").stat().st_size
    return usages, Sizes(sum(files) / len(files), events / snapshots, probe_size)


def _images(count: int, size: int) -> np.ndarray:
    """Smooth blobs, as compressible as photographs about are, (count, 3, size, size) float32."""
    small = np.random.RandomState(0).normal(size=(count, 3, 16, 16)).astype(np.float32)
    return mx.nd.contrib.BilinearResize2D(mx.nd.array(small), height=size, width=size).asnumpy()


def _net() -> gluon.nn.HybridSequential:
    """Maps of a sixteenth of the image's size."""
    net = gluon.nn.HybridSequential()
    for channels in (4, 6, 8, 8):
        net.add(gluon.nn.Conv2D(channels, 3, strides=2, padding=1, activation="relu"))
    net.add(gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(4))
    net.initialize(mx.init.Xavier(magnitude=3))
    net.hybridize()
    return net


def _change(net, step: int) -> None:
    """As training would: a little, and into another direction each time."""
    noise = np.random.RandomState(step)
    for parameter in net.collect_params().values():
        parameter.set_data(parameter.data() + mx.nd.array(noise.normal(scale=0.02, size=parameter.shape)))


def _usage(snapshots: int) -> Usage:
    gc.collect()
    before = _memory()
    ctypes.CDLL(None).malloc_trim(0)
    files, objects = len(os.listdir("/proc/self/fd")), len(gc.get_objects())
    return Usage(snapshots, threading.active_count(), files, before, _memory(), objects)


def _memory() -> float:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * resource.getpagesize() / 2**20


def loading(folder: Path) -> dict[str, float]:
    """Seconds that TensorBoard's loaders take to read a run: the one in Python, and the data server."""
    seconds = {}
    began = time.perf_counter()
    EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    seconds["in Python (--load_fast=false)"] = time.perf_counter() - began
    began = time.perf_counter()
    last = step_of(list_snapshots(folder)[-1])

    def loaded(client: Any) -> bool:
        if "attention_mean/score" not in client.tags("scalars").get(".", {}):
            return False
        return client.scalars(".", "attention_mean/score")[-1][0] >= last

    with tensorboard(folder, loaded):
        seconds["data server, with its start"] = time.perf_counter() - began
    return seconds


def _print(usage: Usage) -> None:
    line = f"{usage.snapshots:9}{usage.threads:9}{usage.files:12}{usage.memory:12.1f}{usage.in_use:12.1f}"
    print(f"{line}{usage.objects:9}", flush=True)


def main() -> None:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(description="What hundreds of snapshots leave in memory and on disk.")
    parser.add_argument("--snapshots", type=int, default=300)
    parser.add_argument("--probes", type=int, default=12)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--checked", action="store_true")
    parser.add_argument("--loaders", action="store_true")
    parser.add_argument("--keep", type=int)
    arguments = parser.parse_args()
    print("snapshots  threads  open files  memory, MB  in use, MB  objects", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        _, sizes = run(
            Path(folder),
            arguments.snapshots,
            arguments.probes,
            max(1, arguments.snapshots // 10),
            arguments.size,
            checked=arguments.checked,
            keep=arguments.keep or "all",
            tell=_print,
        )
        seconds = loading(Path(folder)) if arguments.loaders else {}
    for name, time_taken in seconds.items():
        print(f"loader {name}: {time_taken:.1f} s")
    print(
        f"on disk: snapshot file {sizes.snapshot / 1000:.0f} kB, event file {sizes.events / 1000:.0f} kB a "
        f"snapshot; probe set {sizes.probe / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
