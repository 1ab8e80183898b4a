"""The reader of torch's files: what torch wrote is read, anything else is refused and nothing in it runs."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import re
import struct
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from vizcallbacks.pretrained import torch_file
from vizcallbacks.pretrained.torch_file import read_state_dict

ROOT = Path(__file__).parents[2]
MAGIC, PROTOCOL = 119547037146038801333356, 1001
MACHINE = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


class Storage:
    """What stands for a storage in the pickle: its persistent id, and its numbers."""

    def __init__(self, array, key="1", kind="FloatStorage", device="cpu", size=None):
        self.array, self.key, self.kind, self.device = np.asarray(array), key, kind, device
        self.size = self.array.size if size is None else size


class Tensor:
    """Pickled by torch's own name for the function that rebuilds it."""

    def __init__(self, storage, shape, strides, offset=0):
        self.arguments = (storage, offset, tuple(shape), tuple(strides), False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


@pytest.fixture
def torch_names(monkeypatch):
    """Modules by torch's names, so that Python's own pickler writes them; the reader does without."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        raise AssertionError("torch's name was called")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in ("HalfStorage", "FloatStorage", "LongStorage", "BoolStorage", "IntStorage", "FooStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def written(found, storages=(), parts=None, protocol=2):
    """A file as torch's legacy format says: pickles, keys, then counts and numbers."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, one):
            if not isinstance(one, Storage):
                return None
            kind = getattr(sys.modules["torch"], one.kind)
            return "storage", kind, one.key, one.device, one.size, None

    stream = io.BytesIO()
    for part in parts or (MAGIC, PROTOCOL, MACHINE, found, [one.key for one in storages]):
        Pickler(stream, protocol).dump(part)
    for one in storages:
        stream.write(struct.pack("<q", one.array.size) + one.array.tobytes())
    return stream.getvalue()


def one_tensor(**options):
    storage = Storage(np.arange(6, dtype="<f4"), **options)
    return {"weight": Tensor(storage, (2, 3), (3, 1))}, [storage]


def test_tensors_of_every_layout_are_read(torch_names):
    numbers = Storage(np.arange(24, dtype="<f4"), "7")
    whole = Storage(np.array([3, -4], "<i8"), "8", "LongStorage")
    half = Storage(np.array([0.5, 2], "<f2"), "9", "HalfStorage")
    flags = Storage(np.array([True, False]), "10", "BoolStorage")
    state = OrderedDict(
        plain=Tensor(numbers, (2, 3, 4), (12, 4, 1)),
        permuted=Tensor(numbers, (4, 3, 2), (1, 4, 12)),
        part=Tensor(numbers, (2, 2), (4, 1), offset=13),
        scalar=Tensor(whole, (), (), offset=1),
        empty=Tensor(whole, (0, 5), (5, 1)),
        half=Tensor(half, (2,), (1,)),
        flags=Tensor(flags, (2,), (1,)),
    )
    state._metadata = OrderedDict()  # torch hangs it on: the pickle has a BUILD
    found = read_state_dict(written(state, [numbers, whole, half, flags]))
    count = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert list(found) == list(state)
    np.testing.assert_array_equal(found["plain"], count)
    np.testing.assert_array_equal(found["permuted"], count.transpose(2, 1, 0))
    np.testing.assert_array_equal(found["part"], [[13, 14], [17, 18]])
    assert found["scalar"].shape == ()
    assert found["scalar"] == -4
    assert found["scalar"].dtype == np.int64
    assert found["empty"].shape == (0, 5)
    assert found["half"].tolist() == [0.5, 2]
    assert found["flags"].tolist() == [True, False]
    assert not any(array.flags.writeable for name, array in found.items() if array.size)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in the dictionary"])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, protocol, place, inside):
    trap = tmp_path / "ran"
    evil = Evil(os.mkdir, str(trap))
    parts = [MAGIC, PROTOCOL, MACHINE, {}, []]
    parts[place] = {"weight": evil} if inside else evil
    with pytest.raises(ValueError, match=r"names (posix|nt)\.mkdir, which no tensor needs"):
        read_state_dict(written(None, parts=parts, protocol=protocol))
    assert not trap.exists()
    os.mkdir(trap)  # the name is right: had it run, it would have been seen
    assert trap.exists()


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (b"cbuiltins\neval\n(V1+1\ntR.", "builtins.eval"),
        (b"(V1+1\nibuiltins\neval\n.", "builtins.eval"),
        (b"\x80\x04\x8c\x05torch\x8c\x04load\x93.", "torch.load"),
        (b"ctorch\n_utils._rebuild_tensor_v2\n.", "torch._utils._rebuild_tensor_v2"),
        (b"\x80\x04\x8c\x0ctorch._utils\x8c\x1e_rebuild_tensor_v2.__globals__\x93.", "torch._utils"),
        (b"ccollections\nnamedtuple\n.", "collections.namedtuple"),
    ],
)
def test_every_way_to_name_a_function_is_refused(program, name):
    with pytest.raises(ValueError, match=f"names {name}"):
        read_state_dict(program)


