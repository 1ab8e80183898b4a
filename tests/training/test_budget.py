"""Snapshots stay under their share of the time; the expectations are counted by hand."""

from __future__ import annotations

import pytest

from vizcallbacks.training.budget import Budget


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def simulate(share, epochs, epoch, cost, drawing=0.0):
    """Epochs after which a snapshot was taken; 0: before training. All numbers but the share are powers of two."""
    clock = Clock()
    budget = Budget(share, clock)
    taken = []
    for number in range(epochs + 1):
        if budget.begin():
            clock.now += cost
            assert budget.end() == cost
            budget.drew(drawing)
            taken.append(number)
        clock.now += epoch
    return taken


def test_without_a_share_all_are_taken():
    assert simulate(None, 5, epoch=1.0, cost=64.0) == [0, 1, 2, 3, 4, 5]


def test_cheap_snapshots_are_all_taken():
    assert simulate(0.25, 5, epoch=16.0, cost=2.0) == [0, 1, 2, 3, 4, 5]


def test_dear_snapshots_are_taken_every_so_many_epochs():
    """Each costs 1 s, an epoch 4 s, a sixteenth of the time is 16 s of training for each."""
    assert simulate(0.0625, 24, epoch=4.0, cost=1.0) == [0, 8, 12, 16, 20, 24]


def test_drawing_counts_like_waiting():
    assert simulate(0.0625, 24, epoch=4.0, cost=0.5, drawing=0.5) == [0, 8, 12, 16, 20, 24]


def test_snapshots_never_take_more_than_their_share():
    taken = simulate(0.05, 1000, epoch=0.5, cost=0.75)
    for count, epoch in enumerate(taken[1:], start=2):
        assert count * 0.75 <= 0.05 * epoch * 0.5
    assert len(taken) == 33  # 33 * 0.75 = 24.75 s of 25


def test_a_dear_one_is_made_up_for():
    clock = Clock()
    budget = Budget(0.5, clock)
    taken = []
    for number in range(12):
        if budget.begin():
            clock.now += 8.0 if number == 2 else 1.0
            budget.end()
            taken.append(number)
        clock.now += 4.0
    # 1, 2, 10 s after numbers 0, 1, 2; then 8 more are expected at first: 18 s of 36 at number 9
    assert taken == [0, 1, 2, 9, 10, 11]


@pytest.mark.parametrize("share", [0, 1, -0.1, 5, True, "5%", float("nan")])
def test_a_share_is_between_nothing_and_everything(share):
    with pytest.raises(ValueError, match="max_overhead must be a share above 0 and below 1"):
        Budget(share)
