"""What the loop itself costs: a turn with one ready socket, an idle turn, and a timer's life."""

from __future__ import annotations

import socket

from pytest_benchmark.fixture import BenchmarkFixture

from proxy_core.event.reactor import READ, Reactor
from proxy_core.event.timers import Timers


def nothing() -> None:
    """What a timer does here."""


class Reader:
    """A handler that reads what is there."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def on_ready(self, mask: int) -> None:
        self._peer.recv(65536)

    def on_failure(self, error: Exception) -> None:
        raise error


def test_a_turn_with_one_ready_socket(benchmark: BenchmarkFixture) -> None:
    near, far = socket.socketpair()
    reactor = Reactor()
    with near, far:
        reactor.watch(near.fileno(), READ, Reader(near))

        def turn() -> None:
            far.send(b"x")
            reactor.turn(0.0)

        benchmark(turn)
        reactor.unwatch(near.fileno())
    reactor.close()


def test_a_turn_with_nothing_to_do(benchmark: BenchmarkFixture) -> None:
    reactor = Reactor()
    benchmark(reactor.turn, 0.0)
    reactor.close()


def test_watching_again_what_is_watched_already(benchmark: BenchmarkFixture) -> None:
    near, far = socket.socketpair()
    reactor = Reactor()
    with near, far:
        handler = Reader(near)
        reactor.watch(near.fileno(), READ, handler)
        benchmark(reactor.watch, near.fileno(), READ, handler)
        reactor.unwatch(near.fileno())
    reactor.close()


def test_a_timer_among_a_thousand_is_set_and_cancelled(benchmark: BenchmarkFixture) -> None:
    timers = Timers()
    for index in range(1000):
        timers.at(1e6 + index, nothing)

    def set_and_cancel() -> None:
        timers.at(5e5, nothing).cancel()
        timers.next_due()

    benchmark(set_and_cancel)


def test_a_timer_among_a_thousand_is_set_and_fires(benchmark: BenchmarkFixture) -> None:
    timers = Timers()
    for index in range(1000):
        timers.at(1e6 + index, nothing)

    def set_and_fire() -> None:
        timers.at(1.0, nothing)
        assert timers.pop_due(2.0) is not None

    benchmark(set_and_fire)
