"""The demo's network, trained and watched as the demo does it."""

from __future__ import annotations

import logging
from dataclasses import replace

import mxnet as mx
from mxnet import gluon
from mxnet.gluon.contrib.estimator import Estimator

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans


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
