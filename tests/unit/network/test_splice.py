"""The pool of pipes, and single steps of a splicer between two connections made by hand."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Any, Iterator, List, Optional, Tuple

import pytest

from proxy_core.buffer import Buffer
from proxy_core.event.reactor import READ, WRITE, Reactor
from proxy_core.filters.api import STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network import sockets, splice
from proxy_core.network.connection import Connection
from proxy_core.network.handshake import establish
from proxy_core.network.settings import READ_SIZE, ByteCounters, ConnectionSettings, FlowCounters
from proxy_core.network.splice import MOST_IDLE_PIPES, PIPE_SIZE, WAITING_FOR_SINK, PipePool
from proxy_core.observe.stats import Counter
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.testing.clock import SimulatedClock
from tests.support.peers import Peer
from tests.support.rig import tcp_pair
from tests.support.spliced import Splices, descriptors, needs_splice, noise

F_GETPIPE_SZ = 1032


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


# -- the pool ----------------------------------------------------------------------------------------------------------

@pytest.fixture
def pool() -> Iterator[PipePool]:
    made = PipePool()
    yield made
    made.close()


def borrowed(pool: PipePool) -> Tuple[int, int]:
    pipe = pool.borrow()
    assert pipe is not None
    return pipe


@needs_splice
def test_a_pipe_is_large_does_not_block_and_is_not_inherited(pool: PipePool) -> None:
    pipe = borrowed(pool)
    for end in pipe:
        assert not os.get_blocking(end)
        assert not os.get_inheritable(end)
    assert fcntl.fcntl(pipe[1], F_GETPIPE_SZ) >= PIPE_SIZE
    pool.give_back(pipe, empty=True)


@needs_splice
def test_an_empty_pipe_that_came_back_is_lent_again(pool: PipePool) -> None:
    pipe = borrowed(pool)
    pool.give_back(pipe, empty=True)
    assert borrowed(pool) == pipe
    pool.give_back(pipe, empty=True)


@needs_splice
def test_a_pipe_that_may_hold_bytes_is_closed_and_never_lent_again(pool: PipePool) -> None:
    pipe = borrowed(pool)
    os.write(pipe[1], b"somebody else's bytes")
    pool.give_back(pipe, empty=False)
    assert not is_open(pipe[0]) and not is_open(pipe[1])
    fresh = borrowed(pool)
    with pytest.raises(BlockingIOError):
        os.read(fresh[0], 1)
    pool.give_back(fresh, empty=True)


@needs_splice
def test_the_pool_keeps_a_few_pipes_and_closes_the_others(pool: PipePool) -> None:
    before = descriptors()
    pipes = [borrowed(pool) for _ in range(MOST_IDLE_PIPES + 3)]
    assert descriptors() == before + 2 * len(pipes)
    for pipe in pipes:
        pool.give_back(pipe, empty=True)
    assert descriptors() == before + 2 * MOST_IDLE_PIPES
    pool.close()
    assert descriptors() == before


@needs_splice
def test_no_pipe_is_lent_when_there_is_no_descriptor_left(pool: PipePool, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(flags: int) -> Tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr("os.pipe2", exhausted)
    assert pool.borrow() is None


@needs_splice
def test_a_pipe_that_may_not_be_large_is_closed_again(pool: PipePool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")
    before = descriptors()
    monkeypatch.setattr(fcntl, "fcntl", refused)
    assert pool.borrow() is None
    assert descriptors() == before
    monkeypatch.undo()
    pipe = borrowed(pool)  # the refusal is not remembered: pipe memory comes and goes
    pool.give_back(pipe, empty=True)


# -- the system call ---------------------------------------------------------------------------------------------------

@needs_splice
def test_what_a_splice_can_answer(pool: PipePool) -> None:
    near, far = tcp_pair()
    near.setblocking(False)
    pipe = borrowed(pool)
    assert sockets.splice(near.fileno(), pipe[1], 100) is None
    far.send(b"bytes")
    assert sockets.splice(near.fileno(), pipe[1], 100) == 5
    with pytest.raises(sockets.NoSplice, match="Invalid argument"):
        sockets.splice(near.fileno(), near.fileno(), 100)
    far.close()
    assert sockets.splice(near.fileno(), pipe[1], 100) == 0
    near.close()
    pool.give_back(pipe, empty=False)


# -- a step ------------------------------------------------------------------------------------------------------------

class Forward(NetworkFilter):
    """What tcp_proxy does with bytes."""

    def __init__(self) -> None:
        self.target: Optional[Connection] = None

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        assert self.target is not None
        self.target.write(data, end_stream)
        return STOP_ITERATION


class Joined:
    """Two connections of which each forwards to the other, joined for splicing; their far ends; and the pool."""

    def __init__(self, **settings: Any) -> None:
        self.errors: List[Exception] = []
        self.reactor = Reactor(SimulatedClock(), report=self.errors.append)
        self.pool = PipePool()
        self.source, self.feeder = self._connection(1, settings)
        self.sink, self.reader = self._connection(2, settings)
        for one, other in ((self.source, self.sink), (self.sink, self.source)):
            target = one.read_chain.filters()[0].filter
            assert isinstance(target, Forward)
            target.target = other
        self.flow = FlowCounters(Counter("paused"), Counter("resumed"))
        other_way = FlowCounters(Counter("paused"), Counter("resumed"))
        splice.join(self.source, self.flow, self.sink, other_way, self.pool)

    def _connection(self, number: int, settings: Any) -> Tuple[Connection, Peer]:
        near, far = tcp_pair()
        near.setblocking(False)
        counters = ByteCounters(Counter("rx"), Counter("tx"))
        connection = Connection(
            number, self.reactor, near, StreamInfo(number, 0.0, self.reactor.now), ConnectionSettings(**settings), counters
        )
        connection.half_close_enabled = True
        connection.read_chain.add(Forward(), "forward")
        connection.read_chain.initialize()
        establish(connection)
        return connection, Peer(far)

    def feed(self, data: bytes) -> None:
        """Bytes that wait in the source's socket."""
        self.feeder.sock.setblocking(True)
        self.feeder.sock.sendall(data)
        self.feeder.sock.setblocking(False)

    def step(self) -> bool:
        """Ask the source's splicer, as a wake-up does in the middle of bulk."""
        self.source.read_size = 4 * READ_SIZE
        assert self.source.splicer is not None
        return self.source.splicer()

    def close(self) -> None:
        for connection, peer in ((self.source, self.feeder), (self.sink, self.reader)):
            if connection.fd >= 0:
                self.reactor.unwatch(connection.fd)
            connection.sock.close()
            peer.close()
        self.pool.close()
        self.reactor.close()


