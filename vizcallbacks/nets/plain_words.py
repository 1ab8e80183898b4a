"""MXNet's errors in words: without places in its source, types of its own, and what it checks inside."""

from __future__ import annotations

import re

_BEFORE = re.compile(
    r"^(?:\[[\d:]+\]\s+)?"  # the time
    r"(?:\S+\.(?:cc|h|cu):\d+:\s+)?"  # a place in its source
    r"(?:MXNetError:\s+)?(?:Error in operator \S+:\s+)?"
    r"(?:\[[\d:]+\]\s+)?(?:\S+\.(?:cc|h|cu):\d+:\s+)?"
)
_CHECK = re.compile(r"^Check failed: .*?\s?:\s+(?=\S)")

_KNOWN = {
    "control dep not found in graph": "MXNet 1.9.1 cannot compile a part of its graph, by a fault of its own; "
    "written another way (an operator more or less, a constant as a parameter) the same net can be compiled",
}
"""What tells a user nothing -> what it means."""


def plain_words(error: BaseException | str) -> str:
    """The sentence of an error that tells what is wrong.

    Examples
    --------
    >>> plain_words("MXNetError: Check failed: a == b (1 vs. 0) : This layer requires uniform type.")
    'This layer requires uniform type.'
    >>> plain_words("[02:00:04] ../src/c.cc:31: Check failed: a == b (2 vs. 1)")
    'an operator does not take what it is given: a == b (2 vs. 1)'
    """
    lines = [line for line in str(error).strip().splitlines() if line.strip()] or [""]
    told = _BEFORE.sub("", lines[-1].strip())
    cut = _CHECK.sub("", told)
    if cut in _KNOWN:
        return _KNOWN[cut]
    if cut.startswith("Check failed:"):
        return f"an operator does not take what it is given: {cut[len('Check failed:') :].strip(' :')}"
    return cut
