"""Watch what a Gluon convolutional network looks at while it trains."""

from . import pretrained
from .attribution.asking import ask_net
from .attribution.explaining import explain
from .attribution.layer_list import Layer, layers
from .attribution.randomisation import Sanity, sanity
from .attribution.result import Attributions
from .nets.instrument import instrumented
from .probes.probe_set import ProbeSet
from .regression.baseline import Baseline, NotComparableError
from .regression.comparing import compare
from .regression.report import Report
from .regression.snapshot import Snapshot
from .training.alarm import AttentionAlarm
from .training.handler import AttentionHandler
from .training.monitor import AttentionMonitor
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
