"""Names of classes from files of every usual kind, and a class by its name."""

from __future__ import annotations

import json
import os

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


ENCODED = {
    "UTF-16 of Windows": "\r\n".join(NAMES).encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + "\n".join(NAMES).encode("utf-16-be"),
    "cp1252": b"tench\r\ntabby\r\ncrane\r\n\xc9gyptian cat\r\ncrane\r\n",
    "JSON in UTF-16": json.dumps(NAMES, ensure_ascii=False).encode("utf-16"),
    "lines of an old Mac": "\r".join(NAMES).encode(),
    "a list as names": json.dumps({"names": NAMES}).encode(),
    "a dict as names": json.dumps({"names": dict(enumerate(NAMES))}).encode(),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_names_of_other_encodings_and_places_are_read(kind, tmp_path):
    (tmp_path / "names").write_bytes(ENCODED[kind])
    assert read_classes(str(tmp_path / "names")) == (None, NAMES)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_separator_that_is_no_line_break_belongs_to_the_name(separator, tmp_path):
    (tmp_path / "names").write_text(f"a{separator}b\nc\n", encoding="utf-8")
    assert read_classes(str(tmp_path / "names")) == (None, (f"a{separator}b", "c"))


def test_a_class_may_be_called_names(tmp_path):
    (tmp_path / "names").write_text('{"names": 0}')
    assert read_classes(str(tmp_path / "names")) == (None, ("names",))


@pytest.mark.parametrize("kind", FILES)
def test_names_are_read(kind, tmp_path):
    (tmp_path / "names").write_bytes(FILES[kind].encode())
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
    "no text": (b"\xff\x00\x01", "it is no text"),
    "no UTF-16": (b"\xff\xfe\x00", "truncated data"),
    "not of cp1252": (b"a\x81", "can't decode"),
    "another dict": (b'{"names": ["a"], "nc": 1}', "the numbers of 2 classes must be 0 to 1"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_other_files_are_refused_by_name(case, tmp_path):
    content, message = BAD_FILES[case]
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"names.txt must hold names of classes, one a line.*: .*{message}"):
        read_classes(str(tmp_path / "names.txt"))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"0":', "}")])
def test_deeply_nested_json_is_refused(opening, closing, tmp_path):
    (tmp_path / "names").write_text(opening * 100_000 + closing * 100_000)
    with pytest.raises(ValueError, match="names must hold names of classes, and is JSON nested too deeply"):
        read_classes(str(tmp_path / "names"))


def test_a_pipe_a_device_and_a_large_file_are_refused_before_they_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero"):
        with pytest.raises(ValueError, match="must be a regular file, got a pipe, a device or the like"):
            read_classes(path)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**40)  # a hole: no disk is taken
    with pytest.raises(ValueError, match="at most 16777216 bytes .*, and has 1099511627776; give another"):
        read_classes(str(tmp_path / "large"))


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
