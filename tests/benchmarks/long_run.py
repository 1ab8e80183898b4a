"""What hundreds of snapshots leave in memory and on disk.

    python tests/benchmarks/long_run.py [--snapshots 300] [--probes 12]

Prints a line every so many snapshots: threads, open files, resident memory. Then the sizes on disk for each
snapshot. The probe images are 224 x 224 and the net's maps 14 x 14, as in a usual run; the net itself is tiny.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import gluon

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots


@dataclass(frozen=True)
class Usage:
    """Of this process, after a number of snapshots; memory in MB."""

    snapshots: int
    threads: int
    files: int
    memory: float


@dataclass(frozen=True)
class Sizes:
    """Bytes on disk: of a snapshot file, of the event file for each snapshot, of the probe set."""

    snapshot: float
    events: float
    probe: float


def run(
    folder: Path, snapshots: int, probes: int, every: int, size: int = 224, show: int = 12
) -> tuple[list[Usage], Sizes]:
    """Take snapshots of a net whose weights change: the usage every so many of them, and the sizes at the end."""
    net = _net()
    net(mx.nd.array(_images(1, size)))
    probe = vc.ProbeSet(_images(probes, size), labels=np.arange(probes) % 4)
    usages = []
    with vc.AttentionMonitor(probe, folder, show=show, on_error="raise") as monitor:
        for step in range(snapshots):
            _change(net, step)
            monitor.snapshot(net, step)
            if (step + 1) % every == 0:
                monitor.flush(600)
                usages.append(_usage(step + 1))
    if monitor.failures:
        raise RuntimeError(f"{monitor.failures} snapshots or jobs failed")
    files = [path.stat().st_size for path in list_snapshots(folder)]
    events = sum(path.stat().st_size for path in folder.glob("*tfevents*"))
    probe_size = (folder / "attention" / "probe.npz").stat().st_size
    return usages, Sizes(sum(files) / len(files), events / len(files), probe_size)


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
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    memory = pages * resource.getpagesize() / 2**20
    return Usage(snapshots, threading.active_count(), len(os.listdir("/proc/self/fd")), memory)


def main() -> None:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(description="What hundreds of snapshots leave in memory and on disk.")
    parser.add_argument("--snapshots", type=int, default=300)
    parser.add_argument("--probes", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        usages, sizes = run(
            Path(folder), arguments.snapshots, arguments.probes, max(1, arguments.snapshots // 10)
        )
    print("snapshots  threads  open files  memory, MB")
    for usage in usages:
        print(f"{usage.snapshots:9}{usage.threads:9}{usage.files:12}{usage.memory:12.0f}")
    print(
        f"on disk: snapshot file {sizes.snapshot / 1000:.0f} kB, event file {sizes.events / 1000:.0f} kB a "
        f"snapshot; probe set {sizes.probe / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
