"""Files of others, read with care: regular ones only, and no larger than this machine can hold.

Opening a pipe waits for ever, and /dev/zero has no end; both may stand where a file is expected.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import BinaryIO

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much memory a container may take, in its newer and its older way."""


def open_regular(path: str | os.PathLike[str], most: int | None = None) -> BinaryIO:
    """Open a regular file for reading.

    Parameters
    ----------
    path : str or os.PathLike
    most : int, optional
        Bytes that it may have; default: half of `memory`.

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        It is a pipe, a device or the like, or is larger. Nothing has been read of it.
    """
    path = os.fsdecode(path)
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  # the caller's to close
    try:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path!r} must be a regular file, got a pipe, a device or the like")
        bound = memory() // 2 if most is None else most
        if found.st_size > bound:
            reason = "half of the memory here" if most is None else "the most for such a file"
            raise ValueError(
                f"{path!r} must have at most {bound} bytes ({reason}), and has {found.st_size}; give another file"
            )
    except BaseException:
        file.close()
        raise
    return file


def _without_waiting(path: str, flags: int) -> int:
    """The descriptor; opening a pipe would wait for its other end. A regular file is read as ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def memory() -> int:
    """Bytes of memory that this process may take: the machine's, or what its container is limited to."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else [2**32]
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            found.append(int(file.read(32)))  # "max", no number, where there is no limit
    return min(found)
