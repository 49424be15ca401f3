"""Upstream connections beyond the simple case: several addresses of a host, its transport socket, its own limit."""

from __future__ import annotations

import contextlib
import json
import random
import socket
from typing import Any, Callable, Dict, Iterator, List

import pytest

from proxy_core.config.load import decode_bootstrap
from proxy_core.errors import ConfigError
from proxy_core.network.address import Address
from proxy_core.network.happy_eyeballs import NEXT_ATTEMPT, interleaved
from proxy_core.server.extensions import Extensions
from proxy_core.upstream.discovery.factory import Discoveries
from proxy_core.upstream.resolver import Resolver
from tests.support.discovered import Held, Names
from tests.support.engine import Engine, address, bootstrap, cluster, listener, network_filter, pipe
from tests.support.peers import RefusedPort, Server

Json = Dict[str, Any]
RAW = {"name": "raw", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}
HEADER = {"name": "header", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
    "config": {"version": "V1"}, "transport_socket": RAW}}


def endpoints(*members: Json, **fields: Any) -> Json:
    return {**cluster(**fields), "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": list(members)}]}}


def endpoint(first: Json, *more: Json, **labels: Any) -> Json:
    return {
        "endpoint": {"address": first, "additional_addresses": [{"address": one} for one in more]},
        "metadata": {"filter_metadata": {"envoy.transport_socket_match": labels}},
    }


@pytest.fixture
def run() -> Iterator[Callable[..., Engine]]:
    with contextlib.ExitStack() as stack:
        def make(configured: Json) -> Engine:
            proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c")
            engine = Engine(bootstrap([listener(proxy)], [configured])).start()
            stack.callback(engine.close)
            return engine
        yield make


def counts(engine: Engine) -> List[int]:
    names = ("total", "active", "connect_fail", "connect_timeout", "destroy")
    return [engine.value(f"cluster.c.upstream_cx_{name}") for name in names]


def watched(engine: Engine) -> int:
    return engine.reactor.watched


def test_addresses_are_interleaved_by_family_beginning_with_the_wanted_one() -> None:
    v4 = [Address.from_ip("10.0.0.1", port) for port in (1, 2, 3)]
    v6 = [Address.from_ip("::1", port) for port in (4, 5)]
    assert interleaved([*v4, *v6]) == [v4[0], v6[0], v4[1], v6[1], v4[2]]
    assert interleaved([*v4, *v6], socket.AF_INET6) == [v6[0], v4[0], v6[1], v4[1], v4[2]]
    assert interleaved([*v4, *v6], None, 2) == [*v4[:2], v6[0], v4[2], v6[1]]
    assert interleaved(v4, socket.AF_INET6) == v4


def test_a_refused_address_is_followed_by_the_next_at_once(
    run: Callable[..., Engine], server: Server, refused: RefusedPort
) -> None:
    engine = run(endpoints(endpoint(address(refused.port), address(server.port))))
    client = engine.client()
    far = engine.accepted(server)
    far.send(b"hello")
    engine.until(lambda: client.got == b"hello")
    assert counts(engine) == [2, 1, 0, 0, 0]
    upstream = engine.live[-1]
    assert upstream.remote_address is not None and upstream.remote_address.port == server.port


def test_a_silent_address_is_given_300_ms_and_its_socket_is_closed_when_another_wins(
    run: Callable[..., Engine], server: Server, silent: Server
) -> None:
    engine = run(endpoints(endpoint(address(silent.port), address(server.port))))
    client = engine.client()
    engine.until(lambda: engine.value("cluster.c.upstream_cx_total"))
    engine.advance(NEXT_ATTEMPT - 0.01)
    assert counts(engine) == [1, 1, 0, 0, 0]
    engine.advance(0.02)
    engine.accepted(server).send(b"hello")
    engine.until(lambda: client.got == b"hello")
    assert counts(engine) == [2, 1, 0, 0, 0]
    assert watched(engine) == 3  # listener, client and the winner


def test_when_all_addresses_refuse_the_connection_has_failed_once(run: Callable[..., Engine], refused: RefusedPort) -> None:
    engine = run(endpoints(endpoint(address(refused.port), address(refused.port), pipe("/nowhere/at/all"))))
    client = engine.client()
    engine.until(lambda: client.over)
    assert counts(engine) == [3, 0, 1, 0, 1]
    assert watched(engine) == 1


@pytest.mark.parametrize("silent_first", [True, False])
def test_the_connect_timeout_covers_all_addresses_and_closes_every_attempt(
    run: Callable[..., Engine], silent: Server, refused: RefusedPort, silent_first: bool
) -> None:
    both = [address(silent.port), address(refused.port)]
    engine = run(endpoints(endpoint(*(both if silent_first else reversed(both))), connect_timeout="1s"))
    client = engine.client()
    engine.until(lambda: engine.value("cluster.c.upstream_cx_total"))
    engine.advance(0.5)
    engine.advance(0.6)
    engine.until(lambda: client.over)
    assert counts(engine) == [2, 0, 1, 1, 1]
    assert watched(engine) == 1


def test_a_client_that_leaves_ends_all_attempts(run: Callable[..., Engine], silent: Server) -> None:
    engine = run(endpoints(endpoint(address(silent.port), address(silent.port))))
    client = engine.client()
    engine.until(lambda: engine.value("cluster.c.upstream_cx_total"))
    engine.advance(NEXT_ATTEMPT + 0.01)
    assert counts(engine)[0] == 2
    client.reset()
    engine.until(lambda: not engine.live)
    assert watched(engine) == 1
    assert engine.value("cluster.c.upstream_rq_cancelled") == 1
    engine.advance(10)
    assert counts(engine) == [2, 0, 0, 0, 1]


