"""Clients that are slow, endless or rubbish, against a running engine: each costs its own connection and nothing else."""

from __future__ import annotations

import functools
import json
import os
import random
import re
import select
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest

from tests.support.http_fuzz import REQUESTS, mutate
from tests.support.http_live import Client, Ended, fetch, http_bootstrap, http_listener, json_log, request, route, text_log
from tests.support.http_upstream import RecordingUpstream
from tests.support.live import FLUSH_LOGS, Engine, bootstrap, static_cluster, until
from tests.support.live_peers import Upstream

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts files through /proc"),
]

OTHER_ENGINE = "PROXY_CORE_TEST_ENGINE" in os.environ
POST = b"POST / HTTP/1.1\r\nHost: t\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = 1 << 20
LIMITS: Dict[str, Dict[str, Any]] = {
    "main": {},
    "header": {"request_headers_timeout": "0.2s"},
    "request": {"request_timeout": "0.2s"},
    "idle": {"stream_idle_timeout": "0.2s"},
    "trailers": {"http_protocol_options": {"enable_trailers": True}},
}


class Proxied(NamedTuple):
    """One running engine before one recording upstream, with a listener for each of LIMITS, which logs into files of its name."""

    engine: Engine
    upstream: RecordingUpstream
    logs: Path

    def client(self, listener: str = "main") -> Client:
        return Client(self.engine.port(listener))

    def serves(self) -> None:
        """The next client is served, nothing bad has reached the upstream, nothing unexpected has happened within."""
        answer = fetch(self.engine, "/next")
        assert (answer.status, answer.body) == (200, b"GET /next")
        assert self.upstream.lines() == ["GET /next"] and self.upstream.violations == []
        assert self.engine.stat("proxy_core.handler_exceptions") == 0

    def logged(self, listener: str, what: str) -> List[str]:
        """Waits until `what` is in the log of the listener; the lines of that log."""
        file = self.logs / f"{listener}.text"
        until(lambda: what in file.read_text(), f"{what} is logged")
        return file.read_text().splitlines()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    logs = tmp_path_factory.mktemp("logs")
    listeners = []
    for name, limits in LIMITS.items():
        written = [
            text_log(logs / f"{name}.text", "%RESPONSE_CODE_DETAILS%|%REQ(X)%|%REQ(:PATH)%"),
            json_log(logs / f"{name}.json", x="%REQ(X)%", mixed="<%REQ(X)%>", path="%REQ(:PATH)%"),
        ]
        listeners.append(http_listener(name, [route("backend")], delayed_close_timeout="0.05s", access_log=written, **limits))
    with RecordingUpstream() as upstream:
        config = bootstrap(listeners, [static_cluster("backend", upstream.port)])
        with Engine(config, tmp_path_factory.mktemp("engine"), FLUSH_LOGS) as running:
            yield Proxied(running, upstream, logs)


# -- slowly ------------------------------------------------------------------------------------------------------------

def dribble(client: Client, data: Iterator[bytes]) -> None:
    """Send a piece whenever the other side has said nothing for 20 ms, until it says something."""
    for piece in data:
        if select.select([client.socket], [], [], 0.02)[0] or not client.try_send(piece):
            return


