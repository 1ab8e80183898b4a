"""Names of classes: from a file, and a class by its name."""

from __future__ import annotations

import codecs
import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from ..files import open_regular

MOST_BYTES = 2**24
"""Of a file of names: more than a hundred thousand long ones have."""


def read_classes(given: str) -> tuple[int | None, tuple[str, ...] | None]:
    """The number of classes, or their names, from what a user gave: a number or a file.

    The file has one name a line, or is JSON: a list of names; a dict of number to name, or to a list that ends
    with the name (as Keras has it); a dict of name to number (as torchvision has it); or any of these as the value
    of "names" (as YOLO has it). It is UTF-8, UTF-16 with a byte order mark, or else Windows' cp1252.

    Returns
    -------
    (int or None, tuple of str or None)
        One of the two.

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        It is none of these, not a regular file, or larger than `MOST_BYTES`.
    """
    if given.isdecimal():
        return int(given), None
    with open_regular(given, MOST_BYTES) as file:
        data = file.read(MOST_BYTES)
    try:
        text = _decoded(data).strip()
        # str.splitlines would also split at U+2028 and the like, which a name may hold
        lines = re.split(r"\r\n|\r|\n", text) if text else []
        names = _of_json(json.loads(text)) if text[:1] in ("[", "{") else lines
    except RecursionError as error:
        raise ValueError(f"{given} must hold names of classes, and is JSON nested too deeply") from error
    except ValueError as error:  # of decoding or JSON, too
        raise ValueError(f"{given} must hold names of classes, one a line, or as JSON: {error}") from error
    names = [name.strip() if isinstance(name, str) else name for name in names]
    bad = [number for number, name in enumerate(names) if not isinstance(name, str) or not name]
    if bad or not names:
        reason = f"class {bad[0]} has none" if bad else "it is empty"
        raise ValueError(f"{given} must hold names of classes, one a line, or as JSON: {reason}")
    return None, tuple(names)


def _decoded(data: bytes) -> str:
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    if any(ord(character) < 32 and character not in "\t\r\n" for character in text):
        raise ValueError("it is no text")
    return text


def _of_json(found: Any) -> list:
    if isinstance(found, dict) and set(found) == {"names"} and isinstance(found["names"], (list, dict)):
        found = found["names"]
    if isinstance(found, list):
        return found
    if all(type(value) is int for value in found.values()):
        found = {str(number): name for name, number in found.items()}
    if sorted(found) != sorted(map(str, range(len(found)))):
        raise ValueError(f"the numbers of {len(found)} classes must be 0 to {len(found) - 1}, each once")
    values = [found[str(number)] for number in range(len(found))]
    return [value[-1] if isinstance(value, list) and value else value for value in values]


def find_class(given: str, class_names: Sequence[str]) -> int:
    """The number of a class, given its number or its name; upper and lower case are the same.

    Raises
    ------
    ValueError
        There is no such class, or there are several; the message lists similar ones.
    """
    if given.isdecimal():
        number = int(given)
        if class_names and number >= len(class_names):
            raise ValueError(f"the class must be one of 0 to {len(class_names) - 1}, got {number}")
        return number
    if not class_names:
        raise ValueError(
            f"the names of this network's classes are not known, got {given!r}; give the class's number, or "
            "the names by --classes FILE"
        )
    folded = [name.casefold() for name in class_names]
    wanted = given.strip().casefold()
    found = [number for number, name in enumerate(folded) if name == wanted]
    if len(found) > 1:
        raise ValueError(
            f"{given!r} is the name of the classes {', '.join(map(str, found))}; give the number"
        )
    if not found:
        within = [name for name in folded if wanted in name]
        close = dict.fromkeys([*within, *difflib.get_close_matches(wanted, folded, 5)])
        listed = ", ".join(
            f"{class_names[folded.index(name)]} ({folded.index(name)})" for name in list(close)[:8]
        )
        raise ValueError(
            f"no class is called {given!r}; {f'close to it: {listed}' if listed else 'give a number'}"
        )
    return found[0]
