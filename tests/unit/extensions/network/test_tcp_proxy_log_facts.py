"""What a tcp_proxy's log lines know of the upstream at each moment, as measured on Envoy 1.40."""

from __future__ import annotations

import pytest

from tests.support.engine import access_log
from tests.support.proxied import NewProxied

HOST = access_log(
    "host=%UPSTREAM_HOST% tried=%UPSTREAM_HOSTS_ATTEMPTED% n=%UPSTREAM_REQUEST_ATTEMPT_COUNT% "
    "ready=%UPSTREAM_CONNECTION_POOL_READY_DURATION% failure=%UPSTREAM_TRANSPORT_FAILURE_REASON% "
    "connect=%COMMON_DURATION(US_CX_BEG:US_CX_END:ms)% close=%UPSTREAM_DETECTED_CLOSE_TYPE%"
)
WHEN = {"flush_access_log_on_start": True, "flush_access_log_on_connected": True}


def test_the_host_is_known_once_the_attempt_is_over(proxied: NewProxied) -> None:
    proxy = proxied(access_log=[HOST], access_log_options=WHEN)
    client, _ = proxy.pair()
    client.finish()
    host = f"127.0.0.1:{proxy.server.port}"
    start, connected = proxy.engine.lines[:2]
    assert start == "TcpConnectionStart host=- tried=- n=0 ready=- failure=- connect=- close=Normal"
    assert connected == f"TcpUpstreamConnected host={host} tried={host} n=1 ready=0 failure=- connect=0 close=Normal"


def test_a_failed_attempt_names_its_host_and_how_long_all_attempts_took(proxied: NewProxied, refused: int) -> None:
    proxy = proxied(ports=[refused], access_log=[HOST])
    proxy.engine.client()
    proxy.engine.until(proxy.over)
    assert f"host=127.0.0.1:{refused} tried=127.0.0.1:{refused} n=1 ready=0 failure=" in proxy.line
    assert "connect=- close=Normal" in proxy.line


def test_at_the_limit_of_connections_no_host_was_chosen(proxied: NewProxied) -> None:
    proxy = proxied(access_log=[HOST], of_cluster={"circuit_breakers": {"thresholds": [{"max_connections": 0}]}})
    proxy.engine.client()
    proxy.engine.until(proxy.over)
    assert "host=- tried=- n=0 ready=0 failure=- connect=-" in proxy.line


def test_at_the_limit_of_pending_sessions_a_host_was_chosen_but_not_asked(proxied: NewProxied) -> None:
    proxy = proxied(access_log=[HOST], of_cluster={"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}})
    proxy.engine.client()
    proxy.engine.until(proxy.over)
    assert f"host=- tried=127.0.0.1:{proxy.server.port} n=1 ready=0 failure=- connect=-" in proxy.line


def test_a_session_that_waits_for_a_full_host_says_which(proxied: NewProxied) -> None:
    proxy = proxied(access_log=[HOST], of_cluster={"circuit_breakers": {"per_host_thresholds": [{"max_connections": 1}]}})
    proxy.pair()
    waiting = proxy.engine.client()
    proxy.engine.until(lambda: proxy.cluster("upstream_rq_pending_active") == 1)
    waiting.reset()
    proxy.engine.advance(5)  # a paused connection hears of that a little later
    proxy.engine.until(lambda: proxy.cluster("upstream_rq_pending_active") == 0)
    assert f"host=- tried=127.0.0.1:{proxy.server.port} n=1 ready=- failure=- connect=-" in proxy.line


def test_a_stream_id_is_the_same_in_all_lines_of_a_session_and_another_in_the_next(proxied: NewProxied) -> None:
    proxy = proxied(access_log=[access_log("%STREAM_ID%")], access_log_options=WHEN)
    for _ in range(2):
        client = proxy.engine.client()
        server = proxy.engine.accepted(proxy.server)
        client.finish()
        server.finish()
        proxy.engine.until(lambda: not proxy.engine.live)
    ids = [line.split()[1] for line in proxy.engine.lines]
    assert len(ids) == 6 and len(set(ids[:3])) == len(set(ids[3:])) == 1
    assert ids[0] != ids[3] and len(ids[0]) == 36


def test_the_listeners_own_line_has_the_upstreams_byte_counts(proxied: NewProxied) -> None:
    line = access_log("up=%UPSTREAM_WIRE_BYTES_SENT%/%UPSTREAM_WIRE_BYTES_RECEIVED%")
    proxy = proxied(access_log=[], of_listener={"access_log": [line]})
    client, server = proxy.pair()
    client.send(b"12345")
    proxy.engine.until(lambda: bytes(server.got) == b"12345")
    server.send(b"123")
    proxy.engine.until(lambda: bytes(client.got) == b"123")
    client.finish()
    server.finish()
    proxy.engine.until(proxy.over)
    assert proxy.engine.lines == ["NotSet up=5/3"]
