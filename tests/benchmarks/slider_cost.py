"""What a step of the view's slider costs the browser's main thread, by Chromium's own tracing.

python -m tests.benchmarks.slider_cost report.html [cards] [steps]

The window is made high enough for so many cards (default: 50) to be visible; then the slider goes to and fro.
Counted is the processor time of the renderer's main thread, of all tasks between two steps: script, style, layout,
paint and what hands the picture over to the compositor.
"""

from __future__ import annotations

import collections
import json
import pathlib
import statistics
import sys
import tempfile

from tests.helpers.browser import browser

WIDTH = 1400
CATEGORIES = "devtools.timeline,disabled-by-default-devtools.timeline,blink.user_timing,blink.console"
NAMES = (
    "FunctionCall",
    "EventDispatch",
    "FireAnimationFrame",
    "UpdateLayoutTree",
    "Layout",
    "PrePaint",
    "Paint",
    "Layerize",
    "Commit",
)


def visible(page) -> int:
    """Cards of which something is in the window."""
    return page.run(
        "return [...document.querySelectorAll('.card')].filter((one) => {"
        " const box = one.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight; }).length"
    )


def make_room(page, cards: int) -> int:
    """Make the window as high as so many cards need."""
    while page.run("return document.querySelectorAll('.card').length") < cards:
        page.run("document.querySelector('.more').click()")
    height = 900
    while visible(page) < cards:
        height += 40
        page.size(WIDTH, height)
        page.settle()
    return height


STEPS = """
const [places, name, done] = arguments;
const slider = document.querySelector(".player input");
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
(async () => {
  for (const place of places) {
    slider.value = place;
    performance.mark(name);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await frame();
    await new Promise((resolve) => setTimeout(resolve, 250)); // numbers follow a little later
  }
  performance.mark(name);
  done();
})();
"""


def traced(page) -> list[dict]:
    """Trace events so far."""
    found = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    return [one["params"] for one in found if one["method"] == "Tracing.dataCollected"]


def main(address: str, cards: int = 50, steps: int = 40) -> None:
    with tempfile.TemporaryDirectory() as profile, browser(profile, trace=CATEGORIES) as page:
        page.open(pathlib.Path(address).resolve().as_uri())
        page.ready()
        height = make_room(page, cards)
        last = page.run("return Number(document.querySelector('.player input').max)")
        order = [abs(last - (place % (2 * last))) for place in range(steps)]
        page.driver.execute_async_script(STEPS, order[: 2 * last], "first")  # all is fetched, and compiled
        page.driver.execute_async_script(STEPS, order, "slider step")
        events = traced(page)
        shown = visible(page)
    marks = [one for one in events if one.get("name") == "slider step"]
    (thread,) = {(one["pid"], one["tid"]) for one in marks}
    times = sorted(one["ts"] for one in marks)
    own = [one for one in events if (one["pid"], one["tid"]) == thread and one.get("ph") == "X"]
    tasks = [one for one in own if one["name"] == "RunTask"]
    each, longest = [0.0] * (len(times) - 1), [0.0] * (len(times) - 1)
    parts: collections.Counter[str] = collections.Counter()
    for one in tasks:
        place = sum(time <= one["ts"] + one["dur"] for time in times) - 1
        if 0 <= place < len(each):
            spent = one.get("tdur", one["dur"]) / 1000
            each[place] += spent
            longest[place] = max(longest[place], spent)
    for one in own:
        if one["name"] in NAMES and times[0] <= one["ts"] < times[-1]:
            parts[one["name"]] += one.get("tdur", one["dur"]) / 1000 / len(each)
    print(f"{shown} cards visible in {WIDTH} x {height} px, {len(each)} steps of the slider")
    print(
        f"main thread, processor time, medians: longest task of a step {statistics.median(longest):.1f} ms, all of"
    )
    print(f"a step {statistics.median(each):.1f} ms, the words and numbers included that follow it, of which")
    print(", ".join(f"{name} {parts[name]:.1f}" for name in NAMES if parts[name] >= 0.05))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
