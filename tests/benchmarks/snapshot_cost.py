"""What a snapshot costs, in training steps.

    python tests/benchmarks/snapshot_cost.py [--nets ...] [--rounds N] [--torch-python PYTHON]

Prints a Markdown table. *step* is a training step of the batch (hybridized, static memory, SGD with momentum),
*floor* the least that a gradient at the image can cost: one forward and one plain backward pass of the compiled
graph; *two gradients* one forward and two such backward passes. Each snapshot is `vizcallbacks.explain` on the
same batch, everything included from the net to the maps: a monitor's *first*, which traces and compiles the net,
and a *later* one, for which these are kept (`vizcallbacks.nets.kept`).

Measured cold, see `cold`. With ``--torch-python`` a table of what captum and pytorch-grad-cam cost in torch's own
training steps comes first, made by `torch_cost` in a process of its own, which ends before anything here is timed.

What was tried (steps: default methods / Grad-CAM and guided only):

- An operator in Python for the guided ReLU: wrong numbers on oneDNN, see `vizcallbacks.nets.tape`.
- The record cut behind activations, operators in predict mode, gradient buffers added to: mobilenet 22 / 17
  steps. Nearly all of it is BatchNorm's backward (profiled). That gradients come in an unfavourable memory
  layout is inferred, not seen: copying them cures it, scaling them (denormal numbers) does not.
- The gradient copied at each cut, against convolutions, dense layers, activations, BatchNorm (on global
  statistics) and pooling in train mode, without copies: mobilenet 2.7 / 2.0 against 1.7 / 1.15 (one loaded
  run). The second is kept, with `autograd.grad` in place of buffers. Outputs then differ from predict mode's
  by rounding; on five nets both were compared with float64, and predict mode was the same or up to 3.5 times
  further off.
- Compiled segments of the net's traced graph, one CachedOp for each (a prototype, against the layers; alternating
  processes on an idle machine, two rounds each, twice): mobilenet 1.41 / 0.91 against 1.77 / 1.33, resnet18
  1.24 / 0.80 against 1.40 / 0.96, cifar_resnet20 1.38 / 1.10 against 1.07 / 0.75. Static memory, built anew for
  each snapshot, was slower (2.3 on mobilenet).
- BatchNorms folded into the convolutions before them. Floor, whole graph compiled with static memory, steps:
  mobilenet 0.72 > 0.53, resnet18 0.71 > 0.65, resnet50 0.67 > 0.58, cifar_resnet20 0.87 > 0.42; with dynamic
  memory, which is given back to the system in between, mobilenet 0.79. Kept, in segments with dynamic memory.
- Rectifying gradients in place and adding them up by `elemwise_add`, which keeps oneDNN's layouts: so no memory is
  faulted in anew for each activation. Kept.
- Smaller batches, for the caches' sake: folded floor of mobilenet at 1, 2, 4, 8 images at a time 0.69, 0.61, 0.57,
  0.61, resnet18 0.91, 0.75, 0.69, 0.76, vgg16 at 1 and 2 0.59, 0.57 steps: not worth it.
- Beside kernels, on cifar_resnet20 (a step of 0.08 s on an idle machine): tracing 11 ms, compiling 5 to 10 ms,
  folding 6 ms. A monitor pays the first two once: it keeps the graph, the plan and the compiled pieces. Kept.
- By oneDNN's own account (``DNNL_VERBOSE=1``), the weights' gradients of some convolutions without a bias were
  computed, at random: 60 of 760 ms of resnet18's default methods. A bias of zeros ends that. Kept.
- ReLUs and sums between compiled segments run where their values lie, and their gradients: by oneDNN's account all
  kernels of Grad-CAM + guided on resnet18, page faults included, 686 > 437 ms with 8 images in a pass, 445 > 405
  with 4. Kept.
- Fewer images in a pass where it keeps much (`vizcallbacks.nets.together`): seconds of the default methods, later
  snapshots, in one pass / halves / quarters: resnet18 0.80 / 0.71 / 0.75, mobilenet 0.48 / 0.30 / 0.33, resnet50
  1.15 / 0.89 / 1.02, vgg16 1.51 / 1.34. Most of that is page faults: 110 to 190 MB in one pass, 0 to 65 in
  halves. Kept.
- The maps of one pass made while MXNet walks back for the next: MXNet runs what is ready in turn, and so keeps the
  memory of both (resnet18 faulted in 65 MB instead of 4). Made while the next runs forward: 10 ms a pass. Kept.
- An array of 31 MB made and freed untouched, so that glibc keeps larger ones: no page faults on vgg16, but more of
  them on resnet18. Not kept.
- A dense layer's gradient by `dot`: 60 ms where oneDNN takes 42 (vgg16, 2 images).
- The guided walk asked for while MXNet walks back plainly to the image: it runs both in turn, and so keeps the
  memory of both. One after the other, resnet18's default methods take 0.82 instead of 0.87 s. Kept.
- BatchNorms folded into small weights only (`vizcallbacks.nets.folding.LARGEST`): 3 % of the default methods,
  7 to 8 % of Grad-CAM with or without the guided version on resnet18. Kept.
- The part without a record in train mode, in which MXNet does not lay the weights out anew for later calls: 7 % of
  Grad-CAM alone in one batch, but slower from the second batch on. Not kept.
- Huge pages for what is faulted in (150 MB a call on resnet18): the first use of memory costs the same in them.
- Arrays of the pieces' outputs held from snapshot to snapshot, up to the size of the parameters: 0 to 137 MB are
  faulted in for a call, 0 to 147 without, as things happen to lie in memory. Not kept.
- Operators handed to MXNet's engine in bulks of 4 and 15 (`mx.engine.bulk`): the same within noise.
- Of two arrays oneDNN adds in place to the first only: sums written over the second were copied. Resnet50's
  default methods 418 > 370 reorders, 97 > 84 ms of them. Kept.
- Not tried: saliency reduced in MXNet, without a copy of (N, C, H, W); the copy should be small beside the walk.
- A plain walk for the layer alone ends at the layer anyway; nothing is copied that no method asks for.
- For Grad-CAM alone, all below the layer runs as one graph without a record.
- Plain and guided gradient differ from the first activation on and share the forward pass only; so the default
  methods, with saliency's plain gradient down to the image, cannot cost less than a forward and two backward
  passes: the column *two gradients* measures these alone, in one compiled graph with static memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

import numpy as np

import vizcallbacks as vc
from vizcallbacks.mxnet_door import autograd, gluon, gluoncv_model_zoo, mx
from vizcallbacks.nets.kept import Kept

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.benchmarks.cold import BATCHES, measure, options, print_head, print_row

NETS: dict[str, Callable] = {
    "resnet18_v1": gluon.model_zoo.vision.resnet18_v1,
    "mobilenet1.0": gluon.model_zoo.vision.mobilenet1_0,
    "resnet50_v1": gluon.model_zoo.vision.resnet50_v1,
    "vgg16": gluon.model_zoo.vision.vgg16,
    "cifar_resnet20_v1": gluoncv_model_zoo().cifar_resnet20_v1,
}
"""Name in `cold.BATCHES` -> constructor."""

IN_TORCH = ("resnet18_v1", "mobilenet1.0", "cifar_resnet20_v1")
"""Those that `torch_cost` has too."""

METHODS: dict[str, tuple[str, ...]] = {
    "default": ("grad_cam", "guided_grad_cam", "saliency"),
    "Grad-CAM + guided": ("grad_cam", "guided_grad_cam"),
    "Grad-CAM": ("grad_cam",),
}
WAYS = ("first", "later", "recorded")
"""A monitor's first snapshot; its second and others; a net in a plain Block, which is recorded each time."""

