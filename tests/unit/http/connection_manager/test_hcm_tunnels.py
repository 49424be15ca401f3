"""Upgrades and CONNECT: what is let through, and that bytes go both ways."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from proxy_core.buffer import Buffer
from tests.unit.http.connection_manager.hcm_kit import HOST, Hcm, empty, get

ASK = get("/up", "Connection: Upgrade", "Upgrade: WebSocket")
ALLOWED = {"upgrade_configs": [{"upgrade_type": "websocket"}]}


def routes(action: Dict[str, Any]) -> Dict[str, Any]:
    """One route to a cluster, with these fields besides."""
    return {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "route": {"cluster": "c", **action}},
    ]}]}


def opened(config: Dict[str, Any], **settings: Any) -> Hcm:
    """A manager with a tunnel that was granted."""
    hcm = Hcm(config, direct=False, **settings)
    hcm.send(ASK)
    hcm.last.answer(101, end=False, connection="Upgrade", upgrade="websocket")
    assert hcm.got().startswith(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n")
    return hcm


@pytest.mark.parametrize("manager, route, allowed", [
    ({}, {}, False),
    (ALLOWED, {}, True),
    ({"upgrade_configs": [{"upgrade_type": "WEBSOCKET", "enabled": False}]}, {}, False),
    (ALLOWED, {"upgrade_configs": [{"upgrade_type": "websocket", "enabled": False}]}, False),
    ({}, {"upgrade_configs": [{"upgrade_type": "websocket"}]}, True),
    ({"upgrade_configs": [{"upgrade_type": "other"}]}, {}, False),
])
def test_an_upgrade_is_let_through_if_the_route_or_else_the_manager_allows_it(
    manager: Dict[str, Any], route: Dict[str, Any], allowed: bool
) -> None:
    hcm = Hcm({**manager, "route_config": routes(route)}, direct=False)
    answer = hcm.send(ASK)
    assert bool(hcm.seen) is allowed
    assert answer == (b"" if allowed else empty("403 Forbidden", "connection: close"))
    assert hcm.stat("downstream_rq_ws_on_non_ws_route") == int(not allowed)
    assert hcm.stat("downstream_cx_upgrades_active") == int(allowed)
    if allowed:
        assert hcm.last.decoder.request.headers.get("upgrade") == "WebSocket"
        assert hcm.last.decoder.request.headers.get("connection") == "Upgrade"


def test_bytes_go_both_ways_until_the_client_ends_its_side() -> None:
    hcm = opened(ALLOWED)
    hcm.send(b"from the client")
    hcm.last.decoder.encode_data(Buffer(b"from the upstream"), False)
    assert hcm.got() == b"from the upstream" and hcm.last.body == b"from the client"
    hcm.rig.peer.finish()
    hcm.rig.turn(2)
    assert hcm.rig.closed and hcm.last.destroyed
    assert hcm.lines == ["GET /up 101 DC downstream_remote_disconnect 15 17 0 DownstreamEnd"]
    assert hcm.stat("downstream_cx_destroy_remote_active_rq") == 1
    assert hcm.stat("downstream_cx_upgrades_active") == 0 and hcm.stat("downstream_cx_upgrades_total") == 1


def test_an_upstream_that_ends_ends_the_tunnel_after_its_last_bytes() -> None:
    hcm = opened(ALLOWED)
    hcm.last.decoder.encode_data(Buffer(b"bye"), True)
    assert hcm.got() == b"bye" and not hcm.rig.peer.ended and hcm.last.destroyed
    hcm.advance(1.1)  # as after any answer to a request that is not complete
    assert hcm.rig.peer.ended and hcm.stat("downstream_cx_delayed_close_timeout") == 1
    assert hcm.lines == ["GET /up 101 - via_upstream 0 3 0 DownstreamEnd"]


def test_what_the_client_sends_before_the_upgrade_is_granted_is_handed_on_and_can_be_held() -> None:
    hcm = Hcm(ALLOWED, direct=False)
    hcm.send(ASK + b"early")
    assert hcm.last.body == b"early"
    hcm.last.decoder.pause_sender("no answer yet")
    hcm.send(b"later")
    assert hcm.last.body == b"early"
    hcm.last.answer(101, end=False, connection="Upgrade", upgrade="websocket")
    hcm.last.decoder.resume_sender("no answer yet")
    hcm.rig.turn(3)
    assert hcm.last.body == b"earlylater"


def test_a_slow_client_of_a_tunnel_slows_the_upstream() -> None:
    hcm = opened(ALLOWED, buffer_limit=1000)
    upstream = hcm.last
    upstream.decoder.add_downstream_watermark_callbacks(upstream)
    hcm.rig.peer.block()
    upstream.decoder.encode_data(Buffer(bytes(1500)), False)
    hcm.rig.turn(2)
    assert upstream.pressure == ["high"]
    hcm.rig.peer.unblock()
    hcm.rig.turn(2)
    assert upstream.pressure == ["high", "low"]


def test_a_tunnel_that_was_refused_closes_the_connection_after_the_answer() -> None:
    hcm = Hcm(ALLOWED, direct=False)
    hcm.send(ASK)
    hcm.last.answer(200, b"no", content_length="2")
    answer = hcm.got()
    assert b"connection: close" in answer and answer.endswith(b"no") and not hcm.connection.is_open


def test_the_stream_idle_timeout_ends_a_tunnel_on_which_nothing_moves() -> None:
    hcm = opened({**ALLOWED, "stream_idle_timeout": "5s"})
    hcm.advance(4.0)
    hcm.send(b"x")
    hcm.advance(4.0)
    assert hcm.connection.is_open
    hcm.advance(2.0)
    assert not hcm.connection.is_open and hcm.lines[0].startswith("GET /up 101 SI")


def test_a_tunnel_logs_when_it_is_granted_where_the_configuration_says_so() -> None:
    hcm = opened({**ALLOWED, "access_log_options": {"flush_log_on_tunnel_successfully_established": True}})
    assert [line.rsplit(" ", 1)[1] for line in hcm.lines] == ["DownstreamTunnelSuccessfullyEstablished"]


def test_connect_becomes_a_tunnel_with_a_2xx() -> None:
    table = {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
        {"match": {"connect_matcher": {}}, "route": {"cluster": "c", "upgrade_configs": [
            {"upgrade_type": "CONNECT", "connect_config": {}},
        ]}},
    ]}]}
    hcm = Hcm({"route_config": table}, direct=False)
    hcm.send(b"CONNECT a:1 HTTP/1.1\r\n" + HOST)
    hcm.last.answer(200, end=False)
    assert hcm.got() == b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nserver: envoy\r\n\r\n"
    hcm.send(b"raw bytes")
    assert hcm.last.body == b"raw bytes"
