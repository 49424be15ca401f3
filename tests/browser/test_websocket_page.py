"""A page with a WebSocket in a real browser, page and socket through a running engine: echo, a megabyte, both ways of closing."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.support.browser import Page
from tests.support.http_live import http_bootstrap
from tests.support.live import Engine, until
from tests.support.live_peers import Upstream
from tests.support.websocket import serve, switching_protocols

PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>socket</title>
<p id="state">new</p><ol id="got"></ol>
<script>
const state = document.getElementById("state"), got = document.getElementById("got");
const socket = new WebSocket(`ws://${location.host}/socket`);
socket.binaryType = "arraybuffer";
const note = (text) => { got.appendChild(document.createElement("li")).textContent = text; };
const sum = (bytes) => bytes.reduce((a, b) => (a * 31 + b) >>> 0, 7);
let sent = 0;
const sendBytes = (size) => {
  const bytes = new Uint8Array(size).map((_, i) => (i * 7919 + (i >> 8)) & 255);
  sent = sum(bytes);
  socket.send(bytes);
};
socket.onopen = () => { state.textContent = "open"; };
socket.onmessage = ({data}) => note(typeof data === "string" ? `text ${data}`
  : `binary ${data.byteLength} ${sum(new Uint8Array(data)) === sent ? "intact" : "damaged"}`);
socket.onclose = ({code, reason, wasClean}) => { state.textContent = `closed ${code} ${reason} ${wasClean}`; };
</script>
"""


class Site:
    """The upstream: the page at `/`, a WebSocket elsewhere. ends: how the conversations ended."""

    def __init__(self) -> None:
        self.ends: List[str] = []
        self._server = Upstream(self._serve)
        self.port = self._server.port

    def close(self) -> None:
        self._server.close()

    def _serve(self, peer: socket.socket) -> None:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):  # a client waits for the 101, so nothing follows the head
                data = peer.recv(65536)
                if not data:
                    return
                head += data
            lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")]
            headers = {name.lower(): value for name, _, value in lines}
            if "upgrade" in headers:
                peer.sendall(switching_protocols(headers["sec-websocket-key"]))
                serve(peer, self.ends)
                return
            body = PAGE.encode()
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def engine(site: Site, tmp_path: Path) -> Iterator[Engine]:
    config = http_bootstrap(site.port, upgrade_configs=[{"upgrade_type": "websocket"}])
    with Engine(config, tmp_path / "engine") as running:
        yield running


@pytest.fixture
def opened(page: Page, engine: Engine) -> Page:
    """The page, its socket open."""
    page.go(f"http://127.0.0.1:{engine.port()}/")
    page.until("state.textContent === 'open'", "the socket is open")
    return page


def test_text_and_a_megabyte_come_back_and_the_server_closes(opened: Page, engine: Engine, site: Site) -> None:
    assert engine.stat("http.main.downstream_cx_upgrades_active") == 1
    opened.ask("socket.send('Grüße, 世界 🌍')")
    opened.until("got.children.length === 1", "the text is back")
    for count, size in enumerate((0, 125, 126, 65_535, 65_536, 1 << 20), start=2):
        opened.ask(f"sendBytes({size})")
        opened.until(f"got.children.length === {count}", f"{size} bytes are back")
    sizes = [f"binary {size} intact" for size in (0, 125, 126, 65_535, 65_536, 1 << 20)]
    assert opened.texts("#got li") == ["text Grüße, 世界 🌍", *sizes]
    opened.ask("socket.send('close')")
    opened.until("state.textContent.startsWith('closed')", "the server has closed")
    assert opened.text("#state") == "closed 4001 as you wish true"
    assert site.ends == ["7 pongs, answered with 8"]
    until(lambda: engine.stat("http.main.downstream_cx_upgrades_active") == 0, "the tunnel is gone")
    assert engine.stat("http.main.downstream_cx_upgrades_total") == 1


def test_the_browser_closes_the_socket(opened: Page, engine: Engine, site: Site) -> None:
    opened.ask("socket.send('before'), socket.close(4002, 'done')")
    opened.until("state.textContent.startsWith('closed')", "the browser has closed")
    assert opened.text("#state") == "closed 4002 done true"
    assert opened.texts("#got li") in ([], ["text before"])  # the answer may be on its way
    assert site.ends == ["4002 by the browser"]
    until(lambda: engine.stat("http.main.downstream_cx_upgrades_active") == 0, "the tunnel is gone")


def test_a_page_that_is_loaded_again_ends_its_tunnel_and_opens_another(opened: Page, engine: Engine, site: Site) -> None:
    opened.ask("location.reload()")
    until(lambda: site.ends, "the server has seen the end")
    assert site.ends[0] in ("1001 by the browser", "no close")
    opened.until("document.readyState === 'complete' && state.textContent === 'open'", "the new socket is open")
    until(lambda: engine.stat("http.main.downstream_cx_upgrades_active") == 1, "the old tunnel is gone")
    assert engine.stat("http.main.downstream_cx_upgrades_total") == 2
