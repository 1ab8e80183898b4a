"""Files of others are opened only if they are regular and this machine can hold them."""

from __future__ import annotations

import os
import socket

import pytest

from vizcallbacks import archive, files
from vizcallbacks.files import memory, open_regular


def test_a_regular_file_is_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for name in ("a", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"abc"


def _socket(path):
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.close()  # its place in the folder stays


IRREGULAR = {
    # kind -> how it is made, what it is refused with
    "pipe": (os.mkfifo, "must be a regular file, got a pipe, a device or the like"),
    "device": (lambda path: os.symlink("/dev/zero", path), "must be a regular file, got a pipe, a device"),
    "folder": (os.mkdir, "Is a directory"),
    "socket": (_socket, "No such device"),
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_nothing_else_is_read_or_waited_for(kind, tmp_path):
    make, message = IRREGULAR[kind]
    make(str(tmp_path / "x"))
    for read in (open_regular, lambda path: archive.read(path, "snapshot", 1)):
        with pytest.raises((ValueError, OSError), match=message):
            read(str(tmp_path / "x"))


def test_files_are_closed_after_an_error(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for _ in range(5):
        with pytest.raises(ValueError, match="regular file"):
            open_regular(tmp_path / "pipe")
    held = [os.path.realpath(f"/proc/self/fd/{descriptor}") for descriptor in os.listdir("/proc/self/fd")]
    assert os.path.realpath(tmp_path / "pipe") not in held


def test_a_file_larger_than_the_bound_is_refused_and_the_bound_is_said(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"abc")
    open_regular(tmp_path / "a", 3).close()
    with pytest.raises(
        ValueError, match=r"at most 2 bytes \(the most for such a file\), and has 3; give another"
    ):
        open_regular(tmp_path / "a", 2)
    monkeypatch.setattr(files, "memory", lambda: 4)
    with pytest.raises(
        ValueError, match=r"at most 2 bytes \(half of the memory here\), and has 3; give another"
    ):
        archive.read(tmp_path / "a", "snapshot", 1)


def test_the_memory_is_the_machines_or_the_containers(tmp_path, monkeypatch):
    with open("/proc/meminfo", encoding="ascii") as file:
        machine = 1024 * int(file.readline().split()[1])
    assert memory() <= machine
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(files, "_LIMITS", (str(limit), str(tmp_path / "none")))
    assert memory() == machine
    limit.write_text("max\n")
    assert memory() == machine
    limit.write_text("1000000\n")
    assert memory() == 1000000
