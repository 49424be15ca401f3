"""Connections that are made before a client needs them. The numbers are those that Envoy 1.40 had for the same clients."""

from __future__ import annotations

import random
from typing import Any, Dict, Iterator, List

import pytest

from proxy_core.network.connection import Connection
from proxy_core.upstream.discovery.members import Change
from proxy_core.upstream.ready_connection import ReadyConnection
from proxy_core.upstream.ready_pool import DEFAULT_IDLE_TIMEOUT, ReadyPool
from proxy_core.upstream.unclaimed import MOST_KEPT
from tests.support.engine import Json, access_log
from tests.support.peers import Peer, RefusedPort, Server
from tests.support.proxied import NewProxied, Proxied

TWICE = {"per_upstream_preconnect_ratio": 2}
OPTIONS = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions"
RAW = {"name": "raw", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}
HEADER = {"name": "header", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
    "config": {"version": "V1"}, "transport_socket": RAW}}


@pytest.fixture
def servers() -> Iterator[List[Server]]:
    """Three."""
    made = [Server() for _ in range(3)]
    yield made
    for one in made:
        one.close()


def with_policy(policy: Json = TWICE, **fields: Any) -> Dict[str, Any]:
    return {"of_cluster": {"preconnect_policy": policy, **fields}}


def idle_for(text: str) -> Json:
    message = {"@type": f"type.googleapis.com/{OPTIONS}", "idle_timeout": text}
    return {"typed_extension_protocol_options": {OPTIONS: message}}


def counts(proxy: Proxied) -> List[int]:
    """Connections made, open, and with a client."""
    return [proxy.cluster(name) for name in ("upstream_cx_total", "upstream_cx_active", "upstream_rq_active")]


def served(proxy: Proxied, count: int = 1) -> List[Peer]:
    """So many clients more, one after the other."""
    clients = []
    for _ in range(count):
        before = proxy.cluster("upstream_rq_total")
        clients.append(proxy.engine.client())
        proxy.engine.until(lambda: proxy.cluster("upstream_rq_total") > before)
    return clients


def far_ends(proxy: Proxied, count: int) -> List[Peer]:
    """The servers' ends of the next connections."""
    return [proxy.engine.accepted(proxy.server) for _ in range(count)]


def ready(proxy: Proxied) -> List[Connection]:
    """The connections that nobody has."""
    found = []
    for connection in proxy.engine.live:
        for one in connection.callbacks:
            if isinstance(one, ReadyConnection) and not one.in_use:
                found.append(connection)
    return found


@pytest.mark.parametrize("ratio, envoy", [(1.5, [2, 3, 5, 6]), (2, [2, 4, 6, 8]), (3, [3, 6, 9, 12])])
def test_a_host_has_as_many_connections_for_each_client_as_the_ratio_says(
    proxied: NewProxied, ratio: float, envoy: List[int]
) -> None:
    proxy = proxied(**with_policy({"per_upstream_preconnect_ratio": ratio}))
    found = []
    for number in range(1, 5):
        served(proxy)
        found.append(proxy.cluster("upstream_cx_total"))
        assert counts(proxy)[1:] == [found[-1], number]
    assert found == envoy
    assert proxy.cluster("upstream_rq_pending_total") == 1  # the others found a connection ready


@pytest.mark.parametrize("ratio, hosts, policy, envoy", [
    (2, 1, "ROUND_ROBIN", [1, 2, 3, 4]), (2, 2, "ROUND_ROBIN", [2, 3, 4, 5]), (2, 3, "ROUND_ROBIN", [3, 4, 6, 7]),
    (1.5, 3, "ROUND_ROBIN", [3, 3, 5, 6]), (3, 3, "LEAST_REQUEST", [1, 2, 3, 4]),
])
def test_the_predictive_ratio_is_about_the_hosts_whose_turn_is_next(
    proxied: NewProxied, servers: List[Server], ratio: float, hosts: int, policy: str, envoy: List[int]
) -> None:
    ports = [one.port for one in servers[:hosts]]
    proxy = proxied(ports=ports, **with_policy({"predictive_preconnect_ratio": ratio}, lb_policy=policy))
    found = []
    for _ in range(4):
        served(proxy)
        found.append(proxy.cluster("upstream_cx_total"))
    assert found == envoy


