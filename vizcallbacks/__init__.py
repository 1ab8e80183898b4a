"""Watch what a Gluon convolutional network looks at while it trains."""

__version__ = "0.1.0"  # before the imports: baselines note it

from .alarm import AttentionAlarm
from .ask import ask_net
from .attribution import Attributions, explain
from .baseline import Baseline, NotComparableError
from .handler import AttentionHandler
from .instrument import instrumented
from .monitor import AttentionMonitor
from .probe import ProbeSet
from .randomise import Sanity, sanity
from .regression import compare
from .report import Report
from .snapshot import Snapshot

__all__ = [
    "AttentionAlarm",
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
