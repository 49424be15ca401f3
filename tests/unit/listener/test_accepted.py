"""The listener-filter phase of one socket: order, bytes, endings, the timer, answers that come later."""

from __future__ import annotations

import socket
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest

from proxy_core.event.reactor import Reactor
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus
from proxy_core.filters.listener_api import ListenerFilter, ListenerFilterCallbacks
from proxy_core.listener.accepted import CLOSED, PASSED, READING, WAITING, AcceptedSocket, Ending
from proxy_core.listener.listener_filters import PreparedListenerFilter
from proxy_core.network.address import Address
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.testing.clock import SimulatedClock
from proxy_core.testing.scripted import reset_error

PEER = Address.from_ip("192.0.2.1", 1111)
LOCAL = Address.from_ip("192.0.2.2", 80)


class Needs(ListenerFilter):
    """Is content once it has seen `count` bytes; may take them out, and notes what it is told."""

    def __init__(self, count: int, consume: bool = False, most: Optional[int] = None) -> None:
        self.count = count
        self.consume = consume
        self.most_bytes = count if most is None else most
        self.seen: List[Tuple[bytes, bool]] = []
        self.closed = 0

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        self.callbacks = callbacks
        return STOP_ITERATION

    def on_data(self, data: bytearray, ended: bool) -> FilterStatus:
        self.seen.append((bytes(data), ended))
        if len(data) < self.count:
            return STOP_ITERATION
        if self.consume:
            self.callbacks.consume(self.count)
        return CONTINUE

    def on_close(self) -> None:
        self.closed += 1


class Answers(ListenerFilter):
    """Looks at no bytes: waits for `continue_filter_chain`, or is answered inside the hook."""

    def __init__(self, at_once: Optional[bool] = None) -> None:
        self.at_once = at_once
        self.closed = 0

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        self.callbacks = callbacks
        if self.at_once is not None:
            callbacks.continue_filter_chain(self.at_once)
        return STOP_ITERATION

    def on_close(self) -> None:
        self.closed += 1


class Phase:
    """One accepted socket, its far end in the test's hand, under simulated time. Is its own owner."""

    def __init__(
        self, *filters: ListenerFilter, timeout: float = 15.0, continue_on_timeout: bool = False,
        disabled: Optional[Callable[[Address], bool]] = None,
    ) -> None:
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, report=self.errors.append)
        self.far, near = socket.socketpair()
        near.setblocking(False)
        self.passed: Optional[bytes] = None
        self.continued = 0
        self.refused: Optional[Tuple[Ending, str]] = None
        info = StreamInfo(0, 0.0, 0.0)
        self.accepted = AcceptedSocket(near, self.reactor, info, PEER, LOCAL)
        prepared = [PreparedListenerFilter(_giver(one), disabled) for one in filters]
        self.accepted.start(prepared, self, timeout, continue_on_timeout)

    def on_passed(self, accepted: AcceptedSocket) -> None:
        assert self.passed is None and self.refused is None
        self.passed = bytes(accepted.data)

    def on_continued(self) -> None:
        self.continued += 1

    def on_refused(self, accepted: AcceptedSocket, ending: Ending, reason: str) -> None:
        assert self.passed is None and self.refused is None
        self.refused = ending, reason

    def send(self, data: bytes) -> None:
        self.far.sendall(data)
        self.turn()

    def turn(self) -> None:
        for _ in range(3):
            self.reactor.turn(0)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turn()

    def close(self) -> None:
        self.far.close()
        if self.accepted.phase is not CLOSED:
            self.accepted.release()
        self.reactor.close()


def _giver(one: ListenerFilter) -> Callable[[], ListenerFilter]:
    return lambda: one


