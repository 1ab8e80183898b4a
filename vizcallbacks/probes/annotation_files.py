"""Reading annotation files: Pascal VOC (XML), COCO and LabelMe (JSON), told apart by their contents.

The files may be hostile: their size is limited, XML may not declare anything (so no entity expands), and whatever
is nested too deep or is not a number is an error that names the file.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable
from xml.parsers import expat

MAX_XML = 2**24  # bytes; one picture's boxes take a few thousand
MAX_JSON = 2**29  # bytes; those of COCO's training set take 450 million
MAX_DEPTH = 16
MAX_COORDINATE = 10**6


@dataclass(frozen=True)
class Region:
    """A labelled region: `kind`, a key of `geometry.DRAW`, and the numbers that it takes, in px."""

    label: str
    kind: str
    numbers: Sequence[float] = field(repr=False)


@dataclass(frozen=True)
class Annotation:
    """What a file says of one picture.

    `names` are paths whose last part, without its ending, is the picture's name: the path that the file gives, and
    the file's own, as tools name a file after its picture. `size` is (height, width), or None if not given.
    """

    names: tuple[str, ...]
    source: str
    size: tuple[int, int] | None
    regions: tuple[Region, ...]


def read_file(path: str) -> list[Annotation]:
    """What an annotation file says: OSError if it may not be read, ValueError if it is damaged or another file."""
    is_xml = path.lower().endswith(".xml")
    limit = MAX_XML if is_xml else MAX_JSON
    if not os.path.isdir(path) and not os.path.isfile(path) and os.path.exists(path):
        raise ValueError(f"{path!r} must be a file, but is a pipe or a device")
    with open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path!r} must be at most {limit // 2**20} MiB, but is larger; split it")
    try:
        return _voc(_parsed_xml(data), path) if is_xml else _from_json(_parsed_json(data), path)
    except _DAMAGE as error:
        raise ValueError(
            f"{path!r} must be an annotation of Pascal VOC (XML), COCO or LabelMe (JSON), but cannot be read as "
            f"one ({_described(error)}); write it again, or leave it out"
        ) from error


_DAMAGE = (
    expat.ExpatError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
)
"""What reading raises on bytes that are no annotation."""


def _described(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


@dataclass
class _Element:
    tag: str
    text: str = ""
    children: list[_Element] = field(default_factory=list)

    def all(self, tag: str) -> list[_Element]:
        return [child for child in self.children if child.tag == tag]

    def one(self, tag: str) -> _Element:
        """The first of the tag; KeyError if there is none."""
        return next(iter(self.all(tag)), None) or _missing(tag)


def _missing(tag: str) -> _Element:
    raise KeyError(tag)


def _parsed_xml(data: bytes) -> _Element:
    """The root element; ValueError for declarations (entities expand), and for deep nesting."""
    stack = [_Element("")]

    def start(tag: str, attributes: dict) -> None:
        if len(stack) > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        element = _Element(tag)
        stack[-1].children.append(element)
        stack.append(element)

    def words(text: str) -> None:
        stack[-1].text += text

    def refuse(*_: Any) -> None:
        raise ValueError("it has a DOCTYPE, which may declare entities and is not read; remove it")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: stack.pop()
    parser.CharacterDataHandler = words
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)
    return stack[0].children[0]


def _parsed_json(data: bytes) -> Any:
    return json.loads(data, parse_constant=_no_number, parse_int=_whole)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _whole(digits: str) -> int:
    if len(digits) > 20:  # Python takes a time that grows with the square of their number
        raise ValueError(f"a whole number has {len(digits)} digits")
    return int(digits)


def _voc(root: _Element, path: str) -> list[Annotation]:
    if root.tag != "annotation":
        raise ValueError(f"its outermost element is {root.tag[:40]!r}, of Pascal VOC it is 'annotation'")
    regions = []
    for item in root.all("object"):
        box = item.one("bndbox")
        left, top, right, bottom = (_number(box.one(side).text) for side in ("xmin", "ymin", "xmax", "ymax"))
        regions.append(Region(item.one("name").text.strip(), "box", (left - 1, top - 1, right, bottom)))
    sizes = [_size(size.one("height").text, size.one("width").text) for size in root.all("size")]
    names = [element.text.strip() for element in root.all("filename")]
    return [Annotation((path, *filter(None, names)), path, sizes[0] if sizes else None, tuple(regions))]


def _from_json(content: Any, path: str) -> list[Annotation]:
    for keys, reader in READERS.items():
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in keys):
            return reader(content, path)
    raise ValueError("it has neither COCO's lists 'images' and 'annotations' nor LabelMe's list 'shapes'")


def _coco(content: dict, path: str) -> list[Annotation]:
    names = {_id(entry["id"]): str(entry["name"]) for entry in content.get("categories", [])}
    regions: dict[Any, list[Region]] = {}
    pictures = {}
    for entry in content["images"]:
        number = _id(entry["id"])
        if number in pictures:
            raise ValueError(f"two of its images have the id {number!r}")
        pictures[number] = entry
        regions[number] = []
    for entry in content["annotations"]:
        number = _id(entry["image_id"])
        if number not in regions:
            raise ValueError(f"an annotation is of image {number!r}, which is not among its images")
        label = names.get(_id(entry["category_id"]), str(entry["category_id"]))
        regions[number].extend(Region(label, kind, numbers) for kind, numbers in _segments(entry))
    return [
        Annotation(
            (str(entry["file_name"]),),
            path,
            _size(entry["height"], entry["width"]) if "height" in entry and "width" in entry else None,
            tuple(regions[number]),
        )
        for number, entry in pictures.items()
    ]


def _segments(entry: dict) -> Iterator[tuple[str, list[float]]]:
    """The kind and numbers of each region of one of COCO's annotations."""
    segments = entry.get("segmentation")
    if isinstance(segments, dict):
        if not isinstance(segments["counts"], list):
            raise ValueError(
                "it has compressed run lengths, which are not read; write them as a list of counts, or as polygons"
            )
        yield "runs", _numbers(segments["counts"], limit=math.inf)
    elif segments:
        for polygon in segments:
            yield "polygon", _polygon(polygon)
    else:
        x, y, width, height = _numbers(entry["bbox"])
        yield "box", [x, y, x + width, y + height]


