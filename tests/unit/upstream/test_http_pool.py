"""The pool of HTTP/1 connections: who gets which connection, who waits, what is counted, and when connections end. The hosts are
real sockets in the test's hand, the time is simulated."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Optional, Union

import pytest

from proxy_core.buffer import Buffer
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.network.close import NO_FLUSH
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.upstream.http_pool import ClusterPools, PendingStream, ResetReason
from proxy_core.upstream.http_pool.partition import server_name
from tests.support.engine import Engine, address, bootstrap, cluster
from tests.support.peers import Peer, RefusedPort, Server

Json = Dict[str, Any]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def http_options(**common: Any) -> Json:
    message = {
        "@type": f"type.googleapis.com/{OPTIONS}", "common_http_protocol_options": common,
        "explicit_http_config": {"http_protocol_options": {}},
    }
    return {"typed_extension_protocol_options": {OPTIONS: message}}


def breakers(**limits: int) -> Json:
    return {"circuit_breakers": {"thresholds": [limits]}}


class Asked:
    """A stream: sends a GET as soon as it can, and keeps what it hears."""

    info = None

    def __init__(self) -> None:
        self.client: Any = None
        self.pending: Optional[PendingStream] = None
        self.status = 0
        self.body = b""
        self.failure: Optional[str] = None
        self.over = False
        self.then: Callable[[], None] = lambda: None

    def on_pool_ready(self, client: Any, host: Any) -> None:
        self.client = client
        client.send_head(RequestHead("GET", "/", authority="a"), True)

    def on_pool_failure(self, reason: ResetReason, text: str, host: Any) -> None:
        self.failure = reason.value

    def on_informational(self, status: int, headers: Headers) -> None:
        raise AssertionError("nobody sends one")

    def on_head(self, head: ResponseHead, end_stream: bool) -> None:
        self.status = head.status

    def on_data(self, data: Buffer, end_stream: bool) -> None:
        self.body += data.take()
        self.over = end_stream
        if end_stream:
            self.then()

    def on_trailers(self, trailers: Headers) -> None:
        self.over = True

    def on_reset(self, reason: ResetReason, text: str) -> None:
        self.failure = reason.value

    def on_above_write_buffer_high_watermark(self) -> None:
        """Nothing is sent but a head."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """See above."""


class Bench:
    """A cluster with one host, and its pools."""

    def __init__(self, configured: Json, server: Optional[Server]) -> None:
        self.engine = Engine(bootstrap([], [configured]))
        self.server = server
        found: Any = self.engine.clusters.get("c")
        self.cluster = found
        self.pools: ClusterPools = self.engine.http_pools.of(self.cluster)

    def ask(self, high: bool = False, info: Optional[StreamInfo] = None) -> Asked:
        stream = Asked()
        host = self.cluster.hosts[0]
        pool = self.pools.pool(host, high, info or StreamInfo(1, 0.0, 0.0), RequestHead("GET", "/", authority="a"))
        assert pool is not None
        stream.pending = pool.new_stream(stream)
        self.engine.turn()
        return stream

    def accept(self) -> Peer:
        assert self.server is not None
        return self.engine.accepted(self.server)

    def answer(self, peer: Peer, *streams: Asked, response: bytes = OK) -> None:
        peer.send(response)
        self.engine.until(lambda: all(stream.over or stream.failure for stream in streams))

    def count(self, name: str) -> int:
        return self.engine.value(f"cluster.c.upstream_{name}")


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    with contextlib.ExitStack() as stack:
        def build(reachable: bool = True, **fields: Any) -> Bench:
            host: Union[Server, RefusedPort] = Server() if reachable else RefusedPort()
            stack.callback(host.close)
            bench = Bench(cluster(address(host.port), **fields), host if isinstance(host, Server) else None)
            stack.callback(bench.engine.close)
            return bench
        yield build


def test_one_connection_serves_one_request_after_the_other(make: Callable[..., Bench]) -> None:
    bench = make()
    first = bench.ask()
    peer = bench.accept()
    bench.answer(peer, first)
    assert (first.status, first.body, first.pending is None) == (200, b"ok", True)
    for _ in range(3):
        again = bench.ask()
        assert again.client is first.client and again.pending is None
        bench.answer(peer, again)
    names = ("cx_total", "cx_active", "rq_total", "rq_active", "rq_pending_total")
    assert [bench.count(name) for name in names] == [1, 1, 4, 0, 1]
    host = bench.cluster.hosts[0]
    assert (host.counters.rq_total, host.counters.rq_active, host.counters.cx_active) == (4, 0, 1)


def test_the_connection_that_was_given_back_last_is_used_first(make: Callable[..., Bench]) -> None:
    bench = make()
    streams = [bench.ask() for _ in range(3)]
    peers = [bench.accept() for _ in range(3)]
    for stream, peer in zip(streams, peers):
        bench.answer(peer, stream)
    assert bench.ask().client is streams[2].client


def test_a_stream_that_begins_the_next_request_from_the_end_of_its_response_gets_the_same_connection(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    first = bench.ask()
    peer = bench.accept()
    found: List[Asked] = []
    first.then = lambda: found.append(bench.ask())
    bench.answer(peer, first)
    assert found[0].client is first.client and bench.count("cx_total") == 1


def test_max_connections_makes_requests_wait_in_order_and_max_pending_requests_refuses_more(make: Callable[..., Bench]) -> None:
    bench = make(**breakers(max_connections=1, max_pending_requests=2))
    first, second, third = bench.ask(), bench.ask(), bench.ask()
    refused = bench.ask()
    assert refused.failure == "overflow" and bench.count("rq_pending_overflow") == 1
    assert bench.count("cx_overflow") == 2 and bench.count("rq_pending_active") == 2
    peer = bench.accept()
    bench.answer(peer, first)
    bench.engine.until(lambda: second.client is not None)
    assert third.client is None
    bench.answer(peer, second)
    bench.engine.until(lambda: third.client is not None)
    bench.answer(peer, third)
    assert bench.count("cx_total") == 1 and bench.count("rq_pending_active") == 0


def test_max_requests_is_asked_when_a_stream_would_begin(make: Callable[..., Bench]) -> None:
    bench = make(**breakers(max_requests=1))
    first = bench.ask()
    second = bench.ask()
    assert second.failure == "overflow" and first.failure is None
    assert bench.count("rq_active_overflow") == 1 and bench.count("rq_active") == 1


def test_a_priority_has_pools_and_breakers_of_its_own(make: Callable[..., Bench]) -> None:
    limits = {"thresholds": [{"priority": "HIGH", "max_pending_requests": 0}]}
    bench = make(circuit_breakers=limits)
    assert bench.ask(high=True).failure == "overflow"
    assert bench.ask().failure is None


def test_a_refused_connection_fails_all_that_wait_for_it(make: Callable[..., Bench]) -> None:
    bench = make(reachable=False)
    stream = bench.ask()
    bench.engine.until(lambda: stream.failure)
    assert stream.failure == "remote connection failure"
    names = ("cx_connect_fail", "rq_pending_failure_eject", "cx_active", "rq_pending_active")
    assert [bench.count(name) for name in names] == [1, 1, 0, 0]


def test_a_waiting_stream_can_be_cancelled(make: Callable[..., Bench]) -> None:
    bench = make(**breakers(max_connections=1))
    first, second = bench.ask(), bench.ask()
    assert second.pending is not None
    second.pending.cancel()
    second.pending.cancel()
    assert bench.count("rq_cancelled") == 1 and bench.count("rq_pending_active") == 0
    bench.answer(bench.accept(), first)
    assert second.client is None


def test_an_idle_connection_ends_with_its_time_and_one_timer_serves_all(make: Callable[..., Bench]) -> None:
    bench = make(**http_options(idle_timeout="10s"))
    streams = [bench.ask(), bench.ask()]
    peers = [bench.accept(), bench.accept()]
    bench.answer(peers[0], streams[0])
    timers = len(bench.engine.reactor.timers)
    bench.engine.advance(4)
    bench.answer(peers[1], streams[1])
    assert len(bench.engine.reactor.timers) == timers
    bench.engine.advance(6)
    assert bench.count("cx_idle_timeout") == 1 and bench.count("cx_active") == 1
    bench.engine.advance(4)
    assert bench.count("cx_idle_timeout") == 2 and bench.count("cx_active") == 0


def test_a_busy_connection_is_not_idle(make: Callable[..., Bench]) -> None:
    bench = make(**http_options(idle_timeout="10s"))
    stream = bench.ask()
    peer = bench.accept()
    bench.answer(peer, stream)
    again = bench.ask()
    bench.engine.advance(30)
    bench.answer(peer, again)
    assert again.status == 200 and bench.count("cx_idle_timeout") == 0


def test_max_requests_per_connection(make: Callable[..., Bench]) -> None:
    bench = make(**http_options(max_requests_per_connection=2))
    first = bench.ask()
    peer = bench.accept()
    bench.answer(peer, first)
    bench.answer(peer, bench.ask())
    assert bench.count("cx_total") == 1
    third = bench.ask()
    bench.answer(bench.accept(), third)
    assert bench.count("cx_total") == 2
    assert bench.count("cx_max_requests") == 1 and bench.count("cx_destroy_local") == 1


def test_max_connection_duration_lets_the_response_end(make: Callable[..., Bench]) -> None:
    bench = make(**http_options(max_connection_duration="5s"))
    stream = bench.ask()
    peer = bench.accept()
    bench.engine.advance(6)
    assert bench.count("cx_max_duration_reached") == 1 and bench.count("cx_active") == 1
    bench.answer(peer, stream)
    assert stream.status == 200 and bench.count("cx_active") == 0
    assert bench.count("cx_destroy_with_active_rq") == 0


def test_the_servers_end_between_two_requests_is_no_failure(make: Callable[..., Bench]) -> None:
    bench = make()
    stream = bench.ask()
    peer = bench.accept()
    bench.answer(peer, stream)
    peer.finish()
    bench.engine.until(lambda: not bench.count("cx_active"))
    assert bench.count("cx_destroy_remote") == 1 and bench.count("cx_destroy_with_active_rq") == 0
    bench.ask()
    assert bench.count("cx_total") == 2


def test_the_servers_end_before_the_response_is_a_reset(make: Callable[..., Bench]) -> None:
    bench = make()
    stream = bench.ask()
    bench.accept().finish()
    bench.engine.until(lambda: stream.failure)
    assert stream.failure == "connection termination"
    assert bench.count("cx_destroy_remote_with_active_rq") == 1 and bench.count("rq_active") == 0


def test_a_reset_of_the_stream_closes_the_connection(make: Callable[..., Bench]) -> None:
    bench = make()
    stream = bench.ask()
    peer = bench.accept()
    stream.client.reset("enough")
    bench.engine.until(lambda: peer.over)
    assert bench.count("cx_destroy_local_with_active_rq") == 1 and bench.count("rq_active") == 0 and stream.failure is None


def test_a_host_that_is_left_keeps_no_idle_connection_and_its_busy_ones_end_with_their_response(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    streams = [bench.ask(), bench.ask()]
    peers = [bench.accept(), bench.accept()]
    bench.answer(peers[0], streams[0])
    bench.cluster.drain(bench.cluster.hosts)
    assert bench.count("cx_active") == 1
    bench.answer(peers[1], streams[1])
    assert streams[1].status == 200 and bench.count("cx_active") == 0


def test_a_pool_without_connections_is_forgotten(make: Callable[..., Bench]) -> None:
    bench = make(**breakers(max_connection_pools=1))
    stream = bench.ask()
    assert bench.cluster.breakers.connection_pools.used == 1
    bench.answer(bench.accept(), stream, response=b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    assert bench.cluster.breakers.connection_pools.used == 0
    assert bench.count("cx_close_notify") == 1 and bench.engine.reactor.watched == 0


def test_max_connection_pools_refuses_another_pool(make: Callable[..., Bench]) -> None:
    bench = make(**breakers(max_connection_pools=0))
    head, info = RequestHead("GET", "/", authority="a"), StreamInfo(1, 0.0, 0.0)
    assert bench.pools.pool(bench.cluster.hosts[0], False, info, head) is None
    assert bench.count("cx_pool_overflow") == 1


def test_connections_of_two_clients_are_not_mixed_where_that_is_asked_for(make: Callable[..., Bench]) -> None:
    bench = make(connection_pool_per_downstream_connection=True)
    one, other = StreamInfo(1, 0.0, 0.0), StreamInfo(2, 0.0, 0.0)
    first = bench.ask(info=one)
    bench.answer(bench.accept(), first)
    second = bench.ask(info=other)
    bench.answer(bench.accept(), second)
    assert bench.ask(info=one).client is first.client
    assert bench.count("cx_total") == 2


def test_more_connections_than_requests_where_that_is_asked_for(make: Callable[..., Bench]) -> None:
    bench = make(preconnect_policy={"per_upstream_preconnect_ratio": 2.0})
    stream = bench.ask()
    assert bench.count("cx_total") == 2
    peers = [bench.accept(), bench.accept()]
    bench.answer(next(peer for peer in peers if peer.got), stream)


def test_connect_timeout(make: Callable[..., Bench]) -> None:
    """The TLS handshake is part of connecting, and this server says nothing."""
    tls = {"name": "tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"}}
    bench = make(connect_timeout="2s", transport_socket=tls)
    stream = bench.ask()
    peer = bench.accept()
    bench.engine.until(lambda: peer.got)
    assert b"http/1.1" in bytes(peer.got)  # offered in any case
    bench.engine.advance(3)
    assert stream.failure == "connection timeout" and bench.count("cx_connect_timeout") == 1


@pytest.mark.parametrize("authority, name", [
    ("zz.wild.test:80", "zz.wild.test"), ("a.test", "a.test"), ("127.0.0.1:80", ""), ("[::1]:80", ""), ("", ""),
])
def test_the_server_name_of_a_request_is_its_host_unless_that_is_an_address(authority: str, name: str) -> None:
    assert server_name(RequestHead("GET", "/", authority=authority), "") == name
    head = RequestHead("GET", "/", headers=Headers([("x-sni", "other")]), authority=authority)
    assert server_name(head, "x-sni") == "other"


def test_closing_a_connection_from_outside_counts_once(make: Callable[..., Bench]) -> None:
    bench = make()
    stream = bench.ask()
    stream.client.connection.close(NO_FLUSH, "admin")
    assert stream.failure == "connection termination"
    assert bench.count("cx_destroy") == 1 and bench.count("rq_active") == 0
