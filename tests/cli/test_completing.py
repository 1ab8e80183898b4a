"""The Tab key: what the shell is answered by the command itself, as argcomplete's protocol has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).parent / "vizcallbacks")


def completed(line, folder):
    """The words that the shell would offer behind `line`."""
    answer = folder / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),  # in place of the shell's file descriptor 8
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    done = subprocess.run(
        [COMMAND], env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == ""
    return sorted(word.strip() for word in answer.read_text().splitlines()) if answer.exists() else None


def test_sub_commands_are_completed(tmp_path):
    pytest.importorskip("argcomplete")
    assert completed("vizcallbacks re", tmp_path) == ["replay", "report"]
    assert "demo" in completed("vizcallbacks ", tmp_path)


def test_options_of_a_sub_command_are_completed(tmp_path):
    pytest.importorskip("argcomplete")
    assert completed("vizcallbacks check runs --j", tmp_path) == ["--json", "--junit"]
    assert completed("vizcallbacks explain --outp", tmp_path) == ["--output"]
    assert completed("vizcallbacks explain --output s", tmp_path) == ["sigmoid"]


def test_folders_are_completed(tmp_path):
    pytest.importorskip("argcomplete")
    (tmp_path / "runs").mkdir()
    assert completed("vizcallbacks check ru", tmp_path) == ["runs/"]


def test_without_argcomplete_nothing_is_answered_and_the_command_works(tmp_path):
    (tmp_path / "argcomplete.py").write_text("raise ImportError('none')\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "_ARGCOMPLETE": "1",
        "COMP_LINE": "vizcallbacks ",
    }
    done = subprocess.run(
        [COMMAND, "--version"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("vizcallbacks ")
