"""What ``vizcallbacks explain`` writes about all its photographs together: a contact sheet and a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import archive
from ..pictures.lettering import GREY, INK, write
from ..pictures.panels import drawable
from ..pictures.picture import encode
from ..pictures.render import tile
from ..view.table import inert

TOP = 5  # classes told of each photograph
ALL = "all"  # name of both files
MOST = 200  # photographs on the sheet; the table has all
THUMBNAIL, CAPTION, GAP, COLUMNS = 176, 24, 8, 8  # px, and thumbnails in a line


class Gathered:
    """Collects the results of photographs. `target`: the class that was asked for."""

    def __init__(self, target: int | None) -> None:
        self._target = target
        self._rows: list[dict[str, str]] = []
        self._thumbnails: list[np.ndarray] = []

    def add(self, result: Any, i: int, path: str, name: str) -> None:
        """Add image `i` of attributions: the photograph `path`, whose picture is called `name`."""
        self._rows.append(_row(result, i, path, f"{name}.png", self._target))
        if len(self._thumbnails) < MOST:
            self._thumbnails.append(_thumbnail(result, i, name))

    def save(self, folder: str) -> list[str]:
        """Write both files, whole or not at all (OSError), and return their paths."""
        sheet, table = (os.path.join(folder, f"{ALL}{ending}") for ending in (".png", ".csv"))
        with archive.replacing(sheet) as file:
            file.write(encode(_contact_sheet(self._thumbnails), "png"))
        _save_table(self._rows, table)
        return [sheet, table]


def most_probable(result: Any, i: int) -> list[tuple[int, float]]:
    """The TOP classes of an image with their probabilities, the most probable first."""
    probabilities = result.probabilities[i]
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    return [(int(number), float(probabilities[number])) for number in order]


def class_of(result: Any, number: int) -> str:
    """ "tabby (281)", or "class 281" where the name is not known."""
    names = result.probe.class_names
    return f"{names[number]} ({number})" if names else f"class {number}"


def _row(result: Any, i: int, path: str, picture: str, target: int | None) -> dict:
    """A photograph's line of the table."""
    row: dict = {"photograph": path, "picture": picture}
    if result.probabilities is None:
        row["score"] = round(
            float(result.scores[i]), 6
        )  # a number: negative text would be taken for a formula
    elif result.predictions[i] >= 0:
        for place, (number, probability) in enumerate(most_probable(result, i), 1):
            row.update(
                {f"class_{place}": class_of(result, number), f"probability_{place}": f"{probability:.6g}"}
            )
        if target is not None:
            asked = f"{result.probabilities[i, target]:.6g}"
            row.update({"asked_for": class_of(result, target), "probability_asked_for": asked})
    return row


def _save_table(rows: Sequence[dict], path: str) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows({key: inert(value) for key, value in row.items()} for row in rows)
    with archive.replacing(path) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def _thumbnail(result: Any, i: int, name: str) -> np.ndarray:
    """What the net saw, with the map of the first method over it, and the most probable class below."""
    method = next(iter(result.maps))
    map_, kind = drawable(method, result.maps[method][i])
    drawn = tile(result.probe.pictures[i], map_, THUMBNAIL, kind)
    canvas = np.full((THUMBNAIL + 2 * CAPTION, THUMBNAIL, 3), 255, np.uint8)
    canvas[:THUMBNAIL] = drawn
    predicted = -1 if result.predictions is None else int(result.predictions[i])
    seen = f"score {result.scores[i]:.4g}" if result.probabilities is None else ""
    if predicted >= 0:
        seen = f"{result.probabilities[i, predicted]:.2f} {result.probe.class_name(predicted)}"
    write(canvas, (0, THUMBNAIL, THUMBNAIL, THUMBNAIL + CAPTION), name, 18, GREY)
    write(canvas, (0, THUMBNAIL + CAPTION, THUMBNAIL, THUMBNAIL + 2 * CAPTION), seen, 18, INK)
    return canvas


def _contact_sheet(thumbnails: Sequence[np.ndarray]) -> np.ndarray:
    columns = min(len(thumbnails), COLUMNS)
    height, width = thumbnails[0].shape[:2]
    lines = -(-len(thumbnails) // columns)
    canvas = np.full((lines * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 255, np.uint8)
    for place, one in enumerate(thumbnails):
        y, x = (GAP + at * (side + GAP) for at, side in zip(divmod(place, columns), (height, width)))
        canvas[y : y + height, x : x + width] = one
    return canvas
