"""A probe image with its maps, side by side under a header; or with a baseline's map, the map now, the change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ..attribution.methods import METHODS
from ..probes.probe_set import ProbeSet
from .grid import GAP, MARGIN, Header, Line, Square, grid
from .lettering import TEXT, WHITE, wrapped
from .picture import checked_picture, outlined
from .render import BLUE, RED, checked_map, common_scale, tile

WIDTH = 672  # of a panel, px
IN_ONE_LINE = 5  # pictures
CAPITALS = 0.04  # of the width: a text's size whose capitals are 2.7 % of it

DRAWN_AS = {"layer": "cam", "concepts": "concepts", "channels": "signed", "image": "intensity"}
"""A method's shape -> how its maps are drawn, a key of render's DRAWERS."""


@dataclass(frozen=True)
class TitledMap:
    """One map of a panel; `kind`, a key of render's DRAWERS, says how it is drawn.

    "cam" and "difference": (h, w) at the layer's resolution; "concepts": (concepts, h, w); "intensity": (H, W);
    "signed": (C, H, W).
    """

    title: str
    map: np.ndarray
    kind: str = "cam"
    scale: float | None = None


def titled_maps(
    maps: Mapping[str, np.ndarray], scales: Mapping[str, float] = MappingProxyType({})
) -> list[TitledMap]:
    """The maps of one image, each under its method's title.

    Parameters
    ----------
    maps : mapping of str to ndarray
        Method -> the raw map of one image.
    scales : mapping of str to float, optional
        Method -> the value drawn at full strength; default: chosen from the map itself.
    """
    return [
        TitledMap(METHODS[name].title, *drawable(name, map_), scales.get(name)) for name, map_ in maps.items()
    ]


def drawable(method: str, map_: np.ndarray) -> tuple[np.ndarray, str]:
    """One image's map as it is drawn, and the key of render's DRAWERS that draws it.

    Maps with channels and without a sign are reduced to the maximum over the channels. Maps of an image's size
    that have a sign but no channels show regions, such as occlusion's, and are drawn as the CAM family's.
    """
    shape, signed = METHODS[method].shape, METHODS[method].signed
    if shape == "channels" and not signed:
        return map_.max(axis=0), DRAWN_AS["image"]
    if shape == "image" and signed:
        return map_, DRAWN_AS["layer"]
    return map_, DRAWN_AS[shape]


def header_of(
    probe: ProbeSet,
    i: int,
    prediction: int,
    probability: float,
    epoch: str = "",
    note: str = "",
    violation: str = "",
    score: float | None = None,
) -> Header:
    """The header of a panel of probe image number `i`.

    Parameters
    ----------
    prediction : int
        The predicted class; -1: not known.
    probability : float
        Of that class.
    score : float, optional
        The explained score, shown if no prediction is known.
    """
    known = prediction >= 0
    told = [probe.label_name(i)]
    if not known and score is not None:
        told.append(f"score {score:.3g}")
    return Header(
        label=" · ".join(part for part in told if part),
        prediction=probe.class_name(prediction) if known else "",
        probability=probability if known else None,
        epoch=epoch,
        right=bool(prediction == probe.labels[i]) if known and probe.labels is not None else None,
        note=note,
        violation=violation,
    )


def panel(
    picture: np.ndarray,
    maps: Sequence[TitledMap],
    header: Header,
    width: int = WIDTH,
    outlines: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """One probe image at one epoch: the input and its maps side by side under a header.

    More than five pictures take several lines.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    maps : sequence of TitledMap, one at least
    header : Header
    width : int, px
    outlines : sequence of ndarray, (H', W'), bool
        Regions whose edges are drawn on the input and on maps of the kinds "cam", "concepts" and "difference".

    Returns
    -------
    ndarray, (height, width, 3), uint8
    """
    picture = checked_picture(picture)
    if not maps:
        raise ValueError("a panel needs at least one map, got none; pass TitledMap(title, map, kind)")
    count = 1 + len(maps)
    columns = math.ceil(count / math.ceil(count / IN_ONE_LINE))
    side = (width - 2 * MARGIN - GAP * (columns - 1)) // columns
    text = min(TEXT, math.ceil(width * CAPITALS))
    squares = [Square(outlined(picture, outlines, side), [[Line("input")]])]
    for one in maps:
        drawn = tile(picture, one.map, side, one.kind, one.scale, one.title)
        if one.kind in ("cam", "concepts", "difference"):
            drawn = outlined(picture, outlines, side, drawn)
        rows = [[Line(text)] for text in wrapped(one.title, side, text)]
        if one.kind == "difference":
            rows.append([Line("less", WHITE, BLUE), Line("more", WHITE, RED)])
        squares.append(Square(drawn, rows))
    return grid(squares, columns, header, width, text)


def side_by_side(
    picture: np.ndarray,
    baseline_cam: np.ndarray,
    current_cam: np.ndarray,
    header: Header,
    scale: float | None = None,
    titles: tuple[str, str] = ("baseline", "now"),
    outlines: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """The input, a map of the baseline, the same map now, and the change between them.

    Both maps and their difference share one scale. None: the maximum of both maps.

    Parameters
    ----------
    picture : ndarray, (H, W, 3), uint8
    baseline_cam, current_cam : ndarray, (h, w), float
        Raw and of one shape.
    header : Header
    titles : pair of str
    outlines
        As for `panel`.

    Returns
    -------
    ndarray, (height, 672, 3), uint8
    """
    before, now = checked_map(baseline_cam, 2, "baseline_cam"), checked_map(current_cam, 2, "current_cam")
    if before.shape != now.shape:
        raise ValueError(
            f"both maps must have one shape, got baseline {before.shape} and current {now.shape}; "
            "compare maps of the same layer"
        )
    scale = common_scale([before, now]) if scale is None else scale
    with np.errstate(invalid="ignore", over="ignore"):  # infinity - infinity: drawn as undefined
        change = now - before
    maps = [TitledMap(titles[0], before, "cam", scale), TitledMap(titles[1], now, "cam", scale)]
    maps.append(TitledMap("change", change, "difference", scale))
    return panel(picture, maps, header, outlines=outlines)


def guided_note(methods: Iterable[str], relus: tuple[int, int]) -> str:
    """What a viewer of these methods' maps has to know about guided backpropagation in this net; "" if nothing.

    Parameters
    ----------
    relus : (int, int)
        ReLUs that guided backpropagation covered, and all that ran.
    """
    guided, total = relus
    if any("guided_gradient" in METHODS[name].needs for name in methods) and guided < total:
        return f"Guided covers only {guided} of {total} ReLUs."
    return ""


def edges_note(methods: Iterable[str]) -> str:
    """What a viewer has to know about these methods, for one note a run; "" if nothing."""
    titles = [METHODS[name].title for name in methods if not METHODS[name].depends_on_weights]
    verb = "shows" if len(titles) == 1 else "show"
    return f"{listed(titles)} {verb} edges as much as reasons." if titles else ""


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
