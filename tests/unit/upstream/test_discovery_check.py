"""Discovery settings that can't work are refused with Envoy's sentences."""

from __future__ import annotations

from typing import Any

import pytest

from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.errors import ConfigError
from proxy_core.upstream.cluster import problems
from tests.support.discovered import Found, Json, assignment, endpoint, named

EDS = {"eds_config": {"path_config_source": {"path": "/x"}}}
RESOLVER = "type.googleapis.com/envoy.extensions.network.dns_resolver."


@pytest.fixture(scope="module")
def found() -> Found:
    return Found()


@pytest.mark.parametrize("tree, path, text", [
    (named("LOGICAL_DNS", endpoint("a"), endpoint("b")), "c.load_assignment.endpoints",
     "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint"),
    ({"name": "c", "type": "LOGICAL_DNS"}, "c.load_assignment", "LOGICAL_DNS clusters must have a single host"),
    ({"name": "c", "type": "EDS"}, "c.eds_cluster_config", "cannot create an EDS cluster without an EDS config"),
    (named("STATIC", eds_cluster_config=EDS), "c.eds_cluster_config", "eds_cluster_config set in a non-EDS cluster"),
    ({"name": "c", "type": "ORIGINAL_DST"}, "c.lb_policy", "Only 'CLUSTER_PROVIDED' is allowed"),
    (named("ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED"), "c.load_assignment",
     "ORIGINAL_DST clusters must have no load assignment configured"),
    (named("STATIC", lb_policy="CLUSTER_PROVIDED"), "c.lb_policy", "cluster 'c' did not provide one"),
    ({"name": "c", "cluster_type": {"name": "bogus"}}, "c.cluster_type.name",
     "Didn't find a registered cluster factory implementation for name: 'bogus'"),
    ({"name": "c", "type": "STRICT_DNS", "load_assignment": assignment(
        "c", {"endpoint": {"address": {"pipe": {"path": "/x"}}}})},
     "c.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address", "a name to look up"),
    (named("STATIC", {"endpoint_name": "nobody"}), "c.load_assignment.endpoints[0].lb_endpoints[0].endpoint_name",
     "there is no named endpoint 'nobody'"),
    (named("STRICT_DNS", endpoint("a"), typed_dns_resolver_config={"name": "x", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster"}}),
     "c.typed_dns_resolver_config.typed_config", "is not a DNS resolver"),
])
def test_what_can_not_work_is_refused_with_its_path(found: Found, tree: Json, path: str, text: str) -> None:
    problem, = problems(found.config(tree), "c")
    assert problem.path == path and text in problem.message


@pytest.mark.parametrize("tree, text", [
    ({"dns_refresh_rate": "0.001s"}, "dns_refresh_rate"),
    ({"dns_refresh_rate": "0s"}, "dns_refresh_rate"),
    ({"dns_jitter": "-1s"}, "positive duration"),
    ({"dns_failure_refresh_rate": {"base_interval": "5s", "max_interval": "1s"}},
     "dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval"),
    ({"dns_failure_refresh_rate": {}}, "base_interval"),
    ({"dns_lookup_family": "V5_ONLY"}, "dns_lookup_family"),
    ({"cleanup_interval": "0s"}, "cleanup_interval"),
    ({"eds_cluster_config": {}}, "eds_config"),
    ({"original_dst_lb_config": {"upstream_port_override": 65536}}, "upstream_port_override"),
    ({"original_dst_lb_config": {"use_http_header": True}}, "does not support yet"),
    ({"typed_dns_resolver_config": {"name": "x", "typed_config": {
        "@type": f"{RESOLVER}cares.v3.CaresDnsResolverConfig",
        "resolvers": [{"socket_address": {"address": "1.1.1.1", "port_value": 53}}]}}}, "does not support yet"),
])
def test_fields_out_of_range_are_refused_when_they_are_read(found: Found, tree: Json, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        found.config({"name": "c", **tree})
    assert text in str(caught.value)


@pytest.mark.parametrize("fields", [
    {"typed_dns_resolver_config": {"name": "x", "typed_config": {
        "@type": f"{RESOLVER}getaddrinfo.v3.GetAddrInfoDnsResolverConfig"}}},
    {"typed_dns_resolver_config": {"name": "x", "typed_config": {
        "@type": f"{RESOLVER}cares.v3.CaresDnsResolverConfig", "query_tries": 2}}},
    {"respect_dns_ttl": True, "dns_jitter": "1s", "wait_for_warm_on_init": False},
])
def test_resolvers_and_settings_that_make_no_difference_are_taken(found: Found, fields: Json) -> None:
    assert problems(found.config(named("STRICT_DNS", endpoint("a"), **fields)), "c") == []


@pytest.mark.parametrize("name, kind", [
    ("envoy.cluster.static", "STATIC"), ("envoy.cluster.strict_dns", "STRICT_DNS"),
    ("envoy.cluster.logical_dns", "LOGICAL_DNS"), ("envoy.cluster.eds", "EDS"),
    ("envoy.cluster.original_dst", "ORIGINAL_DST"), ("envoy.cluster.dns", "STRICT_DNS"),
])
def test_a_type_may_be_given_by_its_extension(found: Found, name: str, kind: str) -> None:
    config: ClusterConfig = found.config({"name": "c", "cluster_type": {"name": name}})
    assert config.discovery_type == kind
