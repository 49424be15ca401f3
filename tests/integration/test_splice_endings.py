"""Sessions that end, one way or another, while bulk goes through the kernel's pipe."""

from __future__ import annotations

import gc
from typing import Any, Callable, Dict, List

import pytest

from proxy_core.extensions.network.tcp_proxy.timing import DRAIN_QUIET
from proxy_core.filters.api import CONTINUE, FilterStatus
from proxy_core.network.close import ABORT_RESET, FLUSH_WRITE, NO_FLUSH
from proxy_core.network.connection import Connection
from proxy_core.network.splice import Splicer
from proxy_core.testing.recording import RecordingFilter
from tests.support.peers import Peer
from tests.support.proxied import NewProxied, Proxied
from tests.support.spliced import (
    MEGABYTE, Splices, block_sink, carry, descriptors, digest, needs_splice, noise, stuck, warm,
)

pytestmark = needs_splice

BLOB = noise(8 * MEGABYTE, 7)


class Observer(RecordingFilter):
    """In front of tcp_proxy; promises to need no bytes, and keeps what it is told of the end."""

    inspects_data = False

    def __init__(self, kept: List[Observer]) -> None:
        super().__init__(on_data_do=self._pass)
        kept.append(self)

    def _pass(self, data: Any, end_stream: bool) -> FilterStatus:
        self.log.clear()
        return CONTINUE


# -- half-close --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first", ["client", "server"])
@pytest.mark.parametrize("slow", [False, True])
def test_a_half_close_in_the_bulk_of_the_other_direction_loses_nothing(
    proxied: NewProxied, spy: Splices, first: str, slow: bool
) -> None:
    proxy = proxied()
    observers: List[Observer] = []
    proxy.engine.put_in_front(lambda manager: manager.add_read_filter(Observer(observers), "observer"))
    client, server = proxy.pair()
    one, other = (client, server) if first == "client" else (server, client)
    sent, back = warm(proxy, one, other, spy), warm(proxy, other, one, spy)
    one.send(BLOB)
    one.finish()
    other.send(BLOB)
    turns = 0

    def read_in_bursts() -> None:
        nonlocal turns
        turns += 1
        client.reading = server.reading = not slow or turns % 5 > 2
    carry(proxy, lambda: other.ended and len(one.got) == back + len(BLOB), read_in_bursts)
    client.reading = server.reading = True
    assert not one.over and len(proxy.engine.live) == 2  # half a session goes on
    other.finish()
    carry(proxy, lambda: one.ended and proxy.over())
    assert digest(other.got[sent:]) == digest(one.got[back:]) == digest(BLOB)
    assert [observer.ends for observer in observers] == [1]
    assert not client.was_reset and not server.was_reset
    to_server, to_client = len(server.got), len(client.got)
    assert f"rx={to_server} tx={to_client} " in proxy.line


# -- resets ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("blocked", [False, True])
def test_a_client_that_resets_in_an_upload_is_a_reset_for_the_server(proxied: NewProxied, spy: Splices, blocked: bool) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    _upload(proxy, client, server, spy, blocked)
    client.reset()
    proxy.wait(proxy.over)
    server.reading = True
    proxy.engine.until(lambda: server.over)
    assert server.was_reset
    assert "flags=- " in proxy.line and "down=RemoteReset" in proxy.line


@pytest.mark.parametrize("blocked", [False, True])
def test_a_server_that_resets_in_an_upload_is_a_reset_for_the_client(proxied: NewProxied, spy: Splices, blocked: bool) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    _upload(proxy, client, server, spy, blocked)
    upstream = proxy.session()[1]
    server.reset()
    proxy.wait(proxy.over)
    proxy.engine.until(lambda: client.over)
    assert "flags=UR " in proxy.line and "up=RemoteReset" in proxy.line
    received, queued = proxy.tcp("downstream_cx_rx_bytes_total"), upstream.bytes_queued
    assert received == queued  # what the pipe still held counts as queued, as on the ordinary path
    assert upstream.bytes_sent <= queued


def _upload(proxy: Proxied, client: Peer, server: Peer, spy: Splices, blocked: bool) -> None:
    """Bulk is on its way to the server, which reads it or not."""
    if blocked:
        block_sink(proxy, client, server, spy)
    else:
        warm(proxy, client, server, spy)
        client.send(BLOB)


def test_the_answer_before_a_reset_reaches_the_client_though_the_upload_finds_the_server_gone(
    proxied: NewProxied, spy: Splices
) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    warm(proxy, client, server, spy)
    server.send(b"413 too large")
    server.reset()
    client.send(BLOB)
    proxy.wait(lambda: client.over)
    assert bytes(client.got) == b"413 too large"


# -- timers ------------------------------------------------------------------------------------------------------------

def test_bulk_that_moves_keeps_the_idle_timer_away_and_silence_is_counted_from_its_last_byte(
    proxied: NewProxied, spy: Splices
) -> None:
    proxy = proxied(idle_timeout="10s")
    client, server = proxy.pair()
    warm(proxy, client, server, spy)
    for _ in range(8):
        proxy.engine.advance(6.0)
        warm(proxy, client, server, spy)
    proxy.engine.advance(9.9)
    assert not proxy.over()
    proxy.engine.advance(0.2)
    proxy.engine.until(proxy.over)
    assert "local=tcp_session_idle_timeout" in proxy.line
    assert proxy.tcp("idle_timeout") == 1