def test_a_pickle_cannot_change_the_reader(torch_names):
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    with pytest.raises(ValueError, match="AttributeError"):
        read_state_dict(rebuild + b"(N(dVhook\nI1\nstb.")  # sets an attribute on what the name stands for
    found, storages = one_tensor()
    assert read_state_dict(written(found, storages))["weight"].sum() == 15
    assert not vars(torch_file._Rebuild).get("hook")


def test_a_file_cut_off_anywhere_is_refused(torch_names):
    data = written(*one_tensor())
    assert read_state_dict(data)["weight"].shape == (2, 3)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="the file must hold a dictionary of plain tensors"):
            read_state_dict(data[:length])


def test_more_bytes_than_its_numbers_are_refused(torch_names):
    with pytest.raises(ValueError, match="got 3 bytes more"):
        read_state_dict(written(*one_tensor()) + b"abc")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"text\n" * 50, bytes(1000), b"\x80\x02}q\x00."],
    ids=["empty", "PNG", "text", "zeros", "another pickle"],
)
def test_a_foreign_file_is_refused(data):
    with pytest.raises(ValueError, match="weights.pth must hold a dictionary of plain tensors"):
        read_state_dict(data, "weights.pth")


def test_torchs_newer_format_is_told():
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(2))  # a zip file, as torch's newer format is
    with pytest.raises(ValueError, match="newer zip format; in torch: torch.save"):
        read_state_dict(stream.getvalue())


def in_storage(*layout, **options):
    storage = Storage(np.arange(6, dtype="<f4"), **options)
    return {"weight": Tensor(storage, *layout)}, [storage]


@pytest.mark.parametrize(
    ("layout", "options", "words"),
    [
        (((2, 4), (4, 1)), {}, "must fit into its storage of 6"),
        (((2, 3), (3, 1), 1), {}, "must fit into its storage of 6"),
        (((2, 3), (100, 1)), {}, "must fit into its storage of 6"),
        (((10**9,), (0,)), {}, "must fit into its storage of 6"),
        (((2, 3), (3,)), {}, "must fit into its storage of 6"),
        (((-2, 3), (3, 1)), {}, "whole numbers"),
        (((2, 3), (-3, 1)), {}, "whole numbers"),
        (((2.0, 3), (3, 1)), {}, "whole numbers"),
        (((2, 3), (2**63, 1)), {}, "whole numbers below"),
        (((1,) * 33, (1,) * 33), {}, "at most 32 axes, got 33"),
        (((2, 3), (3, 1)), {"device": "cuda:0"}, "on the CPU"),
        (((2, 3), (3, 1)), {"kind": "FooStorage"}, "torch.FooStorage, which no tensor needs"),
        (((2, 3), (3, 1)), {"size": 7}, "storage 1 must have 7 elements, got 6"),
    ],
)
def test_a_tensor_that_does_not_fit_its_numbers_is_refused(torch_names, layout, options, words):
    with pytest.raises(ValueError, match=words):
        read_state_dict(written(*in_storage(*layout, **options)))


def test_the_step_along_an_axis_of_length_1_does_not_matter(torch_names):
    found, storages = in_storage((1, 6, 1), (2**62, 1, 2**63 - 1))
    assert read_state_dict(written(found, storages))["weight"].tolist() == [[[n] for n in range(6)]]
    found, storages = in_storage((1,) * 32, (6,) * 32)
    assert read_state_dict(written(found, storages))["weight"].ndim == 32


OTHERS = {"larger": {"size": 2**30}, "smaller": {"size": 5}, "another kind": {"kind": "LongStorage"}}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("other", OTHERS)
def test_tensors_that_tell_different_things_of_one_storage_are_refused(torch_names, other, first):
    """A reader that believes one of them would let the other read beyond the file's bytes."""
    right, storages = one_tensor()
    wrong = {"other": Tensor(Storage(np.arange(6, dtype="<f4"), **OTHERS[other]), (2, 2), (2, 1))}
    found = {**wrong, **right} if first else {**right, **wrong}
    with pytest.raises(ValueError, match=r"storage 1 must be one of \('<.*for all of its tensors, got \('<"):
        read_state_dict(written(found, storages))


