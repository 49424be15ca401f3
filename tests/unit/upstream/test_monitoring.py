"""Health checks and outlier detection in a running proxy: what clients, their connections and the admin see of them."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.admin.inventory import _cluster_json, _cluster_text
from proxy_core.network import client as client_module
from proxy_core.network.address import Address
from proxy_core.upstream import host as flags
from proxy_core.upstream.host import Host
from tests.support.engine import Engine, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import RefusedPort, Server
from tests.support.watched import Backend, Watched, check

PROXY = network_filter("tcp_proxy", stat_prefix="t", cluster="c")
DETECT = {"consecutive_5xx": 2, "max_ejection_percent": 100, "interval": "1s", "base_ejection_time": "1s"}
CALM = {"healthy_panic_threshold": {"value": 0}}
Make = Callable[..., Engine]


@pytest.fixture
def proxy() -> Iterator[Make]:
    """Starts engines with a tcp_proxy in front of cluster c, and closes them."""
    made: List[Engine] = []

    def make(ports: List[int], **fields: Any) -> Engine:
        made.append(Engine(bootstrap([listener(PROXY)], [cluster(*[address(port) for port in ports], **fields)])).start())
        return made[-1]
    yield make
    for one in made:
        one.close()
        assert one.errors == []


def test_refused_connections_eject_a_host_and_clients_get_the_other_one(proxy: Make) -> None:
    server, refused = Server(), RefusedPort()
    engine = proxy([server.port, refused.port], outlier_detection=DETECT)
    for _ in range(4):
        client = engine.client()
        before = engine.value("tcp.t.downstream_cx_total")
        engine.until(lambda: engine.value("tcp.t.downstream_cx_total") > before)
        engine.until(lambda: client.over or engine.value("cluster.c.upstream_rq_active"))
        client.reset()
        engine.until(lambda: not engine.live)
    hosts = engine.clusters.get("c").hosts  # type: ignore[union-attr]
    assert [host.health_flags() for host in hosts] == ["healthy", "/failed_outlier_check"]
    assert engine.value("cluster.c.outlier_detection.ejections_active") == 1
    assert engine.value("cluster.c.membership_healthy") == 1
    assert [hosts[0].outlier.external.successes, hosts[1].outlier.external.successes] == [2, 0]
    server.close()
    refused.close()


def test_a_connection_that_takes_too_long_is_a_failure_and_one_that_the_client_gives_up_is_nothing(
    proxy: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "connect_at_once", lambda *args: False)  # and never any further
    engine = proxy([9], outlier_detection={**DETECT, "consecutive_5xx": 9}, connect_timeout="1s")
    monitor = engine.clusters.get("c").hosts[0].outlier  # type: ignore[union-attr]
    for given_up, counted in ((True, 0), (False, 1)):
        client = engine.client()
        engine.until(lambda: engine.value("cluster.c.upstream_cx_active"))
        if given_up:
            engine.advance(0.1)  # only then is a paused connection told of resets
            client.reset()
        else:
            engine.advance(1)
        engine.until(lambda: not engine.value("cluster.c.upstream_cx_active"))
        assert (monitor.external.successes, monitor.external.total) == (0, counted)


@pytest.mark.parametrize("closes", [True, False])
def test_connections_to_a_host_that_fails_its_health_checks_are_closed_if_asked_for(proxy: Make, closes: bool) -> None:
    server = Server()
    engine = proxy(
        [server.port], close_connections_on_host_health_failure=closes, common_lb_config=CALM,
        health_checks=[check(tcp_health_check={}, unhealthy_threshold=1)],
    )
    hosts = engine.clusters.get("c").hosts  # type: ignore[union-attr]
    engine.until(lambda: hosts[0].is_healthy)
    probe = engine.accepted(server)
    client = engine.client()
    upstream = engine.accepted(server)
    engine.until(lambda: engine.value("cluster.c.upstream_rq_active"))
    probe.close()
    server.close()
    engine.advance(1)
    engine.until(lambda: not hosts[0].is_healthy)
    engine.turn(5)
    assert client.over is closes and upstream.over is closes
    late = engine.client()
    engine.until(lambda: late.over)
    assert engine.value("cluster.c.upstream_cx_none_healthy") == 1


# -- flags -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("health", "bits", "text", "state"), [
    ("UNKNOWN", 0, "healthy", "h"),
    ("HEALTHY", flags.FAILED_ACTIVE_HC | flags.ACTIVE_HC_TIMEOUT, "/failed_active_hc/active_hc_timeout", ""),
    ("UNHEALTHY", flags.FAILED_OUTLIER_CHECK, "/failed_outlier_check/failed_eds_health", ""),
    ("DEGRADED", 0, "/degraded_eds_health", "d"), ("DEGRADED", flags.FAILED_ACTIVE_HC, "/failed_active_hc/degraded_eds_health", ""),
    ("UNKNOWN", flags.DEGRADED_ACTIVE_HC, "/degraded_active_hc", "d"), ("DRAINING", 0, "/eds_status_draining", "x"),
    ("DRAINING", flags.DEGRADED_ACTIVE_HC, "/degraded_active_hc/eds_status_draining", "x"),
    ("UNKNOWN", flags.PENDING_DYNAMIC_REMOVAL, "/pending_dynamic_removal", "h"),
    ("UNKNOWN", flags.FAILED_ACTIVE_HC | flags.PENDING_ACTIVE_HC, "/failed_active_hc/pending_active_hc", "x"),
    ("UNKNOWN", flags.FAILED_ACTIVE_HC | flags.EXCLUDED_VIA_IMMEDIATE_HC_FAIL,
     "/failed_active_hc/excluded_via_immediate_hc_fail", "x"),
])
def test_flags_are_joined_with_what_eds_says(health: str, bits: int, text: str, state: str) -> None:
    host = Host(Address.from_ip("127.0.0.1", 1), 1, health)
    host.flags = bits
    assert host.health_flags() == text
    found = ("h" if host.is_healthy else "") + ("d" if host.is_degraded else "") + ("x" if host.is_excluded else "")
    assert found == state


# -- the admin ---------------------------------------------------------------------------------------------------------

def test_the_admin_shows_flags_and_success_rates() -> None:
    backends = [Backend() for _ in range(5)]
    detection = {"success_rate_request_volume": 2, "interval": "1s", "consecutive_5xx": 99, "max_ejection_percent": 100}
    watched = Watched(*backends, outlier_detection=detection)
    lines = _cluster_text(watched.cluster, False).splitlines()
    assert lines[1:5] == [f"c::outlier::{name}::-1" for name in (
        "success_rate_average", "success_rate_ejection_threshold", "local_origin_success_rate_average",
        "local_origin_success_rate_ejection_threshold",
    )]
    for index, host in enumerate(watched.hosts):
        for _ in range(2):
            assert host.outlier is not None
            host.outlier.put_response_code(500 if index == 4 else 200)
    watched.advance(1)
    text = _cluster_text(watched.cluster, False)
    assert "c::outlier::success_rate_average::80\n" in text and "::success_rate::100\n" in text
    assert f"c::127.0.0.1:{backends[4].port}::health_flags::/failed_outlier_check\n" in text
    tree = _cluster_json(watched.cluster, False)
    assert list(tree) == [
        "name", "success_rate_ejection_threshold", "host_statuses", "circuit_breakers", "observability_name"
    ]
    last = tree["host_statuses"][4]
    assert last["success_rate"] == {} and tree["host_statuses"][0]["success_rate"] == {"value": 100}
    assert last["health_status"] == {"eds_health_status": "HEALTHY", "failed_outlier_check": True}
    watched.close()
