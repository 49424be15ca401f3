"""The page at /ui in a real browser, before a real engine, and before made-up pictures of five thousand connections.

The screenshots are kept in PROXY_CORE_SCREENSHOTS, if that names a directory, to be looked at.
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.browser import synthetic
from tests.support.browser import Page
from tests.support.live import Engine, bootstrap, static_cluster, tcp_listener, until

FORGETFUL = """
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, NetworkFilter

class Forgetful(NetworkFilter):
    def __init__(self, config):
        pass

    def on_data(self, data, end_stream):
        return STOP_ITERATION if data.find(b"forget") >= 0 else CONTINUE
"""
IDS = "[...document.querySelectorAll('#list .row')].map((row) => row.dataset.id)"
ROWS = "document.querySelectorAll('#list .row').length"


def shot(page: Page, name: str, directory: Path) -> None:
    """Take a picture, and insist that there is something on it."""
    kept = os.environ.get("PROXY_CORE_SCREENSHOTS")
    file = page.screenshot(Path(kept or directory) / f"{name}.png")
    assert file.stat().st_size > 10_000


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        while True:
            data = self.request.recv(65536)
            if not data:
                return
            self.request.sendall(data)


@pytest.fixture
def backend() -> Iterator[int]:
    """The port of an echo server."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def engine(tmp_path: Path, backend: int) -> Iterator[Engine]:
    """A listener `main` with a forgetful filter before tcp_proxy, to the echo server."""
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    main = tcp_listener("main", "backend")
    filters = main["filter_chains"][0]["filters"]
    filters.insert(0, {"name": "forgetful", "typed_config": {"@type": "python:forgetful.Forgetful"}})
    config = bootstrap([main], [static_cluster("backend", backend)])
    with Engine(config, tmp_path / "engine", ["--filter-path", str(tmp_path)]) as running:
        yield running


@pytest.fixture
def clients(engine: Engine) -> Iterator[List[socket.socket]]:
    """Five of them, each with an answer."""
    made = [engine.connect("main") for _ in range(5)]
    for one in made:
        one.sendall(b"hello")
        assert one.recv(5) == b"hello"
    yield made
    for one in made:
        one.close()


def url(engine: Engine, path: str = "/ui") -> str:
    return f"http://{engine._address_file.read_text().strip()}{path}"


def row_of(page: Page, state: str) -> int:
    """The id of the first connection in this state, once there is one."""
    found = page.until(f"(document.querySelector('.row[data-state={state}]') || {{dataset: {{}}}}).dataset.id", f"a {state} row")
    return int(found)


def test_five_connections_are_drawn_one_by_one_from_listener_to_host(
    engine: Engine, clients: List[socket.socket], page: Page, tmp_path: Path
) -> None:
    page.go(url(engine))
    page.until(f"{ROWS} === 5", "the list is there")
    ids = [f"C{number}" for number in page.ask(IDS)]
    assert page.texts("#pairs .node .name span:first-child") == ids == sorted(ids, key=lambda name: int(name[1:]))
    assert page.text("#listeners").startswith("main\n5\n127.0.0.1:")
    assert page.text("#chains") == "unnamed\n5\nForgetful › tcp_proxy"
    assert page.text("#clusters") == "backend\n5\n1 host" and page.text("#hosts").endswith("\n5")
    page.until("document.querySelectorAll('#links .link').length === 12", "there is a line for each step of each connection")
    assert page.text("#total-connections") == "5" and page.text("#stream") == "watching"
    shot(page, "five", tmp_path)


def test_a_press_on_a_part_of_the_map_leaves_only_its_connections_in_the_list(
    engine: Engine, clients: List[socket.socket], page: Page
) -> None:
    page.go(url(engine))
    page.until(f"{ROWS} === 5", "the list is there")
    clients[0].sendall(b"forget")
    page.until("document.querySelectorAll('#pairs .tone-bad').length", "one is parked")
    page.click("#pairs .tone-bad")
    page.until("!document.getElementById('detail').hidden", "a connection on the map opens its answer")
    page.press("Escape")
    page.click("#hosts .node")
    page.until("document.getElementById('shown').innerText === '5 connections'", "all go to this host")
    assert page.texts("#wanted button")[0] == "cluster backend ×"
    page.click("#wanted button")
    assert page.texts("#wanted button") == [f"host {page.text('#hosts .name span:first-child')} ×"]


