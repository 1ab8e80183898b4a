"""Long runs keep the first, the best and the newest snapshot, and others evenly spaced."""

from __future__ import annotations

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots, step_of
from vizcallbacks.training.keeping import Keeping

from ..helpers import events
from ..helpers.checked import ON_OBJECT, probe_set, snapshot
from ..helpers.nets import small_net
from ..helpers.probes import probe_set as small_probe_set

PROBE = probe_set()


def kept(keeping, steps, best=None, start=()):
    """The steps that are left; the snapshot at `best` has the highest probability."""
    left = list(start)
    for step in steps:
        taken = snapshot(ON_OBJECT, PROBE, step=step, probability=[0.9 if step == best else 0.5] * 4)
        left.append(step)
        for one in keeping.add(taken):
            left.remove(one)
    return left


@pytest.mark.parametrize("count", [5, 20, 101, 1000])
@pytest.mark.parametrize("most", [4, 10, 24])
def test_those_kept_are_the_first_the_newest_and_evenly_spaced_ones(count, most):
    left = kept(Keeping(most), range(count))
    assert (left[0], left[-1]) == (0, count - 1)
    assert len(left) == min(most, count)
    gaps = np.diff(left[:-1])
    if count > 4 * most and most > 4:
        assert gaps.max() <= 2.5 * gaps.min()


def test_of_five_the_one_with_the_nearest_neighbours_goes():
    """0 1 2 3 4: the ones at 1, 2 and 3 are alike; 0 2 3 4 5: 3 and 4 are; 0 2 4 5 6, then 0 2 4 6 7: 6 goes."""
    assert kept(Keeping(4), range(5), best=0) == [0, 2, 3, 4]
    assert kept(Keeping(4), range(6), best=0) == [0, 2, 4, 5]
    assert kept(Keeping(4), range(8), best=0) == [0, 2, 4, 7]


def test_the_best_stays_wherever_it_is():
    for best in (1, 37, 99):
        assert best in kept(Keeping(6), range(100), best=best)


def test_where_there_is_no_probability_the_score_decides():
    keeping, left = Keeping(4), []
    for step in range(20):
        left.append(step)
        score = [9.0 if step == 7 else 1.0] * 4
        for one in keeping.add(snapshot(ON_OBJECT, PROBE, step=step, score=score, probability=[np.nan] * 4)):
            left.remove(one)
    assert 7 in left


def test_all_are_kept_by_default():
    assert kept(Keeping("all"), range(50)) == list(range(50))


@pytest.mark.parametrize("keep", [3, 0, -1, 4.5, True, None, "some"])
def test_fewer_than_four_cannot_be_kept(keep, tmp_path):
    with pytest.raises(ValueError, match="keep must be .*int of at least 4, got"):
        vc.AttentionMonitor(small_probe_set(), tmp_path, keep=keep)


def stored(run):
    return [step_of(path) for path in list_snapshots(run)]


def test_a_run_keeps_so_many_on_disk_all_curves_and_panels_alike_also_when_it_is_resumed(tmp_path, caplog):
    net = small_net()
    options = {"keep": 5, "show": 1, "methods": "grad_cam", "on_error": "raise", "wrong": "label only"}
    with vc.AttentionMonitor(small_probe_set(), tmp_path, **options) as monitor:
        for step in range(20):
            monitor.snapshot(net, step)
    first = stored(tmp_path)
    assert (len(first), first[0], first[-1]) == (5, 0, 19)
    with vc.AttentionMonitor(small_probe_set(), tmp_path, **options) as monitor:
        for step in range(20, 40):
            monitor.snapshot(net, step)
    assert caplog.records == []  # what was given up on purpose is not missing
    assert (len(stored(tmp_path)), stored(tmp_path)[0], stored(tmp_path)[-1]) == (5, 0, 39)
    curve = [step for step, value in events.values(tmp_path) if value.tag == "attention_mean/score"]
    assert curve == list(range(40))
    panels = [step for step, _ in events.pictures(tmp_path)["attention_panels/02_owl"]]
    assert panels == sorted(set(panels))
    assert 5 <= len(panels) <= 20
    assert panels[:5] == [0, 1, 2, 3, 4]


def test_maps_of_predicted_classes_go_with_their_snapshots(tmp_path):
    net, probe = small_net(), small_probe_set()
    labels = (vc.explain(net, probe, "grad_cam").predictions + 1) % 3
    probe = vc.ProbeSet(probe.images, labels)
    options = {"keep": 4, "show": 2, "methods": "grad_cam", "on_error": "raise"}
    with vc.AttentionMonitor(probe, tmp_path, **options) as monitor:
        for step in range(9):
            monitor.snapshot(net, step)
    beside = sorted((tmp_path / "attention").glob("predicted-*.npz"))
    assert [step_of(path) for path in beside] == stored(tmp_path)


def test_a_hole_before_a_thinned_run_goes_on_is_told(tmp_path, caplog):
    options = {"keep": 4, "show": 1, "methods": "grad_cam"}
    with vc.AttentionMonitor(small_probe_set(), tmp_path, **options) as monitor:
        for step in range(10):
            monitor.snapshot(small_net(), step)
    with vc.AttentionMonitor(small_probe_set(), tmp_path, **options) as monitor:
        monitor.snapshot(small_net(), 60)
    (record,) = caplog.records
    assert "snapshots are missing: between steps 9 and 60" in record.getMessage()
