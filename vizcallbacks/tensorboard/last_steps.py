"""What a run's event files hold already: the last step of each tag, read without reading the pictures."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_BEGINNING = 600  # bytes of a record that hold its step and its tag, which are written first


def last_steps(folder: str | os.PathLike) -> dict[str, int]:
    """Tag -> the step of the last record under it, over all event files of a folder in the order of their names.

    Records of other writers, with several values or none, count as far as they can be understood; a file that
    ends inside a record is read up to that record.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    found: dict[str, int] = {}
    for path in sorted(Path(folder).glob("*tfevents*")):
        with open(path, "rb", buffering=0) as file:
            size, place = os.fstat(file.fileno()).st_size, 0
            while place + 12 <= size:
                head = os.pread(file.fileno(), 12 + _BEGINNING, place)
                (length,) = struct.unpack_from("<Q", head)
                if place + 16 + length > size:
                    break
                tag, step = _tag_and_step(head[12 : 12 + length])
                if tag is not None:
                    found[tag] = step
                place += 16 + length
    return found


def _tag_and_step(event: bytes) -> tuple[str | None, int]:
    """Of an Event message: its field 2, and field 1 (tag) of field 1 (value) of its field 5 (summary)."""
    step, place = 0, 0
    try:
        while place < len(event):
            key, place = _varint(event, place)
            if key == 9:  # wall_time, a double
                place += 8
            elif key == 16:
                step, place = _varint(event, place)
            elif key == 42:  # the summary
                for expected in (10, 10):  # its first value; that one's tag
                    _, place = _varint(event, place)
                    key, place = _varint(event, place)
                    if key != expected:
                        return None, step
                length, place = _varint(event, place)
                return event[place : place + length].decode(), step
            else:
                return None, step
    except (IndexError, UnicodeDecodeError):
        pass
    return None, step


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """The number that begins at `place`, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
