"""10,000 hosts by EDS: reading them (target: under 1 s), and an update that touches one of them (target: under 20 ms of the loop's
time; the file is decoded by a thread)."""

from __future__ import annotations

import json
import random
from typing import Any, Callable, Tuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.config.model.discovery import EdsClusterConfig
from proxy_core.config.registry import TypeRegistry
from proxy_core.event.background import Background
from proxy_core.event.reactor import Reactor
from proxy_core.network.settings import ConnectionSettings
from proxy_core.observe.stats import Scope, StatsStore
from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.discovery.eds import Assignment, Receive
from proxy_core.upstream.discovery.factory import Discoveries
from proxy_core.upstream.manager import ClusterManager
from proxy_core.upstream.resolver import Resolver
from proxy_core.xds.eds import EndpointDecoder

HOSTS = 10_000
TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


class Delivery:
    """A subscription that the benchmark delivers through."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive

    def start(self) -> None:
        """Nothing comes before the benchmark says so."""

    def close(self) -> None:
        """Nothing to give back."""


def file_of(version: int) -> bytes:
    """10,000 hosts, of which the first is another one in each version."""
    def entry(number: int, port: int) -> Any:
        ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        return {"endpoint": {"address": {"socket_address": {"address": ip, "port_value": port}}}}
    entries = [entry(0, 1000 + version % 60000), *(entry(number, 80) for number in range(1, HOSTS))]
    assignment = {"@type": TYPE, "cluster_name": "c", "endpoints": [{"lb_endpoints": entries}]}
    return json.dumps({"version_info": str(version), "resources": [assignment]}).encode()


def cluster(policy: str) -> Tuple[Cluster, Receive]:
    """An EDS cluster, and the way to deliver to it."""
    deliveries = []

    def subscribe(config: EdsClusterConfig, name: str, scope: Scope, receive: Receive, path: str) -> Delivery:
        deliveries.append(Delivery(receive))
        return deliveries[-1]
    reactor = Reactor()
    resolver = Resolver(Background(lambda callback: callback()))
    discoveries = Discoveries(reactor, resolver, random.Random(1), subscribe)
    manager = ClusterManager(StatsStore(lambda: 0.0), ConnectionSettings(), discoveries=discoveries)
    source = {"eds_config": {"path_config_source": {"path": "/x"}}}
    tree = {"name": "c", "type": "EDS", "lb_policy": policy, "eds_cluster_config": source}
    made = manager.add(decode(ClusterConfig, tree, TypeRegistry()))
    manager.start(lambda: None)
    return made, deliveries[0].receive


def decoder() -> Callable[[int], Assignment]:
    """Decodes one version after the other."""
    one = EndpointDecoder("c", TypeRegistry())

    def decoded(version: int) -> Assignment:
        found = one.decode(file_of(version), "eds.json").assignment
        assert found is not None
        return found
    return decoded


def test_ten_thousand_hosts_are_read(benchmark: BenchmarkFixture) -> None:
    data = file_of(1)

    def read() -> int:
        made, receive = cluster("ROUND_ROBIN")
        receive(EndpointDecoder("c", TypeRegistry()).decode(data, "eds.json").assignment)
        return len(made.hosts)
    pedantic: Any = benchmark.pedantic  # has no types
    assert pedantic(read, rounds=3) == HOSTS


def test_a_file_in_which_one_of_ten_thousand_hosts_changed_is_decoded(benchmark: BenchmarkFixture) -> None:
    one = EndpointDecoder("c", TypeRegistry())
    files = [file_of(version) for version in range(6)]
    one.decode(files[0], "eds.json")
    remaining = iter(files[1:])
    pedantic: Any = benchmark.pedantic
    pedantic(lambda data: one.decode(data, "eds.json"), setup=lambda: ((next(remaining),), {}), rounds=5)


@pytest.mark.parametrize("policy", ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"])
def test_an_update_that_touches_one_of_ten_thousand_hosts_is_applied(benchmark: BenchmarkFixture, policy: str) -> None:
    made, receive = cluster(policy)
    decoded = decoder()
    receive(decoded(0))
    versions = iter(range(1, 20))

    def apply(assignment: Assignment) -> None:
        receive(assignment)
        made.pick_host()
    pedantic: Any = benchmark.pedantic
    pedantic(apply, setup=lambda: ((decoded(next(versions)),), {}), rounds=10)
    assert len(made.hosts) == HOSTS
