"""How the filters of a connection are run, against Envoy's tables (its `FilterManagerImpl`)."""

from __future__ import annotations

from typing import Any, Callable, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.event.timers import Timers
from proxy_core.filters.api import CONNECTED, CONTINUE, LOCAL_CLOSE, STOP_ITERATION, NetworkFilter
from proxy_core.filters.chain import ReadChain, WriteChain
from proxy_core.testing.recording import RecordingFilter


class FakeReactor:
    """Time for a chain."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers = Timers()

    def after(self, delay: float, callback: Callable[[], None], owner: Any = None) -> Any:
        return self.timers.at(self.now + delay, callback, owner)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        timer = self.timers.pop_due(self.now)
        while timer is not None:
            timer.callback()
            timer = self.timers.pop_due(self.now)


class Host:
    """What a chain needs of a connection."""

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.is_open = True
        self.read_buffer = Buffer()
        self.read_ended = False
        self.may_read_more = False
        self.accepts_writes = True
        self.written: List[Any] = []
        self.flushes = 0
        self.moves = 0
        self.stalls: List[Any] = []

    def chain_moved(self) -> None:
        self.moves += 1

    def queue_write(self, data: Buffer, end_stream: bool) -> None:
        self.written.append((data.take(), end_stream))

    def flush(self) -> None:
        self.flushes += 1

    def stalled(self, filter_name: str, since: float) -> None:
        self.stalls.append((filter_name, since))


class Chain:
    """A read chain of recording filters with one shared log."""

    def __init__(self, *filters: RecordingFilter) -> None:
        self.host = Host()
        self.chain = ReadChain(self.host)
        self.log: List[Any] = []
        for one in filters:
            one.log = self.log
            self.chain.add(one, one.name)

    def read(self, data: bytes = b"", end: bool = False) -> List[Any]:
        """Bytes arrive; what happened."""
        del self.log[:]
        self.host.read_buffer.append(data)
        self.host.read_ended = self.host.read_ended or end
        self.chain.run(self.host.read_buffer, self.host.read_ended)
        return list(self.log)


def passing(name: str, **settings: Any) -> RecordingFilter:
    return RecordingFilter(name, on_data_do=lambda data, end: CONTINUE, **settings)


def stopping(name: str, **settings: Any) -> RecordingFilter:
    return RecordingFilter(name, on_data_do=lambda data, end: STOP_ITERATION, **settings)


# -- reading -----------------------------------------------------------------------------------------------------------

def test_read_filters_run_in_the_order_they_were_added_and_share_the_buffer() -> None:
    chain = Chain(passing("a"), passing("b"), RecordingFilter("c"))
    chain.chain.initialize()
    assert chain.log == [("a", "new"), ("b", "new"), ("c", "new")]
    assert chain.read(b"x") == [("a", "data", b"x", False), ("b", "data", b"x", False), ("c", "data", b"x", False)]
    assert chain.host.read_buffer.size == 0


def test_what_a_filter_drains_the_next_one_does_not_see_and_nothing_is_not_passed_on() -> None:
    chain = Chain(
        RecordingFilter("a", on_data_do=lambda data, end: (data.drain(1), CONTINUE)[1]),
        RecordingFilter("b", on_data_do=lambda data, end: (data.clear(), CONTINUE)[1]),
        RecordingFilter("c"),
    )
    chain.chain.initialize()
    assert chain.read(b"xyz") == [("a", "data", b"xyz", False), ("b", "data", b"yz", False)]


def test_bytes_that_fall_off_the_end_stay_and_come_back_with_the_next_ones() -> None:
    chain = Chain(passing("a"))
    chain.read(b"x")
    assert chain.read(b"y") == [("a", "data", b"xy", False)]


def test_stop_at_on_new_connection_ends_the_greeting_and_the_rest_are_greeted_when_bytes_come() -> None:
    chain = Chain(passing("a", on_new_do=lambda: STOP_ITERATION), RecordingFilter("b"))
    chain.chain.initialize()
    assert chain.log == [("a", "new")]
    assert chain.chain.parked_by == "a"
    assert chain.read(b"x") == [("a", "data", b"x", False), ("b", "new"), ("b", "data", b"x", False)]
    assert chain.chain.parked_by == ""
    chain.chain.initialize()
    assert chain.read(b"y") == [("a", "data", b"y", False), ("b", "data", b"y", False)]


def test_a_filter_that_stops_at_its_late_greeting_is_not_given_the_bytes_in_that_pass() -> None:
    chain = Chain(passing("a", on_new_do=lambda: STOP_ITERATION), RecordingFilter("b", on_new_do=lambda: STOP_ITERATION))
    chain.chain.initialize()
    assert chain.read(b"x") == [("a", "data", b"x", False), ("b", "new")]
    assert chain.read(b"y") == [("a", "data", b"xy", False), ("b", "data", b"xy", False)]


def test_after_a_stop_new_bytes_start_at_the_first_filter_with_everything_undrained() -> None:
    chain = Chain(passing("a"), stopping("b"), RecordingFilter("c"))
    chain.read(b"x")
    assert chain.read(b"y") == [("a", "data", b"xy", False), ("b", "data", b"xy", False)]
    assert chain.chain.parked_by == "b"


def test_continue_reading_runs_only_the_filters_after_the_caller() -> None:
    gate = stopping("gate")
    chain = Chain(passing("a"), gate, RecordingFilter("c"))
    chain.read(b"x")
    del chain.log[:]
    gate.callbacks.continue_reading()
    assert chain.log == [("c", "new"), ("c", "data", b"x", False)]
    assert chain.chain.parked_by == ""
    assert chain.host.moves == 1


def test_a_filter_that_stopped_at_its_greeting_and_continues_is_not_itself_given_what_is_buffered() -> None:
    gate = RecordingFilter("gate", on_new_do=lambda: STOP_ITERATION)
    chain = Chain(gate, RecordingFilter("c"))
    chain.chain.initialize()
    chain.host.read_buffer.append(b"x")
    gate.callbacks.continue_reading()
    assert chain.log[1:] == [("c", "new"), ("c", "data", b"x", False)]


def test_continue_reading_with_nothing_buffered_greets_and_no_more() -> None:
    gate = stopping("gate", on_new_do=lambda: STOP_ITERATION)
    chain = Chain(gate, RecordingFilter("c"))
    chain.chain.initialize()
    gate.callbacks.continue_reading()
    assert chain.log[1:] == [("c", "new")]


def test_inject_runs_the_filters_after_the_caller_on_the_given_bytes_only() -> None:
    gate = stopping("gate")
    chain = Chain(gate, passing("b"), RecordingFilter("c"))
    chain.read(b"raw")
    del chain.log[:]
    gate.callbacks.inject_read_data_to_filter_chain(Buffer(b"cooked"), False)
    assert chain.log == [("b", "new"), ("b", "data", b"cooked", False), ("c", "new"), ("c", "data", b"cooked", False)]
    assert bytes(chain.host.read_buffer) == b"raw"


def test_injected_bytes_that_nobody_drained_stay_with_the_injector() -> None:
    gate = stopping("gate")
    chain = Chain(gate, stopping("b"), RecordingFilter("c"))
    chain.read(b"raw")
    data = Buffer(b"cooked")
    gate.callbacks.inject_read_data_to_filter_chain(data, False)
    assert bytes(data) == b"cooked" and bytes(chain.host.read_buffer) == b"raw"


# -- the end of the stream ---------------------------------------------------------------------------------------------

def test_the_end_is_told_to_every_filter_once_with_or_without_bytes() -> None:
    for data in (b"", b"x"):
        chain = Chain(passing("a"), RecordingFilter("b"))
        log = chain.read(data, end=True)
        assert [entry for entry in log if entry[1] == "data"] == [("a", "data", data, True), ("b", "data", data, True)]
        assert chain.read() == []


def test_a_filter_that_stopped_the_end_is_its_gate_until_it_continues() -> None:
    gate = stopping("gate")
    chain = Chain(passing("a"), gate, RecordingFilter("c"))
    chain.read(b"x", end=True)
    assert chain.read() == []
    gate.callbacks.continue_reading()
    gate.callbacks.continue_reading()
    assert [entry for entry in chain.log if entry[1] == "data"] == [("c", "data", b"x", True)]


def test_a_filter_that_took_the_bytes_with_the_end_injects_both_later() -> None:
    gate = RecordingFilter("gate")
    chain = Chain(gate, RecordingFilter("c"))
    chain.read(b"x", end=True)
    gate.callbacks.inject_read_data_to_filter_chain(Buffer(b"a"), False)
    gate.callbacks.inject_read_data_to_filter_chain(Buffer(b"b"), True)
    gate.callbacks.inject_read_data_to_filter_chain(Buffer(b"too late"), True)
    ends = [entry for entry in chain.log if entry[:2] == ("c", "data")]
    assert ends == [("c", "data", b"a", False), ("c", "data", b"b", True)]


def test_an_end_that_a_filter_makes_up_is_not_followed_by_the_peers() -> None:
    gate = RecordingFilter("gate")
    last = RecordingFilter("last")
    chain = Chain(gate, last)
    chain.read(b"x")
    gate.callbacks.inject_read_data_to_filter_chain(Buffer(b"x"), True)
    chain.read(b"y", end=True)
    gate.callbacks.continue_reading()
    assert last.ends == 1


# -- closing -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answer", [CONTINUE, STOP_ITERATION])
def test_nothing_runs_after_a_filter_closed_the_connection_whatever_it_answers(answer: Any) -> None:
    for where in ("on_new_do", "on_data_do"):
        chain: List[Chain] = []

        def close(*args: Any) -> Any:
            chain[0].host.is_open = False
            return answer
        first = RecordingFilter("a", **{where: close})
        chain.append(Chain(first, RecordingFilter("b")))
        chain[0].read(b"x")
        assert not [entry for entry in chain[0].log if entry[0] == "b"]
        first.callbacks.continue_reading()
        first.callbacks.inject_read_data_to_filter_chain(Buffer(b"x"), True)
        assert chain[0].read(b"y") == []
        assert chain[0].chain.parked_by == ""


# -- who parked the chain ----------------------------------------------------------------------------------------------

def test_it_is_remembered_who_parked_the_chain_and_since_when() -> None:
    gate = stopping("gate")
    chain = Chain(passing("a"), gate, RecordingFilter("c"))
    chain.host.may_read_more = True
    chain.read(b"x")
    chain.host.reactor.advance(5)
    chain.read(b"y")
    assert (chain.chain.parked_by, chain.chain.parked_since) == ("gate", 100.0)
    gate.callbacks.continue_reading()
    assert chain.chain.parked_by == ""
    chain.read(b"z")
    assert (chain.chain.parked_by, chain.chain.parked_since) == ("gate", 105.0)


def test_the_last_filter_consumes_and_so_never_parks() -> None:
    chain = Chain(passing("a"), stopping("last"))
    chain.read(b"x")
    assert chain.chain.parked_by == "" and chain.host.stalls == []


def test_a_parked_chain_with_nothing_left_that_could_wake_it_is_a_stall_and_told_once() -> None:
    chain = Chain(stopping("gate"), RecordingFilter("c"))
    chain.read(b"x")
    chain.read()
    chain.chain.check_stall()
    assert chain.host.stalls == [("gate", 100.0)]


def test_more_bytes_that_can_come_are_something_that_could_wake_it() -> None:
    chain = Chain(stopping("gate"), RecordingFilter("c"))
    chain.host.may_read_more = True
    chain.read(b"x")
    assert chain.host.stalls == []
    chain.host.may_read_more = False
    chain.chain.check_stall()
    assert chain.host.stalls == [("gate", 100.0)]


def test_a_hold_is_something_that_could_wake_it_until_it_is_released() -> None:
    gate = stopping("gate")
    chain = Chain(gate, RecordingFilter("c"))
    holds = [gate.callbacks.hold("auth server"), gate.callbacks.hold("quota server")]
    assert [hold.reason for hold in chain.chain.holds] == ["auth server", "quota server"]
    chain.read(b"x")
    holds[0].release()
    holds[0].release()
    chain.host.reactor.advance(0)
    assert chain.host.stalls == []
    holds[1].release()
    chain.host.reactor.advance(0)
    assert chain.host.stalls == [("gate", 100.0)]


def test_to_let_go_of_a_hold_and_then_continue_is_no_stall() -> None:
    gate = stopping("gate")
    chain = Chain(gate, RecordingFilter("c"))
    hold = gate.callbacks.hold("auth server")
    chain.read(b"x")
    hold.release()
    gate.callbacks.continue_reading()
    chain.host.reactor.advance(0)
    assert chain.host.stalls == []


def test_a_scheduled_call_is_something_that_could_wake_it_until_it_has_run() -> None:
    gate = stopping("gate")
    chain = Chain(gate, RecordingFilter("c"))
    ran: List[str] = []
    gate.callbacks.schedule(2.0, lambda: ran.append("ran"), "delay")
    chain.read(b"x")
    assert chain.host.stalls == []
    chain.host.reactor.advance(2.0)
    assert ran == ["ran"]
    assert chain.host.stalls == [("gate", 100.0)]


def test_a_scheduled_call_that_continues_the_chain_is_no_stall() -> None:
    gate = stopping("gate")
    chain = Chain(gate, RecordingFilter("c"))
    gate.callbacks.schedule(2.0, lambda: gate.callbacks.continue_reading(), "delay")
    chain.read(b"x")
    chain.host.reactor.advance(2.0)
    assert chain.host.stalls == [] and not chain.chain.holds


def test_cancelling_a_scheduled_call_lets_go_of_its_hold() -> None:
    gate = stopping("gate")
    chain = Chain(gate, RecordingFilter("c"))
    ran: List[str] = []
    timer = gate.callbacks.schedule(2.0, lambda: ran.append("ran"), "delay")
    chain.read(b"x")
    timer.cancel()
    timer.cancel()
    chain.host.reactor.advance(5.0)
    assert ran == [] and not chain.chain.holds
    assert chain.host.stalls == [("gate", 100.0)]


def test_a_closed_connection_calls_off_what_was_scheduled() -> None:
    gate = stopping("gate")
    chain = Chain(gate, RecordingFilter("c"))
    ran: List[str] = []
    gate.callbacks.schedule(3600.0, lambda: ran.append("ran"), "delay")
    chain.host.is_open = False
    chain.chain.drop_holds()
    assert len(chain.host.reactor.timers) == 0 and not chain.chain.holds
    chain.host.reactor.advance(4000.0)
    assert ran == [] and chain.host.stalls == []


# -- writing -----------------------------------------------------------------------------------------------------------

class Writing:
    """A write chain of recording filters with one shared log."""

    def __init__(self, *filters: RecordingFilter) -> None:
        self.host = Host()
        self.chain = WriteChain(self.host)
        self.log: List[Any] = []
        for one in filters:
            one.log = self.log
            self.chain.add(one, one.name)


def test_write_filters_run_last_added_first_and_see_the_callers_buffer() -> None:
    chain = Writing(RecordingFilter("a"), RecordingFilter("b"))
    data = Buffer(b"x")
    assert chain.chain.run(data, True)
    assert chain.log == [("b", "write", b"x", True), ("a", "write", b"x", True)]
    assert bytes(data) == b"x"
    assert [slot.name for slot in chain.chain.filters()] == ["b", "a"]


@pytest.mark.parametrize("stop", [True, False])
def test_a_write_ends_at_a_filter_that_stops_or_closes(stop: bool) -> None:
    def act(data: Buffer, end_stream: bool) -> Any:
        chain.host.accepts_writes = stop
        return STOP_ITERATION if stop else CONTINUE
    chain = Writing(RecordingFilter("a"), RecordingFilter("b", on_write_do=act))
    assert not chain.chain.run(Buffer(b"x"), False)
    assert [entry[0] for entry in chain.log] == ["b"]


def test_injected_writes_pass_the_filters_after_the_injector_and_are_queued() -> None:
    middle = RecordingFilter("middle")
    chain = Writing(RecordingFilter("a"), middle, RecordingFilter("c"))
    middle.write_callbacks.inject_write_data_to_filter_chain(Buffer(b"x"), True)
    assert [entry[0] for entry in chain.log] == ["a"]
    assert chain.host.written == [(b"x", True)]


def test_releasing_the_last_hold_of_a_write_filter_lets_a_waiting_close_go_on() -> None:
    one = RecordingFilter("one")
    chain = Writing(one)
    holds = [one.write_callbacks.hold("a"), one.write_callbacks.hold("b")]
    holds[0].release()
    assert chain.host.flushes == 0
    holds[1].release()
    assert chain.host.flushes == 1


# -- the base class ----------------------------------------------------------------------------------------------------

def test_the_base_class_lets_everything_through() -> None:
    base = NetworkFilter()
    host = Host()
    reading, writing = ReadChain(host), WriteChain(host)
    reading.add(base, "base")
    writing.add(base, "base")
    reading.initialize()
    host.read_buffer.append(b"x")
    reading.run(host.read_buffer, True)
    assert bytes(host.read_buffer) == b"x"
    assert writing.run(Buffer(b"x"), True)
    base.on_event(CONNECTED)
    assert base.callbacks is not None and base.callbacks.name == "base"
    assert base.write_callbacks is not None and base.write_callbacks.connection is host


def test_who_hears_events_is_asked_in_order_and_a_filter_of_both_chains_once() -> None:
    class Deaf:
        """A pure write filter without on_event."""

        def initialize_write_filter_callbacks(self, callbacks: Any) -> None:
            """Not needed."""

        def on_write(self, data: Buffer, end_stream: bool) -> Any:
            return CONTINUE
    log: List[Any] = []
    host = Host()
    reading, writing = ReadChain(host), WriteChain(host)
    both, reader, writer = (RecordingFilter(name, log) for name in ("both", "reader", "writer"))
    for one in (both, reader):
        reading.add(one, one.name)
    for other in (both, Deaf(), writer):
        writing.add(other, "w")
    listeners = [slot.filter for slot in reading.slots]
    listeners += writing.listeners(except_for=listeners)
    for listener in listeners:
        listener.on_event(LOCAL_CLOSE)
    assert [entry[0] for entry in log] == ["both", "reader", "writer"]


def test_an_empty_chain_takes_bytes_and_does_nothing() -> None:
    chain = Chain()
    chain.chain.initialize()
    assert chain.read(b"x", end=True) == []
    assert len(chain.chain) == 0 and chain.chain.parked_by == "" and chain.chain.filters() == []


# -- a filter that keeps bytes back while no more come -------------------------------------------------------

class Keeping(NetworkFilter):
    """Stops on everything; `hold` says that it waits for something."""

    def on_data(self, data: Buffer, end_stream: bool) -> Any:
        return STOP_ITERATION


def keeping_chain() -> Any:
    host = Host()
    host.may_read_more = True
    chain = ReadChain(host)
    keeping = Keeping()
    chain.add(keeping, "keeping")
    chain.add(RecordingFilter(), "last")
    chain.initialize()
    return host, chain, keeping


def receive(host: Host, chain: ReadChain, data: bytes) -> None:
    host.read_buffer.append(data)
    chain.run(host.read_buffer, False)


def test_a_filter_that_keeps_bytes_back_while_the_peer_is_silent_is_a_stall_told_once() -> None:
    host, chain, _ = keeping_chain()
    receive(host, chain, b"PING")
    host.reactor.advance(0.9)
    assert host.stalls == []
    host.reactor.advance(0.2)
    assert host.stalls == [("keeping", 100.0)] and chain.stalled
    receive(host, chain, b"PING")
    host.reactor.advance(10)
    assert len(host.stalls) == 1 and len(host.reactor.timers) == 0


def test_it_is_none_as_long_as_bytes_come() -> None:
    host, chain, _ = keeping_chain()
    for _ in range(6):
        receive(host, chain, b"x")
        host.reactor.advance(0.5)
    assert host.stalls == []
    host.reactor.advance(2)
    host.reactor.advance(2)
    assert host.stalls == [("keeping", 100.0)]


def test_it_is_none_while_something_is_waited_for_and_none_if_nothing_is_kept_back() -> None:
    host, chain, keeping = keeping_chain()
    hold = keeping.callbacks.hold("an answer")
    receive(host, chain, b"PING")
    host.reactor.advance(5)
    assert host.stalls == []
    hold.release()
    host.reactor.advance(0)
    host.reactor.advance(1)
    assert len(host.stalls) == 1

    host, chain, _ = keeping_chain()
    receive(host, chain, b"PING")
    host.read_buffer.clear()  # taken, to be injected later or never
    host.reactor.advance(5)
    assert host.stalls == []


def test_a_suspicion_ends_with_the_parking_or_the_connection() -> None:
    host, chain, keeping = keeping_chain()
    receive(host, chain, b"PING")
    keeping.callbacks.continue_reading()
    host.reactor.advance(5)
    assert host.stalls == []

    host, chain, _ = keeping_chain()
    receive(host, chain, b"PING")
    host.is_open = False
    chain.clear()
    assert len(host.reactor.timers) == 0
