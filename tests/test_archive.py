"""Files are whole or absent, and reading them is safe whatever they hold."""

import errno
import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from vizcallbacks import archive

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

ARRAYS = {
    "int64": np.array([[1, -2], [3, 4]]),
    "uint8": np.arange(5, dtype=np.uint8),
    "float32": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "float64": np.array([np.nan, np.inf, -0.0, 1e-320]),
    "bool": np.array([True, False]),
    "strings": np.array(["", "é😀", "a/b\n"]),
    "one number": np.array(7.5),
    "one string": np.array("x"),
    "empty": np.empty((0, 3), np.float32),
    "also/empty": np.empty((2, 0), bool),
    "big endian": np.arange(3, dtype=">f4"),
}
FACTS = {"step": 3, "when": "epoch 3 é", "none": None, "list": [1, 2.5, "x"], "nested": {"a": [True]}}


@pytest.fixture
def file(tmp_path):
    archive.write(tmp_path / "file.npz", "test", 1, ARRAYS, FACTS)
    return tmp_path / "file.npz"


def read(path):
    return archive.read(path, "test", 1)


def assert_whole(found):
    arrays, facts = found
    assert facts == FACTS
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()


# Writing


def test_what_is_written_is_read_to_the_bit(file):
    assert_whole(read(file))
    assert_whole(read(str(file)))
    assert_whole(read(os.fsencode(file)))
    assert os.listdir(file.parent) == ["file.npz"]


def test_numpy_reads_the_arrays_too(file):
    with np.load(file, allow_pickle=False) as found:
        np.testing.assert_array_equal(found["float32"], ARRAYS["float32"])


def test_equal_contents_give_equal_bytes(file):
    archive.write(file.parent / "other.npz", "test", 1, ARRAYS, FACTS)
    assert (file.parent / "other.npz").read_bytes() == file.read_bytes()


def test_arrays_read_are_read_only(file):
    with pytest.raises(ValueError, match="read-only"):
        read(file)[0]["int64"][0] = 0


def test_arrays_in_any_memory_order_are_written(tmp_path):
    array = np.arange(24.0).reshape(2, 3, 4)
    given = {"fortran": np.asfortranarray(array), "turned": array.T, "strided": array[:, ::-1, ::2]}
    archive.write(tmp_path / "a.npz", "test", 1, given, {})
    for name, found in read(tmp_path / "a.npz")[0].items():
        np.testing.assert_array_equal(found, given[name])


def test_facts_cannot_hide_the_format(tmp_path):
    archive.write(tmp_path / "a.npz", "test", 1, {}, {"format": "another", "schema": 9, "arrays": ["x"]})
    assert read(tmp_path / "a.npz") == ({}, {})


@pytest.mark.parametrize(
    "bad",
    [np.array([{}], object), np.array([1j]), np.array(["2020-01-01"], "M8[D]"), np.zeros(1, "i4,f4")],
    ids=["object", "complex", "time", "record"],
)
def test_arrays_that_could_not_be_read_are_not_written(tmp_path, bad):
    with pytest.raises(TypeError, match="array 'bad' must hold real numbers, booleans or strings, got"):
        archive.write(tmp_path / "a.npz", "test", 1, {"good": np.ones(3), "bad": bad}, {})
    assert os.listdir(tmp_path) == []


