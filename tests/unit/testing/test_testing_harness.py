"""The chain harness: what it shows of a chain is what happens in one, and misuse of the filter contract does not go unseen."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import ABORT_RESET, FLUSH_WRITE
from proxy_core.testing import ChainHarness, RecordingFilter


class Collect(NetworkFilter):
    """Waits for so many bytes, then passes them on as one."""

    def __init__(self, size: int) -> None:
        self.size = size

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE if data.size >= self.size or end_stream else STOP_ITERATION


class Later(NetworkFilter):
    """Parks the chain for some time."""

    name = "later"

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.done = False

    def on_new_connection(self) -> FilterStatus:
        self.callbacks.schedule(self.delay, self.go_on, "time to pass")
        return STOP_ITERATION

    def go_on(self) -> None:
        self.done = True
        self.callbacks.continue_reading()

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE if self.done else STOP_ITERATION


class Shout(NetworkFilter):
    """Changes what leaves."""

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.append(b"!" if data.size else b"")
        return CONTINUE


class Reply(NetworkFilter):
    """Ends a chain: sends back what it gets."""

    terminal = True

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.connection.write(data, end_stream)
        return STOP_ITERATION


def test_bytes_go_onward_and_the_end_comes_once() -> None:
    with ChainHarness([Collect(4)]) as harness:
        harness.feed(b"ab")
        assert harness.onward == b"" and harness.parked_by == "Collect"
        harness.feed(b"cd")
        harness.feed(b"", end_stream=True)
        assert harness.onward == b"abcd" and harness.onward_ends == 1
        assert [(one.data, one.end_stream) for one in harness.arrivals] == [(b"abcd", False), (b"", True)]
        assert harness.statuses("Collect") == [STOP_ITERATION, CONTINUE, CONTINUE]


def test_answers_pass_the_write_filters_and_their_end_is_a_fin() -> None:
    with ChainHarness([Shout()]) as harness:
        harness.write(b"no")
        harness.advance(2)
        harness.write(b"yes", end_stream=True)
        assert harness.sent == b"no!yes!" and harness.sent_end
        assert [(one.at, one.data) for one in harness.sends] == [(0.0, b"no!"), (2.0, b"yes!")]
        assert [call.method for call in harness.calls if call.data] == ["on_write", "on_write"]


def test_time_passes_by_advance_only_and_stops_at_each_timer_on_the_way() -> None:
    with ChainHarness([Later(1.5), Later(2.0)]) as harness:
        harness.feed(b"x")
        harness.advance(1.0)
        assert harness.onward == b"" and harness.waits == ["time to pass"]
        harness.advance(10)
        assert harness.now == 11 and [(one.at, one.data) for one in harness.arrivals] == [(3.5, b"x")]


def test_a_chain_that_nothing_can_wake_is_told() -> None:
    with pytest.raises(AssertionError, match="Collect parked the chain with no timer, hold or further bytes"):
        with ChainHarness([Collect(4)], buffer_limit=2) as harness:
            harness.feed(b"abc")
            assert harness.stalls == ["Collect"]


def test_a_filter_that_waits_for_the_rest_of_a_message_is_at_most_suspected() -> None:
    with ChainHarness([Collect(4)]) as harness:
        harness.feed(b"abc")
        harness.advance(60)
        assert harness.suspects == ["Collect"] and harness.stalls == []
        harness.feed(b"d")
        assert harness.onward == b"abcd"


def test_a_filter_that_has_injected_the_end_holds_nothing_back() -> None:
    class Inject(NetworkFilter):
        def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
            self.callbacks.inject_read_data_to_filter_chain(data, end_stream)
            return STOP_ITERATION
    with ChainHarness([Inject()]) as harness:
        harness.feed(b"abc", end_stream=True)
        assert harness.onward == b"abc" and harness.onward_ends == 1 and harness.stalls == []


def test_a_terminal_filter_has_nobody_behind_it() -> None:
    with ChainHarness([Reply()]) as harness:
        harness.feed(b"abc")
        assert harness.sent == b"abc" and harness.arrivals == []
    with ChainHarness([Reply()], terminal=False) as harness:
        assert [slot.name for slot in harness.connection.read_chain.filters()] == ["Reply", "onward"]


def test_without_half_close_a_fin_closes() -> None:
    with ChainHarness(half_close=False) as harness:
        harness.feed(b"abc", end_stream=True)
        assert harness.onward == b"abc" and harness.onward_ends == 0
        harness.assert_closed(by="peer", how="FIN")
        assert harness.events == ["Connected", "RemoteClose"]


def test_the_peer_can_refuse_to_read_and_the_watermarks_are_heard() -> None:
    with ChainHarness(buffer_limit=4) as harness:
        harness.block()
        harness.write(b"abcdef")
        assert harness.sent == b"" and harness.watermarks == ["high"]
        harness.unblock()
        assert harness.sent == b"abcdef" and harness.watermarks == ["high", "low"]


def test_a_pause_of_reading_keeps_bytes_out() -> None:
    with ChainHarness() as harness:
        harness.pause()
        harness.feed(b"abc")
        assert harness.onward == b"" and harness.paused_by == ("test",)
        harness.resume()
        assert harness.onward == b"abc"


def test_every_end_has_its_reason() -> None:
    closed = ChainHarness()
    closed.close(FLUSH_WRITE, "enough")
    closed.end()
    assert str(closed.assert_closed(reason="enough", by="local", how="policy")) == "local policy: enough"
    reset = ChainHarness()
    reset.reset()
    reset.assert_closed(by="peer", how="RST")
    aborted = ChainHarness()
    aborted.close(ABORT_RESET)
    assert aborted.peer.was_reset


def test_assert_closed_says_what_was_found_instead() -> None:
    harness = ChainHarness([Later(5)])
    harness.pause("somebody")
    with pytest.raises(AssertionError, match="is open: .*parked by later; waiting for time to pass; .* paused by somebody"):
        harness.assert_closed()
    harness.reset()
    harness.close(details="why not")
    with pytest.raises(AssertionError, match="expected a close by 'peer', reason 'boredom', but it was: by 'local'"):
        harness.assert_closed(reason="boredom", by="peer")


def test_what_a_filter_raises_is_raised_where_the_test_caused_it() -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("planted")
    for filters in ([RecordingFilter(on_data_do=fail)], [RecordingFilter(on_new_do=fail)], [RecordingFilter(on_write_do=fail)]):
        with pytest.raises(ZeroDivisionError):
            harness = ChainHarness(filters)
            harness.feed(b"x")
            harness.write(b"x")


def test_exceptions_may_be_left_to_the_engine_and_are_told_at_the_end() -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("planted")
    with pytest.raises(AssertionError, match="exception: ZeroDivisionError"):
        with ChainHarness([RecordingFilter(on_data_do=fail)], raise_errors=False) as harness:
            harness.feed(b"x")
            harness.assert_closed(how="error")


def test_a_test_that_fails_by_itself_is_not_overruled_by_the_check() -> None:
    with pytest.raises(KeyError):
        with ChainHarness([Collect(4)], buffer_limit=2) as harness:
            harness.feed(b"abc")
            raise KeyError


def misuses_of(one: NetworkFilter, also: Any = None) -> List[str]:
    harness = ChainHarness([one])
    harness.feed(b"abc")
    if also is not None:
        harness.act(also)
    return harness.misuses


def test_a_second_continue_for_one_stop_is_a_misuse() -> None:
    later = Later(1)
    harness = ChainHarness([later])
    harness.feed(b"abc")
    harness.advance(1)
    assert harness.misuses == []
    harness.act(later.callbacks.continue_reading)
    problem, = harness.misuses
    assert problem.startswith("later: continue_reading() though it has not stopped since")


def test_continue_within_a_callback_wants_stop_iteration_and_comes_once() -> None:
    class Both(NetworkFilter):
        def __init__(self, times: int, answer: FilterStatus) -> None:
            self.times, self.answer = times, answer

        def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
            for _ in range(self.times):
                self.callbacks.continue_reading()
            return self.answer
    assert misuses_of(Both(1, STOP_ITERATION)) == []
    assert "answer STOP_ITERATION" in misuses_of(Both(1, CONTINUE))[0]
    assert "twice in one callback" in misuses_of(Both(2, STOP_ITERATION))[0]


def test_what_is_no_answer_and_what_comes_after_the_end_are_misuses() -> None:
    class Silent(NetworkFilter):
        def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
            return None  # type: ignore[return-value]

    class Late(NetworkFilter):
        def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
            self.callbacks.inject_read_data_to_filter_chain(data, True)
            return STOP_ITERATION
    assert "answered None" in misuses_of(Silent())[0]
    late = Late()
    again = misuses_of(late, lambda: late.callbacks.inject_read_data_to_filter_chain(Buffer(b"more"), False))
    assert again == ["Late: injected 4 bytes after end_stream: nobody will see them"]


def test_bytes_that_a_write_filter_stops_and_leaves_are_lost_and_it_is_told() -> None:
    class Leave(NetworkFilter):
        def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
            return STOP_ITERATION
    harness = ChainHarness([Leave()])
    harness.write(b"abc")
    assert "left 3 bytes in the buffer" in harness.misuses[0]


def test_filters_get_into_the_chains_that_their_methods_ask_for() -> None:
    harness = ChainHarness([Shout(), Collect(1), RecordingFilter("both")])
    assert [slot.name for slot in harness.connection.read_chain.filters()] == ["Collect", "both", "onward"]
    assert harness.connection.write_chain is not None
    assert [slot.name for slot in harness.connection.write_chain.filters()] == ["both", "Shout"]


def test_the_addresses_are_what_the_test_says() -> None:
    for remote, ip in (("10.0.0.1:80", "10.0.0.1"), ("[::1]:80", "::1"), ("/run/s", "")):
        address = ChainHarness(remote=remote).connection.remote_address
        assert address is not None and (address.text, address.ip) == (remote, ip)


def test_a_loop_that_never_rests_fails_the_test() -> None:
    harness = ChainHarness()

    def again() -> None:
        harness.reactor.after(0, again)
    with pytest.raises(AssertionError, match="still busy"):
        harness.act(again)
