"""HTTP on the page at /ui, in a real browser before a real engine: the request of a connection in its row and in its answer."""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from tests.support.browser import Page
from tests.support.live import Engine, bootstrap, static_cluster, tcp_listener

FORGETFUL = """
from proxy_core.http.filter_api import CONTINUE, STOP_ITERATION, HttpFilter

class Forgetful(HttpFilter):
    def __init__(self, config):
        pass

    def decode_headers(self, head, end_stream):
        return STOP_ITERATION if head.path.startswith("/forget") else CONTINUE
"""
TYPE = "type.googleapis.com/envoy.extensions.filters"
KEPT_IN = os.environ.get("PROXY_CORE_SCREENSHOTS")


class Backend(socketserver.BaseRequestHandler):
    """Answers "/quick", and keeps others waiting."""

    def handle(self) -> None:
        while True:
            data = self.request.recv(65536)
            if not data:
                return
            if b"GET /quick" in data:
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick")


@pytest.fixture
def backend() -> Iterator[int]:
    """The port of the server."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Backend) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def http_chain() -> Dict[str, Any]:
    """A connection manager with a forgetful filter before the router."""
    config = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web",
        "http_filters": [
            {"name": "forgetful", "typed_config": {"@type": "python:forgetful_http.Forgetful"}},
            {"name": "router", "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": [{"name": "site", "domains": ["*"], "routes": [
            {"name": "all", "match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}}]}]},
    }
    return {"filters": [{"name": "hcm", "typed_config": config}]}


@pytest.fixture
def engine(tmp_path: Path, backend: int) -> Iterator[Engine]:
    """A listener `web` that speaks HTTP with the server."""
    (tmp_path / "forgetful_http.py").write_text(FORGETFUL)
    web = {**tcp_listener("web", "backend"), "filter_chains": [http_chain()]}
    config = bootstrap([web], [static_cluster("backend", backend)])
    with Engine(config, tmp_path / "engine", ["--filter-path", str(tmp_path)]) as running:
        yield running


@pytest.fixture
def clients(engine: Engine) -> Iterator[List[socket.socket]]:
    """One that waits for its response, one whose request is forgotten, one that is idle after an answer."""
    made = [engine.connect("web") for _ in range(3)]
    for one, path in zip(made, ("slow?item=7", "forget/me", "quick")):
        one.sendall(f"GET /{path} HTTP/1.1\r\nHost: site.test\r\n\r\n".encode())
    assert made[2].recv(4096).endswith(b"quick")
    yield made
    for one in made:
        one.close()


def shot(page: Page, name: str, directory: Path) -> None:
    """Take a picture, and insist that there is something on it."""
    assert page.screenshot(Path(KEPT_IN or directory) / f"{name}.png").stat().st_size > 10_000


def url(engine: Engine) -> str:
    return f"http://{engine._address_file.read_text().strip()}/ui"


def row_with(page: Page, text: str) -> str:
    """The selector of the row whose note has this text, once there is one."""
    rows = f"[...document.querySelectorAll('.row')].filter((row) => row.innerText.includes({text!r}))"
    found = page.until(f"{rows}.map((row) => row.dataset.id)[0]", f"a row with {text}")
    return f".row[data-id='{found}']"


def test_rows_of_http_connections_say_what_is_asked_for_and_which_filter_has_it(
    engine: Engine, clients: List[socket.socket], page: Page, tmp_path: Path
) -> None:
    page.go(url(engine))
    waiting = row_with(page, "GET /slow?item=7: waiting for the response")
    assert page.texts(f"{waiting} .pill.http") == ["forgetful", "router"]
    assert page.text(waiting).count("backend") == 1 and "127.0.0.1:" in page.texts(f"{waiting} .two")[1]
    page.until("document.querySelectorAll('.row[data-state=stalled]').length", "the forgotten one is a stall")
    stalled = ".row[data-state=stalled]"
    assert page.texts(f"{stalled} .pill.parked") == ["forgetful"] and page.texts(f"{stalled} .pill.waits") == ["router"]
    assert page.text(f"{stalled} .note").startswith("GET /forget/me parked by forgetful for ")
    assert "1 parked by forgetful" in page.text("#chains")
    page.until("document.getElementById('findings').innerText.includes(\"HTTP filter 'forgetful' of GET /forget/me\")", "/why")
    assert page.ask("document.querySelectorAll('.row .pill.http').length") == 4, "the idle one has no request"
    shot(page, "http", tmp_path)


def test_the_answer_of_an_http_connection_has_its_request_and_leads_to_the_upstream_and_back(
    engine: Engine, clients: List[socket.socket], page: Page, tmp_path: Path
) -> None:
    page.go(url(engine))
    page.click(row_with(page, "GET /slow?item=7: waiting for the response"))
    page.until("document.querySelectorAll('#streams li').length === 1", "its request is listed")
    lines = page.text("#streams li").splitlines()
    assert lines[0] == "GET /slow?item=7" and lines[1].startswith("waiting for the response, host 127.0.0.1:")
    assert "of cluster backend" in page.text("#streams .way")
    assert page.texts("#pipeline .pill.http") == ["forgetful", "router"]
    page.until("document.getElementById('answer').innerText.includes('stream_idle_timeout 5m, default')", "the whole answer")
    shot(page, "http-answer", tmp_path)
    upstream = page.text("#streams button")
    page.click("#streams button")
    page.until("document.getElementById('answer').innerText.includes('busy: GET /slow?item=7 of C')", "that of the upstream")
    assert page.text("#detail-title") == upstream and page.ask("document.getElementById('streams-title').hidden")


def test_a_request_that_ends_leaves_the_open_answer(engine: Engine, clients: List[socket.socket], page: Page) -> None:
    page.go(url(engine))
    page.click(row_with(page, "GET /slow?item=7: waiting for the response"))
    page.until("document.querySelectorAll('#streams li').length === 1", "its request is listed")
    clients[0].close()
    page.until("document.querySelectorAll('#streams li').length === 0", "it is gone")
    page.until("document.getElementById('answer').innerText.includes('It ended')", "and the answer says how")
