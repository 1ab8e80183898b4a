"""What TensorBoard gets: which pictures and curves, when, of what size, and exactly which pixels."""

import itertools
import re
from dataclasses import replace
from types import MappingProxyType

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers.probes import probe_set as noise
from vizcallbacks.measures.of_one_map import measure_maps
from vizcallbacks.measures.of_two_maps import SIMILARITY
from vizcallbacks.pictures.grid import Header
from vizcallbacks.pictures.panels import TitledMap, panel
from vizcallbacks.pictures.peak_sheet import peak_sheet
from vizcallbacks.pictures.peaks import peaks
from vizcallbacks.pictures.picture import encode
from vizcallbacks.pictures.sheets import Track, history_sheet, overview
from vizcallbacks.regression.snapshot import Snapshot
from vizcallbacks.tensorboard.event_log import EventLog
from vizcallbacks.training.album import Album, sizes_for
from vizcallbacks.training.curves import description
from vizcallbacks.training.pages import KEPT

CLASSES = ["cat", "dog"]


def probe_set(count=2, **instead):
    facts = {"labels": np.arange(count) % 2, "class_names": CLASSES, "masks": {}}
    return noise(count, (12, 16), **{**facts, **instead})


def cams(seed, count=2, scale=1.0):
    return (scale * np.random.default_rng(seed).uniform(size=(count, 3, 4))).astype(np.float32)


def snapshot(step, maps=None, count=2, predictions=None, probe=None, **measures):
    """Of `count` images, all seen as class 0 with 60 %."""
    return Snapshot(
        step=step,
        when=f"epoch {step}" if step else "before training",
        layer="features.0",
        maps=MappingProxyType({} if maps is None else {"grad_cam": maps}),
        targets=np.zeros(count, int),
        predictions=np.zeros(count, int) if predictions is None else np.array(predictions),
        confidence=np.full(count, 0.6, np.float32),
        measures=MappingProxyType({name: np.array(values, float) for name, values in measures.items()}),
        relus=(1, 1),
        digest=(probe or probe_set(count)).digest,
    )


class Recorder:
    """Takes what a Sink takes, and keeps it."""

    def __init__(self, *jobs):
        self.pictures, self.scalars, self.texts, self.descriptions = {}, {}, {}, {}
        for job in jobs:
            job(self)

    def image(self, tag, picture, step):
        assert (tag, step) not in self.pictures
        self.pictures[tag, step] = picture

    def scalar(self, tag, value, step, description=""):
        assert (tag, step) not in self.scalars
        self.scalars[tag, step], self.descriptions[tag] = value, description

    def text(self, tag, text, step):
        self.texts[tag, step] = text


def steps_of(recorder, start):
    return sorted({step for tag, step in recorder.pictures if tag.startswith(start)})


# In TensorBoard


