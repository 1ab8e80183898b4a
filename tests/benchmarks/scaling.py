"""How the cost of a snapshot grows: with images, their size, classes, the net's depth, layers asked for.

    python tests/benchmarks/scaling.py [--rounds N] [--most SECONDS]

Prints a Markdown table for each: milliseconds of `vizcallbacks.explain` by the default methods, the least of the
rounds with the net's graph kept (a monitor's later snapshots), the same for one unit, and the memory that the call
took at its peak beyond what the process held before. Where one round takes longer than ``--most`` there is no
second. Last, what is held between two snapshots.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable, Iterable

import numpy as np

import vizcallbacks as vc
from vizcallbacks.mxnet_door import gluon, mx
from vizcallbacks.nets.blocks import block_paths, conv_layers
from vizcallbacks.nets.kept import Kept

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.benchmarks.cold import print_head

COUNTS, SIZES, CLASSES, LAYERS = (
    (8, 16, 64, 256, 1000),
    (32, 64, 96, 160, 224, 320, 448),
    (10, 100, 1000),
    (1, 4, 16),
)
DEPTHS = ("resnet18_v1", "resnet34_v1", "resnet50_v1", "resnet101_v1", "resnet152_v1")


def net_of(name: str = "resnet18_v1", classes: int = 10) -> gluon.HybridBlock:
    """Initialised and hybridized."""
    net = getattr(gluon.model_zoo.vision, name)(classes=classes)
    net.initialize(mx.init.Xavier())
    net.hybridize()
    net(mx.nd.ones((1, 3, 32, 32)))
    return net


def images(count: int, size: int) -> np.ndarray:
    return np.random.RandomState(0).normal(size=(count, 3, size, size)).astype(np.float32)


def cost(job: Callable[[], object], rounds: int, most: float) -> tuple[float, float]:
    """(seconds, MB): the least of the rounds after one that is not counted, and the peak beyond what was held."""
    job()
    seconds, peak = [], 0.0
    while len(seconds) < rounds and sum(seconds) < most:
        _give_back()
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # forgets the peak
        before, start = _memory("VmRSS"), time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
        peak = max(peak, _memory("VmHWM") - before)
    return min(seconds), peak


def _memory(name: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(f"{name}:"))


def _give_back() -> None:
    gc.collect()
    mx.nd.waitall()
    ctypes.CDLL(None).malloc_trim(0)


def table(title: str, unit: str, rows: Iterable[tuple], rounds: int, most: float) -> None:
    """Rows of (what, how many units, job)."""
    print_head([title, "ms", f"ms / {unit}", "memory, MB"])
    for what, units, job in rows:
        seconds, peak = cost(job, rounds, most)
        print(f"| {what} | {1e3 * seconds:.0f} | {1e3 * seconds / units:.3g} | {peak:.0f} |", flush=True)
    print()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How the cost of a snapshot grows.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=float, default=20.0, metavar="SECONDS")
    limits = vars(parser.parse_args())

    def job(net: gluon.Block, batch: np.ndarray, **options: object) -> Callable[[], object]:
        kept = Kept()
        return lambda: vc.explain(net, batch, kept=kept, **options)

    net = net_of()
    rows = ((f"{count} × 64", count, job(net, images(count, 64))) for count in COUNTS)
    table("images, 16 at a time", "image", rows, **limits)
    few = images(1000, 64)
    rows = ((size, 64, job(net, few[:64], batch_size=size)) for size in (4, 16, 64))
    table("batch_size, 64 × 64", "image", rows, **limits)
    rows = ((f"8 × {size}", 8 * size * size / 1e6, job(net, images(8, size))) for size in SIZES)
    table("size", "megapixel", rows, **limits)
    nets = ((f"{classes}", 8, job(net_of(classes=classes), few[:8])) for classes in CLASSES)
    table("classes, 8 × 64", "image", nets, **limits)
    deep = ((name, len(_convs(one)), job(one, few[:8])) for name in DEPTHS for one in [net_of(name)])
    table("depth, 8 × 64", "convolution", deep, **limits)
    paths = _convs(net)
    several = (
        (count, count, job(net, few[:8], methods="grad_cam", layer=paths[-count:])) for count in LAYERS
    )
    table("layers, Grad-CAM, 8 × 64", "layer", several, **limits)
    print_head(["net", "parameters, MB", "held between snapshots, MB"])
    for name in DEPTHS:
        print(f"| {name} | {_parameters(net := net_of(name)):.0f} | {_held(net):.1f} |", flush=True)


def _convs(net: gluon.Block) -> list[str]:
    return list(conv_layers(block_paths(net)))


def _parameters(net: gluon.Block) -> float:
    return sum(np.prod(one.shape) for one in net.collect_params().values()) * 4 / 2**20


def _held(net: gluon.Block) -> float:
    """MB that the process has more with what is kept than without, after ten snapshots of each."""
    batch, found = images(4, 64), []
    for kept in (None, Kept()):
        for _ in range(10):
            vc.explain(net, batch, kept=kept)
        _give_back()
        found.append(_memory("VmRSS"))
    return found[1] - found[0]


if __name__ == "__main__":
    main()
