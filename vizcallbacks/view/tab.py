"""TensorBoard's door to the tab "Attention".

TensorBoard imports this module at every start, for every user of the environment, and an error here would keep it
from starting. So nothing but the standard library and TensorBoard is imported before `load`, whose errors
TensorBoard catches.
"""

from __future__ import annotations

from typing import Any

from tensorboard.plugins import base_plugin


class AttentionTab(base_plugin.TBLoader):
    """Loads the tab; named in the entry point group ``tensorboard_plugins``."""

    def load(self, context: Any) -> Any:
        from .tab_server import AttentionPlugin

        return AttentionPlugin(context)
