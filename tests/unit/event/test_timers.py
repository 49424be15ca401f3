"""`Timers` against a sorted list, and what cancelling costs."""

from __future__ import annotations

import functools
import random
from typing import Callable, List, Tuple

from proxy_core.event.timers import PRUNE_ABOVE, Timer, Timers

SEEDS = 200


def nothing() -> None:
    """A callback."""


def fire_due(timers: Timers, now: float) -> List[Timer]:
    fired = []
    timer = timers.pop_due(now)
    while timer is not None:
        fired.append(timer)
        timer.callback()
        timer = timers.pop_due(now)
    return fired


def test_random_timers_fire_in_the_order_of_a_sorted_list() -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        timers = Timers()
        model: List[Tuple[float, int, Timer]] = []
        now, count = 0.0, 0
        for _ in range(60):
            step = rng.random()
            if step < 0.6:
                count += 1
                when = now + rng.choice((0.0, 1.0, 1.0, 2.5, 40.0))
                model.append((when, count, timers.at(when, nothing)))
            elif step < 0.8 and model:
                model.pop(rng.randrange(len(model)))[2].cancel()
            else:
                now += rng.choice((0.0, 0.5, 1.0, 3.0))
                due = sorted(entry for entry in model if entry[0] <= now)
                model = [entry for entry in model if entry[0] > now]
                assert fire_due(timers, now) == [entry[2] for entry in due]
            assert len(timers) == len(model)
            assert timers.next_due() == min((entry[0] for entry in model), default=None)


def test_timers_for_one_instant_fire_in_the_order_they_were_set() -> None:
    timers = Timers()
    order: List[int] = []
    for number in range(20):
        timers.at(5.0, functools.partial(order.append, number))
    fire_due(timers, 5.0)
    assert order == list(range(20))


def test_cancelling_twice_or_after_firing_is_harmless() -> None:
    timers = Timers()
    fired, cancelled = timers.at(1.0, nothing), timers.at(2.0, nothing)
    assert timers.pop_due(1.0) is fired
    assert not fired.active
    fired.cancel()
    cancelled.cancel()
    cancelled.cancel()
    assert len(timers) == 0
    assert timers.next_due() is None


def test_a_callback_may_cancel_a_timer_that_is_due_in_the_same_turn() -> None:
    timers = Timers()
    victims: List[Timer] = []
    timers.at(1.0, lambda: victims[0].cancel())
    victims.append(timers.at(1.0, nothing))
    assert len(fire_due(timers, 1.0)) == 1
    assert len(timers) == 0


def test_timers_set_after_a_given_one_wait_for_the_next_turn() -> None:
    timers = Timers()
    count: List[int] = []

    def again() -> None:
        count.append(1)
        timers.at(1.0, again)
    timers.at(1.0, again)
    for turn in (1, 2, 3):
        newest = timers.newest
        timer = timers.pop_due(1.0, newest)
        while timer is not None:
            timer.callback()
            timer = timers.pop_due(1.0, newest)
        assert len(count) == turn


def test_cancelled_timers_are_pruned_when_they_are_the_majority() -> None:
    timers = Timers()
    live = timers.at(1e6, nothing)
    for _ in range(50):
        for timer in [timers.at(2e6 + index, nothing) for index in range(PRUNE_ABOVE)]:
            timer.cancel()
    assert len(timers) == 1
    assert len(timers._heap) <= 2 * PRUNE_ABOVE + 2
    assert timers.next_due() == live.when


def test_pruning_inside_a_callback_loses_no_timer() -> None:
    timers = Timers()
    fired: List[str] = []
    crowd = [timers.at(50.0, nothing) for _ in range(3 * PRUNE_ABOVE)]

    def cancel_all() -> None:
        for timer in crowd:
            timer.cancel()
    timers.at(1.0, cancel_all)
    note: Callable[[str], Callable[[], None]] = lambda name: lambda: fired.append(name)
    timers.at(1.0, note("same instant"))
    timers.at(60.0, note("later"))
    fire_due(timers, 1.0)
    assert fired == ["same instant"]
    fire_due(timers, 60.0)
    assert fired == ["same instant", "later"]


def test_the_pending_timers_of_one_owner_are_found_without_those_that_are_over() -> None:
    timers, owner = Timers(), object()
    kept = timers.at(2.0, lambda: None, owner)
    timers.at(1.0, lambda: None, object())
    timers.at(3.0, lambda: None, owner).cancel()
    fired = timers.at(0.5, lambda: None, owner)
    assert timers.pop_due(0.6) is fired
    assert timers.pending(owner) == [kept]
