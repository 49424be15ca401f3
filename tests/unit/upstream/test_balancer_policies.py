"""Load balancing settings: the two ways to write them mean the same, and what Envoy 1.40 refuses is refused."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from proxy_core.config.model import load_balancing as policies
from proxy_core.upstream.balancer.policies import policy_of, problems
from tests.support.balancing import PACKAGE, configured, extension

Json = Dict[str, Any]
SLOW = {"slow_start_config": {"slow_start_window": "5s"}}
HASHING = {"hash_balance_factor": 150}
SELECTOR = {"keys": ["a", "b"]}


def subsets(**selector: Any) -> Json:
    return {"lb_subset_config": {"subset_selectors": [selector]}}


@pytest.mark.parametrize(("fields", "same"), [
    ({}, extension("round_robin", "RoundRobin")),
    ({"round_robin_lb_config": SLOW}, extension("round_robin", "RoundRobin", **SLOW)),
    ({"lb_policy": "LEAST_REQUEST", "least_request_lb_config": {"choice_count": 5, **SLOW}},
     extension("least_request", "LeastRequest", choice_count=5, **SLOW)),
    ({"lb_policy": "RANDOM", "common_lb_config": {"locality_weighted_lb_config": {}}},
     extension("random", "Random", locality_lb_config={"locality_weighted_lb_config": {}})),
    ({"common_lb_config": {"zone_aware_lb_config": {"min_cluster_size": "3"}}},
     extension("round_robin", "RoundRobin", locality_lb_config={"zone_aware_lb_config": {"min_cluster_size": 3}})),
    ({"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 7, "hash_function": "MURMUR_HASH_2"}},
     extension("ring_hash", "RingHash", minimum_ring_size=7, hash_function="MURMUR_HASH_2")),
    ({"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 251},
      "common_lb_config": {"consistent_hashing_lb_config": HASHING}},
     extension("maglev", "Maglev", table_size=251, consistent_hashing_lb_config=HASHING)),
    ({"lb_policy": "RANDOM", **subsets(keys=["a"])},
     extension("subset", "Subset", subset_selectors=[{"keys": ["a"]}], subset_lb_policy=extension("random", "Random"))),
    ({"ring_hash_lb_config": {"minimum_ring_size": 9}}, extension("round_robin", "RoundRobin")),
])
def test_fields_and_extensions_mean_the_same(fields: Json, same: Json) -> None:
    found, wanted = policy_of(configured(**fields)), policy_of(configured(load_balancing_policy=same))
    assert found is not None and wanted is not None
    expected = wanted.to_json()
    shown = found.to_json()
    shown.pop("hash_function", None), expected.pop("hash_function", None)
    if "subset_lb_policy" in shown:
        for each in (shown, expected):
            child: Any = each.pop("subset_lb_policy")
            each["child"] = child["policies"][0]["typed_extension_config"]["typed_config"]
    assert type(found) is type(wanted) and shown == expected


def test_the_first_policy_that_is_known_counts_and_the_others_survive_a_dump() -> None:
    unknown = {"name": "x", "typed_config": {"@type": f"{PACKAGE}wrr_locality.v3.WrrLocality", "anything": [1]}}
    listed = {"policies": [{"typed_extension_config": unknown}, *extension("random", "Random")["policies"]]}
    config = configured(load_balancing_policy=listed)
    assert isinstance(policy_of(config), policies.Random) and list(problems(config, "c")) == []
    assert config.to_json()["load_balancing_policy"] == listed


@pytest.mark.parametrize(("fields", "where", "what"), [
    ({"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 100, "maximum_ring_size": 10}},
     "c.lb_policy", "minimum_ring_size (100) > maximum_ring_size (10)"),
    ({"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 100}}, "c.lb_policy", "must be a prime number"),
    ({"lb_policy": "LOAD_BALANCING_POLICY_CONFIG"}, "c.lb_policy", "with names from []"),
    ({"load_balancing_policy": {"policies": []}}, "c.load_balancing_policy", "with names from []"),
    ({"lb_policy": "CLUSTER_PROVIDED"}, "c.lb_policy", "did not provide one"),
    ({"load_balancing_policy": extension("cluster_provided", "ClusterProvided")}, "c.load_balancing_policy", "did not provide one"),
    ({"type": "ORIGINAL_DST"}, "c.lb_policy", "CLUSTER_PROVIDED"),
    ({"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", **subsets(keys=["a"])},
     "c.lb_subset_config", "cannot be combined"),
    ({"load_balancing_policy": extension("random", "Random"), "common_lb_config": {"locality_weighted_lb_config": {}}},
     "c.common_lb_config.locality_weighted_lb_config", "cannot be combined"),
    ({"load_balancing_policy": extension("random", "Random"), "lb_subset_config": {}}, "c.lb_subset_config", "cannot be combined"),
    ({"common_lb_config": {"consistent_hashing_lb_config": {"use_hostname_for_hashing": True}}},
     "c.common_lb_config.consistent_hashing_lb_config.use_hostname_for_hashing", "cannot use hostname"),
    (subsets(fallback_policy="KEYS_SUBSET", **SELECTOR), "c.lb_policy", "cannot be empty"),
    (subsets(fallback_policy="KEYS_SUBSET", fallback_keys_subset=["x"], **SELECTOR), "c.lb_policy", "must be a subset"),
    (subsets(fallback_policy="KEYS_SUBSET", fallback_keys_subset=["b", "a"], **SELECTOR), "c.lb_policy", "cannot be equal"),
    (subsets(fallback_keys_subset=["a"], **SELECTOR), "c.lb_policy", "can be set only for KEYS_SUBSET"),
    ({"load_balancing_policy": extension("subset", "Subset", subset_lb_policy={})}, "c.load_balancing_policy", "for subset lb"),
    ({"load_balancing_policy": extension("subset", "Subset", subset_lb_policy=extension("maglev", "Maglev", table_size=4))},
     "c.load_balancing_policy", "prime"),
])
def test_what_envoy_refuses_is_refused_with_its_path(fields: Json, where: str, what: str) -> None:
    found = list(problems(configured(**fields), "c"))
    assert found[0].path == where and what in found[0].message


@pytest.mark.parametrize("fields", [
    {}, {"maglev_lb_config": {"table_size": 100}}, {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 2}},
    {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}, {"lb_subset_config": {}}, subsets(keys=[]),
    {"lb_policy": "LOAD_BALANCING_POLICY_CONFIG", "load_balancing_policy": extension("random", "Random")},
    {"load_balancing_policy": extension("random", "Random"), "common_lb_config": {"healthy_panic_threshold": {"value": 1}}},
    subsets(fallback_policy="KEYS_SUBSET", fallback_keys_subset=["a"], **SELECTOR),
    {"type": "STRICT_DNS", "common_lb_config": {"consistent_hashing_lb_config": {"use_hostname_for_hashing": True}}},
])
def test_what_envoy_takes_is_taken(fields: Json) -> None:
    assert list(problems(configured(**fields), "c")) == []
