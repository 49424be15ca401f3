"""Why a connection went to its host, for every policy."""

from __future__ import annotations

from typing import Any

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.config.registry import TypeRegistry
from proxy_core.network.settings import ConnectionSettings
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.host import FAILED_ACTIVE_HC
from proxy_core.upstream.manager import ClusterManager
from proxy_core.upstream.reasons import why_host
from tests.support.engine import Json, address, cluster


def made(*hosts: Json, **fields: Any) -> Cluster:
    config = {**cluster(*hosts), **fields}
    found = ClusterManager(StatsStore(SimulatedClock()), ConnectionSettings()).add(decode(ClusterConfig, config, TypeRegistry()))
    found.start()
    return found


@pytest.mark.parametrize("policy, rule", [
    ("ROUND_ROBIN", "ROUND_ROBIN: it was its turn"),
    ("LEAST_REQUEST", "LEAST_REQUEST: the fewest connections of those looked at"),
    ("RANDOM", "RANDOM: by chance"),
    ("RING_HASH", "RING_HASH: its place on the ring follows the connection's hash"),
    ("MAGLEV", "MAGLEV: the table has it at the connection's hash"),
])
def test_each_policy_has_its_rule(policy: str, rule: str) -> None:
    one = made(address(1), address(2), lb_policy=policy)
    assert why_host(one, one.hosts[0]) == f"{rule}, among 2 healthy of 2 hosts"


def test_a_subset_comes_before_the_policy_within_it() -> None:
    one = made(address(1), lb_policy="RANDOM", lb_subset_config={"subset_selectors": [{"keys": ["a"]}]})
    assert why_host(one, one.hosts[0]).startswith("of the subset its metadata is in, RANDOM: by chance")


def test_what_is_special_about_the_host_is_said() -> None:
    def locality(port: int, **fields: Any) -> Json:
        return {"lb_endpoints": [{"endpoint": {"address": address(port)}, "load_balancing_weight": 3}], **fields}

    endpoints = [locality(1), locality(2, priority=1, locality={"region": "r", "zone": "z"})]
    one = made(load_assignment={"cluster_name": "c", "endpoints": endpoints})
    host = one.hosts[1]
    host.flags |= FAILED_ACTIVE_HC
    one.refresh()
    assert why_host(one, host) == (
        "ROUND_ROBIN: it was its turn, among 0 healthy of 1 hosts, priority 1 of 0 to 1, weight 3, locality r/z, "
        "it is /failed_active_hc now"
    )


def test_a_host_that_has_left_is_said_to_have() -> None:
    one = made(address(1))
    host = one.hosts[0]
    one.update_hosts([])
    assert why_host(one, host) == "ROUND_ROBIN: it was its turn; it has left the cluster since"


def test_where_the_client_wanted_to_go_needs_no_choice() -> None:
    one, other = made(address(1)), made(address(2))
    one.uses_info = True
    assert why_host(one, other.hosts[0]) == "ORIGINAL_DST: where the client wanted to go"
