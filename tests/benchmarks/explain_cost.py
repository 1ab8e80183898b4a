"""What the command `explain` costs beside its passes: decoding and drawing go on while the net is run.

    python tests/benchmarks/explain_cost.py [--photographs 500] [--model resnet18_v1] [--rounds N]

Makes photographs of noise (JPEG, 640 x 480), explains all of them by the command, and the same crops by
`vizcallbacks.explain` alone, in batches of the same size; prints seconds of both, their ratio, and the seconds
that decoding and drawing take alone. The net's weights are random.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import cv2
import numpy as np

import vizcallbacks as vc
from vizcallbacks.cli.main import main as command
from vizcallbacks.cli.one_photograph import picture_of
from vizcallbacks.mxnet_door import gluon, mx
from vizcallbacks.nets.kept import Kept
from vizcallbacks.pictures.picture import encode
from vizcallbacks.pretrained import models
from vizcallbacks.probes.photographs import read_photograph

METHODS = ("grad_cam", "guided_grad_cam", "saliency")
BATCH = 4  # the command's default


def make(folder: str, count: int) -> list[str]:
    """Photographs of smooth noise."""
    random = np.random.RandomState(0)
    paths = []
    for number in range(count):
        picture = cv2.resize(
            random.randint(0, 256, (24, 32, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC
        )
        paths.append(os.path.join(folder, f"{number:04}.jpg"))
        cv2.imwrite(paths[-1], picture)
    return paths


def seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def main() -> None:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(description="What the command explain costs beside its passes.")
    parser.add_argument("--photographs", type=int, default=500)
    parser.add_argument("--model", default="resnet18_v1")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "in"), os.path.join(folder, "out")
        os.mkdir(source)
        paths = make(source, options.photographs)
        params = os.path.join(folder, "net.params")
        net = _random_net(options.model)
        net.save_parameters(params)
        model = models.load(options.model, params)
        batches = [
            model.probe_set([model.crop(read_photograph(path)) for path in paths[start : start + BATCH]])
            for start in range(0, len(paths), BATCH)
        ]

        def whole() -> None:
            given = ["explain", source, "--out", out, "--model", options.model, "--params", params]
            with contextlib.redirect_stdout(io.StringIO()):
                status = command(given)
            if status:
                sys.exit(f"the command failed with exit code {status}")

        def passes() -> list:
            kept = Kept()
            return [vc.explain(model.net, batch, METHODS, batch_size=BATCH, kept=kept) for batch in batches]

        found: dict[str, list[float]] = {"command": [], "passes": [], "decoding": [], "drawing": []}
        for _ in range(options.rounds):
            found["command"].append(seconds(whole))
            found["passes"].append(seconds(passes))
        found["decoding"].append(seconds(lambda: [model.crop(read_photograph(path)) for path in paths]))
        results = passes()[:4]
        drawn = seconds(
            lambda: [encode(picture_of(one, i, None), "png") for one in results for i in range(BATCH)]
        )
        found["drawing"].append(drawn * len(batches) / len(results))
        middle = {name: statistics.median(values) for name, values in found.items()}
        print(", ".join(f"{name} {value:.1f} s" for name, value in middle.items()))
        print(f"the command takes {middle['command'] / middle['passes']:.2f} of the passes alone")


def _random_net(name: str):
    net = getattr(gluon.model_zoo.vision, name)()
    net.initialize(mx.init.Xavier())
    net(mx.nd.ones((1, 3, 224, 224)))
    return net


if __name__ == "__main__":
    main()
