"""A connection on a scripted socket: what real sockets can't be made to do on demand."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from proxy_core.buffer import Buffer
from proxy_core.event.reactor import READ, WRITE
from proxy_core.filters.api import CONTINUE, STOP_ITERATION
from proxy_core.network.close import FLUSH_WRITE, NO_FLUSH
from proxy_core.network.settings import BULK_READ_SIZE, READ_SIZE
from proxy_core.network.sockets import JOIN_UP_TO, MOST_WRITTEN_PER_TURN
from proxy_core.network.table import ConnectionTable
from proxy_core.testing.recording import RecordingFilter
from proxy_core.testing.scripted import reset_error
from tests.support.rig import Rig


@pytest.fixture
def rig() -> Rig:
    return Rig("scripted")


def interest(rig: Rig) -> List[Tuple[str, int]]:
    return [(name, mask) for name, _, mask in rig.selector.calls]


# -- reading -----------------------------------------------------------------------------------------------------------

def test_one_wake_up_is_one_read(rig: Rig) -> None:
    rig.near.incoming.extend([b"a", b"b", b"c"])
    rig.turn()
    assert bytes(rig.filter.data) == b"a"
    assert rig.near.recv_sizes == [READ_SIZE]
    rig.turn(2)
    assert bytes(rig.filter.data) == b"abc"


def test_reads_grow_while_they_come_back_full_and_shrink_afterwards(rig: Rig) -> None:
    rig.near.incoming.append(bytes(READ_SIZE + BULK_READ_SIZE + 10))
    rig.turn(3)
    rig.near.incoming.append(b"small again")
    rig.turn()
    assert rig.near.recv_sizes == [READ_SIZE, BULK_READ_SIZE, BULK_READ_SIZE, READ_SIZE]


def test_no_read_asks_for_more_than_the_buffer_limit() -> None:
    rig = Rig("scripted", buffer_limit=100)
    rig.near.incoming.append(bytes(1000))
    rig.turn(10)
    assert set(rig.near.recv_sizes) == {100}


def test_a_spurious_wake_up_is_nothing(rig: Rig) -> None:
    rig.connection.on_ready(READ)
    rig.connection.on_ready(WRITE)
    rig.connection.on_ready(READ | WRITE)
    assert rig.events == ["Connected"] and not rig.filter.ends and not rig.closed


def test_bytes_before_a_reset_are_delivered(rig: Rig) -> None:
    rig.near.incoming.extend([b"last words", reset_error()])
    rig.turn(2)
    assert bytes(rig.filter.data) == b"last words"
    assert rig.closed


def test_bytes_that_wait_in_the_kernel_when_sending_fails_are_delivered_first(rig: Rig) -> None:
    """A server that answers and closes early: its answer is there, our next bytes meet its RST."""
    rig.write(b"more of the upload")
    rig.near.send_error = reset_error()
    rig.near.incoming.extend([b"413 ", b"too large"])
    rig.connection.flush()
    assert bytes(rig.filter.data) == b"413 too large"
    assert rig.closed
    assert rig.filter.ends == 0
    assert rig.reason.startswith("peer RST")


def test_when_sending_fails_nothing_is_read_for_a_paused_connection(rig: Rig) -> None:
    rig.connection.pause_reading("test")
    rig.write(b"x")
    rig.near.send_error = reset_error()
    rig.near.incoming.append(b"unwanted")
    rig.turn()
    assert rig.closed and not rig.filter.data


def test_a_pause_made_while_flushing_is_obeyed_in_the_same_wake_up() -> None:
    rig = Rig("scripted", buffer_limit=10)
    rig.callbacks._do = lambda told: rig.connection.pause_reading("test") if told == "low" else None
    rig.peer.block()
    rig.write(bytes(20))
    rig.turn()
    rig.peer.unblock()
    rig.peer.send(b"must wait")
    rig.turn()
    assert not rig.filter.data
    rig.connection.resume_reading("test")
    rig.turn()
    assert bytes(rig.filter.data) == b"must wait"


# -- writing -----------------------------------------------------------------------------------------------------------

def test_a_hundred_small_writes_of_one_turn_are_one_send(rig: Rig) -> None:
    for _ in range(100):
        rig.write(b"x" * 10)
    rig.turn()
    assert rig.near.sends == [1000]


def test_writability_is_watched_only_after_a_short_send_and_no_longer_than_needed(rig: Rig) -> None:
    rig.write(b"all of it")
    rig.turn()
    assert interest(rig) == [("register", READ)]
    rig.near.room = 4
    rig.write(b"not all of it")
    rig.turn()
    assert interest(rig)[1:] == [("modify", READ | WRITE)]
    rig.write(b", more")
    assert not rig.reactor.to_flush and not rig.reactor.bulk, "the socket is known to be full"
    rig.near.room = None
    rig.turn()
    assert interest(rig)[2:] == [("modify", READ)]
    assert bytes(rig.peer.got) == b"all of itnot all of it, more"


@pytest.mark.parametrize("size", [1, 1000, JOIN_UP_TO, JOIN_UP_TO + 1, 200_000])
@pytest.mark.parametrize("most", [1, 7, 4096])
def test_short_sends_lose_and_repeat_nothing(size: int, most: int) -> None:
    if size // most > 10_000:
        most = 4096
    rig = Rig("scripted")
    rig.near.most_per_send = most
    blob = bytes(index * 7 % 251 for index in range(size))
    third = size // 3
    for part in (blob[:third], blob[third:2 * third], blob[2 * third:]):
        rig.write(part)
    while rig.connection.write_buffer.size:
        rig.turn()
    assert bytes(rig.peer.got) == blob


def test_one_flush_sends_a_bounded_amount(rig: Rig) -> None:
    for _ in range(40):
        rig.write(bytes(100_000))
    rig.connection.flush()
    assert len(rig.peer.got) <= MOST_WRITTEN_PER_TURN + 64 * 100_000
    while rig.connection.write_buffer.size:
        rig.turn()
    assert len(rig.peer.got) == 4_000_000


def test_the_bytes_queued_are_counted_even_if_they_are_never_sent(rig: Rig) -> None:
    rig.peer.block()
    rig.write(bytes(500))
    rig.turn()
    assert (rig.connection.bytes_queued, rig.connection.bytes_sent) == (500, 0)


def test_bytes_that_are_in_no_buffer_are_written_as_those_that_are() -> None:
    for size in (10, 200_000):
        told = []
        for as_bytes in (False, True):
            rig = Rig("scripted", buffer_limit=15)
            rig.peer.block()
            for _ in range(2):
                if as_bytes:
                    rig.connection.write_bytes(b"x" * size)
                else:
                    rig.write(b"x" * size)
            assert (len(rig.reactor.to_flush), len(rig.reactor.bulk)) == ((1, 0) if size == 10 else (0, 1))
            rig.peer.unblock()
            while rig.connection.write_buffer.size:
                rig.turn()
            told.append((bytes(rig.peer.got), rig.callbacks.log, rig.connection.bytes_queued, rig.near.sends))
        assert told[0] == told[1] and ("callbacks", "high") in told[0][1]


def test_bytes_in_no_buffer_pass_write_filters_and_wait_for_the_connection_and_are_dropped_after_its_end() -> None:
    rig = Rig("scripted", established=False, write_filters=[RecordingFilter("one")])
    rig.connection.write_bytes(b"early")
    rig.turn(2)
    assert not rig.peer.got
    rig.establish()
    rig.connection.write_bytes(b" late")
    rig.turn()
    rig.connection.close(NO_FLUSH)
    rig.connection.write_bytes(b"too late")
    rig.turn()
    assert bytes(rig.peer.got) == b"early late" and rig.connection.bytes_queued == 10


# -- write filters -----------------------------------------------------------------------------------------------------

def test_write_filters_run_last_added_first() -> None:
    log: List[Any] = []
    rig = Rig("scripted", write_filters=[RecordingFilter("one", log), RecordingFilter("two", log)])
    del log[:]
    rig.write(b"x", end_stream=True)
    assert [entry[0] for entry in log] == ["two", "one"]
    rig.turn()
    assert bytes(rig.peer.got) == b"x" and rig.peer.ended


def test_a_write_filter_that_takes_the_bytes_and_injects_them_later() -> None:
    taken: List[bytes] = []

    def take(data: Buffer, end_stream: bool) -> Any:
        taken.append(data.take())
        return STOP_ITERATION
    log: List[Any] = []
    after = RecordingFilter("after", log)
    holder = RecordingFilter("holder", log, on_write_do=take)
    rig = Rig("scripted", write_filters=[after, holder])
    del log[:]
    rig.write(b"later")
    rig.turn()
    assert not rig.peer.got and taken == [b"later"]
    holder.write_callbacks.inject_write_data_to_filter_chain(Buffer(b"now"), True)
    rig.turn()
    assert bytes(rig.peer.got) == b"now" and rig.peer.ended
    assert [entry[0] for entry in log] == ["holder", "after"]


def test_a_flushing_close_waits_for_a_write_filter_that_still_has_bytes() -> None:
    """Envoy closes and the bytes are lost."""
    hold: List[Any] = []

    def take(data: Buffer, end_stream: bool) -> Any:
        data.clear()
        hold.append(holder.write_callbacks.hold("compressing"))
        return STOP_ITERATION
    holder = RecordingFilter("holder", on_write_do=take)
    rig = Rig("scripted", write_filters=[holder])
    rig.write(b"raw")
    rig.connection.close(FLUSH_WRITE)
    rig.turn(3)
    assert not rig.closed
    holder.write_callbacks.inject_write_data_to_filter_chain(Buffer(b"packed"), False)
    hold[0].release()
    rig.turn()
    assert rig.closed
    assert bytes(rig.peer.got) == b"packed"


def test_a_held_banner_survives_a_close_inside_on_new_connection() -> None:
    hold: List[Any] = []

    def take(data: Buffer, end_stream: bool) -> Any:
        data.clear()
        hold.append(holder.write_callbacks.hold("signing"))
        return STOP_ITERATION

    def greet_and_close() -> None:
        greeter.callbacks.connection.write(Buffer(b"hello"), False)
        greeter.callbacks.connection.close(FLUSH_WRITE)
    holder = RecordingFilter("holder", on_write_do=take)
    greeter = RecordingFilter("greeter", on_new_do=greet_and_close)
    rig = Rig("scripted", filters=[greeter], write_filters=[holder])
    rig.turn(2)
    assert not rig.closed
    holder.write_callbacks.inject_write_data_to_filter_chain(Buffer(b"HELLO"), False)
    hold[0].release()
    rig.turn()
    assert rig.closed
    assert bytes(rig.peer.got) == b"HELLO"


def test_a_hold_that_is_never_released_is_bounded_by_the_flush_timeout() -> None:
    holder = RecordingFilter("holder", on_write_do=lambda data, end: (holder.write_callbacks.hold("for ever"), CONTINUE)[1])
    rig = Rig("scripted", write_filters=[holder], flush_timeout=10.0)
    rig.write(b"x")
    rig.connection.close(FLUSH_WRITE)
    rig.turn(3)
    assert bytes(rig.peer.got) == b"x" and not rig.closed
    rig.advance(10.0)
    assert rig.closed


def test_a_write_before_the_connection_is_up_goes_out_when_it_is() -> None:
    rig = Rig("scripted", established=False)
    rig.write(b"early", end_stream=True)
    assert not rig.connection.write_buffer.size == 0
    rig.turn(2)
    assert not rig.peer.got
    rig.establish()
    rig.turn()
    assert bytes(rig.peer.got) == b"early" and rig.peer.ended


# -- the table of connections ------------------------------------------------------------------------------------------

def test_the_table_numbers_connections_from_zero_and_tells_when_one_is_over() -> None:
    table, told = ConnectionTable(), []
    assert [table.next_id(), table.next_id()] == [0, 1]
    one, two = Rig("scripted").connection, Rig("scripted").connection
    one.id, two.id = 0, 1
    table.add(one)
    table.add(two)
    assert table.live() == [one, two] and len(table) == 2
    table.on_discard = lambda: told.append(len(table))
    table.discard(one)
    table.discard(one)
    assert table.live() == [two]
    assert told[0] == 1
