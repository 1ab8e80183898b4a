"""Arrays and a few facts in one .npz file: written whole or not at all, read safely.

Probes, snapshots and baselines are such files. Members are stored uncompressed and unpickled, so that reading a
foreign or damaged file takes no more memory than the file has bytes, and runs no code. `numpy.load` reads them
too.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from .files import open_regular

_FACTS = "facts"
_KINDS = "biufU"  # of NumPy's dtypes: what is written and read


def write(
    path: str | os.PathLike[str],
    format: str,
    schema: int,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
) -> None:
    """Write a file under a temporary name beside `path`, then rename it.

    Parameters
    ----------
    path : str or os.PathLike
        In an existing folder; an existing file is replaced.
    format : str
        What the file is, such as "snapshot".
    schema : int
        Version of the format.
    arrays : mapping of str to ndarray
        Of real numbers, booleans or strings; the names are plain words.
    facts : mapping
        What JSON can hold.

    Raises
    ------
    OSError
        The file could not be written; an older one is as it was, and no temporary one is left.
    TypeError
        An array or a fact is of another type; nothing is written.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in _KINDS:
            raise TypeError(f"array {name!r} must hold real numbers, booleans or strings, got {array.dtype}")
    facts = {**facts, "format": f"vizcallbacks {format}", "schema": schema, "arrays": list(arrays)}
    members = {**arrays, _FACTS: np.asarray(json.dumps(facts))}
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of the one at `path` when the block is left without an error.

    Raises
    ------
    OSError
        It could not be written; an older file is as it was, and no temporary one is left.
    """
    path = os.fsdecode(path)
    temporary = f"{path}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(
    path: str | os.PathLike[str], format: str, schema: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write` wrote.

    Returns
    -------
    arrays : dict of str to ndarray
        Read-only, in C order.
    facts : dict

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        The file is damaged, foreign, of another format or of another schema; the message says which. So it is for
        what is no regular file, and for one larger than half of the memory, of which nothing is read.
    """
    path = os.fsdecode(path)
    with open_regular(path) as file:
        try:
            arrays = _members(file)
            facts = json.loads(arrays.pop(_FACTS).item())
            found = facts.pop("format"), facts.pop("schema")
            if list(arrays) != facts.pop("arrays"):
                raise ValueError(f"it holds the members {', '.join(arrays)}, which are not those written")
        except DAMAGE as error:
            raise ValueError(
                f"{path} is no readable vizcallbacks {format} file ({type(error).__name__}: {error}); "
                "it is damaged or was written by something else: make it anew"
            ) from error
    if found[0] != f"vizcallbacks {format}":
        raise ValueError(f"{path} must be a vizcallbacks {format} file, but is a {found[0]} file")
    if found[1] != schema:
        raise ValueError(
            f"{path} has schema {found[1]}, this vizcallbacks reads schema {schema}; "
            "read it with the version that wrote it, or make it anew"
        )
    return arrays, facts


DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    RuntimeError,
)
"""What Python's zip reader, numpy and json raise on bytes that are not theirs."""

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"\{'descr': '([<>|][%b]\d{1,9})', 'fortran_order': False, 'shape': \(([\d, ]{0,999})\), \} *\n"
    % _KINDS.encode(),
    re.DOTALL,
)
"""The start of a .npy file as numpy writes it. Its own reader would have Python evaluate what stands there."""


def _members(file: BinaryIO) -> dict[str, np.ndarray]:
    left = os.fstat(file.fileno()).st_size  # bytes that members may take: they might claim to overlap
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            left -= info.file_size
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or left < 0:
                raise ValueError(f"member {info.filename!r} is compressed, or larger than the file")
            data = archive.read(info)  # and its checksum is compared
            arrays[info.filename.removesuffix(".npy")] = _array(data, info.filename)
    return arrays


def _array(data: bytes, name: str) -> np.ndarray:
    header = _HEADER.match(data)
    if not header or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise ValueError(f"member {name!r} must be a plain array, but begins with {data[:80]!r}")
    dtype = np.dtype(header[2].decode())
    shape = tuple(int(length) for length in header[3].split(b",") if length)
    if math.prod(shape) * dtype.itemsize != len(data) - header.end():
        raise ValueError(f"member {name!r} holds {len(data)} bytes for shape {shape} of {dtype}")
    return np.frombuffer(data, dtype, offset=header.end()).reshape(shape)