def test_bytes_that_move_are_seen_moving(engine: Engine, clients: List[socket.socket], page: Page) -> None:
    page.go(url(engine))
    page.until(f"{ROWS} === 5", "the list is there")

    def moves() -> Any:
        clients[0].sendall(b"x" * 4096)
        received = 0
        while received < 4096:
            received += len(clients[0].recv(65536))
        return page.ask("document.querySelectorAll('.row[data-state=moving]').length === 1 "
                        "&& [...document.querySelectorAll('.pulse')].some((one) => one.style.display === '')")
    until(moves, "the row says moving and something moves along the lines", 20)


def test_a_stall_is_named_marked_in_its_row_and_answered_in_full(
    engine: Engine, clients: List[socket.socket], page: Page, tmp_path: Path
) -> None:
    clients[2].sendall(b"forget this")
    clients[2].shutdown(socket.SHUT_WR)
    page.go(url(engine))
    number = row_of(page, "stalled")
    assert page.texts(".row[data-state=stalled] .pill.parked") == ["Forgetful"]
    assert page.texts(".row[data-state=stalled] .pill.waits") == ["tcp_proxy"]
    assert "parked by Forgetful" in page.text(".row[data-state=stalled] .note")
    page.until("document.getElementById('findings').innerText.includes('Forgetful')", "/why is on the page")
    assert "1 parked by Forgetful" in page.text("#chains")
    page.click(f".row[data-id='{number}']")
    page.until("document.getElementById('answer').innerText.includes('Forgetful')", "the full answer is there")
    assert page.text("#detail-title") == f"C{number}" and page.ask("location.hash") == f"#C{number}"
    assert page.ask(f"document.querySelector(\".row[data-id='{number}']\").getAttribute('aria-expanded')") == "true"
    assert page.texts("#pipeline .pill.parked") == ["Forgetful"]
    shot(page, "stall", tmp_path)


def test_an_answer_stays_when_its_connection_has_ended(engine: Engine, clients: List[socket.socket], page: Page) -> None:
    page.go(url(engine))
    page.until(f"{ROWS} === 5", "the list is there")
    page.click("#list .row")
    number = page.text("#detail-title")
    page.until("document.getElementById('answer').innerText.length > 100", "the answer is there")
    for one in clients:
        one.close()
    page.until(f"{ROWS} === 0", "the list is empty")
    page.until("document.getElementById('answer').innerText.includes('FIN')", "the answer says how it ended")
    assert page.text("#detail-title") == number
    assert number in page.texts("#ended button") and page.ask("!document.getElementById('none').hidden")


def test_a_page_opened_for_one_connection_shows_its_answer(engine: Engine, clients: List[socket.socket], page: Page) -> None:
    number = engine.admin("/connections").partition("[C")[2].partition("]")[0] or "0"
    page.go(url(engine, f"/ui#C{number}"))
    page.until("document.getElementById('answer').innerText.length > 100", "the answer is there")
    assert page.text("#detail-title") == f"C{number}"


def test_everything_can_be_reached_by_keys(engine: Engine, clients: List[socket.socket], page: Page) -> None:
    page.go(url(engine))
    page.until(f"{ROWS} === 5", "the list is there")
    ids: List[str] = page.ask(IDS)
    focused = "document.activeElement.dataset.id"
    page.press("j")
    assert page.ask(focused) == ids[0]
    page.press("ArrowDown")
    page.press("ArrowDown")
    page.press("k")
    assert page.ask(focused) == ids[1]
    page.press("Enter")
    page.until("!document.getElementById('detail').hidden", "Enter opens the answer")
    assert page.ask("document.activeElement.id") == "detail" and page.text("#detail-title") == f"C{ids[1]}"
    page.press("Escape")
    assert page.ask("document.getElementById('detail').hidden") and page.ask(focused) == ids[1]
    page.press("h")
    assert page.text("#stream") == "held" and page.ask("document.getElementById('hold').getAttribute('aria-pressed')") == "true"
    page.press("h")
    page.until("document.getElementById('stream').innerText === 'watching'", "it goes on")


