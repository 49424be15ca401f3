"""No connection lives without a bound on what it waits for: each fires under simulated time, and only then."""

from __future__ import annotations

from typing import Any, Iterator, List

import pytest

from proxy_core.filters.api import STOP_ITERATION
from proxy_core.network.close import FLUSH_WRITE, FLUSH_WRITE_AND_DELAY
from proxy_core.testing.recording import RecordingFilter
from tests.support.rig import Rig

OFF = {
    "half_closed_timeout": 0.0, "flush_timeout": 0.0, "paused_timeout": 0.0, "linger_timeout": 0.0,
    "delayed_close_timeout": 0.0, "high_watermark_timeout": 0.0,
}


def half_closed_by_peer(rig: Rig) -> None:
    rig.peer.finish()
    rig.turn()


def half_closed_by_us(rig: Rig) -> None:
    rig.write(b"bye", end_stream=True)
    rig.turn()


def paused(rig: Rig) -> None:
    rig.connection.pause_reading("test")


def paused_before_it_was_up(rig: Rig) -> None:
    """A filter that pauses in on_new_connection and never resumes."""


def flushing(rig: Rig) -> None:
    rig.peer.block()
    rig.write(b"x")
    rig.turn()
    rig.connection.close(FLUSH_WRITE, how="FIN")


def delayed(rig: Rig) -> None:
    rig.connection.close(FLUSH_WRITE_AND_DELAY, how="FIN")


def over_high_watermark(rig: Rig) -> None:
    rig.peer.block()
    rig.write(bytes(200))
    rig.turn()


CASES = [
    (half_closed_by_peer, "half_closed_timeout", "half_closed_timeout"),
    (half_closed_by_us, "half_closed_timeout", "half_closed_timeout"),
    (paused, "paused_timeout", "paused_timeout"),
    (paused_before_it_was_up, "paused_timeout", "paused_timeout"),
    (flushing, "flush_timeout", "flush_timeout"),
    (delayed, "delayed_close_timeout", "triggered_delayed_close_timeout"),
    (over_high_watermark, "high_watermark_timeout", "buffer_high_watermark_timeout_reached"),
]


def rig_for(case: Any, **settings: Any) -> Rig:
    rig = Rig("scripted", buffer_limit=100, established=False, **{**OFF, **settings})
    if case is paused_before_it_was_up:
        rig.filter.on_new_do = lambda: rig.connection.pause_reading("test")
    rig.advance(100.0)
    rig.establish()
    return rig


@pytest.mark.parametrize("case, setting, detail", CASES)
def test_a_bound_fires_when_its_time_has_passed_and_not_before(case: Any, setting: str, detail: str) -> None:
    rig = rig_for(case, **{setting: 10.0})
    case(rig)
    rig.advance(9.99)
    assert not rig.closed
    rig.advance(0.01)
    assert rig.closed
    assert rig.connection.local_close_details == detail
    assert rig.events[-1] == "LocalClose"
    assert "timeout" in rig.reason


@pytest.mark.parametrize("case, setting, detail", CASES)
def test_a_bound_that_is_switched_off_never_fires(case: Any, setting: str, detail: str) -> None:
    if case is delayed:
        return  # without its timeout there is nothing to wait for: it closes at once
    rig = rig_for(case)
    case(rig)
    rig.advance(1e6)
    assert not rig.closed
    assert len(rig.reactor.timers) == 0


def test_a_bound_fires_at_its_instant_whatever_the_rounding() -> None:
    """now - since can be a hair less than the limit when now is exactly since + limit: a turn must not spin on that."""
    for exponent in range(11, 31):  # the rounding is another one in every power of two
        rig = rig_for(paused, paused_timeout=0.1)
        rig.clock.now = 2.0 ** exponent + 100.0
        rig.turn()
        paused(rig)
        assert rig.connection.bound is not None
        rig.clock.now = rig.connection.bound.when
        rig.turn()
        assert rig.closed


def test_bytes_move_the_bounds_of_silence() -> None:
    rig = rig_for(None, half_closed_timeout=10.0)
    half_closed_by_us(rig)
    for _ in range(5):
        rig.advance(8.0)
        rig.peer.send(b"still here")
        rig.turn()
    rig.advance(9.0)
    assert not rig.closed
    rig.advance(1.0)
    assert rig.closed


def test_the_silence_of_a_half_closed_connection_begins_with_the_fin_and_not_with_the_last_byte() -> None:
    """A client that was quiet for long, asks to finish, and waits for its answer."""
    for half_close in (half_closed_by_peer, half_closed_by_us):
        rig = rig_for(None, half_closed_timeout=10.0)
        rig.advance(500.0)
        if half_close is half_closed_by_us:
            rig.connection.write(rig.connection.read_buffer, True)
            rig.turn()
        else:
            half_close(rig)
        rig.advance(9.0)
        assert not rig.closed
        rig.advance(1.0)
        assert rig.closed