def test_both_ratios_together(proxied: NewProxied, servers: List[Server]) -> None:
    policy = {"predictive_preconnect_ratio": 2, **TWICE}
    proxy = proxied(ports=[one.port for one in servers], **with_policy(policy))
    found = []
    for _ in range(4):
        served(proxy)
        found.append(proxy.cluster("upstream_cx_total"))
    assert found == [4, 5, 7, 9]


def test_clients_get_the_connection_that_came_up_last_with_what_the_server_has_said_on_it(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy({"per_upstream_preconnect_ratio": 3}))
    first, = served(proxy)
    ends = far_ends(proxy, 3)
    for number, end in enumerate(ends):
        end.send(b"hello, I am %d" % number)
    proxy.engine.until(lambda: first.got and all(one.read_buffer.size for one in ready(proxy)))
    assert first.got == b"hello, I am 0"
    second, = served(proxy)
    proxy.engine.until(lambda: second.got)
    assert second.got == b"hello, I am 2"
    second.send(b"good day")
    ends[2].send(b", at your service")
    proxy.engine.until(lambda: ends[2].got and len(second.got) > 13)
    assert second.got == b"hello, I am 2, at your service" and ends[2].got == b"good day"
    second.finish()
    proxy.engine.until(lambda: ends[2].ended)
    ends[2].finish()
    proxy.engine.until(lambda: second.ended)


def test_a_server_that_says_more_than_a_greeting_is_not_read_on_until_a_client_wants_it(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy())
    served(proxy)
    _, spare = far_ends(proxy, 2)
    text = bytes(range(256)) * 4096
    spare.send(text)
    proxy.engine.until(lambda: any(one.pauses for one in ready(proxy)))
    waiting, = ready(proxy)
    for _ in range(20):
        proxy.engine.turn()
    assert MOST_KEPT <= waiting.read_buffer.size < len(text) // 4
    assert proxy.engine.stalls == []
    client, = served(proxy)
    spare.finish()
    proxy.engine.until(lambda: client.ended)
    assert client.got == text


@pytest.mark.parametrize("greeting", [b"", b"hello, you are late"])
@pytest.mark.parametrize("how", ["finish", "reset"])
def test_a_connection_that_the_server_ends_is_given_to_nobody(proxied: NewProxied, greeting: bytes, how: str) -> None:
    proxy = proxied(**with_policy())
    served(proxy)
    _, spare = far_ends(proxy, 2)
    if greeting:
        spare.send(greeting)
        proxy.engine.until(lambda: ready(proxy)[0].read_buffer.size)
    getattr(spare, how)()
    proxy.engine.until(lambda: not ready(proxy))
    assert counts(proxy) == [2, 1, 1]
    assert proxy.cluster("upstream_cx_destroy_remote") == 1
    assert proxy.cluster("upstream_cx_connect_fail") == proxy.cluster("upstream_cx_destroy_with_active_rq") == 0
    client, = served(proxy)
    assert client.got == b""
    assert counts(proxy) == [5, 4, 2]


def test_a_host_that_stops_listening_is_not_asked_again_and_again(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy())
    served(proxy)
    far_ends(proxy, 2)
    proxy.server.close()
    served(proxy)  # gets the one that is ready
    proxy.engine.until(lambda: proxy.cluster("upstream_cx_connect_fail") == 2)
    for _ in range(50):
        proxy.engine.advance(1)
    assert counts(proxy) == [4, 2, 2]
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=UF,URX" in proxy.line
    assert proxy.cluster("upstream_rq_pending_failure_eject") == 1


