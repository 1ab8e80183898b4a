"""Watch what a Gluon convolutional network looks at while it trains."""

__version__ = "0.1.0"  # before the imports: baselines note it

from .ask import ask_net
from .attribution import explain
from .baseline import Baseline, NotComparableError
from .handler import AttentionHandler
from .instrument import instrumented
from .monitor import AttentionMonitor
from .probe import ProbeSet
from .randomise import Sanity, sanity
from .regression import compare
from .report import Report
from .result import Attributions
from .snapshot import Snapshot

__all__ = [
    "AttentionHandler",
    "AttentionMonitor",
    "Attributions",
    "Baseline",
    "NotComparableError",
    "ProbeSet",
    "Report",
    "Sanity",
    "Snapshot",
    "ask_net",
    "compare",
    "explain",
    "instrumented",
    "sanity",
]
