"""What the tests of the view share: one browser, the demo's runs, axe-core."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from ..helpers.browser import browser
from ..helpers.once import once

AXE = "axe-core@4.14.1"


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(_chromium):
    """A browser without errors so far; the test fails if a script, or the page's policy, complains."""
    _chromium.driver.switch_to.default_content()
    _chromium.open("about:blank")
    _chromium.size(1400, 900)
    _chromium.scheme("light")
    _chromium.errors()
    yield _chromium
    assert _chromium.errors() == []


@pytest.fixture(scope="session")
def demo_runs(quick_demo):
    """The folder of a quick demo: two networks that were really trained and watched, and the page over both."""
    return quick_demo / "runs"


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, from $AXE_CORE or npm."""
    known = os.environ.get("AXE_CORE")
    if known:
        return Path(known).read_text(encoding="utf-8")

    def pack(into):
        if shutil.which("npm"):
            subprocess.run(["npm", "pack", "--silent", AXE], cwd=into, capture_output=True)

    folder = once(tmp_path_factory, "axe", pack)
    archive = next(folder.glob("*.tgz"), None)
    if archive is None:
        pytest.skip(f"needs axe.min.js in $AXE_CORE, or npm, which did not give {AXE}")
    with tarfile.open(archive) as packed:
        return packed.extractfile("package/axe.min.js").read().decode()
