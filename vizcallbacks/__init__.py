"""Watch what a Gluon convolutional network looks at while it trains."""

from .attribution import explain
from .handler import AttentionHandler
from .instrument import instrumented
from .layer_list import Layer, layers
from .monitor import AttentionMonitor
from .probe import ProbeSet
from .result import Attributions
from .snapshot import Snapshot

__version__ = "0.1.0"

__all__ = [
    "AttentionHandler",
    "AttentionMonitor",
    "Attributions",
    "Layer",
    "ProbeSet",
    "Snapshot",
    "explain",
    "instrumented",
    "layers",
]