def test_all_who_wait_hear_that_the_host_can_not_be_reached_and_may_go_elsewhere(
    proxied: NewProxied, servers: List[Server], refused: RefusedPort
) -> None:
    proxy = proxied(ports=[refused.port, servers[0].port], max_connect_attempts=2, **with_policy())
    served(proxy, 4)
    assert proxy.tcp("downstream_cx_total") == proxy.cluster("upstream_rq_total") == 4
    assert proxy.cluster("upstream_cx_connect_attempts_exceeded") == 0


@pytest.mark.parametrize("options, seconds", [({}, DEFAULT_IDLE_TIMEOUT), (idle_for("5s"), 5.0)])
def test_a_connection_that_nobody_wants_is_closed_in_the_end(proxied: NewProxied, options: Json, seconds: float) -> None:
    proxy = proxied(**with_policy(**options))
    served(proxy)
    proxy.engine.advance(seconds - 0.1)
    assert counts(proxy) == [2, 2, 1]
    proxy.engine.advance(0.2)
    assert counts(proxy) == [2, 1, 1]
    assert proxy.cluster("upstream_cx_idle_timeout") == proxy.cluster("upstream_cx_destroy_local") == 1


def test_the_time_that_a_connection_waited_does_not_count_when_a_client_has_it(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="100s", **with_policy(**idle_for("5s")))
    served(proxy)
    _, spare = far_ends(proxy, 2)
    proxy.engine.advance(4.9)
    client, = served(proxy)
    proxy.engine.advance(50)
    spare.send(b"still here")
    proxy.engine.until(lambda: client.got == b"still here")


def test_an_idle_timeout_of_0_is_none(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="0s", **with_policy(**idle_for("0s")))
    served(proxy)
    proxy.engine.advance(100_000)
    assert counts(proxy) == [2, 2, 1]


def test_a_client_that_leaves_gives_up_what_nobody_else_needs(proxied: NewProxied, silent: Server) -> None:
    proxy = proxied(ports=[silent.port], **with_policy(connect_timeout="60s"))
    clients = [proxy.engine.client() for _ in range(2)]
    proxy.engine.until(lambda: proxy.cluster("upstream_rq_pending_active") == 2)
    assert counts(proxy) == [4, 4, 0]
    clients[0].reset()
    proxy.engine.advance(5)  # a paused connection hears of that a little later
    proxy.engine.until(lambda: proxy.cluster("upstream_rq_cancelled") == 1)
    assert counts(proxy) == [4, 3, 0]
    proxy.engine.advance(60)
    proxy.engine.until(lambda: not proxy.engine.live)
    assert proxy.cluster("upstream_cx_connect_timeout") == 3
    assert proxy.cluster("upstream_rq_pending_failure_eject") == 1


def test_connections_that_nobody_has_take_no_place_away_from_clients(proxied: NewProxied) -> None:
    limit = {"circuit_breakers": {"thresholds": [{"max_connections": 3}]}}
    proxy = proxied(**with_policy(**limit))
    served(proxy, 3)  # Envoy refuses the third, although the third connection is nobody's
    assert counts(proxy) == [3, 3, 3]
    refused = proxy.engine.client()
    proxy.engine.until(lambda: refused.over)
    assert "flags=UO" in proxy.line


def test_a_connection_to_another_host_that_nobody_has_makes_room(proxied: NewProxied, servers: List[Server]) -> None:
    limit = {"circuit_breakers": {"thresholds": [{"max_connections": 2}]}}
    proxy = proxied(ports=[one.port for one in servers[:2]], **with_policy(**limit))
    served(proxy)  # both connections are to one host now
    assert counts(proxy) == [2, 2, 1]
    served(proxy)  # and this is the turn of the other
    assert counts(proxy) == [3, 2, 2]
    assert [host.counters.cx_active for host in proxy.engine.clusters.get("c").hosts] == [1, 1]  # type: ignore[union-attr]


def test_a_full_queue_refuses_but_not_who_finds_a_connection(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy())
    served(proxy)
    proxy.engine.clusters.get("c").breakers.pending_requests.limit = 0  # type: ignore[union-attr]
    served(proxy)
    assert proxy.cluster("upstream_rq_pending_overflow") == 0


