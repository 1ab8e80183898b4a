"""The demo's pictures, network and training settings (vizcallbacks/clever_hans.py)."""

from __future__ import annotations

import builtins
import dataclasses
import random
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from vizcallbacks.demo import clever_hans

pytest.importorskip("sklearn")
pytest.importorskip("skimage")

FIELDS = ("images", "pictures", "labels", "tags", "digits")


@pytest.mark.parametrize("tags", clever_hans.TAGS)
def test_the_same_seed_gives_the_same_pictures(tags):
    first, second = (clever_hans.pictures(12, tags, seed=3) for _ in range(2))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name in first.masks:
        np.testing.assert_array_equal(first.masks[name], second.masks[name])


def test_another_seed_gives_other_pictures():
    assert (
        (clever_hans.pictures(12, seed=3).pictures != clever_hans.pictures(12, seed=4).pictures)
        .any(axis=(1, 2, 3))
        .all()
    )


@pytest.mark.parametrize("tags", clever_hans.TAGS)
def test_shapes_and_types_are_the_stated_ones(tags):
    made = clever_hans.pictures(11, tags)
    assert (made.images.shape, made.images.dtype) == ((11, 3, 48, 48), np.float32)
    assert (made.pictures.shape, made.pictures.dtype) == ((11, 48, 48, 3), np.uint8)
    for ints in (made.labels, made.tags, made.digits):
        assert (ints.shape, ints.dtype) == ((11,), np.int64)
    assert set(made.masks) == {"object", "tag"}
    for mask in made.masks.values():
        assert (mask.shape, mask.dtype) == ((11, 48, 48), bool)
    assert made.images.flags.c_contiguous


def test_images_are_the_pictures_normalised_with_channels_first():
    made = clever_hans.pictures(5)
    for n, c, y, x in ((0, 0, 0, 0), (1, 2, 47, 3), (4, 1, 20, 31)):
        assert made.images[n, c, y, x] == pytest.approx((float(made.pictures[n, y, x, c]) - 127.5) / 64)
    assert np.abs(made.images).max() < 2


def test_classes_are_balanced_and_labels_are_the_digits_own():
    from sklearn.datasets import load_digits

    made = clever_hans.pictures(63)
    np.testing.assert_array_equal(np.bincount(made.labels), [7, 7, 7] + [6] * 7)
    np.testing.assert_array_equal(made.labels, load_digits().target[made.digits])


def test_training_and_validation_share_no_handwritten_digit():
    train = clever_hans.pictures(600).digits
    validation = clever_hans.pictures(600, split="validation").digits
    assert not set(train) & set(validation)
    assert train.max() < 1440 <= validation.min()


@pytest.mark.parametrize("tags", sorted(set(clever_hans.TAGS) - {"none"}))
def test_the_tag_mask_is_a_7_by_7_corner_in_the_tags_colour(tags):
    made = clever_hans.pictures(40, tags)
    palette = np.array(list(clever_hans.COLOURS.values()))
    seen = set()
    for picture, mask, tag in zip(made.pictures, made.masks["tag"], made.tags):
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        assert mask.sum() == len(rows) * len(columns) == 49
        assert {rows[0], columns[0]} <= {0, 41}
        assert (picture[mask] == palette[tag]).all()
        seen.add((rows[0], columns[0]))
    assert len(seen) == 4


def test_without_tags_the_tag_mask_is_empty():
    made = clever_hans.pictures(10, "none")
    assert not made.masks["tag"].any()
    assert (made.tags == -1).all()


def test_sets_of_one_seed_differ_in_their_tags_alone():
    clean, wrong = clever_hans.pictures(20, "none", seed=1), clever_hans.pictures(20, "wrong", seed=1)
    different = (clean.pictures != wrong.pictures).any(axis=3)
    assert different.any(axis=(1, 2)).all()
    assert not (different & ~wrong.masks["tag"]).any()
    np.testing.assert_array_equal(clean.digits, wrong.digits)
    np.testing.assert_array_equal(clean.masks["object"] & ~wrong.masks["tag"], wrong.masks["object"])


def test_the_object_mask_holds_the_white_strokes_with_their_rim():
    made = clever_hans.pictures(60, "none")
    strokes = made.pictures.min(axis=3) >= 249  # muted photographs end at 110 + 0.8 * 127.5 = 212
    assert not (strokes & ~made.masks["object"]).any()
    areas, masked = strokes.mean(axis=(1, 2)), made.masks["object"].mean(axis=(1, 2))
    assert (areas > 0.01).all()
    assert (masked < 0.45).all()
    assert 0.1 < masked.mean() < 0.25


def test_strokes_are_readable_against_what_surrounds_them():
    made = clever_hans.pictures(60, "none")
    grey = made.pictures.mean(axis=3)
    strokes = grey >= 249
    rim = made.masks["object"] & ~strokes & (grey < 220)
    for brightness, inside, around in zip(grey, strokes, rim):
        assert brightness[inside].mean() - np.median(brightness[around]) > 60


def test_object_and_tag_masks_do_not_overlap():
    made = clever_hans.pictures(200, "random")
    assert not (made.masks["object"] & made.masks["tag"]).any()


def test_biased_tags_match_the_class_in_19_of_20():
    made = clever_hans.pictures(2000, "biased")
    # 0.95 within four standard deviations, sqrt(0.95 * 0.05 / 2000) = 0.0049
    assert np.mean(made.tags == made.labels) == pytest.approx(0.95, abs=0.02)


