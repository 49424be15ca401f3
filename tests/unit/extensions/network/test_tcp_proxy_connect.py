"""tcp_proxy from the first byte to a connected upstream: routes, limits, retries, early data."""

from __future__ import annotations

import collections
import socket
import sys
from typing import Any, Dict, List

import pytest

from proxy_core.extensions.network.tcp_proxy.session import CONNECTING_HOLDER, EARLY_DATA_HOLDER
from proxy_core.network import sockets
from proxy_core.network.states import Side
from tests.support.engine import Engine, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import RefusedPort, Server
from tests.support.proxied import NewProxied, Proxied


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream hosts take their time to connect, as those of other machines do."""
    monkeypatch.setattr(sockets, "finish_connect", lambda sock, address: None)


def test_a_host_of_this_machine_is_connected_in_the_turn_that_accepts_the_client(proxied: NewProxied) -> None:
    proxy = proxied(of_cluster={"connect_timeout": "3s"})
    proxy.engine.client()
    proxy.engine.reactor.turn(0)
    downstream, upstream = proxy.session()
    assert upstream.write_state is Side.OPEN and not downstream.pauses
    proxy.engine.advance(5.0)
    assert upstream.is_open, "no connect timer is left"


def test_bytes_go_both_ways_with_a_far_host(proxied: NewProxied, far: None) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    client.send(b"question")
    proxy.engine.until(lambda: bytes(server.got) == b"question")
    server.send(b"the answer")
    proxy.engine.until(lambda: bytes(client.got) == b"the answer")


def test_bytes_go_both_ways_and_everything_is_counted(proxied: NewProxied) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    client.send(b"question")
    proxy.engine.until(lambda: bytes(server.got) == b"question")
    server.send(b"the answer")
    proxy.engine.until(lambda: bytes(client.got) == b"the answer")
    assert proxy.cluster("upstream_cx_active") == proxy.cluster("upstream_rq_active") == 1
    client.finish()
    proxy.engine.until(lambda: server.ended)
    server.finish()
    proxy.engine.until(proxy.over)
    assert client.ended and not client.was_reset
    assert proxy.line == (
        "TcpConnectionEnd flags=- local=- upstream_failure=- attempts=1 rx=8 tx=10 down=Normal up=Normal "
        "local FIN (upstream closed (peer FIN: both directions have ended))"
    )
    assert (proxy.tcp("downstream_cx_rx_bytes_total"), proxy.tcp("downstream_cx_tx_bytes_total")) == (8, 10)
    assert (proxy.cluster("upstream_cx_tx_bytes_total"), proxy.cluster("upstream_cx_rx_bytes_total")) == (8, 10)
    assert proxy.tcp("downstream_cx_total") == proxy.cluster("upstream_cx_total") == 1
    host = proxy.host
    assert (host.cx_total, host.cx_active, host.rq_total, host.rq_active, host.cx_connect_fail) == (1, 0, 1, 0, 0)


def test_what_the_client_sent_before_the_upstream_was_there_is_not_lost(proxied: NewProxied) -> None:
    proxy = proxied()
    client = proxy.engine.client()
    client.send(b"eager")
    client.finish()
    server = proxy.engine.accepted(proxy.server)
    proxy.engine.until(lambda: server.ended)
    assert bytes(server.got) == b"eager"


def test_reading_is_paused_with_a_named_holder_until_the_upstream_is_connected(proxied: NewProxied, far: None) -> None:
    proxy = proxied()
    proxy.engine.client()
    proxy.engine.reactor.turn(0)
    assert list(proxy.session()[0].pauses) == [CONNECTING_HOLDER]
    proxy.engine.until(lambda: not proxy.session()[0].pauses)


def test_a_refused_connect_is_uf_urx_and_closes_the_client(proxied: NewProxied, refused: int) -> None:
    proxy = proxied(ports=[refused])
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=UF,URX local=tcp_initializion_failure:0 upstream_failure=delayed_connect_error:" in proxy.line
    assert "Connection_refused" in proxy.line
    assert proxy.cluster("upstream_cx_connect_fail") == proxy.cluster("upstream_cx_connect_attempts_exceeded") == 1
    assert proxy.cluster("upstream_rq_pending_failure_eject") == 1
    assert proxy.host.cx_connect_fail == 1


def ended(proxy: Proxied) -> List[str]:
    """The last lines of all connections that are over."""
    return [line for line in proxy.engine.lines if line.startswith("TcpConnectionEnd ")]


def test_without_backoff_a_retry_comes_in_the_next_turn_and_may_find_a_better_host(proxied: NewProxied, refused: int) -> None:
    good = Server()
    proxy = proxied(ports=[refused, good.port], max_connect_attempts=2)
    for count in range(2):  # the hosts take turns, beginning with any of them: one of two clients meets the refusing one first
        client = proxy.engine.client()
        server = proxy.engine.accepted(good)
        server.send(b"hello")
        proxy.engine.until(lambda: bytes(client.got) == b"hello")
        client.finish()
        server.finish()
        proxy.engine.until(lambda: len(ended(proxy)) == count + 1)
    assert any("flags=UF " in line and "attempts=2" in line for line in ended(proxy))
    good.close()


@pytest.mark.parametrize("policy", ["ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "RING_HASH", "MAGLEV"])
def test_a_retry_goes_to_another_host_whoever_else_takes_turns(proxied: NewProxied, refused: int, policy: str) -> None:
    good = Server()
    proxy = proxied(ports=[refused, good.port], max_connect_attempts=2, of_cluster={"lb_policy": policy})
    for _ in range(3):
        clients = [proxy.engine.client() for _ in range(8)]  # in Envoy, some of these meet the refusing host twice
        servers = [proxy.engine.accepted(good) for _ in clients]
        for one in (*clients, *servers):
            one.finish()
        proxy.engine.until(lambda: not proxy.engine.live)
    assert proxy.cluster("upstream_cx_connect_attempts_exceeded") == 0
    assert proxy.cluster("upstream_cx_connect_fail") > 0
    good.close()


def test_when_all_hosts_were_tried_they_are_tried_again(proxied: NewProxied, refused: int) -> None:
    other = RefusedPort()
    host = access_log("tried=%UPSTREAM_HOSTS_ATTEMPTED%")
    proxy = proxied(ports=[refused, other.port], max_connect_attempts=6, access_log=[host])
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    tried = proxy.line.partition("tried=")[2].split(",")
    assert len(tried) == 6 and len(set(tried)) == 2
    assert all(len(set(tried[first:first + 2])) == 2 for first in (0, 2, 4)), tried
    other.close()


def test_retries_wait_a_random_part_of_an_exponential_backoff(proxied: NewProxied, refused: int) -> None:
    proxy = proxied(
        ports=[refused], max_connect_attempts=3, backoff_options={"base_interval": "1s", "max_interval": "10s"}
    )
    client = proxy.engine.client()
    for attempt in (1, 2):
        proxy.engine.until(lambda: proxy.cluster("upstream_cx_connect_fail") == attempt)
        proxy.engine.turn(20)
        assert proxy.cluster("upstream_cx_total") == attempt, "the next attempt must wait"
        proxy.engine.advance(2.0 ** (attempt - 1))
    proxy.engine.until(lambda: client.over)
    assert "flags=UF,URX" in proxy.line and "attempts=3" in proxy.line
    assert proxy.cluster("upstream_cx_connect_attempts_exceeded") == 1


def test_a_client_that_leaves_while_we_wait_to_retry_ends_the_session(proxied: NewProxied, refused: int) -> None:
    proxy = proxied(ports=[refused], max_connect_attempts=9, backoff_options={"base_interval": "100s"})
    client = proxy.engine.client()
    proxy.engine.until(lambda: proxy.cluster("upstream_cx_connect_fail") == 1)
    proxy.engine.advance(0.1)
    client.reset()
    proxy.engine.until(proxy.over)
    proxy.engine.advance(200.0)
    assert proxy.cluster("upstream_cx_total") == 1
    assert "down=RemoteReset" in proxy.line


def test_a_client_that_resets_while_the_upstream_connects_is_noticed_at_once(proxied: NewProxied, far: None) -> None:
    proxy = proxied()
    client = proxy.engine.client()
    proxy.engine.reactor.turn(0)
    downstream, upstream = proxy.session()
    proxy.engine.reactor.unwatch(upstream.fd)  # keep it connecting
    proxy.engine.advance(0.1)
    client.reset()
    proxy.engine.until(proxy.over)
    assert proxy.cluster("upstream_rq_cancelled") == 1


def test_a_connect_timeout_is_uf_urx_without_a_failure_text(proxied: NewProxied, far: None) -> None:
    proxy = proxied(of_cluster={"connect_timeout": "3s"})
    client = proxy.engine.client()
    proxy.engine.reactor.turn(0)
    proxy.engine.reactor.unwatch(proxy.session()[1].fd)  # a SYN that nobody answers
    proxy.engine.advance(2.9)
    assert not client.over
    proxy.engine.advance(0.2)
    proxy.engine.until(lambda: client.over)
    assert "flags=UF,URX local=tcp_initializion_failure:0 upstream_failure=- " in proxy.line
    assert proxy.cluster("upstream_cx_connect_timeout") == proxy.cluster("upstream_cx_connect_fail") == 1


def test_an_upstream_address_that_cannot_be_bound_is_urx_without_uf(proxied: NewProxied) -> None:
    proxy = proxied(of_cluster={"upstream_bind_config": {"source_address": {"address": "192.0.2.7", "port_value": 0}}})
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=URX local=tcp_initializion_failure:0 upstream_failure=failed_to_bind_to_192.0.2.7:0:" in proxy.line
    assert proxy.cluster("bind_errors") == 1


def test_keepalive_options_reach_the_upstream_socket(proxied: NewProxied) -> None:
    options = {"tcp_keepalive": {"keepalive_time": 33, "keepalive_interval": 4, "keepalive_probes": 5}}
    proxy = proxied(of_cluster={"upstream_connection_options": options})
    proxy.pair()
    sock = proxy.session()[1].sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 33
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels take any number of probes")
def test_an_option_that_the_kernel_refuses_is_a_failed_attempt_and_leaks_nothing(proxied: NewProxied) -> None:
    options = {"tcp_keepalive": {"keepalive_probes": 100_000}}
    proxy = proxied(of_cluster={"upstream_connection_options": options})
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=URX local=tcp_initializion_failure:0" in proxy.line
    assert proxy.cluster("upstream_cx_connect_fail") == 1


def test_no_such_cluster_is_nc(proxied: NewProxied) -> None:
    proxy = proxied(cluster="missing")
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=NC local=tcp_initializion_failure:3" in proxy.line
    assert proxy.tcp("downstream_cx_no_route") == 1


def test_no_host_is_uh(proxied: NewProxied) -> None:
    proxy = proxied(ports=[])
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=UH local=tcp_initializion_failure:1" in proxy.line
    assert proxy.cluster("upstream_cx_none_healthy") == 1


def test_a_full_connection_breaker_is_uo_and_its_limit_is_in_the_reason(proxied: NewProxied) -> None:
    proxy = proxied(of_cluster={"circuit_breakers": {"thresholds": [{"max_connections": 1}]}})
    proxy.pair()
    assert proxy.cluster("circuit_breakers.default.cx_open") == 1
    late = proxy.engine.client()
    proxy.engine.until(lambda: late.over)
    assert "flags=UO local=tcp_initializion_failure:2" in proxy.line
    assert proxy.cluster("upstream_cx_overflow") == 1
    assert "circuit breaker of c: max_connections 1" in proxy.line


def test_a_full_pending_breaker_is_a_failed_attempt_without_uf(proxied: NewProxied) -> None:
    proxy = proxied(of_cluster={"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}})
    client = proxy.engine.client()
    proxy.engine.until(lambda: client.over)
    assert "flags=URX local=tcp_initializion_failure:0" in proxy.line
    assert proxy.cluster("upstream_rq_pending_overflow") == 1
    assert proxy.cluster("upstream_cx_total") == 0


def test_weighted_clusters_share_the_connections_by_weight() -> None:
    server = Server(backlog=400)
    hosts = [cluster(address(server.port), name=name) for name in ("heavy", "light")]
    weights = [{"name": "heavy", "weight": 3}, {"name": "light", "weight": 1}]
    proxy = network_filter("tcp_proxy", stat_prefix="t", weighted_clusters={"clusters": weights})
    engine = Engine(bootstrap([listener(proxy)], hosts), seed=7).start()
    for _ in range(10):
        for client in [engine.client() for _ in range(20)]:
            client.reset()
        engine.turn(3)
    counts: Dict[str, int] = collections.Counter()
    for name in ("heavy", "light"):
        counts[name] = engine.value(f"cluster.{name}.upstream_cx_total")
    engine.close()
    server.close()
    assert counts["heavy"] + counts["light"] == 200
    assert 130 <= counts["heavy"] <= 170


# -- early data --------------------------------------------------------------------------------------------------------

def keep_connecting(proxy: Proxied) -> Any:
    """Accept a client, and hold its upstream in the middle of its connect; answers what lets it go on."""
    client = proxy.engine.client()
    proxy.engine.reactor.turn(0)
    upstream = proxy.session()[1]
    entry = proxy.engine.reactor._interest[upstream.fd]
    proxy.engine.reactor.unwatch(upstream.fd)
    return client, lambda: proxy.engine.reactor.watch(upstream.fd, entry[0], entry[1])


def test_early_data_is_taken_up_to_the_limit_and_forwarded_first(proxied: NewProxied, far: None) -> None:
    proxy = proxied(max_early_data_bytes=10)
    client, go_on = keep_connecting(proxy)
    downstream = proxy.session()[0]
    client.send(b"12345")
    proxy.engine.turn(3)
    assert not downstream.pauses
    client.send(b"67890")
    proxy.engine.turn(3)
    assert list(downstream.pauses) == [EARLY_DATA_HOLDER]
    client.send(b" and the rest")
    proxy.engine.turn(3)
    assert downstream.bytes_read == 10
    go_on()
    server = proxy.engine.accepted(proxy.server)
    proxy.engine.until(lambda: bytes(server.got) == b"1234567890 and the rest")
    assert proxy.tcp("early_data_received_count_total") == 2


def test_an_early_end_of_the_stream_reaches_the_server_after_the_early_data(proxied: NewProxied, far: None) -> None:
    proxy = proxied(max_early_data_bytes=100)
    client, go_on = keep_connecting(proxy)
    client.send(b"all")
    client.finish()
    proxy.engine.turn(4)
    go_on()
    server = proxy.engine.accepted(proxy.server)
    proxy.engine.until(lambda: server.ended)
    assert bytes(server.got) == b"all"
    server.send(b"reply")
    server.finish()
    proxy.engine.until(proxy.over)
    assert bytes(client.got) == b"reply"


def test_on_downstream_data_the_server_is_called_when_the_first_bytes_come(proxied: NewProxied) -> None:
    proxy = proxied(upstream_connect_mode="ON_DOWNSTREAM_DATA", max_early_data_bytes=1000)
    client = proxy.engine.client()
    proxy.engine.turn(5)
    assert proxy.cluster("upstream_cx_total") == 0
    client.send(b"now")
    server = proxy.engine.accepted(proxy.server)
    proxy.engine.until(lambda: bytes(server.got) == b"now")


@pytest.mark.parametrize("limit", [0, 1, 3, 4])
def test_on_downstream_data_every_limit_forwards_everything(proxied: NewProxied, limit: int) -> None:
    proxy = proxied(upstream_connect_mode="ON_DOWNSTREAM_DATA", max_early_data_bytes=limit)
    client = proxy.engine.client()
    client.send(b"abc")
    proxy.engine.turn(1)
    client.send(b"def")
    client.finish()
    server = proxy.engine.accepted(proxy.server)
    proxy.engine.until(lambda: server.ended)
    assert bytes(server.got) == b"abcdef"


def test_on_downstream_data_a_client_that_closes_without_a_word_ends_the_session(proxied: NewProxied) -> None:
    """Envoy keeps it until the idle timeout."""
    proxy = proxied(upstream_connect_mode="ON_DOWNSTREAM_DATA", max_early_data_bytes=1000)
    client = proxy.engine.client()
    client.finish()
    proxy.engine.until(proxy.over)
    assert proxy.cluster("upstream_cx_total") == 0
    assert "local=client_closed_before_data" in proxy.line


def test_with_early_data_a_client_that_half_closes_while_connecting_still_gets_its_session(proxied: NewProxied) -> None:
    proxy = proxied(max_early_data_bytes=1000)
    client, go_on = keep_connecting(proxy)
    client.finish()
    proxy.engine.turn(3)
    go_on()
    server = proxy.engine.accepted(proxy.server)
    proxy.engine.until(lambda: server.ended)
    server.send(b"banner")
    server.finish()
    proxy.engine.until(proxy.over)
    assert bytes(client.got) == b"banner"
