"""EDS clusters under simulated time: what deliveries do to hosts, health, policy and stats."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.endpoint import ClusterLoadAssignment, LoadAssignmentPolicy
from proxy_core.config.registry import TypeRegistry
from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.discovery.eds import Assignment
from proxy_core.upstream.discovery.members import members_of
from proxy_core.upstream.host import FAILED_ACTIVE_HC, PENDING_DYNAMIC_REMOVAL
from tests.support.discovered import Found, Json, addresses, assignment, endpoint

CHECK = {"timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1, "tcp_health_check": {}}


def delivered(*entries: Json, **fields: Any) -> Assignment:
    tree = decode(ClusterLoadAssignment, assignment("c", *entries, **fields), TypeRegistry())
    return Assignment(members_of(tree), tree.policy or LoadAssignmentPolicy())


@pytest.fixture
def found() -> Found:
    return Found()


def cluster(found: Found, **fields: Any) -> Cluster:
    source = {"eds_config": {"path_config_source": {"path": "/x"}}}
    return found.add({"name": "c", "type": "EDS", "eds_cluster_config": source, **fields})


def receive(found: Found, *entries: Json, **fields: Any) -> None:
    found.deliveries[-1].receive(delivered(*entries, **fields))


def counts(found: Found) -> List[int]:
    names = ("update_no_rebuild", "update_empty", "membership_change", "membership_total")
    return [found.value(f"cluster.c.{name}") for name in names]


def test_deliveries_make_the_hosts_and_nothing_delivered_is_no_hosts(found: Found) -> None:
    made = cluster(found)
    assert made.initialization.is_complete and made.pick_host() is None
    receive(found, endpoint("10.0.0.1"), endpoint("10.0.0.2"))
    kept = made.hosts[1]
    receive(found, endpoint("10.0.0.2", load_balancing_weight=6))
    assert made.hosts == [kept] and made.pick_host() is kept
    assert found.value("cluster.c.max_host_weight") == 6
    receive(found)
    assert made.hosts == [] and made.pick_host() is None
    assert counts(found) == [0, 0, 3, 0]


def test_an_answer_without_the_assignment_keeps_the_hosts_and_the_same_one_changes_nothing(found: Found) -> None:
    made = cluster(found)
    receive(found, endpoint("10.0.0.1"))
    found.deliveries[-1].receive(None)
    receive(found, endpoint("10.0.0.1"))
    assert addresses(made) == ["10.0.0.1:80"] and counts(found) == [1, 1, 1, 1]


def test_the_service_name_is_what_is_subscribed_to(found: Found) -> None:
    source = {"eds_config": {"path_config_source": {"path": "/x"}}, "service_name": "service"}
    made = found.add({"name": "c", "type": "EDS", "eds_cluster_config": source})
    assert found.deliveries[-1].name == made.assignment_name == "service"


def test_another_policy_alone_is_a_change_that_reaches_the_balancer(found: Found) -> None:
    made = cluster(found)
    ill = [endpoint(f"10.0.0.{number}", health_status="UNHEALTHY") for number in (2, 3, 4)]
    receive(found, endpoint("10.0.0.1"), *ill)
    receive(found, endpoint("10.0.0.1"), *ill, policy={"overprovisioning_factor": 400})
    assert made.host_sets[0].overprovisioning == 400
    assert counts(found)[0] == 0


def test_a_stale_assignment_loses_its_hosts_and_a_new_one_in_time_does_not(found: Found) -> None:
    made = cluster(found)
    receive(found, endpoint("10.0.0.1"), policy={"endpoint_stale_after": "10s"})
    found.advance(9.0)
    receive(found, endpoint("10.0.0.1"), policy={"endpoint_stale_after": "10s"})
    found.advance(9.0)
    assert addresses(made) == ["10.0.0.1:80"]
    found.advance(1.0)
    assert addresses(made) == []
    assert found.value("cluster.c.assignment_stale") == 1
    assert found.value("cluster.c.assignment_timeout_received") == 2
    assert len(found.reactor.timers) == 0


def test_a_removed_host_that_passes_its_checks_stays_until_it_fails_one(found: Found) -> None:
    made = cluster(found, health_checks=[CHECK])
    receive(found, endpoint("10.0.0.1"), endpoint("10.0.0.2"))
    for host in made.hosts:
        host.flags &= ~FAILED_ACTIVE_HC
    two = made.hosts[1]
    receive(found, endpoint("10.0.0.1"))
    assert addresses(made) == ["10.0.0.1:80", "10.0.0.2:80"]
    assert two.flags & PENDING_DYNAMIC_REMOVAL and "/pending_dynamic_removal" in two.health_flags()
    two.flags |= FAILED_ACTIVE_HC
    made.discovery.release(two)
    assert addresses(made) == ["10.0.0.1:80"]


@pytest.mark.parametrize("fields", [{"ignore_health_on_host_removal": True, "health_checks": [CHECK]}, {}])
def test_a_removed_host_goes_at_once_when_its_health_does_not_count(found: Found, fields: Json) -> None:
    made = cluster(found, **fields)
    receive(found, endpoint("10.0.0.1"), endpoint("10.0.0.2"))
    receive(found, endpoint("10.0.0.1"))
    assert addresses(made) == ["10.0.0.1:80"]


@pytest.mark.parametrize("status", ["UNHEALTHY", "TIMEOUT"])
def test_a_removed_host_that_is_ill_goes_at_once(found: Found, status: str) -> None:
    made = cluster(found, health_checks=[CHECK])
    receive(found, endpoint("10.0.0.1", health_status=status), endpoint("10.0.0.2"))
    made.hosts[1].flags |= FAILED_ACTIVE_HC
    receive(found)
    assert made.hosts == []


def test_each_priority_that_wins_or_loses_a_host_is_one_membership_change(found: Found) -> None:
    made = cluster(found)

    def at(*priorities: int) -> None:
        groups = [
            {"priority": priority, "lb_endpoints": [endpoint(f"10.0.{priority}.1")]} for priority in priorities
        ]
        tree = decode(ClusterLoadAssignment, {"cluster_name": "c", "endpoints": groups}, TypeRegistry())
        found.deliveries[-1].receive(Assignment(members_of(tree), LoadAssignmentPolicy()))
    changes = []
    for priorities in ([0], [1], [0, 1], [0, 1], []):
        at(*priorities)
        changes.append(found.value("cluster.c.membership_change"))
    assert changes == [1, 3, 4, 4, 6]
    assert len(made.host_sets) == 1


def test_a_closed_cluster_closes_its_subscription_and_forgets_its_timer(found: Found) -> None:
    made = cluster(found)
    receive(found, endpoint("10.0.0.1"), policy={"endpoint_stale_after": "10s"})
    made.close()
    assert found.deliveries[-1].closed and len(found.reactor.timers) == 0
