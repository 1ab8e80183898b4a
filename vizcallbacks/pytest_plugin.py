"""The pytest fixture `attention_regression`: a test that fails when a net starts to look elsewhere.

    def test_looks_at_the_object(attention_regression):
        attention_regression.check(net, probe, rules={"energy/object": ">= 0.3"})

        attention_regression.check_seeds(train, probe, seeds=range(3))  # train(seed) -> net; learns the noise

Modelled on pytest-regressions. The baseline lies beside the test, ``<test file>/<test>.npz``, and belongs in
version control. A run that writes it fails, so that nobody takes it for a check: the first run, and one with
``--accept-attention`` of a test that would fail otherwise. Run again, it passes. ``--attention-html DIR`` writes a
page about each check, and an index.

Under pytest-xdist each test has a file of its own, written whole or not at all. Installing vizcallbacks registers
the plugin. It imports nothing else until a test asks for the fixture.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .cli.pytest_checks import AttentionRegression


BEGAN = pytest.StashKey[float]()
"""When the session began, in seconds since the epoch; where pages are asked for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vizcallbacks")
    group.addoption(
        "--accept-attention",
        action="store_true",
        help="rewrite the attention baselines of tests that would fail; they still fail this once",
    )
    group.addoption(
        "--attention-html",
        metavar="DIR",
        help="write a page about each attention check there, baseline and now beside each other, and index.html",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    folder = session.config.getoption("--attention-html")
    if folder is not None:
        session.config.stash[BEGAN] = time.time()


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("--attention-html")
    if folder is not None and not hasattr(session.config, "workerinput"):  # not in a process of xdist
        from .cli.pytest_pages import write_index

        write_index(Path(folder), session.config.stash[BEGAN])


@pytest.fixture
def attention_regression(request: pytest.FixtureRequest, tmp_path: Path) -> AttentionRegression:
    """Checks a net's attention against a baseline beside the test: `AttentionRegression.check`."""
    from .cli.pytest_checks import AttentionRegression

    accept, pages = (request.config.getoption(name) for name in ("--accept-attention", "--attention-html"))
    folder = request.path.with_suffix("")
    return AttentionRegression(
        folder, request.node.nodeid, tmp_path, accept, pages and Path(pages).absolute()
    )
