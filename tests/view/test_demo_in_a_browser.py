"""The demo's own runs in Chromium, from disk and in a real TensorBoard: what a person does with them."""

import json

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from ..helpers.browser import barriers, needs_browser
from ..helpers.tensorboard_server import tensorboard

pytestmark = [needs_browser, pytest.mark.slow]

IMAGES, CARDS = 200, 24


def active(client):
    return json.loads(client.get("data/plugins_listing")).get("attention", {}).get("enabled", False)


@pytest.fixture(scope="module")
def server(demo_runs):
    with tensorboard(demo_runs, active) as client:
        yield client


@pytest.fixture(params=["page", "tab"])
def view(request, page, demo_runs):
    """The view of both runs, drawn: the page opened from disk, or the tab inside TensorBoard."""
    if request.param == "page":
        page.open((demo_runs / "report.html").as_uri())
    else:
        page.open(f"{request.getfixturevalue('server').url}#attention")
        there = "return !!document.querySelector('iframe')?.contentDocument?.querySelector('.card')"
        page.wait(there, seconds=60)
        page.driver.switch_to.frame(page.one("iframe"))
    page.ready()
    yield page
    page.driver.switch_to.default_content()


def label(view):
    return view.texts(".player .epoch")[0]


def press(view, *keys):
    ActionChains(view.driver).send_keys(*keys).perform()


def test_what_the_check_found_stands_on_top(view):
    said = view.texts(".verdict .sentence")
    assert len(said) == 2
    assert {"biased", "honest"} == {one.split()[1] for one in said}
    assert view.run("return document.querySelectorAll('.verdict .rules tr').length") == 6


def test_dragging_the_slider_moves_all_maps(view):
    assert label(view) == "after 2 epochs"
    before = view.pixels(".card .heat")
    slider = view.one(".player input")
    ActionChains(view.driver).click_and_hold(slider).move_by_offset(
        -slider.size["width"] // 2, 0
    ).release().perform()
    view.settle()
    assert label(view) == "before training"
    assert view.pixels(".card .heat") != before


def test_playing_goes_through_all_epochs_and_stops(view):
    view.note(".player .epoch")
    view.one(".play").click()
    view.wait("return document.querySelector('.play').getAttribute('aria-label') === 'play'")
    assert view.noted() == ["before training", "after 1 epoch", "after 2 epochs"]


def test_class_search_and_failing_only_narrow_the_images(view):
    assert view.texts(".count") == [f"{IMAGES} images"]
    assert len(view.all(".card")) == CARDS
    choices = {one.find_element("css selector", "span").text: one for one in view.all(".select")}
    Select(choices["class"].find_element("css selector", "select")).select_by_visible_text("digit 7")
    assert view.texts(".count") == [f"20 of {IMAGES} images"]
    assert set(view.texts(".card .class")) == {"digit 7"}
    view.one(".search input").send_keys("image_14")
    assert sorted(view.texts(".card .title b")) == [f"image_{i}" for i in range(140, 150)]


def test_an_image_opens_walks_and_closes(view):
    first, second = view.texts(".card .title b")[:2]
    view.all(".card")[0].click()
    view.settle()
    assert first in view.texts("dialog h2")[0]
    assert len(view.all(".frame")) == 2 * 3
    press(view, Keys.ARROW_LEFT)
    assert view.texts("dialog .epoch")[0].startswith("after 1 ")
    press(view, Keys.ARROW_DOWN)
    assert second in view.texts("dialog h2")[0]
    press(view, Keys.ESCAPE)
    assert not view.run("return document.querySelector('dialog').open")
    assert view.run("return document.activeElement.querySelector('b').textContent") == second


def test_peaks_have_a_row_for_each_digit_and_run(view):
    next(one for one in view.all(".segments button") if one.text == "Peaks").click()
    view.settle()
    assert view.texts(".peaks h2") == ["biased", "honest"]
    assert view.texts(".peaks .row .class") == 2 * [f"digit {digit}" for digit in range(10)]
    patches = "[...document.querySelectorAll('.patch:not([hidden]) canvas')]"
    assert view.wait(f"return {patches}.filter((one) => one.width !== 48).length") > 40


def test_words_fit_into_narrow_columns(view):
    view.size(390, 800)
    view.wait("return [...document.querySelectorAll('.card .seen')].some((one) => one.textContent)")
    view.settle()
    wide = view.run(
        "return [...document.querySelectorAll('.of span')].filter((one) => one.textContent &&"
        " one.getBoundingClientRect().right > one.closest('.of').getBoundingClientRect().right + 2)"
        ".map((one) => one.textContent)"
    )
    assert wide == []


@pytest.mark.parametrize("size", [(1400, 900), (390, 800)])
def test_axe_finds_no_barrier(view, axe, size):
    view.size(*size)
    view.settle()
    assert barriers(view, axe) == []
