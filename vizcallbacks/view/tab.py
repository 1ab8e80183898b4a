"""TensorBoard's door to the tab "Attention".

TensorBoard imports this module at every start, for every user of the environment, and an error here would keep it
from starting. So nothing but the standard library and TensorBoard is imported before `load`, whose errors
TensorBoard catches.
"""

from __future__ import annotations

import weakref
from typing import Any

from tensorboard.plugins import base_plugin

_served: weakref.WeakSet[Any] = weakref.WeakSet()
"""The servers that have the tab: Python 3.9 lists a package twice that is installed and lies where it runs."""


class AttentionTab(base_plugin.TBLoader):
    """Loads the tab; named in the entry point group ``tensorboard_plugins``."""

    def load(self, context: Any) -> Any:
        if context in _served:  # a second one of its name would keep TensorBoard from starting
            return None
        _served.add(context)
        from .tab_server import AttentionPlugin

        return AttentionPlugin(context)
