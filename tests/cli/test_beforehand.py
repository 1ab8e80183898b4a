"""Items are made in advance, in order, no more than allowed, and errors come where the loop is."""

from __future__ import annotations

import threading

import pytest

from vizcallbacks.cli.beforehand import ahead


def test_items_come_in_order_and_from_one_other_thread():
    threads = set()

    def items():
        for number in range(20):
            threads.add(threading.current_thread().name)
            yield number

    with ahead(items()) as found:
        assert list(found) == list(range(20))
    assert threads == {"vizcallbacks-ahead"}


def test_no_more_are_made_than_may_wait():
    made, third = [], threading.Event()

    def items():
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    with ahead(items(), count=1) as found:
        assert next(found) == 0
        assert third.wait(10)  # 1 waits, 2 is in the thread's hands
        assert made == [0, 1, 2]
    assert not any(one.name == "vizcallbacks-ahead" for one in threading.enumerate())


def test_what_making_an_item_raises_is_raised_in_the_loop_after_those_before():
    def items():
        yield 1
        raise OSError("no such photograph")

    found = []
    with ahead(items()) as numbers, pytest.raises(OSError, match="no such photograph"):
        found.extend(numbers)
    assert found == [1]


def test_an_error_in_the_loop_ends_the_thread():
    def endless():
        number = 0
        while True:
            yield number
            number += 1

    def fail():
        with ahead(endless()) as numbers:
            raise ValueError(f"in the loop, at {next(numbers)}")

    with pytest.raises(ValueError, match="in the loop, at 0"):
        fail()
    assert not any(one.name == "vizcallbacks-ahead" for one in threading.enumerate())
