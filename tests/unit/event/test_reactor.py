"""The reactor's turn: order of the phases, stale events, containment, and that an idle loop sleeps."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import struct
import sys
import threading
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest

from proxy_core.event.hangup import HangupWatch
from proxy_core.event.reactor import DEFERRED_ROUNDS, HANGUP, READ, SLEEP_AFTER, WRITE, Reactor
from proxy_core.event.timers import SETTLE_AFTER
from proxy_core.event.wakeup import Wakeup
from proxy_core.testing.clock import SimulatedClock
from proxy_core.testing.scripted import ScriptedSelector, ScriptedSocket


class Handler:
    """Writes down its calls and does what it is told."""

    def __init__(self, do: Optional[Callable[[int], Any]] = None, flush: Optional[Callable[[], Any]] = None) -> None:
        self.masks: List[int] = []
        self.flushes = 0
        self.failures: List[Exception] = []
        self._do = do
        self._flush = flush

    def on_ready(self, mask: int) -> None:
        self.masks.append(mask)
        if self._do is not None:
            self._do(mask)

    def flush(self) -> None:
        self.flushes += 1
        if self._flush is not None:
            self._flush()

    def on_failure(self, error: Exception) -> None:
        self.failures.append(error)


class Bench:
    """A reactor on a scripted selector."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.selector = ScriptedSelector()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, self.selector, self.errors.append)

    def ready_socket(self) -> ScriptedSocket:
        """A socket that is readable and writable, always."""
        sock = ScriptedSocket()
        sock.incoming.append(b"x")
        self.selector.add(sock)
        return sock


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def real(clock: SimulatedClock) -> Iterator[Reactor]:
    reactor = Reactor(clock, report=lambda error: None)
    yield reactor
    reactor.close()


def boom(*args: Any) -> None:
    raise RuntimeError("boom")


# -- the turn ----------------------------------------------------------------------------------------------------------

def test_the_phases_of_a_turn_come_in_their_order(bench: Bench) -> None:
    reactor, order = bench.reactor, []
    flushed = Handler(flush=lambda: (order.append("flush"), reactor.defer(lambda: order.append("deferred by flush"))))

    def on_ready(mask: int) -> None:
        order.append("ready")
        reactor.defer(lambda: order.append("deferred"))
        reactor.to_flush.append(flushed)
        reactor.after(0.0, lambda: order.append("timer set while ready"))
    reactor.after(1.0, lambda: order.append("timer"))
    reactor.watch(bench.ready_socket().fileno(), READ, Handler(on_ready))
    bench.clock.advance(1.0)
    reactor.turn(0)
    assert order == ["ready", "timer", "timer set while ready", "flush", "deferred", "deferred by flush"]


def test_the_clock_is_read_once_a_turn_and_after_the_sleep(bench: Bench) -> None:
    readings: List[float] = []

    def clock() -> float:
        readings.append(bench.clock.now)
        return bench.clock.now
    bench.reactor.clock = clock
    seen: List[float] = []
    bench.reactor.watch(bench.ready_socket().fileno(), READ, Handler(lambda mask: seen.append(bench.reactor.now)))
    bench.clock.advance(5.0)
    bench.reactor.turn(0)
    assert readings == seen == [1005.0]


def test_a_handler_that_is_queued_once_is_flushed_once_and_not_in_the_next_turn(bench: Bench) -> None:
    handler = Handler()
    bench.reactor.to_flush.append(handler)
    bench.reactor.turn(0)
    bench.reactor.turn(0)
    assert handler.flushes == 1


def test_what_a_flush_queues_is_flushed_in_the_next_turn_without_waiting(bench: Bench) -> None:
    second = Handler()
    first = Handler(flush=lambda: bench.reactor.to_flush.append(second))
    bench.reactor.to_flush.append(first)
    bench.reactor.turn()
    assert second.flushes == 0
    bench.reactor.turn()
    assert second.flushes == 1
    assert bench.selector.timeouts == [0.0, 0.0]


def test_bulk_is_flushed_right_after_the_handler_that_queued_it(bench: Bench) -> None:
    order: List[str] = []
    bulk = Handler(flush=lambda: order.append("bulk"))

    def first(mask: int) -> None:
        order.append("first")
        bench.reactor.bulk.append(bulk)
    bench.reactor.watch(bench.ready_socket().fileno(), READ, Handler(first))
    bench.reactor.watch(bench.ready_socket().fileno(), READ, Handler(lambda mask: order.append("second")))
    bench.reactor.turn(0)
    assert order == ["first", "bulk", "second"]


