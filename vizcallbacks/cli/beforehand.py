"""`ahead`: the next item of a loop is made in a thread while the loop's body works on the one before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")

END = object()


@contextmanager
def ahead(items: Iterable[Item], count: int = 1) -> Iterator[Iterator[Item]]:
    """Iterate over `items`, which a thread takes in advance, at most `count` waiting and one in its hands.

    Parameters
    ----------
    items : iterable
        Taken in one other thread; what it raises is raised where the loop asks for the next item.
    count : int, >= 1

    Yields
    ------
    iterator
        When the ``with`` block is left, also by an exception, no further item is taken.

    Examples
    --------
    >>> with ahead(range(3)) as numbers:
    ...     list(numbers)
    [0, 1, 2]
    """
    waiting: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(count)
    over = threading.Event()

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                waiting.put((item, None))
                if over.is_set():
                    return
        except BaseException as raised:  # to be raised in the loop
            error = raised
        waiting.put((END, error))

    def taken() -> Iterator[Item]:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item

    thread = threading.Thread(target=work, name="vizcallbacks-ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        over.set()
        while thread.is_alive():  # it may wait for a place in the queue
            try:
                waiting.get_nowait()
            except queue.Empty:
                thread.join(0.01)