@pytest.fixture
def joined() -> Iterator[Joined]:
    made = Joined()
    yield made
    made.close()


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Splices:
    return Splices(monkeypatch)


@needs_splice
def test_a_step_moves_what_is_there_counts_it_and_gives_the_pipe_back(joined: Joined) -> None:
    data = noise(100_000)
    joined.feed(data)
    assert joined.step()
    joined.reader.pump()
    moved = len(joined.reader.got)
    assert 0 < moved and bytes(joined.reader.got) == data[:moved]
    source, sink = joined.source, joined.sink
    assert source.bytes_read == source.counters.rx_total.value == moved
    assert sink.bytes_queued == sink.bytes_sent == sink.counters.tx_total.value == moved
    assert len(joined.pool._idle) == 1


@needs_splice
def test_a_step_with_less_than_a_full_read_ends_the_bulk(joined: Joined) -> None:
    joined.feed(bytes(1000))
    assert joined.step()
    assert joined.source.read_size == READ_SIZE


@needs_splice
def test_with_nothing_to_read_the_step_is_left_to_an_ordinary_read(joined: Joined) -> None:
    assert not joined.step()
    assert joined.source.read_size == READ_SIZE
    assert joined.source.splicer is not None and len(joined.pool._idle) == 1


@needs_splice
def test_the_end_of_the_stream_is_left_to_an_ordinary_read(joined: Joined) -> None:
    joined.feeder.finish()
    assert not joined.step()
    joined.reactor.turn(0)
    joined.reader.pump()
    assert joined.reader.ended


@needs_splice
@pytest.mark.parametrize("reason", ["unread bytes", "unsent bytes", "ended sink", "closing sink"])
def test_no_step_is_taken_past_bytes_or_into_an_end(joined: Joined, spy: Splices, reason: str) -> None:
    joined.feed(bytes(100_000))
    if reason == "unread bytes":
        joined.source.read_buffer.append(b"first")
    elif reason == "unsent bytes":
        joined.sink.write(Buffer(b"first"), False)
    elif reason == "ended sink":
        joined.sink.write(Buffer(), True)
    else:
        joined.sink.is_open = False
    assert not joined.step()
    assert spy.taken == []


