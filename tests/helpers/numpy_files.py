"""Files for comparing versions of NumPy: ``python -m tests.helpers.numpy_files`` writes those of the one here.

A baseline of one run, the run's snapshot and probe set, and the maps of every method, in
``tests/data/numpy_<version>``. The files kept there were written on one machine; on another, whose processor has
other instructions, MXNet rounds otherwise.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import mxnet as mx
import numpy as np

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.regression.snapshot import list_snapshots

from .nets import images, small_net

DATA = Path(__file__).parents[1] / "data"


def probe_set() -> vc.ProbeSet:
    masks = {"object": np.zeros((4, 16, 16), bool)}
    masks["object"][:, 4:12, 4:12] = True
    return vc.ProbeSet(images(4, size=16), labels=np.arange(4), masks=masks)


def all_maps() -> dict[str, np.ndarray]:
    """The maps of every method, of a net whose weights are always the same."""
    mx.random.seed(0)
    np.random.seed(0)
    return dict(vc.explain(small_net(), probe_set(), tuple(METHODS), targets="label").maps)


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    np.savez(folder / "maps.npz", **all_maps())
    mx.random.seed(0)
    with tempfile.TemporaryDirectory() as run:
        with vc.AttentionMonitor(probe_set(), run, "grad_cam") as monitor:
            monitor.snapshot(small_net(), step=1)
        (snapshot,) = list_snapshots(run)
        shutil.copy(snapshot, folder / "snapshot.npz")
        shutil.copy(Path(snapshot).with_name("probe.npz"), folder / "probe.npz")
        vc.Baseline.from_runs(run).save(folder / "baseline.npz")


if __name__ == "__main__":
    write(DATA / f"numpy_{np.__version__}")