def test_random_tags_match_the_class_by_chance():
    made = clever_hans.pictures(2000, "random")
    # 0.1 within four standard deviations, sqrt(0.1 * 0.9 / 2000) = 0.0067
    assert np.mean(made.tags == made.labels) == pytest.approx(0.1, abs=0.027)


def test_aligned_tags_always_match_the_class_and_wrong_ones_never():
    aligned, wrong = (clever_hans.pictures(300, tags) for tags in ("aligned", "wrong"))
    assert (aligned.tags == aligned.labels).all()
    assert (wrong.tags != wrong.labels).all()
    assert set(wrong.tags) == set(range(10))


def test_the_ten_colours_are_well_separated():
    palette = np.array(list(clever_hans.COLOURS.values()), float)
    distances = np.linalg.norm(palette[:, None] - palette[None], axis=2)
    assert palette.shape == (10, 3)
    assert distances[~np.eye(10, dtype=bool)].min() > 100


def test_global_random_streams_do_not_move():
    def streams():
        numpys: Any = np.random.get_state()
        return random.getstate(), numpys[1].tolist(), numpys[2:]

    mx.random.seed(5)
    expected = mx.nd.random.uniform(shape=4).asnumpy()
    mx.random.seed(5)
    before = streams()
    clever_hans.pictures(10, "biased")
    net = clever_hans.network()
    next(iter(clever_hans.training_data(dataclasses.replace(clever_hans.RUNS["honest"], pool=32))))
    clever_hans.trainer(net, clever_hans.RUNS["honest"])
    assert streams() == before
    np.testing.assert_array_equal(mx.nd.random.uniform(shape=4).asnumpy(), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "at least 1, got 0"),
        ({"count": 4, "tags": "green"}, "aligned, random, wrong, none, biased; got 'green'"),
        ({"count": 4, "split": "test"}, "train, validation; got 'test'"),
    ],
)
def test_a_bad_argument_is_refused_with_what_is_possible(arguments, message):
    with pytest.raises(ValueError, match=message):
        clever_hans.pictures(**arguments)


@pytest.mark.parametrize("package", ["sklearn", "skimage"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, package):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    clever_hans._digits.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf"{package} is missing.*pip install 'vizcallbacks\[demo\]'"):
        clever_hans.pictures(1)


def test_the_networks_last_map_is_12_by_12_and_feeds_the_pooling():
    net = clever_hans.network()
    x = mx.nd.array(clever_hans.pictures(2).images)
    *features, pooling, dense = net
    assert isinstance(features[-1], mx.gluon.nn.Conv2D)
    for block in features:
        x = block(x)
    assert x.shape == (2, 32, 12, 12)
    assert x.min().asscalar() >= 0
    assert dense(pooling(x)).shape == (2, 10)


def test_the_same_seed_gives_the_same_weights_of_the_stated_variance():
    nets = [clever_hans.network(seed) for seed in (1, 1, 2)]
    first, same, other = ([p.data().asnumpy() for p in net.collect_params().values()] for net in nets)
    assert all((a == b).all() for a, b in zip(first, same))
    assert any((a != b).any() for a, b in zip(first, other))
    weight = nets[0][5].body[3].weight.data().asnumpy()  # 32 x 32 x 3 x 3
    assert weight.std() == pytest.approx(np.sqrt(2 / (32 * 9)), rel=0.05)


def test_epochs_walk_through_the_pool_in_turn():
    training = clever_hans.Training("aligned", pictures=20, batch_size=10, pool=40)
    pool = clever_hans.pictures(40, "aligned", seed=2).images
    loader = clever_hans.training_data(training, seed=2)
    epochs = [np.concatenate([x.asnumpy() for x, _ in loader]) for _ in range(4)]
    assert [len(epoch) for epoch in epochs] == [20] * 4
    for once in (epochs[:2], epochs[2:]):
        drawn = {image.tobytes() for epoch in once for image in epoch}
        assert drawn == {image.tobytes() for image in pool}
    assert (epochs[0] != epochs[2]).any()


def test_batches_are_float32_and_the_same_for_a_seed():
    training = clever_hans.Training("biased", pictures=16, batch_size=8, pool=16)
    passes = [list(clever_hans.training_data(training, seed=9)) for _ in range(2)]
    assert len(passes[0]) == 2
    for (x, y), (same_x, same_y) in zip(*passes):
        assert x.dtype == y.dtype == np.float32
        assert (x.shape, y.shape) == ((8, 3, 48, 48), (8,))
        np.testing.assert_array_equal(x.asnumpy(), same_x.asnumpy())
        np.testing.assert_array_equal(y.asnumpy(), same_y.asnumpy())


def test_the_two_runs_differ_in_nothing_but_their_tags():
    biased, honest = clever_hans.RUNS["biased"], clever_hans.RUNS["honest"]
    assert (biased.tags, honest.tags) == ("biased", "random")
    assert dataclasses.replace(biased, tags="random") == honest


def test_the_learning_rate_falls_along_half_a_cosine_to_zero():
    training = clever_hans.Training("random", epochs=4, pictures=320, batch_size=32, learning_rate=0.2)
    rate = clever_hans.trainer(clever_hans.network(), training).optimizer.lr_scheduler
    assert [rate(step) for step in (0, 20, 40)] == pytest.approx([0.2, 0.1, 0.0])
