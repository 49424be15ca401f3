"""tcp_proxy while bytes flow and at the end: half-close, resets, back-pressure, timers, draining, log moments."""

from __future__ import annotations

from typing import Any

import pytest

from proxy_core.event.reactor import SLEEP_AFTER
from proxy_core.event.timers import SETTLE_AFTER
from proxy_core.extensions.network.tcp_proxy.coupling import DOWNSTREAM_FULL, UPSTREAM_FULL
from proxy_core.extensions.network.tcp_proxy.timing import DRAIN_QUIET
from proxy_core.network.states import Side
from tests.support.engine import access_log
from tests.support.garbage import found_by_the_garbage_collector
from tests.support.peers import Peer
from tests.support.proxied import NewProxied, Proxied

BLOB = bytes(range(256)) * 6000  # 1.5 MB: more than the kernel holds with the buffers that `Proxied.pair` sets

# One side without a limit, so that nothing is paused and the proxy holds it all; the other with a small one, so that bulk goes
# through its buffers and not through the kernel's pipes.
NO_LIMIT = {"per_connection_buffer_limit_bytes": 0}
SMALL_LIMIT = {"per_connection_buffer_limit_bytes": 65536}
HOLDS_UPLOADS = {"of_cluster": NO_LIMIT, "of_listener": SMALL_LIMIT}
HOLDS_REPLIES = {"of_cluster": SMALL_LIMIT, "of_listener": NO_LIMIT}


def leave(*peers: Peer) -> None:
    for peer in peers:
        peer.finish()


# -- half-close --------------------------------------------------------------------------------------------------------

def test_the_client_ends_first_and_still_gets_a_late_reply(proxied: NewProxied) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    client.send(b"question")
    client.finish()
    proxy.engine.until(lambda: server.ended)
    assert bytes(server.got) == b"question"
    proxy.engine.advance(250.0)
    server.send(b"late answer")
    server.finish()
    proxy.engine.until(proxy.over)
    assert bytes(client.got) == b"late answer" and client.ended


def test_the_server_ends_first_and_still_gets_the_rest_of_the_upload(proxied: NewProxied) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    server.send(b"banner")
    server.finish()
    proxy.engine.until(lambda: client.ended)
    client.send(b"upload")
    client.finish()
    proxy.engine.until(proxy.over)
    assert bytes(client.got) == b"banner"
    proxy.engine.until(lambda: server.ended)
    assert bytes(server.got) == b"upload"


@pytest.mark.parametrize("last", ["client", "server"])
def test_an_upload_still_on_its_way_when_both_have_ended_is_not_cut(proxied: NewProxied, last: str) -> None:
    """A server that half-closes and goes on reading, slowly. Envoy closes the upstream NoFlush if its end was the last."""
    proxy = proxied(**HOLDS_UPLOADS)
    client, server = proxy.pair()
    server.reading = False
    if last == "client":
        server.finish()
        proxy.engine.until(lambda: client.ended)
    client.send(BLOB)
    client.finish()
    proxy.engine.until(lambda: proxy.tcp("downstream_cx_rx_bytes_total") == len(BLOB))
    proxy.engine.turn(3)
    if last == "server":
        server.finish()
        proxy.engine.until(lambda: client.ended)
    proxy.engine.turn(3)
    assert [connection.write_state for connection in proxy.engine.live] == [Side.FLUSHING]
    server.reading = True
    proxy.engine.until(lambda: server.over)
    assert bytes(server.got) == BLOB and not server.was_reset
    proxy.engine.until(proxy.over)


def test_a_reply_still_on_its_way_when_the_server_has_closed_is_not_cut(proxied: NewProxied) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    client.reading = False
    server.send(BLOB)
    server.finish()
    proxy.engine.until(lambda: not server.unsent)
    proxy.engine.turn(30)
    server.close()
    proxy.engine.turn(30)
    client.reading = True
    client.finish()
    proxy.engine.until(lambda: client.over)
    assert bytes(client.got) == BLOB and not client.was_reset


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_half_closed_pair_does_not_live_for_ever(proxied: NewProxied, first: str) -> None:
    """Envoy keeps it for idle_timeout, 1 h by default."""
    proxy = proxied(runtime={"proxy_core.half_closed_timeout_ms": 20_000})
    client, server = proxy.pair()
    (client if first == "client" else server).finish()
    proxy.engine.until(lambda: (server if first == "client" else client).ended)
    proxy.engine.advance(19.0)
    assert not proxy.over()
    proxy.engine.advance(2.0)
    proxy.engine.until(proxy.over)