def test_progress_of_a_flush_moves_its_bound() -> None:
    rig = rig_for(None, flush_timeout=10.0)
    rig.peer.block()
    rig.write(b"abcdef")
    rig.turn()
    rig.connection.close(FLUSH_WRITE)
    for _ in range(4):
        rig.advance(9.0)
        rig.near.room = 1
        rig.turn()
        assert not rig.closed
    rig.advance(10.0)
    assert rig.closed
    assert bytes(rig.peer.got) == b"abcd"


def test_a_resume_in_time_calls_the_pauses_bound_off() -> None:
    rig = rig_for(None, paused_timeout=10.0)
    paused(rig)
    rig.advance(9.0)
    rig.connection.resume_reading("test")
    rig.advance(100.0)
    assert not rig.closed


def test_a_fall_below_the_watermark_in_time_calls_its_bound_off() -> None:
    rig = rig_for(None, high_watermark_timeout=10.0)
    over_high_watermark(rig)
    rig.advance(9.0)
    rig.peer.unblock()
    rig.turn(2)
    rig.advance(100.0)
    assert not rig.closed


def test_the_earliest_of_several_bounds_counts() -> None:
    rig = rig_for(None, paused_timeout=50.0, half_closed_timeout=10.0)
    paused(rig)
    half_closed_by_us(rig)
    rig.advance(10.0)
    assert rig.closed
    assert rig.connection.local_close_details == "half_closed_timeout"


def test_a_parked_chain_whose_peer_has_finished_is_bounded() -> None:
    gate = RecordingFilter("gate", on_data_do=lambda data, end: STOP_ITERATION)
    rig = Rig("scripted", filters=[gate, RecordingFilter("last")], half_close=False, half_closed_timeout=10.0)
    rig.peer.send(b"abc")
    rig.peer.finish()
    rig.turn(3)
    assert not rig.closed
    rig.advance(10.0)
    assert rig.closed


def test_a_closed_connection_leaves_no_timer_behind() -> None:
    rig = rig_for(None, paused_timeout=10.0)
    paused(rig)
    rig.connection.on_failure(ValueError())
    rig.turn()
    assert len(rig.reactor.timers) == 0


# -- lingering: closing must not destroy the reply ---------------------------------------------------------------------

@pytest.fixture
def tcp() -> Iterator[List[Rig]]:
    rigs: List[Rig] = []
    yield rigs
    for rig in rigs:
        rig.close()


def lingering(tcp: List[Rig], **settings: Any) -> Rig:
    """A connection that has replied and closed while the client is still sending."""
    rig = Rig("tcp", **settings)
    tcp.append(rig)
    rig.peer.reading = False
    rig.peer.send(bytes(300_000))
    rig.turn(2)
    rig.write(b"reply" * 1000)
    rig.peer.send(bytes(300_000))
    rig.connection.close(FLUSH_WRITE, "enough", how="FIN")
    rig.turn(2)
    return rig


def test_a_reply_is_not_destroyed_while_the_client_still_sends(tcp: List[Rig]) -> None:
    """close() with unread bytes in the kernel sends RST, and the RST takes the reply with it."""
    rig = lingering(tcp)
    assert not rig.closed
    rig.peer.send(bytes(1_000_000))
    rig.turn(10)
    rig.peer.reading = True
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == b"reply" * 1000
    rig.peer.finish()
    rig.until(lambda: rig.closed)
    assert not rig.peer.was_reset
    assert rig.reason == "local FIN: enough"


def test_a_linger_ends_when_its_time_is_up_and_the_reason_stays(tcp: List[Rig]) -> None:
    rig = lingering(tcp, linger_timeout=5.0)
    rig.advance(4.9)
    assert not rig.closed
    rig.advance(0.2)
    assert rig.closed
    assert rig.reason == "local FIN: enough"
    assert rig.events == ["Connected", "LocalClose"]


def test_lingering_can_be_switched_off(tcp: List[Rig]) -> None:
    assert lingering(tcp, linger_timeout=0.0).closed


def test_what_comes_while_lingering_is_dropped_unseen(tcp: List[Rig]) -> None:
    rig = lingering(tcp)
    seen = len(rig.filter.data)
    rig.peer.send(bytes(200_000))
    rig.turn(10)
    assert len(rig.filter.data) == seen


def test_a_peer_that_has_finished_is_not_waited_for(tcp: List[Rig]) -> None:
    rig = Rig("tcp")
    tcp.append(rig)
    rig.peer.send(b"question")
    rig.peer.finish()
    rig.until(lambda: rig.filter.ends)
    rig.write(b"answer")
    rig.connection.close(FLUSH_WRITE)
    rig.turn()
    assert rig.closed


def test_the_delayed_close_waits_for_the_peers_fin() -> None:
    rig = rig_for(None, delayed_close_timeout=10.0)
    rig.write(b"bye")
    rig.connection.close(FLUSH_WRITE_AND_DELAY)
    rig.turn()
    assert not rig.peer.ended and not rig.closed
    rig.peer.send(b"dropped")
    rig.turn(2)
    assert not rig.filter.data
    rig.peer.finish()
    rig.turn()
    assert rig.closed
    assert rig.connection.local_close_details == ""