def _labelme(content: dict, path: str) -> list[Annotation]:
    regions = []
    for shape in content["shapes"]:
        kind = shape.get("shape_type") or "polygon"
        if kind not in LABELME:
            raise ValueError(f"a shape is a {kind!r}; {', '.join(LABELME)} can be read")
        if LABELME[kind] is not None:
            flat = _numbers([value for point in shape["points"] for value in point])
            regions.append(Region(str(shape["label"]), *LABELME[kind](flat)))
    size = content.get("imageHeight"), content.get("imageWidth")
    names = (path, *filter(None, [str(content.get("imagePath") or "")]))
    return [Annotation(names, path, None if None in size else _size(*size), tuple(regions))]


def _labelme_circle(flat: list[float]) -> tuple[str, list[float]]:
    x, y, x_edge, y_edge = flat  # its centre, and a point on it
    return "circle", [x, y, math.hypot(x_edge - x, y_edge - y)]


LABELME: dict[str, Any] = {
    "polygon": lambda flat: ("polygon", _polygon(flat)),
    "rectangle": lambda flat: ("box", _boxed(flat)),
    "circle": _labelme_circle,
    **dict.fromkeys(("point", "points", "line", "linestrip")),
}
"""LabelMe's kind of shape -> function of its points' numbers that gives a region's kind and numbers; None: left
out, as it has no area."""

READERS: dict[tuple[str, ...], Callable[[dict, str], list[Annotation]]] = {
    ("images", "annotations"): _coco,
    ("shapes",): _labelme,
}
"""Lists that a JSON file holds -> its reader."""


def _polygon(values: Any) -> list[float]:
    numbers = _numbers(values)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(
            f"a polygon must have pairs of x and y for three corners or more, got {len(numbers)} numbers"
        )
    return numbers


def _boxed(flat: list[float]) -> list[float]:
    if len(flat) != 4:
        raise ValueError(f"a rectangle must have two corners, got {len(flat)} numbers")
    return flat


def _numbers(values: Iterable[Any], limit: float = MAX_COORDINATE) -> list[float]:
    return [_number(value, limit) for value in values]


def _number(value: Any, limit: float = MAX_COORDINATE) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"a coordinate must be a number, got {str(value)[:40]!r}")
    number = float(value)
    if not abs(number) <= limit or math.isinf(number):
        raise ValueError(f"a coordinate must be within {MAX_COORDINATE}, got {str(value)[:40]}")
    return number


def _size(height: Any, width: Any) -> tuple[int, int] | None:
    """Height and width as whole numbers; some tools write 0 for what they do not know."""
    size = int(_number(height)), int(_number(width))
    return size if min(size) > 0 else None


def _id(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(f"an id must be a whole number or a string, got {str(value)[:40]!r}")
    return value
