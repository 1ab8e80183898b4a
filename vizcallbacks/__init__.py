"""Watch what a Gluon convolutional network looks at while it trains.

Importing the package imports nothing else: each public name brings its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import showing
from .version import __version__

if TYPE_CHECKING:
    from . import gradcam, nn, pretrained, targets
    from .attribution.asking import ask_net
    from .attribution.explaining import explain
    from .attribution.layer_list import Layer, layers
    from .attribution.randomisation import Sanity, sanity
    from .attribution.result import Attributions
    from .nets.instrument import instrumented
    from .pictures.peaks import Peaks, peaks
    from .probes.probe_set import ProbeSet
    from .regression.baseline import Baseline
    from .regression.comparable import NotComparableError
    from .regression.comparing import compare
    from .regression.report import Report
    from .regression.snapshot import Snapshot
    from .training.alarm import AttentionAlarm
    from .training.handler import AttentionHandler
    from .training.monitor import AttentionMonitor
    from .training.replay import replay
    from .view.run import Run

_MODULES = {
    "AttentionAlarm": "training.alarm",
    "AttentionHandler": "training.handler",
    "AttentionMonitor": "training.monitor",
    "Attributions": "attribution.result",
    "Baseline": "regression.baseline",
    "Layer": "attribution.layer_list",
    "NotComparableError": "regression.comparable",
    "Peaks": "pictures.peaks",
    "ProbeSet": "probes.probe_set",
    "Report": "regression.report",
    "Run": "view.run",
    "Sanity": "attribution.randomisation",
    "Snapshot": "regression.snapshot",
    "ask_net": "attribution.asking",
    "compare": "regression.comparing",
    "explain": "attribution.explaining",
    "gradcam": "",
    "instrumented": "nets.instrument",
    "layers": "attribution.layer_list",
    "nn": "",
    "peaks": "pictures.peaks",
    "pretrained": "",
    "replay": "training.replay",
    "sanity": "attribution.randomisation",
    "targets": "",
}
"""Public name -> the module that defines it; "": it is a module itself."""

__all__ = [
    "AttentionAlarm",
    "AttentionHandler",
    "AttentionMonitor",
    "Attributions",
    "Baseline",
    "Layer",
    "NotComparableError",
    "Peaks",
    "ProbeSet",
    "Report",
    "Run",
    "Sanity",
    "Snapshot",
    "__version__",
    "ask_net",
    "compare",
    "explain",
    "gradcam",
    "instrumented",
    "layers",
    "nn",
    "peaks",
    "pretrained",
    "replay",
    "sanity",
    "targets",
]


showing.filled_by(f"{__name__}.view.frames")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        import difflib  # for the error alone: importing the package costs next to nothing

        close = difflib.get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    module = importlib.import_module(f".{_MODULES[name] or name}", __name__)
    value = getattr(module, name) if _MODULES[name] else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