@pytest.fixture
def phase() -> Iterator[Callable[..., Phase]]:
    made: List[Phase] = []

    def make(*filters: ListenerFilter, **options: Any) -> Phase:
        made.append(Phase(*filters, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_a_filter_that_has_nothing_to_look_at_passes_the_socket_at_once(phase: Callable[..., Phase]) -> None:
    one = phase(ListenerFilter(), ListenerFilter())
    assert one.passed == b"" and one.accepted.phase is PASSED
    assert len(one.reactor.timers) == 0


def test_a_filter_sees_all_bytes_from_the_first_one_each_time(phase: Callable[..., Phase]) -> None:
    needs = Needs(5)
    one = phase(needs)
    for byte in b"hello":
        one.send(bytes([byte]))
    assert needs.seen == [(b"h", False), (b"he", False), (b"hel", False), (b"hell", False), (b"hello", False)]
    assert one.passed == b"hello"


@pytest.mark.parametrize("cut", range(0, 9))
def test_what_is_not_consumed_is_the_connections_at_every_split(phase: Callable[..., Phase], cut: int) -> None:
    one = phase(Needs(3, consume=True), Needs(2))
    for part in (b"HDRbody!"[:cut], b"HDRbody!"[cut:]):
        if part:
            one.send(part)
    rest = b""
    if one.passed is not None:
        one.accepted.sock.setblocking(False)
        try:
            rest = one.accepted.sock.recv(100)
        except BlockingIOError:
            rest = b""
    assert one.passed is not None
    assert one.passed + rest == b"body!"


def test_no_more_is_read_than_the_filter_asks_for(phase: Callable[..., Phase]) -> None:
    one = phase(Needs(4))
    one.send(b"12345678")
    assert one.passed == b"1234"
    assert one.accepted.sock.recv(100) == b"5678"


def test_the_next_filter_sees_what_is_there_without_waiting_for_more(phase: Callable[..., Phase]) -> None:
    second = Needs(3)
    one = phase(Needs(3), second)
    one.send(b"abc")
    assert second.seen == [(b"abc", False)]
    assert one.passed == b"abc"


def test_a_fin_with_the_complete_bytes_is_not_a_rejection(phase: Callable[..., Phase]) -> None:
    one = phase(Needs(3, consume=True), Needs(2))
    one.far.sendall(b"HDRok")
    one.far.shutdown(socket.SHUT_WR)
    one.turn()
    assert one.passed == b"ok" and one.refused is None
    assert one.accepted.sock.recv(10) == b""  # the connection will see the end itself


@pytest.mark.parametrize("count", range(0, 3))
def test_a_fin_at_every_prefix_of_what_is_needed_closes_at_once(phase: Callable[..., Phase], count: int) -> None:
    needs = Needs(3)
    one = phase(needs)
    one.far.sendall(b"HDR"[:count])
    one.far.shutdown(socket.SHUT_WR)
    one.turn()
    assert one.refused is not None and one.refused[0] is Ending.REMOTE_CLOSE
    assert needs.seen[-1] == (b"HDR"[:count], True)
    assert needs.closed == 1
    assert one.far.recv(1) == b""
    assert len(one.reactor.timers) == 0


def test_a_reset_is_an_error_of_this_socket_only(phase: Callable[..., Phase], monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy_core.network import sockets
    one = phase(Needs(3))

    def lost(sock: socket.socket, size: int) -> bytes:
        raise sockets.ConnectionLost(reset_error())
    monkeypatch.setattr(sockets, "receive", lost)
    one.send(b"a")
    assert one.refused == (Ending.ERROR, "Connection reset by peer")
    assert one.errors == []


def test_a_filter_that_never_has_enough_is_stopped_at_its_own_limit(phase: Callable[..., Phase]) -> None:
    one = phase(Needs(100, most=4))
    one.send(b"12345678")
    assert one.refused is not None and one.refused[0] is Ending.ERROR
    assert "4 bytes" in one.refused[1]


def test_one_timer_covers_all_filters_and_closes(phase: Callable[..., Phase]) -> None:
    second = Needs(6)
    one = phase(Needs(3), second, timeout=10.0)
    one.advance(6.0)
    one.send(b"abc")
    one.advance(3.9)
    assert one.accepted.phase is READING
    one.advance(0.2)
    assert one.refused is not None and one.refused[0] is Ending.TIMEOUT
    assert second.closed == 1


def test_after_the_timeout_the_connection_may_go_on_with_everything_that_came(phase: Callable[..., Phase]) -> None:
    needs = Needs(3)
    one = phase(needs, Needs(9), timeout=1.0, continue_on_timeout=True)
    one.send(b"ab")
    one.advance(1.1)
    assert one.passed == b"ab"
    assert needs.closed == 1 and one.continued == 1


def test_no_timer_when_it_is_switched_off(phase: Callable[..., Phase]) -> None:
    one = phase(Needs(3), timeout=0.0)
    one.advance(100_000.0)
    assert one.accepted.phase is READING


@pytest.mark.parametrize("at_once", [True, False])
def test_an_answer_given_inside_the_hook_counts_after_it(phase: Callable[..., Phase], at_once: bool) -> None:
    one = phase(Answers(at_once), ListenerFilter())
    if at_once:
        assert one.passed == b""
    else:
        assert one.refused is not None and one.refused[0] is Ending.REJECTED


@pytest.mark.parametrize("answer", [True, False])
def test_an_answer_that_comes_later_continues_or_closes(phase: Callable[..., Phase], answer: bool) -> None:
    waits = Answers()
    one = phase(waits, Needs(2))
    assert one.accepted.phase is WAITING
    one.send(b"ab")
    assert one.accepted.phase is WAITING and one.passed is None
    waits.callbacks.continue_filter_chain(answer)
    one.turn()
    if answer:
        assert one.passed == b"ab"
    else:
        assert one.refused is not None and one.refused[0] is Ending.REJECTED
    waits.callbacks.continue_filter_chain(True)  # too late to matter


def test_a_waiting_filter_hears_that_the_time_is_over(phase: Callable[..., Phase]) -> None:
    waits = Answers()
    one = phase(waits, timeout=2.0)
    one.advance(2.1)
    assert waits.closed == 1
    assert one.refused is not None and one.refused[0] is Ending.TIMEOUT


def test_a_disabled_filter_is_not_even_made(phase: Callable[..., Phase]) -> None:
    needs = Needs(3)
    one = phase(needs, disabled=lambda address: address.port == 80)
    assert one.passed == b"" and needs.seen == []


def test_an_exception_in_a_filter_closes_its_socket_and_nothing_else(phase: Callable[..., Phase]) -> None:
    class Broken(Needs):
        def on_data(self, data: bytearray, ended: bool) -> FilterStatus:
            raise RuntimeError("bug")
    one = phase(Broken(3))
    one.send(b"x")
    assert one.refused is not None and one.refused[0] is Ending.ERROR
    assert [str(error) for error in one.errors] == ["bug"]
    assert one.far.recv(1) == b""


def test_rejection_says_why_and_tells_the_access_log(phase: Callable[..., Phase]) -> None:
    class Rejecting(Needs):
        def on_data(self, data: bytearray, ended: bool) -> FilterStatus:
            self.callbacks.reject("not a header", "bad_header")
            return STOP_ITERATION
    one = phase(Rejecting(3), ListenerFilter())
    one.send(b"x")
    assert one.refused == (Ending.REJECTED, "not a header")
    assert one.accepted.info.response_code_details == "bad_header"


def test_the_listener_that_goes_away_closes_the_socket(phase: Callable[..., Phase]) -> None:
    needs = Needs(3)
    one = phase(needs)
    one.accepted.close()
    one.accepted.close()
    assert one.refused is not None and one.refused[0] is Ending.SHUTDOWN
    assert needs.closed == 1
    one.turn()
