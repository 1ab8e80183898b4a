"""Jobs: what the training thread hands over, and the one interface that a job writes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, SupportsFloat

import numpy as np

from ..measures.of_one_map import mean_defined

if TYPE_CHECKING:
    from ..attribution.randomisation import Sanity


class Sink(Protocol):
    """Where results go: TensorBoard's event file, a folder, a logger's run (see `vizcallbacks.training.sinks`)."""

    def scalar(self, tag: str, value: SupportsFloat | None, step: int, description: str = "") -> None:
        """One point of a curve, described in a sentence; None and NaN (an undefined measure) are left out."""

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        """One picture, (H, W, 3) uint8 RGB."""

    def text(self, tag: str, text: str, step: int) -> None:
        """One text, in Markdown."""


Job = Callable[[Sink], object]
"""Called once, in another thread."""


def sanity_job(found: Sanity, step: int) -> Job:
    """The job that logs its means as curves: attention_sanity/grad_cam_head, ..._all, ..._random_map."""

    def job(sink: Sink) -> None:
        for method, control in found.control.items():
            rows = zip(found.stages, found.similarity[method])
            for name, values in (*((stage.split()[0], row) for stage, row in rows), ("random_map", control)):
                sink.scalar(f"attention_sanity/{method}_{name}", mean_defined(values)[0], step)

    return job
