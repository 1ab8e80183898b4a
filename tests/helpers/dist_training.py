"""One worker of several: ``python -m tests.helpers.dist_training RUN WAY`` prints a line of JSON at its end."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import sys

import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.gluon.contrib.estimator import Estimator

import vizcallbacks as vc
from vizcallbacks.training.workers import find_worker

from .nets import images, random_state, small_net

WAYS = {
    "without": lambda probe, run: [],
    "rank 0": lambda probe, run: [vc.AttentionHandler(probe, run, batch_period=2, on_error="raise")],
    "shards": lambda probe, run: [
        vc.AttentionHandler(probe, run, batch_period=2, on_error="raise", shard_probes=True)
    ],
}
"""Name -> handlers."""


def main(run: str, way: str) -> None:
    logging.basicConfig(format="%(levelname)s %(message)s", force=True)
    random.seed(0)
    mx.random.seed(0)
    np.random.seed(0)
    store = mx.kv.create("dist_sync")
    net = small_net(hybridize=True, dropout=0.3)
    trainer = gluon.Trainer(
        net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9}, kvstore=store
    )
    probe = vc.ProbeSet(images(5), labels=np.arange(5) % 4, class_names=["cat", "dog", "owl", "fox"])
    data = gluon.data.ArrayDataset(images(12, seed=3 + store.rank), np.arange(12, dtype="float32") % 4)
    estimator = Estimator(
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        train_metrics=mx.metric.Accuracy(),
        trainer=trainer,
    )
    estimator.logger.handlers[:] = logging.getLogger().handlers
    estimator.logger.propagate = False
    estimator.logger.setLevel(logging.WARNING)
    worker = find_worker(trainer)
    estimator.fit(
        gluon.data.DataLoader(data, 4, shuffle=True), epochs=2, event_handlers=WAYS[way](probe, run)
    )
    arrays = {name: p.data().asnumpy().tobytes() for name, p in net.collect_params().items()}
    shared = [array for name, array in arrays.items() if "running" not in name]
    line = {
        "rank": store.rank,
        "worker": list(worker),
        "shared": hashlib.sha256(b"".join(shared)).hexdigest(),
        "all": hashlib.sha256(b"".join(arrays.values())).hexdigest(),
        "streams": random_state(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
