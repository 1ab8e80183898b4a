"""How far maps are from adding up to what they explain, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

TOLD = 0.05
"""Gaps smaller than this share of the scores are not worth a sentence."""

WORDS = {
    "completeness_gap": ("the change of the score that it explains", ""),
    "conservation_gap": (
        "the score",
        ": biases keep their share, and what nothing but a bias speaks for is lost",
    ),
}
"""A note's name -> what the sum of a map should be, and why it is not."""


def gap_remarks(notes: Mapping[str, np.ndarray], scores: np.ndarray) -> tuple[str, ...]:
    """A sentence for each method whose maps' sums miss what they should be, with by how much.

    Parameters
    ----------
    notes : mapping of str to ndarray, (N,)
        "method/gap" -> gaps, those of `WORDS` among them.
    scores : ndarray, (N,)
    """
    found = []
    score = np.abs(scores).mean() if len(scores) else np.nan
    for name, gaps in notes.items():
        method, _, kind = name.partition("/")
        gap = np.abs(gaps).mean() if len(gaps) else np.nan
        if kind in WORDS and gap > TOLD * score:
            (aim, why), share = (
                WORDS[kind],
                "" if score == 0 else f" ({100 * gap / score:.0f} % of the score)",
            )
            found.append(f"{method}: a map's sum misses {aim} by {gap:.3g} on average{share}{why}.")
    return tuple(found)
