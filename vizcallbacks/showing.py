"""How records show themselves in notebooks and as files: `Shown`, a base that higher rooms fill.

The rooms that define records (`Attributions`, `Snapshot`, `Report`) cannot import the room that draws them. They
derive from `Shown`; the package's top says, by `filled_by`, which module draws, and that is imported when a
record is first shown.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES: list[str] = []


def filled_by(module: str) -> None:
    """Name the module that draws: it has `repr_html(record)`, `show(record)` and `save(record, path)`."""
    _HOMES[:] = [module]


class Shown:
    """A record that a notebook shows as an interactive view."""

    def _repr_html_(self) -> str:
        return _home().repr_html(self)

    def show(self) -> None:
        """Show it: below the cell in a notebook, elsewhere in the browser."""
        _home().show(self)

    def save(self, path: Any) -> None:
        """Write it as an interactive page (.html) or as a still picture (.png); ValueError for another ending."""
        _home().save(self, path)


def _home() -> Any:
    return importlib.import_module(_HOMES[0])
