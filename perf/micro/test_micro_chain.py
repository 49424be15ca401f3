"""What the filters cost: a message walks the read chain, with one filter and with four in front."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from proxy_core.buffer import Buffer
from proxy_core.filters.api import STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.filters.chain import ReadChain

MESSAGE = b"m" * 64


class StillClock:
    """Time that does not pass."""

    now = 0.0

    def after(self, delay: float, callback: Callable[[], None], owner: Any = None) -> Any:
        raise AssertionError("no filter here sets a timer")


class Host:
    """The least that a chain needs of its connection."""

    def __init__(self) -> None:
        self.is_open = True
        self.read_buffer = Buffer()
        self.read_ended = False
        self.may_read_more = True
        self.accepts_writes = True
        self.reactor = StillClock()

    def chain_moved(self) -> None:
        """Nothing to do: nothing is read here."""

    def queue_write(self, data: Buffer, end_stream: bool) -> None:
        data.clear()

    def flush(self) -> None:
        """Nothing to do: nothing is queued here."""

    def stalled(self, filter_name: str, since: float) -> None:
        raise AssertionError(f"{filter_name} parked the chain")


class Consumer(NetworkFilter):
    """The last filter: takes everything, as tcp_proxy does."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.clear()
        return STOP_ITERATION


@pytest.mark.parametrize("filters_in_front", [0, 4])
def test_a_message_walks_the_read_chain(benchmark: BenchmarkFixture, filters_in_front: int) -> None:
    host = Host()
    chain = ReadChain(host)
    for index in range(filters_in_front):
        chain.add(NetworkFilter(), f"pass{index}")
    chain.add(Consumer(), "consumer")
    chain.initialize()

    def walk() -> None:
        host.read_buffer.append(MESSAGE)
        chain.run(host.read_buffer, False)

    benchmark(walk)
    assert host.read_buffer.size == 0
