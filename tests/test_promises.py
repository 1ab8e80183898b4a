"""The promises of tests/README.md name tests that exist, and all of them run in CI."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
README = (TESTS / "README.md").read_text()
TABLE = README.split("## What we promise, and the test that shows it\n\n")[1].split("\n\n")[0]


def defined():
    """The names of all test functions."""
    trees = (ast.parse(path.read_text()) for path in TESTS.rglob("test_*.py"))
    nodes = (node for tree in trees for node in tree.body)
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef)]


def test_every_promise_names_a_test_that_exists():
    rows = TABLE.splitlines()[2:]
    assert len(rows) > 15
    names = set(defined())
    for row in rows:
        promised = re.findall(r"`(test_\w+)`", row.split("|")[2])
        assert promised, row
        assert set(promised) <= names, row


def test_test_names_are_unique_so_that_a_name_is_enough():
    promised = re.findall(r"`(test_\w+)`", TABLE)
    names = defined()
    assert [name for name in promised if names.count(name) != 1] == []


def test_a_plain_run_of_pytest_leaves_none_out():
    settings = (TESTS.parent / "pyproject.toml").read_text()
    assert not re.search(r"addopts.*(-m|-k|--ignore|--deselect)\b", settings)
