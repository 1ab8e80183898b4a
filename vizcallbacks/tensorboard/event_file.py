"""One TensorBoard event file, written record by record; a half-written record is removed.

Records are written unbuffered, with tensorboardX's messages and checksums but not by its `EventsWriter`, which
truncates an existing file of the same name, keeps a buffer that a forked child flushes into its parent's file, and
cannot tell where the last whole record ends when a write fails half-way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

SCALAR_DATA = b"\x20\x01"
"""The field `data_class`, which tensorboardX lacks; without it TensorBoard's default server drops the others."""

REFUSED = "logdir must be a folder of this machine that can be written, got"


class EventFile:
    """An event file with those methods of a SummaryWriter that `Sink` needs; used by one thread."""

    def __init__(self, folder: str, suffix: str, encode: Callable | None, retry_seconds: float):
        self._folder, self._suffix, self._encode, self._retry_seconds = folder, suffix, encode, retry_seconds
        self._file: Any = None
        self._retry_at = 0.0

    def open(self) -> None:
        seconds, fraction = divmod(time.time_ns(), 10**9)  # files are read in the order of their names
        token = secrets.token_hex(4)  # the random module's stream belongs to the training
        unique = f"{socket.gethostname()}.{fraction:09d}.{os.getpid()}.{token}"
        name = f"events.out.tfevents.{seconds:010d}.{unique}{self._suffix}"
        self._path = os.path.join(self._folder, name)
        self._header = self._whole = self._synced = 0  # sizes in bytes
        self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115 (closed by close and _break_off)
        self._append(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._header = self._synced = self._whole

    def add_scalar(self, tag: str, value: float, step: int, walltime: float, description: str = "") -> None:
        point = Summary.Value(tag=tag, simple_value=value)
        if description:
            point.metadata.plugin_data.plugin_name = "scalars"
            point.metadata.summary_description = description
            point.metadata.MergeFromString(SCALAR_DATA)
        self._add(Summary(value=[point]), step, walltime)

    def add_image(self, tag: str, picture: np.ndarray, step: int, walltime: float, dataformats: str) -> None:
        if self._encode is None:
            self._add(summary.image(tag, picture, dataformats=dataformats), step, walltime)
        else:
            self.add_encoded(tag, self._encode(picture), picture.shape[:2], step, walltime)

    def add_encoded(self, tag: str, data: bytes, size: tuple[int, ...], step: int, walltime: float) -> None:
        image = Summary.Image(height=size[0], width=size[1], colorspace=3, encoded_image_string=data)
        self._add(Summary(value=[Summary.Value(tag=tag, image=image)]), step, walltime)

    def add_text(self, tag: str, text: str, step: int, walltime: float) -> None:
        self._add(summary.text(tag, text), step, walltime)

    def flush(self) -> None:
        if self._file is None:
            raise StillDownError("the next job tries again")
        try:
            os.fsync(self._file.fileno())
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, "the event file was deleted", self._path)
        except OSError:
            self._break_off(self._synced)
            raise
        self._synced = self._whole

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # a network disk may report again what flush has reported
                self._file.close()
            self._file = None

    def _add(self, message: Summary, step: int, walltime: float) -> None:
        if self._file is None:
            if time.monotonic() < self._retry_at:
                raise StillDownError(f"not tried again within {self._retry_seconds:g} s")
            self._retry_at = time.monotonic() + self._retry_seconds
            self.open()
        self._append(Event(wall_time=walltime, step=step, summary=message))

    def _append(self, event: Event) -> None:
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        record = (
            length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))
        )
        rest = memoryview(record)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._break_off(self._whole)
            raise
        self._whole += len(record)

    def _break_off(self, size: int) -> None:
        """Leave the first `size` bytes, whole records, or no file if that is only its header."""
        self._retry_at = time.monotonic() + self._retry_seconds
        with contextlib.suppress(
            OSError
        ):  # readers stop at a broken record: what cannot be cut does little harm
            if size > self._header:
                self._file.truncate(size)
                os.fsync(self._file.fileno())
            else:
                os.unlink(self._path)
        self.close()


class StillDownError(OSError):
    """The event file failed before, and it is not yet time for the next try."""


def check_logdir(path: Any) -> None:
    """Raise ValueError unless `path` is a folder that can be written, or made; nothing is made."""
    path = os.fsdecode(path)
    if "://" in path:
        raise ValueError(f"{REFUSED} {path!r}; for remote storage give a SummaryWriter")
    existing = os.path.abspath(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise ValueError(f"{REFUSED} {path!r}, where {existing!r} is no folder; give another path")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{REFUSED} {path!r}, where {existing!r} is read-only to you; give another path")
