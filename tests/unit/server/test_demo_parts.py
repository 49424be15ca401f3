"""The parts of the demos: the two ends that pour and read at a pace, the bar, the filter that forgets."""

from __future__ import annotations

import argparse
import socket
from typing import Iterator, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.event.reactor import Reactor
from proxy_core.filters.api import CONTINUE, STOP_ITERATION
from proxy_core.network.address import Address
from proxy_core.server.demo import speed
from proxy_core.server.demo_ends import TICK, Reader, Source
from proxy_core.server.demo_slow import BAR_WIDTH, LIMIT, bar
from proxy_core.server.demo_stall import MARKED, Forgetful
from proxy_core.testing.clock import SimulatedClock

RATE = 20_000
PORTION = int(RATE * TICK)


class Loop:
    """A reactor under simulated time."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, report=self.errors.append)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.advance(TICK)
            self.reactor.turn(0)


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.reactor.close()
    assert made.errors == []


def read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece
        data += piece
    return data


def test_the_source_pours_a_portion_a_tick_and_knows_when_it_is_blocked(loop: Loop) -> None:
    source = Source(RATE)
    source.start(loop.reactor)
    with socket.create_connection(("127.0.0.1", source.port), 10) as client:
        loop.reactor.turn(1)
        loop.tick(3)
        assert not source.blocked
        assert len(read(client, 3 * PORTION)) == 3 * PORTION
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        for _ in range(20_000):
            loop.tick()
            if source.blocked:
                break
        assert source.blocked
    loop.tick(2)
    assert not source.blocked  # it has nobody any more
    source.close()


def test_the_reader_takes_its_rate_which_may_change_and_hears_of_the_end(loop: Loop) -> None:
    ends: List[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reader = Reader(loop.reactor, Address.from_ip("127.0.0.1", listening.getsockname()[1]), RATE, ends.append)
        server, peer = listening.accept()
        assert reader.address == peer
        with server:
            server.sendall(bytes(10 * PORTION))
            loop.tick(2)
            reader.rate = 100 * RATE
            loop.tick(1)
            assert ends == []
        loop.tick(3)
    assert ends == ["the proxy ended the connection"]


def test_a_reader_that_is_refused_says_so(loop: Loop) -> None:
    ends: List[str] = []
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        Reader(loop.reactor, Address.from_ip("127.0.0.1", bound.getsockname()[1]), RATE, ends.append)
        loop.tick(3)
    assert len(ends) == 1 and "refused" in ends[0].lower()


@pytest.mark.parametrize(("size", "cells"), [(0, 0), (LIMIT // 4, BAR_WIDTH // 4), (LIMIT - 1, BAR_WIDTH - 1), (9 * LIMIT, BAR_WIDTH + 2)])
def test_the_bar_has_both_marks_however_full_it_is(size: int, cells: int) -> None:
    drawn = bar(size)
    assert len(drawn) == BAR_WIDTH + 4 and [index for index, cell in enumerate(drawn) if cell == "|"] == [BAR_WIDTH // 2, BAR_WIDTH]
    assert abs(drawn.count("#") - cells) <= 1


def test_the_forgetful_filter_lets_all_pass_but_its_line() -> None:
    made = Forgetful({})
    assert made.on_data(Buffer(b"hello 1\n"), False) is CONTINUE
    assert made.on_data(Buffer(b"please " + MARKED + b"\n"), True) is STOP_ITERATION


def test_a_speed_is_a_positive_number_within_reason() -> None:
    assert speed("8") == 8 and speed("0.5") == 0.5
    for text in ("0", "-1", "1000", "nan", "fast"):
        with pytest.raises(argparse.ArgumentTypeError):
            speed(text)