def nested(end):
    """A pickle of a tuple that holds another twice, which holds another twice, ... 2 ** 60 in all; then `end`."""
    return b"\x80\x02)" + b"".join(b"q%c0h%ch%c\x86" % (n, n, n) for n in range(60)) + end


BOMBS = {
    # what hashing, comparing, printing or making room for would take for ever, or all memory
    "a key": b"\x80\x02}" + nested(b"K\x01s.")[2:],
    "a key of several": b"\x80\x02}(" + nested(b"K\x01u.")[2:],
    "a key of a dictionary at once": b"\x80\x02(" + nested(b"K\x01d.")[2:],
    "a key of an ordered dictionary": b"\x80\x02ccollections\nOrderedDict\n]"
    + nested(b"K\x01\x86a\x85R.")[2:],
    "a member of a set": b"\x80\x04\x8f(" + nested(b"\x90.")[2:],
    "a member of a frozen set": b"\x80\x04(" + nested(b"\x91.")[2:],
    "a magic number": nested(b"."),
    "a memo of 2**31 entries": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "an array of 2**40 bytes": b"\x80\x05\x96\x00\x00\x00\x00\x00\x01\x00\x00.",
    "bytes of 2**40": b"\x80\x04\x8e\x00\x00\x00\x00\x00\x01\x00\x00.",
    "a frame of 2**40 bytes": b"\x80\x04\x95\x00\x00\x00\x00\x00\x01\x00\x00.",
}


def test_a_few_bytes_cannot_take_all_time_or_memory(tmp_path):
    """In a process of its own, with 2 GB of memory."""
    for number, place in itertools.product(range(len(BOMBS)), (0, 3)):
        parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, MACHINE, {}, [])]
        parts[place] = list(BOMBS.values())[number]
        (tmp_path / f"{number}-{place}.pth").write_bytes(b"".join(parts))
    code = """
import re, resource, sys
from vizcallbacks.pretrained.torch_file import read_state_dict
def peak():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1])
before = peak()
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        data = file.read()
    try:
        read_state_dict(data)
    except ValueError:
        assert peak() < before + 50_000, path
    else:
        raise SystemExit(path)
print("all refused")
"""
    line = [sys.executable, "-c", code, *map(str, tmp_path.iterdir())]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("all refused\n", "")


@pytest.mark.parametrize("found", [[1, 2], {"a": 1.5}, {"a": {"b": None}}, {3: None}, None, "text"])
def test_anything_but_names_and_tensors_is_refused(found):
    with pytest.raises(ValueError, match="must hold (a dictionary of )?names and tensors"):
        read_state_dict(written(found))


def test_storages_that_are_not_those_of_the_tensors_are_refused(torch_names):
    found, storages = one_tensor()
    with pytest.raises(ValueError, match="its 2 storages must be the 1 that its tensors lie in"):
        read_state_dict(written(found, [*storages, Storage(np.zeros(2, "<f4"), "2")]))


def test_any_changed_byte_gives_tensors_or_a_clear_error(torch_names):
    plain, generator = written(*one_tensor()), np.random.default_rng(0)
    refused = 0
    for _ in range(3000):
        data = bytearray(plain)
        data[generator.integers(len(data))] = generator.integers(256)
        try:
            found = read_state_dict(bytes(data))
        except ValueError:
            refused += 1
        else:
            assert all(isinstance(array, np.ndarray) for array in found.values())
    assert refused > 1000


def test_mutated_files_give_tensors_of_their_own_bytes_or_a_clear_error(torch_names, tmp_path):
    """By hand with more: ``python -m tests.pretrained.fuzz_torch_file FILE 100000``."""
    numbers, flags = (
        Storage(np.arange(24, dtype="<f4"), "7"),
        Storage(np.array([True, False]), "10", "BoolStorage"),
    )
    state = {
        "plain": Tensor(numbers, (2, 3, 4), (12, 4, 1)),
        "part": Tensor(numbers, (1, 2, 2), (9, 4, 1), offset=13),
        "flags": Tensor(flags, (2,), (1,)),
    }
    (tmp_path / "a.pth").write_bytes(written(state, [numbers, flags]))
    line = [sys.executable, "-m", "tests.pretrained.fuzz_torch_file", tmp_path / "a.pth", "4000"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    read, refused = map(int, re.findall(r"(\d+) (?:read|refused)", done.stdout))
    assert read + refused == 4000
    assert read > 300
    assert refused > 1000
