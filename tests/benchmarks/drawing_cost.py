"""What drawing in the background costs a training: its steps with drawing going on, and without.

    python tests/benchmarks/drawing_cost.py [--images 200] [--snapshots 8] [--profile]

Trains cifar_resnet20 (16 images of 32 px a step) while a monitor draws a snapshot of probe images with masks, all
measures and 12 panels; prints the median seconds of a step while nothing is drawn and while drawing goes on,
their ratio, and how long drawing takes. ``OMP_NUM_THREADS=1`` leaves a core of two to the drawing, so that what is
left of the ratio is the interpreter's lock and the memory. Then the same ratio beside processes of their own,
which do not have the training's lock or memory: what the machine alone makes of two busy cores. ``--profile``
prints where the drawing threads' time goes.
"""

from __future__ import annotations

import argparse
import collections
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np

import vizcallbacks as vc
from vizcallbacks.mxnet_door import gluoncv_model_zoo, mx

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.benchmarks.snapshot_cost import _initialised, _training_step


def probe_set(count: int) -> vc.ProbeSet:
    """Images of 32 px with their pictures, labels and a mask each."""
    random = np.random.RandomState(0)
    images = random.normal(size=(count, 3, 32, 32)).astype(np.float32)
    pictures = random.randint(0, 256, (count, 32, 32, 3)).astype(np.uint8)
    masks = np.zeros((count, 32, 32), bool)
    masks[:, 8:24, 8:24] = True
    return vc.ProbeSet(images, np.arange(count) % 10, pictures=pictures, masks={"object": masks})


class Sampler(threading.Thread):
    """Looks every two milliseconds where the threads of vizcallbacks are, until it is told to end."""

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self.found: collections.Counter[str] = collections.Counter()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.002):
            names = {one.ident: one.name for one in threading.enumerate()}
            for thread, frame in sys._current_frames().items():
                if names.get(thread, "").startswith("vizcallbacks") and frame.f_code.co_name != "wait":
                    while "vizcallbacks" not in frame.f_code.co_filename and frame.f_back is not None:
                        frame = frame.f_back
                    place = os.path.basename(frame.f_code.co_filename)
                    self.found[f"{place}:{frame.f_lineno} {frame.f_code.co_name}"] += 1

    def tell(self) -> None:
        """Print the places with the most samples, as shares."""
        self.over.set()
        self.join()
        busy = {place: count for place, count in self.found.items() if not place.endswith(("_work", "wait"))}
        for place, count in sorted(busy.items(), key=lambda item: -item[1])[:25]:
            print(f"{count / sum(busy.values()):6.1%}  {place}")


OTHERS = {
    "that only counts": "while True: pass",
    "that copies 4 MB of memory": "a, b = bytearray(2**22), bytes(2**22)\nwhile True: a[:] = b",
    "that encodes PNGs of 256 px": "import cv2, numpy\ncv2.setNumThreads(1)\n"
    "a = numpy.random.RandomState(0).randint(0, 256, (256, 256, 3)).astype('uint8')\n"
    "while True: cv2.imencode('.png', a)",
}
"""What a process beside the training does -> its code."""


def beside_process(timed: Callable[[], float], code: str, rounds: int) -> float:
    """A step's median time beside a process, in those before and after it."""
    alone, beside = [], []
    for _ in range(rounds):
        alone += [timed() for _ in range(8)]
        other = subprocess.Popen([sys.executable, "-c", code])
        try:
            time.sleep(1)  # until it has imported what it needs
            beside += [timed() for _ in range(8)]
        finally:
            other.kill()
            other.wait()
    return statistics.median(beside) / statistics.median(alone)


def main() -> None:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(description="What drawing in the background costs a training.")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--snapshots", type=int, default=8)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    batch = np.random.RandomState(0).normal(size=(16, 3, 32, 32)).astype(np.float32)
    net = _initialised(gluoncv_model_zoo().cifar_resnet20_v1(), batch)
    step = _training_step(net, batch)

    def timed() -> float:
        start = time.perf_counter()
        step()
        mx.nd.waitall()
        return time.perf_counter() - start

    sampler = Sampler()
    if options.profile:
        sampler.start()
    alone, beside, drawing = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        monitor = vc.AttentionMonitor(probe_set(options.images), folder, on_error="raise")
        for number in range(options.snapshots):
            for _ in range(2):
                timed()
            monitor.snapshot(net, number)
            began, done = time.perf_counter(), threading.Event()

            def wait(done: threading.Event = done) -> None:
                monitor.flush(600)
                done.set()

            threading.Thread(target=wait).start()
            while not done.is_set():
                beside.append(timed())
            drawing.append(time.perf_counter() - began)
            alone += [timed() for _ in range(max(5, len(beside) // (number + 1)))]
        monitor.close()
    one, other = statistics.median(alone), statistics.median(beside)
    print(
        f"a step takes {1e3 * one:.1f} ms alone, {1e3 * other:.1f} ms while a snapshot of {options.images} images "
        f"is drawn: {other / one:.3f}; drawing takes {statistics.median(drawing):.2f} s "
        f"({len(alone)} and {len(beside)} steps)"
    )
    for doing, code in OTHERS.items():
        print(f"beside a process of its own {doing}: {beside_process(timed, code, options.snapshots):.3f}")
    if options.profile:
        sampler.tell()


if __name__ == "__main__":
    main()
