"""The document of a view, as its script gets it, read by another way than the script's."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np


def opened(pack):
    """The document and its parts."""
    raw = zlib.decompress(pack)
    (length,) = struct.unpack("<I", raw[:4])
    found = json.loads(raw[4 : 4 + length])
    ends = 4 + length + np.cumsum([0, *found["parts"]])
    return found, [raw[a:b] for a, b in zip(ends, ends[1:])]
