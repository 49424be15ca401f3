"""/config_dump and /listeners of listeners that change: Envoy's states, its order, and what was refused."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List

import pytest

from proxy_core.admin.listener_dump import listeners_dump
from proxy_core.config.load import decode_bootstrap
from proxy_core.server.extensions import Extensions
from proxy_core.server.options import Options
from proxy_core.server.server import Server
from tests.support.engine import listener, network_filter
from tests.support.updates import Updated

ECHO = network_filter("echo")


@pytest.fixture
def engine() -> Iterator[Updated]:
    one = Updated(listener(ECHO, name="static"))
    one.start()
    yield one
    one.close()


def dumped(engine: Updated, wanted: str = "") -> Dict[str, Any]:
    tree = listeners_dump(engine.listeners, lambda name: not wanted or name == wanted)
    assert json.loads(json.dumps(tree)) == tree
    return tree


def states(engine: Updated) -> List[Any]:
    """(name, {state: version or details}) of each dynamic listener."""
    found = []
    for one in dumped(engine).get("dynamic_listeners", []):
        kept = {
            field: value.get("version_info", value.get("details")) for field, value in one.items() if field != "name"
        }
        found.append((one.get("name"), kept))
    return found


def test_static_and_dynamic_listeners_and_the_version_of_the_update(engine: Updated) -> None:
    assert list(dumped(engine)) == ["static_listeners"]
    engine.push(listener(ECHO, name="a"), version="7")
    tree = dumped(engine)
    assert list(tree) == ["version_info", "static_listeners", "dynamic_listeners"]
    assert tree["version_info"] == "7"
    assert tree["static_listeners"][0]["listener"]["name"] == "static"
    active = tree["dynamic_listeners"][0]["active_state"]
    assert list(active) == ["version_info", "listener", "last_updated"]
    assert active["listener"]["@type"] == "type.googleapis.com/envoy.config.listener.v3.Listener"
    assert active["last_updated"] == "1970-01-01T00:16:40.000Z"


def test_what_drains_and_what_was_refused_stand_with_the_listener_of_that_name(engine: Updated) -> None:
    engine.push(listener(ECHO, name="a"), listener(ECHO, name="b"), version="1")
    engine.push(listener(ECHO, name="a", stat_prefix="s"), version="2")
    assert states(engine) == [
        ("a", {"active_state": "2", "draining_state": "1"}), ("b", {"draining_state": "1"}),
    ]
    bad = {**listener(name="a"), "filter_chains": []}
    other = {**listener(name="x"), "filter_chains": []}
    engine.push(bad, other, other, version="3")
    why = "error adding listener '127.0.0.1:0': no filter chains specified"
    assert states(engine) == [
        ("a", {"active_state": "2", "draining_state": "1", "error_state": why}), ("b", {"draining_state": "1"}),
        ("x", {"error_state": why}), (None, {"error_state": why}), (None, {"error_state": why}),
        (None, {"error_state": "duplicate listener x found"}),
    ]
    error = dumped(engine)["dynamic_listeners"][0]["error_state"]
    assert list(error) == ["failed_configuration", "last_update_attempt", "details"]
    assert "filter_chains" not in error["failed_configuration"]
    assert dumped(engine)["version_info"] == "2"
    assert [one.get("name") for one in dumped(engine, "x")["dynamic_listeners"]] == ["x", None, None]


def test_a_configuration_that_could_not_be_read_is_shown_as_it_came(engine: Updated) -> None:
    engine.push(listener(ECHO, name="a", drain_type="NEVER"))
    error = dumped(engine)["dynamic_listeners"][0]["error_state"]
    assert error["failed_configuration"]["drain_type"] == "NEVER"
    assert error["details"].startswith("resources[0].drain_type: expected ")


def test_dynamic_listeners_without_a_node_or_a_file_are_refused_with_envoys_sentences() -> None:
    config = {"dynamic_resources": {"lds_config": {"path_config_source": {"path": "/nowhere/lds.json"}}}}
    extensions = Extensions()
    loaded = decode_bootstrap(config, extensions.types(), False, extensions.is_terminal)
    with pytest.raises(Exception) as caught:
        Server(loaded, Options(), extensions)
    problems: Any = getattr(caught.value, "problems")
    assert [problem.path for problem in problems] == ["dynamic_resources.lds_config.path_config_source.path", "node"]
    assert problems[0].message == "paths must refer to an existing path in the system: '/nowhere/lds.json' does not exist"
    assert problems[1].message.startswith("node 'id' and 'cluster' are required.")