def test_the_limit_of_a_host_holds_and_who_waits_comes_next(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy(circuit_breakers={"per_host_thresholds": [{"max_connections": 2}]}))
    first, _ = served(proxy, 2)
    waiting = proxy.engine.client()
    proxy.engine.until(lambda: proxy.cluster("upstream_rq_pending_active") == 1)
    assert counts(proxy) == [2, 2, 2]
    first.reset()
    far = far_ends(proxy, 3)[-1]
    far.send(b"your turn")
    proxy.engine.until(lambda: waiting.got == b"your turn")
    assert counts(proxy) == [3, 2, 2]


def test_a_host_that_leaves_or_is_ill_keeps_only_the_connections_that_clients_have(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy())
    client, = served(proxy)
    end = far_ends(proxy, 2)[0]
    cluster = proxy.engine.clusters.get("c")
    assert cluster is not None
    host = cluster.hosts[0]
    host.health = "UNHEALTHY"
    cluster.drain([host])
    cluster.refresh()
    assert counts(proxy) == [2, 1, 1] and proxy.cluster("upstream_cx_destroy_local") == 1
    served(proxy)  # in a panic
    assert counts(proxy) == [3, 2, 2]  # nothing is made in advance for it
    host.health = "HEALTHY"
    cluster.refresh()
    served(proxy)
    assert counts(proxy) == [6, 5, 3]
    cluster.update_hosts([])
    cluster.drain([host])
    assert counts(proxy) == [6, 3, 3]
    end.send(b"goes on")
    proxy.engine.until(lambda: client.got == b"goes on")


def test_an_ejected_host_keeps_only_the_connections_that_clients_have(proxied: NewProxied) -> None:
    eject = {"split_external_local_origin_errors": True, "consecutive_local_origin_failure": 1, "max_ejection_percent": 100}
    proxy = proxied(**with_policy(outlier_detection=eject))
    served(proxy)
    host = proxy.engine.clusters.get("c").hosts[0]  # type: ignore[union-attr]
    assert host.outlier is not None and counts(proxy) == [2, 2, 1]
    host.outlier.put_connect_failed(False)
    assert not host.is_healthy and counts(proxy) == [2, 1, 1]


def test_nothing_is_kept_for_hosts_without_connections(proxied: NewProxied, refused: RefusedPort) -> None:
    proxy = proxied(ports=[refused.port], **with_policy({"predictive_preconnect_ratio": 2, **TWICE}))
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over and not proxy.engine.live)
    pool, = proxy.engine.clusters.get("c").pools  # type: ignore[union-attr]
    assert isinstance(pool, ReadyPool) and pool._pools == {}


@pytest.mark.parametrize("fields, left", [({}, 1), ({"common_lb_config": {"close_connections_on_host_set_change": True}}, 0)])
def test_an_update_without_a_host_closes_what_nobody_has_there(
    proxied: NewProxied, servers: List[Server], fields: Json, left: int
) -> None:
    proxy = proxied(ports=[one.port for one in servers[:2]], **with_policy(**fields))
    served(proxy, 2)
    assert counts(proxy) == [4, 4, 2]
    cluster = proxy.engine.clusters.get("c")
    assert cluster is not None
    stays, goes = cluster.hosts
    cluster.apply(Change([stays], [], [goes], {0}, []))
    assert counts(proxy) == [4, 2 + left, 2]
    assert all(connection.remote_address == stays.address for connection in ready(proxy))


def test_a_new_version_of_the_cluster_leaves_nothing_open_for_the_old_one(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy())
    served(proxy)
    cluster = proxy.engine.clusters.get("c")
    assert cluster is not None
    proxy.engine.clusters.commit(proxy.engine.clusters.prepare(cluster.config, ""))
    assert proxy.engine.clusters.get("c") is not cluster
    assert ready(proxy) == [] and cluster.breakers.connections.used == 1
    served(proxy)
    assert cluster.breakers.connections.used == 1 and counts(proxy)[1:] == [3, 2]


