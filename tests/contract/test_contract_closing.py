"""What a connection promises about closing: types, events, reasons, resets, and that it is safe anywhere."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.event.hangup import HangupWatch
from proxy_core.event.reactor import SLEEP_AFTER
from proxy_core.filters.api import CONTINUE, STOP_ITERATION
from proxy_core.network.close import (
    ABORT, ABORT_RESET, FLUSH_WRITE, FLUSH_WRITE_AND_DELAY, FLUSH_WRITE_AND_RESET, NO_FLUSH, CloseType,
)
from proxy_core.observe.stream_info import LOCAL_RESET, NORMAL, REMOTE_RESET
from proxy_core.testing.recording import RecordingFilter
from tests.contract.conftest import NewRig
from tests.support.rig import Rig

FLUSHING = [FLUSH_WRITE, FLUSH_WRITE_AND_DELAY]
AT_ONCE = [NO_FLUSH, ABORT, ABORT_RESET]
EVERY_TYPE = [*FLUSHING, FLUSH_WRITE_AND_RESET, *AT_ONCE]


def name(kind: Any) -> str:
    return kind.value if isinstance(kind, CloseType) else str(kind)


def wait_closed(rig: Rig) -> None:
    """Until the near end is closed; a peer that read our FIN closes as well, which ends a linger."""
    def closed() -> bool:
        if rig.peer.ended and not rig.closed:
            rig.peer.finish()
        rig.clock.advance(0.01)  # a reset waits until everything has been delivered
        return rig.closed
    rig.until(closed)


# -- close types -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind_of_close", FLUSHING, ids=name)
def test_flushing_closes_send_what_is_queued_first(new_rig: NewRig, kind_of_close: CloseType) -> None:
    rig = new_rig()
    rig.write(b"bye" * 1000)
    rig.connection.close(kind_of_close, "done", how="FIN")
    assert not rig.connection.is_open
    rig.until(lambda: rig.peer.ended)
    wait_closed(rig)
    assert bytes(rig.peer.got) == b"bye" * 1000
    assert not rig.peer.was_reset
    assert rig.events == ["Connected", "LocalClose"]
    assert rig.connection.local_close_details == "done"


@pytest.mark.parametrize("kind_of_close", FLUSHING, ids=name)
def test_flushing_closes_wait_for_a_blocked_peer(new_rig: NewRig, kind_of_close: CloseType) -> None:
    rig = new_rig()
    rig.peer.block()
    rig.write(b"bye")
    rig.turn()
    rig.connection.close(kind_of_close)
    rig.turn(5)
    assert not rig.closed and rig.events == ["Connected"]
    rig.peer.unblock()
    rig.until(lambda: rig.peer.ended)
    wait_closed(rig)
    assert bytes(rig.peer.got) == b"bye"


@pytest.mark.parametrize("kind_of_close", EVERY_TYPE, ids=name)
def test_every_close_with_nothing_queued_closes_in_the_call(rig: Rig, kind_of_close: CloseType) -> None:
    rig.connection.close(kind_of_close)
    assert rig.closed
    assert rig.events == ["Connected", "LocalClose"]


def test_no_flush_offers_what_is_queued_once(rig: Rig) -> None:
    """As Envoy: a filter may write why and close in one breath."""
    rig.write(b"denied")
    rig.connection.close(NO_FLUSH)
    assert rig.closed
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == b"denied"


def test_no_flush_of_a_blocked_socket_drops_what_is_queued(rig: Rig) -> None:
    rig.peer.block()
    rig.write(b"lost")
    rig.turn()
    rig.connection.close(NO_FLUSH)
    assert rig.closed
    rig.peer.unblock()
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == b""


def test_abort_drops_what_is_queued(rig: Rig) -> None:
    rig.write(b"lost")
    rig.connection.close(ABORT)
    assert rig.closed
    rig.until(lambda: rig.peer.ended)
    assert bytes(rig.peer.got) == b""


def test_abort_reset_sends_a_reset_and_says_so(rig: Rig, kind: str) -> None:
    rig.write(b"lost")
    rig.connection.close(ABORT_RESET, how="RST")
    assert rig.connection.detected_close_type == LOCAL_RESET
    if kind != "socketpair":  # Unix sockets have no reset to send
        rig.until(lambda: rig.peer.was_reset)
    assert bytes(rig.peer.got) == b""


def test_flush_and_reset_sends_the_bytes_and_then_the_reset(rig: Rig, kind: str) -> None:
    rig.write(b"the reply")
    rig.connection.close(FLUSH_WRITE_AND_RESET, how="RST")
    wait_closed(rig)
    rig.until(lambda: rig.peer.was_reset or kind == "socketpair")
    rig.peer.pump()
    assert bytes(rig.peer.got) == b"the reply"
    assert rig.connection.detected_close_type == LOCAL_RESET


def test_reading_stops_when_a_flushing_close_begins(rig: Rig) -> None:
    rig.peer.block()
    rig.write(b"bye")
    rig.turn()
    rig.connection.close(FLUSH_WRITE)
    rig.peer.send(b"too late")
    rig.turn(5)
    assert not rig.filter.data and rig.filter.log[-1][0:2] != ("f", "data")


def test_a_second_flushing_close_only_relabels_and_an_abort_ends_it(new_rig: NewRig) -> None:
    rig = new_rig()
    rig.peer.block()
    rig.write(b"x")
    rig.turn()
    rig.connection.close(FLUSH_WRITE, "first", how="FIN")
    rig.connection.close(FLUSH_WRITE_AND_DELAY, "second")
    rig.turn()
    assert not rig.closed
    rig.connection.close(ABORT, "third")
    assert rig.closed
    assert rig.events == ["Connected", "LocalClose"]
    assert rig.connection.local_close_details == "first"
    assert rig.reason == "local FIN: first"


@pytest.mark.parametrize("kind_of_close", EVERY_TYPE, ids=name)
def test_closing_a_closed_connection_does_nothing(rig: Rig, kind_of_close: CloseType) -> None:
    rig.connection.close(NO_FLUSH, "first")
    rig.connection.close(kind_of_close, "second")
    rig.turn(2)
    assert rig.events == ["Connected", "LocalClose"]
    assert rig.connection.local_close_details == "first"


def test_a_write_to_a_closed_connection_is_dropped(rig: Rig) -> None:
    rig.connection.close(NO_FLUSH)
    data = Buffer(b"x")
    rig.connection.write(data, True)
    assert data.size == 0 and not rig.connection.write_buffer.size


# -- the peer ----------------------------------------------------------------------------------------------------------

def test_a_reset_is_told_from_a_fin(rig: Rig, kind: str) -> None:
    if kind == "socketpair":
        pytest.skip("Unix sockets have no reset")
    rig.peer.send(b"abc")
    rig.until(lambda: rig.filter.data)
    rig.peer.reset()
    rig.until(lambda: rig.closed)
    assert rig.connection.detected_close_type == REMOTE_RESET
    assert rig.events == ["Connected", "RemoteClose"]
    assert rig.reason.startswith("peer RST")
    assert rig.filter.ends == 0


def test_a_fin_is_no_reset(new_rig: NewRig) -> None:
    rig = new_rig(half_close=False)
    rig.peer.finish()
    rig.until(lambda: rig.closed)
    assert rig.connection.detected_close_type == NORMAL
    assert rig.reason == "peer FIN"


@pytest.mark.skipif(not HangupWatch.available(), reason="a pause is deaf to resets where there is no epoll")
def test_a_reset_is_noticed_while_reading_is_paused(new_rig: NewRig, kind: str) -> None:
    if kind != "tcp":
        pytest.skip("the kernel reports it, or nobody does")
    rig = new_rig()
    rig.connection.pause_reading("test")
    rig.turn()
    rig.advance(2 * SLEEP_AFTER)
    rig.peer.send(b"unread")
    rig.peer.reset()
    rig.until(lambda: rig.closed)
    assert rig.connection.detected_close_type == REMOTE_RESET


def test_a_reset_while_sending_is_noticed(rig: Rig, kind: str) -> None:
    if kind == "socketpair":
        pytest.skip("Unix sockets have no reset")
    rig.peer.block()
    rig.write(bytes(1000))
    rig.turn()
    rig.peer.reset()
    rig.until(lambda: rig.closed)
    assert rig.events == ["Connected", "RemoteClose"]


# -- from inside callbacks ---------------------------------------------------------------------------------------------

def closing_rig(new_rig: NewRig, where: str, kind_of_close: CloseType) -> Rig:
    """A rig whose first filter (or callbacks) closes from inside the method `where`, after writing a word."""
    rigs: List[Rig] = []

    def close(*args: Any) -> None:
        rigs[0].connection.write(Buffer(b"word"), False)
        rigs[0].connection.close(kind_of_close, f"in {where}")
    log: List[Any] = []
    first = RecordingFilter(
        "first", log,
        on_data_do=(lambda data, end: (data.clear(), close())) if where == "on_data" else None,
        on_new_do=close if where == "on_new_connection" else None,
        on_event_do=(lambda event: close() if event.value == "Connected" else None) if where == "on_event" else None,
    )
    second = RecordingFilter("second", log)
    rigs.append(new_rig(filters=[first, second], established=False))
    rigs[0].filter = first
    return rigs[0]


@pytest.mark.parametrize("kind_of_close", EVERY_TYPE, ids=name)
@pytest.mark.parametrize("where", ["on_new_connection", "on_event", "on_data"])
def test_a_filter_may_close_from_inside_a_callback(new_rig: NewRig, where: str, kind_of_close: CloseType) -> None:
    rig = closing_rig(new_rig, where, kind_of_close)
    rig.establish()
    if where == "on_data" and not rig.closed:
        rig.peer.send(b"go")
    wait_closed(rig)
    rig.turn(2)
    events = [entry for entry in rig.filter.log if entry[1] in ("Connected", "LocalClose", "RemoteClose")]
    assert [entry[1] for entry in events if entry[0] == "first"][-1] == "LocalClose"
    assert [entry for entry in events if entry[1] != "Connected"] == [("first", "LocalClose"), ("second", "LocalClose")]
    assert not [entry for entry in rig.filter.log if entry[:2] == ("second", "data")]
    assert rig.connection.local_close_details == f"in {where}"
    assert rig.errors == []
    if kind_of_close in FLUSHING:
        rig.until(lambda: bytes(rig.peer.got) == b"word")


def test_after_a_close_inside_connected_nobody_hears_connected_any_more(new_rig: NewRig) -> None:
    rig = closing_rig(new_rig, "on_event", ABORT)
    rig.establish()
    assert ("second", "Connected") not in rig.filter.log
    assert rig.events == ["LocalClose"]


@pytest.mark.parametrize("kind_of_close", EVERY_TYPE, ids=name)
@pytest.mark.parametrize("what", ["high", "low"])
def test_watermark_callbacks_may_close(new_rig: NewRig, what: str, kind_of_close: CloseType) -> None:
    rig = new_rig(buffer_limit=10)
    rig.callbacks._do = lambda told: rig.connection.close(kind_of_close, "in callback") if told == what else None
    rig.peer.block()
    rig.write(bytes(11))
    rig.turn()
    if not rig.closed:
        rig.peer.unblock()
    wait_closed(rig)
    assert rig.events == ["Connected", "LocalClose"]
    assert rig.errors == []


@pytest.mark.parametrize("kind_of_close", EVERY_TYPE, ids=name)
def test_a_write_filter_may_close(new_rig: NewRig, kind_of_close: CloseType) -> None:
    rigs: List[Rig] = []

    def close(data: Buffer, end_stream: bool) -> Any:
        rigs[0].connection.close(kind_of_close, "in on_write")
        return STOP_ITERATION
    rigs.append(new_rig(write_filters=[RecordingFilter("w", on_write_do=close)]))
    rig = rigs[0]
    rig.write(b"x")
    wait_closed(rig)
    assert rig.events == ["Connected", "LocalClose"]
    assert bytes(rig.peer.got) == b""


@pytest.mark.parametrize("kind_of_close", EVERY_TYPE, ids=name)
def test_closing_again_from_inside_the_close_event_does_nothing(new_rig: NewRig, kind_of_close: CloseType) -> None:
    rigs: List[Rig] = []
    again = RecordingFilter("again", on_event_do=lambda event: rigs[0].connection.close(kind_of_close, "again"))
    rigs.append(new_rig(filters=[again], established=False))
    again.on_event_do = None
    rigs[0].establish()
    again.on_event_do = lambda event: rigs[0].connection.close(kind_of_close, "again")
    rigs[0].connection.close(ABORT, "first")
    assert [entry[1] for entry in again.log[2:]] == ["LocalClose"]
    assert rigs[0].connection.local_close_details == "first"


# -- order and containment ---------------------------------------------------------------------------------------------

def test_a_close_is_told_to_filters_then_to_callbacks_and_finalizers_come_in_the_last_phase(new_rig: NewRig) -> None:
    log: List[Any] = []
    rig = new_rig(filters=[RecordingFilter("one", log), RecordingFilter("two", log)])
    rig.callbacks.log = log
    rig.connection.finalizers += (lambda connection: log.append(("finalizer", "first")),)
    rig.connection.finalizers += (lambda connection: log.append(("finalizer", "second")),)
    del log[:]
    rig.connection.close(NO_FLUSH)
    assert log == [("one", "LocalClose"), ("two", "LocalClose"), ("callbacks", "LocalClose")]
    rig.turn()
    assert log[3:] == [("finalizer", "first"), ("finalizer", "second")]
    rig.turn()
    assert len(log) == 5


def test_a_filter_in_both_chains_hears_each_event_once(new_rig: NewRig) -> None:
    both = RecordingFilter("both")
    rig = new_rig(filters=[both], write_filters=[both])
    rig.connection.close(NO_FLUSH)
    assert [entry[1] for entry in both.log] == ["new", "Connected", "LocalClose"]


def test_a_pure_write_filter_hears_events_too(new_rig: NewRig) -> None:
    writer = RecordingFilter("writer")
    rig = new_rig(write_filters=[writer])
    rig.connection.close(NO_FLUSH)
    assert [entry[1] for entry in writer.log] == ["Connected", "LocalClose"]


@pytest.mark.parametrize("where", ["on_data", "on_event", "on_new_connection", "on_write"])
def test_an_exception_in_a_filter_closes_its_connection_with_a_reason(new_rig: NewRig, where: str) -> None:
    def boom(*args: Any) -> None:
        raise KeyError("bug")
    bad = RecordingFilter(
        "bad", on_data_do=boom if where == "on_data" else None, on_event_do=boom if where == "on_event" else None,
        on_write_do=boom if where == "on_write" else None, on_new_do=boom if where == "on_new_connection" else None,
    )
    # The gate keeps on_new_connection of the bad filter from being called before the first bytes are there.
    gate = RecordingFilter("gate", on_new_do=lambda: STOP_ITERATION, on_data_do=lambda data, end: CONTINUE)
    last = RecordingFilter("last", on_data_do=lambda data, end: last.callbacks.connection.write(data, end))
    filters = [last] if where == "on_write" else [gate, bad, last]
    rig = new_rig(filters=filters, write_filters=[bad] if where == "on_write" else None)
    rig.peer.send(b"x")
    rig.until(lambda: rig.closed)
    assert rig.reason == "local error: exception in a handler: KeyError"
    assert rig.events[-1] == "LocalClose"
    assert rig.errors and all(isinstance(error, KeyError) for error in rig.errors)


def test_a_filter_that_raises_on_close_does_not_keep_others_from_hearing_it_nor_the_finalizers_from_running(
    new_rig: NewRig,
) -> None:
    log: List[Any] = []

    def boom(event: Any) -> None:
        if event.value == "LocalClose":
            raise KeyError("bug")
    rig = new_rig(filters=[RecordingFilter("bad", on_event_do=boom), RecordingFilter("good", log)])

    def bad_finalizer(connection: Any) -> None:
        raise ValueError("bug")
    rig.connection.finalizers += (bad_finalizer, lambda connection: log.append("finalized"))
    rig.connection.close(NO_FLUSH)
    rig.turn()
    assert log[-2:] == [("good", "LocalClose"), "finalized"]
    assert rig.events == ["Connected", "LocalClose"]
    assert [type(error) for error in rig.errors] == [KeyError, ValueError]


def test_what_a_filter_scheduled_is_called_off_by_a_close(rig: Rig) -> None:
    ran: List[str] = []
    rig.filter.callbacks.schedule(3600.0, lambda: ran.append("ran"), "a long wait")
    rig.connection.close(ABORT)
    rig.turn()
    assert len(rig.reactor.timers) == 0
    rig.advance(4000.0)
    assert ran == []


def test_a_watermark_callback_that_raises_on_close_does_not_hide_the_close(new_rig: NewRig) -> None:
    def boom(told: str) -> None:
        if told == "low":
            raise KeyError("bug")
    rig = new_rig(buffer_limit=10)
    rig.callbacks._do = boom
    rig.peer.block()
    rig.write(bytes(11))
    rig.turn()
    finalized: List[str] = []
    rig.connection.finalizers += (lambda connection: finalized.append("yes"),)
    with pytest.raises(KeyError):
        rig.connection.close(ABORT)
    rig.turn()
    assert rig.events == ["Connected", "LocalClose"]
    assert finalized == ["yes"]
