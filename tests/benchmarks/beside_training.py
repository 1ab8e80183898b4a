"""Snapshots from a thread beside the training: 1,000 steps, each compared with those of a training left alone.

python -m tests.benchmarks.beside_training [--steps 1000] [--hybridize]
"""

from __future__ import annotations

import argparse
import collections
import shutil
import tempfile
import threading

import mxnet as mx

import vizcallbacks as vc
from tests.helpers.nets import small_net
from tests.helpers.probes import probe_set
from tests.helpers.training import train


def run(steps: int, hybridize: bool, watch: bool) -> tuple[collections.Counter, list[bytes], int]:
    """(errors of training steps and snapshots, parameters at the end, snapshots taken)."""
    mx.random.seed(1)
    net = small_net(hybridize=hybridize)
    train(net)
    errors: collections.Counter = collections.Counter()
    over, taken = threading.Event(), 0

    def snapshots() -> None:
        nonlocal taken
        folder = tempfile.mkdtemp()
        with vc.AttentionMonitor(probe_set(), folder, on_error="raise", show=1) as monitor:
            step = 0
            while not over.is_set():
                try:
                    monitor.snapshot(net, step)
                    taken += 1
                except Exception as error:
                    errors[f"snapshot: {type(error).__name__}: {str(error)[:90]}"] += 1
                step += 1
        shutil.rmtree(folder)

    thread = threading.Thread(target=snapshots)
    if watch:
        thread.start()
    for step in range(steps):
        try:
            train(net, seed=step)
        except Exception as error:
            errors[f"training: {type(error).__name__}: {str(error)[:90]}"] += 1
    over.set()
    if watch:
        thread.join()
    return errors, [p.data().asnumpy().tobytes() for p in net.collect_params().values()], taken


def main() -> None:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(description="Snapshots from a thread beside the training.")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--hybridize", action="store_true")
    arguments = parser.parse_args()
    _, alone, _ = run(arguments.steps, arguments.hybridize, watch=False)
    errors, beside, taken = run(arguments.steps, arguments.hybridize, watch=True)
    print(f"{arguments.steps} steps, {taken} snapshots beside them; same parameters: {alone == beside}")
    for message, count in errors.most_common(8):
        print(f"  {count:5} x {message}")


if __name__ == "__main__":
    main()
