"""/config_dump of clusters and their hosts: static and dynamic ones apart, warming ones by themselves, hosts as they are now."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from proxy_core.admin.cluster_dump import clusters_dump, endpoints_dump
from proxy_core.upstream.manager import Source
from tests.support.discovered import Found, Json, endpoint, named

TYPE = "type.googleapis.com/envoy.config."


def all_of(name: str) -> bool:
    return True


@pytest.fixture
def found() -> Found:
    made = Found()
    made.add(named("STATIC", endpoint("10.0.0.1"), name="fixed"))
    made.manager.initialization.complete()
    return made


def commit(found: Found, tree: Json, version: str = "7") -> None:
    found.manager.commit(found.manager.prepare(found.config(tree), ""), Source(True, version, 1.5))


def names(tree: Dict[str, Any], field: str) -> List[str]:
    return [item["cluster"]["name"] for item in tree.get(field, [])]


def test_clusters_stand_where_they_come_from(found: Found) -> None:
    commit(found, named("STATIC", endpoint("10.0.0.2"), name="b"))
    commit(found, named("STATIC", endpoint("10.0.0.3"), name="a"))
    commit(found, named("STRICT_DNS", endpoint("a.test"), name="warming"))
    found.manager.version_info = "7"
    tree = clusters_dump(found.manager, 0.0, all_of)
    assert names(tree, "static_clusters") == ["fixed"]
    assert names(tree, "dynamic_active_clusters") == ["a", "b"]
    assert names(tree, "dynamic_warming_clusters") == ["warming"]
    assert tree["version_info"] == "7"
    first = tree["dynamic_active_clusters"][0]
    assert first["version_info"] == "7" and first["last_updated"] == "1970-01-01T00:00:01.500Z"
    assert first["cluster"]["@type"] == f"{TYPE}cluster.v3.Cluster"


def test_without_cds_there_is_nothing_but_the_static_ones(found: Found) -> None:
    assert list(clusters_dump(found.manager, 0.0, all_of)) == ["static_clusters"]
    assert list(endpoints_dump(found.manager, all_of)) == ["static_endpoint_configs"]
    assert clusters_dump(found.manager, 0.0, lambda name: False) == {}
    assert endpoints_dump(found.manager, lambda name: False) == {}


def test_hosts_are_dumped_as_they_are_now_with_metadata_and_policy(found: Found) -> None:
    metadata = {"filter_metadata": {"envoy.lb": {"canary": True}}}
    commit(found, named(
        "STATIC", endpoint("10.0.0.2", hostname="h", metadata=metadata, load_balancing_weight=3), name="b",
    ))
    cluster = found.manager.get("b")
    assert cluster is not None
    cluster.hosts[0].health = "DEGRADED"
    static, = endpoints_dump(found.manager, lambda name: name == "fixed")["static_endpoint_configs"]
    assert static["endpoint_config"]["policy"] == {"overprovisioning_factor": 140}
    dynamic, = endpoints_dump(found.manager, all_of)["dynamic_endpoint_configs"]
    group, = dynamic["endpoint_config"]["endpoints"]
    assert group["lb_endpoints"] == [{
        "endpoint": {
            "address": {"socket_address": {"address": "10.0.0.2", "port_value": 80}},
            "health_check_config": {}, "hostname": "h",
        },
        "health_status": "DEGRADED", "metadata": metadata, "load_balancing_weight": 3,
    }]


def test_an_assignment_has_the_name_of_the_service_that_delivers_it(found: Found) -> None:
    eds = {"eds_config": {"path_config_source": {"path": "/x"}}, "service_name": "service"}
    commit(found, {"name": "e", "type": "EDS", "eds_cluster_config": eds})
    commit(found, {"name": "o", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"})
    dumped = endpoints_dump(found.manager, all_of)["dynamic_endpoint_configs"]
    assert [one["endpoint_config"]["cluster_name"] for one in dumped] == ["service", "o"]
    assert "endpoints" not in dumped[0]["endpoint_config"]
