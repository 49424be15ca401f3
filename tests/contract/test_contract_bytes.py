"""What a connection promises about bytes and ends of streams, whatever it stands on."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.filters.api import STOP_ITERATION
from proxy_core.network.connection import READ_BUFFER_HOLDER
from proxy_core.testing.recording import RecordingFilter
from tests.contract.conftest import NewRig
from tests.support.rig import Rig

TEXT = b"The quick brown fox\r\n\0\xff jumps"


def echo(filter_holder: List[Any]) -> Any:
    def on_data(data: Buffer, end_stream: bool) -> None:
        filter_holder[0].callbacks.connection.write(data, end_stream)
    return on_data


def echoing(new_rig: NewRig, **settings: Any) -> Rig:
    holder: List[Any] = []
    holder.append(RecordingFilter("echo", on_data_do=echo(holder)))
    return new_rig(filters=holder, **settings)


def test_bytes_come_back_whole_at_every_split(new_rig: NewRig) -> None:
    rig = echoing(new_rig)
    sent = b""
    for at in range(len(TEXT) + 1):
        for part in (TEXT[:at], TEXT[at:]):
            if part:
                rig.peer.send(part)
                rig.turn()
        sent += TEXT
    rig.until(lambda: len(rig.peer.got) >= len(sent))
    assert bytes(rig.peer.got) == sent
    assert rig.connection.bytes_read == rig.connection.bytes_sent == rig.connection.bytes_queued == len(sent)
    assert (rig.counters.rx_total.value, rig.counters.tx_total.value) == (len(sent), len(sent))


def test_a_byte_at_a_time_comes_back_with_the_end(new_rig: NewRig) -> None:
    rig = echoing(new_rig)
    for index in range(len(TEXT)):
        rig.peer.send(TEXT[index:index + 1])
        rig.turn()
    rig.peer.finish()
    rig.until(lambda: rig.closed)
    assert bytes(rig.peer.got) == TEXT
    assert rig.peer.ended and not rig.peer.was_reset


@pytest.mark.parametrize("limit", [0, 1, 5, 64, 1 << 20])
def test_every_buffer_limit_passes_all_bytes(new_rig: NewRig, limit: int) -> None:
    rig = echoing(new_rig, buffer_limit=limit)
    rig.peer.send(TEXT * 10)
    rig.until(lambda: len(rig.peer.got) == 10 * len(TEXT))
    assert bytes(rig.peer.got) == TEXT * 10
    assert not rig.connection.pauses


# -- the end of the stream ---------------------------------------------------------------------------------------------

def test_end_stream_is_told_once_and_the_reply_after_it_still_goes_out(rig: Rig) -> None:
    rig.peer.send(b"question")
    rig.peer.finish()
    rig.until(lambda: rig.filter.ends)
    assert bytes(rig.filter.data) == b"question"
    rig.turn(5)
    assert not rig.closed
    rig.write(b"answer", end_stream=True)
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == b"answer"
    assert rig.filter.ends == 1
    assert rig.events == ["Connected", "LocalClose"]  # our FIN was the last word


def test_our_end_first_the_peer_may_still_send_and_its_end_closes(rig: Rig) -> None:
    rig.write(b"bye", end_stream=True)
    rig.until(lambda: rig.peer.ended)
    assert not rig.closed
    rig.peer.send(b"last words")
    rig.until(lambda: rig.filter.data)
    rig.peer.finish()
    rig.until(lambda: rig.closed)
    assert bytes(rig.filter.data) == b"last words"
    assert rig.filter.ends == 1
    assert rig.events == ["Connected", "RemoteClose"]
    assert "both directions have ended" in rig.reason


def test_an_end_without_bytes_is_told_once(rig: Rig) -> None:
    rig.peer.finish()
    rig.until(lambda: rig.filter.ends)
    rig.turn(5)
    assert rig.filter.ends == 1
    assert rig.filter.log[-1] == ("f", "data", b"", True)


def test_an_end_that_comes_while_reading_is_paused_is_told_on_resume_and_only_once(rig: Rig) -> None:
    rig.connection.pause_reading("test")
    rig.peer.send(b"late")
    rig.peer.finish()
    rig.turn(5)
    assert not rig.filter.data and not rig.filter.ends
    rig.connection.resume_reading("test")
    rig.until(lambda: rig.filter.ends)
    rig.connection.pause_reading("again")
    rig.connection.resume_reading("again")
    rig.turn(5)
    assert bytes(rig.filter.data) == b"late"
    assert rig.filter.ends == 1


def test_an_end_for_which_the_chain_is_parked_is_told_to_the_next_filter_once_when_it_goes_on(new_rig: NewRig) -> None:
    log: List[Any] = []
    gate = RecordingFilter("gate", log, on_data_do=lambda data, end: STOP_ITERATION)
    last = RecordingFilter("last", log)
    rig = new_rig(filters=[gate, last])
    rig.peer.send(b"abc")
    rig.peer.finish()
    rig.until(lambda: gate.ends)
    rig.turn(3)
    assert not last.ends and not rig.closed
    gate.callbacks.continue_reading()
    gate.callbacks.continue_reading()
    rig.turn(3)
    assert (bytes(last.data), last.ends, gate.ends) == (b"abc", 1, 1)


def test_writing_after_the_end_was_written_is_dropped(rig: Rig) -> None:
    rig.write(b"bye", end_stream=True)
    rig.write(b"more", end_stream=True)
    rig.until(lambda: rig.peer.ended)
    rig.write(b"even more")
    rig.turn(3)
    assert bytes(rig.peer.got) == b"bye"


def test_without_half_close_the_reply_to_data_and_end_in_one_go_is_not_lost(new_rig: NewRig) -> None:
    """Envoy closes at once and drops it."""
    rig = echoing(new_rig, half_close=False)
    rig.peer.send(b"abc")
    rig.peer.finish()
    rig.until(lambda: rig.closed)
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == b"abc"
    assert rig.events == ["Connected", "RemoteClose"]
    assert rig.reason == "peer FIN"


def test_without_half_close_a_filter_never_hears_end_stream(new_rig: NewRig) -> None:
    rig = new_rig(half_close=False)
    rig.peer.send(b"abc")
    rig.peer.finish()
    rig.until(lambda: rig.closed)
    assert (bytes(rig.filter.data), rig.filter.ends) == (b"abc", 0)


def test_without_half_close_bytes_of_a_parked_chain_survive_the_peers_end(new_rig: NewRig) -> None:
    gate = RecordingFilter("gate", on_data_do=lambda data, end: STOP_ITERATION)
    last = RecordingFilter("last")
    rig = new_rig(filters=[gate, last], half_close=False)
    rig.peer.send(b"abc")
    rig.peer.finish()
    rig.turn(5)
    assert not rig.closed
    gate.callbacks.continue_reading()
    rig.until(lambda: rig.closed)
    assert bytes(last.data) == b"abc"


# -- writing -----------------------------------------------------------------------------------------------------------

def test_write_only_queues_and_takes_the_callers_bytes(rig: Rig) -> None:
    data = Buffer(b"hello")
    rig.connection.write(data, False)
    assert data.size == 0
    rig.peer.pump()
    assert bytes(rig.peer.got) == b""
    assert rig.connection.write_buffer.size == 5
    rig.until(lambda: bytes(rig.peer.got) == b"hello")
    assert rig.connection.write_buffer.size == 0


def test_a_blocked_socket_is_retried_when_it_takes_bytes_again_and_the_order_stays(rig: Rig) -> None:
    rig.peer.block()
    for index in range(50):
        rig.write(b"%04d" % index)
        rig.turn()
    assert rig.connection.write_buffer.size == 200
    rig.peer.unblock()
    rig.until(lambda: not rig.connection.write_buffer.size)
    rig.until(lambda: len(rig.peer.got) == 200)
    assert bytes(rig.peer.got) == b"".join(b"%04d" % index for index in range(50))


def test_an_end_written_to_a_blocked_socket_comes_after_the_bytes(rig: Rig) -> None:
    rig.peer.block()
    rig.write(b"abc")
    rig.turn()
    rig.write(b"def", end_stream=True)
    rig.turn()
    rig.peer.unblock()
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == b"abcdef"


def test_large_writes_arrive_whole(rig: Rig) -> None:
    blob = bytes(range(256)) * 12_000
    rig.write(blob[:1_000_000])
    rig.write(blob[1_000_000:], end_stream=True)
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == blob


def test_watermarks_are_told_once_per_crossing(new_rig: NewRig) -> None:
    rig = new_rig(buffer_limit=1000)
    rig.peer.block()
    rig.write(bytes(1000))
    assert rig.watermarks == []  # the limit itself is not above the limit
    rig.write(b"x")
    rig.write(bytes(500))
    rig.turn(3)
    assert rig.watermarks == ["high"]
    rig.peer.unblock()
    rig.until(lambda: not rig.connection.write_buffer.size)
    assert rig.watermarks == ["high", "low"]
    rig.peer.block()
    rig.write(bytes(1001))
    rig.turn()
    assert rig.watermarks == ["high", "low", "high"]


def test_a_limit_of_zero_switches_the_watermarks_off(new_rig: NewRig) -> None:
    rig = new_rig(buffer_limit=0)
    rig.peer.block()
    rig.write(bytes(5_000_000))
    rig.turn()
    assert rig.watermarks == []


def test_a_close_while_above_the_high_watermark_lets_the_producer_go(new_rig: NewRig) -> None:
    rig = new_rig(buffer_limit=10)
    rig.peer.block()
    rig.write(bytes(100))
    rig.turn()
    rig.connection.on_failure(ValueError("bug"))
    assert rig.watermarks == ["high", "low"]


# -- pausing -----------------------------------------------------------------------------------------------------------

def test_reading_goes_on_only_when_the_last_holder_lets_go(rig: Rig) -> None:
    rig.connection.pause_reading("one")
    rig.connection.pause_reading("two")
    rig.connection.pause_reading("one")
    rig.peer.send(b"abc")
    for holder in ("one", "two"):
        rig.turn(2)
        assert not rig.filter.data
        rig.connection.resume_reading(holder)
    rig.turn(2)
    assert list(rig.connection.pauses) == ["one"] and not rig.filter.data
    rig.connection.resume_reading("one")
    rig.until(lambda: bytes(rig.filter.data) == b"abc")


def test_resuming_for_a_holder_that_does_not_pause_is_a_bug_and_is_told(rig: Rig) -> None:
    with pytest.raises(ValueError):
        rig.connection.resume_reading("nobody")


def test_bytes_that_were_left_in_the_buffer_are_delivered_on_resume_without_new_ones(new_rig: NewRig) -> None:
    picky = RecordingFilter("picky", on_data_do=lambda data, end: STOP_ITERATION)
    last = RecordingFilter("last")
    rig = new_rig(filters=[picky, last])
    rig.peer.send(b"abc")
    rig.until(lambda: len(picky.log) == 2)
    rig.connection.pause_reading("test")
    picky.on_data_do = None
    rig.connection.resume_reading("test")
    rig.turn(2)
    assert bytes(picky.data) == b"abc"


def test_a_parked_chain_stops_reading_at_the_limit_and_goes_on_when_it_is_drained(new_rig: NewRig) -> None:
    gate = RecordingFilter("gate", on_data_do=lambda data, end: STOP_ITERATION)
    last = RecordingFilter("last")
    rig = new_rig(filters=[gate, last], buffer_limit=1000)
    rig.peer.send(bytes(10_000))
    rig.until(lambda: list(rig.connection.pauses) == [READ_BUFFER_HOLDER])
    assert 1000 < rig.connection.read_buffer.size <= 2000
    rig.turn(3)
    assert rig.connection.read_buffer.size <= 2000
    gate.on_data_do = None
    gate.callbacks.continue_reading()
    assert not rig.connection.pauses
    rig.until(lambda: len(gate.data) + len(last.data) == 10_000)
