"""One browser for the tests of the view."""

import pytest

from ..helpers.browser import browser


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
