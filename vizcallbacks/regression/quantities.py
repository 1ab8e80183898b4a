"""What can be measured of attention and named in a rule: one table, and the grammar of the names.

A name is that of a quantity ("dead", "probability"), with the mask that it needs behind it ("energy/tag"), or with
the method whose maps it compares in front of it ("grad_cam/spearman"). Rules, baselines and alarms read names by
`read_name` and know quantities from `QUANTITIES` alone; `sentence` says in words what a curve shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from ..measures.of_one_map import MEASURES, Measure
from ..measures.of_two_maps import SIMILARITY


@dataclass(frozen=True)
class Quantity:
    """A row of the table.

    Attributes
    ----------
    sentence : str
        What a value says, with the mask or the method in the place of ``{of}``.
    better : {"higher", "lower", None}
        The better direction, in which "within" sets no bound. With a mask it counts for nothing: nobody knows
        whether the net should look there.
    range : (float, float)
        Least and greatest value.
    tolerance : float or None
        By how much the mean over the images may change where one run is all there is to tell; an image may by
        twice that. None: there is no natural one, and no rule "within noise".
    of : {"", "mask", "method"}
        What its name holds beside its own.
    needs_maps : bool
        Whether there is none without maps of the CAM family.
    needs_baseline : bool
        Whether it compares with a baseline; the value is then no snapshot's own.
    """

    sentence: str
    better: str | None
    range: tuple[float, float]
    tolerance: float | None
    of: str = ""
    needs_maps: bool = True
    needs_baseline: bool = False


@dataclass(frozen=True)
class Name:
    """The name of a measure, taken apart: the `quantity`, called `key` in QUANTITIES, `of` a mask or a method."""

    key: str
    quantity: Quantity
    of: str = ""


def _of(measure: Measure, tolerance: float, sentence: str) -> Quantity:
    of = "mask" if measure.needs_mask else ""
    return Quantity(sentence, None if of else measure.better, measure.range, tolerance, of)


def _alike(measure: Measure, tolerance: float, sentence: str) -> Quantity:
    return Quantity(
        sentence, measure.better, measure.range, tolerance, "method", needs_maps=True, needs_baseline=True
    )


QUANTITIES: dict[str, Quantity] = {
    "energy": _of(MEASURES["energy"], 0.1, "share of the map that lies in the mask '{of}'"),
    "pointing": _of(MEASURES["pointing"], 0.15, "1 where the map's maximum lies in the mask '{of}', else 0"),
    "dead": _of(MEASURES["dead"], 0.1, "1 where no cell of the map is above zero, else 0"),
    "border_share": _of(MEASURES["border_share"], 0.1, "share of the map in its outermost ring of cells"),
    "entropy": _of(MEASURES["entropy"], 0.1, "how spread out the map is: 0 a single cell, 1 even"),
    "gini": _of(MEASURES["gini"], 0.1, "how unequal the map's cells are: 0 even, 1 a single cell"),
    "spearman": _alike(SIMILARITY["spearman"], 0.4, "rank correlation of {of}'s maps with the baseline's"),
    "pearson": _alike(SIMILARITY["pearson"], 0.4, "linear correlation of {of}'s maps with the baseline's"),
    "cosine": _alike(SIMILARITY["cosine"], 0.3, "cosine similarity of {of}'s maps to the baseline's"),
    "ssim": _alike(SIMILARITY["ssim"], 0.5, "structural similarity of {of}'s maps to the baseline's"),
    "top_k_iou": _alike(
        SIMILARITY["top_k_iou"],
        0.6,
        "overlap of the highest tenth of the cells of {of}'s maps and the baseline's",
    ),
    "centre_shift": _alike(
        SIMILARITY["centre_shift"],
        0.15,
        "distance of the centre of {of}'s maps from the baseline's, as a share of the diagonal",
    ),
    "flips": Quantity(
        "1 where the predicted class is none that the baseline's runs predicted, else 0",
        "lower",
        (0, 1),
        0.1,
        needs_maps=False,
        needs_baseline=True,
    ),
    "probability": Quantity(
        "probability that the net gives to the class explained", "higher", (0, 1), 0.2, needs_maps=False
    ),
    "score": Quantity(
        "the net's output that was explained", "higher", (-np.inf, np.inf), None, needs_maps=False
    ),
    "drift": Quantity("rank correlation of the maps with the last snapshot's", "higher", (-1, 1), None),
}
"""Name, or the part of a name that says what is measured -> what is known of it."""


def read_name(name: str) -> Name:
    """Take the name of a measure apart.

    Raises
    ------
    ValueError
        It is no measure's name; the message says what names there are.

    Examples
    --------
    >>> read_name("energy/tag").of
    'tag'
    >>> read_name("grad_cam/spearman").key
    'spearman'
    """
    first, slash, last = name.partition("/")
    for key, of, kind in ((first, last, "mask"), (last, first, "method"), (name, "", "")):
        found = QUANTITIES.get(key)
        if found is not None and found.of == kind and bool(of) == bool(kind) == bool(slash):
            return Name(key, found, of)
    raise ValueError(f"there is no measure {name!r}; {known_names()}")


def known_names(
    methods: Collection[str] = (), masks: Collection[str] = (), baseline: bool = True, maps: bool = True
) -> str:
    """The names there are, in words: with these methods and masks, or in general where there are none.

    Parameters
    ----------
    methods, masks : collection of str
    baseline, maps : bool
        Whether there is a baseline, and whether there are maps of the CAM family.
    """
    named = []
    for key, quantity in QUANTITIES.items():
        if (baseline or not quantity.needs_baseline) and (maps or not quantity.needs_maps):
            some = {"mask": masks or ("<mask>",), "method": methods or ("<method>",), "": ("",)}[quantity.of]
            forms = {"mask": "{key}/{of}", "method": "{of}/{key}", "": "{key}"}[quantity.of]
            named += [forms.format(key=key, of=of) for of in some]
    return f"measures are {', '.join(named)}"


def masks_of(names: Iterable[str]) -> tuple[str, ...]:
    """The masks in the names of measures, in their order."""
    parts = (name.partition("/") for name in names)
    found = (last for first, _, last in parts if first in QUANTITIES and QUANTITIES[first].of == "mask")
    return tuple(dict.fromkeys(found))


def no_mask(name: str, masks: Collection[str]) -> str:
    """Why there is no measure of a mask, and the way out."""
    there = f"its masks are {', '.join(masks)}" if masks else "it has none"
    return (
        f"because the probe set has no mask {name!r} ({there}); masks are given with the images, (N, H, W) bool: "
        f"ProbeSet(images, masks={{{name!r}: ...}}) or vizcallbacks probe --masks; then take the snapshots again"
    )


def sentence(name: str) -> str:
    """What the value of a measure says, in a sentence for people; "" for a name that is no measure's.

    Examples
    --------
    >>> sentence("energy/tag")
    "Share of the map that lies in the mask 'tag'; from 0 to 1."
    >>> sentence("grad_cam/spearman")
    "Rank correlation of grad_cam's maps with the baseline's; from -1 to 1, higher is better."
    """
    try:
        found = read_name(name)
    except ValueError:
        return ""
    quantity = found.quantity
    text = quantity.sentence.format(of=found.of)
    low, high = quantity.range
    parts = ([f"from {low:g} to {high:g}"] if np.isfinite(high - low) else []) + (
        [f"{quantity.better} is better"] if quantity.better else []
    )
    return f"{text[0].upper()}{text[1:]}{'; ' * bool(parts)}{', '.join(parts)}."


def tolerance_of(name: str) -> float:
    """The tolerance of a measure, "dead", "energy/tag" or "grad_cam/spearman", that is known before any noise is.

    Raises
    ------
    ValueError
        There is none: "score" has no natural range.
    """
    tolerance = read_name(name).quantity.tolerance
    if tolerance is None:
        known = ", ".join(key for key, one in QUANTITIES.items() if one.tolerance is not None)
        raise ValueError(f"'within noise' is not known for {name!r}, only for {known}; give a number instead")
    return tolerance
