"""What a running `Estimator.fit` knows but does not hand on: read from its local variables.

An Estimator keeps neither its handlers nor an epoch number, so a handler cannot learn from it that a
`CheckpointHandler` beside it has resumed a training. This is the one file that looks into another function's
frame.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NamedTuple

from ..mxnet_door import estimator as gluon_estimator


class Trained(NamedTuple):
    """Epochs and batches behind a training."""

    epochs: int = 0
    batches: int = 0


def find_trained(estimator: Any) -> Trained:
    """Epochs and batches that the running fit has resumed from, by a `CheckpointHandler` among its handlers.

    An Estimator does not keep its handlers, so they are looked for among the local variables of its `fit`.

    Returns
    -------
    Trained
        (0, 0) if the fit began anew.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        values = frame.f_locals
        if "self" in values and values["self"] is estimator:
            for handlers in values.values():
                for handler in handlers if isinstance(handlers, list) else ():
                    if (
                        isinstance(handler, gluon_estimator.CheckpointHandler)
                        and getattr(handler, "trained_epoch", -1) >= 0
                    ):
                        return _resumed_from(handler, estimator.trainer)
        frame = frame.f_back
    return Trained()


def _resumed_from(handler: gluon_estimator.CheckpointHandler, trainer: Any) -> Trained:
    """Its file names count from 0: the epochs finished; the batches finished, or at an epoch's end begun."""
    if handler.batch_period:
        return Trained(handler.trained_epoch, handler.trained_batch + 1)
    # one batch less is counted there if the first of all fits was one that resumes already
    missing = trainer.optimizer.num_update == handler.trained_batch + 1
    return Trained(handler.trained_epoch + 1, handler.trained_batch + missing)
