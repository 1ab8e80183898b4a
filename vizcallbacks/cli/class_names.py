"""Names of classes: from a file, and a class by its name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any


def read_classes(given: str) -> tuple[int | None, tuple[str, ...] | None]:
    """The number of classes, or their names, out of what a user gave: a number or a file.

    The file has one name a line, or is JSON: a list of names; a dict of number to name, or to a list that ends
    with the name (as Keras has it); or a dict of name to number (as torchvision has it).

    Returns
    -------
    (int or None, tuple of str or None)
        One of the two.

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        It is not as said above.
    """
    if given.isdecimal():
        return int(given), None
    with open(given, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig").strip()
        names = _of_json(json.loads(text)) if text[:1] in ("[", "{") else text.splitlines()
    except ValueError as error:  # of decoding UTF-8 or JSON, too
        raise ValueError(f"{given} must hold names of classes, one a line, or as JSON: {error}") from error
    names = [name.strip() if isinstance(name, str) else name for name in names]
    bad = [number for number, name in enumerate(names) if not isinstance(name, str) or not name]
    if bad or not names:
        reason = f"class {bad[0]} has none" if bad else "it is empty"
        raise ValueError(f"{given} must hold names of classes, one a line, or as JSON: {reason}")
    return None, tuple(names)


def _of_json(found: Any) -> list:
    if isinstance(found, list):
        return found
    if all(type(value) is int for value in found.values()):
        found = {str(number): name for name, number in found.items()}
    if sorted(found) != sorted(map(str, range(len(found)))):
        raise ValueError(f"the numbers of {len(found)} classes must be 0 to {len(found) - 1}, each once")
    values = [found[str(number)] for number in range(len(found))]
    return [value[-1] if isinstance(value, list) and value else value for value in values]


def find_class(given: str, class_names: Sequence[str]) -> int:
    """The number of a class, of its number or its name, in capitals or not.

    Raises
    ------
    ValueError
        There is no such class, or there are several; the message has those that come close.
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