@pytest.mark.parametrize("phase", ["timer", "flush", "deferred"])
def test_bulk_that_is_queued_outside_of_a_ready_handler_is_flushed_without_waiting(bench: Bench, phase: str) -> None:
    bulk = Handler()

    def queue() -> None:
        bench.reactor.bulk.append(bulk)
    if phase == "timer":
        bench.reactor.after(0.0, queue)
    elif phase == "flush":
        bench.reactor.to_flush.append(Handler(flush=queue))
    else:
        bench.reactor.defer(queue)
    bench.reactor.turn()
    if phase == "deferred":
        assert bulk.flushes == 0
        bench.reactor.turn()
    assert bulk.flushes == 1
    assert set(bench.selector.timeouts) == {0.0}


def test_deferred_work_may_defer_more_and_the_rest_runs_next_turn(bench: Bench) -> None:
    ran: List[int] = []

    def step(number: int) -> None:
        ran.append(number)
        bench.reactor.defer(lambda: step(number + 1))
    bench.reactor.defer(lambda: step(1))
    bench.reactor.turn()
    assert ran == list(range(1, DEFERRED_ROUNDS + 1))
    bench.reactor.turn()
    assert len(ran) == 2 * DEFERRED_ROUNDS
    assert bench.selector.timeouts == [0.0, 0.0]


def test_a_timer_that_sets_itself_again_with_no_delay_fires_once_a_turn(bench: Bench) -> None:
    count: List[int] = []

    def again() -> None:
        count.append(1)
        bench.reactor.after(0.0, again)
    bench.reactor.after(0.0, again)
    for turn in (1, 2, 3):
        bench.reactor.turn()
        assert len(count) == turn


class Living:
    """Wants its timers set, should it live so long."""

    def __init__(self, fails: bool = False) -> None:
        self.settled = 0
        self._fails = fails

    def settle(self) -> None:
        self.settled += 1
        if self._fails:
            raise RuntimeError("can't settle")


def test_who_lives_long_enough_is_settled_once_and_who_is_over_before_never(bench: Bench) -> None:
    staying, leaving, late = Living(), Living(), Living()
    bench.reactor.settle_later(staying)
    bench.reactor.settle_later(leaving)
    del bench.reactor.unsettled[leaving]
    bench.clock.advance(SETTLE_AFTER / 2)
    bench.reactor.turn(0)
    bench.reactor.settle_later(late)
    assert len(bench.reactor.timers) == 1, "one timer for all"
    bench.clock.advance(SETTLE_AFTER / 2)
    bench.reactor.turn(0)
    assert (staying.settled, leaving.settled, late.settled) == (1, 0, 1)
    assert not bench.reactor.unsettled and not len(bench.reactor.timers)
    bench.reactor.settle_later(leaving)
    bench.clock.advance(SETTLE_AFTER)
    bench.reactor.turn(0)
    assert (staying.settled, leaving.settled) == (1, 1)


def test_a_failure_to_settle_keeps_nobody_else_from_it(bench: Bench) -> None:
    first, second = Living(fails=True), Living()
    bench.reactor.settle_later(first)
    bench.reactor.settle_later(second)
    bench.clock.advance(SETTLE_AFTER)
    bench.reactor.turn(0)
    assert second.settled == 1 and len(bench.errors) == 1


def test_an_idle_loop_sleeps_until_the_next_timer_and_for_ever_without_one(bench: Bench) -> None:
    reactor = bench.reactor
    reactor.turn()
    timer = reactor.after(30.0, boom)
    reactor.after(70.0, boom)
    reactor.turn()
    reactor.turn(5.0)
    timer.cancel()
    reactor.turn()
    assert bench.selector.timeouts == [None, 30.0, 5.0, 70.0]
    assert reactor.turns == 4


def test_a_timer_that_is_overdue_makes_the_loop_not_wait_at_all(bench: Bench) -> None:
    bench.reactor.timers.at(bench.clock.now - 3.0, lambda: None)
    bench.reactor.turn()
    assert bench.selector.timeouts == [0.0]


def test_run_turns_until_stop_and_can_be_run_again(bench: Bench) -> None:
    for _ in range(2):
        bench.reactor.after(0.0, bench.reactor.stop)
        bench.reactor.run()
    assert bench.reactor.turns == 2


