"""Which hosts may be picked: by health, priority and locality. Shares are those measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List, Set, Tuple

import pytest

from proxy_core.upstream.balancer import PickContext
from proxy_core.upstream.host import Host
from tests.support.balancing import Balanced, host, hosts, is_near, kinds

CALM: Dict[str, Any] = {"common_lb_config": {"healthy_panic_threshold": {"value": 0}}}
BY_LOCALITY: Dict[str, Any] = {"common_lb_config": {"locality_weighted_lb_config": {}}}


@pytest.mark.parametrize(("level", "chosen"), [
    ("hh", {1, 2}), ("hu", {1}), ("hx", {1}), ("hxxx", {1}), ("hhu", {1, 2}), ("dd", {1, 2}), ("du", {1}), ("ht", {1}),
])
def test_the_ill_are_left_out_while_half_of_the_hosts_are_usable(level: str, chosen: Set[int]) -> None:
    one = Balanced(kinds(level))
    assert set(one.tally(100)) == chosen and one.stat("lb_healthy_panic") == 0


@pytest.mark.parametrize("level", ["uu", "xx", "xu", "t", "huu"])
def test_in_a_panic_health_is_ignored_and_each_pick_is_counted(level: str) -> None:
    one = Balanced(kinds(level))
    assert one.tally(600) == {number: 600 // len(level) for number in range(1, len(level) + 1)}
    assert one.stat("lb_healthy_panic") == 600


@pytest.mark.parametrize(("level", "share"), [("hd", 0.7), ("hdu", 0.5), ("hhddu", 0.56)])
def test_degraded_hosts_take_what_the_healthy_ones_cannot(level: str, share: float) -> None:
    found = Balanced(kinds(level)).tally(4000)
    assert is_near(sum(found.get(number + 1, 0) for number, kind in enumerate(level) if kind == "h"), 4000, share)


@pytest.mark.parametrize(("levels", "shares"), [
    (["hu", "h"], {1: 0.7, 3: 0.3}),
    (["hud", "h"], {1: 0.46, 4: 0.54}),
    (["u", "hu"], {2: 1.0}),
    (["u", "uu"], {1: 0.34, 2: 0.33, 3: 0.33}),
    (["h", "h"], {1: 1.0}),
    (["u", "", "hh"], {2: 0.5, 3: 0.5}),
    (["huuu", "hu"], {1: 0.35, 5: 0.65}),
])
def test_priorities_share_the_load_as_on_envoy(levels: List[str], shares: Dict[int, float]) -> None:
    found = Balanced(kinds(*levels)).tally(4000)
    assert set(found) == set(shares)
    assert all(is_near(found[number], 4000, share) for number, share in shares.items())


def test_overprovisioning_moves_the_point_where_others_help() -> None:
    assert set(Balanced(kinds("hd"), overprovisioning=200).tally(200)) == {1}
    assert is_near(Balanced(kinds("hu", "h"), overprovisioning=100).tally(4000)[3], 4000, 0.5)


def test_weights_can_count_for_the_health_of_a_priority() -> None:
    members = [host(1), host(2, 9, "u"), host(3, 1, "h", 1)]
    assert is_near(Balanced(members, weighted_health=True).tally(4000)[1], 4000, 0.14)


def test_without_hosts_nobody_is_picked_and_that_is_a_panic() -> None:
    one = Balanced(())
    assert one.some(3) == [0, 0, 0] and one.stat("lb_healthy_panic") == 3


@pytest.mark.parametrize(("level", "found"), [("huu", {1: 30}), ("uu", {0: 30})])
def test_a_threshold_of_0_knows_no_panic(level: str, found: Dict[int, int]) -> None:
    one = Balanced(kinds(level), **CALM)
    assert one.tally(30) == found and one.stat("lb_healthy_panic") == 0


@pytest.mark.parametrize(("value", "hosts_used"), [(33.9, 1), (34, 3), (100, 3)])
def test_the_threshold_counts_in_whole_percent(value: float, hosts_used: int) -> None:
    one = Balanced(kinds("huu"), common_lb_config={"healthy_panic_threshold": {"value": value}})
    assert len(one.tally(60)) == hosts_used


def test_the_runtimes_threshold_wins_from_the_next_change_of_the_hosts() -> None:
    one = Balanced(kinds("huu"))
    one.runtime["upstream.healthy_panic_threshold"] = "0"
    assert len(one.tally(30)) == 3
    one.update(kinds("huu"))
    assert len(one.tally(30)) == 1


def test_a_panic_can_mean_that_nobody_is_picked() -> None:
    one = Balanced(kinds("huu"), common_lb_config={"zone_aware_lb_config": {"fail_traffic_on_panic": True}})
    assert one.some(5) == [0] * 5 and one.stat("lb_healthy_panic") == 5
    one.update(kinds("hhu"))
    assert set(one.tally(10)) == {1, 2}


def test_hosts_recover_and_fall_ill_between_picks() -> None:
    members = kinds("hh", "h")
    one = Balanced(members)
    assert set(one.some(10)) == {1, 2}
    for each in members[:2]:
        each.health = "UNHEALTHY"
    one.update(members)
    assert set(one.some(10)) == {3}
    members[0].health = "HEALTHY"
    one.update(members)
    assert is_near(one.tally(1000)[3], 1000, 0.3)
    one.update(members[:2])
    assert set(one.some(10)) == {1}


# -- refused hosts -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("policy", ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "RING_HASH", "MAGLEV"])
def test_a_refused_host_is_replaced_as_often_as_allowed_and_the_last_one_is_taken_anyway(policy: str) -> None:
    one = Balanced(hosts(1, 1, 1, 1), lb_policy=policy, maglev_lb_config={"table_size": 251})
    asked: List[int] = []

    def rejects(found: Host) -> bool:
        asked.append(found.address.port)
        return True
    number = one.one(PickContext(12345, rejects=rejects, most_attempts=3))
    assert number in (1, 2, 3, 4) and 2 <= len(asked) <= 3
    patient = PickContext(12345, rejects=lambda found: found.address.port != 2, most_attempts=100)
    assert one.some(10, patient) == [2] * 10


# -- localities --------------------------------------------------------------------------------------------------------

def placed(*zones: Tuple[str, int, str]) -> List[Host]:
    found: List[Host] = []
    for zone, weight, level in zones:
        found += [host(len(found) + 1 + place, 1, kind, zone=zone, locality_weight=weight) for place, kind in enumerate(level)]
    return found


def test_localities_share_by_their_weights_and_hosts_within() -> None:
    one = Balanced(placed(("a", 1, "h"), ("b", 3, "hh")), **BY_LOCALITY)
    for _ in range(5):
        found = one.tally(8)
        assert found[1] == 2 and found[2] == found[3] == 3
    assert Balanced(placed(("a", 1, "h"), ("b", 3, "hh"))).tally(30) == {1: 10, 2: 10, 3: 10}


def test_a_locality_without_weight_gets_nothing_unless_none_has_one() -> None:
    assert set(Balanced(placed(("a", 2, "h"), ("b", 0, "hh")), **BY_LOCALITY).tally(30)) == {1}
    assert Balanced(placed(("a", 0, "h"), ("b", 0, "hh")), **BY_LOCALITY).tally(30) == {1: 10, 2: 10, 3: 10}
    assert Balanced(placed(("", 5, "h"), ("", 5, "hh")), **BY_LOCALITY).tally(30) == {1: 10, 2: 10, 3: 10}


def test_a_locality_with_ill_hosts_gets_less_once_1_4_times_its_health_is_below_1() -> None:
    found = Balanced(placed(("a", 1, "h"), ("b", 1, "hu")), **BY_LOCALITY).tally(3000)
    assert is_near(found[1], 3000, 1 / 1.7) and set(found) == {1, 2}
    assert Balanced(placed(("a", 1, "h"), ("b", 1, "hhhu")), **BY_LOCALITY).tally(60)[1] == 30
