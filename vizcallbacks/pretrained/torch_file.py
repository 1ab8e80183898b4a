"""Weights out of a file that torch wrote, without torch, and safely: nothing in the file is executed.

The format is the one that `torch.save` wrote until version 1.5, and writes today with
``_use_new_zipfile_serialization=False``: four pickles (a magic number, the protocol, facts about the machine,
the object), one more with the keys of the storages, then each storage as a count and its raw numbers. Pickles
are programs. The reader here knows three names (an ordered dictionary, a tensor, a storage), refuses every other
name, and builds nothing but views of the file's bytes.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from io import BytesIO
from math import prod
from reprlib import repr as shortened
from typing import Any, ClassVar

import numpy as np

from ..archive import DAMAGE

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
MOST_AXES = 32  # of a tensor: NumPy's own limit before version 2
_DTYPES = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "BoolStorage": "?",
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "<i2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}


def read_state_dict(data: bytes, name: str = "the file") -> dict[str, np.ndarray]:
    """The tensors of a state dict, by name.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What error messages call it.

    Returns
    -------
    dict of str to ndarray
        In the file's order; read-only views of `data`.

    Raises
    ------
    ValueError
        The file is damaged, cut off or not torch's, is in the newer zip format, or holds anything but a
        dictionary of names and plain tensors: on the CPU, inside their storage and not larger than it, of the
        types float16 to float64, bool, int8 to int64, uint8. No function that the file names has been called.
    """
    if data[:4] == b"PK\x03\x04":
        raise ValueError(
            f"{name} must be in torch's format from before version 1.6, got the newer zip format; in torch: "
            "torch.save(state_dict, path, _use_new_zipfile_serialization=False)"
        )
    stream = BytesIO(data)
    try:
        magic, protocol, machine, found, keys = (_Reader(stream).load() for _ in range(5))
        if (magic, protocol) != (_MAGIC, _PROTOCOL) or machine["little_endian"] is not True:
            raise ValueError("its head is not that of torch's format, little-endian")
        storages = _storages(data, stream.tell(), keys, _tensors(found))
        return {key: tensor.view_of(storages) for key, tensor in _tensors(found).items()}
    except _DAMAGE as error:
        raise ValueError(
            f"{name} must hold a dictionary of plain tensors as torch saves it, and is damaged or something else "
            f"({type(error).__name__}: {error}); get it anew"
        ) from error


_DAMAGE = (*DAMAGE, pickle.UnpicklingError, MemoryError)
"""What Python's pickle reader and numpy raise on bytes that are not theirs (RecursionError is a RuntimeError)."""


class _Tensor:
    """A tensor as the pickle describes it; its numbers come later in the file. Slots: nothing can be added to
    it."""

    __slots__ = ("_key", "_kind", "_offset", "_shape", "_size", "_strides")

    def __init__(self, storage: Any, offset: Any, shape: Any, strides: Any) -> None:
        mark, kind, key, device, size, part = storage
        facts = (size, offset, *shape, *strides)
        if not all(type(number) is int and 0 <= number < 2**63 for number in facts):
            raise ValueError(f"a tensor's sizes must be whole numbers below 2**63, got {shortened(facts)}")
        if mark != "storage" or type(key) is not str or part is not None or device != "cpu":
            raise ValueError(f"a tensor must lie in a whole storage on the CPU, got {shortened(storage)}")
        if len(shape) > MOST_AXES:
            raise ValueError(f"a tensor must have at most {MOST_AXES} axes, got {len(shape)}")
        # a step along an axis of length 1 is never taken, but NumPy multiplies it
        steps = [step if n > 1 else 0 for n, step in zip(shape, strides)]
        last = offset + sum((n - 1) * step for n, step in zip(shape, steps))
        # not larger than the storage: a tensor of steps 0 would take any amount of memory when copied
        if len(strides) != len(shape) or prod(shape) > size or (prod(shape) > 0 and last >= size):
            raise ValueError(f"a tensor of shape {shape} at {offset} must fit into its storage of {size}")
        self._kind, self._key, self._size = _kind(kind), key, size
        self._offset, self._shape, self._strides = offset, tuple(shape), tuple(steps)

    @property
    def storage(self) -> tuple[str, str, int]:
        """Key, dtype and number of elements of the storage."""
        return self._key, self._kind, self._size

    def view_of(self, storages: dict[str, np.ndarray]) -> np.ndarray:
        if prod(self._shape) == 0:
            return np.zeros(self._shape, self._kind)
        start = storages[self._key][self._offset :]
        steps = tuple(step * start.itemsize for step in self._strides)
        return np.lib.stride_tricks.as_strided(start, self._shape, steps, writeable=False)


