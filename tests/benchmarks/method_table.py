"""What each method costs, and whether its maps depend on the weights: ``python tests/benchmarks/method_table.py``.

*steps*: processor time of `explain` by the method alone, over that of a training step of the same batch
(resnet18_v1, 4 images of 112 pixels, hybridized, static memory): medians of five, each after three training steps;
of methods of many passes once. RISE is run with a twentieth of its masks, and its time taken twenty times.

*head*, *all*: `vizcallbacks.sanity` on the pretrained EfficientNet-Lite0 and photographs (8; 2 for methods of many
passes, 1 for occlusion, Score-CAM and RISE, this with a sixteenth of its masks): rank correlation of the maps with
those by a shuffled head, and by weights that are all shuffled. 1: the weights do not matter; 0: nothing in common.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS, chosen_methods
from vizcallbacks.measures.of_one_map import mean_defined
from vizcallbacks.mxnet_door import autograd, gluon, mx

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.benchmarks import cold
from tests.helpers.photographs import photograph

NET, COUNT, SIZE = "resnet18_v1", 4, 112
MASKS = 4000
ONE_PHOTOGRAPH = ("occlusion", "rise", "score_cam")
PHOTOGRAPHS = ("astronaut", "chelsea", "china", "coffee", "flower", "motorcycle", "rocket", "camera")


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description="Cost and dependence on the weights of every method.")
    parser.add_argument("--methods", default="all", help="names with commas between, all-fast or all")
    parser.add_argument("--only", choices=["cost", "weights"], help="default: both")
    parser.add_argument("--images", type=int, default=COUNT, help="of the batch whose cost is measured")
    options = parser.parse_args()
    methods = chosen_methods(options.methods.split(","))
    costs = measured_costs(methods, options.images) if options.only != "weights" else {}
    cold.print_head(["method", "steps", "head", "all"])
    for name in methods:
        cells = dependence(name) if options.only != "cost" else ("", "")
        print(f"| {' | '.join([f'`{name}`', costs.get(name, ''), *cells])} |", flush=True)


def measured_costs(methods: tuple[str, ...], count: int = COUNT) -> dict[str, str]:
    """Method -> its cost in training steps."""
    net = gluon.model_zoo.vision.get_model(NET, classes=10)
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    images = np.random.default_rng(0).normal(size=(count, 3, SIZE, SIZE)).astype(np.float32)
    data, labels = mx.nd.array(images), mx.nd.array(np.arange(count) % 10)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1e-6})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()

    def step() -> None:
        with autograd.record():
            value = loss(net(data), labels)
        value.backward()
        trainer.step(count)

    def job(name: str) -> None:
        vc.explain(net, images, name, targets=[i % 10 for i in range(count)])

    step()
    taken: dict[str, list[float]] = {"step": []}
    with fewer_masks(MASKS // 20):
        for name in methods:
            for _ in range(5 if METHODS[name].is_fast else 1):
                taken["step"] += [_seconds(step) for _ in range(3)]
                taken.setdefault(name, []).append(_seconds(partial(job, name)))
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    if "rise" in seconds:
        seconds["rise"] *= 20
    return {name: _rounded(seconds[name] / seconds["step"]) for name in methods}


def _seconds(job: Callable[[], object]) -> float:
    """Processor time, which others on the machine hardly change."""
    mx.nd.waitall()
    start = time.process_time()
    job()
    mx.nd.waitall()
    return time.process_time() - start


def dependence(name: str) -> tuple[str, str]:
    """Mean rank correlation with the maps by a random head, and by random weights."""
    model = vc.pretrained.efficientnet_lite0()
    names = PHOTOGRAPHS if METHODS[name].is_fast else PHOTOGRAPHS[1 : 2 if name in ONE_PHOTOGRAPH else 3]
    probe = model.probe_set([model.crop(photograph(one)) for one in names], names=list(names))
    with fewer_masks(MASKS // 16):
        found = vc.sanity(model.net, probe, name, stages=2).similarity[name]
    head, everything = (f"{mean_defined(values)[0]:.2f}" for values in found)
    return head, everything


@contextmanager
def fewer_masks(count: int) -> Iterator[None]:
    """RISE with another number of masks."""
    before = METHODS["rise"]
    METHODS["rise"] = replace(before, function=partial(before.function, masks=count))
    try:
        yield
    finally:
        METHODS["rise"] = before


def _rounded(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{float(f'{value:.2g}'):.0f}"


if __name__ == "__main__":
    main()
