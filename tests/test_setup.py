"""examples/setup.sh: the newest Python that fits, one that uv fetches, or words on what is needed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "setup.sh"
TOOLS = ("sh", "sed", "grep", "sort", "mktemp", "rm", "dirname", "cat", "id", "tr")


@pytest.fixture
def place(tmp_path):
    """A copy of the script in a folder of its own, and a folder that is all of the PATH, with no Python in it."""
    (tmp_path / "examples").mkdir()
    shutil.copy(SCRIPT, tmp_path / "examples")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def find(place, **environment):
    """Run the script to see which Python it takes."""
    environment = {**os.environ, "PATH": str(place / "bin"), "HOME": str(place), **environment}
    environment = {name: value for name, value in environment.items() if value is not None}
    line = [shutil.which("sh"), "examples/setup.sh", "--python"]
    return subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True, timeout=900)


def put(place, name, program):
    (place / "bin" / name).write_text(f"#!{shutil.which('sh')}\n{program}\n")
    (place / "bin" / name).chmod(0o755)


def other_version(place, name):
    """A Python that works but is of another version, as the script asks for it."""
    put(place, name, f"""case "$2" in *"3, 9"*) exit 1;; esac\nexec '{sys.executable}' "$@" """)


def test_the_newest_of_the_path_is_taken(place):
    real = f"exec '{sys.executable}' \"$@\""
    put(place, "python3.9", real)
    put(place, "python3.10", real)
    put(place, "python3.12", "exit 127")  # as a shim of pyenv's that has none behind it
    other_version(place, "python3")
    done = find(place, PYTHON=None)
    assert (done.stdout, done.stderr) == (f"{place}/bin/python3.10\n", "")


def test_pyenvs_are_taken_too_without_being_on_the_path(place):
    home = place / "versions of pyenv" / "3.9.18"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").symlink_to(sys.executable)
    put(
        place,
        "pyenv",
        f"""
case "$*" in
"versions --bare") printf '3.9.2\\n3.9.18\\n3.13.0\\nother\\n';;
"prefix 3.9.18") echo '{home}';;
*) exit 1;;
esac""",
    )
    other_version(place, "python3")
    done = find(place, PYTHON=None)
    assert (done.stdout, done.stderr) == (f"{home}/bin/python\n", "")


def test_the_one_that_is_named_is_taken_or_refused(place):
    put(place, "python3.9", f"exec '{sys.executable}' \"$@\"")
    assert find(place, PYTHON=sys.executable).stdout == f"{sys.executable}\n"
    other_version(place, "other")
    for named in ("other", "/no/such/python"):
        done = find(place, PYTHON=named)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"setup.sh: PYTHON={named} is none that fits\n" in done.stderr
        assert "needs Python 3.9, 3.10, 3.11 or 3.12: install one, or name it: PYTHON=" in done.stderr


def test_without_a_python_that_makes_environments_it_says_what_is_needed(place):
    put(place, "python3", "exit 1")
    done = find(place, PYTHON=None)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "there is no Python 3.9 to 3.12 here: uv, installed from PyPI for this, fetches 3.12" in done.stderr
    )
    assert "python3 with venv is missing, too" in done.stderr
    assert "needs Python 3.9, 3.10, 3.11 or 3.12: install one" in done.stderr


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """An archive of a Python 3.12 of this machine, as uv's are made, and a list for uv that names it alone."""
    line = [shutil.which("sh"), str(SCRIPT), "--python"]
    newest = subprocess.run(
        line,
        env={n: v for n, v in os.environ.items() if n != "PYTHON"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    code = "import sys; print(sys.base_prefix, '.'.join(map(str, sys.version_info[:3])))"
    told = subprocess.run([newest, "-c", code], capture_output=True, text=True, check=True).stdout
    prefix, version = told.split()
    assert version.startswith("3.12."), "the tests need a Python 3.12, in pyenv or on the PATH"
    folder = tmp_path_factory.mktemp("uv")
    with tarfile.open(folder / "python.tar.gz", "w:gz", compresslevel=1) as archive:
        for path in ("bin/python3.12", "lib/python3.12", "include/python3.12"):
            archive.add(f"{prefix}/{path}", f"python/{path}", filter=_small)
        for path in Path(prefix, "lib").glob("libpython3.12.so*"):
            archive.add(path, f"python/lib/{path.name}")
    major, minor, patch = map(int, version.split("."))
    entry = {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": (folder / "python.tar.gz").as_uri(),
        "sha256": hashlib.sha256((folder / "python.tar.gz").read_bytes()).hexdigest(),
        "variant": None,
        "build": None,
    }
    key = f"cpython-{version}-linux-{platform.machine()}-gnu"
    (folder / "list.json").write_text(json.dumps({key: entry}))
    (folder / "damaged.json").write_text(json.dumps({key: {**entry, "sha256": "0" * 64}}))
    return folder


def _small(member):
    left_out = r"/(test|site-packages|dist-packages|__pycache__|idlelib|tkinter|config-[^/]*)(/|$)"
    return None if re.search(left_out, member.name) else member


@pytest.mark.slow
def test_where_none_fits_uv_fetches_one_and_it_is_said(place, packed):
    other_version(place, "python3")
    done = find(place, PYTHON=None, UV_PYTHON_DOWNLOADS_JSON_URL=(packed / "list.json").as_uri())
    assert done.returncode == 0, done.stderr
    assert "uv, installed from PyPI for this, fetches 3.12 into .venv/python" in done.stderr
    found = done.stdout.strip()
    assert found.startswith(f"{place}/.venv/python/")
    code = "import sys, venv, ensurepip, ctypes, ssl; print(sys.version_info[:2], sys.prefix)"
    told = subprocess.run([found, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"(3, 12) {place}/.venv/python/")


@pytest.mark.slow
def test_what_uv_cannot_fetch_is_an_error_that_says_what_to_do(place, packed):
    other_version(place, "python3")
    done = find(place, PYTHON=None, UV_PYTHON_DOWNLOADS_JSON_URL=(packed / "damaged.json").as_uri())
    assert (done.returncode, done.stdout) == (1, "")
    assert "uv could not fetch Python 3.12, as said above" in done.stderr
    assert "needs Python 3.9, 3.10, 3.11 or 3.12: install one" in done.stderr
