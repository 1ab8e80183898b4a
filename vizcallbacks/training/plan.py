"""`Plan`: what a run of snapshots asks of the net, how often, and how the answers are checked."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from ..attribution.methods import DEFAULT_METHODS, chosen_methods
from ..attribution.outputs import check_output
from ..attribution.targets import target_of
from ..checks import check_whole, did_you_mean
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline
from ..regression.report import Report
from .alarm import Alarm
from .budget import Budget
from .draining import check_signal
from .keeping import check_keep
from .sinks import check_sinks
from .workers import part

ON_ERROR = ("warn", "raise")
IMAGE_FORMATS = ("jpeg", "png")
WRONG = ("also predicted", "label only")


@dataclass(frozen=True, eq=False)
class Plan:
    """The arguments of an `AttentionMonitor` but for where results go, checked as far as possible without a net.

    Its fields are described there. A plan runs no net and imports no MXNet.

    Raises
    ------
    TypeError, ValueError, OSError
        An argument is invalid, or the baseline cannot be read.
    """

    probe: ProbeSet
    methods: Sequence[str] | str = DEFAULT_METHODS
    layer: Any = None
    targets: Any = "label"
    batch_size: int = 16
    extra: Sequence = ()
    output: str | None = None
    show: int = 12
    per_image_curves: bool = False
    wrong: str = "also predicted"
    image_format: str = "jpeg"
    on_error: str = "warn"
    max_overhead: float | None = None
    shard: tuple[int, int] | None = None
    sanity_period: int | None = None
    baseline: Baseline | str | os.PathLike | None = None
    thresholds: Mapping[str, str | Iterable[str]] | None = None
    patience: int = 2
    action: str | Callable[[Report], Any] = "warn"
    check_from: int = 1
    drain_on: int | None = None
    sinks: Sequence[Any] = ("tensorboard",)
    keep: int | str = "all"
    keep_trace: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.probe, ProbeSet):
            raise TypeError(
                f"probe must be a ProbeSet, got {type(self.probe).__name__}; make one: ProbeSet(images)"
            )
        for name, allowed in (("on_error", ON_ERROR), ("image_format", IMAGE_FORMATS), ("wrong", WRONG)):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        if not isinstance(self.keep_trace, bool):
            raise TypeError(f"keep_trace must be True or False, got {self.keep_trace!r}")
        check_output(self.output)
        check_whole("show", self.show)
        check_whole("batch_size", self.batch_size)
        check_whole("sanity_period", self.sanity_period, optional=True)
        if isinstance(self.layer, (list, tuple)):
            raise ValueError(
                f"layer must be one Conv2D, its name or path, got {self.layer!r}; use a monitor for each"
            )
        object.__setattr__(self, "methods", chosen_methods(self.methods))
        object.__setattr__(self, "extra", tuple(self.extra))
        if self.extra and self.shard is not None:
            raise ValueError("extra inputs cannot be shared out over workers; leave out shard")
        Budget(self.max_overhead)
        check_signal(self.drain_on)
        check_keep(self.keep)
        object.__setattr__(self, "sinks", check_sinks(self.sinks))
        probe, targets, _ = self.share
        target_of(targets, probe.labels, len(probe))  # raises if they do not fit the probe set
        self.alarm()

    @classmethod
    def of_options(cls, owner: Callable, options: Mapping[str, Any]) -> Plan:
        """A plan of keyword arguments given to `owner` beside its own; TypeError names unknown ones."""
        known = [field.name for field in fields(cls)]
        own = [
            one for one in inspect.signature(owner).parameters if one not in ("options", "probe", "logdir")
        ]
        for name in options:
            if name not in known:
                hint = did_you_mean(name, [*own, *known]) or f"; AttentionMonitor takes {', '.join(known)}"
                raise TypeError(f"{owner.__name__} has no argument {name!r}{hint}")
        return cls(**options)

    @cached_property
    def share(self) -> tuple[ProbeSet, Any, Sequence[int]]:
        """This worker's probe images, their targets, and their numbers in the whole probe set."""
        return part(self.shard, self.probe, self.targets)

    def alarm(self) -> Alarm | None:
        """A new alarm that has seen no snapshot; None if nothing is to be checked."""
        if self.baseline is None and self.thresholds is None:
            return None
        given = (self.baseline, self.thresholds, self.patience, self.action, self.check_from)
        return Alarm(self.share[0], self.methods, *given)
