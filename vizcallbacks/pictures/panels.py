"""Maps of one image, by method -> the cells of its panel, and what has to be said below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from ..attribution.methods import METHODS
from .sheets import Cell

KINDS = {"layer": "cam", "channels": "signed", "image": "intensity"}
"""A method's shape -> how its maps are drawn."""


def cells_of(
    maps: Mapping[str, np.ndarray], scales: Mapping[str, float] = MappingProxyType({})
) -> list[Cell]:
    """A cell for each method, under its title.

    Parameters
    ----------
    maps : mapping of str to ndarray
        Method -> the raw map of one image.
    scales : mapping of str to float, optional
        Method -> the value drawn at full strength, where that is not to be the map's own.
    """
    return [
        Cell(METHODS[name].title, map_, KINDS[METHODS[name].shape], scales.get(name))
        for name, map_ in maps.items()
    ]


def guided_note(methods: Iterable[str], relus: tuple[int, int]) -> str:
    """What a viewer of these methods' maps has to know; "" if nothing.

    Parameters
    ----------
    relus : (int, int)
        ReLUs that guided backpropagation covered, and all that ran.
    """
    chosen, (guided, total) = [METHODS[name] for name in methods], relus
    if any("guided_gradient" in method.needs for method in chosen) and guided < total:
        return f"Guided covers only {guided} of {total} ReLUs."
    if not all(method.depends_on_weights for method in chosen):
        return "Guided maps show edges as much as reasons."
    return ""
