"""The page from disk, in Chromium: what a person does with it."""

import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

import vizcallbacks as vc
from vizcallbacks.regression.predicted import save_predicted
from vizcallbacks.view.report_page import write_report

from ..helpers.browser import barriers, needs_browser
from ..helpers.checked import at, probe_set
from ..helpers.runs import HOSTILE, hostile_probe, write_run

pytestmark = [needs_browser, pytest.mark.slow]

COUNT, STEPS = 60, range(5)
RULES = {"energy/tag": "<= 0.4 for all", "energy/object": ">= 0.2"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page over a run that comes to look at the tag and one that looks at the object."""
    folder = tmp_path_factory.mktemp("page")
    probe = probe_set(COUNT)
    write_run(folder / "biased", probe, "tag", STEPS)
    write_run(folder / "honest", probe, "object", STEPS, right=False)
    write_report(folder, folder / "report.html", rules=RULES)
    return (folder / "report.html").as_uri()


@pytest.fixture
def view(page, address):
    page.open(address)
    page.ready()
    return page


def names(view):
    return view.texts(".card .title b")


def label(view):
    return view.texts(".player .epoch")[0]


def press(view, *keys):
    ActionChains(view.driver).send_keys(*keys).perform()


def test_the_verdict_stands_on_top_in_words(view):
    assert view.texts(".verdict .sentence")[0] == "✗ biased failed 2 of 2 rules"
    assert view.texts(".verdict .sentence")[1] == "✓ honest passed its attention check: 2 of 2 rules hold"


def test_dragging_the_slider_moves_all_images_and_charts(view):
    before, cursor = (
        view.pixels(".card .heat"),
        view.run("return document.querySelector('.cursor').getAttribute('x1')"),
    )
    slider = view.one(".player input")
    width = slider.size["width"]
    ActionChains(view.driver).drag_and_drop_by_offset(slider, -round(width * 0.5), 0).perform()
    view.settle()
    # the drag starts in the slider's middle, which is step 2, and ends at its left end
    assert label(view) == "epoch 0"
    assert view.pixels(".card .heat") != before
    assert view.run("return document.querySelector('.cursor').getAttribute('x1')") != cursor
    assert "step=0" in view.wait("return location.hash.includes('step=0') && location.hash")


DRAG = """
const [places, done] = arguments, slider = document.querySelector(".player input");
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
(async () => {
  for (const place of places) {
    slider.value = place;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await frame();
  }
  done([...document.querySelectorAll(".card")].map((card) => +card.querySelector(".energy b").textContent));
})();
"""
"""Drags the slider over places, one a frame, and gives the first number of all cards when it has arrived."""


def test_numbers_stay_close_behind_a_long_drag_and_are_those_of_the_step_where_it_rests(view):
    view.size(1400, 5600)
    view.run("document.querySelector('.more').click()")
    # all of them in reach of the window
    view.wait("return [...document.querySelectorAll('.card .heat')].filter((one) => one.drawn).length === 60")
    view.settle()
    shown = [int(name.split()[1]) for name in names(view)]
    biased = vc.Run(_folder(view) / "biased")
    energies = np.array([biased.snapshot(step).measures["energy/object"][shown] for step in STEPS])
    numbers = np.array(view.driver.execute_async_script(DRAG, 20 * [3, 4] + 10 * [1, 0]))
    assert len(numbers) == COUNT
    # six cards a step: after ten steps between 0 and 1 no card tells anything else
    off = np.abs(numbers - energies).T
    assert (off[:, [0, 1]].min(axis=1) < 0.001).all()
    assert (off[:, [3, 4]] > 0.001).all()
    at_rest = (
        "return [...document.querySelectorAll('.card')].every((card, i) =>"
        " Math.abs(card.querySelector('.energy b').textContent - arguments[0][i]) < 0.001)"
    )
    view.wait(at_rest, energies[0].tolist())


def test_playing_goes_from_the_first_to_the_last_epoch_and_stops(view):
    view.note(".player .epoch")
    view.one(".play").click()
    assert view.one(".play").get_attribute("aria-label") == "pause"
    view.wait("return document.querySelector('.play').getAttribute('aria-label') === 'play'")
    assert view.noted() == [f"epoch {step}" for step in STEPS]


def test_the_arrows_change_the_epoch_wherever_the_focus_is(view):
    press(view, Keys.ARROW_LEFT)
    assert label(view) == "epoch 3"
    view.all(".card")[0].send_keys(Keys.ARROW_LEFT)
    assert label(view) == "epoch 2"
    view.one(".search input").send_keys("x", Keys.ARROW_LEFT)
    assert label(view) == "epoch 2"


def test_a_map_s_colours_are_those_of_its_values(view):
    # step 4 of "biased": the cell of the tag is the highest, so its pixel has the last colour of the table
    pixels = np.array(view.pixels(".card .heat")).reshape(48, 100, 4)[:, :48]
    brightest = pixels[..., 3].argmax()
    row, column = divmod(int(brightest), 48)
    assert row > 24
    assert column > 24  # the tag is the lower right quarter
    assert 0.95 * 0.9 * 255 < pixels[..., 3].max() <= 230  # an opacity of 90 %
    assert pixels[row, column, 0] > 240  # inferno ends in pale yellow
    assert pixels[2, 2, 3] < 90


def test_the_difference_of_two_runs_is_red_where_the_failing_one_has_more(view):
    view.all(".segments button")[3].click()
    view.settle()
    pixels = np.array(view.pixels(".card .heat")).reshape(48, 48, 4)
    tag, thing = pixels[36, 36], pixels[12, 12]
    assert tag[0] > 150 > tag[2]
    assert thing[2] > 150 > thing[0]
    assert "red: more in biased, blue: more in honest" in view.texts(".count")[0]


SHEET = """
const done = arguments[0], image = new Image();
image.onload = () => {
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  done([...context.getImageData(0, 0, image.width, image.height).data]);
};
image.src = document.querySelector(".card .base").style.backgroundImage.slice(5, -2);
"""
"""Pixels of the sheet of pictures that cards show."""


def test_grey_pictures_can_be_switched_to_colour(view):
    view.wait("return document.querySelector('.card .base').style.backgroundImage")
    grey = np.array(view.driver.execute_async_script(SHEET)).reshape(-1, 4)
    assert (np.ptp(grey[:, :3], axis=1) <= 3).all()  # the sheet is compressed
    next(one for one in view.all(".check") if one.text == "grey pictures").click()
    view.settle()
    colour = np.array(view.driver.execute_async_script(SHEET)).reshape(-1, 4)
    assert (np.ptp(colour[:, :3], axis=1) > 60).any()


def test_each_card_shows_its_own_picture(page, tmp_path):
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    probe = probe_set(5)
    pictures = np.array(colours, np.uint8)[:, None, None].repeat(20, 1).repeat(30, 2)
    probe = vc.ProbeSet(probe.images, probe.labels, pictures=pictures, names=probe.names, masks=probe.masks)
    write_report(write_run(tmp_path / "run", probe, "object"), tmp_path / "report.html")
    page.open((tmp_path / "report.html").as_uri() + "#mode=picture&sort=probe")
    page.wait("return document.querySelectorAll('.card .base')[4]?.style.backgroundImage")
    page.settle()
    for base, colour in zip(page.all(".card .base"), colours):
        shot = cv2.imdecode(np.frombuffer(base.screenshot_as_png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert shot.shape[1] / shot.shape[0] == pytest.approx(1.5, abs=0.05)
        assert (np.abs(shot[2:-2, 2:-2].astype(int) - colour) < 30).all()


def test_outlines_are_the_edges_of_the_masks(view):
    next(one for one in view.all(".check") if one.text == "outlines").click()
    view.settle()
    paths = view.run(
        "return [...document.querySelectorAll('.card')[0].querySelectorAll('.lines')[0]"
        ".querySelectorAll('.mask')].map((one) => one.getAttribute('d'))"
    )
    assert paths == ["M0 0H4M0 4H4M0 0V4M4 0V4", "M4 4H8M4 8H8M4 4V8M8 4V8"]


def test_failing_images_are_marked_in_words_and_come_first_and_alone(view):
    report = vc.compare(*_newest(view, "biased"))
    failing = [f"picture {i}" for i in report.worst(COUNT)]
    assert names(view) == failing[:24]
    assert view.texts(".card .violation")[0].startswith("✗ fails: biased: energy/tag 0.")
    count = len(report.findings[0].failing)
    next(one for one in view.all(".check") if one.text.startswith("failing only")).click()
    assert view.texts(".count")[0] == (f"{count} of {COUNT} images" if count < COUNT else f"{COUNT} images")


def _folder(view):
    """Where the page and its runs are."""
    return Path(re.sub("^file://|/[^/]*$", "", view.driver.current_url.split("#")[0]))


def _newest(view, name):
    run = vc.Run(_folder(view) / name)
    return run.snapshot(), None, RULES


def test_class_and_search_narrow_the_images_and_the_order_changes(view):
    choices = {one.find_element("css selector", "span").text: one for one in view.all(".select")}
    Select(choices["class"].find_element("css selector", "select")).select_by_visible_text("owl")
    assert view.texts(".count")[0] == f"{COUNT // 3} of {COUNT} images"
    assert set(view.texts(".card .class")) == {"owl"}
    view.one(".search input").send_keys("picture 5")
    assert sorted(names(view)) == ["picture 5", "picture 50", "picture 53", "picture 56", "picture 59"]
    Select(choices["order"].find_element("css selector", "select")).select_by_visible_text("least on tag")
    values = [float(text) for text in view.texts(".card .of:first-child .energy:last-child b")]
    assert values == sorted(values)
    view.one(".search input").send_keys(" no such")
    assert view.texts(".count")[0].endswith("nothing matches; clear the search or the filters")


def test_more_images_come_on_request(view):
    assert len(view.all(".card")) == 24
    assert view.texts(".more")[0] == "Show 36 more of 36"
    view.run("document.querySelector('.more').click()")
    assert len(view.all(".card")) == COUNT
    assert view.run("return document.querySelector('.more').hidden")


def test_a_card_opens_escape_closes_and_the_focus_returns(view):
    first = view.all(".card")[0]
    name = names(view)[0]
    first.send_keys(Keys.ENTER)
    assert view.run("return document.querySelector('dialog').open")
    assert name in view.texts("dialog h2")[0]
    assert len(view.all(".frame")) == 2 * len(STEPS)
    press(view, Keys.ARROW_LEFT)
    assert view.texts("dialog .epoch")[0] == "epoch 3"
    press(view, Keys.ARROW_DOWN)
    assert names(view)[1] in view.texts("dialog h2")[0]
    view.all(".frame")[0].click()
    assert view.texts("dialog .epoch")[0] == "epoch 0"
    press(view, Keys.ESCAPE)
    assert not view.run("return document.querySelector('dialog').open")
    assert view.run("return document.activeElement.querySelector('b').textContent") == names(view)[1]


def test_the_detail_reads_out_cells_and_lists_predictions(view):
    view.all(".card")[0].click()
    view.settle()
    tile = view.one("dialog .large .strip")
    size = tile.size
    ActionChains(view.driver).move_to_element_with_offset(
        tile, round(size["width"] * (8.5 / 12 - 0.5)), round(size["height"] * (8.5 / 12 - 0.5))
    ).perform()
    said = view.texts("dialog .cell")[0]
    assert said.startswith("row 9, column 9: ")
    image = int(names(view)[0].split()[1])
    cell = _newest(view, "biased")[0].maps["grad_cam"][image, 8, 8]
    assert float(said.split(": ")[1].split(",")[0]) == pytest.approx(cell, abs=0.006)
    assert "✓ " in view.texts("dialog .tables:last-of-type td")[-2]
    assert "✗ " in view.texts("dialog .tables:last-of-type td")[-1]


def test_one_card_alone_is_reached_by_tab_and_the_rest_by_up_and_down(view):
    assert (
        view.run("return [...document.querySelectorAll('.card')].filter((one) => one.tabIndex === 0).length")
        == 1
    )
    view.all(".card")[0].send_keys(Keys.END)
    assert view.run("return document.activeElement === [...document.querySelectorAll('.card')].at(-1)")
    press(view, Keys.HOME, Keys.ARROW_DOWN)
    columns = view.run(
        "return getComputedStyle(document.querySelector('.cards')).gridTemplateColumns.split(' ').length"
    )
    assert (
        view.run("return [...document.querySelectorAll('.card')].indexOf(document.activeElement)") == columns
    )


def test_the_peaks_are_the_patches_around_the_maxima(view):
    view.all(".segments button")[1].click()
    view.settle()
    assert view.texts(".peaks h2") == ["biased", "honest"]
    assert view.texts(".peaks .run:first-child .class") == ["cat", "dog", "owl"]
    assert view.run("return document.querySelector('.grid').hidden")
    assert view.run("return document.querySelectorAll('.peaks .run:last-child .wrong').length") > 0
    view.all(".patch")[0].click()
    assert view.run("return document.querySelector('dialog').open")


def alike(value):
    """The words for a value of sameness."""
    return "very alike" if value < 0.55 else "fairly alike" if value < 0.8 else "varied"


def test_the_peaks_tell_how_alike_they_are_at_each_step_and_how_to_read_that(view):
    view.all(".segments button")[1].click()
    view.settle()
    for step in (4, 0):
        for run in ("biased", "honest"):
            found = vc.peaks(vc.Run(_folder(view) / run).snapshot(step), vc.Run(_folder(view) / run).probe)
            told = [(f"{one.value:.2f}", f"{one.chance:.2f}") for one in found.sameness.values()]
            place = f".peaks .run:nth-child({1 + (run == 'honest')})"
            wanted = [f"{value} {alike(float(value))}by chance {chance}" for value, chance in told]
            assert view.texts(f"{place} span.alike") == wanted
            value, chance = f"{found.overall.value:.2f}", f"{found.overall.chance:.2f}"
            assert view.texts(f"{place} p.alike") == [
                f"Sameness over all classes: {value}, by chance {chance}: {alike(float(value))}"
            ]
        press(view, *4 * [Keys.ARROW_LEFT])
        view.settle()
    assert "no verdict" in view.one(".peaks .reading").text  # which is open


def test_the_words_follow_from_how_alike_the_patches_are(page, tmp_path):
    """A class whose maxima lie on red squares, and two on noise."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (30, 3, 3, 3)).repeat(16, 1).repeat(16, 2).astype(np.uint8)
    pictures[:10, :32, :32] = np.linspace(220, 250, 10)[:, None, None, None] * (1, 0, 0)
    probe = vc.ProbeSet(np.zeros((30, 3, 48, 48), np.float32), np.repeat([0, 1, 2], 10), pictures=pictures)
    maps = np.zeros((30, 6, 6), np.float32)
    maps[:, 1, 1] = 1
    write_run(tmp_path / "run", probe, None, steps=[0], grad_cam=maps)
    write_report(tmp_path / "run", tmp_path / "report.html")
    page.open((tmp_path / "report.html").as_uri() + "#tab=peaks")
    page.wait("return document.querySelector('.alike b')")
    said = [" ".join(words.split("by chance")[0].split()[1:]) for words in page.texts(".peaks span.alike")]
    assert said == ["very alike", "varied", "varied"]


def test_one_class_alone_has_no_sameness_and_that_is_said(page, tmp_path):
    probe = probe_set(4)
    probe = vc.ProbeSet(probe.images, [1, 1, 1, 1], pictures=probe.pictures)
    write_run(tmp_path / "run", probe, None, steps=[0], grad_cam=at(1, 1))
    write_report(tmp_path / "run", tmp_path / "report.html")
    page.open((tmp_path / "report.html").as_uri() + "#tab=peaks")
    page.wait("return document.querySelector('.peaks p.alike')?.textContent")
    assert page.texts(".peaks p.alike") == ["Sameness is undefined: it needs two classes."]
    assert page.texts(".peaks span.alike") == [""]


def test_classes_follow_where_the_predicted_class_is_explained(page, tmp_path):
    probe = probe_set(6)
    run = write_run(tmp_path / "run", probe, "object", steps=[0, 1])
    taken = vc.Run(run).snapshot(0)
    dataclasses.replace(taken, targets=np.zeros(6, int)).save(f"{run}/attention/snapshot-00000000.npz")
    write_report(run, tmp_path / "report.html")
    page.open((tmp_path / "report.html").as_uri() + "#tab=peaks")
    page.wait("return document.querySelector('.peaks .row')")
    assert page.texts(".peaks .row .class") == ["cat", "dog", "owl"]
    press(page, Keys.ARROW_LEFT)
    page.settle()
    assert page.texts(".peaks .row .class") == ["cat"]


def test_a_view_can_be_sent_to_a_colleague(view, address):
    view.open(f"{address}#step=1&mode=difference&class=2&search=picture&grey=0&image=5")
    view.ready()
    assert label(view) == "epoch 1"
    assert "picture 5" in view.texts("dialog h2")[0]
    assert set(view.texts(".card .class")) == {"owl"}
    assert view.run("return document.querySelector('.search input').value") == "picture"


def test_nonsense_in_the_address_is_passed_over(view, address):
    view.open(f"{address}#step=abc&runs=none&method=x&sort=%F0&image=99999&opacity=1e9&mode=%3Cb%3E&tab=zzz")
    view.ready()
    assert label(view) == "epoch 4"
    assert len(view.all(".card")) == 24


def test_a_chart_is_a_scrubber(view):
    chart = view.one(".chart svg")
    ActionChains(view.driver).move_to_element_with_offset(
        chart, -round(chart.size["width"] * 0.39), 0
    ).click().perform()
    assert label(view) == "epoch 0"


def test_only_the_bounds_of_means_shade_a_chart(view):
    shaded = view.run(
        "return [...document.querySelectorAll('.chart')].filter((one) => one.querySelector('.forbidden'))"
        ".map((one) => one.querySelector('.what').textContent)"
    )
    assert shaded == ["map on object"]  # the rule on the tag is on each image


@pytest.mark.parametrize("size", [(1400, 900), (390, 800)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(view, size, scheme):
    view.size(*size)
    view.scheme(scheme)
    view.settle()
    assert view.run("return document.documentElement.scrollWidth") <= size[0]
    view.run("document.querySelector('.card').click()")
    view.settle()
    assert view.run("const d = document.querySelector('dialog'); return d.scrollWidth <= d.clientWidth")


def test_the_phone_s_options_are_folded_and_two_cards_stand_in_a_row(page, address):
    page.size(390, 800)
    page.open(address)
    page.ready()
    assert not page.run("return document.querySelector('.controls').open")
    tops = page.run("return [...document.querySelectorAll('.card')].slice(0, 3).map((one) => one.offsetTop)")
    assert tops[0] == tops[1] < tops[2]


def test_names_are_never_taken_for_html(page, tmp_path):
    run = write_run(tmp_path / "<b>run", hostile_probe(), "tag")
    write_report(run, tmp_path / "report.html", rules={f"energy/{HOSTILE}": ">= 0.9 for all"})
    page.open((tmp_path / "report.html").as_uri())
    page.ready()
    assert any(name.startswith("<img src=x onerror") for name in names(page))
    page.all(".card")[0].click()
    page.settle()
    press(page, Keys.ESCAPE)
    page.all(".segments button")[1].click()
    page.settle()
    assert page.run("return window.hacked === undefined")
    assert page.run("return document.querySelectorAll('img[src=x], b b').length") == 0


def test_dead_and_undefined_maps_are_named_and_not_drawn(page, tmp_path):
    probe = probe_set(4)
    maps = at(1, 1).astype(np.float32)
    maps[1], maps[2, 0, 0] = 0, np.nan
    run = write_run(tmp_path / "run", probe, "object", steps=[0], **{"hirescam": maps - 0.5})
    snapshot = vc.Run(run).snapshot(0)
    broken = {"grad_cam": maps, "hirescam": snapshot.maps["hirescam"]}
    dataclasses.replace(snapshot, maps=broken).save(f"{run}/attention/snapshot-00000000.npz")
    write_report(run, tmp_path / "report.html")
    page.open((tmp_path / "report.html").as_uri() + "#sort=probe")
    page.ready()
    assert page.texts(".card .words") == ["", "dead map", "undefined", ""]
    page.all(".card")[0].click()
    page.settle()
    assert len(page.all("dialog .large")) == 2  # two methods; of one step there is no change


def test_without_scripts_verdict_rules_and_worst_images_are_there(page, address):
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(address)
        body = page.one("body").text
        assert "✗ biased failed 2 of 2 rules" in body
        assert "The interactive view needs JavaScript" in body
        picture = page.one("figure.worst img")
        assert picture.size["width"] > 300
        assert picture.get_attribute("alt") == "biased, epoch 4: the images that violate the rules most"
    finally:
        page.devtools("Emulation.setScriptExecutionDisabled", value=False)


def test_the_page_with_assets_works_from_disk(page, tmp_path):
    run = write_run(tmp_path / "run", probe_set(5), "object")
    write_report(run, tmp_path / "report.html", assets=tmp_path / "report files")
    page.open((tmp_path / "report.html").as_uri())
    page.ready()
    assert len(page.all(".card")) == 5


def test_a_record_in_a_sandboxed_frame_works_as_in_a_notebook(page, tmp_path):
    run = write_run(tmp_path / "run", probe_set(5), "object")
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html>{vc.Run(run)._repr_html_()}", encoding="utf-8")
    page.open((tmp_path / "notebook.html").as_uri())
    page.driver.switch_to.frame(page.one("iframe"))
    page.ready()
    page.one(".player input").send_keys(Keys.ARROW_LEFT)
    assert label(page) == "epoch 2"
    assert len(page.all(".card")) == 5


def test_a_record_of_one_moment_has_no_slider_and_offers_nothing_that_needs_two(page, tmp_path):
    probe = probe_set(5)
    taken = vc.Run(write_run(tmp_path / "run", probe, "object")).snapshot()
    report = vc.compare(taken, None, {"energy/object": ">= 0.9"}, probe=probe)
    for record in (taken, report):
        record.save(tmp_path / "record.html")
        page.open((tmp_path / "record.html").as_uri())
        page.ready()
        assert not page.one(".player input").is_displayed()
        assert label(page) == "epoch 3"
        assert page.texts(".segments") == []
        assert not any(box.text == "grey pictures" for box in page.all(".check"))
        zones = [chart.find_elements("css selector", ".forbidden") for chart in page.all(".chart svg")]
        assert len(zones) == (record is report)  # a value alone is a number; one beside a bound is drawn
        assert all(zones)
        page.all(".card")[0].click()
        page.settle()
        assert len(page.all("dialog .large")) == 1


def test_a_script_s_error_would_be_seen(page, tmp_path):
    (tmp_path / "page.html").write_text("<!DOCTYPE html><script>throw new Error('planted')</script>")
    page.open((tmp_path / "page.html").as_uri())
    (found,) = page.errors()
    assert "planted" in found


@pytest.mark.parametrize("size", [(1400, 900), (390, 800)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", "image=3", "tab=peaks", "mode=difference&outlines=1"])
def test_axe_finds_no_barrier(page, address, axe, size, scheme, fragment):
    page.size(*size)
    page.scheme(scheme)
    page.open(f"{address}#{fragment}")
    page.wait("return document.documentElement.classList.contains('running')")
    page.run("document.querySelector('.controls').open = true")
    page.settle()
    assert barriers(page, axe) == []


def test_where_the_net_is_wrong_the_detail_also_shows_the_map_of_the_predicted_class(page, tmp_path):
    probe = probe_set(4)
    run = write_run(tmp_path / "run", probe, "object", steps=[0, 1])
    taken = vc.Run(run).snapshot(0)
    taken = dataclasses.replace(taken, predictions=np.array([2, *taken.predictions[1:]]))
    taken.save(f"{run}/attention/snapshot-00000000.npz")
    save_predicted(run, taken, "grad_cam", {0: at(3, 3)[0]})
    write_report(run, tmp_path / "report.html")
    page.open((tmp_path / "report.html").as_uri() + "#step=0&image=0")
    page.ready()
    assert page.texts("dialog .large:not([hidden]) b") == ["run", "why owl?", "now minus epoch 0"]
    pixels = np.array(page.pixels("dialog .large:nth-of-type(2) .heat"))[3::4].reshape(240, 240)
    assert np.unravel_index(pixels.argmax(), pixels.shape) > (180, 180)
    assert page.texts("dialog .large:nth-of-type(2) .cell") == ["largest value 1.00, map 4 × 4"]
    press(page, Keys.ARROW_RIGHT)
    assert page.texts("dialog .large:not([hidden]) b") == ["run", "now minus epoch 0"]
    press(page, Keys.ARROW_DOWN)
    assert page.texts("dialog .large b") == ["run", "now minus epoch 0"]
