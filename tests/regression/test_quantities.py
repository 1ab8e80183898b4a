"""The table of quantities and the grammar of their names."""

from __future__ import annotations

import numpy as np
import pytest

from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.measures.of_one_map import MEASURES, measure_maps
from vizcallbacks.measures.of_two_maps import SIMILARITY
from vizcallbacks.regression.quantities import (
    QUANTITIES,
    known_names,
    masks_of,
    no_mask,
    read_name,
    sentence,
    tolerance_of,
)

EACH = pytest.mark.parametrize("key", QUANTITIES)


def named(key):
    """A name for each row of the table."""
    return {"": key, "mask": f"{key}/tag", "method": f"grad_cam/{key}"}[QUANTITIES[key].of]


def test_every_measure_and_similarity_has_a_row_and_so_has_what_a_snapshot_measures():
    masks = {"tag": np.ones((1, 4, 4), bool)}
    assert {*MEASURES, *SIMILARITY, "flips", "probability", "score", "drift"} == set(QUANTITIES)
    assert all(read_name(name) for name in measure_maps(np.ones((1, 2, 2)), masks))
    assert not set(METHODS) & set(QUANTITIES)  # or a name could be read in two ways


@EACH
def test_a_name_is_read_back(key):
    found = read_name(named(key))
    assert (found.key, found.quantity) == (key, QUANTITIES[key])
    assert found.of == {"": "", "mask": "tag", "method": "grad_cam"}[QUANTITIES[key].of]


@pytest.mark.parametrize(
    "name", ["", "/", "energy", "energy/", "/spearman", "spearman", "spearman/grad_cam", "dead/tag", "Dead"]
)
def test_what_is_no_name_is_refused_with_the_names_there_are(name):
    with pytest.raises(
        ValueError, match="there is no measure .*; measures are energy/<mask>, .*<method>/spearman"
    ):
        read_name(name)


def test_masks_may_have_any_name():
    for mask in ("a/b", "spearman", "energy", "dead", " "):
        assert read_name(f"energy/{mask}").of == mask
    names = ["score", "dead", "energy/a/b", "pointing/a/b", "energy/c", "loss/d"]
    assert masks_of(names) == ("a/b", "c")


@EACH
def test_tolerances_lie_within_the_range_and_directions_are_those_of_the_measures(key):
    quantity, (low, high) = QUANTITIES[key], QUANTITIES[key].range
    assert low < high
    if quantity.tolerance is None:
        with pytest.raises(
            ValueError, match=f"'within noise' is not known for '{named(key)}'.*give a number"
        ):
            tolerance_of(named(key))
    else:
        assert 0 < tolerance_of(named(key)) < high - low
    measured = {**MEASURES, **SIMILARITY}.get(key)
    if measured is not None:
        assert quantity.range == measured.range
        assert quantity.better == (None if quantity.of == "mask" else measured.better)


@EACH
def test_a_sentence_names_mask_or_method_and_the_range(key):
    text = sentence(named(key))
    assert text[0].isupper() or text[0].isdigit()
    assert text.endswith(".")
    assert QUANTITIES[key].of == "" or {"mask": "'tag'", "method": "grad_cam"}[QUANTITIES[key].of] in text
    assert "{" not in text
    assert sentence("loss") == ""


def test_names_are_listed_by_what_there_is():
    everything = known_names(["grad_cam", "xgrad_cam"], ["a"])
    assert "energy/a" in everything
    assert "xgrad_cam/ssim" in everything
    assert "flips" in everything
    alone = known_names(["grad_cam"], ["a"], baseline=False)
    assert not any(word in alone for word in ("ssim", "flips"))
    assert "dead" in alone
    assert known_names(maps=False, baseline=False) == "measures are probability, score"


def test_a_missing_mask_is_told_with_the_way_to_give_it():
    assert no_mask("dog", []).startswith(
        "because the probe set has no mask 'dog' (it has none); masks are given"
    )