@needs_splice
def test_a_connection_that_gets_no_pipe_does_not_ask_again(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined.pool, "borrow", lambda: None)
    joined.feed(bytes(100_000))
    assert not joined.step()
    assert joined.source.splicer is None
    assert joined.sink.splicer is not None


@needs_splice
def test_a_sink_that_takes_a_part_gets_the_rest_from_memory_and_the_source_waits(joined: Joined, spy: Splices) -> None:
    spy.fail_passing = sockets.NoSplice("a full socket would do as well")
    data = noise(100_000)
    joined.feed(data)
    assert joined.step()
    source, sink = joined.source, joined.sink
    assert source.pauses == (WAITING_FOR_SINK,) and not source.mask & READ
    assert sink.mask & WRITE and sink.write_buffer.size == sink.bytes_queued == source.bytes_read
    assert sink.bytes_sent == 0
    assert (joined.flow.paused.value, joined.flow.resumed.value) == (1, 0)
    joined.reactor.turn(0)
    assert (joined.flow.paused.value, joined.flow.resumed.value) == (1, 1)
    assert source.pauses == () and source.mask == READ and sink.mask == READ
    joined.reader.pump()
    assert bytes(joined.reader.got) == data[:len(joined.reader.got)]
    assert sink.bytes_sent == source.bytes_read


@needs_splice
def test_nothing_moved_is_no_activity_of_the_sink(joined: Joined, spy: Splices) -> None:
    """Bounds on a peer that does not read count from the last byte that it took."""
    spy.fail_passing = sockets.NoSplice("a full socket would do as well")
    joined.feed(bytes(100_000))
    before = joined.sink.last_write
    joined.reactor.now += 5.0
    joined.step()
    assert joined.sink.last_write == before
    assert joined.source.last_read == before + 5.0


@needs_splice
def test_a_sink_that_is_gone_costs_the_pipe_and_the_bytes_count_as_queued(joined: Joined, spy: Splices) -> None:
    before = descriptors()
    spy.fail_passing = sockets.lost(errno.ECONNRESET)
    joined.feed(bytes(100_000))
    assert joined.step()
    sink = joined.sink
    assert sink.fd < 0 and "peer RST" in str(sink.close_reason)
    assert sink.bytes_queued == joined.source.bytes_read > 0 and sink.bytes_sent == 0
    assert joined.pool._idle == []
    assert descriptors() == before - 1  # the sink's socket


@needs_splice
def test_a_source_that_is_gone_closes_that_connection_and_keeps_the_pipe(joined: Joined, spy: Splices) -> None:
    spy.fail_taking = sockets.lost(errno.ECONNRESET)
    joined.feed(bytes(100_000))
    assert joined.step()
    assert joined.source.fd < 0 and "peer RST" in str(joined.source.close_reason)
    assert len(joined.pool._idle) == 1


@needs_splice
def test_an_exception_half_way_closes_the_pipe_and_the_source_and_the_loop_goes_on(joined: Joined, spy: Splices) -> None:
    spy.fail_passing = RuntimeError("a bug")
    joined.feed(bytes(100_000))
    joined.source.read_size = 4 * READ_SIZE
    joined.reactor.turn(0)
    assert [str(error) for error in joined.errors] == ["a bug"]
    assert joined.source.fd < 0
    assert joined.pool._idle == []


# -- joining -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("settings, spliced", [
    ({}, True), ({"buffer_limit": 0}, True), ({"buffer_limit": 131072}, True),
    ({"buffer_limit": 131071}, False), ({"high_watermark_timeout": 1.0}, False),
])
@needs_splice
def test_who_may_be_spliced(settings: Any, spliced: bool) -> None:
    joined = Joined(**settings)
    assert [one.splicer is not None for one in (joined.source, joined.sink)] == [spliced, spliced]
    joined.close()


@pytest.mark.parametrize("missing", ["system", "function"])
def test_without_the_system_or_the_function_nobody_is(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "system":
        monkeypatch.setattr("sys.platform", "darwin")
    else:
        monkeypatch.delattr("os.splice", raising=False)
    assert not splice.available()
    joined = Joined()
    assert joined.source.splicer is None and joined.sink.splicer is None
    joined.close()
