"""Debian's Chromium, driven as a person would; errors of scripts fail the test."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Debian's packages chromium and chromium-driver"
)


class Browser:
    """A page, with what the tests do to it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, address):
        self.driver.get("about:blank")  # a new fragment alone would not load the page anew
        self.driver.get(address)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, script, *arguments, seconds=20):
        """Until the script returns something true, which is given back."""
        end = time.monotonic() + seconds
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < end, f"never true: {script}\n{self.errors()}"
            time.sleep(0.05)
        return found

    def ready(self):
        """Until the view is there and its first card is drawn."""
        self.wait("return [...document.querySelectorAll('.card .heat')].some((one) => one.drawn)")
        self.settle()

    def settle(self):
        """Until two frames have been drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
        )

    def note(self, selector):
        """From now on, every text that the first match comes to show is kept for `noted`, however briefly."""
        self.run(
            "const one = document.querySelector(arguments[0]), all = window.noted = [];"
            "new MutationObserver(() => all.at(-1) !== one.textContent && all.push(one.textContent))"
            ".observe(one, { childList: true, characterData: true, subtree: true })",
            selector,
        )

    def noted(self):
        return self.run("return window.noted")

    def pixels(self, selector):
        """Of the first canvas that matches: [red, green, blue, alpha, ...]."""
        script = (
            "const c = document.querySelector(arguments[0]);"
            "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
        return self.run(script, selector)

    def errors(self):
        """What scripts and the page's policy complained of."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def devtools(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def size(self, width, height):
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def scheme(self, value):
        self.devtools(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}]
        )


@contextmanager
def browser(profile, trace=None):
    """A Chromium with a profile of its own in the folder `profile`; `trace`: categories whose events it logs."""
    options = Options()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if trace is not None:
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.add_experimental_option("perfLoggingPrefs", {"traceCategories": trace})
    service = Service(DRIVER, log_output=os.devnull)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        found = Browser(driver)
        found.size(1400, 900)
        yield found
    finally:
        driver.quit()


def barriers(page, axe):
    """What axe-core, whose source is `axe`, finds on the page as it is now."""
    page.run(axe)
    return page.driver.execute_async_script(
        "const done = arguments[0]; axe.run().then((found) => done(found.violations.map((one) =>"
        " `${one.id}: ${one.nodes.length} x ${one.nodes[0].html}`)))"
    )
