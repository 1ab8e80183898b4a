"""Watch what a Gluon convolutional network looks at while it trains."""

from .attribution import explain
from .handler import AttentionHandler
from .instrument import instrumented
from .monitor import AttentionMonitor
from .probe import ProbeSet
from .result import Attributions
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
