"""The concepts of a run's newest snapshot, kept beside the snapshots: a run that goes on keeps their colours."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .. import archive
from ..regression.snapshot import FOLDER

_FORMAT, _SCHEMA = "concepts", 1


def concepts_path(run: str | os.PathLike[str]) -> Path:
    """Where they lie in a run's folder."""
    return Path(run) / FOLDER / "concepts.npz"


def save_concepts(run: str | os.PathLike[str], concepts: Mapping[str, np.ndarray], step: int) -> None:
    """Write them, in place of those of the snapshot before; OSError if that fails.

    Parameters
    ----------
    concepts : mapping of str to ndarray, (n, concepts, h, w)
        Method -> maps of the images that the album shows, in the order in which they are drawn.
    step : int
        Of the snapshot.
    """
    archive.write(concepts_path(run), _FORMAT, _SCHEMA, concepts, {"step": step})


def load_concepts(run: str | os.PathLike[str], logger: logging.Logger) -> dict[str, np.ndarray]:
    """What `save_concepts` wrote; nothing where it did not. Of a damaged file a warning tells."""
    try:
        return archive.read(concepts_path(run), _FORMAT, _SCHEMA)[0]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("concepts may have other colours than before: %s", error)
        return {}
