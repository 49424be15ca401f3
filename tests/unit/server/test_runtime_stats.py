"""`runtime.*`: what Envoy says about its layers."""

from __future__ import annotations

from typing import Dict

from proxy_core.config.decode import decode
from proxy_core.config.model.bootstrap import LayeredRuntime
from proxy_core.config.registry import TypeRegistry
from proxy_core.observe.stat_names_server import RuntimeStats
from proxy_core.observe.stats import StatsStore
from proxy_core.server.runtime import Runtime

LAYERS = {"layers": [{"name": "base", "static_layer": {"a": {"b": 1, "c": "text"}}}, {"name": "adm", "admin_layer": {}}]}


def shown(stats: RuntimeStats) -> Dict[str, int]:
    return {name: getattr(stats, name).value for name in RuntimeStats.__slots__}


def test_keys_layers_and_loads_are_counted_and_change_with_the_admin_layer() -> None:
    stats = RuntimeStats(StatsStore(lambda: 0.0).scope("runtime"))
    runtime = Runtime(decode(LayeredRuntime, LAYERS, TypeRegistry()), stats)
    first = {"load_success": 2, "override_dir_not_exists": 2, "admin_overrides_active": 0, "num_keys": 2, "num_layers": 2}
    assert shown(stats) == first
    assert runtime.modify({"k": "v", "a.b": "9"})
    assert shown(stats) == {**first, "load_success": 3, "override_dir_not_exists": 3, "admin_overrides_active": 1, "num_keys": 3}
    assert runtime.modify({"k": ""})
    assert (stats.num_keys.value, stats.admin_overrides_active.value, stats.load_success.value) == (2, 1, 4)


def test_without_layers_there_is_nothing_but_the_two_loads_of_the_start() -> None:
    stats = RuntimeStats(StatsStore(lambda: 0.0).scope("runtime"))
    Runtime(None, stats)
    assert (stats.load_success.value, stats.num_layers.value, stats.num_keys.value) == (2, 0, 0)


def test_a_switch_is_a_boolean_or_a_number_and_words_count_only_from_the_operator() -> None:
    """As measured on Envoy 1.40: "true" in a static layer is no switch."""
    static = {"on": True, "off": False, "zero": 0, "one": 1, "half": 0.5, "text": "true", "digit": "0", "other": "no"}
    layers = {"layers": [{"name": "base", "static_layer": static}, {"name": "adm", "admin_layer": {}}]}
    runtime = Runtime(decode(LayeredRuntime, layers, TypeRegistry()))
    found = {key: (runtime.boolean(key, True), runtime.boolean(key, False)) for key in [*static, "nothing"]}
    as_given = (True, False)
    assert found == {
        "on": (True, True), "off": (False, False), "zero": (False, False), "one": (True, True), "half": (True, True),
        "text": as_given, "digit": (False, False), "other": as_given, "nothing": as_given,
    }
    assert runtime.modify({"on": "false", "text": "true", "other": "maybe"})
    assert (runtime.boolean("on", True), runtime.boolean("text", False), runtime.boolean("other", True)) == (False, True, True)