def test_a_client_that_was_silent_for_long_and_then_half_closes_gets_its_full_time(proxied: NewProxied) -> None:
    proxy = proxied(runtime={"proxy_core.half_closed_timeout_ms": 20_000})
    client, server = proxy.pair()
    proxy.engine.advance(100.0)
    client.finish()
    proxy.engine.until(lambda: server.ended)
    proxy.engine.turn(5)
    server.send(b"still here")
    server.finish()
    proxy.engine.until(lambda: client.ended)
    assert bytes(client.got) == b"still here"


# -- resets ------------------------------------------------------------------------------------------------------------

def test_the_servers_reset_is_carried_to_the_client_with_ur(proxied: NewProxied) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    server.reset()
    proxy.wait(lambda: client.was_reset)
    proxy.wait(proxy.over)
    assert "flags=UR " in proxy.line and "down=LocalReset up=RemoteReset" in proxy.line


def test_the_clients_reset_is_carried_to_the_server_without_a_flag(proxied: NewProxied) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    client.reset()
    proxy.engine.until(lambda: server.was_reset)
    proxy.engine.until(proxy.over)
    assert "flags=- " in proxy.line and "down=RemoteReset up=Normal" in proxy.line


def test_the_reply_before_the_servers_reset_arrives_before_the_reset(proxied: NewProxied) -> None:
    """A server that answers and closes with unread input. Envoy loses the answer, depending on timing."""
    proxy = proxied()
    client, server = proxy.pair()
    server.reading = False
    client.send(b"an upload that nobody reads")
    proxy.engine.turn(5)
    server.send(b"413 too large")
    server.close()  # unread input: the kernel sends RST
    client.send(b"more of it")
    proxy.wait(lambda: client.over)
    assert bytes(client.got) == b"413 too large"


def test_a_reply_that_a_slow_client_has_not_read_yet_is_not_destroyed_by_the_servers_reset(proxied: NewProxied) -> None:
    proxy = proxied(**HOLDS_REPLIES)
    client, server = proxy.pair()
    client.reading = False
    server.send(BLOB)
    proxy.engine.until(lambda: proxy.cluster("upstream_cx_rx_bytes_total") == len(BLOB))
    server.reset()
    proxy.engine.until(lambda: len(proxy.engine.live) == 1)
    client.reading = True
    downstream = proxy.engine.live[0]
    while downstream.write_buffer.size:
        proxy.engine.pump()
        proxy.engine.reactor.turn(0)
    client.reading = False  # what is left is in the kernel now, on both sides
    proxy.engine.turn(5)
    client.reading = True
    proxy.wait(lambda: client.over)
    assert bytes(client.got) == BLOB and client.was_reset
    proxy.wait(proxy.over)
    assert "down=LocalReset up=RemoteReset" in proxy.line


# -- back-pressure -----------------------------------------------------------------------------------------------------

def test_a_client_that_does_not_read_pauses_the_server_by_name_and_nothing_is_lost(proxied: NewProxied) -> None:
    proxy = proxied(of_listener={"per_connection_buffer_limit_bytes": 32768})
    client, server = proxy.pair()
    client.reading = False
    server.send(BLOB)
    downstream, upstream = proxy.session()
    proxy.engine.until(lambda: DOWNSTREAM_FULL in upstream.pauses)
    proxy.engine.turn(30)
    assert downstream.write_buffer.size <= 32768 + 262144
    client.reading = True
    proxy.engine.until(lambda: len(client.got) == len(BLOB))
    assert bytes(client.got) == BLOB
    assert not upstream.pauses
    paused = proxy.cluster("upstream_flow_control_paused_reading_total")
    assert paused >= 1 and proxy.cluster("upstream_flow_control_resumed_reading_total") == paused


