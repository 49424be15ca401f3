"""One headless Chromium for all of these tests, and a page of it for each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from tests.support.browser import Browser, Page


def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session", name="browser")
def _browser() -> Iterator[Browser]:
    if os.environ.get("PROXY_CORE_TEST_ENGINE"):
        pytest.skip("the page is proxy_core's own, and another engine is to be tested")
    # Not below pytest's own directory: the names of Chromium's sockets would be too long.
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as directory:
        with Browser(Path(directory)) as browser:
            yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new page, 1280 by 800. After the test it must have asked nobody but our admin, and have complained of nothing."""
    made = browser.page()
    yield made
    outside = [url for url in made.requested() if not url.startswith(("http://127.0.0.1:", "data:", "about:"))]
    complaints = made.complaints()
    made.close()
    assert outside == [] and complaints == []
