"""What a step of the view's slider costs the browser's main thread, by Chromium's own tracing.

python -m tests.benchmarks.slider_cost report.html [cards] [steps]

The window is made high enough for so many cards (default: 50) to be visible; then the slider goes to and fro:
dragged, a step each 40 ms, and resting on each step until the words and numbers have followed. Counted is the
processor time of the renderer's main thread, of all tasks between two steps: script, style, layout, paint and
what hands the picture over to the compositor.
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


RESTS = {"a step of dragging": 40, "a step that rests": 250}
"""What is measured -> milliseconds from one step to the next."""

STEPS = """
const [places, name, rest, done] = arguments;
const slider = document.querySelector(".player input");
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
(async () => {
  for (const place of places) {
    slider.value = place;
    performance.mark(name);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await frame();
    await new Promise((resolve) => setTimeout(resolve, rest));
  }
  performance.mark(name);
  done();
})();
"""


def traced(page) -> list[dict]:
    """Trace events so far."""
    found = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    return [one["params"] for one in found if one["method"] == "Tracing.dataCollected"]


def measured(events: list[dict], name: str) -> tuple[list[float], list[float], collections.Counter[str]]:
    """(each step's longest task, all of each step, the mean of each part) between the marks of a name, in ms."""
    marks = [one for one in events if one.get("name") == name]
    (thread,) = {(one["pid"], one["tid"]) for one in marks}
    times = sorted(one["ts"] for one in marks)
    own = [one for one in events if (one["pid"], one["tid"]) == thread and one.get("ph") == "X"]
    longest, each = [0.0] * (len(times) - 1), [0.0] * (len(times) - 1)
    parts: collections.Counter[str] = collections.Counter()
    for one in own:
        place = sum(time <= one["ts"] + one["dur"] for time in times) - 1
        if not 0 <= place < len(each):
            continue
        spent = one.get("tdur", one["dur"]) / 1000
        if one["name"] == "RunTask":
            each[place] += spent
            longest[place] = max(longest[place], spent)
        elif one["name"] in NAMES:
            parts[one["name"]] += spent / len(each)
    return longest, each, parts


def told(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ms ({max(times):.1f})"


def main(address: str, cards: int = 50, steps: int = 40) -> None:
    with tempfile.TemporaryDirectory() as profile, browser(profile, trace=CATEGORIES) as page:
        page.open(pathlib.Path(address).resolve().as_uri())
        page.ready()
        height = make_room(page, cards)
        last = page.run("return Number(document.querySelector('.player input').max)")
        order = [abs(last - (place % (2 * last))) for place in range(steps)]
        page.driver.execute_async_script(
            STEPS, order[: 2 * last], "first", 250
        )  # all is fetched, and compiled
        for name, rest in RESTS.items():
            page.driver.execute_async_script(STEPS, order, name, rest)
        events = traced(page)
        shown = visible(page)
    print(
        f"{shown} cards visible in {WIDTH} x {height} px; main thread, processor time, medians of {steps} steps"
        " (and the largest)"
    )
    for name in RESTS:
        longest, each, parts = measured(events, name)
        print(f"{name}: longest task {told(longest)}, all {told(each)}")
        print("  of which " + ", ".join(f"{part} {parts[part]:.1f}" for part in NAMES if parts[part] >= 0.05))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
