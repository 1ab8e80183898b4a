"""The demo, and its networks trained and watched as the demo does it."""

from __future__ import annotations

import contextlib
import io
import logging
from dataclasses import replace

import mxnet as mx
from mxnet import gluon
from mxnet.gluon.contrib.estimator import Estimator

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.demo import clever_hans

EPOCHS = (
    5  # of trainings that several tests look at; the demo has 8, and tells its networks apart by then, too
)


def run_demo(folder, *options):
    """The command; its log folder is "runs", beside it "printed.txt" and "facts.json" tell what came of it."""
    line = ["demo", "--logdir", str(folder / "runs"), "--json", str(folder / "facts.json"), *options]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert cli.main(line) == 0
    (folder / "printed.txt").write_text(printed.getvalue())


def train(name, seed, probe, folder, epochs, **options):
    """A run of so many epochs; returns the handler."""
    training = replace(clever_hans.RUNS[name], epochs=epochs)
    net = clever_hans.network(seed)
    net.hybridize(static_alloc=True, static_shape=True)
    estimator = Estimator(
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        train_metrics=mx.metric.Accuracy(),
        trainer=clever_hans.trainer(net, training),
    )
    estimator.logger.setLevel(logging.ERROR)
    handler = vc.AttentionHandler(probe, folder, methods="grad_cam", show=2, batch_size=50, **options)
    data = clever_hans.training_data(training, seed)
    estimator.fit(data, epochs=epochs, event_handlers=[handler])
    return handler
