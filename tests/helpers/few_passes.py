"""Small settings for the methods of many passes, for tests that go over all of METHODS."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from vizcallbacks.attribution.methods import METHODS

FEW: dict[str, dict[str, int]] = {
    "smooth_grad": {"samples": 4},
    "smooth_grad_squared": {"samples": 4},
    "var_grad": {"samples": 4},
    "integrated_gradients": {"steps": 6},
    "expected_gradients": {"most": 2, "steps": 3},
    "rise": {"masks": 60},
}
"""Method -> options. Occlusion, Score-CAM and Ablation-CAM are quick on the nets of tests."""


def with_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the settings into the table for the length of a test."""
    for name, options in FEW.items():
        method = METHODS[name]
        monkeypatch.setitem(METHODS, name, replace(method, function=partial(method.function, **options)))
