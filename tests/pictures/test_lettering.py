"""Text: expectations by hand, or read back from the pixels written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vizcallbacks.pictures import lettering

from ..helpers.pictures import LONG

RED = (200, 0, 0)


def blank():
    return np.full((40, 120, 3), 255, np.uint8)


@pytest.mark.parametrize("align", ["left", "centre", "right"])
@pytest.mark.parametrize("text", ["ok", "a fairly long line", LONG])
def test_nothing_is_written_outside_the_box(align, text):
    canvas = blank()
    lettering.write(canvas, (20, 5, 100, 35), text, 27, RED, align)
    inside = np.zeros((40, 120), bool)
    inside[5:35, 20:100] = True
    assert (canvas[~inside] == 255).all()
    assert (canvas[inside] != 255).any()


def test_a_text_stands_at_the_side_it_is_aligned_to_and_keeps_the_margin():
    def ink(align, margin=0):
        canvas = blank()
        lettering.write(canvas, (0, 0, 120, 40), "H", 27, RED, align, margin=margin)
        columns = np.nonzero((canvas != 255).any(axis=(0, 2)))[0]
        return columns.min(), columns.max()

    assert ink("left")[1] < 40
    assert ink("right")[0] > 80
    assert abs(sum(ink("centre")) - 119) <= 4
    assert ink("left", margin=16)[0] == ink("left")[0] + 16
    assert ink("right", margin=16)[1] == ink("right")[1] - 16


def test_the_fill_covers_the_whole_box_and_no_more():
    canvas = blank()
    lettering.write(canvas, (20, 5, 100, 35), "", 27, RED, fill=(1, 2, 3))
    assert (canvas[5:35, 20:100] == (1, 2, 3)).all()
    assert (canvas == (1, 2, 3)).all(axis=2).sum() == 30 * 80


def test_a_long_label_leaves_prediction_probability_and_epoch_readable():
    sentence = lettering.fitted("{}, seen as {} 0.61", ["x" * 5000, "dog"], 300, lettering.TEXT)
    assert sentence.startswith("xx")
    assert sentence.endswith("x…, seen as dog 0.61")
    assert lettering.text_width(sentence, lettering.TEXT) <= 300


def test_a_text_too_wide_for_its_room_is_broken_at_the_space_that_makes_the_lines_most_equal():
    assert lettering.wrapped("one two three", 1000) == ["one two three"]
    assert lettering.wrapped("aaaa bb cccccccc", 100) == ["aaaa bb", "cccccccc"]
    assert lettering.wrapped("unbreakable" * 9, 100) == ["unbreakable" * 9]


@pytest.fixture
def told_anew():
    forget()
    yield
    forget()


def forget():
    """Let lettering look for fonts again."""
    for kept in ("_tell_once", "_wide_families", "_cleaned", "_fitted", "_lettered", "text_width"):
        getattr(lettering, kept).cache_clear()


def test_a_font_of_the_machine_is_taken_where_ours_lack_a_character(tmp_path, monkeypatch, told_anew, caplog):
    (dejavu,) = (family for family in lettering._families() if family)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "wqy-microhei.ttc").write_bytes(Path(dejavu).read_bytes())
    monkeypatch.setattr(lettering, "_families", lambda: ("",))
    monkeypatch.setattr(lettering, "FONT_FOLDERS", (str(tmp_path / "none"), str(tmp_path)))
    assert lettering.clean("Жук") == "Жук"
    canvas, other = blank(), blank()
    for one, text in ((canvas, "Жук"), (other, "???")):
        lettering.write(one, (0, 0, 120, 40), text, 27, RED)
    assert (canvas != other).any()
    assert caplog.records == []


def test_where_no_font_has_a_character_it_is_said_once_what_to_install(
    tmp_path, monkeypatch, told_anew, caplog
):
    monkeypatch.setattr(lettering, "FONT_FOLDERS", (str(tmp_path),))
    assert [lettering.clean(text) for text in ("\u65e5\u672c", "\u732b")] == ["??", "?"]
    (record,) = caplog.records
    assert "install a font" in record.getMessage()


def test_texts_lose_only_what_no_font_has(tmp_path, monkeypatch, told_anew):
    monkeypatch.setattr(lettering, "FONT_FOLDERS", (str(tmp_path),))
    assert lettering.clean("Größe, Жук, λ, été") == "Größe, Жук, λ, été"
    assert lettering.clean("a\n\t b\u200b\u65e5\ud800") == "a b?"
    assert len(lettering.clean("y" * 10**6)) == 200


def test_accents_fall_back_to_base_letters_without_matplotlib(tmp_path, monkeypatch, told_anew):
    monkeypatch.setattr(lettering, "FONT_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(lettering, "_families", lambda: ("",))
    assert lettering.clean("Größe é") == "Gro?e e"


def test_blending_is_in_proportion_to_opacity():
    below = np.full((1, 3, 3), 100, np.uint8)
    drawn = lettering.blend(below, np.array([0, 100, 200]), np.array([[0.0, 0.25, 1.0]]))
    assert drawn.tolist() == [[[100, 100, 100], [75, 100, 125], [0, 100, 200]]]


def test_a_text_that_was_written_before_has_the_same_pixels_in_any_place_and_ink(told_anew):
    first, again = blank(), np.zeros((60, 200, 3), np.uint8)
    lettering.write(first, (20, 5, 100, 35), "Hjörg", 27, RED, margin=3)
    lettering.write(again, (50, 15, 130, 45), "Hjörg", 27, (255, 255, 255), margin=3)
    shares = again[15:45, 50:130, 0] / 255
    assert 0 < shares.mean() < 0.5
    expected = lettering.blend(blank()[5:35, 20:100], np.array(RED), shares)
    np.testing.assert_array_equal(first[5:35, 20:100], expected)
    assert again.sum() == again[15:45, 50:130].sum()


def test_a_mark_drawn_over_does_not_change_the_next():
    one, other = (np.zeros((20, 20, 3), np.uint8) for _ in range(2))
    lettering.mark(one, True, RED, (255, 255, 255))
    drawn = one.copy()
    one[:] = 7
    lettering.mark(other, True, RED, (255, 255, 255))
    np.testing.assert_array_equal(other, drawn)
