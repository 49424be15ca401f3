"""Picks that are made before they are asked for."""

from __future__ import annotations

import random
from typing import Dict, List

import pytest

from proxy_core.upstream.balancer import PickContext, Surroundings
from proxy_core.upstream.balancer.ahead import Ahead
from proxy_core.upstream.balancer.factory import make_balancer
from proxy_core.upstream.host import Host
from proxy_core.upstream.host_set import by_priority
from tests.support.balancing import Balanced, configured, extension, hosts, kinds


def ahead(members: List[Host], policy: str = "ROUND_ROBIN") -> Ahead:
    made = Ahead(Balanced(lb_policy=policy).balancer)
    made.update(by_priority(members))
    return made


def number(host: object) -> int:
    return host.address.port if isinstance(host, Host) else 0


@pytest.mark.parametrize("policy", ["ROUND_ROBIN", "RANDOM"])
@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 4)])
def test_what_was_picked_ahead_is_picked_next_and_nothing_else_changes(policy: str, weights: List[int]) -> None:
    members = hosts(*weights)
    plain, early = Balanced(members, lb_policy=policy), ahead(members, policy)
    rng = random.Random(5)
    picked, expected = [], []
    for _ in range(200):
        if rng.random() < 0.5:
            early.pick_ahead()
        picked.append(number(early.pick()))
        expected.append(plain.one())
    assert picked == expected


def test_no_more_is_picked_ahead_than_there_are_healthy_hosts() -> None:
    early = ahead(kinds("huh", "h"))
    assert [number(early.pick_ahead()) > 0 for _ in range(5)] == [True, True, True, False, False]
    early.pick()
    assert number(early.pick_ahead()) > 0 and early.pick_ahead() is None


def test_without_hosts_there_is_nothing_to_pick() -> None:
    early = ahead([])
    assert early.pick_ahead() is None and early.pick() is None


def test_other_hosts_make_the_picks_void() -> None:
    members = hosts(1, 1)
    early = ahead(members)
    for _ in members:
        early.pick_ahead()
    early.update(by_priority(members[:1]))
    assert [number(early.pick()) for _ in range(3)] == [1, 1, 1]


def test_a_pick_that_must_avoid_a_host_is_made_when_it_is_asked_for() -> None:
    early = ahead(hosts(1, 1, 1))
    first = early.pick_ahead()
    assert first is not None
    found = early.pick(PickContext().avoiding([first]))
    assert found is not None and found is not first
    assert early.pick() is first


@pytest.mark.parametrize("fields, can", [
    ({}, True), ({"lb_policy": "RANDOM"}, True), ({"lb_policy": "LEAST_REQUEST"}, False), ({"lb_policy": "MAGLEV"}, False),
    ({"lb_policy": "RING_HASH"}, False), ({"load_balancing_policy": extension("random", "Random")}, True),
    ({"lb_subset_config": {"subset_selectors": [{"keys": ["a"]}]}}, False),
])
def test_only_picks_that_depend_on_nothing_can_be_made_ahead(fields: Dict[str, object], can: bool) -> None:
    scope = Balanced().store.scope("cluster.c")
    made = make_balancer(configured(**fields), scope, Surroundings(random.Random(1)), lambda: 0)
    assert made.can_look_ahead is can