# -- interest ----------------------------------------------------------------------------------------------------------

def test_watching_what_is_watched_already_calls_nothing(bench: Bench) -> None:
    sock, handler = bench.ready_socket(), Handler()
    bench.reactor.watch(sock.fileno(), READ, handler)
    before = list(bench.selector.calls)
    for _ in range(5):
        bench.reactor.watch(sock.fileno(), READ, handler)
    assert bench.selector.calls == before


def test_changing_the_mask_is_one_call_and_another_handler_takes_over(bench: Bench) -> None:
    sock, first, second = bench.ready_socket(), Handler(), Handler()
    bench.reactor.watch(sock.fileno(), READ, first)
    bench.reactor.watch(sock.fileno(), READ | WRITE, first)
    bench.reactor.watch(sock.fileno(), WRITE, second)
    fd = sock.fileno()
    assert bench.selector.calls == [("register", fd, READ), ("modify", fd, READ | WRITE), ("modify", fd, WRITE)]
    bench.reactor.turn(0)
    assert (first.masks, second.masks) == ([], [WRITE])


def test_unwatch_forgets_and_is_harmless_when_nothing_is_watched(bench: Bench) -> None:
    sock, handler = bench.ready_socket(), Handler()
    bench.reactor.watch(sock.fileno(), READ, handler)
    assert bench.reactor.watched == 1
    bench.reactor.unwatch(sock.fileno())
    bench.reactor.unwatch(sock.fileno())
    bench.reactor.turn(0)
    assert (handler.masks, bench.reactor.watched) == ([], 0)


def test_events_of_a_descriptor_that_an_earlier_handler_unwatched_are_dropped(bench: Bench) -> None:
    one, two = bench.ready_socket(), bench.ready_socket()
    second = Handler()
    first = Handler(lambda mask: bench.reactor.unwatch(two.fileno()))
    bench.reactor.watch(one.fileno(), READ, first)
    bench.reactor.watch(two.fileno(), READ, second)
    bench.reactor.turn(0)
    assert second.masks == []


def test_events_of_a_descriptor_that_was_closed_and_reused_in_the_same_turn_are_dropped(real: Reactor) -> None:
    """Both sockets are ready; the first handler closes the second and a new one gets its number."""
    pairs = [socket.socketpair() for _ in range(2)]
    handlers: List[Handler] = []
    newcomers: List[Tuple[socket.socket, Handler]] = []

    def close_the_other(mask: int) -> None:
        other = pairs[1 if handlers[0].masks else 0][0]
        number = other.fileno()
        real.unwatch(number)
        other.close()
        newcomer = socket.socket()
        assert newcomer.fileno() == number, "the kernel gives out the lowest free number"
        handler = Handler()
        newcomers.append((newcomer, handler))
        real.watch(number, READ, handler)
    for near, far in pairs:
        handlers.append(Handler(close_the_other))
        real.watch(near.fileno(), READ, handlers[-1])
        far.send(b"x")
    real.turn(0)
    assert len(newcomers) == 1
    newcomer, handler = newcomers[0]
    assert handler.masks == [], "the event was meant for the socket that had this number before"
    real.unwatch(newcomer.fileno())
    for sock in (newcomer, *pairs[0], *pairs[1]):
        sock.close()


# -- a failing handler -------------------------------------------------------------------------------------------------

def test_an_exception_closes_only_the_handler_it_left_and_the_rest_of_the_turn_goes_on(bench: Bench) -> None:
    bad, good = Handler(boom), Handler()
    bench.reactor.watch(bench.ready_socket().fileno(), READ, bad)
    bench.reactor.watch(bench.ready_socket().fileno(), READ, good)
    bench.reactor.turn(0)
    assert (len(bad.failures), good.failures, len(good.masks)) == (1, [], 1)
    assert bench.reactor.failures == len(bench.errors) == 1


@pytest.mark.parametrize("phase", ["timer", "flush", "bulk", "deferred"])
def test_an_exception_in_any_phase_is_given_to_its_owner(bench: Bench, phase: str) -> None:
    owner = Handler(flush=boom)
    if phase == "timer":
        bench.reactor.after(0.0, boom, owner)
    elif phase == "flush":
        bench.reactor.to_flush.append(owner)
    elif phase == "bulk":
        bench.reactor.bulk.append(owner)
    else:
        bench.reactor.defer(boom, owner)
    after: List[str] = []
    bench.reactor.defer(lambda: after.append("ran"))
    bench.reactor.turn(0)
    assert [str(error) for error in owner.failures] == ["boom"]
    assert after == ["ran"]


