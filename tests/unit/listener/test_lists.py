"""The states of listeners: every step of the table, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from proxy_core.errors import IllegalTransition
from proxy_core.listener.lists import Entry, ListenerLists, Origin, State
from proxy_core.observe.stat_names import ListenerManagerStats
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock

GAUGES = ("active", "warming", "draining")
ALLOWED = {
    (State.WARMING, State.ACTIVE), (State.WARMING, State.GONE), (State.ACTIVE, State.DRAINING), (State.DRAINING, State.GONE),
}


class Named:
    """A listener, as far as its name goes."""

    def __init__(self, name: str) -> None:
        self.name = name


def entry(name: str = "a") -> Entry:
    listener: Any = Named(name)
    drain: Any = None
    return Entry(listener, [], drain, Origin.LDS, "", 0.0, f"listener.{name}")


class Lists:
    """Lists with their gauges."""

    def __init__(self) -> None:
        self.store = StatsStore(SimulatedClock())
        self.lists = ListenerLists(ListenerManagerStats(self.store.scope("listener_manager")))

    def add(self, name: str = "a") -> Entry:
        one = entry(name)
        self.lists.warm(one)
        self.lists.activate(one)
        return one

    @property
    def gauges(self) -> Any:
        return [self.store.gauges[f"listener_manager.total_listeners_{name}"].value for name in GAUGES]


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_only_the_steps_of_the_table_are_possible(before: State, after: State) -> None:
    one = entry()
    one.state = before
    if (before, after) in ALLOWED:
        one.move_to(after)
        assert one.state is after
    else:
        with pytest.raises(IllegalTransition, match=f"listener 'a': {before.value} -> {after.value}"):
            one.move_to(after)


def test_a_listener_warms_serves_drains_and_is_gone() -> None:
    world = Lists()
    one = entry()
    world.lists.warm(one)
    assert (world.gauges, one.state) == ([0, 1, 0], State.WARMING)
    assert world.lists.activate(one) is None
    assert (world.gauges, one.state) == ([1, 0, 0], State.ACTIVE)
    world.lists.retire(one)
    assert (world.gauges, one.state) == ([0, 0, 1], State.DRAINING)
    assert list(world.lists) == [one]
    world.lists.forget(one)
    assert (world.gauges, one.state, list(world.lists)) == ([0, 0, 0], State.GONE, [])


def test_one_that_never_got_warm_leaves_no_trace() -> None:
    world = Lists()
    one = entry()
    world.lists.warm(one)
    world.lists.give_up(one)
    assert (world.gauges, list(world.lists)) == ([0, 0, 0], [])


def test_a_replaced_one_leaves_its_place_in_the_order_and_the_latest_drains_first() -> None:
    world = Lists()
    first, second = world.add("a"), world.add("b")
    newer = entry("a")
    world.lists.warm(newer)
    assert world.lists.activate(newer) is first
    assert list(world.lists.active.values()) == [newer, second]
    world.lists.retire(second)
    assert world.lists.draining == [second, first]
    assert world.gauges == [1, 0, 2]
