"""Peaks tell the network that looks at tags from the one that looks at digits, without a mask."""

from __future__ import annotations

import pytest

import vizcallbacks as vc
from vizcallbacks.demo import clever_hans
from vizcallbacks.regression.snapshot import read_run


@pytest.mark.slow
@pytest.mark.parametrize("of", ["the demo", 0, 1])
def test_patches_of_the_biased_network_are_alike_within_a_class_and_those_of_the_honest_one_are_not(
    of, request
):
    """Of the demo, and of two other seeds, which are told apart after fewer epochs already."""
    if of == "the demo":
        runs = {name: request.getfixturevalue("whole_demo") / "runs" / name for name in clever_hans.RUNS}
    else:
        runs = {name: request.getfixturevalue("trained")(name, of) for name in clever_hans.RUNS}
    found = {}
    for name, run in runs.items():
        found[name] = vc.peaks(*read_run(run))
        print(f"{of}, {name}: {found[name]}")
    for peaks in found.values():
        assert len(peaks) + len(peaks.dead) == 200
        assert set(peaks.sameness) == set(range(10))
    assert found["biased"].overall.value < 0.55 < 0.8 < found["honest"].overall.value
    assert found["biased"].overall.value < 0.3 * found["biased"].overall.chance
    assert found["honest"].overall.value > 0.5 * found["honest"].overall.chance
