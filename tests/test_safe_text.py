"""Names of others are printed as they read, and nothing in them is obeyed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vizcallbacks.safe_text import one_line

ORDERS = {
    # what a name holds -> how it is shown
    "a line break": ("a\n9 of 9 explained", r"a\n9 of 9 explained"),
    "other line breaks": ("a\r\x0b\x0c\x85\u2028\u2029b", r"a\r\x0b\x0c\x85\u2028\u2029b"),
    "a colour": ("\x1b[31mred", r"\x1b[31mred"),
    "a control sequence in one character": ("\x9b2J", r"\x9b2J"),
    "the other direction": ("cat\u202egnp.exe", r"cat\u202egnp.exe"),
    "an isolate": ("\u2066a\u2069", r"\u2066a\u2069"),
    "half a pair": ("\ud800", r"\ud800"),
    "an order to GitHub": ("::error::failed", r"\x3a:error::failed"),
    "an order after spaces": ("  ::error::failed", r"  \x3a:error::failed"),
    "an old order to GitHub, in the middle": ("a ##[error]b", r"a \x23#[error]b"),
    "an order to Azure": ("##vso[task.complete]", r"\x23#vso[task.complete]"),
    "an order to TeamCity": ("##teamcity[message]", r"\x23#teamcity[message]"),
}
PLAIN = ["cat.png", "Égyptian cat", "猫 1", "tests/a.py::test_b", "\U0001f600", "# 1", "C:\\cats", "a: b", ""]


@pytest.mark.parametrize("kind", ORDERS)
def test_what_would_be_obeyed_is_escaped(kind):
    text, shown = ORDERS[kind]
    assert one_line(text) == shown


@pytest.mark.parametrize("text", PLAIN)
def test_what_can_be_read_stays_as_it_is(text):
    assert one_line(text) == text


@given(st.text(st.characters(), max_size=30))
def test_every_text_becomes_one_line_that_orders_nothing(text):
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert not shown.lstrip().startswith("::")
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