def test_a_connection_that_begins_by_naming_its_client_is_made_for_that_client(proxied: NewProxied) -> None:
    proxy = proxied(**with_policy(transport_socket=HEADER))
    served(proxy, 2)
    assert counts(proxy) == [2, 2, 2]
    ends = far_ends(proxy, 2)
    proxy.engine.until(lambda: all(end.got.endswith(b"\r\n") for end in ends))
    assert len({bytes(end.got) for end in ends}) == 2


def test_logs_tell_of_a_connection_that_was_there_before_as_of_any_other(proxied: NewProxied) -> None:
    facts = "%UPSTREAM_HOST% %UPSTREAM_CONNECTION_ID% %UPSTREAM_REMOTE_ADDRESS% rx=%BYTES_RECEIVED% tx=%BYTES_SENT%"
    proxy = proxied(access_log=[access_log(facts)], **with_policy())
    served(proxy)
    spare, = ready(proxy)
    assert spare.info.listener_name == "" and spare.info.upstream is not None and spare.info.upstream.cluster_raw == "c"
    client, = served(proxy)
    downstream = max((one for one in proxy.engine.live if one.info.connection_id == one.id), key=lambda one: one.id)
    assert spare.info is downstream.info
    end = far_ends(proxy, 2)[1]
    client.send(b"question")
    proxy.engine.until(lambda: end.got == b"question")
    end.send(b"an answer")
    end.finish()
    proxy.engine.until(lambda: client.ended)
    client.finish()
    proxy.engine.until(lambda: proxy.engine.lines)
    where = f"127.0.0.1:{proxy.server.port}"
    assert proxy.line == f"TcpConnectionEnd {where} {spare.id} {where} rx=8 tx=9"


def test_a_failure_to_make_a_socket_is_the_clients_and_no_connection(
    proxied: NewProxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = proxied(**with_policy())

    def no_socket(*_: Any) -> None:
        raise OSError(24, "Too many open files")
    monkeypatch.setattr("proxy_core.upstream.tcp_pool.new_socket", no_socket)
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=URX" in proxy.line and "Too_many_open_files" in proxy.line
    assert counts(proxy) == [0, 0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_nothing_stays_counted(proxied: NewProxied, servers: List[Server], seed: int) -> None:
    """Clients come and leave, servers end connections, hosts fall ill; the fixture looks at what is left at the end."""
    rng = random.Random(seed)
    policy = {"predictive_preconnect_ratio": 2, **TWICE}
    limits = {"circuit_breakers": {"thresholds": [{"max_connections": 12}]}, **idle_for("3s")}
    proxy = proxied(ports=[one.port for one in servers], **with_policy(policy, **limits))
    clients: List[Peer] = []
    ends: List[Peer] = []
    for _ in range(150):
        step = rng.randrange(6)
        if step < 2:
            clients.append(proxy.engine.client())
        elif step == 2 and clients:
            getattr(clients.pop(rng.randrange(len(clients))), rng.choice(["reset", "finish"]))()
        elif step == 3 and ends:
            getattr(ends.pop(rng.randrange(len(ends))), rng.choice(["reset", "finish"]))()
        elif step == 4:
            cluster = proxy.engine.clusters.get("c")
            assert cluster is not None
            host = rng.choice(cluster.hosts)
            host.health = rng.choice(["HEALTHY", "UNHEALTHY"])
            cluster.drain([host])
            cluster.refresh()
        else:
            proxy.engine.advance(rng.choice([0.01, 1.0]))
        proxy.engine.turn(2)
        accepted = [server.try_accept() for server in servers]
        ends += [proxy.engine.own(peer) for peer in accepted if peer is not None]
        active, attached = proxy.cluster("upstream_cx_active"), proxy.cluster("upstream_rq_active")
        assert active - attached >= len(ready(proxy)) and active <= 12 + len(servers)
    assert proxy.cluster("upstream_rq_total") > 10
