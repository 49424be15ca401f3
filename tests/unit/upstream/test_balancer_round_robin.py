"""ROUND_ROBIN: turns among equals, shares among unequals, in every window, also when hosts come and go."""

from __future__ import annotations

import collections
import random
from fractions import Fraction
from typing import List, Sequence, Tuple

import pytest

from proxy_core.upstream.balancer.edf import Schedule
from proxy_core.upstream.balancer.round_robin import RoundRobin
from proxy_core.upstream.balancer.turns import Place, Turns
from proxy_core.upstream.host import Host
from tests.support.balancing import Balanced, hosts, same_turns

START = Place(0.0, 99, 0)  # all that was due at 0 has been picked


def made(members: Sequence[Host], seed: int = 1) -> RoundRobin:
    balancer = RoundRobin(random.Random(seed))
    balancer.update(members)
    return balancer


def picks(balancer: RoundRobin, count: int) -> List[int]:
    found = [balancer.pick() for _ in range(count)]
    return [host.address.port for host in found if host is not None]


def envoys(weights: Sequence[int], count: int) -> List[int]:
    """Envoy's scheduler as it is written, but without rounding: (due, order), smallest first."""
    queue: List[Tuple[Fraction, int, int]] = [
        (Fraction(1, weight), order, number) for order, (number, weight) in enumerate(zip(range(1, 99), weights))
    ]
    found = []
    for order in range(len(weights), len(weights) + count):
        queue.sort()
        due, _, number = queue.pop(0)
        found.append(number)
        queue.append((due + Fraction(1, weights[number - 1]), order, number))
    return found


def test_without_hosts_there_is_nobody() -> None:
    balancer = RoundRobin(random.Random(1))
    assert balancer.pick() is None
    balancer.update(hosts(1))
    assert picks(balancer, 2) == [1, 1]
    balancer.update([])
    assert balancer.pick() is None


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("weight", [1, 5])
def test_equal_hosts_take_strict_turns(count: int, weight: int) -> None:
    found = picks(made(hosts(*[weight] * count)), 3 * count)
    assert found[:count] * 3 == found and sorted(found[:count]) == list(range(1, count + 1))


def test_proxies_do_not_all_begin_with_the_same_host() -> None:
    assert {picks(made(hosts(1, 1, 1), seed), 1)[0] for seed in range(30)} == {1, 2, 3}
    assert {picks(made(hosts(1, 2, 4), seed), 1)[0] for seed in range(30)} == {1, 2, 3}


def test_weights_1_2_4_give_the_order_that_was_measured_on_envoy() -> None:
    turns = Turns(hosts(1, 2, 4), START)
    assert [turns.pick().address.port for _ in range(14)] == [3, 2, 3, 3, 1, 2, 3] * 2
    for seed in range(10):
        assert same_turns(picks(made(hosts(1, 2, 4), seed), 14), [3, 2, 3, 3, 1, 2, 3], 7)


def test_the_order_is_envoys_for_all_weights_wherever_it_begins() -> None:
    rng = random.Random(3)
    for _ in range(200):
        weights = [rng.randint(1, 9) for _ in range(rng.randint(2, 7))]
        period = sum(weights)
        wanted = envoys(weights, 2 * period)
        turns = Turns(hosts(*weights), START)
        assert [turns.pick().address.port for _ in range(2 * period)] == wanted, weights
        if len(set(weights)) > 1:
            assert same_turns(wanted, picks(made(hosts(*weights), rng.getrandbits(9)), 2 * period), period), weights


@pytest.mark.parametrize("weights", [(2, 1), (1, 2, 3), (5, 1, 1), (10, 1), (1, 1, 2), (7, 3, 3, 1)])
def test_weighted_hosts_get_their_share_in_every_window(weights: List[int]) -> None:
    balancer = made(hosts(*weights))
    for _ in range(20):
        counts = collections.Counter(picks(balancer, sum(weights)))
        assert [counts[number] for number in range(1, len(weights) + 1)] == list(weights)


def test_a_new_round_does_not_begin_when_a_host_leaves_or_comes() -> None:
    balancer = made(hosts(1, 1, 1, 1), 1)
    first = picks(balancer, 6)
    balancer.update(hosts(1, 1, 1, 1))
    assert picks(balancer, 4) == [(first[-1] + turn) % 4 + 1 for turn in range(4)]


@pytest.mark.parametrize("weights", [[1] * 10, [1] * 5 + [2] * 5, [3, 1, 1, 1, 1, 1]])
def test_changes_after_every_pick_favour_nobody(weights: List[int]) -> None:
    balancer = made(hosts(*weights))
    found: List[int] = []
    for _ in range(20 * sum(weights)):
        found += picks(balancer, 1)
        balancer.update(hosts(*weights))
    counts = collections.Counter(found)
    assert [counts[number] for number in range(1, len(weights) + 1)] == [20 * weight for weight in weights]


def test_hosts_come_and_go_in_the_middle_of_a_weighted_rotation_and_shares_stay_right() -> None:
    rng = random.Random(5)
    balancer = RoundRobin(rng)
    for _ in range(50):
        weights = [rng.randint(1, 5) for _ in range(rng.randint(2, 8))]
        balancer.update(hosts(*weights))
        counts = collections.Counter(picks(balancer, 10 * sum(weights)))
        for number, weight in enumerate(weights, 1):
            assert abs(counts[number] - 10 * weight) <= weight + 1


def test_a_schedule_of_changing_weights_follows_them() -> None:
    weights = {"a": 1.0, "b": 1.0}
    schedule = Schedule(["a", "b"], weights.__getitem__)
    assert [schedule.pick() for _ in range(4)] == ["a", "b", "a", "b"]
    weights["a"] = 3.0
    found = [schedule.pick() for _ in range(40)]
    assert 29 <= found.count("a") <= 31


def test_a_schedule_of_constant_weights_stays_exact_over_many_rounds() -> None:
    schedule = Schedule([3, 5, 7], float)
    rounds = [tuple(schedule.pick() for _ in range(15)) for _ in range(3000)]
    assert len(set(rounds)) == 1


def test_the_lists_of_a_cluster_keep_their_turns_over_updates() -> None:
    one = Balanced(hosts(1, 1, 1))
    found = []
    for _ in range(12):
        found.append(one.one())
        one.update(hosts(1, 1, 1))
    assert found[:3] * 4 == found and set(found) == {1, 2, 3}
