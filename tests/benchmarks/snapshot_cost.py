"""What a snapshot costs, in training steps.

    python tests/benchmarks/snapshot_cost.py [--nets ...] [--rounds N]

Prints a Markdown table. *step* is a training step of the batch (hybridized, static memory, SGD with momentum),
*floor* the least that a gradient at the image can cost: one forward and one plain backward pass of the compiled
graph. Each snapshot is `vizcallbacks.explain` on the same batch, everything included from the net to the maps.

Measured cold: before each measurement run training steps, as in real use. Warm repetitions would flatter
whatever keeps memory or compiled graphs from one snapshot to the next. Medians over the rounds; only ratios
mean something on another machine.

What was tried (steps: default methods / Grad-CAM and guided only):

- An operator in Python for the guided ReLU: wrong numbers on oneDNN, see `vizcallbacks.tape`.
- The record cut behind activations, operators in predict mode, gradient buffers added to: mobilenet 22 / 17
  steps. Nearly all of it is BatchNorm's backward (profiled). That gradients come in an unfavourable memory
  layout is inferred, not seen: copying them cures it, scaling them (denormal numbers) does not.
- The gradient copied at each cut, against convolutions, dense layers, activations, BatchNorm (on global
  statistics) and pooling in train mode, without copies: mobilenet 2.7 / 2.0 against 1.7 / 1.15 (one loaded
  run). The second is kept, with `autograd.grad` in place of buffers. Outputs then differ from predict mode's
  by rounding; on five nets both were compared with float64, and predict mode was the same or up to 3.5 times
  further off.
- Compiled segments of the net's traced graph, one CachedOp for each, against what is kept (alternating
  processes on an idle machine, two rounds each, twice): mobilenet 1.41 / 0.91 against 1.77 / 1.33, resnet18
  1.24 / 0.80 against 1.40 / 0.96, cifar_resnet20 1.38 / 1.10 against 1.07 / 0.75. So a tenth to a third
  faster on large nets and slower on small ones; not integrated yet. Static memory, built anew for each
  snapshot, was slower (2.3 on mobilenet).
- Plain and guided gradient differ from the first activation on and share the forward pass only; so the
  default methods, with saliency's plain gradient down to the image, should cost about 1.5 floors where
  forward and backward pass cost alike (an estimate).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import gluoncv
import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon.model_zoo import vision

import vizcallbacks as vc

NETS: dict[str, tuple[Callable, int, int]] = {
    "resnet18_v1": (vision.resnet18_v1, 8, 224),
    "mobilenet1.0": (vision.mobilenet1_0, 8, 224),
    "resnet50_v1": (vision.resnet50_v1, 4, 224),
    "vgg16": (vision.vgg16, 2, 224),
    "cifar_resnet20_v1": (gluoncv.model_zoo.cifar_resnet20_v1, 16, 32),
}
"""Name -> (constructor, images, their size)."""

SNAPSHOTS = {
    "default": ("grad_cam", "guided_grad_cam", "saliency"),
    "Grad-CAM + guided": ("grad_cam", "guided_grad_cam"),
    "Grad-CAM": ("grad_cam",),
}
"""Column -> methods."""

FLAGS = {"static_alloc": True, "static_shape": True}


def measure(name: str, rounds: int, between: int) -> dict[str, float]:
    """Median seconds of "step", "floor" and each of `SNAPSHOTS` for one net of `NETS`."""
    make, count, size = NETS[name]
    images = np.random.RandomState(0).normal(size=(count, 3, size, size)).astype(np.float32)
    net = _initialised(make(), images)
    step = _training_step(net, images)
    jobs = {"floor": _floor(_initialised(make(), images), images)}
    for title, methods in SNAPSHOTS.items():
        jobs[title] = lambda methods=methods: vc.explain(net, images, methods)
    seconds: dict[str, list[float]] = {title: [] for title in ("step", *jobs)}
    for warm_up in (step, *jobs.values()):
        warm_up()
    for _ in range(rounds):
        for title, job in jobs.items():
            for _ in range(between):
                last = _seconds(step)
            seconds["step"].append(last)
            seconds[title].append(_seconds(job))
    return {title: statistics.median(values) for title, values in seconds.items()}


def _initialised(net, images):
    """The net with running statistics as training would have left them.

    With those of initialisation an untrained net's gradients fade to 1e-18 on the way to the image, and numbers
    below 1e-38 on the way to them make a processor ten times slower: nobody's case.
    """
    net.initialize(mx.init.Xavier())
    net(mx.nd.array(images[:1]))
    for momentum in (0.0, 0.9):
        net.apply(lambda block, momentum=momentum: _set(block, gluon.nn.BatchNorm, "momentum", momentum))
        with autograd.record():
            score = net(mx.nd.array(images)).sum()
        score.backward()
    return net


def _set(block, kind: type, key: str, value) -> None:
    if isinstance(block, kind):
        block._kwargs[key] = value


def _training_step(net, images) -> Callable[[], None]:
    net.hybridize(**FLAGS)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1e-4, "momentum": 0.9})
    data, label = mx.nd.array(images), mx.nd.zeros(len(images))

    def step():
        with autograd.record():
            value = loss(net(data), label)
        value.backward()
        trainer.step(len(images))

    return step


def _floor(net, images) -> Callable[[], None]:
    for parameter in net.collect_params().values():
        parameter.grad_req = "null"
    net.apply(lambda block: _set(block, gluon.nn.BatchNorm, "use_global_stats", True))
    net.hybridize(**FLAGS)
    data = mx.nd.array(images)
    data.attach_grad()

    def floor():
        # in train mode, where max pooling can be differentiated
        with autograd.record():
            score = net(data).max(axis=1)
        score.backward()

    return floor


def _seconds(job: Callable[[], object]) -> float:
    mx.nd.waitall()
    start = time.perf_counter()
    job()
    mx.nd.waitall()
    return time.perf_counter() - start


def _row(name: str, seconds: dict[str, float]) -> str:
    _, count, size = NETS[name]
    step, floor = seconds["step"], seconds["floor"]
    cells = [name, f"{count} × {size}", f"{step:.2f}", f"{floor / step:.2f}"]
    cells += [f"{seconds[title] / step:.2f} / {seconds[title] / floor:.2f}" for title in SNAPSHOTS]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure the nets named on the command line and print the table."""
    parser = argparse.ArgumentParser(description="What a snapshot costs, in training steps.")
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each kind (default: 5)")
    parser.add_argument("--between", type=int, default=3, help="training steps before each (default: 3)")
    arguments = parser.parse_args()
    heads = ["net", "images", "step, s", "floor, steps", *(f"{title}, steps / floors" for title in SNAPSHOTS)]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for name in arguments.nets:
        print(_row(name, measure(name, arguments.rounds, arguments.between)), flush=True)


if __name__ == "__main__":
    main()
