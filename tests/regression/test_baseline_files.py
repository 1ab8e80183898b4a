"""Baselines from files that may be anybody's: refused with words, or as good as new; nothing in between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vizcallbacks as vc
from vizcallbacks import archive
from vizcallbacks.regression.baseline_file import SCHEMA
from vizcallbacks.regression.report_files import picture

from ..helpers.checked import ON_OBJECT, ON_TAG, probe_set, snapshot
from ..helpers.maps import random_maps

PROBE = probe_set()
NOW = snapshot(ON_TAG, PROBE, predictions=[1, 1, 2, 0])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)

CHANGES = {
    "one run less": lambda a, n: a[:-1],
    "one image less": lambda a, n: a[:, :-1],
    "nothing": lambda a, n: a[:0],
    "no image": lambda a, n: a[:, :0],
    "no cell": lambda a, n: a[..., :0],
    "one axis less": lambda a, n: a[0],
    "one axis more": lambda a, n: a[None],
    "flat": lambda a, n: a.reshape(-1),
    "a number": lambda a, n: np.asarray(n),
    "turned": lambda a, n: a.T,
    "all one number": lambda a, n: np.full_like(a, n),
    "floats": lambda a, n: a.astype(np.float64),
    "halves": lambda a, n: a.astype(np.float16),
    "small ints": lambda a, n: a.astype(np.int8),
    "unsigned": lambda a, n: a.astype(np.uint64),
    "other byte order": lambda a, n: a.astype(a.dtype.newbyteorder(">")),
    "texts": lambda a, n: a.astype(str),
    "not a number": lambda a, n: (
        np.where(a == a.flat[0], np.nan, a).astype(a.dtype) if a.dtype.kind == "f" else a
    ),
    "infinite": lambda a, n: a * np.inf if a.dtype.kind == "f" else a,
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A file's name, and the arrays and facts of a whole baseline of three runs."""
    path = tmp_path_factory.mktemp("baseline") / "b.npz"
    runs = [snapshot(ON_OBJECT + 0.3 * random_maps(4, 4, 4, seed=seed), PROBE) for seed in range(3)]
    vc.Baseline.from_snapshots(runs, PROBE).save(path)
    return path, *archive.read(path, "baseline", SCHEMA)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # infinity times zero, in what is written here
def test_a_changed_baseline_is_refused_with_words_or_compared(stored, data):
    path, arrays, facts = stored
    arrays, facts = _cut(arrays, facts, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3)))
    for name in data.draw(st.lists(st.sampled_from(sorted(arrays)), max_size=2, unique=True)):
        change = CHANGES[data.draw(st.sampled_from(sorted(CHANGES)))]
        try:
            arrays[name] = change(arrays[name], data.draw(st.integers(-9, 9)))
        except (IndexError, ValueError, OverflowError):  # the second change of an array that has become small
            del arrays[name]
    for name in data.draw(st.lists(st.sampled_from(sorted(facts)), max_size=2, unique=True)):
        facts[name] = data.draw(JSON)
    archive.write(path, "baseline", SCHEMA, arrays, facts)
    try:
        report = vc.compare(NOW, vc.Baseline.load(path), probe=PROBE)
    except ValueError:
        return
    assert str(report).startswith("attention check")
    assert picture(report, PROBE, count=1).dtype == np.uint8


def _cut(arrays, facts, images, runs):
    """The first images of the first runs: parts that fit together, though the digest is that of all images."""
    measures = {"measures": arrays["measures"][:, :runs, :images]}
    arrays = {**{name: array[:runs, :images] for name, array in arrays.items()}, **measures}
    return arrays, {**facts, "names": facts["names"][:images], "sources": facts["sources"][:runs]}


@pytest.mark.parametrize("images", [1, 3])
def test_a_baseline_of_fewer_images_than_its_digest_says_is_not_comparable(stored, images):
    path, arrays, facts = stored
    archive.write(path, "baseline", SCHEMA, *_cut(arrays, facts, images, 2))
    baseline = vc.Baseline.load(path)
    with pytest.raises(vc.NotComparableError, match=f"the baseline is of {images} images, this is of 4"):
        vc.compare(NOW, baseline)
    with pytest.raises(vc.NotComparableError, match=f"the baseline is of {images} images, this is of 4"):
        vc.AttentionMonitor(PROBE, "none", baseline=baseline)


WHOLE = {
    "a class below -1": ("predictions", lambda a: np.full_like(a, -5)),
    "maps without cells": ("maps/grad_cam", lambda a: a[..., :0]),
    "a missing array": ("measures", None),
}


@pytest.mark.parametrize("case", WHOLE)
def test_parts_that_comparing_would_trip_over_are_named_when_the_file_is_read(stored, case):
    path, arrays, facts = stored
    name, change = WHOLE[case]
    arrays = {key: change(a) if key == name else a for key, a in arrays.items() if key != name or change}
    archive.write(path, "baseline", SCHEMA, arrays, facts)
    with pytest.raises(ValueError, match=f"holds no whole baseline .*{'class' if 'class' in case else name}"):
        vc.Baseline.load(path)
