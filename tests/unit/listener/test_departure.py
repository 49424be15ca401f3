"""Who is closed when, at the end of a drain: quiet connections first, a share at a time, the rest at the
bound."""

from __future__ import annotations

from typing import Any, List

from proxy_core.event.reactor import Reactor
from proxy_core.listener.departure import QUIET, Departure, Plan
from proxy_core.network.close import NO_FLUSH
from proxy_core.testing.clock import SimulatedClock
from proxy_core.testing.scripted import ScriptedSelector


class Sized:
    """A buffer, as far as its size goes."""

    def __init__(self) -> None:
        self.size = 0


class Fake:
    """A connection that can be closed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.last_read = self.last_write = world.clock.now
        self.write_buffer = Sized()

    def close(self, kind: object, details: str, how: str, config: str) -> None:
        assert (kind, details, how, config) == (NO_FLUSH, "gone", "drain", "setting")
        self._world.connections.remove(self)
        self._world.closed.append(self)


class World:
    """Connections, time, and what was closed in which order."""

    def __init__(self, count: int) -> None:
        self.clock = SimulatedClock()
        self.reactor = Reactor(self.clock, ScriptedSelector())
        self.connections: List[Fake] = [Fake(self) for _ in range(count)]
        self.closed: List[Fake] = []
        self.done_at: List[float] = []

    def leave(self, plan: Plan) -> Departure:
        found: Any = lambda: list(self.connections)  # noqa: E731
        return Departure(
            self.reactor, found, plan, "gone", "setting", lambda: self.done_at.append(self.clock.now - 1000.0)
        )

    def pass_time(self, seconds: float, busy: Any = ()) -> None:
        """In steps of 10 ms; a byte goes over `busy` connections in each."""
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)
            for one in busy:
                one.last_read = self.clock.now
            self.reactor.turn(0)


def test_a_single_idle_connection_is_closed_at_the_drain_time() -> None:
    world = World(1)
    world.leave(Plan(10.0, QUIET, 2.5, 2.5))
    world.pass_time(9.9)
    assert not world.closed
    world.pass_time(0.11)
    assert len(world.closed) == 1
    assert 9.99 < world.done_at[0] < 10.02


def test_without_connections_the_end_is_at_the_drain_time() -> None:
    world = World(0)
    world.leave(Plan(10.0, QUIET, 2.5, 2.5))
    world.pass_time(9.9)
    assert not world.done_at
    world.pass_time(0.2)
    assert len(world.done_at) == 1
    assert len(world.reactor.timers) == 0


def test_many_idle_connections_go_a_share_at_a_time_silent_longest_first() -> None:
    world = World(1000)
    for index, one in enumerate(world.connections):
        one.last_write = 1000.0 - index
        one.last_read = 0.0
    order = sorted(world.connections, key=lambda one: one.last_write)
    world.leave(Plan(10.0, QUIET, 2.5, 2.5))
    world.pass_time(10.01)
    assert 0 < len(world.closed) <= 20
    world.pass_time(1.2)
    assert 400 < len(world.closed) < 600
    world.pass_time(1.4)
    assert world.closed == order
    assert len(world.done_at) == 1


def test_a_busy_connection_goes_when_it_is_quiet_and_at_the_bound_if_it_never_is() -> None:
    world = World(3)
    idle, pausing, busy = world.connections
    world.leave(Plan(1.0, QUIET, 1.0, 1.0))
    world.pass_time(1.1, busy=[pausing, busy])
    assert world.closed == [idle]
    world.pass_time(0.3, busy=[busy])
    assert world.closed == [idle, pausing]
    world.pass_time(0.5, busy=[busy])
    assert world.closed == [idle, pausing]
    world.pass_time(0.2, busy=[busy])
    assert world.closed == [idle, pausing, busy]
    assert len(world.done_at) == 1


def test_queued_bytes_are_not_quiet() -> None:
    world = World(1)
    world.connections[0].write_buffer.size = 1
    world.leave(Plan(1.0, QUIET, 0.25, 0.25))
    world.pass_time(1.2)
    assert not world.closed
    world.pass_time(0.15)
    assert len(world.closed) == 1


def test_a_drain_time_of_0_closes_all_at_once_however_busy() -> None:
    world = World(50)
    world.leave(Plan(0.0, QUIET, 0.0, 0.0))
    world.pass_time(0.01, busy=list(world.connections))
    assert (len(world.closed), len(world.done_at)) == (50, 1)


def test_without_a_bound_a_busy_connection_stays() -> None:
    world = World(2)
    busy = world.connections[0]
    world.leave(Plan(1.0, 5.0, 1.0, None))
    world.pass_time(8.0, busy=[busy])
    assert world.connections == [busy]
    world.pass_time(5.2)
    assert not world.connections


def test_what_was_cancelled_closes_nobody() -> None:
    world = World(1)
    departure = world.leave(Plan(1.0, QUIET, 0.25, 0.25))
    departure.cancel()
    departure.cancel()
    world.pass_time(3.0)
    assert not world.closed and not world.done_at
    assert len(world.reactor.timers) == 0
