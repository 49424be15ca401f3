"""CDS responses: clusters come, change and go as a whole list, and what is refused stays what it was."""

from __future__ import annotations

import json
from typing import Any, List

import pytest

from proxy_core.config.load import decode_bootstrap
from proxy_core.errors import ConfigError
from proxy_core.server.extensions import Extensions
from proxy_core.xds.cds import CdsApi
from proxy_core.xds.response import Rejected
from tests.support.discovered import Found, Json, addresses, endpoint, named
from tests.support.running import bootstrap, tcp_listener

TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


class Updated(Found):
    """A manager that is running, with one static cluster "static"."""

    def __init__(self) -> None:
        super().__init__()
        self.manager.add(self.config(static("static", "10.0.0.100")))
        self.manager.initialization.complete()
        self.applied = 0
        self.api = CdsApi(
            self.manager, self.types, self.clock, self.store.scope("cluster_manager.cds"), self._on_applied
        )

    def _on_applied(self) -> None:
        self.applied += 1

    def update(self, *trees: Json, version: str = "1") -> List[str]:
        """What was ignored."""
        data = json.dumps({"version_info": version, "resources": [{"@type": TYPE, **tree} for tree in trees]})
        response = self.api.decode(data.encode(), "cds.json")
        self.api.on_update(response)
        return [warning.message for warning in response.warnings]

    def clusters(self) -> List[str]:
        return [cluster.name for cluster in self.manager.clusters()]

    def counts(self) -> List[int]:
        return [self.value(f"cluster_manager.cluster_{name}") for name in ("added", "modified", "removed")]


def static(name: str, ip: str = "10.0.0.1", **fields: Any) -> Json:
    return named("STATIC", endpoint(ip), name=name, **fields)


@pytest.fixture
def cds() -> Updated:
    return Updated()


def test_a_response_is_the_whole_list(cds: Updated) -> None:
    cds.update(static("a"), static("b"))
    assert cds.clusters() == ["a", "b", "static"] and cds.counts() == [3, 0, 0]
    kept = cds.manager.get("a")
    cds.update(static("a"), static("c"), version="2")
    assert cds.clusters() == ["a", "c", "static"] and cds.counts() == [4, 0, 1]
    assert cds.manager.get("a") is kept
    cds.update(version="3")
    assert cds.clusters() == ["static"] and cds.counts() == [4, 0, 3]
    assert cds.manager.version_info == "3" and cds.applied == 3
    assert cds.value("cluster_manager.cds.config_reload") == 2


def test_a_changed_cluster_is_replaced_and_an_unchanged_one_is_left_alone(cds: Updated) -> None:
    cds.update(static("a"))
    old = cds.manager.get("a")
    cds.update(static("a"), version="2")
    assert cds.manager.get("a") is old and cds.manager.version_info == "1"
    cds.update(static("a", "10.0.0.2"), version="3")
    new = cds.manager.get("a")
    assert new is not None and new is not old and addresses(new) == ["10.0.0.2:80"]
    assert cds.counts() == [2, 1, 0]
    assert cds.manager.active["a"].source.version_info == "3"


def test_a_cluster_of_the_bootstrap_is_neither_changed_nor_removed(cds: Updated) -> None:
    old = cds.manager.get("static")
    cds.update(static("static", "10.0.0.7"))
    cds.update(version="2")
    assert cds.manager.get("static") is old and cds.counts() == [1, 0, 0]


def test_the_second_of_two_with_one_name_is_refused_and_the_rest_is_in_force(cds: Updated) -> None:
    with pytest.raises(Rejected) as caught:
        cds.update(static("a", "10.0.0.1"), static("a", "10.0.0.2"), static("b"))
    assert str(caught.value) == "Error adding/updating cluster(s) a: duplicate cluster a found"
    found = cds.manager.get("a")
    assert cds.clusters() == ["a", "b", "static"] and found is not None and addresses(found) == ["10.0.0.1:80"]
    assert cds.value("cluster_manager.cds.config_reload") == 0


