"""Arrays and a few facts in one .npz file: written whole or not at all, read without trust.

Probes, snapshots and baselines are such files. Members are stored uncompressed and unpickled, so that reading a
foreign or damaged file takes no more memory than the file has bytes, and runs no code.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

_FACTS = "facts"


def write(path, format: str, schema: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
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
        Of numbers, booleans or strings.
    facts : mapping
        What JSON can hold.

    Raises
    ------
    OSError
        The file could not be written; nothing is left under either name.
    """
    path = os.fspath(path)
    facts = {"format": f"vizcallbacks {format}", "schema": schema, **facts}
    members = {**arrays, _FACTS: np.asarray(json.dumps(facts))}
    temporary = f"{path}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, array in members.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path, format: str, schema: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write` wrote.

    Returns
    -------
    arrays : dict of str to ndarray
    facts : dict

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        The file is damaged, foreign, of another format or of another schema; the message says which.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        try:
            arrays = _members(file)
            facts = json.loads(str(arrays.pop(_FACTS)))
            found = facts.pop("format"), facts.pop("schema")
        except _DAMAGE as error:
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


_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    SyntaxError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
"""What Python's zip reader, numpy's header parser and json raise on bytes that are not theirs."""


def _members(file) -> dict[str, np.ndarray]:
    size = os.fstat(file.fileno()).st_size
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
                raise ValueError(f"member {info.filename!r} is compressed or larger than the file")
            with archive.open(info) as member:
                arrays[info.filename[: -len(".npy")]] = _array(member, info)
    return arrays


def _array(member, info: zipfile.ZipInfo) -> np.ndarray:
    version = np.lib.format.read_magic(member)
    if version != (1, 0):
        raise ValueError(f"member {info.filename!r} has npy version {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    if dtype.hasobject or dtype.kind not in "biufU" or fortran:
        raise ValueError(f"member {info.filename!r} holds {dtype}")
    data = member.read()  # to its end: the checksum is compared there
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"member {info.filename!r} holds {len(data)} bytes for shape {shape} of {dtype}")
    return np.frombuffer(data, dtype).reshape(shape)