def test_a_logical_host_is_reached_at_whichever_of_its_addresses_answers(server: Server) -> None:
    names, background = Names(), Held()
    names.known["db.test"] = ["127.0.0.3", "127.0.0.1"]  # the server listens on the second only
    host = {"endpoint": {"address": address(server.port, "db.test")}}
    group = endpoints(host, type="LOGICAL_DNS", dns_lookup_family="V4_ONLY", dns_refresh_rate="5s")
    engine = Engine(
        bootstrap([listener(network_filter("tcp_proxy", stat_prefix="t", cluster="c"))], [group]),
        discoveries=lambda reactor: Discoveries(reactor, Resolver(background, names), random.Random(1)),
    ).start()
    with contextlib.closing(engine):
        background.finish()
        client, far = engine.client(), engine.accepted(server)
        far.send(b"hello")
        engine.until(lambda: client.got == b"hello")
        assert counts(engine) == [2, 1, 0, 0, 0]  # one attempt for each address, one connection
        names.known["db.test"] = ["127.0.0.1", "127.0.0.3"]
        engine.advance(5)
        background.finish()
        engine.client()
        engine.accepted(server)
        assert counts(engine)[:2] == [3, 2]


def test_the_first_transport_match_that_fits_the_host_counts(run: Callable[..., Engine], server: Server) -> None:
    matches = [
        {"name": "no", "match": {"tier": "a", "more": 1}, "transport_socket": RAW},
        {"name": "bool", "match": {"tier": "a", "on": 1}, "transport_socket": RAW},
        {"name": "yes", "match": {"tier": "a", "on": True}, "transport_socket": HEADER},
    ]
    member = endpoint(address(server.port), tier="a", on=True)
    engine = run(endpoints(member, endpoint(address(1), tier="b"), transport_socket_matches=matches))
    found = [engine.value(f"cluster.c.{name}.total_match_count") for name in ("no", "bool", "yes", "default")]
    assert found == [0, 0, 1, 1]


def test_connections_have_the_transport_of_their_host(run: Callable[..., Engine], server: Server) -> None:
    matches = [{"name": "header", "match": {"tier": "a"}, "transport_socket": HEADER}]
    engine = run(endpoints(endpoint(address(server.port), tier="a"), transport_socket_matches=matches))
    engine.client()
    far = engine.accepted(server)
    engine.until(lambda: far.got.startswith(b"PROXY TCP4 127.0.0.1 "))


def test_a_host_with_as_many_connections_as_it_may_have_makes_others_wait(run: Callable[..., Engine], server: Server) -> None:
    limits = {"per_host_thresholds": [{"max_connections": 1}]}
    engine = run(endpoints(endpoint(address(server.port)), circuit_breakers=limits))
    clients = [engine.client()]
    first = engine.accepted(server)
    for _ in range(2):
        clients.append(engine.client())
    engine.until(lambda: engine.value("cluster.c.upstream_rq_pending_active") == 2)
    assert engine.value("cluster.c.upstream_cx_overflow") == 2
    assert counts(engine)[0] == 1
    clients[1].reset()
    engine.advance(5)  # a paused connection hears of that a little later
    engine.until(lambda: engine.value("cluster.c.upstream_rq_pending_active") == 1)
    assert engine.value("cluster.c.upstream_rq_cancelled") == 1
    first.finish()
    clients[0].finish()
    engine.accepted(server).send(b"your turn")
    engine.until(lambda: clients[2].got == b"your turn")
    assert counts(engine)[:2] == [2, 1]
    assert engine.value("cluster.c.upstream_rq_pending_active") == 0
    assert engine.value("cluster.c.upstream_rq_pending_total") == 3


def test_a_limit_of_0_per_host_lets_one_connection_be(run: Callable[..., Engine], server: Server) -> None:
    limits = {"per_host_thresholds": [{"max_connections": 0}]}
    engine = run(endpoints(endpoint(address(server.port)), circuit_breakers=limits))
    engine.client()
    engine.accepted(server)
    assert engine.value("cluster.c.upstream_cx_overflow") == 1


def test_a_limit_per_host_for_high_priority_does_not_count(run: Callable[..., Engine], server: Server) -> None:
    limits = {"per_host_thresholds": [{"max_connections": 1, "priority": "HIGH"}]}
    engine = run(endpoints(endpoint(address(server.port)), circuit_breakers=limits))
    for _ in range(2):
        engine.client()
        engine.accepted(server)
    assert engine.value("cluster.c.upstream_cx_overflow") == 0


@pytest.mark.parametrize("fields, path, text", [
    ({"circuit_breakers": {"per_host_thresholds": [{"max_requests": 1}]}},
     "circuit_breakers.per_host_thresholds[0].max_requests", "Unsupported field in per_host_thresholds"),
    ({"transport_socket_matches": [{"name": "", "transport_socket": RAW}]}, "transport_socket_matches[0].name", ""),
    ({"transport_socket_matches": [{"name": "a"}]}, "transport_socket_matches[0].transport_socket", ""),
])
def test_what_can_not_be_done_is_refused_where_it_stands(fields: Json, path: str, text: str) -> None:
    extensions = Extensions()
    with pytest.raises(ConfigError) as caught:
        decode_bootstrap(
            json.loads(json.dumps(bootstrap([], [cluster(address(1), **fields)]))), extensions.types(), False,
            extensions.is_terminal,
        )
    assert [one.path for one in caught.value.problems] == [f"static_resources.clusters[0].{path}"]
    assert text in caught.value.problems[0].message
