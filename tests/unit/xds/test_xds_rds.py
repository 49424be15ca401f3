"""RDS files: what Envoy 1.40.0 takes, refuses and counts; who asks the same shares one table; nobody keeps one alive in vain."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any, Collection, Dict, List, Optional

import pytest

from proxy_core.config.model.route import RouteConfiguration
from proxy_core.errors import ConfigError, Problem
from proxy_core.xds.rds import DynamicRoutes, RouteConfigs
from tests.support.watched_file import WatchedFile

TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
Json = Dict[str, Any]


class Prepared:
    """A table as it would be prepared: who asked for it is not asked here."""

    def __init__(self, config: RouteConfiguration) -> None:
        self.name = config.name
        self.hosts = [host.name for host in config.virtual_hosts]
        self.internal_only_headers: Collection[str] = ()

    def route(self, head: Any, info: Any, random_value: int) -> None:
        raise AssertionError("nobody asks")


def prepare(config: RouteConfiguration, path: str) -> Prepared:
    if any(host.name == "bad" for host in config.virtual_hosts):
        raise ConfigError([Problem(f"{path}.virtual_hosts[0]", "it is bad")])
    return Prepared(config)


def response(*tables: Json, version: str = "1", type_url: str = TYPE) -> bytes:
    return json.dumps({"version_info": version, "resources": [{"@type": type_url, **tree} for tree in tables]}).encode()


def named(name: str = "r1", *hosts: str, **fields: Any) -> Json:
    return {"name": name, "virtual_hosts": [{"name": host, "domains": [host]} for host in hosts], **fields}


class Rig(WatchedFile):
    """RDS with one file under simulated time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "rds.json")
        self.configs = RouteConfigs(self.files)

    def subscribe(self, name: str = "r1", prefix: str = "http.w") -> DynamicRoutes:
        return self.configs.dynamic(self.source, name, self.store.scope(prefix), prepare, "p.rds")

    def update(self, data: bytes) -> None:
        self.move_in(data)
        self.poll()

    def counts(self, prefix: str = "http.w.rds.r1") -> List[int]:
        """attempt, success, failure, rejected, empty, config_reload"""
        names = ("update_attempt", "update_success", "update_failure", "update_rejected", "update_empty", "config_reload")
        return self.counters(prefix, names)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def hosts(routes: DynamicRoutes) -> Optional[List[str]]:
    table = routes.table
    assert table is None or isinstance(table, Prepared)
    return None if table is None else table.hosts


def test_a_table_is_there_once_the_listeners_may_accept(rig: Rig) -> None:
    rig.move_in(response(named("r1", "a")))
    routes = rig.subscribe()
    assert routes.table is None and rig.counts() == [0] * 6
    rig.configs.start()
    assert hosts(routes) == ["a"] and rig.counts() == [1, 1, 0, 0, 0, 1]
    assert (routes.version, rig.store.texts["http.w.rds.r1.version_text"].value) == ("1", "1")
    assert rig.store.gauges["http.w.rds.r1.config_reload_time_ms"].value == int(rig.clock.now * 1000)


def test_a_listener_that_comes_later_has_its_table_at_once(rig: Rig) -> None:
    rig.configs.start()
    rig.move_in(response(named("r1", "a")))
    assert hosts(rig.subscribe()) == ["a"]