def test_tensorboard_holds_every_tag_step_size_and_pixel(tmp_path):
    probe = probe_set()
    album = Album(probe, ("grad_cam",), show=12)
    maps = [cams(0), cams(1, scale=3), cams(2)]
    with EventLog(tmp_path, encode=lambda picture: encode(picture, "png")) as log:
        for step, now in enumerate(maps):
            jobs = album.add(snapshot(step, now, score=[step, 2 * step]), {"grad_cam": now})
            assert all(log.submit(job) for job in jobs)
        for job in album.sheets(2):
            log.submit(job)
    assert log.dropped == 0
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    assert sorted(events.Tags()["images"]) == [
        "attention/overview_grad_cam",
        "attention/peaks",
        "attention_panels/00_cat",
        "attention_panels/01_dog",
        "attention_panels_history/00_cat",
        "attention_panels_history/01_dog",
    ]
    headers = [
        [
            Header(label, "cat", float(np.float32(0.6)), when, right)
            for label, right in (("cat", True), ("dog", False))
        ]
        for when in ("before training", "epoch 1", "epoch 2")
    ]
    tracks = [
        Track(label, probe.pictures[i], [now[i] for now in maps], [right] * 3)
        for i, (label, right) in enumerate((("cat", True), ("dog", False)))
    ]
    expected = {
        "attention/overview_grad_cam": overview(tracks, ["start", "1", "2"], "Grad-CAM"),
        "attention/peaks": peak_sheet(peaks(snapshot(2, maps[2]), probe), "epoch 2"),
    }
    for i, label in enumerate(CLASSES):
        scale = max(float(now[i].max()) for now in maps)  # the largest so far
        shown = TitledMap("Grad-CAM", maps[2][i], "cam", scale)
        expected[f"attention_panels/0{i}_{label}"] = panel(probe.pictures[i], [shown], headers[2][i], 375)
        captions = ["start", "1", "2"]
        entries = [(replace(headers[step][i], epoch=captions[step]), maps[step][i]) for step in range(3)]
        sheet = history_sheet(probe.pictures[i], entries, f"Grad-CAM · {label} · epoch 2", side=80)
        expected[f"attention_panels_history/0{i}_{label}"] = sheet
    for tag, picture in expected.items():
        written = events.Images(tag)
        assert [event.step for event in written] == [0, 1, 2]
        assert (written[-1].height, written[-1].width) == picture.shape[:2]
        data = np.frombuffer(written[-1].encoded_image_string, np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(decoded, picture, err_msg=tag)
    assert events.Tags()["scalars"] == ["attention_mean/score"]
    assert [event.value for event in events.Scalars("attention_mean/score")] == [0, 1.5, 3]
    assert events.SummaryMetadata("attention_mean/score").summary_description.startswith(
        "The explained score"
    )
    np.testing.assert_array_equal(album.overview(), expected["attention/overview_grad_cam"])


# Which pictures, and when


def test_overview_and_peaks_are_drawn_anew_at_powers_of_two_and_half_way_between_histories_at_powers_of_two():
    album, jobs = Album(probe_set(), ("grad_cam",), show=1), []
    for step in range(1, 40):
        jobs += album.add(snapshot(step, cams(step)), {"grad_cam": cams(step)[1:]})
    made = Recorder(*jobs)
    drawn = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    assert steps_of(made, "attention/overview") == drawn
    assert steps_of(made, "attention/peaks") == drawn
    assert steps_of(made, "attention_panels_history/") == [1, 2, 4, 8, 16, 32]
    assert steps_of(made, "attention_panels/") == list(range(1, 40))


def test_overview_and_peaks_are_handed_over_for_files_as_they_are_logged():
    kept = {}
    album = Album(probe_set(), ("grad_cam",), show=2, keep=kept.__setitem__)
    made = Recorder(*album.add(snapshot(1, cams(0)), {"grad_cam": cams(0)}))
    assert sorted(kept) == ["overview.png", "peaks.png"]
    np.testing.assert_array_equal(kept["overview.png"], made.pictures["attention/overview_grad_cam", 1])
    np.testing.assert_array_equal(kept["peaks.png"], made.pictures["attention/peaks", 1])


def test_the_last_sheets_are_drawn_once():
    album = Album(probe_set(), ("grad_cam",), show=2)
    assert album.sheets(0) == []
    for step in range(14):
        album.add(snapshot(step, cams(step)), {"grad_cam": cams(step)})
    last = Recorder(*album.sheets(13))
    assert set(last.pictures) == {
        ("attention_panels_history/00_cat", 13),
        ("attention_panels_history/01_dog", 13),
        ("attention/overview_grad_cam", 13),
        ("attention/peaks", 13),
    }
    assert album.sheets(13) == []


def test_of_many_images_evenly_spaced_ones_are_shown_and_all_count_in_means():
    count = 9
    album = Album(probe_set(count), ("grad_cam",), show=3, per_image_curves=True)
    assert album.shown == [0, 4, 8]
    maps = cams(0, count)
    jobs = album.add(snapshot(1, maps, count, gini=np.arange(9)), {"grad_cam": maps[[0, 4, 8]]})
    made = Recorder(*jobs)
    assert [tag for tag, _ in made.pictures if tag.startswith("attention_panels/")] == [
        "attention_panels/00_cat",
        "attention_panels/04_cat",
        "attention_panels/08_cat",
    ]
    assert made.scalars == {
        ("attention_per_image/gini/00_cat", 1): 0,
        ("attention_per_image/gini/04_cat", 1): 4,
        ("attention_per_image/gini/08_cat", 1): 8,
        ("attention_mean/gini", 1): 4,
    }


def test_images_have_no_curves_of_their_own_unless_asked_for():
    jobs = Album(probe_set(), ("grad_cam",), 2).add(
        snapshot(1, cams(0), gini=[0, 1], drift=[1, 1]), {"grad_cam": cams(0)}
    )
    assert Recorder(*jobs).scalars == {("attention_mean/gini", 1): 0.5, ("attention_mean/drift", 1): 1}


def test_groups_of_tags_sort_so_that_sheets_and_means_are_the_two_that_tensorboard_opens():
    album = Album(probe_set(), ("grad_cam",), 2, per_image_curves=True)
    made = Recorder(*album.add(snapshot(1, cams(0), gini=[0, 1]), {"grad_cam": cams(0)}))
    groups = sorted({tag.split("/")[0] for tag, _ in (*made.pictures, *made.scalars)})
    assert groups[:2] == ["attention", "attention_mean"]
    assert len(groups) == 5


def test_every_curve_has_one_sentence_of_description():
    masks = {"object": np.ones((2, 12, 16), bool)}
    probe = probe_set(masks=masks)
    measured = measure_maps(cams(0), masks)
    taken = snapshot(1, cams(0), probe=probe, score=[1, 2], probability=[1, 1], drift=[1, 1], **measured)
    made = Recorder(*Album(probe, ("grad_cam",), 2).add(taken, {"grad_cam": cams(0)}))
    assert set(made.descriptions) == {tag for tag, _ in made.scalars}
    for tag, sentence in made.descriptions.items():
        assert re.fullmatch(r"[A-Z][^\n]{20,110}\.", sentence), tag
        assert not sentence.startswith("Mean of"), tag
    assert "'object'" in made.descriptions["attention_mean/energy_object"]
    assert description("no such") == "Mean of no such."
    for name in SIMILARITY:
        assert "Grad-CAM" in description(f"grad_cam/{name}")


def test_the_remark_on_edges_is_made_once():
    maps = {"grad_cam": cams(0), "guided_grad_cam": np.ones((2, 3, 12, 16), np.float32)}
    album, texts = Album(probe_set(), tuple(maps), 2), {}
    for step in (1, 2, 3):
        texts.update(Recorder(*album.add(snapshot(step, cams(0)), maps)).texts)
    assert texts == {("attention/note", 1): "Guided Grad-CAM shows edges as much as reasons."}


def test_where_the_net_is_wrong_the_panel_also_tells_why_it_predicts_what_it_does():
    probe, maps, other = probe_set(), cams(0), cams(1, scale=2)
    album = Album(probe, ("grad_cam",), 2)
    taken = replace(snapshot(1, maps), targets=np.array([0, 1]))  # both are seen as cats
    made = Recorder(*album.add(taken, {"grad_cam": maps}, predicted={1: other[1]}))
    header = Header("dog", "cat", float(np.float32(0.6)), "epoch 1", False)
    scale = float(max(maps[1].max(), other[1].max()))
    shown = [TitledMap("why dog?", maps[1], "cam", scale), TitledMap("why cat?", other[1], "cam", scale)]
    expected = panel(probe.pictures[1], shown, header, 375)
    np.testing.assert_array_equal(made.pictures["attention_panels/01_dog", 1], expected)
    alone = Recorder(*Album(probe, ("grad_cam",), 2).add(taken, {"grad_cam": maps}))
    assert (alone.pictures["attention_panels/01_dog", 1].shape) != expected.shape
    np.testing.assert_array_equal(
        *(one.pictures["attention_panels/00_cat", 1] for one in (alone, made)),
    )


def test_panels_have_the_outlines_of_the_masks():
    masks = {"object": np.zeros((2, 12, 16), bool)}
    masks["object"][:, 3:9, 4:12] = True
    probe, maps = probe_set(masks=masks), cams(0)
    made = Recorder(*Album(probe, ("grad_cam",), 2).add(snapshot(1, maps, probe=probe), {"grad_cam": maps}))
    header = Header("cat", "cat", float(np.float32(0.6)), "epoch 1", True)
    shown = TitledMap("Grad-CAM", maps[0], "cam", float(maps[0].max()))
    expected = panel(probe.pictures[0], [shown], header, 375, [masks["object"][0]])
    np.testing.assert_array_equal(made.pictures["attention_panels/00_cat", 1], expected)


def test_each_image_shown_gets_its_own_map_from_memory_and_from_disk():
    probe, maps = probe_set(5), cams(0, 5)
    album, again = Album(probe, ("grad_cam",), show=3), Album(probe, ("grad_cam",), show=3)
    made = Recorder(*album.add(snapshot(1, maps, 5), {"grad_cam": maps[[0, 2, 4]]}))
    for i, label in ((0, "cat"), (2, "cat"), (4, "cat")):
        header = Header(label, "cat", float(np.float32(0.6)), "epoch 1", True)
        shown = TitledMap("Grad-CAM", maps[i], "cam", float(maps[i].max()))
        expected = panel(probe.pictures[i], [shown], header, 375)
        np.testing.assert_array_equal(made.pictures[f"attention_panels/0{i}_{label}", 1], expected)
    assert again.add(snapshot(1, maps, 5)) == []
    np.testing.assert_array_equal(again.overview(), album.overview())


def test_maps_of_all_images_are_refused_where_fewer_are_shown():
    album = Album(probe_set(5), ("grad_cam",), show=3)
    with pytest.raises(ValueError, match="of the 3 images shown, got 5 of 'grad_cam'"):
        album.add(snapshot(1, cams(0, 5), 5), {"grad_cam": cams(0, 5)})
    assert album.sheets(1) == []


def test_the_first_map_of_the_cam_family_is_the_sheets_or_else_the_first():
    for methods, main in (
        (("saliency", "grad_cam"), "grad_cam"),
        (("saliency", "gradient"), "saliency"),
        (("gradient", "saliency"), "gradient"),
    ):
        maps = {
            "grad_cam": cams(0),
            "saliency": np.ones((2, 12, 16), np.float32),
            "gradient": np.random.default_rng(0).normal(size=(2, 3, 12, 16)).astype(np.float32),
        }
        jobs = Album(probe_set(), methods, show=2).add(snapshot(1, cams(0)), maps)
        made = Recorder(*jobs)
        assert ("attention/overview_" + main, 1) in made.pictures
        assert made.pictures["attention_panels/00_cat", 1].shape[1] == 375


def test_snapshots_from_disk_go_into_sheets_and_are_not_logged():
    probe, maps = probe_set(), [cams(0), cams(1)]
    resumed, straight = Album(probe, ("grad_cam",), 2), Album(probe, ("grad_cam",), 2)
    assert resumed.add(snapshot(0, maps[0])) == []
    straight.add(snapshot(0, maps[0]), {"grad_cam": maps[0]})
    again, expected = (
        Recorder(*album.add(snapshot(1, maps[1]), {"grad_cam": maps[1]})) for album in (resumed, straight)
    )
    assert list(again.pictures) == list(expected.pictures)
    for key, picture in expected.pictures.items():
        np.testing.assert_array_equal(again.pictures[key], picture)


def test_a_snapshot_from_disk_without_the_map_is_passed_over():
    album = Album(probe_set(), ("saliency",), show=2)
    assert album.add(snapshot(0, cams(0))) == []
    assert album.sheets(0) == []


def test_maps_handed_over_may_change_afterwards():
    probe, given = probe_set(), cams(0)
    album, other = Album(probe, ("grad_cam",), 2), Album(probe, ("grad_cam",), 2)
    jobs = album.add(snapshot(1, given), {"grad_cam": given})
    expected = Recorder(*other.add(snapshot(1, cams(0)), {"grad_cam": cams(0)}))
    given[:] = 0
    for key, picture in Recorder(*jobs).pictures.items():
        np.testing.assert_array_equal(picture, expected.pictures[key])


# Memory


@pytest.mark.parametrize("count", [1, KEPT, KEPT + 1, 48, 49, 100, 300])
def test_entries_stay_few_evenly_spaced_with_the_first_and_the_newest(count):
    album, most = Album(probe_set(), ("grad_cam",), show=1), 0
    for step in range(count):
        album.add(snapshot(step, cams(step)), {"grad_cam": cams(step)[1:]})
        numbers = [page.number for page in album._pages.kept()]
        most = max(most, len(numbers))
        assert (numbers[0], numbers[-1]) == (0, step)
        gaps = np.diff(numbers)
        assert (gaps[:-1] == gaps[:1]).all()  # evenly, up to the newest
        assert (gaps[-1:] <= gaps[:1]).all()
        assert step < KEPT or len(numbers) > KEPT / 2
    assert most == min(count, KEPT)


def test_large_maps_are_kept_small():
    maps = np.random.default_rng(0).uniform(size=(2, 3, 224, 112)).astype(np.float32)
    album = Album(probe_set(), ("gradient",), show=2)
    album.add(snapshot(1), {"gradient": maps})
    assert album._pages.kept()[0].maps.shape == (2, 56, 28)
    magnitude = maps[0].max(axis=0)  # 4 x 4 pixels become one
    np.testing.assert_allclose(
        album._pages.kept()[0].maps[0, 5, 7], magnitude[20:24, 28:32].mean(), rtol=1e-5
    )


def test_panels_of_small_pictures_are_as_wide_as_a_card_of_tensorboard():
    sizes = [sizes_for((9, side, side // 2, 3)) for side in (1, 80, 81, 5000)]
    assert sizes == [(375, 80), (375, 80), (512, 120), (512, 120)]


# Labels


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("dog/wolf", "00_dog_wolf"),
        ("../../etc", "00____.._etc"),
        ("é😀 \n", "00_____"),
        ("x" * 10_000, "00_" + "x" * 40),
        ("", "00_"),
    ],
)
def test_any_label_makes_one_well_formed_part_of_a_tag(label, part, tmp_path):
    probe = probe_set(class_names=[label, "dog"])
    album = Album(probe, ("grad_cam",), show=2, per_image_curves=True)
    with EventLog(tmp_path) as log:
        for job in album.add(snapshot(1, cams(0), probe=probe, gini=[0.5, 0.5]), {"grad_cam": cams(0)}):
            log.submit(job)
    assert log.dropped == 0
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert f"attention_panels/{part}" in events.Tags()["images"]
    assert f"attention_panels_history/{part}" in events.Tags()["images"]
    assert f"attention_per_image/gini/{part}" in events.Tags()["scalars"]


def test_probes_of_equal_labels_do_not_collide():
    probe = probe_set(4, labels=[0, 0, 0, 0], class_names=["x" * 50])
    made = Recorder(
        *Album(probe, ("grad_cam",), 4, per_image_curves=True).add(
            snapshot(1, cams(0, 4), 4, probe=probe, gini=[1, 2, 3, 4]), {"grad_cam": cams(0, 4)}
        )
    )
    assert len([tag for tag, _ in made.pictures if tag.startswith("attention_panels/")]) == 4
    assert len([tag for tag, _ in made.scalars if tag.startswith("attention_per_image/gini/")]) == 4


def test_measures_of_a_mask_have_a_curve_of_their_own():
    measures = {"energy/object": [0.25, 0.5], "energy": [1, 1]}
    shown = {"grad_cam": cams(0)[1:]}
    jobs = Album(probe_set(), ("grad_cam",), 1).add(snapshot(1, cams(0), **measures), shown)
    curves = {tag for tag, _ in Recorder(*jobs).scalars}
    assert curves == {"attention_mean/energy_object", "attention_mean/energy"}


# Undefined


@pytest.mark.parametrize(
    ("value", "methods"),
    [
        *itertools.product(
            (0, np.nan, np.inf), (("grad_cam", "saliency", "gradient"), ("saliency",), ("gradient",))
        ),
        (-1, ("grad_cam", "gradient")),  # not positive
    ],
)
def test_dead_and_undefined_maps_are_drawn_and_spoil_no_scale(value, methods):
    probe = probe_set()
    shapes = {"grad_cam": (2, 3, 4), "saliency": (2, 12, 16), "gradient": (2, 3, 12, 16)}
    good = {
        name: np.random.default_rng(0).uniform(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    bad = {name: np.full(shape, value, np.float32) for name, shape in shapes.items()}
    album, without = Album(probe, methods, 2), Album(probe, methods, 2)
    first = Recorder(*album.add(snapshot(1, bad["grad_cam"]), bad))
    assert len(first.pictures) == 2 + 2 + 1 + (methods[0] == "grad_cam")  # and peaks, of the CAM family
    second = Recorder(*album.add(snapshot(2, good["grad_cam"]), good))
    alone = Recorder(*without.add(snapshot(2, good["grad_cam"]), good))
    for tag in ("attention_panels/00_cat", "attention_panels/01_dog"):
        np.testing.assert_array_equal(second.pictures[tag, 2], alone.pictures[tag, 2])


def test_undefined_measures_are_left_out_and_means_are_over_the_defined(tmp_path):
    album = Album(probe_set(3), ("grad_cam",), show=3, per_image_curves=True)
    taken = snapshot(1, cams(0, 3), 3, gini=[np.nan, 0.25, 0.75], drift=[np.nan] * 3)
    with EventLog(tmp_path) as log:
        for job in album.add(taken, {"grad_cam": cams(0, 3)}):
            log.submit(job)
    assert log.dropped == 0
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == [
        "attention_mean/gini",
        "attention_per_image/gini/01_dog",
        "attention_per_image/gini/02_cat",
    ]
    assert events.Scalars("attention_mean/gini")[0].value == 0.5


def test_without_labels_or_a_prediction_nothing_is_right_or_wrong():
    headers = {}
    for name, probe, predictions in (
        ("no labels", probe_set(labels=None), [0, 1]),
        ("no prediction", probe_set(), [-1, -1]),
        ("both", probe_set(), [0, 0]),
    ):
        album = Album(probe, ("grad_cam",), 2)
        album.add(snapshot(1, cams(0), predictions=predictions), {"grad_cam": cams(0)})
        headers[name] = album._pages.kept()[0].headers
    assert headers["no labels"][0] == Header("image_000", "cat", float(np.float32(0.6)), "epoch 1", None)
    assert headers["no prediction"][0] == Header("cat", "", None, "epoch 1", None)
    assert [header.right for header in headers["both"]] == [True, False]


@pytest.mark.parametrize(
    ("when", "caption"),
    [
        ("before training", "start"),
        ("epoch 12", "12"),
        ("batch 3000", "3000"),
        ("after 1 epoch", "1"),
        ("after 12 epochs", "12"),
        ("after 3000 batches", "3000"),
        ("warm-up", "warm-up"),
        ("after the warm-up", "after the warm-up"),
    ],
)
def test_columns_of_the_overview_are_short(when, caption):
    probe, maps = probe_set(labels=None), cams(0)
    album = Album(probe, ("grad_cam",), 2)
    taken = snapshot(1, maps)
    album.add(Snapshot(**{**vars(taken), "when": when}), {"grad_cam": maps})
    tracks = [Track(f"image_00{i}", probe.pictures[i], [maps[i]], [None]) for i in range(2)]
    np.testing.assert_array_equal(album.overview(), overview(tracks, [caption], "Grad-CAM"))


def test_a_concept_keeps_its_colour_when_the_next_snapshot_has_it_under_another_number():
    probe = probe_set()
    first = np.random.default_rng(0).uniform(size=(2, 4, 3, 4)).astype(np.float32)
    one, other = (Album(probe, ("grad_cam", "feature_factors"), show=2) for _ in range(2))
    for album, order in ((one, [0, 1, 2, 3]), (other, [3, 1, 0, 2])):
        drawn = []
        for step, maps in ((0, first), (1, 0.9 * first[:, order])):
            given = {"grad_cam": cams(step), "feature_factors": maps}
            drawn.append(Recorder(*album.add(snapshot(step, cams(step)), given)))
        panels = {tag: picture for (tag, step), picture in drawn[1].pictures.items() if "panels/" in tag}
        assert len(panels) == 2
        if album is one:
            expected = panels
    for tag, picture in panels.items():
        np.testing.assert_array_equal(picture, expected[tag])
