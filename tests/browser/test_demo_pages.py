"""The page beside each of the demos: what their text promises can be seen."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from proxy_core.testing.child import ChildProcess
from tests.support.browser import Page

FREE = ["--port", "0", "--admin-port", "0"]
ON_HIGH = "document.querySelectorAll('.row[data-state=above_high]').length"
SHADED = "document.querySelectorAll('#charts .held').length"


def shot(page: Page, name: str) -> None:
    """Kept where PROXY_CORE_SCREENSHOTS says: so the pictures of the README are made."""
    directory = os.environ.get("PROXY_CORE_SCREENSHOTS")
    if directory:
        page.screenshot(Path(directory) / f"{name}.png")


def page_of(demo: ChildProcess) -> str:
    return demo.expect(r"  (http://127\.0\.0\.1:\d+/ui) ", "stdout").group(1)


def test_the_normal_demo_shows_its_listeners_and_what_ended_last(page: Page) -> None:
    with ChildProcess(["demo", *FREE]) as demo:
        page.go(page_of(demo))
        page.until("document.querySelectorAll('#list .row').length === 6", "three clients stay; the servers are listeners too")
        page.until("document.querySelectorAll('.row[data-state=moving]').length >= 2", "they talk")
        page.until("document.querySelectorAll('#ended li').length >= 4", "requests have come and gone")
        assert page.text("#listeners").startswith("front") and "backends" in page.text("#clusters")
        assert page.ask("document.getElementById('unusual').hidden")
        shot(page, "ui")
        assert demo.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("speed", [os.environ.get("PROXY_CORE_DEMO_SPEED", "1")])
def test_the_slow_reader_fills_its_bar_pauses_the_source_and_drains(page: Page, speed: str) -> None:
    with ChildProcess(["demo", "--slow", "--speed", speed, *FREE]) as demo:
        page.go(page_of(demo))
        page.until("document.querySelectorAll('#list .row').length", "the row is there")
        page.click("#list .row")
        page.until(ON_HIGH, "the buffer is above its watermark")
        assert page.texts(".row .arrow.paused") == ["‖"]
        page.until(f"{SHADED} > 1", "the pause is in the chart")
        assert "downstream write buffer" in page.text("#detail-summary")
        page.until("document.getElementById('findings').innerText.includes('C0')", "/why names the connection")
        shot(page, "ui-slow")
        page.until(f"!{ON_HIGH}", "it has drained")
        page.until("!document.querySelectorAll('.row .arrow.paused').length", "reading goes on")
        assert demo.stop(signal.SIGINT) == 0


def test_the_stalled_connection_is_marked_while_others_go_on(page: Page) -> None:
    page.prefer(prefers_color_scheme="dark")
    with ChildProcess(["demo", "--stall", *FREE]) as demo:
        page.go(page_of(demo))
        page.until("document.querySelectorAll('.row[data-state=stalled]').length === 1", "one is stalled")
        assert page.texts(".row .pill.parked") == ["Forgetful"]
        page.click(".row[data-state=stalled]")
        page.until("document.getElementById('answer').innerText.includes('Forgetful')", "the answer names the filter")
        page.until("document.getElementById('findings').innerText.includes('Forgetful')", "/why does")
        page.until("document.querySelectorAll('#ended li').length >= 4", "others come and go")
        shot(page, "ui-stall")
        assert demo.stop(signal.SIGINT) == 0
