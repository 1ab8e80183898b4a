"""The best snapshot so far as a baseline: what replaces it, and from when on it counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vizcallbacks.training.best import CLEARLY, STEADY, Best

from ..helpers.checked import ON_OBJECT, ON_TAG, at, probe_set, snapshot

PROBE = probe_set()
PLACES = {"o": ON_OBJECT, "t": ON_TAG, "x": at(0, 3), "y": at(3, 0)}


def judged(best, kinds, worths=None, **more):
    """For each snapshot "." unchecked, "p" passed, "F" failed; `kinds`: where it looks, `worths`: probability."""
    told = ""
    for step, kind in enumerate(kinds, 1):
        worth = 0.5 if worths is None else worths[step - 1]
        report = best.judge(snapshot(PLACES[kind], PROBE, step=step, probability=[worth] * 4, **more))
        told += "." if report is None else "p" if report.passed else "F"
    return told


def test_nothing_counts_until_attention_was_steady_for_three_snapshots():
    assert STEADY == 3
    assert judged(Best(PROBE), "ooootot") == "....FpF"
    assert judged(Best(PROBE), "otoxoyot") == "........"  # never steady
    assert judged(Best(PROBE), "otoootoo") == ".....Fpp"


def test_while_it_learns_a_better_net_becomes_the_best_wherever_it_looks():
    """Three places, each better than the last; then the last one is what is expected."""
    assert judged(Best(PROBE), "oxttttto", [0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]) == "......pF"


def test_a_worse_net_never_becomes_the_best():
    best = Best(PROBE)
    assert judged(best, "ttttttto", [0.9, 0.1, 0.1, 0.1, 0.9, 0.2, 0.2, 0.2]) == "....pppF"


def test_once_settled_a_net_that_looks_elsewhere_replaces_the_best_only_if_it_is_clearly_better():
    settled = [0.5] * 4
    assert judged(Best(PROBE), "ooootttt", [*settled, *[0.5 + 0.9 * CLEARLY] * 4]) == "....FFFF"
    clearly = [*settled, *[0.5 + 1.1 * CLEARLY] * 6]
    assert judged(Best(PROBE), "oooottttto", clearly) == "........pF"  # and has to settle anew


def test_once_settled_better_snapshots_that_pass_move_the_best_along():
    """The report names the epoch of the best one."""
    best = Best(PROBE)
    judged(best, "ooooo", [0.5, 0.5, 0.5, 0.5, 0.9])
    report = best.judge(snapshot(ON_TAG, PROBE, step=6, probability=[0.5] * 4))
    assert "by the best snapshot so far, epoch 5" in str(report)
    assert "npz" not in str(report)


def test_rules_that_need_no_baseline_count_from_the_first_snapshot_and_bar_from_being_the_best():
    rules = {"energy/tag": ["<= 0.5", "within noise"], "grad_cam/spearman": ">= 0.5"}
    best = Best(PROBE, rules)
    assert judged(best, "to", [0.9, 0.2]) == "Fp"
    report = best.judge(snapshot(ON_TAG, PROBE, step=3, probability=[0.9] * 4))
    assert [str(finding.rule) for finding in report.findings] == ["energy/tag <= 0.5"]
    assert judged(best, "ooo", [0.2] * 3) == "ppp"
    report = best.judge(snapshot(ON_OBJECT, PROBE, step=8, probability=[0.2] * 4))
    assert len(report.findings) == 3
    assert "epoch 2" in str(report)


def test_rules_alone_are_judged_alone():
    assert judged(Best(PROBE, {"energy/tag": "<= 0.5"}), "oooooto") == "pppppFp"


def test_without_probabilities_scores_tell_what_is_better():
    nothing = [np.nan] * 4
    best = Best(PROBE)
    for step, score in enumerate([-10, -10, -10, -10, -9.8, -5], 1):
        kind = "o" if step < 5 else "t"
        report = best.judge(
            snapshot(PLACES[kind], PROBE, step=step, probability=nothing, score=[float(score)] * 4)
        )
        assert (report is None) == (step != 5)  # 5 is better by 2 %: a violation; 6 by half: the best


def test_a_snapshot_of_unknown_worth_is_never_the_best():
    nothing = [np.nan] * 4
    best = Best(PROBE)
    for step in range(1, 7):
        assert best.judge(snapshot(ON_OBJECT, PROBE, step=step, probability=nothing, score=nothing)) is None


@pytest.mark.slow
def test_the_script_that_gives_the_figures_of_the_readme_runs(tmp_path):
    """One training, too short to settle."""
    from ..benchmarks import best_rule

    (found,) = best_rule.run(tmp_path, range(1), epochs=2, shifted=1, control=1)
    assert dataclasses.replace(found, moved=None) == best_rule.Outcome(0, "cosine", None, None, None, None)