def test_the_tab_key_goes_from_the_top_through_the_map_to_the_list(
    engine: Engine, clients: List[socket.socket], page: Page
) -> None:
    page.go(url(engine))
    page.until(f"{ROWS} === 5", "the list is there")
    stops = []
    for _ in range(18):
        page.press("Tab")
        stops.append(page.ask("document.activeElement.id || document.activeElement.classList[0]"))
    assert stops == ["skip", "hold", *["node"] * (2 + 5 + 2), "order", *["row"] * 5, stops[-1]]


def test_focus_and_place_of_a_row_outlive_new_pictures(page: Page, engine: Engine) -> None:
    page.before_scripts(synthetic.FAKE_STREAM)
    page.go(url(engine))
    page.ask(synthetic.send(synthetic.picture({"idle": 3}, [synthetic.row(number) for number in (2, 4, 6)])))
    page.press("j")
    page.press("j")
    worse = synthetic.row(8, "stalled", parked_by=synthetic.FILTERS[0], parked_s=1.0)
    page.ask(synthetic.send(synthetic.picture({"idle": 3, "stalled": 1}, [worse, *map(synthetic.row, (2, 4, 6))])))
    assert page.ask("document.activeElement.dataset.id") == "4"
    assert page.ask(IDS) == ["2", "4", "6", "8"]
    page.ask("document.activeElement.blur()")
    page.ask(synthetic.send(synthetic.picture({"idle": 2, "stalled": 1}, [worse, *map(synthetic.row, (2, 6))])))
    assert page.ask(IDS) == ["8", "2", "6"]


