"""Watch what a Gluon convolutional network looks at while it trains."""

from .attribution import Attributions, explain
from .handler import AttentionHandler
from .instrument import instrumented
from .monitor import AttentionMonitor
from .probe import ProbeSet
from .snapshot import Snapshot

__version__ = "0.1.0"

__all__ = [
    "AttentionHandler",
    "AttentionMonitor",
    "Attributions",
    "ProbeSet",
    "Snapshot",
    "explain",
    "instrumented",
]
