"""LEAST_REQUEST and RANDOM, and slow start: which hosts get the connections."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from proxy_core.upstream.host import Host
from tests.support.balancing import Balanced, extension, host, hosts, is_near

LEAST: Dict[str, Any] = {"lb_policy": "LEAST_REQUEST"}
FULL_SCAN: Dict[str, Any] = {"load_balancing_policy": extension("least_request", "LeastRequest", selection_method="FULL_SCAN")}


def held(one: Balanced, members: List[Host], count: int) -> List[int]:
    """The connections of each host when nobody leaves."""
    for _ in range(count):
        members[one.one() - 1].counters.rq_active += 1
    return [member.counters.rq_active for member in members]


def test_equal_idle_hosts_get_equal_shares() -> None:
    found = Balanced(hosts(1, 1, 1, 1), **LEAST).tally(4000)
    assert all(is_near(found[number], 4000, 0.25) for number in (1, 2, 3, 4))


def test_a_busy_host_is_picked_only_when_both_choices_fall_on_it() -> None:
    members = hosts(1, 1, 1, 1)
    members[0].counters.rq_active = 9
    found = Balanced(members, **LEAST).tally(8000)
    assert is_near(found[1], 8000, 1 / 16) and is_near(found[2], 8000, 5 / 16)


def test_more_choices_leave_it_less() -> None:
    members = hosts(1, 1, 1, 1)
    members[0].counters.rq_active = 9
    found = Balanced(members, least_request_lb_config={"choice_count": 4}, **LEAST).tally(8000)
    assert is_near(found.get(1, 0), 8000, 1 / 256)


def test_a_connection_that_is_being_made_counts() -> None:
    members = hosts(1, 1)
    members[0].counters.rq_pending_active = 5
    one = Balanced(members, **FULL_SCAN)
    assert one.tally(100) == {2: 100}
    one.runtime["envoy.reloadable_features.least_request_lb_count_pending_requests"] = False
    one.update(members)
    assert set(one.tally(100)) == {1, 2}


def test_a_full_scan_finds_the_least_busy_and_draws_among_equals() -> None:
    members = hosts(1, 1, 1, 1)
    members[2].counters.rq_active = members[3].counters.rq_active = 1
    found = Balanced(members, **FULL_SCAN).tally(2000)
    assert set(found) == {1, 2} and is_near(found[1], 2000, 0.5)
    assert held(Balanced(hosts(1, 1, 1), **FULL_SCAN), hosts(1, 1, 1), 0) == [0, 0, 0]


def test_a_full_scan_keeps_hosts_level() -> None:
    members = hosts(1, 1, 1)
    assert held(Balanced(members, **FULL_SCAN), members, 60) == [20, 20, 20]


def test_unequal_idle_hosts_take_turns_by_weight() -> None:
    one = Balanced(hosts(1, 2, 4), **LEAST)
    for _ in range(5):
        assert one.tally(7) == {1: 1, 2: 2, 3: 4}


@pytest.mark.parametrize("bias, shares", [(None, [14, 21, 25]), (2.0, [16, 21, 23]), (0.0, [10, 20, 30])])
def test_connections_weigh_against_unequal_hosts_as_on_envoy(bias: object, shares: List[int]) -> None:
    config = {} if bias is None else {"active_request_bias": {"default_value": bias, "runtime_key": "bias"}}
    members = hosts(1, 2, 3)
    found = held(Balanced(members, least_request_lb_config=config, **LEAST), members, 60)
    assert all(abs(count - share) <= 1 for count, share in zip(found, shares)) and sum(found) == 60


@pytest.mark.parametrize("value, expected", [(0.0, [20, 40]), ("0", [20, 40]), (-1.0, None), ("x", None)])
def test_the_runtime_has_the_last_word_on_the_bias_unless_it_makes_no_sense(value: object, expected: object) -> None:
    config = {"active_request_bias": {"default_value": 1.0, "runtime_key": "bias"}}
    members = hosts(1, 2)
    one = Balanced((), least_request_lb_config=config, **LEAST)
    one.runtime["bias"] = value
    one.update(members)
    found = held(one, members, 60)
    assert found == expected if expected else abs(found[0] - 25) <= 1


def test_random_reaches_all_hosts_alike_whatever_they_weigh() -> None:
    found = Balanced(hosts(9, 1, 1), lb_policy="RANDOM").tally(3000)
    assert all(is_near(found[number], 3000, 1 / 3) for number in (1, 2, 3))
    assert Balanced((), lb_policy="RANDOM").one() == 0


# -- slow start --------------------------------------------------------------------------------------------------------

def slowed(**fields: Any) -> Balanced:
    """One host that has been there for long, and a window of 100 s."""
    one = Balanced(round_robin_lb_config={"slow_start_config": {"slow_start_window": "100s", **fields}})
    one.clock.advance(1000)
    old = host(1)
    old.last_hc_pass_time = one.clock.now - 1000
    one.update([old])
    return one


def with_new(one: Balanced, age: float) -> float:
    """The share of a second host of this age."""
    old, new = host(1), host(2)
    old.last_hc_pass_time = one.clock.now - 1000
    new.last_hc_pass_time = one.clock.now - age
    one.update([old, new])
    found = one.tally(2200)
    return found[2] / found[1]


@pytest.mark.parametrize("age, share", [(1, 0.1), (25, 0.25), (50, 0.5), (99, 0.99), (100, 1.0), (500, 1.0)])
def test_a_new_host_gets_a_share_that_grows_with_its_age(age: float, share: float) -> None:
    assert abs(with_new(slowed(), age) - share) < 0.02


def test_aggression_bends_the_growth_and_a_minimum_bounds_it_from_below() -> None:
    bent = {"aggression": {"default_value": 2.0, "runtime_key": "aggression"}}
    assert abs(with_new(slowed(**bent), 25) - 0.5) < 0.02
    assert abs(with_new(slowed(min_weight_percent={"value": 40}), 1) - 0.4) < 0.02
    other = slowed(**bent)
    other.runtime["aggression"] = -1
    assert abs(with_new(other, 25) - 0.25) < 0.02


def test_a_host_without_health_checks_starts_slowly_when_it_is_first_seen() -> None:
    one = slowed()
    old, new = host(1), host(2)
    old.last_hc_pass_time = one.clock.now - 1000
    one.update([old, new])
    assert new.last_hc_pass_time == one.clock.now
    one.clock.advance(50)
    found = one.tally(300)
    assert abs(found[2] / found[1] - 0.5) < 0.1


def test_at_the_start_all_are_new_and_share_alike_by_weight() -> None:
    one = Balanced(hosts(1, 3), round_robin_lb_config={"slow_start_config": {"slow_start_window": "60s"}})
    assert one.tally(40) == {1: 10, 2: 30}