def test_a_server_that_does_not_read_pauses_the_client_by_name_and_nothing_is_lost(proxied: NewProxied) -> None:
    proxy = proxied(of_cluster={"per_connection_buffer_limit_bytes": 32768})
    client, server = proxy.pair()
    server.reading = False
    client.send(BLOB)
    downstream, upstream = proxy.session()
    proxy.engine.until(lambda: UPSTREAM_FULL in downstream.pauses)
    server.reading = True
    proxy.engine.until(lambda: len(server.got) == len(BLOB))
    assert bytes(server.got) == BLOB
    assert not downstream.pauses
    paused = proxy.tcp("downstream_flow_control_paused_reading_total")
    assert paused >= 1 and proxy.tcp("downstream_flow_control_resumed_reading_total") == paused


def test_bulk_both_ways_at_once_arrives_whole(proxied: NewProxied) -> None:
    proxy = proxied(
        of_cluster={"per_connection_buffer_limit_bytes": 10_000}, of_listener={"per_connection_buffer_limit_bytes": 70}
    )
    client, server = proxy.pair()
    client.send(BLOB[:20_000])
    server.send(BLOB[:500_000])
    leave(client, server)
    proxy.engine.until(proxy.over)
    assert bytes(server.got) == BLOB[:20_000]
    assert bytes(client.got) == BLOB[:500_000]


# -- the drainer -------------------------------------------------------------------------------------------------------

def upload_then_leave(proxy: Proxied) -> Any:
    """A server that reads nothing, and a client that sent much and went away in good order."""
    client, server = proxy.pair()
    server.reading = False
    server.finish()
    proxy.engine.until(lambda: client.ended)
    client.send(BLOB)
    client.finish()
    proxy.engine.until(lambda: not client.unsent)
    proxy.engine.turn(30)
    return server


def test_what_is_left_for_the_server_is_flushed_after_the_client_is_gone(proxied: NewProxied) -> None:
    proxy = proxied(**HOLDS_UPLOADS)
    server = upload_then_leave(proxy)
    assert [connection.write_state for connection in proxy.engine.live] == [Side.FLUSHING]
    assert proxy.tcp("upstream_flush_active") == proxy.tcp("upstream_flush_total") == 1
    server.reading = True
    proxy.engine.until(proxy.over)
    proxy.engine.until(lambda: server.over)
    assert bytes(server.got) == BLOB
    assert proxy.tcp("upstream_flush_active") == 0


def test_a_flush_to_a_server_that_never_reads_is_bounded(proxied: NewProxied) -> None:
    proxy = proxied(runtime={"proxy_core.flush_timeout_ms": 7000}, **HOLDS_UPLOADS)
    upload_then_leave(proxy)
    proxy.engine.advance(6.5)
    assert proxy.tcp("upstream_flush_active") == 1
    proxy.engine.advance(1.0)
    proxy.engine.until(proxy.over)
    assert proxy.tcp("upstream_flush_active") == 0


def test_a_flush_to_a_client_that_never_reads_is_bounded(proxied: NewProxied) -> None:
    """Envoy holds it for ever."""
    proxy = proxied(runtime={"proxy_core.flush_timeout_ms": 7000}, idle_timeout="0s", **HOLDS_REPLIES)
    client, server = proxy.pair()
    client.reading = False
    client.finish()
    server.send(BLOB)
    server.finish()
    proxy.engine.until(lambda: len(proxy.engine.live) == 1)
    proxy.engine.advance(6.5)
    assert not proxy.over()
    proxy.engine.advance(1.0)
    proxy.engine.until(proxy.over)
    assert "tx=1536000" in proxy.line and "flush_timeout" in proxy.line


# -- timers ------------------------------------------------------------------------------------------------------------

def test_the_idle_timeout_fires_after_silence_on_both_sides_and_not_before(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="10s")
    client, server = proxy.pair()
    for talker in (client, server, client):
        proxy.engine.advance(9.0)
        talker.send(b"x")
        proxy.engine.turn(4)
    proxy.engine.advance(9.9)
    assert not proxy.over()
    proxy.engine.advance(0.2)
    proxy.engine.until(proxy.over)
    proxy.engine.until(lambda: client.over and server.over)
    assert proxy.tcp("idle_timeout") == 1
    assert "flags=- local=tcp_session_idle_timeout" in proxy.line
    assert "(idle_timeout 10s, configured at static_resources.listeners[0].filter_chains[0].filters[0]" in proxy.line


