"""Watch what a Gluon convolutional network looks at while it trains."""

from . import pretrained
from .alarm import AttentionAlarm
from .ask import ask_net
from .attribution import explain
from .baseline import Baseline, NotComparableError
from .handler import AttentionHandler
from .instrument import instrumented
from .layer_list import Layer, layers
from .monitor import AttentionMonitor
from .probe import ProbeSet
from .randomise import Sanity, sanity
from .regression import compare
from .report import Report
from .result import Attributions
from .snapshot import Snapshot
from .version import __version__

__all__ = [
    "AttentionAlarm",
    "AttentionHandler",
    "AttentionMonitor",
    "Attributions",
    "Baseline",
    "Layer",
    "NotComparableError",
    "ProbeSet",
    "Report",
    "Sanity",
    "Snapshot",
    "__version__",
    "ask_net",
    "compare",
    "explain",
    "instrumented",
    "layers",
    "pretrained",
    "sanity",
]