def test_one_that_can_not_be_built_is_refused_alone_and_its_old_version_stays(cds: Updated) -> None:
    cds.update(static("a"), static("b"))
    old = cds.manager.get("a")
    with pytest.raises(Rejected) as caught:
        cds.update(static("a", "localhost"), static("c"), version="2")
    assert "malformed IP address: localhost" in str(caught.value)
    assert cds.manager.get("a") is old and cds.clusters() == ["a", "c", "static"]
    assert cds.manager.version_info == "2" and cds.manager.active["a"].source.version_info == "1"
    assert cds.counts() == [4, 1, 1]  # Envoy counts the one it refused, too


@pytest.mark.parametrize("bad", [
    {"name": ""}, {"name": "x", "connect_timeout": "-1s"}, {"name": "x", "lb_policy": "NOBODY"}, {"name": 5},
])
def test_one_that_is_no_cluster_at_all_refuses_the_whole_response(cds: Updated, bad: Json) -> None:
    cds.update(static("a"))
    with pytest.raises(Rejected):
        cds.update(static("b"), bad, version="2")
    assert cds.clusters() == ["a", "static"] and cds.manager.version_info == "1"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"resources": 5}', b'{"resources": [{"name": "c"}]}'])
def test_what_is_no_response_is_a_failure(cds: Updated, data: bytes) -> None:
    with pytest.raises(ConfigError):
        cds.api.decode(data, "cds.json")


def test_resources_of_another_type_are_rejected(cds: Updated) -> None:
    data = b'{"resources": [{"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "c"}]}'
    with pytest.raises(Rejected):
        cds.api.decode(data, "cds.json")


def test_an_unknown_field_is_a_warning_and_the_cluster_is_taken(cds: Updated) -> None:
    warning, = cds.update(static("a", bogus=1))
    assert "a" in cds.clusters() and warning.startswith("unknown field `bogus`")


def test_a_cluster_that_warms_is_in_use_when_its_hosts_are_known(cds: Updated) -> None:
    cds.update(named("STRICT_DNS", endpoint("a.test"), name="dns"))
    assert cds.clusters() == ["static"] and cds.value("cluster_manager.warming_clusters") == 1
    cds.background.finish()
    assert cds.clusters() == ["dns", "static"]


def test_one_that_still_warms_may_be_changed_or_removed_by_the_next_response(cds: Updated) -> None:
    warming = named("STRICT_DNS", endpoint("a.test"), name="dns")
    cds.update(warming)
    cds.update(warming, version="2")
    assert cds.counts() == [2, 0, 0]  # the same: nothing to do
    cds.update({**warming, "connect_timeout": "3s"}, version="3")
    assert cds.counts() == [2, 1, 0]
    cds.update(version="4")
    cds.background.finish()
    assert cds.clusters() == ["static"] and cds.counts() == [2, 1, 1]


def test_checking_a_response_changes_nothing(cds: Updated) -> None:
    data = json.dumps({"resources": [{"@type": TYPE, **static("a", "localhost")}]}).encode()
    problem, = cds.api.check(cds.api.decode(data, "cds.json"))
    assert "malformed IP address" in problem.message and cds.clusters() == ["static"]


@pytest.mark.parametrize("has_cds", [True, False])
def test_a_cluster_that_is_not_declared_is_no_mistake_where_it_may_come_later(has_cds: bool) -> None:
    extensions = Extensions()
    source = {"path_config_source": {"path": "/etc/cds.json"}}
    tree = bootstrap([tcp_listener("main", "later")])
    if has_cds:
        tree["dynamic_resources"] = {"cds_config": source}
    loaded = decode_bootstrap(tree, extensions.types(), False, extensions.is_terminal)
    assert [problem.message[:23] for problem in loaded.warnings] == ([] if has_cds else ["unknown cluster 'later'"])
