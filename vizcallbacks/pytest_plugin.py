"""The pytest fixture `attention_regression`: a test that fails when a net starts to look elsewhere.

    def test_looks_at_the_object(attention_regression):
        attention_regression.check(net, probe, rules={"energy/object": ">= 0.3"})

Modelled on pytest-regressions. The baseline lies beside the test, ``<test file>/<test>.npz``, and belongs in
version control. A run that writes it fails, so that nobody takes it for a check: the first run, and one with
``--accept-attention`` of a test that would fail otherwise. Run again, it passes.

Under pytest-xdist each test has a file of its own, written whole or not at all. Installing vizcallbacks registers
the plugin. It imports nothing else until a test asks for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .cli.pytest_checks import AttentionRegression


def pytest_addoption(parser) -> None:
    parser.getgroup("vizcallbacks").addoption(
        "--accept-attention",
        action="store_true",
        help="rewrite the attention baselines of tests that would fail; they still fail this once",
    )


@pytest.fixture
def attention_regression(request, tmp_path) -> AttentionRegression:
    """Checks a net's attention against a baseline beside the test: `AttentionRegression.check`."""
    from .cli.pytest_checks import AttentionRegression

    accept = request.config.getoption("--accept-attention")
    return AttentionRegression(request.path.with_suffix(""), request.node.nodeid, tmp_path, accept)