SNAPSHOTS = {
    f"{title}, {way}": (methods, way)
    for way in WAYS
    for title, methods in METHODS.items()
    if (title, way) != ("Grad-CAM", "recorded")
}
"""Column -> methods and way."""

FLAGS = {"static_alloc": True, "static_shape": True}


def measure_net(name: str, rounds: int, between: int) -> dict[str, float]:
    """Median seconds of "step", "floor" and each of `SNAPSHOTS` for one net of `NETS`."""
    step, jobs = prepared(name, SNAPSHOTS)
    return measure(step, jobs, rounds, between, finish=mx.nd.waitall)


def prepared(
    name: str, snapshots: Mapping[str, tuple[tuple[str, ...], str]]
) -> tuple[Callable[[], None], dict[str, Callable]]:
    """A training step of a net of `NETS`; "floor", "two gradients" and snapshots by methods and way (`WAYS`)."""
    count, size = BATCHES[name]
    make = NETS[name]
    images = np.random.RandomState(0).normal(size=(count, 3, size, size)).astype(np.float32)
    net = _initialised(make(), images)
    compiled = _initialised(make(), images)
    jobs: dict[str, Callable] = {"floor": _floor(compiled, images, 1)}
    jobs["two gradients"] = _floor(compiled, images, 2)
    plain = gluon.nn.Sequential()
    plain.add(net)
    kept = Kept()
    for title, (methods, way) in snapshots.items():
        shown, given = plain if way == "recorded" else net, kept if way == "later" else None
        jobs[title] = lambda methods=methods, shown=shown, given=given: vc.explain(
            shown, images, methods, kept=given
        )
    return _training_step(net, images), jobs


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


