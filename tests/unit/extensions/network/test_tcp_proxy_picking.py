"""What a session tells the balancer: the hash of the client, and the metadata that a host must have."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.extensions.network.tcp_proxy.config import TcpProxyConfig, _criteria, _routes
from proxy_core.extensions.network.tcp_proxy.picking import HashPolicy, Picking, ip_of
from proxy_core.hashing import xxhash64
from proxy_core.network.settings import ConnectionSettings
from proxy_core.observe.filter_state import FilterStateObject
from proxy_core.observe.stats import StatsStore
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.balancer.criteria import criteria_of
from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.manager import ClusterManager
from tests.support.balancing import configured

Json = Dict[str, Any]
SUBSETS: Json = {"lb_subset_config": {"subset_selectors": [{"keys": ["v"]}]}}


def cluster(**fields: Any) -> Cluster:
    return ClusterManager(StatsStore(SimulatedClock()), ConnectionSettings()).add(configured(**fields))


def picking(policy: Optional[Json] = None) -> Picking:
    return Picking([decode(HashPolicy, policy, TypeRegistry())] if policy is not None else [])


def info(address: str = "10.0.0.1:4711") -> StreamInfo:
    made = StreamInfo(1, 0.0, 0.0)
    made.downstream_remote_address = address
    return made


@pytest.mark.parametrize(("address", "ip"), [
    ("127.0.0.1:80", "127.0.0.1"), ("[2001:db8::1]:80", "2001:db8::1"), ("/run/x.sock", ""), ("@abstract", ""), ("", ""),
])
def test_the_ip_of_an_address_is_hashed_without_its_port(address: str, ip: str) -> None:
    assert ip_of(address) == ip
    found = picking({"source_ip": {}}).context(cluster(lb_policy="MAGLEV"), None, info(address))
    assert found is not None and found.hash == (xxhash64(ip.encode()) if ip else None)


def test_nothing_is_worked_out_for_a_balancer_that_does_not_ask() -> None:
    assert picking({"source_ip": {}}).context(cluster(), criteria_of({"v": 1}), info()) is None


@pytest.mark.parametrize(("value", "hashed"), [
    (FilterStateObject("text", hashable=True), True), (FilterStateObject("text"), False), (None, False),
])
def test_an_object_of_a_filter_is_hashed_if_it_can_be(value: Any, hashed: bool) -> None:
    facts = info()
    if value is not None:
        facts.set_filter_state("key", value)
    found = picking({"filter_state": {"key": "key"}}).context(cluster(lb_policy="RING_HASH"), None, facts)
    assert found is not None and found.hash == (xxhash64(b"text") if hashed else None)


def test_dynamic_metadata_is_put_over_that_of_the_configuration() -> None:
    facts = info()
    facts.set_dynamic_metadata("envoy.lb", {"v": 2})
    found = picking().context(cluster(**SUBSETS), criteria_of({"v": 1, "w": 1}), facts)
    assert found is not None and found.criteria == criteria_of({"v": 2, "w": 1}) and found.hash is None
    without = picking().context(cluster(**SUBSETS), None, info())
    assert without is not None and without.criteria is None


def metadata(**values: Any) -> Json:
    return {"filter_metadata": {"envoy.lb": values}}


def test_the_metadata_of_a_weighted_cluster_is_put_over_that_of_the_filter() -> None:
    config = decode(TcpProxyConfig, {
        "stat_prefix": "t", "metadata_match": metadata(v="1", s="x"),
        "weighted_clusters": {"clusters": [
            {"name": "a", "weight": 1, "metadata_match": metadata(v="2")}, {"name": "b", "weight": 1},
        ]},
    }, TypeRegistry())
    routes = _routes(config, _criteria(config.metadata_match))
    assert [(route.cluster, route.criteria) for route in routes] == [
        ("a", criteria_of({"v": "2", "s": "x"})), ("b", criteria_of({"v": "1", "s": "x"})),
    ]


@pytest.mark.parametrize("policies", [[{"source_ip": {}}, {"source_ip": {}}], [{}], [{"filter_state": {"key": ""}}]])
def test_hash_policies_that_envoy_refuses_are_refused(policies: List[Json]) -> None:
    config = {"stat_prefix": "t", "cluster": "c", "hash_policy": policies}
    with pytest.raises(ConfigError):
        decode(TcpProxyConfig, config, TypeRegistry())
