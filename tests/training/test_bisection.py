"""The first bad checkpoint, found by explaining few of them."""

import math

import pytest

import vizcallbacks as vc
from tests.helpers.checkpoints import OPTIONS, build, snapshots, train, watched
from vizcallbacks.regression.comparing import compare
from vizcallbacks.training.bisection import _bisect, find_first_bad
from vizcallbacks.training.checkpoints import Checkpoint


@pytest.mark.parametrize("count", [1, 2, 3, 10, 100, 1000])
def test_few_are_looked_at_and_the_first_is_found(count):
    checkpoints = [Checkpoint(step, f"{step}.params") for step in range(count)]
    for first in {0, 1, count // 3, count - 1, count} & set(range(count + 1)):
        looked = []

        def is_bad(place, first=first, looked=looked):
            looked.append(place)
            return place >= first

        found = _bisect(list(checkpoints), is_bad)
        assert found == (checkpoints[first] if first < count else None)
        assert len(looked) <= 1 + math.ceil(math.log2(count)) if count > 1 else len(looked) == 1


def test_those_that_cannot_be_used_are_left_out():
    """Of 12, every third is damaged; the fault is from step 7 on."""
    for broken in ({0, 3, 6, 9}, {11}, {5, 6, 7, 8}, set(range(12))):
        listed = [Checkpoint(step, f"{step}.params") for step in range(12)]

        def is_bad(place, listed=listed, broken=broken):
            if listed[place].step in broken:
                del listed[place]
                return None
            return listed[place].step >= 7

        found = _bisect(listed, is_bad)
        assert found == min(
            (Checkpoint(s, f"{s}.params") for s in range(7, 12) if s not in broken), default=None
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained")
    with vc.AttentionMonitor(watched(), home / "run", **OPTIONS) as monitor:
        train(home / "checkpoints", 8, monitor)
    return home


def test_the_step_is_that_from_which_the_training_fails(trained, tmp_path):
    """The rule is set between two epochs' scores, so that the training's own snapshots tell the answer."""
    run = snapshots(trained / "run")
    worth = [float(one.measures["probability"].mean()) for one in run]
    falls = [step for step in range(1, len(run)) if max(worth[step:]) < min(worth[:step])]
    rises = [step for step in range(1, len(run)) if min(worth[step:]) > max(worth[:step])]
    step = (falls or rises)[0]
    before, after = worth[:step], worth[step:]
    bound = (min(before) + max(after)) / 2 if falls else (max(before) + min(after)) / 2
    rule = {"probability": f"{'>=' if falls else '<='} {bound!r}"}
    told = []
    found = find_first_bad(
        trained / "checkpoints",
        build,
        watched(),
        tmp_path / "run",
        thresholds=rule,
        told=lambda *words: told.append(words),
        **OPTIONS,
    )
    assert found.step == run[step].step
    assert found.path == str(trained / "checkpoints" / f"m-epoch{step}batch{step + 1}.params")
    assert len(told) == len(found.reports) <= 4  # 1 + log2(8)
    assert found.count == 8
    for one in run:
        if one.step in found.reports:
            assert found.reports[one.step].passed == compare(one, None, rule).passed
    assert [one.step for one in snapshots(tmp_path / "run")] == sorted(found.reports)


def test_where_the_last_passes_nothing_is_bad(trained, tmp_path):
    rule = {"probability": ">= 0"}
    found = find_first_bad(
        trained / "checkpoints", build, watched(), tmp_path / "run", thresholds=rule, **OPTIONS
    )
    assert (found.step, found.path, list(found.reports)) == (None, None, [8])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a check: give baseline=... or thresholds"),
        ({"baseline": "best"}, "got 'best', which is of a"),
    ],
)
def test_without_a_check_there_is_no_first_bad_one(trained, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        find_first_bad(trained / "checkpoints", build, watched(), tmp_path / "run", **arguments)
