"""A short training that saves checkpoints, watched by a monitor; and its net, to be found by other processes."""

from __future__ import annotations

import dataclasses
import pathlib
import struct

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon import nn

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import Snapshot, list_snapshots

from .probes import probe_set


def build() -> gluon.HybridBlock:
    """The net, without parameters."""
    net = nn.HybridSequential()
    net.add(
        nn.Conv2D(8, 3, padding=1, activation="relu"),
        nn.BatchNorm(),
        nn.MaxPool2D(),
        nn.Conv2D(12, 3, padding=1, activation="relu"),
        nn.GlobalAvgPool2D(),
        nn.Dense(4),
    )
    return net


def build_hybrid() -> gluon.HybridBlock:
    net = build()
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def watched() -> vc.ProbeSet:
    """The images that the net is trained and watched on."""
    return probe_set(20, 24)


OPTIONS = {"batch_size": 8, "show": 4}


def train(folder: pathlib.Path, epochs: int = 4, monitor: vc.AttentionMonitor | None = None) -> pathlib.Path:
    """Train; after each epoch save <folder>/m-epoch<E>batch<B>.params and, by a monitor, take a snapshot."""
    folder.mkdir(exist_ok=True)
    mx.random.seed(3)
    probe = watched()
    data, labels = mx.nd.array(probe.images), mx.nd.array(probe.labels)
    net = build_hybrid()
    net.initialize(mx.init.Xavier())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.2, "momentum": 0.9})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    for epoch in range(epochs):
        with autograd.record():
            value = loss(net(data), labels)
        value.backward()
        trainer.step(len(probe))
        mx.nd.waitall()  # static memory: MXNet does not wait for the running statistics of the last batch
        net.save_parameters(str(folder / f"m-epoch{epoch}batch{epoch + 1}.params"))
        if monitor is not None:
            monitor.snapshot(net, step=epoch + 1)
    return folder


def on_gpu(path: pathlib.Path) -> pathlib.Path:
    """A file of parameters as if saved from a GPU: the device stands behind magic number, kind, axes and shape."""
    data = bytearray(path.read_bytes())
    (axes,) = struct.unpack("<i", data[32:36])
    place = 36 + 8 * axes
    assert struct.unpack("<ii", data[place : place + 8]) == (1, 0)  # the CPU
    data[place : place + 4] = struct.pack("<i", 2)
    path.write_bytes(data)
    return path


def snapshots(run: pathlib.Path) -> list[Snapshot]:
    return [Snapshot.load(path) for path in list_snapshots(run)]


def differences(one: Snapshot, other: Snapshot) -> list[str]:
    """Names of fields, and of maps and measures, that differ in a bit."""
    found = []
    for name in (entry.name for entry in dataclasses.fields(one)):
        a, b = getattr(one, name), getattr(other, name)
        if hasattr(a, "items"):
            found += [
                f"{name}/{key}"
                for key in {*a, *b}
                if key not in a or key not in b or not same(a[key], b[key])
            ]
        elif not same(a, b):
            found.append(name)
    return found


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    return bool(a == b)
