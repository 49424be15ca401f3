"""Subsets: which hosts a connection's metadata leads to, the fallbacks, and the counters. All cases were run on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Set

import pytest

from proxy_core.upstream.balancer import Criteria, PickContext
from proxy_core.upstream.balancer.criteria import criteria_of, frozen, merged, of_metadata
from proxy_core.upstream.host import Host
from tests.support.balancing import Balanced, extension, host

Json = Dict[str, Any]
SELECTORS: List[Json] = [{"keys": ["v"]}, {"keys": ["s", "v"]}]


def members() -> List[Host]:
    metadata: List[Optional[Json]] = [
        {"v": "1", "s": "prod"}, {"v": "2", "s": "prod"}, {"v": "2", "s": "dev"}, {"v": ["7", "8"], "n": 5}, None,
    ]
    return [host(number) if values is None else host(number, metadata=values) for number, values in enumerate(metadata, 1)]


def wanting(**values: Any) -> PickContext:
    return PickContext(criteria=criteria_of(values))


def subsets(**config: Any) -> Balanced:
    return Balanced(members(), lb_subset_config={"subset_selectors": SELECTORS, **config})


DEFAULT_PROD = {"fallback_policy": "DEFAULT_SUBSET", "default_subset": {"s": "prod"}}
DEFAULT_NIX = {"fallback_policy": "DEFAULT_SUBSET", "default_subset": {"s": "nix"}}
ANY = {"fallback_policy": "ANY_ENDPOINT"}
ALL = {1, 2, 3, 4, 5}


@pytest.mark.parametrize(("config", "wanted", "found"), [
    ({}, {"v": "2"}, {2, 3}),
    ({}, {"v": "2", "s": "prod"}, {2}),
    ({}, {"v": "9"}, {0}),
    ({}, {"s": "prod"}, {0}),
    ({}, None, {0}),
    ({}, {}, {0}),
    (ANY, {"v": "9"}, ALL),
    (ANY, None, ALL),
    (DEFAULT_PROD, {"q": "9"}, {1, 2}),
    (DEFAULT_NIX, {"q": "9"}, {0}),
    ({**DEFAULT_NIX, "panic_mode_any": True}, {"q": "9"}, ALL),
    ({"list_as_any": True}, {"v": "8"}, {4}),
    ({}, {"v": "8"}, {0}),
    ({}, {"v": ["7", "8"]}, {4}),
    ({"subset_selectors": [{"keys": ["n"]}]}, {"n": 5.0}, {4}),
    ({"subset_selectors": [{"keys": ["n"]}]}, {"n": True}, {0}),
    ({"subset_selectors": [{"keys": ["v"], "fallback_policy": "ANY_ENDPOINT"}]}, {"v": "77"}, ALL),
    ({"subset_selectors": [{"keys": ["v"], "fallback_policy": "NO_FALLBACK"}], **ANY}, {"v": "77"}, {0}),
    ({"subset_selectors": [{"keys": ["v"], "fallback_policy": "DEFAULT_SUBSET"}], **DEFAULT_PROD}, {"v": "77"}, {1, 2}),
    ({"subset_selectors": [
        {"keys": ["v"]}, {"keys": ["s", "v"], "fallback_policy": "KEYS_SUBSET", "fallback_keys_subset": ["v"]},
    ]}, {"v": "2", "s": "nix"}, {2, 3}),
    ({"subset_selectors": [{"keys": ["v"], "single_host_per_subset": True}]}, {"v": "2"}, {2}),
    ({"metadata_fallback_policy": "FALLBACK_LIST"}, {"v": "9", "fallback_list": [{"s": "x"}, {"v": "1"}]}, {1}),
    ({"metadata_fallback_policy": "FALLBACK_LIST"}, {"v": "1", "fallback_list": [{"s": "prod", "v": "2"}]}, {2}),
    ({"metadata_fallback_policy": "FALLBACK_LIST"}, {"v": "1", "fallback_list": []}, {1}),
    ({"metadata_fallback_policy": "FALLBACK_LIST"}, {"v": "9", "fallback_list": [{"v": "8"}]}, {0}),
    ({}, {"v": "1", "fallback_list": [{"v": "2"}]}, {0}),
    ({"subset_selectors": []}, {"v": "1"}, ALL),
    ({"subset_selectors": [{"keys": []}]}, {}, {0}),
])
def test_metadata_leads_to_the_hosts_that_envoy_finds(config: Json, wanted: Optional[Json], found: Set[int]) -> None:
    one = subsets(**config)
    assert set(one.tally(20, None if wanted is None else wanting(**wanted))) == found


def test_redundant_keys_are_a_miss_unless_they_are_allowed() -> None:
    child = extension("round_robin", "RoundRobin")
    for allowed, found in ((True, {2}), (False, {0})):
        policy = extension(
            "subset", "Subset", subset_selectors=SELECTORS, allow_redundant_keys=allowed, subset_lb_policy=child
        )
        one = Balanced(members(), load_balancing_policy=policy)
        assert set(one.tally(10, wanting(v="2", s="prod", zz=1))) == found


def test_what_was_found_is_counted() -> None:
    one = subsets(**ANY)
    assert (one.stat("lb_subsets_active"), one.stat("lb_subsets_created")) == (12, 12)  # 6 by each of Envoy's two threads
    one.some(3, wanting(v="2"))
    one.some(2, wanting(v="9"))
    assert (one.stat("lb_subsets_selected"), one.stat("lb_subsets_fallback")) == (3, 2)
    panicking = subsets(**{**DEFAULT_NIX, "panic_mode_any": True})
    panicking.some(4, wanting(q="1"))
    assert (panicking.stat("lb_subsets_fallback"), panicking.stat("lb_subsets_fallback_panic")) == (0, 4)


def test_subsets_come_and_go_with_their_hosts_and_keep_their_turns_while_they_stay() -> None:
    one = subsets()
    first = one.some(2, wanting(v="2"))
    assert sorted(first) == [2, 3]
    one.update(members())
    assert one.some(2, wanting(v="2")) == first
    one.update(members()[:2])
    assert one.some(2, wanting(v="2")) == [2, 2]
    assert (one.stat("lb_subsets_active"), one.stat("lb_subsets_removed")) == (8, 4)
    one.update([])
    assert (one.stat("lb_subsets_active"), one.stat("lb_subsets_removed")) == (0, 12)


def test_the_health_of_a_subset_is_its_own() -> None:
    ill = [host(1, 1, "u", metadata={"v": "1"}), host(2, metadata={"v": "1"}), host(3, 1, "u", metadata={"v": "2"})]
    one = Balanced(ill, lb_subset_config={"subset_selectors": SELECTORS})
    assert set(one.tally(10, wanting(v="1"))) == {2} and one.stat("lb_healthy_panic") == 0
    assert set(one.tally(10, wanting(v="2"))) == {3} and one.stat("lb_healthy_panic") == 10


def test_hosts_that_a_single_subset_has_no_use_for_are_counted() -> None:
    one = subsets(subset_selectors=[{"keys": ["v"], "single_host_per_subset": True}])
    assert one.stat("lb_subsets_single_host_per_subset_duplicate") == 1


def test_subsets_of_a_ring_place_hashes_on_their_own_hosts() -> None:
    one = Balanced(members(), lb_policy="RING_HASH", lb_subset_config={"subset_selectors": SELECTORS})
    assert one.uses_hash and one.uses_criteria
    contexts = [PickContext(number * 0x9E3779B97F4A7C15 & (1 << 64) - 1, criteria_of({"v": "2"})) for number in range(50)]
    found = [one.one(context) for context in contexts]
    assert set(found) == {2, 3} and found == [one.one(context) for context in contexts]


@pytest.mark.parametrize(("aware", "scaled", "share"), [(False, False, 1 / 3), (True, False, 0.75), (True, True, 0.6)])
def test_the_weights_of_localities_count_within_subsets_if_asked_for(aware: bool, scaled: bool, share: float) -> None:
    group = {"v": "1"}
    placed = [
        host(1, zone="a", locality_weight=30, metadata=group), host(2, zone="b", locality_weight=10, metadata=group),
        host(3, zone="b", locality_weight=10, metadata=group), host(4, zone="a", locality_weight=30),
    ]
    one = Balanced(
        placed, common_lb_config={"locality_weighted_lb_config": {}},
        lb_subset_config={
            "subset_selectors": SELECTORS, "locality_weight_aware": aware, "scale_locality_weight": scaled,
        },
    )
    assert abs(one.tally(600, wanting(v="1"))[1] - 600 * share) <= 6


# -- criteria ----------------------------------------------------------------------------------------------------------

def test_values_are_equal_as_json_values_are() -> None:
    assert frozen(1) == frozen(1.0) != frozen(True) and frozen("1") != frozen(1)
    assert frozen({"a": 1, "b": [2]}) == frozen({"b": [2.0], "a": 1})
    different: List[Any] = [None, False, 0, "", [], {}]
    assert len({frozen(value) for value in different}) == 6


def test_criteria_are_merged_by_key_and_nothing_is_not_the_same_as_an_empty_object() -> None:
    base, over = criteria_of({"a": 1, "b": 2}), criteria_of({"b": 3, "c": 4})
    assert merged(base, over) == criteria_of({"a": 1, "b": 3, "c": 4})
    empty: Criteria = ()
    assert merged(None, over) == over and merged(base, None) == base and merged(None, None) is None
    assert of_metadata({"other": {"a": 1}}) is None and of_metadata({"envoy.lb": {}}) == empty
