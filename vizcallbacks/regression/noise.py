"""How far measures of attention differ between runs of different seeds: the noise floor.

`values` are (S, n) float64: a measure's values in S runs, NaN where undefined.
"""

from __future__ import annotations

import numpy as np


def margin(values: np.ndarray, variance: float) -> np.ndarray:
    """Three standard deviations between the runs, of each column: (n,).

    `variance` is a prior worth two runs, used because one run tells no noise and few runs tell little:
    with S runs and their variance s^2, 3 sqrt((2 variance + (S - 1) s^2) / (S + 1)).
    """
    squares, freedom = _spread(values)
    return 3 * np.sqrt((2 * variance + squares) / (2 + freedom))


def usual_variance(values: np.ndarray, tolerance: float) -> float:
    """The variance between runs of a column of `values`, as all columns together tell it.

    A tolerance, three standard deviations, again counts as two further runs: it is all there is for one run.
    """
    squares, freedom = _spread(values)
    return float((2 * (tolerance / 3) ** 2 + squares.sum()) / (2 + freedom.sum()))


def _spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column: the sum of squared distances from its mean, (S - 1) s^2, and S - 1."""
    defined = ~np.isnan(values)
    squares = np.where(defined, (values - mean_of_runs(values)) ** 2, 0).sum(axis=0)
    return squares, np.maximum(defined.sum(axis=0) - 1, 0)


def mean_of_runs(values: np.ndarray) -> np.ndarray:
    """Mean of the defined values of each column: (n,), NaN where there is none."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    return np.where(count > 0, np.where(defined, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