def _floor(net, images, gradients: int) -> Callable[[], None]:
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
        for _ in range(gradients):
            autograd.grad([score], [data], retain_graph=True)

    return floor


def _cells(seconds: dict[str, float]) -> list[str]:
    step, floor = seconds["step"], seconds["floor"]
    return [f"{floor / step:.2f}", f"{seconds['two gradients'] / step:.2f}"] + [
        f"{seconds[title] / step:.2f} / {seconds[title] / floor:.2f}" for title in SNAPSHOTS
    ]


def _measure_torch(python: str, nets: list[str], rounds: int, between: int) -> None:
    """Run `torch_cost` for those of the nets that it has; leave with its exit status if it fails."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_cost.py")
    limits = ["--rounds", str(rounds), "--between", str(between)]
    status = subprocess.run([python, script, "--nets", *nets, *limits]).returncode
    if status:
        sys.exit(status)
    print(flush=True)


def main() -> None:
    """Measure the nets named on the command line and print the table, or the two."""
    parser = options("What a snapshot costs, in training steps.", NETS)
    parser.add_argument(
        "--torch-python",
        metavar="PYTHON",
        help="an interpreter with torch, captum and grad-cam: measure those as well, first",
    )
    arguments = parser.parse_args()
    if arguments.torch_python is not None:
        nets = [name for name in arguments.nets if name in IN_TORCH]
        if not nets:
            parser.error(f"--torch-python needs one of {', '.join(IN_TORCH)} among --nets")
        if shutil.which(arguments.torch_python) is None:
            parser.error(
                f"--torch-python: {arguments.torch_python!r} is no program that can be run;"
                " give the interpreter of an environment made by pip install captum grad-cam"
            )
        _measure_torch(arguments.torch_python, nets, arguments.rounds, arguments.between)
    titles = (f"{title}, steps / floors" for title in SNAPSHOTS)
    print_head(["net", "images", "step, s", "floor, steps", "two gradients, steps", *titles])
    for name in arguments.nets:
        seconds = measure_net(name, arguments.rounds, arguments.between)
        print_row(name, seconds["step"], _cells(seconds))


if __name__ == "__main__":
    main()
