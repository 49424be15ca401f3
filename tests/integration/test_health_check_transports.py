"""Health checks through a cluster's transport socket: TLS with its validation and ALPN, the PROXY protocol, and ends of both."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from tests.support.engine import Engine, Json, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Server
from tests.support.tls_end import TlsPeer, data_source, server_context, upstream_socket
from tests.support.watched import check

PING = {"tcp_health_check": {"send": {"text": "50"}, "receive": [{"text": "4f4b"}]}}
CA = {"trusted_ca": data_source("ca.crt")}
PROXY_PROTOCOL = {"name": "p", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
    "transport_socket": {
        "name": "raw",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
    },
}}
NewEngine = Callable[..., Engine]


@pytest.fixture
def engine(backend: Server) -> Iterator[NewEngine]:
    made: List[Engine] = []

    def make(transport_socket: Json, **health_check: Any) -> Engine:
        group = cluster(
            address(backend.port), transport_socket=transport_socket, health_checks=[check(**PING, **health_check)]
        )
        made.append(Engine(bootstrap([listener(network_filter("echo"))], [group])).start())
        return made[-1]
    yield make
    for one in made:
        one.close()
        assert one.errors == []


def flags(engine: Engine) -> str:
    found: str = engine.clusters.get("c").hosts[0].health_flags()  # type: ignore[union-attr]
    return found


def secured(engine: Engine, backend: Server, **fields: Any) -> TlsPeer:
    peer = TlsPeer(engine.accepted(backend), server_context(**fields), server_side=True)
    engine.peers[-1] = peer
    return peer


def test_a_probe_speaks_tls_as_the_traffic_does_and_keeps_its_connection(engine: NewEngine, backend: Server) -> None:
    running = engine(upstream_socket(CA, sni="server.test"))
    peer = secured(running, backend)
    for count in (1, 2, 3):
        running.until(lambda: peer.tls.got)
        assert peer.tls.got == b"P"
        peer.tls.got.clear()
        peer.say(b"OK")
        running.until(lambda: running.value("cluster.c.health_check.success") == count)
        running.advance(1)
    assert flags(running) == "healthy" and backend.try_accept() is None
    assert running.value("cluster.c.ssl.handshake") == 1


def test_a_host_whose_certificate_nobody_vouches_for_has_failed(engine: NewEngine, backend: Server) -> None:
    running = engine(upstream_socket({"trusted_ca": data_source("other_ca.crt")}, sni="server.test"))
    secured(running, backend)
    running.until(lambda: running.value("cluster.c.health_check.network_failure") == 1)
    assert flags(running) == "/failed_active_hc"


def test_a_handshake_that_never_ends_is_a_timeout(engine: NewEngine, backend: Server) -> None:
    running = engine(upstream_socket(CA))
    silent = running.accepted(backend)
    running.until(lambda: silent.got)
    running.advance(0.5)
    running.until(lambda: silent.over)
    assert flags(running) == "/failed_active_hc/active_hc_timeout"


def test_checks_may_offer_protocols_of_their_own(engine: NewEngine, backend: Server) -> None:
    running = engine(upstream_socket(CA), tls_options={"alpn_protocols": ["health/1"]})
    peer = secured(running, backend, alpn=["health/1"])
    running.until(lambda: peer.tls.got)
    assert peer.tls.session.selected_alpn_protocol() == "health/1"


def test_a_probe_names_its_own_ends_in_a_proxy_header(engine: NewEngine, backend: Server) -> None:
    running = engine(PROXY_PROTOCOL)
    peer = running.accepted(backend)
    running.until(lambda: peer.got.endswith(b"P"))
    source = peer.sock.getpeername()[1]
    assert peer.got == f"PROXY TCP4 127.0.0.1 127.0.0.1 {source} {backend.port}\r\nP".encode()


def test_a_check_may_choose_its_own_transport_socket(backend: Server) -> None:
    matches = [{"name": "checks", "match": {"for": "checks"}, "transport_socket": PROXY_PROTOCOL}]
    asked = check(**PING, transport_socket_match_criteria={"for": "checks"}, reuse_connection=False)
    group = cluster(address(backend.port), transport_socket_matches=matches, health_checks=[asked])
    running = Engine(bootstrap([listener(network_filter("tcp_proxy", stat_prefix="t", cluster="c"))], [group])).start()
    for count in (1, 2):
        probe = running.accepted(backend)
        running.until(lambda: probe.got.endswith(b"P"))
        assert probe.got.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
        probe.send(b"OK")
        running.until(lambda: running.value("cluster.c.health_check.success") == count)
        assert running.value("cluster.c.checks.total_match_count") == count  # once for each connection, as in Envoy
        if count == 1:
            running.advance(1)
    client = running.client()
    traffic = running.accepted(backend)
    client.send(b"hello")
    running.until(lambda: traffic.got == b"hello")  # the host itself has no such label
    running.close()
    assert running.errors == []
