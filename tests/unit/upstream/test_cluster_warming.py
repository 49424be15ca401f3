"""Clusters that come, change and go while the proxy runs: who is used when, and what is waited for."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.initialization import Initialization, when_all_complete
from proxy_core.upstream.manager import STATIC, Source
from tests.support.discovered import Found, Json, addresses, endpoint, named

CDS = Source(True, "7", 1.0)


@pytest.fixture
def found() -> Found:
    found = Found()
    found.names.known["a.test"] = ["10.0.0.1"]
    return found


def dns(name: str = "c", **fields: Any) -> Json:
    return named("STRICT_DNS", endpoint("a.test"), name=name, **fields)


def running(found: Found) -> Found:
    found.manager.initialization.complete()
    return found


def commit(found: Found, tree: Json, source: Source = CDS) -> Cluster:
    return found.manager.commit(found.manager.prepare(found.config(tree), ""), source)


def gauges(found: Found) -> List[int]:
    names = ("active_clusters", "warming_clusters", "cluster_added", "cluster_modified", "cluster_removed")
    return [found.value(f"cluster_manager.{name}") for name in names]


def test_at_the_start_clusters_are_used_at_once_and_the_start_waits_for_their_hosts(found: Found) -> None:
    heard: List[str] = []
    found.manager.add(found.config(dns()))
    assert found.names.asked == [] and found.background.tasks == []  # nothing is looked up before the start
    found.manager.start(lambda: heard.append("started"))
    assert heard == [] and found.manager.get("c") is not None
    found.background.finish()
    assert heard == ["started"]


def test_a_cluster_that_need_not_warm_is_not_waited_for(found: Found) -> None:
    heard: List[str] = []
    found.manager.add(found.config(dns(wait_for_warm_on_init=False)))
    found.manager.start(lambda: heard.append("started"))
    assert heard == ["started"]


def test_later_a_new_cluster_is_not_used_before_it_has_its_hosts(found: Found) -> None:
    running(found)
    made = commit(found, dns())
    assert found.manager.get("c") is None and found.manager.knows("c")
    assert gauges(found) == [0, 1, 1, 0, 0] and found.value("cluster.c.warming_state") == 1
    found.background.finish()
    assert found.manager.get("c") is made
    assert gauges(found) == [1, 0, 1, 0, 0] and found.value("cluster.c.warming_state") == 0


def test_a_changed_cluster_takes_the_place_of_the_old_one_when_it_is_warm(found: Found) -> None:
    running(found)
    old = commit(found, named("STATIC", endpoint("10.0.0.9")))
    assert found.manager.get("c") is old
    new = commit(found, dns())
    assert found.manager.get("c") is old and addresses(old) == ["10.0.0.9:80"]
    found.background.finish()
    assert found.manager.get("c") is new and addresses(new) == ["10.0.0.1:80"]
    assert gauges(found) == [1, 0, 1, 1, 0]


def test_a_warming_cluster_that_is_changed_again_never_comes_up(found: Found) -> None:
    running(found)
    commit(found, dns(dns_lookup_family="V4_ONLY"))
    newest = commit(found, dns(connect_timeout="3s", dns_lookup_family="V4_ONLY"))
    found.background.finish()
    assert found.manager.get("c") is newest
    assert gauges(found) == [1, 0, 1, 1, 0]
    found.advance(5.0)
    assert len(found.names.asked) == 1 + 1  # they shared the first question, and only the newest asks again


def test_a_warming_cluster_can_be_removed(found: Found) -> None:
    running(found)
    commit(found, dns())
    found.manager.remove("c")
    found.background.finish()
    assert found.manager.get("c") is None and gauges(found) == [0, 0, 1, 0, 1]
    assert found.store.find("cluster.c.membership_total") is None


def test_the_stats_of_a_removed_cluster_stay_as_long_as_it_has_connections(found: Found) -> None:
    running(found)
    old = commit(found, named("STATIC", endpoint("10.0.0.9")))
    old.stats.upstream_cx_active.inc()
    found.manager.remove("c")
    assert found.value("cluster.c.upstream_cx_active") == 1
    new = commit(found, named("STATIC", endpoint("10.0.0.8")))
    assert new.stats.upstream_cx_active is old.stats.upstream_cx_active  # as Envoy: one name, one stat
    found.manager.remove("c")
    old.stats.upstream_cx_active.dec()
    old.on_connection_end()
    assert found.store.find("cluster.c.upstream_cx_active") is None


def test_a_removed_cluster_asks_no_more(found: Found) -> None:
    running(found)
    commit(found, dns())
    found.background.finish()
    asked = len(found.names.asked)
    found.manager.remove("c")
    found.advance(60.0)
    assert len(found.names.asked) == asked and len(found.reactor.timers) == 0


def test_closing_the_manager_stops_every_cluster(found: Found) -> None:
    found.add(dns())
    found.background.finish()
    running(found)
    commit(found, dns("other"))
    found.manager.close()
    found.advance(60.0)
    assert len(found.reactor.timers) == 0


def test_updates_after_the_first_hosts_are_counted_by_the_manager(found: Found) -> None:
    found.add(dns())
    found.background.finish()
    assert found.value("cluster_manager.cluster_updated") == 0
    found.names.known["a.test"] = ["10.0.0.2"]
    found.advance(5.0)
    assert found.value("cluster_manager.cluster_updated") == 1


def test_waiting_for_several_is_over_when_the_last_one_is_ready() -> None:
    parts = [Initialization() for _ in range(3)]
    heard: List[int] = []
    parts[0].complete()
    when_all_complete(parts, lambda: heard.append(1))
    parts[2].complete()
    assert heard == []
    parts[1].complete()
    parts[1].complete()
    assert heard == [1]
    when_all_complete(parts, lambda: heard.append(2))
    when_all_complete([], lambda: heard.append(3))
    assert heard == [1, 2, 3]


def test_clusters_of_the_bootstrap_are_told_from_those_of_cds(found: Found) -> None:
    found.manager.add(found.config(named("STATIC", endpoint("10.0.0.9"), name="mine")))
    running(found)
    commit(found, named("STATIC", endpoint("10.0.0.8"), name="theirs"))
    commit(found, dns("mine too"), STATIC)
    assert [cluster.name for cluster in found.manager.static()] == ["mine", "mine too"]
    assert [cluster.name for cluster in found.manager.clusters()] == ["mine", "theirs"]
