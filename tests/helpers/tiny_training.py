"""A small training in a process of its own, with a fault in its middle.

``python -m tests.helpers.tiny_training RUN FAULT`` prints a line of JSON when it has finished. RUN "-": without
the handler.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.gluon.contrib.estimator import EpochEnd, Estimator

import vizcallbacks as vc

from .nets import images, small_net


def make_unwritable(run) -> None:
    """Without rights to the folder; root, who has all, becomes somebody else."""
    for folder in (run / "attention", run):
        os.chmod(folder, 0o500)
    if os.getuid() == 0:
        os.setuid(65534)


def delete(run) -> None:
    """As `rm -r`, again where another thread has just put a file into a folder that was being emptied."""
    while os.path.exists(run):
        shutil.rmtree(run, ignore_errors=True)


def wait_for_release(run) -> None:
    """Until somebody makes the file "released" beside the run's folder."""
    until = time.monotonic() + 100
    while not run.with_name("released").exists() and time.monotonic() < until:
        time.sleep(0.05)


FAULTS = {
    "none": lambda run: None,
    "deleted": delete,
    "unwritable": make_unwritable,
    "unwritable from the start": lambda run: None,
    "full": lambda run: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY)),
    "killed": lambda run: os.kill(os.getpid(), signal.SIGKILL),
    "held": wait_for_release,
}
"""What happens to the run's folder, or the process, at the end of the second epoch."""

EPOCHS = 4


class Fault(EpochEnd):
    def __init__(self, run, act, monitor):
        self._run, self._act, self._monitor, self._epochs, self.priority = run, act, monitor, 0, 2000

    def epoch_end(self, estimator, *args, **kwargs):
        self._epochs += 1
        if self._epochs == 2:
            if (
                self._act is make_unwritable
            ):  # amid the writing of a file nobody could remove what is half-written
                assert self._monitor().flush()
            self._act(self._run)


def main(run: str, fault: str) -> None:
    logging.basicConfig(format="%(levelname)s %(message)s", force=True)
    logging.captureWarnings(True)
    mx.random.seed(0)
    np.random.seed(0)
    net = small_net(dropout=0.3, hybridize=True)
    probe = vc.ProbeSet(images(3), labels=[0, 1, 2])
    data = gluon.data.ArrayDataset(images(12, seed=3), np.arange(12, dtype="float32") % 4)
    estimator = Estimator(
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        train_metrics=mx.metric.Accuracy(),
        trainer=gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9}),
    )
    estimator.logger.handlers[:] = logging.getLogger().handlers
    estimator.logger.setLevel(logging.WARNING)
    estimator.logger.propagate = False
    handlers, failures = [], lambda: 0
    if run != "-":
        vc.AttentionHandler  # noqa: B018  # is imported now: somebody else may not read root's packages
        if fault == "unwritable from the start":
            (Path(run) / "attention").mkdir(parents=True)
            make_unwritable(Path(run))
        attention = vc.AttentionHandler(probe, run, image_format="png")
        handlers = [attention, Fault(Path(run), FAULTS[fault], lambda: attention.monitor)]
        failures = lambda: attention.monitor.failures  # noqa: E731
    workers = 0 if fault == "unwritable" else 2  # root's workers would not talk to somebody else
    loader = gluon.data.DataLoader(data, 4, shuffle=True, num_workers=workers)
    estimator.fit(loader, epochs=EPOCHS, event_handlers=handlers)
    arrays = [parameter.data().asnumpy().tobytes() for parameter in net.collect_params().values()]
    digest = hashlib.sha256(b"".join(arrays)).hexdigest()
    print(json.dumps({"digest": digest, "failures": failures()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
