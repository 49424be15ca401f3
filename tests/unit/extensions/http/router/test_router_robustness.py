"""What router and pools must survive: no sockets, limits, requests that can't be sent, hosts that answer without reading."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from proxy_core.upstream import tcp_pool
from tests.support.engine import TYPE, Engine, address, bootstrap, cluster, listener
from tests.support.http_storm import Client, Storm
from tests.unit.extensions.http.router.router_kit import Routed

HTTP1_TRAILERS = {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": f"{TYPE}upstreams.http.v3.HttpProtocolOptions",
    "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
}}}


def pools_of(engine: Engine) -> Any:
    """Those of cluster "c"."""
    found = engine.clusters.get("c")
    assert found is not None
    return engine.http_pools.of(found)


def test_a_pool_that_was_made_for_a_request_over_the_limit_is_forgotten() -> None:
    limits = {"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}}
    routed = Routed(c={"connection_pool_per_downstream_connection": True, **limits})
    for _ in range(3):
        assert b"reset reason: overflow" in routed.hear(routed.get())
    assert pools_of(routed.engine)._all() == []
    routed.close()


def test_a_pool_whose_host_could_get_no_socket_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(24, "too many open files")

    routed = Routed()
    monkeypatch.setattr(tcp_pool, "new_socket", fail)
    assert b"reset reason: local connection failure" in routed.hear(routed.get())
    assert pools_of(routed.engine)._all() == []
    routed.close()


def test_trailers_of_a_body_that_is_shorter_than_it_was_made_to_say_fail_the_request_only() -> None:
    routed = Routed(
        manager={"http_protocol_options": {"enable_trailers": True}}, c=HTTP1_TRAILERS,
        vhost={"request_headers_to_add": [{"header": {"key": "content-length", "value": "10"}}]},
    )
    client = routed.client(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n")
    assert b"reset reason: local reset" in routed.hear(client)
    routed.close()


def _storm(monkeypatch: pytest.MonkeyPatch, limit: int) -> Storm:
    hcm = {
        "@type": f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web",
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
        ]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPE}filters.http.router.v3.Router"}}],
    }
    one = cluster(address(1), per_connection_buffer_limit_bytes=limit)
    storm = Storm(bootstrap([listener({"name": "hcm", "typed_config": hcm})], [one]), 0)
    monkeypatch.setattr(tcp_pool, "new_socket", lambda *_: storm.add_host(0).near)
    return storm


def test_a_host_that_answers_without_reading_gets_no_more_of_the_next_body_than_its_buffer_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storm = _storm(monkeypatch, 1000)
    client = Client(storm)
    client.peer.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    storm.turn(3)
    host, = storm.hosts
    host.peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    storm.turn(3)
    host.near.room = 0
    client.peer.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4000\r\n\r\n" + b"x" * 4000)
    storm.turn(3)
    host.peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    storm.turn(3)
    assert client.near.sent.count(b"HTTP/1.1 200") == 2 and len(storm.hosts) == 1  # the connection stays
    client.peer.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(25):
        client.peer.send(b"x" * 4000)
        storm.turn(2)
    upstream = next(one for one in storm.engine.live if one.sock is host.near)
    assert upstream.write_buffer.size < 20_000
    host.near.room = None
    storm.turn(60)
    assert host.near.sent.endswith(b"x" * 100_000)
    storm.engine.close()


def test_a_connection_to_a_host_that_is_left_while_it_is_made_closes_after_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    storm = _storm(monkeypatch, 1000)
    monkeypatch.setattr(tcp_pool, "new_socket", lambda *_: storm.add_host(errno.EINPROGRESS).near)
    client = Client(storm)
    client.peer.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    storm.turn(3)
    host, = storm.hosts
    left = storm.engine.clusters.get("c")
    assert left is not None
    left.drain(left.hosts)
    host.near.settle(0)
    storm.turn(3)
    host.peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    storm.turn(3)
    assert client.near.sent.startswith(b"HTTP/1.1 200") and host.near.closed and pools_of(storm.engine)._all() == []
    storm.engine.close()
