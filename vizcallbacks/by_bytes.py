"""Arrays as keys of caches, so that what was made of the same numbers is not made again."""

from __future__ import annotations

import hashlib

import numpy as np


class ByBytes:
    """An array that equals others of the same shape, dtype and bytes, and is not kept once it is taken.

    >>> import functools
    >>> @functools.lru_cache(maxsize=8)
    ... def total(key: ByBytes) -> float:
    ...     return float(key.take().sum())
    >>> total(ByBytes(np.ones(3))), total(ByBytes(np.ones(3))), total.cache_info().hits
    (3.0, 3.0, 1)
    """

    def __init__(self, array: np.ndarray) -> None:
        digest = hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()
        self._identity = array.shape, array.dtype.str, digest
        self._array = array

    def take(self) -> np.ndarray:
        """The array, once: the key that a cache keeps must not hold it."""
        array, self._array = self._array, np.empty(0)
        return array

    def __hash__(self) -> int:
        return hash(self._identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByBytes) and self._identity == other._identity
