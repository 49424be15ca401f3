"""From files and command line to a bootstrap: reading, merging, the two stages of problems, warnings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.config.load import Loaded, decode_bootstrap, load_bootstrap
from proxy_core.config.merge import merge
from proxy_core.config.model.bootstrap import Bootstrap
from proxy_core.config.model.cluster import Cluster
from proxy_core.config.model.core import TransportSocket
from proxy_core.errors import ConfigError
from tests.unit.config.config_samples import ANY, registry


def write(tmp_path: Path, value: Any, name: str = "c.json") -> str:
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def messages(path: str = "", inline: str = "") -> List[str]:
    with pytest.raises(ConfigError) as caught:
        load_bootstrap(path, inline, registry())
    return [str(problem) for problem in caught.value.problems]


def merged(base: Dict[str, Any], over: Dict[str, Any]) -> Dict[str, Any]:
    return merge(Bootstrap, base, over)


def test_the_smallest_configuration_is_an_empty_object(tmp_path: Path) -> None:
    assert load_bootstrap(write(tmp_path, "{}"), "", registry()) == Loaded(Bootstrap(), {}, [])
    assert load_bootstrap("", "{}", registry()).bootstrap == Bootstrap()
    assert load_bootstrap(write(tmp_path, "{}", "c.yaml"), "", registry()).raw == {}


def test_the_name_of_the_schema_is_allowed_and_not_part_of_the_configuration(tmp_path: Path) -> None:
    path = write(tmp_path, {"$schema": "s.json", "node": {"id": "a"}})
    assert load_bootstrap(path, '{"$schema": "t"}', registry()).raw == {"node": {"id": "a"}}
    assert messages(write(tmp_path, {"node": {"$schema": "x"}})) == ["node.$schema: unknown field `$schema`"]


def test_nothing_given_is_envoys_sentence() -> None:
    assert messages() == [
        "At least one of --config-path or --config-yaml or Options::configProto() should be non-empty"
    ]


def test_files_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.json")
    assert messages(missing) == [f"Invalid path: {missing}"]
    assert messages(str(tmp_path)) == [f"unable to read file: {tmp_path} (Is a directory)"]
    assert messages("a\0b")[0].startswith("unable to read file: a\0b (embedded null")
    if os.geteuid() != 0:
        locked = tmp_path / "locked.json"
        locked.write_text("{}")
        locked.chmod(0)
        assert messages(str(locked)) == [f"unable to read file: {locked} (Permission denied)"]


def test_a_broken_file_and_a_broken_inline_text_say_which_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, "{")
    assert messages(path)[0].startswith(f"{path}: not JSON at line 1, column 2")
    assert messages(write(tmp_path, "{}"), "x: 1")[0].startswith("--config-yaml: not JSON at line 1")
    assert messages("", "[]") == ["--config-yaml: expected an object, found []"]


def test_the_inline_part_is_merged_over_the_file(tmp_path: Path) -> None:
    base = {"node": {"id": "a", "cluster": "x"}, "static_resources": {"clusters": [{"name": "one"}]}}
    over = {"node": {"id": "b"}, "staticResources": {"clusters": [{"name": "two"}]}, "admin": {}}
    loaded = load_bootstrap(write(tmp_path, base), json.dumps(over), registry())
    assert loaded.raw == {
        "node": {"id": "b", "cluster": "x"},
        "static_resources": {"clusters": [{"name": "one"}, {"name": "two"}]},
        "admin": {},
    }


def test_problems_of_a_merged_configuration_have_paths_in_the_merged_one(tmp_path: Path) -> None:
    base = {"static_resources": {"clusters": [{"name": "one"}]}}
    over = {"static_resources": {"clusters": [{"name": "two", "zzzz": 1}]}}
    found = messages(write(tmp_path, base), json.dumps(over))
    assert found == ["static_resources.clusters[1].zzzz: unknown field `zzzz`"]


@pytest.mark.parametrize(
    "base, over, result",
    [
        ({"admin": {"ignore_global_conn_limit": True}}, {"admin": {"ignore_global_conn_limit": False}},
         {"admin": {"ignore_global_conn_limit": True}}),
        ({"node": {"id": "a"}}, {"node": {"id": ""}}, {"node": {"id": "a"}}),
        ({"node": {"id": "a"}}, {"node": None}, {"node": {"id": "a"}}),
        ({"node": {"id": "a"}}, {"node": {"id": 5}}, {"node": {"id": 5}}),
        ({"stats_flush_interval": "1s"}, {"statsFlushInterval": "2s"}, {"stats_flush_interval": "2s"}),
        ({"admin": {"address": {"pipe": {"path": "/a"}}}},
         {"admin": {"address": {"socket_address": {"address": "::1", "port_value": 1}}}},
         {"admin": {"address": {"socket_address": {"address": "::1", "port_value": 1}}}}),
        ({"node": {"metadata": {"a": {"x": 1}, "b": 1}}}, {"node": {"metadata": {"a": {"y": 1}}}},
         {"node": {"metadata": {"a": {"y": 1}, "b": 1}}}),
        ({"overload_manager": {"resource_monitors": [{"name": "a", "typed_config": ANY}]}},
         {"overload_manager": {"resource_monitors": [{"name": "b"}]}},
         {"overload_manager": {"resource_monitors": [{"name": "a", "typed_config": ANY}, {"name": "b"}]}}),
        ({"static_resources": []}, {"static_resources": {"clusters": []}},
         {"static_resources": {"clusters": []}}),
        ({"static_resources": {"clusters": 5}}, {"static_resources": {"clusters": [{}]}},
         {"static_resources": {"clusters": 5}}),
        ({"static_resources": {"clusters": [{}]}}, {"static_resources": {"clusters": 5}},
         {"static_resources": {"clusters": 5}}),
        ({"zzz": 1}, {"yyy": 2, "dynamicResources": {"a": 1}},
         {"zzz": 1, "yyy": 2, "dynamicResources": {"a": 1}}),
        ({"default_config_source": {"a": 1}}, {"defaultConfigSource": {"b": 1}}, {"default_config_source": {"b": 1}}),
    ],
)
def test_merging_follows_protobufs_merge_from(base: Any, over: Any, result: Any) -> None:
    before = json.dumps(base)
    assert merged(base, over) == result
    assert json.dumps(base) == before


def test_maps_are_merged_by_key_and_the_value_of_an_any_is_replaced_whole() -> None:
    base = {"typed_extension_protocol_options": {"a": {"@type": "x/A", "n": 1}, "b": {"@type": "x/B"}}}
    over = {"typedExtensionProtocolOptions": {"a": {"@type": "x/C"}}}
    options = merge(Cluster, base, over)["typed_extension_protocol_options"]
    assert options == {"a": {"@type": "x/C"}, "b": {"@type": "x/B"}}
    socket = merge(TransportSocket, {"name": "t", "typed_config": {"a": 1}}, {"typed_config": {"b": 1}})
    assert socket == {"name": "t", "typed_config": {"b": 1}}


def test_decoding_and_checking_are_reported_together_without_echoes() -> None:
    raw = {
        "static_resources": {
            "listeners": [
                {"adress": {}, "filter_chains": [{}], "zzzz": 1},
                {"address": {"socket_address": {"address": "localhost", "port_value": "x"}}},
            ],
            "clusters": [{"name": "c"}, {"name": "c", "connect_timeout": 5}, 7],
        }
    }
    with pytest.raises(ConfigError) as caught:
        decode_bootstrap(raw, registry())
    assert [problem.path for problem in caught.value.problems] == [
        "static_resources.listeners[0].adress",
        "static_resources.listeners[0].zzzz",
        "static_resources.listeners[1].address.socket_address.port_value",
        "static_resources.clusters[1].connect_timeout",
        "static_resources.clusters[2]",
        "static_resources.clusters[1].name",
        "static_resources.listeners[1].filter_chains",
        "static_resources.listeners[1].address.socket_address.address",
    ]


def test_warnings_come_from_both_stages_and_unknown_fields_are_among_them_if_allowed() -> None:
    raw = {
        "zzzz": 1,
        "admin": {"access_log_path": "/dev/null"},
        "cluster_manager": {"local_cluster_name": "nosuch"},
        "static_resources": {"clusters": [{"name": "such"}]},
    }
    loaded = decode_bootstrap(raw, registry(), allow_unknown=True)
    assert [str(warning) for warning in loaded.warnings] == [
        "zzzz: unknown field `zzzz` is ignored",
        "admin.access_log_path: Using deprecated option 'envoy.config.bootstrap.v3.Admin.access_log_path'",
        "cluster_manager.local_cluster_name: unknown cluster 'nosuch': connections to it will fail until "
        "there is one (did you mean `such`?)",
    ]
    with pytest.raises(ConfigError):
        decode_bootstrap(raw, registry())
