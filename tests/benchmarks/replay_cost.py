"""What a replay costs: checkpoints x images, by one process and by two; and a training with a follower beside it.

python -m tests.benchmarks.replay_cost [checkpoints] [images]
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time

import mxnet as mx
from gluoncv.model_zoo import get_model

import vizcallbacks as vc
from tests.helpers.probes import probe_set


def build():
    return get_model("cifar_resnet20_v1", classes=10)


def save(folder: pathlib.Path, count: int) -> None:
    net = build()
    for step in range(count):
        mx.random.seed(step)
        net.initialize(mx.init.Xavier(), force_reinit=True)
        net(mx.nd.zeros((1, 3, 32, 32)))
        net.save_parameters(str(folder / f"m-{step:04d}.params"))


def main(checkpoints: int = 60, images: int = 200) -> None:
    with tempfile.TemporaryDirectory() as place:
        home = pathlib.Path(place)
        (home / "checkpoints").mkdir()
        save(home / "checkpoints", checkpoints)
        size = sum(path.stat().st_size for path in (home / "checkpoints").iterdir()) / checkpoints
        print(
            f"{checkpoints} checkpoints of {size / 1e6:.1f} MB x {images} images of 32 px, cifar_resnet20_v1"
        )
        for workers in (1, 2):
            began = time.monotonic()
            times: list[float] = []
            run = home / f"run{workers}"
            vc.replay(
                home / "checkpoints",
                build,
                probe_set(images, 32),
                run,
                workers=workers,
                told=lambda *words, times=times: times.append(time.monotonic()),
            )
            whole = time.monotonic() - began
            steady = (times[-1] - times[0]) / (len(times) - 1)
            written = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
            stored = next((run / "attention").glob("snapshot-*.npz")).stat().st_size
            print(
                f"{workers} process{'es' if workers > 1 else ''}: {whole:.1f} s in all, {steady:.2f} s a "
                f"checkpoint once started, {written / 1e6:.1f} MB written, {stored / 1e3:.0f} kB a snapshot's file"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