def test_traffic_costs_no_timer_work(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="10s")
    client, server = proxy.pair()
    before = proxy.engine.reactor.timers.newest
    for _ in range(50):
        client.send(b"x")
        server.send(b"y")
        proxy.engine.turn(3)
    assert proxy.engine.reactor.timers.newest == before


def test_the_idle_timeout_of_0_is_never(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="0s")
    proxy.pair()
    proxy.engine.advance(1e6)
    assert not proxy.over()


def test_the_default_idle_timeout_is_an_hour_and_the_reason_says_so(proxied: NewProxied) -> None:
    proxy = proxied()
    proxy.pair()
    proxy.engine.advance(3599.0)
    assert not proxy.over()
    proxy.engine.advance(2.0)
    proxy.engine.until(proxy.over)
    assert "idle_timeout 1h, default" in proxy.line


def test_the_idle_timer_survives_a_failed_connect_attempt(proxied: NewProxied, refused: int) -> None:
    """Envoy loses it for the rest of the session."""
    from tests.support.peers import Server
    good = Server()
    proxy = proxied(ports=[refused, good.port], max_connect_attempts=2, idle_timeout="10s")
    client = proxy.engine.client()
    proxy.engine.accepted(good)
    proxy.engine.advance(10.5)
    proxy.engine.until(lambda: client.over)
    assert proxy.tcp("idle_timeout") == 1
    good.close()


def test_the_idle_timer_runs_while_connecting(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="2s", upstream_connect_mode="ON_DOWNSTREAM_DATA", max_early_data_bytes=1)
    client = proxy.engine.client()
    proxy.engine.turn(2)
    proxy.engine.advance(2.5)
    proxy.engine.until(lambda: client.over)
    assert proxy.tcp("idle_timeout") == 1


def test_the_maximum_duration_ends_a_busy_session_with_dt(proxied: NewProxied) -> None:
    proxy = proxied(max_downstream_connection_duration="10s")
    client, server = proxy.pair()
    for _ in range(9):
        proxy.engine.advance(1.0)
        client.send(b"x")
        proxy.engine.turn(2)
    assert not proxy.over()
    proxy.engine.advance(1.1)
    proxy.engine.until(proxy.over)
    assert "flags=DT local=max_connection_duration_reached" in proxy.line
    assert proxy.tcp("max_downstream_connection_duration") == 1


def test_jitter_only_lengthens_the_maximum_duration_and_within_its_bound(proxied: NewProxied) -> None:
    lengths = []
    for seed in range(8):
        proxy = proxied(
            seed=seed, max_downstream_connection_duration="10s",
            max_downstream_connection_duration_jitter_percentage={"value": 50},
        )
        proxy.pair()
        length = 0.0
        while not proxy.over():
            proxy.engine.advance(0.5)
            length += 0.5
            assert length < 16.0
        lengths.append(length)
    assert all(10.0 <= length <= 15.5 for length in lengths)
    assert len(set(lengths)) > 3


# -- draining ----------------------------------------------------------------------------------------------------------

def drain(proxy: Proxied) -> None:
    proxy.engine.listener().drain.start(at_once=True)


def test_a_draining_session_leaves_at_a_quiet_moment_and_does_not_cut_the_reply(proxied: NewProxied) -> None:
    """Envoy closes right after it has forwarded the request."""
    proxy = proxied(check_drain_close=True)
    client, server = proxy.pair()
    drain(proxy)
    client.send(b"question")
    proxy.engine.until(lambda: bytes(server.got) == b"question")
    proxy.engine.advance(DRAIN_QUIET * 0.8)
    server.send(b"answer")
    proxy.engine.until(lambda: bytes(client.got) == b"answer")
    proxy.engine.advance(DRAIN_QUIET * 0.8)
    assert not client.ended
    proxy.engine.advance(DRAIN_QUIET)
    proxy.engine.until(lambda: client.ended)
    assert not client.was_reset
    leave(client)
    proxy.engine.until(proxy.over)
    assert proxy.tcp("downstream_cx_drain_close") == 1
    assert "local drain: tcp_proxy_drain_close (check_drain_close)" in proxy.line


