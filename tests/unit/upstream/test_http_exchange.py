"""The HTTP side of one upstream connection: what a stream hears does not depend on how the response was cut, and each end of the
connection, wherever it comes, is told once."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import pytest

from proxy_core.buffer import Buffer
from proxy_core.filters.api import ConnectionEvent
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.http.settings import Http1Settings
from proxy_core.network.close import NO_FLUSH
from proxy_core.testing.splits import splits
from proxy_core.upstream.http_pool.api import CONNECTION_TERMINATION, ResetReason
from proxy_core.upstream.http_pool.exchange import Exchange
from tests.support.rig import Rig

LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nx-t: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nhello"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nraw"


class Heard:
    """A stream that writes down what it hears; pieces of the body are joined."""

    info = None

    def __init__(self) -> None:
        self.log: List[Tuple[Any, ...]] = []
        self.body = b""
        self.ends = 0

    def on_pool_ready(self, client: Any, host: Any) -> None:
        raise AssertionError("there is no pool")

    def on_pool_failure(self, reason: ResetReason, text: str, host: Any) -> None:
        raise AssertionError("there is no pool")

    def on_informational(self, status: int, headers: Headers) -> None:
        self.log.append((status, list(headers.items())))

    def on_head(self, head: ResponseHead, end_stream: bool) -> None:
        self.log.append((head.status, list(head.headers.items()), end_stream))
        self.ends += end_stream

    def on_data(self, data: Buffer, end_stream: bool) -> None:
        self.body += data.take()
        self.ends += end_stream

    def on_trailers(self, trailers: Headers) -> None:
        self.log.append(("trailers", list(trailers.items())))
        self.ends += 1

    def on_reset(self, reason: ResetReason, text: str) -> None:
        self.log.append(("reset", reason.value))
        self.ends += 1

    def on_above_write_buffer_high_watermark(self) -> None:
        self.log.append(("high",))

    def on_below_write_buffer_low_watermark(self) -> None:
        self.log.append(("low",))

    @property
    def all(self) -> Tuple[Any, ...]:
        return (*self.log, self.body, self.ends)


class Bench:
    """An exchange on a scripted connection; the test is its pool."""

    def __init__(self, **settings: Any) -> None:
        self.exchange = Exchange(Http1Settings(max_headers_kb=80, enable_trailers=True, **settings))
        self.exchange.owner = self
        self.rig = Rig(filters=[self.exchange], half_close=False)
        self.rig.connection.callbacks += (self,)
        self.notes: List[Any] = []

    def ask(self, head: Optional[RequestHead] = None, end_stream: bool = True) -> Heard:
        stream = Heard()
        self.exchange.stream = stream
        self.exchange.send_head(head or RequestHead("GET", "/", authority="a"), end_stream)
        self.rig.turn()
        return stream

    def give(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.rig.peer.send(piece)
            self.rig.turn()

    # -- Owner, and the callbacks of the connection

    def on_response_over(self, may_stay: bool, was_sent: bool) -> None:
        self.notes.append((may_stay, was_sent))

    def give_up(self, why: str) -> None:
        self.notes.append("given up")
        self.rig.connection.close(NO_FLUSH)

    def on_close_notified(self) -> None:
        self.notes.append("close notified")

    def on_protocol_error(self) -> None:
        self.notes.append("protocol error")

    def doing(self) -> str:
        return "tested"

    def on_event(self, event: ConnectionEvent) -> None:
        if self.rig.connection.fd < 0:
            self.exchange.fail(CONNECTION_TERMINATION, "")

    def on_above_write_buffer_high_watermark(self) -> None:
        """The pool passes it on."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """See above."""


def upgrade() -> RequestHead:
    return RequestHead(
        "GET", "/", headers=Headers([("upgrade", "websocket"), ("connection", "upgrade")]), authority="a"
    )


@pytest.mark.parametrize("response", [LENGTH, CHUNKED, INTERIM, LENGTH + LENGTH, b"HTTP/1.1 200 OK\r\nx\r\n\r\n"])
def test_a_stream_hears_the_same_however_the_response_is_cut(response: bytes) -> None:
    found = set()
    for pieces in splits(response):
        bench = Bench()
        stream = bench.ask()
        bench.give(*pieces)
        found.add(repr(stream.all))
    assert len(found) == 1


@pytest.mark.parametrize("response", [LENGTH, CHUNKED, INTERIM, UNTIL_CLOSE])
@pytest.mark.parametrize("how", ["finish", "reset"])
def test_an_end_at_every_prefix_is_told_exactly_once(response: bytes, how: str) -> None:
    for length in range(len(response) + 1):
        bench = Bench()
        stream = bench.ask()
        if length:
            bench.give(response[:length])
        getattr(bench.rig.peer, how)()
        bench.rig.turn(2)
        assert stream.ends == 1, (length, stream.all)
        assert bench.rig.connection.fd < 0 or length == len(response)
        was_cut = stream.log[-1:] in ([("reset", "protocol error")], [("reset", "connection termination")])
        whole = length == len(response) or response is UNTIL_CLOSE and length >= response.index(b"\r\n\r\n") + 4
        assert was_cut is not whole, (length, stream.all)
        if not length:
            assert stream.log == [("reset", "connection termination")]


def test_a_response_can_be_followed_by_another_request() -> None:
    bench = Bench()
    for _ in range(3):
        stream = bench.ask()
        bench.give(LENGTH)
        assert stream.all == ((200, [("content-length", "5"), ("x-a", "b")], False), b"hello", 1)
    assert bench.notes == [(True, True)] * 3
    assert bytes(bench.rig.peer.got) == b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 3


def test_the_connection_is_free_before_the_stream_hears_of_the_end() -> None:
    bench = Bench()
    stream = bench.ask()
    free: List[bool] = []
    stream.on_data = lambda data, end_stream: free.append(bench.exchange.stream is None)  # type: ignore[method-assign]
    bench.give(LENGTH)
    assert free == [True]


def test_a_response_before_the_end_of_the_request_leaves_the_connection_unusable() -> None:
    bench = Bench()
    stream = bench.ask(RequestHead("POST", "/", authority="a"), end_stream=False)
    bench.give(LENGTH)
    assert stream.ends == 1 and bench.notes == [(False, False)]


@pytest.mark.parametrize("head, notes", [
    (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", ["close notified", (False, True)]),
    (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", ["close notified", (False, True)]),
    (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", [(True, True)]),
])
def test_a_server_may_say_that_this_was_the_last_response(head: bytes, notes: List[Any]) -> None:
    bench = Bench()
    bench.ask()
    bench.give(head)
    assert bench.notes == notes


def test_bytes_behind_a_response_are_an_error_that_the_stream_does_not_see() -> None:
    bench = Bench()
    stream = bench.ask()
    bench.give(LENGTH + b"x")
    assert stream.ends == 1 and stream.body == b"hello"
    assert bench.notes == ["protocol error", (False, True)]


def test_bytes_on_an_idle_connection_end_it_and_a_408_is_no_error() -> None:
    bench = Bench()
    bench.give(b"HTTP/1.1 200 OK\r\n\r\n")
    assert bench.notes == ["protocol error", "given up"] and bench.rig.connection.fd < 0
    other = Bench()
    other.give(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert other.notes == ["given up"]


def test_what_is_right_before_an_error_is_delivered() -> None:
    bench = Bench()
    stream = bench.ask()
    bench.give(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nXX\r\n")
    assert stream.body == b"abc" and stream.log[-1] == ("reset", "protocol error") and stream.ends == 1


def test_a_tunnel_passes_bytes_as_they_are_and_breaks_with_the_connection() -> None:
    bench = Bench()
    stream = bench.ask(upgrade(), end_stream=False)
    before = bench.exchange.is_tunnel
    bench.give(SWITCH)
    assert (before, bench.exchange.is_tunnel, stream.body) == (False, True, b"raw")
    bench.exchange.send_data(Buffer(b"\x00frame"), False)
    bench.rig.turn()
    assert bytes(bench.rig.peer.got).endswith(b"\r\n\r\n\x00frame")
    bench.rig.peer.finish()
    bench.rig.turn(2)
    assert stream.ends == 1 and stream.log[-1] == ("reset", "connection termination")


def test_the_end_of_the_clients_side_of_a_tunnel_is_a_fin() -> None:
    bench = Bench()
    bench.ask(upgrade(), end_stream=False)
    bench.give(SWITCH)
    bench.exchange.send_data(Buffer(b"bye"), True)
    bench.rig.turn()
    assert bytes(bench.rig.peer.got).endswith(b"bye") and bench.rig.peer.ended


def test_a_paused_response_stays_in_the_kernel_and_the_pause_ends_with_the_stream() -> None:
    bench = Bench()
    stream = bench.ask()
    bench.give(LENGTH[:-3])
    bench.exchange.pause()
    bench.exchange.pause()
    bench.give(LENGTH[-3:])
    assert stream.body == b"he" and len(bench.rig.connection.pauses) == 1
    bench.exchange.resume()
    bench.rig.turn()
    assert stream.body == b"hello" and not bench.rig.connection.pauses


def test_a_stream_that_resets_hears_nothing_more() -> None:
    bench = Bench()
    stream = bench.ask()
    bench.give(LENGTH[:-3])
    bench.exchange.reset("enough")
    bench.give(LENGTH[-3:])
    assert stream.ends == 0 and stream.body == b"he" and bench.notes == ["given up"]


def test_a_body_that_does_not_fit_its_length_is_the_callers_error() -> None:
    bench = Bench()
    bench.ask(RequestHead("POST", "/", headers=Headers([("content-length", "2")]), authority="a"), end_stream=False)
    with pytest.raises(ValueError):
        bench.exchange.send_data(Buffer(b"abc"), True)