def endless(start: bytes, piece: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield piece


@pytest.mark.parametrize("listener, start, piece", [
    ("header", b"GET / HTTP/1.1\r\nX: ", b"y"),
    ("header", b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
    ("request", POST + b"Content-Length: 99999\r\n\r\n", b"y"),
    ("request", POST + CHUNKED, b"1\r\ny\r\n"),
    ("request", POST + CHUNKED, b"1;x=y\r\ny\r\n"),
], ids=["within a header", "a header at a time", "within a body", "a chunk at a time", "chunks with extensions"])
def test_a_request_that_comes_a_byte_at_a_time_is_given_up(proxied: Proxied, listener: str, start: bytes, piece: bytes) -> None:
    with proxied.client(listener) as client:
        dribble(client, endless(start, piece))
        assert client.answer().status == 408
        assert client.ends()
    proxied.logged(listener, {"header": "request_header_timeout", "request": "request_overall_timeout"}[listener])
    proxied.serves()


@pytest.mark.parametrize("start", [
    POST + b"Content-Length: 99999\r\n\r\nstart",
    POST + CHUNKED + b"5\r\nstart\r\n",
    POST + CHUNKED + b"5\r\nstart\r\n0\r\nx: y\r\n",
], ids=["a body", "chunks", "trailers"])
def test_a_request_that_stops_is_given_up_and_its_upstream_connection_with_it(proxied: Proxied, start: bytes) -> None:
    before = proxied.engine.stat("cluster.backend.upstream_cx_destroy_with_active_rq")
    with proxied.client("idle") as client:
        client.send(start)
        assert client.answer().status == 408
        assert client.ends()
    proxied.logged("idle", "stream_idle_timeout")
    assert proxied.engine.stat("cluster.backend.upstream_cx_destroy_with_active_rq") == before + 1
    assert proxied.engine.stat("cluster.backend.upstream_rq_active") == 0
    proxied.serves()


def test_a_hundred_slow_clients_do_not_keep_the_next_one_waiting(proxied: Proxied) -> None:
    slow = [proxied.client("header") for _ in range(100)]
    for client in slow:
        client.send(b"GET / HTTP/1.1\r\nX:")
    proxied.serves()
    for client in slow:
        assert client.answer().status == 408
        client.close()
    until(lambda: proxied.engine.stat("http.header.downstream_cx_active") == 0, "all are gone")


def test_a_client_that_does_not_read_its_answer_is_given_up_and_holds_the_server_back(tmp_path: Path) -> None:
    """Slowloris on the response: the stream is idle, because nothing drains."""
    sent: List[int] = []

    def flood(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        block, total = bytes(65536), 0
        try:
            while True:
                total += peer.send(block)
        finally:
            sent.append(total)

    config = {"delayed_close_timeout": "0.05s", "stream_idle_timeout": "0.5s"}
    with Upstream(flood) as upstream, Engine(http_bootstrap(upstream.port, **config), tmp_path) as proxy:
        memory = proxy.resident_kib()
        with Client(proxy.port()) as client:
            client.send(request("/"))
            until(lambda: sent, "the upstream's connection has ended")
            assert sent[0] < 64 * MEGABYTE
            assert proxy.resident_kib() - memory < 16 * 1024
        until(lambda: proxy.stat("http.main.downstream_cx_active") == 0, "the client is gone")


# -- without end -------------------------------------------------------------------------------------------------------

def pour(client: Client, start: bytes, piece: bytes, most: int) -> int:
    """Send until the other side answers or ends, `most` bytes at most; how many were taken."""
    client.send(start)
    taken = 0
    while taken < most and not select.select([client.socket], [], [], 0)[0] and client.try_send(piece):
        taken += len(piece)
    return taken


GET = b"GET / HTTP/1.1\r\nHost: t\r\n"
ENDLESS_FOR_ENVOY = (b"0" * 4096, b"x" * 4096)  # it bounds neither the zeros of a chunk's size nor its extensions


@pytest.mark.parametrize("start, piece, statuses", [
    (GET, b"x: y\r\n" * 100, {431}),
    (GET + b"x: ", b"y" * 4096, {431}),
    (GET, b"x" * 4096, {431, 400}),
    (b"GET /", b"y" * 4096, {431}),
    (b"G", b"E" * 4096, {431, 400}),
    (GET + b"x: y", b"\r\n y" * 100, {431}),
    (b"", b"\r\n" * 2048, set()),
    (POST + CHUNKED, b"0" * 4096, {400, 413}),
    (POST + CHUNKED + b"1;", b"x" * 4096, {400, 413}),
    (POST + CHUNKED + b"0\r\n", b"x: y\r\n" * 100, {400, 413, 431}),
    (POST + CHUNKED + b"0\r\nx: ", b"y" * 4096, {400, 413, 431}),
], ids=[
    "headers", "a value", "a name", "a path", "a method", "folds", "blank lines", "zeros of a chunk size", "a chunk extension",
    "trailers", "a trailer",
])
def test_what_has_no_end_is_cut_off_before_it_takes_memory(
    proxied: Proxied, start: bytes, piece: bytes, statuses: "set[int]"
) -> None:
    memory = proxied.engine.resident_kib()
    with proxied.client("trailers") as client:
        taken = pour(client, start, piece, 64 * MEGABYTE)
        assert proxied.engine.resident_kib() - memory < 8 * 1024
        if statuses and not (OTHER_ENGINE and piece in ENDLESS_FOR_ENVOY):
            assert taken < 16 * MEGABYTE  # the socket's buffers and a little more
            try:
                assert client.answer().status in statuses
            except Ended:
                pass  # a reset overtook the answer, because much was unread
    proxied.serves()


# -- rubbish -----------------------------------------------------------------------------------------------------------

def test_two_thousand_bad_ones_leave_nothing_behind(tmp_path: Path) -> None:
    """Mutations of valid requests, each on a connection of its own."""
    options = {"http_protocol_options": {"accept_http_10": True, "enable_trailers": True}}
    with RecordingUpstream() as upstream, Engine(http_bootstrap(upstream.port, **options), tmp_path) as proxy:
        batch = functools.partial(thousand_bad_ones, proxy, random.Random(2))
        batch()  # what is made once is made now
        files, memory = proxy.settled_descriptors(), proxy.resident_kib()
        batch()
        assert proxy.settled_descriptors() <= files + 20  # the pool's, whose number is that of the last few at once
        assert proxy.resident_kib() - memory < 1024  # nothing waits for the garbage collector
        assert proxy.stat("http.main.downstream_cx_protocol_error") > 1000
        assert proxy.stat("proxy_core.handler_exceptions") == 0
        assert upstream.violations == []


def thousand_bad_ones(proxy: Engine, generator: random.Random) -> None:
    """A hundred at a time, and between them a client that wants to be served."""
    for _ in range(10):
        clients = [Client(proxy.port()) for _ in range(100)]
        for client in clients:
            client.try_send(mutate(generator.choice(REQUESTS), generator))
        assert fetch(proxy, "/next").body == b"GET /next"
        for client in clients:
            client.close()
    until(lambda: proxy.stat("http.main.downstream_cx_active") == 0, "all are gone")
    until(lambda: proxy.stat("cluster.backend.upstream_rq_active") == 0, "no request is left")


# -- what logs say of it -----------------------------------------------------------------------------------------------

HOSTILE = [
    ('quotes " and \\', 'quotes " and \\'),
    ("a\ttab", "a\ttab" if OTHER_ENGINE else "a\\ttab"),  # Envoy writes it as it is
    ("%REQ(:path)% {}", "%REQ(:path)% {}"),
    ("a fold\r\n [2026] \"GET /forged\"", "a fold [2026] \"GET /forged\""),
    ("a CR\r[2026] \"GET /forged\"", "a CR[2026] \"GET /forged\""),
]


def test_no_header_makes_a_second_line_in_a_log_or_breaks_its_json(proxied: Proxied) -> None:
    for sent, _ in HOSTILE:
        assert fetch(proxied.engine, '/hostile"%0a', f"X: {sent}").status == 200
    fetch(proxied.engine, "/last")
    lines = [line for line in proxied.logged("main", "/last") if "hostile" in line]
    assert lines == [f'via_upstream|{logged}|/hostile"%0a' for _, logged in HOSTILE]
    structured = proxied.logs / "main.json"
    until(lambda: "/last" in structured.read_text(), "it is logged")
    records = [json.loads(line) for line in structured.read_text().splitlines() if "hostile" in line]
    values = [re.sub(r"\r\n|\r", "", sent) for sent, _ in HOSTILE]
    assert records == [{"x": value, "mixed": f"<{value}>", "path": '/hostile"%0a'} for value in values]


def test_a_value_with_a_control_byte_reaches_no_log(proxied: Proxied) -> None:
    for control in b"\n\0\x1b\x7f\x0b":
        with proxied.client() as client:
            assert client.ask(b"GET /false HTTP/1.1\r\nHost: t\r\nX: a%cfalse\r\n\r\n" % control).status == 400
    fetch(proxied.engine, "/honest")
    assert not [line for line in proxied.logged("main", "/honest") if "false" in line]
    assert proxied.logged("main", "/honest")[-6:-1] == ["http1.codec_error|-|-"] + ["http1.invalid_characters|-|-"] * 4


def test_bytes_beyond_ascii_are_one_line_of_valid_json(proxied: Proxied) -> None:
    values = (b"\xe4", "\u4e16".encode(), b"\xed\xa0\x80", b"\xff\xfe", b"\xc2\x85", "\u2028".encode())
    with proxied.client() as client:
        for value in values:
            assert client.ask(b"GET /beyond HTTP/1.1\r\nHost: t\r\nX: " + value + b"\r\n\r\n").status == 200
        client.ask(request("/end"))
    file = proxied.logs / "main.json"
    until(lambda: b"/end" in file.read_bytes(), "all are logged")
    lines = [line for line in file.read_bytes().split(b"\n") if b"beyond" in line]
    assert len(lines) == len(values) and all(json.loads(line)["path"] == "/beyond" for line in lines)
