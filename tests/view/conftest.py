"""What the tests of the view share: one browser, the demo's runs, axe-core."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ..helpers.browser import browser

AXE = "axe-core@4.14.1"
ROOT = Path(__file__).parents[2]


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
def demo_runs(tmp_path_factory):
    """The folder of a quick demo: two networks that were really trained and watched, and the page over both."""
    folder = tmp_path_factory.mktemp("demo")
    line = [sys.executable, "-W", "ignore", "-m", "vizcallbacks", "demo", "--quick", "--logdir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(line, check=True, capture_output=True, timeout=600, env=environment)
    return folder


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, from $AXE_CORE or npm."""
    known = os.environ.get("AXE_CORE")
    if known:
        return Path(known).read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if (
        npm is None
        or subprocess.run([npm, "pack", "--silent", AXE], cwd=folder, capture_output=True).returncode
    ):
        pytest.skip(f"needs axe.min.js in $AXE_CORE, or npm, which did not give {AXE}")
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        return packed.extractfile("package/axe.min.js").read().decode()