def test_without_check_drain_close_a_session_stays(proxied: NewProxied) -> None:
    proxy = proxied()
    proxy.pair()
    drain(proxy)
    proxy.engine.advance(600.0)
    assert not proxy.over()


def test_a_session_that_begins_while_the_listener_drains_leaves_as_well(proxied: NewProxied) -> None:
    proxy = proxied(check_drain_close=True)
    drain(proxy)
    client, _ = proxy.pair()
    proxy.engine.advance(2 * DRAIN_QUIET)
    proxy.engine.until(lambda: client.ended)


def test_a_session_that_has_not_left_when_the_drain_is_called_off_stays_and_can_be_drained_again(proxied: NewProxied) -> None:
    proxy = proxied(check_drain_close=True)
    client, server = proxy.pair()
    drain(proxy)
    proxy.engine.listener().drain.stop()
    proxy.engine.advance(600.0)
    assert not client.over
    drain(proxy)
    proxy.engine.advance(600.0)
    proxy.engine.until(lambda: client.over)


def test_a_drain_at_once_overtakes_a_gradual_one(proxied: NewProxied) -> None:
    proxy = proxied(check_drain_close=True)
    client, _ = proxy.pair()
    manager = proxy.engine.listener().drain
    manager._spread = 150.0
    manager.start()
    proxy.engine.advance(0.0)
    drain(proxy)
    proxy.engine.advance(2 * DRAIN_QUIET)
    proxy.engine.until(lambda: client.ended)


# -- access logs -------------------------------------------------------------------------------------------------------

def test_a_line_is_written_at_each_moment_that_was_asked_for(proxied: NewProxied) -> None:
    options = {
        "flush_access_log_on_start": True, "flush_access_log_on_connected": True, "access_log_flush_interval": "5s",
    }
    proxy = proxied(
        access_log=[access_log("host=%UPSTREAM_HOST% rx=%BYTES_RECEIVED% ms=%DURATION%")], access_log_options=options,
    )
    client, server = proxy.pair()
    client.send(b"12345")
    proxy.engine.until(lambda: bytes(server.got) == b"12345")
    proxy.engine.advance(5.0)
    leave(client, server)
    proxy.engine.until(proxy.over)
    host = f"host=127.0.0.1:{proxy.server.port}"
    assert proxy.engine.lines == [
        "TcpConnectionStart host=- rx=0 ms=0",
        f"TcpUpstreamConnected {host} rx=0 ms=0",
        f"TcpPeriodic {host} rx=5 ms=5000",
        f"TcpConnectionEnd {host} rx=5 ms=5000",
    ]


def test_the_listeners_line_comes_before_that_of_the_session(proxied: NewProxied) -> None:
    proxy = proxied(of_listener={"access_log": [access_log("%BYTES_RECEIVED%")]}, access_log=[access_log("session")])
    client, server = proxy.pair()
    client.send(b"abc")
    leave(client, server)
    proxy.engine.until(proxy.over)
    assert proxy.engine.lines == ["NotSet 3", "TcpConnectionEnd session"]


def test_several_loggers_all_write(proxied: NewProxied) -> None:
    proxy = proxied(access_log=[access_log("one"), access_log("two")])
    leave(*proxy.pair())
    proxy.engine.until(proxy.over)
    assert proxy.engine.lines == ["TcpConnectionEnd one", "TcpConnectionEnd two"]


def test_a_session_that_is_over_leaves_nothing_for_the_garbage_collector(proxied: NewProxied) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    client.send(b"question")
    proxy.engine.until(lambda: bytes(server.got) == b"question")
    with found_by_the_garbage_collector() as found:
        client.finish()
        proxy.engine.until(lambda: server.ended)
        server.finish()
        proxy.wait(proxy.over)
        proxy.engine.advance(SLEEP_AFTER + SETTLE_AFTER)
    assert not found
