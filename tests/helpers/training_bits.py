"""Small trainings of every kind, and all that they end in, to the bit."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon.contrib.estimator import Estimator, TrainEnd

from .nets import images, state_of

LABELS = 4


class Net(gluon.HybridBlock):
    """BatchNorm, Dropout, max pooling, a convolution that runs twice, and one that is frozen.

    `fault(x)` is called half-way through every pass of a snapshot (recorded, but in predict mode) only.
    """

    def __init__(self) -> None:
        super().__init__(prefix="net_")
        with self.name_scope():
            self.stem = gluon.nn.Conv2D(4, 3, padding=1, in_channels=3)
            self.norm = gluon.nn.BatchNorm(in_channels=4)
            self.shared = gluon.nn.Conv2D(4, 3, padding=1, in_channels=4)
            self.pool = gluon.nn.MaxPool2D(2)
            self.drop = gluon.nn.Dropout(0.3)
            self.frozen = gluon.nn.Conv2D(6, 3, padding=1, in_channels=4)
            self.act = gluon.nn.Activation("relu")
            self.mean = gluon.nn.GlobalAvgPool2D()
            self.head = gluon.nn.Dense(LABELS, in_units=6)
        self.fault = None

    def hybrid_forward(self, F, x):
        x = self.pool(F.relu(self.shared(F.relu(self.norm(self.stem(x))))))
        x = self.drop(F.relu(self.shared(x)))
        if self.fault is not None and autograd.is_recording() and not autograd.is_training():
            x = self.fault(x)
        return self.head(self.mean(self.act(self.frozen(x))))


@dataclass(frozen=True)
class Case:
    """A training. `flags` None: not hybridized."""

    flags: dict | None = None
    optimizer: str = "sgd"
    grad_req: str = "write"
    contexts: int = 1
    workers: int = 0

    @property
    def devices(self):
        return [mx.cpu(i) for i in range(self.contexts)]


OPTIMIZERS = {"sgd": {"learning_rate": 0.05, "momentum": 0.9}, "adam": {"learning_rate": 0.01}}
EPOCHS = 2


def begin(case: Case):
    """(net, trainer, shuffling loader), everything seeded."""
    random.seed(1)
    np.random.seed(2)
    mx.random.seed(3)
    net = Net()
    net.initialize(mx.init.Xavier(magnitude=3), ctx=case.devices)
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            parameter.grad_req = case.grad_req
    for parameter in net.frozen.collect_params().values():
        parameter.grad_req = "null"
    if case.flags is not None:
        net.hybridize(**case.flags)
    trainer = gluon.Trainer(net.collect_params(), case.optimizer, OPTIMIZERS[case.optimizer])
    data = gluon.data.ArrayDataset(images(12, size=16, seed=4), np.arange(12, dtype="float32"))
    return net, trainer, gluon.data.DataLoader(data, 4, shuffle=True, num_workers=case.workers)


def loop(case: Case, folder: Path, watch=None) -> dict:
    """A loop by hand; `watch(net, step)` is called before training and after each batch."""
    net, trainer, loader = begin(case)
    order, losses, step = [], [], 0
    loss_of = gluon.loss.SoftmaxCELoss()
    if watch:
        watch(net, 0)
    for _ in range(EPOCHS):
        for data, numbers in loader:
            order += numbers.asnumpy().tolist()
            parts = [gluon.utils.split_and_load(array, case.devices) for array in (data, numbers % LABELS)]
            with autograd.record():
                each = [loss_of(net(x), y) for x, y in zip(*parts)]
            autograd.backward(each)
            losses += [loss.asnumpy().tobytes() for loss in each]
            trainer.step(len(data))
            step += 1
            if case.grad_req == "add" and step % 2:  # not always, so that something is there to add to
                net.collect_params().zero_grad()
            if watch:
                watch(net, step)
    return {"order": order, "losses": losses, **end(case, net, trainer, folder)}


class Processor(mx.gluon.contrib.estimator.BatchProcessor):
    """The Estimator's own, which notes the order of the data and makes labels of their numbers."""

    def __init__(self) -> None:
        self.order: list[float] = []

    def fit_batch(self, estimator, train_batch, batch_axis=0):
        data, numbers = train_batch
        self.order += numbers.asnumpy().tolist()
        return super().fit_batch(estimator, (data, numbers % LABELS), batch_axis)


def fit(case: Case, folder: Path, handlers=()) -> dict:
    """An Estimator fit with the handlers."""
    net, trainer, loader = begin(case)
    processor = Processor()
    estimator = Estimator(
        net,
        gluon.loss.SoftmaxCrossEntropyLoss(),
        train_metrics=mx.metric.Accuracy(),
        trainer=trainer,
        context=case.devices,
        batch_processor=processor,
    )
    known = gluon.data.ArrayDataset(images(4, size=16, seed=5), np.arange(4, dtype="float32") % LABELS)
    validation = gluon.data.DataLoader(known, 4)
    estimator.fit(loader, validation, epochs=EPOCHS, event_handlers=[*handlers, _Nothing()])
    return {"order": processor.order, **end(case, net, trainer, folder)}


class _Nothing(TrainEnd):
    """Lets the Estimator prepare its handlers in the same way with and without others."""


def end(case: Case, net, trainer, folder: Path) -> dict:
    """Everything that a training leaves behind, down to the next random numbers of each stream."""
    states = folder / "trainer.states"
    trainer.save_states(str(states))
    arrays = {}
    for parameter in net.collect_params().values():
        arrays[parameter.name] = [array.asnumpy().tobytes() for array in parameter.list_data()]
        if parameter.grad_req != "null":
            arrays[parameter.name + ".grad"] = [array.asnumpy().tobytes() for array in parameter.list_grad()]
    with autograd.train_mode():
        dropped = [mx.nd.Dropout(mx.nd.ones(64, ctx=ctx)).asnumpy().tobytes() for ctx in case.devices]
    return {
        "arrays": arrays,
        "optimizer": states.read_bytes(),
        "python": random.getstate(),
        "numpy": [np.asarray(part).tolist() for part in np.random.get_state()],
        "mxnet": [mx.nd.random.uniform(shape=8, ctx=ctx).asnumpy().tobytes() for ctx in case.devices],
        "dropout": dropped,
    }


def unchanged(net, act) -> None:
    """Call `act()`; assert that the net is the same before and after, whatever it raises."""
    before, modes = state_of(net), (autograd.is_recording(), autograd.is_training())
    try:
        act()
    finally:
        assert state_of(net) == before
        assert (autograd.is_recording(), autograd.is_training()) == modes
