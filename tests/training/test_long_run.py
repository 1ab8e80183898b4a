"""Hundreds of snapshots: what they leave in memory and on disk, by the benchmark that measures it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..benchmarks.long_run import run

README = (Path(__file__).parents[2] / "vizcallbacks" / "training" / "README.md").read_text()


@pytest.mark.slow
def test_300_snapshots_of_12_images_leave_threads_files_and_memory_as_they_were(tmp_path):
    usages, _ = run(tmp_path, snapshots=300, probes=12, every=25, size=64, show=1)
    assert len({(usage.threads, usage.files) for usage in usages}) == 1
    first, last = ([usage.memory for usage in part] for part in (usages[:4], usages[-4:]))
    assert max(last) < 1.15 * max(first)


@pytest.mark.slow
def test_the_sizes_on_disk_are_those_that_the_readme_prints(tmp_path):
    text = " ".join(README.split())
    events = re.search(r"(\d\.\d) MB for 224 × 224, over the first 48 snapshots", text)
    snapshot = re.search(r"A snapshot file has (\d+) kB", text)
    assert events
    assert snapshot
    _, sizes = run(tmp_path, snapshots=48, probes=12, every=48)
    assert sizes.snapshot == pytest.approx(1e3 * float(snapshot[1]), rel=0.15)
    assert sizes.events == pytest.approx(1e6 * float(events[1]), rel=0.2)