def test_an_exception_of_work_without_an_owner_is_reported_and_that_is_all(bench: Bench) -> None:
    bench.reactor.after(0.0, boom)
    bench.reactor.turn(0)
    assert [str(error) for error in bench.errors] == ["boom"]


def test_a_handler_that_fails_again_while_giving_up_is_contained_as_well(bench: Bench) -> None:
    class Worse(Handler):
        def on_failure(self, error: Exception) -> None:
            raise ValueError("worse")
    bench.reactor.watch(bench.ready_socket().fileno(), READ, Worse(boom))
    bench.reactor.turn(0)
    assert [str(error) for error in bench.errors] == ["boom", "worse"]
    assert bench.reactor.failures == 2


def test_without_a_report_the_traceback_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    reactor = Reactor(SimulatedClock(), ScriptedSelector())
    reactor.defer(boom)
    reactor.turn(0)
    assert "RuntimeError: boom" in capsys.readouterr().err


# -- hang-ups of sockets that nobody reads -----------------------------------------------------------------------------

def tcp_pair() -> Tuple[socket.socket, socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        far = socket.create_connection(listening.getsockname())
        near, _ = listening.accept()
    return near, far


def send_reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def fall_asleep(reactor: Reactor, clock: SimulatedClock) -> None:
    """Turn past the time after which a registration without interest is made known to the kernel."""
    clock.advance(2 * SLEEP_AFTER)
    reactor.turn(0)


needs_epoll = pytest.mark.skipif(not HangupWatch.available(), reason="needs epoll: elsewhere a pause is deaf to resets")


@needs_epoll
def test_a_watch_without_interest_notices_a_reset_once_and_nothing_else(real: Reactor, clock: SimulatedClock) -> None:
    near, far = tcp_pair()
    handler = Handler()
    real.watch(near.fileno(), 0, handler)
    far.send(b"bytes that nobody may read yet")
    fall_asleep(real, clock)
    real.turn(0)
    assert handler.masks == []
    send_reset(far)
    real.turn(0.1)
    real.turn(0)
    assert handler.masks == [HANGUP]
    real.unwatch(near.fileno())
    near.close()


@needs_epoll
def test_a_reset_that_came_before_the_watch_is_noticed_too(real: Reactor, clock: SimulatedClock) -> None:
    near, far = tcp_pair()
    send_reset(far)
    handler = Handler()
    real.watch(near.fileno(), 0, handler)
    fall_asleep(real, clock)
    real.turn(0.1)
    assert handler.masks == [HANGUP]
    real.unwatch(near.fileno())
    near.close()


@needs_epoll
@pytest.mark.parametrize("rested", [False, True])
def test_interest_can_be_taken_and_given_back_any_number_of_times(real: Reactor, clock: SimulatedClock, rested: bool) -> None:
    near, far = socket.socketpair()
    handler = Handler()
    far.send(b"x")
    for mask in (0, READ, 0, WRITE, 0, READ):
        real.watch(near.fileno(), mask, handler)
        if rested:
            fall_asleep(real, clock)
    handler.masks.clear()
    real.turn(0)
    assert handler.masks == [READ]
    real.watch(near.fileno(), 0, handler)
    real.turn(0)
    assert handler.masks == [READ]
    real.unwatch(near.fileno())
    assert real.watched == 0
    near.close()
    far.close()


@needs_epoll
def test_an_exception_while_hearing_of_a_hang_up_is_contained(real: Reactor, clock: SimulatedClock) -> None:
    near, far = tcp_pair()
    handler = Handler(boom)
    real.watch(near.fileno(), 0, handler)
    fall_asleep(real, clock)
    send_reset(far)
    real.turn(0.1)
    assert len(handler.failures) == 1
    real.unwatch(near.fileno())
    near.close()


def test_where_hang_ups_are_not_heard_a_watch_without_interest_registers_nothing(bench: Bench) -> None:
    sock, handler = bench.ready_socket(), Handler()
    bench.reactor.watch(sock.fileno(), 0, handler)
    bench.reactor.turn(0)
    bench.reactor.watch(sock.fileno(), READ, handler)
    bench.reactor.watch(sock.fileno(), 0, handler)
    assert bench.selector.calls == [("register", sock.fileno(), READ), ("unregister", sock.fileno(), 0)]
    assert handler.masks == []


@needs_epoll
def test_a_descriptor_that_was_closed_before_it_fell_asleep_is_forgotten(real: Reactor, clock: SimulatedClock) -> None:
    near, far = socket.socketpair()
    real.watch(near.fileno(), 0, Handler())
    real.unwatch(near.fileno())
    near.close()
    newcomer = socket.socket()  # has the number now
    fall_asleep(real, clock)
    assert real.watched == 0
    assert real.failures == 0
    newcomer.close()
    far.close()


@needs_epoll
def test_a_descriptor_that_is_reused_before_it_fell_asleep_belongs_to_the_newcomer(real: Reactor, clock: SimulatedClock) -> None:
    near, far = socket.socketpair()
    old, new = Handler(), Handler()
    number = near.fileno()
    real.watch(number, 0, old)
    real.unwatch(number)
    near.close()
    newcomer, its_far = tcp_pair()
    os.dup2(newcomer.fileno(), number)
    real.watch(number, 0, new)
    fall_asleep(real, clock)
    send_reset(its_far)
    real.turn(0.1)
    assert (old.masks, new.masks) == ([], [HANGUP])
    real.unwatch(number)
    os.close(number)
    newcomer.close()
    far.close()


# -- signals and other threads -----------------------------------------------------------------------------------------

@pytest.fixture
def wakeup(real: Reactor) -> Iterator[Wakeup]:
    wakeup = Wakeup()
    real.watch(wakeup.fileno(), READ, wakeup)
    yield wakeup
    real.unwatch(wakeup.fileno())
    wakeup.close()


def test_a_post_from_another_thread_wakes_the_loop_and_runs_in_its_thread(real: Reactor, wakeup: Wakeup) -> None:
    threads: List[Optional[int]] = []
    poster = threading.Thread(target=lambda: wakeup.post(lambda: threads.append(threading.get_ident())))
    poster.start()
    real.turn(10.0)
    poster.join()
    assert threads == [threading.get_ident()]


def test_posts_run_in_order_and_one_that_fails_does_not_lose_those_behind_it(real: Reactor, wakeup: Wakeup) -> None:
    ran: List[str] = []
    wakeup.post(lambda: ran.append("one"))
    wakeup.post(boom)
    wakeup.post(lambda: ran.append("two"))
    real.turn(0)
    real.turn(0)
    assert ran == ["one", "two"]
    assert real.failures == 1


def test_a_post_made_by_a_post_runs_in_the_next_turn(real: Reactor, wakeup: Wakeup) -> None:
    ran: List[str] = []
    wakeup.post(lambda: wakeup.post(lambda: ran.append("second")))
    real.turn(0)
    assert ran == []
    real.turn(0)
    assert ran == ["second"]


def test_more_posts_than_the_pair_holds_wake_ups_all_run(real: Reactor, wakeup: Wakeup) -> None:
    ran: List[int] = []
    for _ in range(5000):
        wakeup.post(lambda: ran.append(1))
    for _ in range(3):
        real.turn(0)
    assert len(ran) == 5000


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_signal_is_an_event_of_the_loop(real: Reactor, wakeup: Wakeup) -> None:
    heard: List[str] = []
    wakeup.on_signal(signal.SIGUSR1, lambda: heard.append("USR1"))
    os.kill(os.getpid(), signal.SIGUSR1)
    assert heard == []
    real.turn(5.0)
    assert heard == ["USR1"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_signal_behind_one_whose_callback_fails_is_not_lost(real: Reactor, wakeup: Wakeup) -> None:
    heard: List[str] = []
    wakeup.on_signal(signal.SIGUSR1, boom)
    wakeup.on_signal(signal.SIGUSR2, lambda: heard.append("USR2"))
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    for _ in range(3):
        real.turn(0)
    assert heard == ["USR2"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_signals_get_back_the_handling_they_had_before(wakeup: Wakeup) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    wakeup.on_signal(signal.SIGUSR1, boom)
    wakeup.on_signal(signal.SIGUSR1, boom)
    assert signal.getsignal(signal.SIGUSR1) is not before
    wakeup.release_signals()
    wakeup.release_signals()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_the_masks_are_those_of_selectors() -> None:
    assert (READ, WRITE) == (selectors.EVENT_READ, selectors.EVENT_WRITE)
    assert not HANGUP & (READ | WRITE)
