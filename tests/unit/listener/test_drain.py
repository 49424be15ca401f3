"""Draining: who is told, and how the departures are spread."""

from __future__ import annotations

import random
from typing import List

from proxy_core.listener.drain import SPREAD_OVER, DrainManager


class Member:
    """A connection that leaves when asked."""

    def __init__(self) -> None:
        self.delays: List[float] = []

    def on_drain(self, delay: float) -> None:
        self.delays.append(delay)


def test_members_are_told_once_within_the_first_quarter_of_the_drain_time() -> None:
    manager = DrainManager(600.0, True, random.Random(1))
    members = [Member() for _ in range(200)]
    for member in members:
        manager.add(member)
    assert not manager.draining and not any(member.delays for member in members)
    manager.start()
    delays = [delay for member in members for delay in member.delays]
    assert manager.draining and len(delays) == 200
    assert 0 <= min(delays) and max(delays) <= 600.0 * SPREAD_OVER
    assert max(delays) - min(delays) > 100


def test_the_immediate_strategy_and_a_failed_health_check_do_not_spread() -> None:
    for gradual, at_once in ((False, False), (True, True)):
        manager = DrainManager(600.0, gradual, random.Random(1))
        member = Member()
        manager.add(member)
        manager.start(at_once)
        assert member.delays == [0.0]


def test_a_connection_that_comes_while_draining_is_told_at_once_and_one_that_left_is_not_told() -> None:
    manager = DrainManager(600.0, False, random.Random(1))
    left, late = Member(), Member()
    manager.add(left)
    manager.discard(left)
    manager.discard(left)
    manager.start()
    manager.add(late)
    assert (left.delays, late.delays) == ([], [0.0])


def test_a_member_may_leave_while_all_are_being_told() -> None:
    manager = DrainManager(600.0, False, random.Random(1))

    class Leaver(Member):
        def on_drain(self, delay: float) -> None:
            super().on_drain(delay)
            manager.discard(self)
    members = [Leaver() for _ in range(5)]
    for member in members:
        manager.add(member)
    manager.start()
    manager.start()
    assert [member.delays for member in members] == [[0.0]] * 5


def test_stopping_lets_newcomers_stay() -> None:
    manager = DrainManager(600.0, False, random.Random(1))
    manager.start()
    manager.stop()
    member = Member()
    manager.add(member)
    assert member.delays == []


def test_a_child_drains_with_its_parent_and_a_parent_not_with_its_child() -> None:
    manager = DrainManager(600.0, False, random.Random(1))
    first, second = manager.child(), manager.child()
    members = [Member() for _ in range(3)]
    for one, member in zip((manager, first, second), members):
        one.add(member)
    first.start()
    assert [one.draining for one in (manager, first, second)] == [False, True, False]
    assert [member.delays for member in members] == [[], [0.0], []]
    manager.start()
    assert second.draining
    assert [member.delays for member in members] == [[0.0], [0.0, 0.0], [0.0]]
    late = Member()
    second.add(late)
    assert late.delays == [0.0]


def test_a_detached_child_hears_no_more_of_its_parent() -> None:
    manager = DrainManager(600.0, False, random.Random(1))
    drained, free = manager.child(), manager.child()
    free.detach()
    free.detach()
    manager.start()
    drained.detach()
    manager.stop()
    assert [one.draining for one in (manager, drained, free)] == [False, True, False]


def test_who_comes_when_all_were_asked_to_leave_at_once_leaves_at_once() -> None:
    manager = DrainManager(600.0, True, random.Random(1))
    child, detached = manager.child(), manager.child()
    manager.start(at_once=True)
    detached.detach()
    for one in (manager, child, detached):
        member = Member()
        one.add(member)
        assert member.delays == [0.0]
    manager.stop()
    manager.start()
    gradual = Member()
    manager.add(gradual)
    assert gradual.delays != [0.0]
