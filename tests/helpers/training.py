"""Short trainings and their probe set, as the tests of handlers and monitors need them."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon.contrib.estimator import Estimator

from .nets import images, small_net


def train(net, steps=1, seed=0):
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    for _ in range(steps):
        with autograd.record():
            loss = gluon.loss.SoftmaxCELoss()(net(mx.nd.array(images(4, seed=seed))), mx.nd.arange(4))
        loss.backward()
        trainer.step(4)


def loader(count=12, batch=4):
    data = gluon.data.ArrayDataset(images(count, seed=3), np.arange(count, dtype="float32") % 4)
    return gluon.data.DataLoader(data, batch_size=batch)


def fit(handlers, epochs=2, net=None, log=None):
    net = net or small_net(hybridize=True)
    estimator = Estimator(
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        train_metrics=mx.metric.Accuracy(),
        trainer=gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1}),
    )
    if log is not None:
        estimator.logger.addHandler(log)
    estimator.fit(loader(), epochs=epochs, event_handlers=handlers)
    return net
