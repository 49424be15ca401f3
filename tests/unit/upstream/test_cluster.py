"""Clusters, hosts, circuit breakers and the pool's accounting."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.config.model.cluster import Thresholds
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.network.settings import DEFAULT_BUFFER_LIMIT, ConnectionSettings
from proxy_core.observe.stat_names import BreakerStats
from proxy_core.observe.stats import Gauge, StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.breaker import DEFAULT_LIMITS, CircuitBreakers, Resource
from proxy_core.upstream.cluster import DEFAULT_CONNECT_TIMEOUT, Cluster, problems, settings_for
from proxy_core.upstream.manager import ClusterManager
from tests.support.engine import Json, address, cluster, pipe


def configured(config: Json) -> ClusterConfig:
    return decode(ClusterConfig, config, TypeRegistry())


def manager() -> ClusterManager:
    return ClusterManager(StatsStore(SimulatedClock()), ConnectionSettings(flush_timeout=7.0))


def made(config: Json) -> Cluster:
    return manager().add(configured(config))


# -- circuit breakers --------------------------------------------------------------------------------------------------

def test_a_resource_counts_and_its_gauge_says_when_it_is_used_up() -> None:
    gauge = Gauge("open")
    resource = Resource(2, False, gauge)
    seen: List[Any] = []
    for step in (resource.take, resource.take, resource.give_back, resource.take, resource.give_back, resource.give_back):
        step()
        seen.append((resource.used, resource.can_create, gauge.value))
    assert seen == [(1, True, 0), (2, False, 1), (1, True, 0), (2, False, 1), (1, True, 0), (0, True, 0)]


def test_a_limit_of_zero_is_reached_from_the_start_though_its_gauge_is_written_at_the_first_use_as_in_envoy() -> None:
    gauge = Gauge("open")
    resource = Resource(0, False, gauge)
    assert not resource.can_create and gauge.value == 0 and not gauge.used
    resource.take()
    assert gauge.value == 1


def test_what_remains_is_counted_where_track_remaining_asks_for_it_and_listed_nowhere_else() -> None:
    store = StatsStore(SimulatedClock())
    thresholds = [{"max_connections": 2, "track_remaining": True, "max_connection_pools": 7}, {"priority": "HIGH"}]
    config = cluster(address(1), name="c", circuit_breakers={"thresholds": thresholds})
    one = ClusterManager(store, ConnectionSettings()).add(configured(config))
    prefix = "cluster.c.circuit_breakers.default.remaining_"
    shown = {name[len(prefix):]: gauge.value for name, gauge in store.gauges.items() if "remaining" in name}
    assert shown == {"cx": 2, "cx_pools": 7, "pending": 1024, "retries": 3, "rq": 1024}
    left = store.gauges[prefix + "cx"]
    seen = []
    for step in (one.breakers.connections.take,) * 3 + (one.breakers.connections.give_back,) * 2:
        step()
        seen.append(left.value)
    assert seen == [1, 0, 0, 0, 1]


def test_giving_back_what_was_never_taken_is_a_bug_and_does_not_underflow() -> None:
    resource = Resource(2, False, Gauge("open"))
    with pytest.raises(AssertionError):
        resource.give_back()
    assert resource.used == 0


def test_limits_default_to_envoys_and_remember_whether_they_are_defaults() -> None:
    scope = StatsStore(SimulatedClock()).scope("cluster.c")
    breakers = CircuitBreakers(BreakerStats(scope.scope("circuit_breakers.default")), Thresholds(max_connections=5))
    assert (breakers.connections.limit, breakers.connections.is_default) == (5, False)
    for name in ("pending_requests", "requests", "retries"):
        resource = getattr(breakers, name)
        assert (resource.limit, resource.is_default) == (DEFAULT_LIMITS[name], True)
    assert (DEFAULT_LIMITS["connections"], DEFAULT_LIMITS["retries"]) == (1024, 3)


def test_thresholds_are_read_by_priority() -> None:
    thresholds = [{"priority": "HIGH", "max_connections": 9}, {"max_connections": 5, "max_requests": 6}]
    one = made(cluster(address(1), circuit_breakers={"thresholds": thresholds}))
    assert one.breakers.connections.limit == 5
    assert one.breakers.requests.limit == 6
    assert one.high_breakers.connections.limit == 9
    assert one.high_breakers.requests.limit == 1024


# -- clusters ----------------------------------------------------------------------------------------------------------

def test_hosts_come_in_the_order_of_the_file_with_their_weights_and_names() -> None:
    config = cluster(address(1), pipe("/run/x"), address(2, "::1"))
    members = config["load_assignment"]["endpoints"][0]["lb_endpoints"]
    members[0]["load_balancing_weight"] = 4
    members[1]["endpoint"]["hostname"] = "the-pipe"
    one = made(config)
    assert [host.address.text for host in one.hosts] == ["127.0.0.1:1", "/run/x", "[::1]:2"]
    assert [host.weight for host in one.hosts] == [4, 1, 1]
    assert one.hosts[1].hostname == "the-pipe"
    assert one.stats.membership_total.value == one.stats.membership_healthy.value == 3


def test_each_host_matches_the_default_transport_socket_and_a_cluster_without_hosts_has_not_changed() -> None:
    assert made(cluster(address(1), address(2))).stats.default_total_match_count.value == 2
    empty = made(cluster())
    assert (empty.stats.default_total_match_count.value, empty.stats.membership_change.value) == (0, 0)


def test_hosts_that_are_called_ill_are_not_picked_and_not_counted_as_healthy() -> None:
    config = cluster(address(1), address(2), address(3))
    for member, health in zip(config["load_assignment"]["endpoints"][0]["lb_endpoints"], ("UNHEALTHY", "HEALTHY", "DEGRADED")):
        member["health_status"] = health
    one = made(config)
    assert {str(one.pick_host()) for _ in range(6)} <= {str(one.hosts[1]), str(one.hosts[2])}
    assert one.stats.membership_healthy.value == one.stats.membership_degraded.value == 1
    assert [host.is_healthy for host in one.hosts] == [False, True, False]
    assert [host.health_flags() == "healthy" for host in one.hosts] == [False, True, False]


def test_a_cluster_without_hosts_picks_nobody() -> None:
    assert made(cluster()).pick_host() is None


def test_timeouts_and_limits_have_envoys_defaults() -> None:
    one = made(cluster(address(1)))
    assert one.connect_timeout == DEFAULT_CONNECT_TIMEOUT == 5.0
    assert one.settings.buffer_limit == DEFAULT_BUFFER_LIMIT
    other = made(cluster(address(1), connect_timeout="0.25s", per_connection_buffer_limit_bytes=0))
    assert other.connect_timeout == 0.25
    assert other.settings.buffer_limit == 0


def test_settings_keep_what_was_set_for_the_process() -> None:
    base = ConnectionSettings(flush_timeout=7.0, half_closed_timeout=8.0)
    found = settings_for(configured(cluster(address(1), per_connection_buffer_limit_bytes=99)), base)
    assert (found.buffer_limit, found.flush_timeout, found.half_closed_timeout) == (99, 7.0, 8.0)
    assert base.buffer_limit == DEFAULT_BUFFER_LIMIT


def test_the_manager_knows_clusters_by_name_and_lists_them_sorted() -> None:
    clusters = manager()
    for name in ("zebra", "ape"):
        clusters.add(configured(cluster(address(1), name=name, alt_stat_name=f"the_{name}")))
    assert [one.name for one in clusters.clusters()] == ["ape", "zebra"]
    assert clusters.get("missing") is None
    found = clusters.get("ape")
    assert found is not None and found.observability_name == "the_ape"
    assert clusters.stats.cluster_added.value == clusters.stats.active_clusters.value == 2


def test_a_second_category_of_overload_is_refused_as_in_envoy() -> None:
    drops = [{"category": "a", "drop_percentage": {"numerator": 1}}, {"category": "b"}]
    policy = {"load_assignment": {"cluster_name": "c", "policy": {"drop_overloads": drops}}}
    with pytest.raises(ConfigError) as caught:
        configured({**cluster(address(1)), **policy})
    problem, = caught.value.problems
    assert problem.path.endswith("load_assignment.policy.drop_overloads")
    assert problem.message == "Cluster drop_overloads config has 2 categories. Envoy only support one."
    del drops[1]
    assert problems(configured({**cluster(address(1)), **policy}), "c") == []


def test_a_breaker_that_refuses_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    one = made(cluster(address(1)))
    for now in (5.0, 6.0, 64.9, 65.0):
        one.tell_overflow("circuit breaker of c: max_connections 1024, default", now)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["circuit breaker of c: max_connections 1024, default reached: connections are refused"] * 2
