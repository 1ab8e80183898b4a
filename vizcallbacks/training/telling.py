"""`Telling`: what a run says in the log, each thing once or once a snapshot."""

from __future__ import annotations

import logging
import shlex
import sys
from pathlib import Path

from ..measures.of_one_map import mean_defined
from ..regression.snapshot import Snapshot
from .budget import Budget
from .plan import Plan


class Telling:
    """Says where to look after the first snapshot, how long each took, and warns once of what is unusual."""

    def __init__(self, plan: Plan, run: Path, budget: Budget, logger: logging.Logger) -> None:
        self._plan, self._run, self._budget, self._logger = plan, run, budget, logger
        self._told_where = self._told_written = self._stretched = False

    def of_snapshot(self, taken: Snapshot, passes: float, handing: float, drawing: float) -> None:
        """One line, in the thread that draws, when all of the snapshot is drawn."""
        self.where(taken)
        drift = mean_defined(taken.measures["drift"])[0] if "drift" in taken.measures else float("nan")
        self._logger.info(
            "attention %s: %d images in %.2f s, hand-over %.0f ms, drawn and written in %.2f s; "
            "layer %s, guided %d of %d%s",
            taken.when,
            len(taken.targets),
            passes,
            1000 * handing,
            drawing,
            taken.layer,
            *taken.relus,
            "" if drift != drift else f"; rank correlation with the last snapshot {drift:.2f}",
        )

    def where(self, taken: Snapshot) -> None:
        """After the first snapshot, say where to look; on the error stream if no logging is set up."""
        if self._told_where:
            return
        self._told_where = True
        run = shlex.quote(str(self._run))
        looks = [f"vizcallbacks report {run} --out report.html"]
        if "tensorboard" in self._plan.sinks:
            looks.insert(0, f"tensorboard --logdir {run} --samples_per_plugin images=1000")
        height, width = next(iter(taken.maps.values())).shape[1:] if taken.maps else (0, 0)
        size = f"; the maps of layer {taken.layer!r} have {height} x {width} cells" if taken.maps else ""
        if 0 < min(height, width) <= 4:
            size += ", which is coarse: name an earlier layer (layer=...), or give larger images"
        line = f"to see what the net looks at: {', or '.join(looks)}{size}"
        if self._logger.hasHandlers():
            self._logger.info("%s", line)
        else:
            print(line, file=sys.stderr)

    def of_written(self, blocks: tuple[str, ...] | None) -> None:
        """Warn once of blocks that keep state in `forward`."""
        if blocks and not self._told_written:
            self._told_written = True
            several = len(blocks) > 1
            self._logger.warning(
                "block%s %s write%s state in forward; it was put back after the snapshot, and is after each one",
                "s" if several else "",
                ", ".join(repr(path) for path in blocks),
                "" if several else "s",
            )

    def of_thinning(self) -> None:
        """Warn once that snapshots are left out."""
        if not self._stretched:
            self._stretched = True
            self._logger.warning(
                "attention snapshots cost %.2f s each, of which max_overhead=%g allows one in %.0f s of training; "
                "snapshots are thinned out from now on",
                self._budget.cost,
                self._budget.share,
                self._budget.cost / self._budget.share,  # type: ignore[operator]
            )
