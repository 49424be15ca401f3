"""Replies that are written as things happen: one after the other with plain ones, bounded, and over when the client is."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from proxy_core.admin import routes
from proxy_core.admin.api import Request, Response, Sink, text
from proxy_core.admin.filter import IDLE_TIMEOUT
from proxy_core.admin.host import AdminHost
from tests.support.peers import Peer
from tests.unit.admin.admin_kit import AdminRig, address, bootstrap

HOST = b"Host: 127.0.0.1:9901\r\n"
LONG = 1 << 20


def get(path: str, more: bytes = b"", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\n".encode() + HOST + more + b"\r\n"


class Streams:
    """What `/stream` begins: the sinks it was given, and how many were stopped."""

    def __init__(self) -> None:
        self.sinks: List[Sink] = []
        self.stopped = 0
        self.on_begin: Callable[[Sink], None] = lambda sink: None

    def begin(self, sink: Sink) -> Callable[[], None]:
        self.sinks.append(sink)
        self.on_begin(sink)
        return self._stop

    def _stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Streams]:
    made = Streams()

    def dispatch(host: AdminHost, request: Request) -> Response:
        if request.path != "/stream":
            return text(f"plain {request.path}\n")
        return Response(200, b"", "text/event-stream", headers=(("x-more", "yes"),), stream=made.begin)
    monkeypatch.setattr(routes, "dispatch", dispatch)
    yield made


def opened(rig: AdminRig, streams: Streams, request: bytes = get("/stream")) -> Peer:
    client = rig.client()
    client.send(request)
    rig.turn()
    assert len(streams.sinks) == 1
    return client


def test_the_head_comes_at_once_and_each_write_is_a_chunk_of_its_own(rig: AdminRig, streams: Streams) -> None:
    client = opened(rig, streams)
    head, _, body = bytes(client.got).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n") and b"\r\nx-more: yes\r\n" in head
    assert head.endswith(b"transfer-encoding: chunked") and body == b""
    for piece in (b"one", b"", b"three"):
        streams.sinks[0].write(piece)
        rig.turn()
    assert bytes(client.got).endswith(b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n")
    assert streams.stopped == 0 and not client.ended


def test_after_its_end_the_connection_takes_the_next_request_which_waited_unread(rig: AdminRig, streams: Streams) -> None:
    client = opened(rig, streams)
    client.send(get("/a") + get("/b"))
    rig.turn()
    connection, = rig.connections
    assert connection.pauses and b"plain" not in client.got
    streams.sinks[0].write(b"x")
    streams.sinks[0].end()
    streams.sinks[0].write(b"too late")
    streams.sinks[0].end()
    rig.turn(8)
    assert bytes(client.got).count(b"0\r\n\r\n") == 3 and b"plain /a" in client.got and b"plain /b" in client.got
    assert b"too late" not in client.got and not connection.pauses and streams.stopped == 1
    assert rig.stat("http.admin.downstream_rq_2xx") == 3 and not client.ended


def test_a_stream_that_has_said_all_before_it_returns_is_stopped_as_well(rig: AdminRig, streams: Streams) -> None:
    def say_all(sink: Sink) -> None:
        sink.write(b"all")
        sink.end()
    streams.on_begin = say_all
    client = opened(rig, streams)
    client.send(get("/a"))
    rig.turn()
    assert streams.stopped == 1 and b"3\r\nall\r\n0\r\n\r\n" in client.got and b"plain /a" in client.got


def test_head_begins_nothing(rig: AdminRig, streams: Streams) -> None:
    client = rig.client()
    client.send(get("/stream", method="HEAD") + get("/a"))
    rig.turn()
    assert not streams.sinks and b"text/event-stream" in client.got and b"plain /a" in client.got


@pytest.mark.parametrize("leave", [Peer.finish, Peer.reset])
def test_a_client_that_leaves_stops_it_once_and_is_forgotten(
    rig: AdminRig, streams: Streams, leave: Callable[[Peer], None]
) -> None:
    client = opened(rig, streams)
    timers = len(rig.server.reactor.timers)
    leave(client)
    rig.turn()
    assert streams.stopped == 1 and not rig.connections and len(rig.server.reactor.timers) < timers
    streams.sinks[0].write(b"into nothing")
    streams.sinks[0].end()
    assert streams.stopped == 1 and rig.stat("http.admin.downstream_rq_active") == 0


def test_a_client_that_leaves_while_its_next_request_waits_is_noticed_by_the_next_write(rig: AdminRig, streams: Streams) -> None:
    client = opened(rig, streams)
    client.send(get("/a"))
    rig.turn()
    client.close()
    for _ in range(3):
        streams.sinks[0].write(b"still there?")
        rig.turn()
    assert streams.stopped == 1 and not rig.connections


def test_who_writes_can_see_that_the_client_does_not_read(rig: AdminRig, streams: Streams) -> None:
    client = opened(rig, streams)
    client.reading = False
    sink = streams.sinks[0]
    assert sink.waiting == 0 and not sink.is_full
    for _ in range(8):
        sink.write(bytes(LONG))
        rig.turn()
    assert sink.waiting > LONG and sink.is_full
    client.reading = True
    for _ in range(400):
        rig.turn()
        if not sink.waiting:
            break
    assert not sink.waiting and not sink.is_full and len(client.got) > 8 * LONG


def test_a_client_that_asked_for_it_gets_the_connection_closed_behind_the_last_chunk(rig: AdminRig, streams: Streams) -> None:
    client = opened(rig, streams, get("/stream", b"Connection: close\r\n"))
    streams.sinks[0].write(b"last")
    rig.turn()
    assert not client.ended
    streams.sinks[0].end()
    rig.turn()
    assert bytes(client.got).endswith(b"4\r\nlast\r\n0\r\n\r\n") and client.ended


def test_one_that_says_nothing_for_a_minute_ends_as_an_idle_connection(rig: AdminRig, streams: Streams) -> None:
    client = opened(rig, streams)
    rig.advance(IDLE_TIMEOUT - 1)
    streams.sinks[0].write(b":\n\n")
    rig.turn()
    rig.advance(IDLE_TIMEOUT - 1)
    assert not client.ended
    rig.advance(2)
    assert client.ended and streams.stopped == 1


def test_the_access_log_has_its_status_and_size_when_the_client_left(tmp_path: Path, streams: Streams) -> None:
    path = tmp_path / "admin.log"
    rig = AdminRig(bootstrap(admin={"address": address("127.0.0.1", 0), "access_log_path": str(path)}))
    try:
        client = opened(rig, streams)
        streams.sinks[0].write(b"12345")
        rig.turn()
        client.finish()
        rig.turn()
        rig.server.access_logs.sinks.close()
        assert '"GET /stream HTTP/1.1" 200 DC 0 5 ' in path.read_text()
    finally:
        rig.close()
