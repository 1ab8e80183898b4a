"""Names of classes from files of every usual kind, and a class by its name."""

from __future__ import annotations

import json

import pytest

from vizcallbacks.cli.class_names import find_class, read_classes

NAMES = ("tench", "tabby", "crane", "Égyptian cat", "crane")

FILES = {
    "lines": "tench\ntabby\ncrane\nÉgyptian cat\ncrane\n",
    "lines of Windows": "\ufefftench\r\ntabby\r\n crane \r\nÉgyptian cat\r\ncrane\r\n\r\n",
    "a JSON list": json.dumps(NAMES),
    "JSON, number to name": json.dumps({str(i): name for i, name in enumerate(NAMES)}),
    "JSON as Keras has it": json.dumps({str(i): [f"n0{i}", name] for i, name in enumerate(NAMES)}),
}


@pytest.mark.parametrize("kind", FILES)
def test_names_are_read(kind, tmp_path):
    (tmp_path / "names").write_text(FILES[kind], encoding="utf-8", newline="")
    assert read_classes(str(tmp_path / "names")) == (None, NAMES)


def test_names_to_numbers_are_read(tmp_path):
    (tmp_path / "names").write_text(json.dumps({"dog": 1, "cat": 0}))
    assert read_classes(str(tmp_path / "names")) == (None, ("cat", "dog"))


def test_a_number_is_the_number_of_classes():
    assert read_classes("12") == (12, None)


BAD_FILES = {
    "empty": (b"\n \n", "it is empty"),
    "a gap": (b"a\n\nb\n", "class 1 has none"),
    "broken JSON": (b'["a", ', "Expecting value"),
    "numbers for names": (b"[1, 2]", "class 0 has none"),
    "a class missing": (b'{"0": "a", "2": "b"}', "the numbers of 2 classes must be 0 to 1, each once"),
    "no text": (b"\xff\xfe\x00\x01", "can't decode"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_other_files_are_refused_by_name(case, tmp_path):
    content, message = BAD_FILES[case]
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"names.txt must hold names of classes, one a line.*: .*{message}"):
        read_classes(str(tmp_path / "names.txt"))


def test_a_missing_file_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"names.none"):
        read_classes("names.none")


def test_a_class_is_found_by_number_and_by_name():
    assert find_class("2", NAMES) == 2
    assert find_class("7", ()) == 7
    assert find_class("tabby", NAMES) == 1
    assert find_class(" éGYPTIAN CAT", NAMES) == 3


@pytest.mark.parametrize(
    ("given", "names", "message"),
    [
        ("5", NAMES, r"one of 0 to 4, got 5"),
        ("cat", NAMES, r"no class is called 'cat'; close to it: Égyptian cat \(3\)"),
        ("taby", NAMES, r"no class is called 'taby'; close to it: tabby \(1\)"),
        ("zzz", NAMES, r"no class is called 'zzz'; give a number"),
        ("crane", NAMES, r"the name of the classes 2, 4; give the number"),
        ("tench", (), r"not known, got 'tench'; give the class's number"),
    ],
)
def test_what_is_no_class_is_refused_with_those_that_come_close(given, names, message):
    with pytest.raises(ValueError, match=message):
        find_class(given, names)