@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 800, "light"), (1280, 800, "dark"), (1920, 1080, "light")])
def test_five_thousand_connections_are_counted_first_and_nothing_overflows(
    page: Page, engine: Engine, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    page.resize(width, height)
    page.prefer(prefers_color_scheme=scheme)
    page.before_scripts(synthetic.FAKE_STREAM)
    page.go(url(engine))
    page.ask(synthetic.send(synthetic.five_thousand()))
    assert page.text("#total-connections") == "5,000" and page.text("#shown") == "40 shown of 5,000 connections"
    assert page.ask(ROWS) == 40
    pairs = dict(text.split("\n") for text in page.texts("#pairs .node"))
    assert pairs["stalled"] == "3" and pairs["moving"] == "3,124" and len(pairs) == 7
    hosts = page.texts("#hosts .node")
    assert len(hosts) == 8 and "failed_active_hc" in hosts[-1] and "and 32 more" in page.text("#hosts")
    assert "1 of 40 hosts not healthy" in page.text("#clusters") and "and 2 more" in page.text("#clusters")
    assert page.ask("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is wider than the window"
    top = page.ask("document.getElementById('list').getBoundingClientRect().top")
    assert top < height - 150, "the first rows can be seen without scrolling"
    shot(page, f"many-{width}-{scheme}", tmp_path)


def test_a_press_on_a_state_asks_for_its_connections_and_a_second_press_for_all(page: Page, engine: Engine) -> None:
    page.before_scripts(synthetic.FAKE_STREAM)
    page.go(url(engine))
    page.ask(synthetic.send(synthetic.five_thousand()))
    page.click(".node[data-key='state parked']")
    assert page.ask("window.streams.at(-1)") == "ui/events?state=parked&order=unusual"
    assert page.ask("document.querySelector(\".node[data-key='state parked']\").getAttribute('aria-pressed')") == "true"
    page.click(".node[data-key='chain edge ']")
    assert page.ask("window.streams.at(-1)") == "ui/events?listener=edge&chain=&state=parked&order=unusual"
    assert page.texts("#wanted button") == ["listener edge ×", "chain without a name ×", "parked by a filter ×"]
    page.click(".node[data-key='state parked']")
    page.press("Escape")
    assert page.ask("window.streams.at(-1)") == "ui/events?order=unusual" and page.texts("#wanted button") == []


def test_a_name_that_is_markup_stays_text(page: Page, engine: Engine) -> None:
    page.before_scripts(synthetic.FAKE_STREAM)
    page.go(url(engine))
    bad = "<img src=x onerror=\"document.title='owned'\">"
    one = synthetic.row(2, "stalled", client=bad, cluster=bad, host=bad, filters=[bad], parked_by=bad, parked_s=1.0, listener=bad)
    ended = [{"id": 1, "listener": bad, "cluster": bad, "closed_s": 1.0, "closed_how": "FIN", "reason": bad}]
    page.ask(synthetic.send(synthetic.picture({"stalled": 1}, [one], ended=ended)))
    page.click("#list .row")
    assert page.ask("document.images.length") == 0 and page.ask("document.title") == "proxy_core"
    assert page.ask(f"document.querySelector('#list .id + .mono').textContent === {bad!r}")


def test_dark_and_light_follow_the_system_and_both_can_be_read(page: Page, engine: Engine) -> None:
    contrasts: Dict[str, float] = {}
    page.before_scripts(synthetic.FAKE_STREAM)
    for scheme in ("light", "dark"):
        page.prefer(prefers_color_scheme=scheme)
        page.go(url(engine))
        page.ask(synthetic.send(synthetic.five_thousand()))
        for selector in COLOURED:
            contrasts[f"{scheme} {selector}"] = page.ask(f"({CONTRAST})(document.querySelector({selector!r}))")
    assert {name: value for name, value in contrasts.items() if value < 4.5} == {}  # WCAG 2.1, 1.4.3


COLOURED = ("body", ".soft", ".node.tone-bad .name", ".node.tone-warn .name", "#list .note.tone-bad", ".pill.parked")
# The contrast of an element's text against what is behind it, as WCAG defines it.
CONTRAST = """(element) => {
  const channels = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const light = (color) => { const [r, g, b] = color.map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  let behind = element;
  while (channels(getComputedStyle(behind).backgroundColor)[3] === 0 && behind.parentElement) behind = behind.parentElement;
  const [one, other] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
    .map((text) => light(channels(text).slice(0, 3)));
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}"""


def test_who_wants_no_motion_gets_none(page: Page, engine: Engine) -> None:
    page.before_scripts(synthetic.FAKE_STREAM)
    page.prefer(prefers_reduced_motion="reduce")
    page.go(url(engine))
    page.ask(synthetic.send(synthetic.five_thousand()))
    assert page.ask("[...document.querySelectorAll('.pulse')].every((one) => getComputedStyle(one).animationName === 'none')")
    assert page.ask("getComputedStyle(document.querySelector('.bar .fill')).transitionDuration") in ("0s", "")


def test_an_engine_that_goes_away_is_said(engine: Engine, page: Page) -> None:
    page.go(url(engine))
    page.until("document.getElementById('stream').innerText === 'watching'", "it watches")
    engine.stop()
    page.until("document.getElementById('stream').innerText === 'no answer'", "it says so")
    page._browser.events.clear()  # the browser has complained about the refused connections


def test_the_bars_of_a_slow_reader_are_over_their_mark_and_the_pause_is_shown(
    tmp_path: Path, page: Page, upstream: Callable[[], socket.socket]
) -> None:
    listening = upstream()
    main = tcp_listener("main", "backend")
    main["per_connection_buffer_limit_bytes"] = 65536
    cluster = static_cluster("backend", listening.getsockname()[1], per_connection_buffer_limit_bytes=65536)
    with Engine(bootstrap([main], [cluster]), tmp_path / "engine") as engine:
        with engine.connect("main") as client, listening.accept()[0] as source:
            source.setblocking(False)

            def poured() -> bool:
                try:
                    while True:
                        source.send(bytes(65536))
                except BlockingIOError:
                    return bool(page.ask("document.querySelectorAll('.row[data-state=above_high]').length"))
            page.go(url(engine))
            until(poured, "the row says that it is above its watermark", 20)
            assert page.texts(".row .arrow.paused") == ["‖"]
            assert page.ask("[...document.querySelectorAll('.row .bar.full')].length") == 1
            assert page.ask("parseFloat(document.querySelector('.row .bar.full .fill').style.width)") >= 40
            assert "reading from the host is paused" in page.text(".row .note")
            page.click("#list .row")
            page.until("document.querySelectorAll('#charts .held').length > 1", "the pause is in the chart")
            client.close()


@pytest.fixture
def upstream() -> Iterator[Callable[[], socket.socket]]:
    """Makes listening sockets on free ports."""
    made: List[socket.socket] = []

    def make() -> socket.socket:
        made.append(socket.create_server(("127.0.0.1", 0)))
        made[-1].settimeout(20)
        return made[-1]
    yield make
    for one in made:
        one.close()