class _Rebuild:
    """Stands for the function by which torch's pickles make tensors. Slots: a pickle cannot change it."""

    __slots__ = ()

    def __call__(
        self, storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any, *more: Any
    ) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)


class _Ordered:
    """Stands for the ordered dictionary, whose keys are checked here as well."""

    __slots__ = ()

    def __call__(self, pairs: Any = ()) -> OrderedDict:
        return OrderedDict((_key(key), value) for key, value in pairs)


def _key(key: Any) -> str | int:
    """A dictionary's key, checked: a tuple that holds another twice, nested forty deep, takes for ever to hash."""
    if type(key) not in (str, int):
        raise ValueError(f"it must hold names and tensors only, got a {type(key).__name__} for a name")
    return key


_PythonsReader: Any = pickle._Unpickler


class _Reader(_PythonsReader):
    """Knows three names; see `_kind` for the storages, which stand for themselves as texts.

    It extends Python's own reader, not the one in C, which takes any amount of memory that a few bytes ask for.
    """

    dispatch: ClassVar[dict] = dict(_PythonsReader.dispatch)
    for _code in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET, pickle.BYTEARRAY8):
        del dispatch[_code[0]]  # no tensor needs them, and they hash, or take memory, unchecked
    del _code

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({_key(key): value for key, value in zip(items[::2], items[1::2])})

    def load_setitem(self) -> None:
        _key(self.stack[-2])
        super().load_setitem()

    def load_setitems(self) -> None:
        for key in self.stack[::2]:
            _key(key)
        super().load_setitems()

    dispatch.update(
        {pickle.DICT[0]: load_dict, pickle.SETITEM[0]: load_setitem, pickle.SETITEMS[0]: load_setitems}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Ordered()
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no tensor needs")

    def persistent_load(self, storage: Any) -> Any:
        return storage


def _kind(name: Any) -> str:
    if not isinstance(name, str) or name not in _DTYPES:
        raise ValueError(f"a storage must be one of {', '.join(_DTYPES)}, got {shortened(name)}")
    return _DTYPES[name]


def _tensors(found: Any) -> dict[str, _Tensor]:
    if not isinstance(found, dict):
        raise ValueError(f"it must hold a dictionary of names and tensors, got {type(found).__name__}")
    for key, tensor in found.items():
        if not isinstance(key, str) or not isinstance(tensor, _Tensor):
            raise ValueError(
                f"it must hold names and tensors only, got {type(tensor).__name__} at {shortened(key)}"
            )
    return dict(found)


def _storages(data: bytes, position: int, keys: Any, tensors: dict[str, _Tensor]) -> dict[str, np.ndarray]:
    """The storages behind the pickles, in the order of `keys`: a count in 8 bytes, then the numbers."""
    wanted: dict[str, tuple[str, int]] = {}
    for key, kind, size in (tensor.storage for tensor in tensors.values()):
        if wanted.setdefault(key, (kind, size)) != (kind, size):
            raise ValueError(
                f"storage {key} must be one of {wanted[key]} for all of its tensors, got {kind, size}"
            )
    if type(keys) is not list or not all(type(key) is str for key in keys) or sorted(keys) != sorted(wanted):
        raise ValueError(f"its {len(keys)} storages must be the {len(wanted)} that its tensors lie in")
    found = {}
    for key in keys:
        kind, size = wanted[key]
        count = int.from_bytes(data[position : position + 8], "little", signed=True)
        if count != size:
            raise ValueError(f"storage {key} must have {size} elements, got {count}")
        found[key] = np.frombuffer(data, kind, count, position + 8)
        position += 8 + found[key].nbytes
    if position != len(data):
        raise ValueError(f"it must end with its last storage, got {len(data) - position} bytes more")
    return found
