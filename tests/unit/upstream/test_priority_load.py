"""The load of priorities: what was measured on Envoy 1.40, and a plain model of the rules over many random clusters."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import List, Sequence, Tuple

import pytest

from proxy_core.upstream.priority_load import Level, PriorityLoad, spread


def level(healthy: int, degraded: int, ill: int, excluded: int = 0, overprovisioning: int = 140) -> Level:
    counted = healthy + degraded + ill
    return Level(healthy, degraded, counted, healthy, degraded, counted, counted + excluded, overprovisioning)


def model(levels: Sequence[Level], threshold: int) -> Tuple[List[int], List[int], List[bool]]:
    """The rules of the reference, one after the other."""
    def availability(usable: int, of: Level) -> int:
        return min(100, int(Fraction(of.overprovisioning * usable, of.counted))) if of.counted else 0
    health = [availability(each.healthy, each) for each in levels]
    degraded = [availability(each.degraded, each) for each in levels]
    total = min(100, sum(health + degraded))
    panic = []
    for each in levels:
        usable = Fraction(100 * (each.healthy + each.degraded), each.counted) if each.counted else Fraction(0)
        panic.append(total < 100 and usable < threshold)
    if all(panic):
        count = sum(each.all_hosts for each in levels)
        loads = [100 * each.all_hosts // count if count else 0 for each in levels]
        first = next((index for index, each in enumerate(levels) if each.all_hosts), 0)
        loads[first] += 100 - sum(loads)
        return loads, [0] * len(levels), panic
    if not total:
        return [100, *[0] * (len(levels) - 1)], [0] * len(levels), panic
    left = 100
    shares: List[int] = []
    for available in [*health, *degraded]:
        shares.append(min(left, available * 100 // total))
        left -= shares[-1]
    shares[next(index for index, available in enumerate([*health, *degraded]) if available)] += left
    return shares[:len(levels)], shares[len(levels):], panic


@pytest.mark.parametrize("levels, healthy, degraded, panic", [
    ([level(1, 0, 1), level(1, 0, 0)], [70, 30], [0, 0], [False, False]),
    ([level(1, 1, 1), level(1, 0, 0)], [46, 54], [0, 0], [False, False]),
    ([level(0, 0, 1), level(1, 0, 1)], [0, 100], [0, 0], [True, False]),
    ([level(1, 0, 2)], [100], [0], [True]),
    ([level(1, 0, 1)], [100], [0], [False]),
    ([level(0, 0, 2)], [100], [0], [True]),
    ([level(0, 0, 1), level(0, 0, 2)], [34, 66], [0, 0], [True, True]),
    ([level(1, 1, 0)], [70], [30], [False]),
    ([level(0, 0, 0)], [100], [0], [True]),
    ([level(1, 0, 0, 5)], [100], [0], [False]),
    ([level(0, 0, 1), level(0, 0, 0), level(2, 0, 0)], [0, 0, 100], [0, 0, 0], [False, False, False]),
    ([level(1, 0, 1, 0, 100), level(1, 0, 0)], [50, 50], [0, 0], [False, False]),
])
def test_loads_are_those_that_envoy_gives(
    levels: List[Level], healthy: List[int], degraded: List[int], panic: List[bool]
) -> None:
    assert spread(levels) == (healthy, degraded, panic)


def test_without_a_threshold_there_is_no_panic_and_the_first_priority_gets_what_nobody_can_take() -> None:
    assert spread([level(0, 0, 2), level(0, 0, 1)], 0) == ([100, 0], [0, 0], [False, False])


@pytest.mark.parametrize("threshold, panic", [(33, False), (34, True), (100, True)])
def test_panic_begins_below_the_threshold(threshold: int, panic: bool) -> None:
    assert spread([level(1, 0, 2)], threshold).panic == [panic]


def test_over_many_random_clusters_the_loads_are_those_of_a_plain_model_and_add_up_to_100() -> None:
    rng = random.Random(7)

    def some() -> int:
        return rng.choice([0, 0, 1, 2, 3, 9])
    for _ in range(3000):
        factor = rng.choice([100, 140, 140, 140, 200])
        levels = [
            level(some(), some(), some(), some(), factor) for _ in range(rng.randint(1, 4))
        ]
        threshold = rng.choice([0, 20, 50, 50, 100])
        found = spread(levels, threshold)
        assert found == model(levels, threshold), (levels, threshold)
        assert sum(found.healthy) + sum(found.degraded) == 100


def test_weights_decide_health_but_hosts_decide_panic() -> None:
    heavy = Level(9, 0, 10, 1, 0, 4, 4)
    assert spread([heavy, level(1, 0, 0)]) == ([100, 0], [0, 0], [False, False])
    light = Level(1, 0, 10, 3, 0, 4, 4)
    assert spread([light, level(0, 0, 1)]) == ([100, 0], [0, 0], [False, True])


def test_a_number_chooses_by_its_remainder_healthy_priorities_first() -> None:
    load = PriorityLoad([30, 20], [0, 50], [False, False])
    chosen = [load.choose(number) for number in range(100)]
    assert chosen == [(0, False)] * 30 + [(1, False)] * 20 + [(1, True)] * 50
    assert load.choose(12_345_678_901_234_567_830) == (1, False)


@pytest.mark.parametrize("load, only", [
    (PriorityLoad([100, 0], [0, 0], [False, True]), 0), (PriorityLoad([0, 100], [0, 0], [True, False]), 1),
    (PriorityLoad([70, 30], [0, 0], [False, False]), -1), (PriorityLoad([70], [30], [False]), -1),
    (PriorityLoad([100], [0], [True]), -1), (PriorityLoad([0], [100], [False]), -1),
])
def test_whether_one_priority_takes_everything(load: PriorityLoad, only: int) -> None:
    assert load.only() == only
