"""ROUND_ROBIN: turns among equals, shares among unequals, in every window."""

from __future__ import annotations

import collections
import random
from typing import List

import pytest

from proxy_core.network.address import Address
from proxy_core.upstream.balancer.round_robin import RoundRobin
from proxy_core.upstream.host import Host


def hosts(*weights: int) -> List[Host]:
    return [Host(Address.from_ip("10.0.0.1", index), weight) for index, weight in enumerate(weights)]


def picks(balancer: RoundRobin, count: int) -> List[int]:
    found = []
    for _ in range(count):
        host = balancer.pick()
        assert host is not None
        found.append(host.address.port)
    return found


def test_without_hosts_there_is_nobody() -> None:
    balancer = RoundRobin()
    assert balancer.pick() is None
    balancer.update(hosts(1))
    balancer.update([])
    assert balancer.pick() is None


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("weight", [1, 5])
def test_equal_hosts_take_strict_turns(count: int, weight: int) -> None:
    balancer = RoundRobin()
    balancer.update(hosts(*[weight] * count))
    assert picks(balancer, 3 * count) == list(range(count)) * 3


@pytest.mark.parametrize("weights", [(2, 1), (1, 2, 3), (5, 1, 1), (10, 1), (1, 1, 2), (7, 3, 3, 1)])
def test_weighted_hosts_get_their_share_in_every_window(weights: List[int]) -> None:
    balancer = RoundRobin()
    balancer.update(hosts(*weights))
    window = sum(weights)
    for _ in range(20):
        counts = collections.Counter(picks(balancer, window))
        assert [counts[index] for index in range(len(weights))] == list(weights)


def test_a_heavy_host_is_spread_out_and_not_picked_in_a_row() -> None:
    balancer = RoundRobin()
    balancer.update(hosts(2, 1, 1))
    chosen = picks(balancer, 40)
    assert max(chosen[index:index + 4].count(0) for index in range(36)) <= 3


def test_long_runs_stay_in_proportion_for_random_weights() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        weights = [rng.randint(1, 20) for _ in range(rng.randint(2, 6))]
        balancer = RoundRobin()
        balancer.update(hosts(*weights))
        total = 50 * sum(weights)
        counts = collections.Counter(picks(balancer, total))
        for index, weight in enumerate(weights):
            assert abs(counts[index] - 50 * weight) <= len(weights)


def test_new_hosts_start_over() -> None:
    balancer = RoundRobin()
    balancer.update(hosts(3, 1))
    picks(balancer, 5)
    balancer.update(hosts(1, 1))
    assert picks(balancer, 4) == [0, 1, 0, 1]