def test_facts_that_json_does_not_know_are_not_written(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        archive.write(tmp_path / "a.npz", "test", 1, {}, {"step": np.int64(3)})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_other(file, monkeypatch, error):
    write_array = np.lib.format.write_array
    written: list[np.ndarray] = []

    def failing(member, array, **options):
        if written:
            member.write(b"half an array")
            raise error
        written.append(array)
        write_array(member, array, **options)

    monkeypatch.setattr(np.lib.format, "write_array", failing)
    with pytest.raises(type(error)):
        archive.write(file, "test", 1, {"a": np.ones(9), "b": np.ones(9)}, {})
    assert os.listdir(file.parent) == ["file.npz"]
    assert_whole(read(file))


@pytest.mark.parametrize("limit", [0, 100, 5_000, 99_000, 100_300])
def test_a_full_disk_leaves_nothing_behind(tmp_path, limit):
    """In a process of its own, whose files may not grow beyond `limit` bytes."""
    script = f"""if 1:
        import os, resource, sys, numpy as np
        sys.path.insert(0, {ROOT!r})
        from vizcallbacks import archive
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
        try:
            archive.write("a.npz", "test", 1, {{"a": np.ones(12_500)}}, {{}})
        except OSError as error:
            assert os.listdir() == [], os.listdir()
            raise SystemExit(3)
    """
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (3, b"")


def test_a_folder_that_is_missing_or_in_the_way_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        archive.write(tmp_path / "none" / "a.npz", "test", 1, {}, {})
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(OSError, match="directory"):
        archive.write(tmp_path / "a.npz", "test", 1, {}, {})
    assert os.listdir(tmp_path) == ["a.npz"]


# Reading what others wrote


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read(tmp_path / "none.npz")
    with pytest.raises(OSError, match=tmp_path.name):
        read(tmp_path)


def test_another_format_or_schema_is_named(file):
    with pytest.raises(
        ValueError, match=r"must be a vizcallbacks probe file, but is a vizcallbacks test file"
    ):
        archive.read(file, "probe", 1)
    with pytest.raises(ValueError, match=r"has schema 1, this vizcallbacks reads schema 2; .*make it anew"):
        archive.read(file, "test", 2)


NO_FILE = r"is no readable vizcallbacks test file \(.*; it is damaged or was written by something else"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_numpy_are_refused(tmp_path, save):
    save(tmp_path / "a.npz", images=np.ones(3))
    with pytest.raises(ValueError, match=NO_FILE):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "content", [b"", b"a text", b"PK\x05\x06" + bytes(18), bytes(1000), b"PK\x03\x04" * 99]
)
def test_files_that_are_no_archives_are_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=NO_FILE):
        read(tmp_path / "a.npz")


def test_every_truncated_file_is_refused(file):
    data = file.read_bytes()
    for length in range(0, len(data), 11):
        file.write_bytes(data[:length])
        with pytest.raises(ValueError, match=NO_FILE):
            read(file)