@pytest.mark.parametrize("data, counts", [
    (response(named("r1", "b"), version="2"), [2, 2, 0, 0, 0, 2]),
    (response(named("r1", "a"), version="2"), [2, 2, 0, 0, 0, 1]),  # the same table again
    (response(version="2"), [2, 2, 0, 0, 1, 1]),
    (response(named("r1"), named("r2")), [2, 1, 0, 1, 0, 1]),
    (response(named("other")), [2, 1, 0, 1, 0, 1]),
    (response(named("r1", "bad")), [2, 1, 0, 1, 0, 1]),
    (response(named("r1", virtual_hosts=[{"name": ""}])), [2, 1, 0, 1, 0, 1]),
    (response({}, type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster"), [2, 1, 0, 1, 0, 1]),
    (b"{", [2, 1, 1, 0, 0, 1]),
    (b'{"resources": [5]}', [2, 1, 1, 0, 0, 1]),
])
def test_an_update_is_taken_as_a_whole_or_the_old_table_stays(rig: Rig, data: bytes, counts: List[int]) -> None:
    rig.configs.start()
    rig.move_in(response(named("r1", "a")))
    routes = rig.subscribe()
    rig.update(data)
    assert rig.counts() == counts
    assert hosts(routes) == (["b"] if counts[5] == 2 else ["a"])
    assert routes.version == ("2" if counts[5] == 2 else "1")


@pytest.mark.parametrize("data", [b"{", response(named("r1", "bad")), response()])
def test_after_a_bad_first_answer_there_is_none_until_a_good_one(rig: Rig, data: bytes) -> None:
    rig.configs.start()
    rig.move_in(data)
    routes = rig.subscribe()
    assert routes.table is None and rig.configs.dynamic_routes() == []
    rig.update(response(named("r1", "a")))
    assert hosts(routes) == ["a"] and rig.configs.dynamic_routes() == [routes]


def test_unknown_fields_are_counted_and_ignored(rig: Rig) -> None:
    rig.configs.start()
    rig.move_in(response(named("r1", "a", nosuch=1)))
    assert hosts(rig.subscribe()) == ["a"] and rig.unknown.value == 1


def test_who_asks_the_same_shares_the_subscription_of_the_first(rig: Rig) -> None:
    rig.configs.start()
    rig.move_in(response(named("r1", "a")))
    first, second = rig.subscribe(), rig.subscribe(prefix="http.other")
    assert first is second and rig.counts() == [1, 1, 0, 0, 0, 1]
    assert "http.other.rds.r1.update_attempt" not in rig.store.counters
    assert rig.subscribe("r2") is not first


def test_a_table_that_nobody_uses_is_read_no_more(rig: Rig) -> None:
    rig.configs.start()
    rig.move_in(response(named("r1", "a")))
    routes = rig.subscribe()
    assert [routes] == rig.configs.dynamic_routes()
    del routes
    gc.collect()
    assert rig.configs.dynamic_routes() == []
    rig.update(response(named("r1", "b")))
    assert rig.counts() == [1, 1, 0, 0, 0, 1]
    assert hosts(rig.subscribe()) == ["b"]


def test_a_source_that_is_not_there_is_a_problem_of_the_configuration(rig: Rig) -> None:
    with pytest.raises(ConfigError) as refused:
        rig.subscribe()
    text = f"paths must refer to an existing path in the system: '{rig.path}' does not exist"
    assert [str(one) for one in refused.value.problems] == [f"p.rds.config_source.path_config_source.path: {text}"]


@pytest.mark.parametrize("data, problem", [
    (response(named("r1", "a")), None), (response(), None),
    (response(named("x")), "Unexpected RDS configuration (expecting r1): x"), (response(named("r1", "bad")), "it is bad"),
    (response(named("r1"), named("r1")), "Unexpected RDS resource length: 2"),
])
def test_validation_says_what_would_be_refused_and_uses_nothing(rig: Rig, data: bytes, problem: Optional[str]) -> None:
    rig.move_in(data)
    routes = rig.subscribe()
    found = [str(one) for one in rig.configs.check()]
    assert len(found) == (problem is not None) and all(problem in one for one in found if problem)
    assert routes.table is None and rig.counts() == [0] * 6


def test_written_tables_are_known_while_they_are_used(rig: Rig) -> None:
    used = [rig.configs.is_used]
    config = RouteConfiguration(name="s")
    routes = rig.configs.static(config, Prepared(config))
    assert [*used, rig.configs.is_used] == [False, True]
    assert rig.configs.static_routes() == [routes] and routes.table is not None
    del routes
    gc.collect()
    assert rig.configs.static_routes() == []


def test_nothing_is_read_any_more_after_the_end(rig: Rig) -> None:
    rig.configs.start()
    rig.move_in(response(named("r1", "a")))
    routes = rig.subscribe()
    rig.configs.close()
    rig.update(response(named("r1", "b")))
    assert hosts(routes) == ["a"]