def test_a_reader_that_stops_for_the_idle_timeout_ends_the_session(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied(idle_timeout="10s")
    client, server = proxy.pair()
    block_sink(proxy, client, server, spy)
    proxy.engine.advance(9.9)
    assert not proxy.over()
    proxy.engine.advance(0.2)
    proxy.engine.until(proxy.over)
    assert "local=tcp_session_idle_timeout" in proxy.line


def test_the_maximum_duration_ends_a_session_in_the_middle_of_its_bulk(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied(max_downstream_connection_duration="5s")
    client, server = proxy.pair()
    block_sink(proxy, client, server, spy)
    proxy.engine.advance(4.9)
    assert not proxy.over()
    proxy.engine.advance(0.2)
    proxy.engine.until(proxy.over)
    assert "flags=DT local=max_connection_duration_reached" in proxy.line


def test_a_paused_source_is_under_the_bound_of_paused_connections(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied(idle_timeout="0s", runtime={"proxy_core.paused_timeout_ms": 20_000})
    client, server = proxy.pair()
    block_sink(proxy, client, server, spy)
    proxy.engine.advance(19.9)
    assert not proxy.over()
    proxy.engine.advance(0.2)
    proxy.engine.until(lambda: "paused_timeout" in "".join(proxy.engine.lines))


@pytest.mark.parametrize("kind", [NO_FLUSH, ABORT_RESET])
def test_a_close_from_a_timer_in_mid_step_ends_both_sides(proxied: NewProxied, spy: Splices, kind: Any) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    block_sink(proxy, client, server, spy)
    downstream = proxy.session()[0]
    proxy.engine.reactor.after(1.0, lambda: downstream.close(kind, "enough"))
    proxy.engine.advance(1.1)
    proxy.engine.until(proxy.over)
    client.reading = server.reading = True
    proxy.engine.until(lambda: client.over and server.over)
    assert "local=enough" in proxy.line


def test_a_flushing_close_delivers_what_waits_in_the_fallback_buffer(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    sent = block_sink(proxy, server, client, spy)
    downstream = proxy.session()[0]
    promised = downstream.bytes_queued
    downstream.close(FLUSH_WRITE)
    client.reading = True
    carry(proxy, lambda: len(client.got) == promised)
    proxy.engine.until(lambda: client.ended)
    assert digest(client.got) == digest(sent[:promised])
    client.finish()
    proxy.wait(proxy.over)
    assert f"tx={promised} " in proxy.line


# -- draining ----------------------------------------------------------------------------------------------------------

def test_a_drain_waits_for_a_quiet_moment_of_spliced_bulk(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied(check_drain_close=True)
    client, server = proxy.pair()
    warm(proxy, server, client, spy)
    proxy.engine.listener().drain.start(at_once=True)
    for _ in range(5):
        proxy.engine.advance(DRAIN_QUIET * 0.8)
        warm(proxy, server, client, spy)
    assert not client.over
    proxy.engine.advance(DRAIN_QUIET * 1.1)
    proxy.engine.until(lambda: client.ended)
    client.finish()
    server.finish()
    proxy.wait(proxy.over)
    assert f"tx={len(client.got)} " in proxy.line
    assert proxy.tcp("downstream_cx_drain_close") == 1


# -- nothing is left ---------------------------------------------------------------------------------------------------

Death = Callable[[Proxied, Peer, Peer], Any]


def _downstream(proxy: Proxied) -> Connection:
    return proxy.session()[0]


DEATHS: Dict[str, Death] = {
    "both finish": lambda proxy, client, server: (client.finish(), server.finish()),
    "the client closes": lambda proxy, client, server: (client.close(), server.finish()),
    "the server closes": lambda proxy, client, server: (server.close(), client.finish()),
    "the client resets": lambda proxy, client, server: client.reset(),
    "the server resets": lambda proxy, client, server: server.reset(),
    "closed here": lambda proxy, client, server: _downstream(proxy).close(NO_FLUSH),
    "reset here": lambda proxy, client, server: _downstream(proxy).close(ABORT_RESET),
    "flushed here": lambda proxy, client, server: _downstream(proxy).close(FLUSH_WRITE),
    "an exception": lambda proxy, client, server: _downstream(proxy).on_failure(RuntimeError("a filter's")),
    "its time is over": lambda proxy, client, server: proxy.engine.advance(1000.0),
}


def test_two_hundred_sessions_that_die_in_every_way_leave_no_descriptor(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied(max_downstream_connection_duration="1000s")
    ways = list(DEATHS.values())
    before = 0
    for number in range(200):
        client, server = proxy.pair()
        reading = number // len(ways) % 2 == 0
        (block_sink if number % 20 > 9 else warm)(proxy, client, server, spy)
        if reading:
            client.send(BLOB)
            proxy.engine.turn()
        ways[number % len(ways)](proxy, client, server)
        server.reading = True
        proxy.wait(lambda: not proxy.engine.live)
        proxy.engine.peers.clear()
        client.close()
        server.close()
        if number == 19:  # every way was taken once: the pool has its pipe, the reactor its set of sleepers
            before = descriptors()
    assert descriptors() <= before
    assert len(proxy.engine.context.pool.pipes._idle) == 1
    assert not stuck(proxy)


def test_splicers_are_freed_with_their_session_without_the_garbage_collector(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    block_sink(proxy, client, server, spy)
    gc.collect()
    gc.disable()
    try:
        client.reset()
        proxy.wait(proxy.over)
        assert [one for one in gc.get_objects() if type(one) is Splicer] == []
    finally:
        gc.enable()