def test_a_flipped_bit_is_noticed_or_harmless(file):
    """A seeded tenth of all places, and all of the zip's directory, one bit each."""
    data = file.read_bytes()
    random = np.random.default_rng(0)
    directory = data.index(b"PK\x01\x02")
    places = [*random.choice(directory, directory // 10, replace=False), *range(directory, len(data))]
    refused = 0
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(random.integers(8))
        file.write_bytes(flipped)
        try:
            found = read(file)
        except ValueError:
            refused += 1
        else:
            assert_whole(found)  # the bit says nothing, such as a date's
    assert refused > len(places) / 2


def test_flipped_data_are_always_noticed(file):
    data = file.read_bytes()
    start = data.index(ARRAYS["float32"].tobytes())
    for place in range(start, start + ARRAYS["float32"].nbytes, 5):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ValueError, match="Bad CRC-32"):
            read(file)


# Reading what an attacker wrote

NPY_FACTS = io.BytesIO()
np.save(NPY_FACTS, np.asarray(json.dumps({"format": "vizcallbacks test", "schema": 1, "arrays": ["a"]})))


def forged(path, member, **options):
    """A file that is right but for its member "a", whose bytes are given."""
    with zipfile.ZipFile(path, "w", **options) as made:
        made.writestr("a.npy", member)
        made.writestr("facts.npy", NPY_FACTS.getvalue())
    return path


def npy(descr="<f8", shape="(3,)", fortran="False", data=bytes(24), version=b"\x01\x00"):
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode() + data


def test_the_forger_of_these_tests_knows_the_format(tmp_path):
    arrays, facts = read(forged(tmp_path / "a.npz", npy()))
    assert (arrays["a"].tolist(), facts) == ([0, 0, 0], {})


def test_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    trap = np.array([Trap()], object)
    np.savez(tmp_path / "b.npz", a=trap, facts=trap)
    member = io.BytesIO()
    np.save(member, trap)
    for path in (tmp_path / "b.npz", forged(tmp_path / "a.npz", member.getvalue())):
        with pytest.raises(ValueError, match="must be a plain array"):
            read(path)
    assert not (tmp_path / "trapped").exists()


MEMBERS = {
    "an expression": npy(shape="(__import__('os').mkdir('trapped'),)"),
    "a shape larger than the data": npy(shape=f"({10**12},)"),
    "a shape that overflows": npy(shape=f"({2**32}, {2**32})"),
    "a negative shape": npy(shape="(-3,)"),
    "a shape that is none": npy(shape="( , )"),
    "an endless shape": npy(shape="(" + "1, " * 9_000 + ")"),
    "an empty array of absurd shape": npy(shape=f"(0, {10**30})", data=b""),
    "an empty item": npy("<U0", data=b""),
    "a large item": npy("<U999999999", data=b""),
    "an unknown item": npy("<f7"),
    "complex numbers": npy("<c16", shape="(2,)", data=bytes(32)),
    "records": npy("<i4,<f4"),
    "Fortran's order": npy(fortran="True"),
    "a later version": npy(version=b"\x02\x00"),
    "less data": npy(data=bytes(23)),
    "more data": npy(data=bytes(32)),
    "a header beyond its length": npy()[:8] + b"\x10\x00" + npy()[10:],
    "a deep header": b"\x93NUMPY\x01\x00\x60\xea" + b"-" * 59_999 + b"\n",
    "no header": b"\x93NUMPY",
    "nothing": b"",
}


@pytest.mark.parametrize("case", MEMBERS)
def test_forged_arrays_are_refused_without_memory_or_warnings(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forged(tmp_path / "a.npz", MEMBERS[case])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=NO_FILE):
            read(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert os.listdir(tmp_path) == ["a.npz"]


def test_a_zip_bomb_is_refused_unread(tmp_path):
    bomb = npy(shape="(100000000,)", descr="|u1", data=bytes(100_000_000))
    forged(tmp_path / "a.npz", bomb, compression=zipfile.ZIP_DEFLATED)
    assert os.path.getsize(tmp_path / "a.npz") < 200_000
    del bomb
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"member 'a\.npy' is compressed, or larger than the file"):
            read(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_members_that_overlap_cannot_add_up_to_a_bomb(tmp_path):
    """A directory with the same member 200 times."""
    path = forged(tmp_path / "a.npz", npy(shape="(100000,)", descr="|u1", data=bytes(100_000)))
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    first = data.index(b"PK\x01\x02", start + 1) - start
    directory = data[start : start + first] * 200 + data[start + first : end]
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 202, 202, len(directory), start, 0)
    path.write_bytes(data[:start] + directory + last)
    with pytest.raises(ValueError, match=NO_FILE):
        read(path)


def test_a_size_that_lies_takes_no_memory(tmp_path):
    """The directory says that the stored member has two gigabytes, in the file or once read."""
    path = forged(tmp_path / "a.npz", npy())
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    for offset in (20, 24):
        lying = bytearray(data)
        lying[start + offset : start + offset + 4] = struct.pack("<L", 2**31)
        path.write_bytes(lying)
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="larger than the file"):
                read(path)
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "facts",
    ["[]", "null", '"text"', "{}", "{", "[" * 100_000, '{"format": "vizcallbacks test", "schema": 1}'],
    ids=["a list", "null", "a text", "empty", "open", "deep", "without names"],
)
def test_forged_facts_are_refused(tmp_path, facts):
    np.savez(tmp_path / "a.npz", facts=np.asarray(facts))
    with pytest.raises(ValueError, match=NO_FILE):
        read(tmp_path / "a.npz")


def test_members_that_were_taken_out_or_renamed_are_missed(tmp_path, file):
    with zipfile.ZipFile(file) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    for missing in ("int64.npy", "also/empty.npy"):
        for replacement in (None, "other.npy"):
            with zipfile.ZipFile(tmp_path / "a.npz", "w") as made:
                for name, data in members.items():
                    if name != missing:
                        made.writestr(name, data)
                    elif replacement is not None:
                        made.writestr(replacement, data)
            with pytest.raises(ValueError, match="which are not those written"):
                read(tmp_path / "a.npz")
