"""MXNet's modules by name, imported when something of theirs is first used.

For the files that take a net's outputs apart but also check arguments, which must work where MXNet cannot be
imported. Everything else takes them from `vizcallbacks.mxnet_door`.
"""

from __future__ import annotations

import importlib
from typing import Any


class _Later:
    """Stands for one name of `mxnet_door`; every attribute is that module's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        door = importlib.import_module("vizcallbacks.mxnet_door")
        return getattr(getattr(door, self._name), attribute)


autograd: Any = _Later("autograd")
mx: Any = _Later("mx")
