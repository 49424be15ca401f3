"""The split checker finds what filter authors get wrong, and says it so that it can be run again. Right filters pass."""

from __future__ import annotations

import re
from typing import Any, Callable, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH
from proxy_core.testing import ChainHarness, Outcome, assert_split_invariant, outcome_of
from proxy_core.testing.invariant import PAUSES


class Lines(NetworkFilter):
    """Right: whole lines go onward, marked, and what is left at the end."""

    def __init__(self) -> None:
        self.kept = b""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        *lines, self.kept = (self.kept + data.take()).split(b"\n")
        out = b"".join(b"<" + line + b">" for line in lines)
        if end_stream:
            out, self.kept = out + self.kept, b""
        if out or end_stream:
            self.callbacks.inject_read_data_to_filter_chain(Buffer(out), end_stream)
        return STOP_ITERATION


class AsksFirst(NetworkFilter):
    """Right: parks until it is told, or a second has passed."""

    def __init__(self, delay: float = 1.0) -> None:
        self.delay = delay
        self.passed = False

    def on_new_connection(self) -> FilterStatus:
        self.timer = self.callbacks.schedule(self.delay, self.go_on, "an answer")
        return STOP_ITERATION

    def go_on(self) -> None:
        self.passed = True
        self.callbacks.continue_reading()

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE if self.passed else STOP_ITERATION


class Echo(NetworkFilter):
    """Right: ends a chain."""

    terminal = True

    def initialize_read_filter_callbacks(self, callbacks: Any) -> None:
        super().initialize_read_filter_callbacks(callbacks)
        self.connection.half_close_enabled = True

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.connection.write(data, end_stream)
        return STOP_ITERATION


class Replaces(NetworkFilter):
    """Wrong: takes a read for a message."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.append(data.take().replace(b"secret", b"******"))
        return CONTINUE


class Prefixes(NetworkFilter):
    """Wrong: changes bytes in place that it is shown again while a filter behind it parks."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.append(data.take().replace(b"e", b"ee"))
        return CONTINUE


class LosesEnd(NetworkFilter):
    """Wrong: an end that comes together with bytes is forgotten."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if not data.size:
            return CONTINUE
        self.callbacks.inject_read_data_to_filter_chain(data, False)
        return STOP_ITERATION


class Forgets(NetworkFilter):
    """Wrong: stops and never goes on."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return STOP_ITERATION


class ContinuesTwice(NetworkFilter):
    """Wrong: both its answer and its timer let the chain go on."""

    def __init__(self) -> None:
        self.decided = False

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if not self.decided:
            self.decided = True
            self.callbacks.schedule(1.0, self.callbacks.continue_reading, "an answer")
            self.callbacks.schedule(2.0, self.callbacks.continue_reading, "its time limit")
        return STOP_ITERATION


class KeepsRest(NetworkFilter):
    """Wrong: what was kept for more bytes to come is not passed on at the end."""

    def __init__(self) -> None:
        self.kept = b""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.kept += data.take()
        whole = len(self.kept) // 2 * 2
        out, self.kept = self.kept[:whole], self.kept[whole:]
        self.callbacks.inject_read_data_to_filter_chain(Buffer(out), end_stream)
        return STOP_ITERATION


class Explodes(NetworkFilter):
    """Wrong: takes for granted that two bytes come at once."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if data.size == 1:
            raise IndexError("planted")
        data.clear()
        return CONTINUE


class ClosesLate(NetworkFilter):
    """Lets through whatever comes before it sees a bad byte: more or less, as it is cut."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if b"!" in bytes(data):
            self.connection.close(NO_FLUSH, "bad_byte")
        return CONTINUE


class Censors(NetworkFilter):
    """Wrong, on the way out."""

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.append(data.take().replace(b"secret", b"******"))
        return CONTINUE


class Doubles(NetworkFilter):
    """Right, on the way out."""

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.append(b"".join(bytes([byte]) * 2 for byte in data.take()))
        return CONTINUE


def test_filters_that_are_right_pass_and_their_outcome_is_returned() -> None:
    lines = assert_split_invariant(Lines, b"one\ntwo\n\nrest")
    assert (lines.onward, lines.onward_ends, lines.sent, lines.closed) == (b"<one><two><>rest", 1, b"", "")
    assert assert_split_invariant(AsksFirst, b"hello").onward == b"hello"
    assert assert_split_invariant(Echo, b"hello").sent == b"hello"
    assert assert_split_invariant(lambda: [AsksFirst(), Lines()], b"a\nb").onward == b"<a>b"
    assert assert_split_invariant(lambda: [], b"hello").onward == b"hello"
    assert assert_split_invariant(Doubles, b"abc", side="write").sent == b"aabbcc"
    assert assert_split_invariant(Lines, b"").onward_ends == 1


BUGS = [
    (Replaces, r"onward: b'a \*{6}' when it comes whole, b'a secret' so", "[b'a s', b'ecret']"),
    (Prefixes, "a filter behind it parked from the start, left the bytes", "pause='behind_leaving', at=0"),
    (LosesEnd, "end_stream was lost", "pause='in_front', at=0"),
    (Forgets, "Forgets parked the chain with nothing left to wake it", "[b'a secret']"),
    (ContinuesTwice, r"continue_reading\(\) though it has not stopped", "[b'a secret']"),
    (Explodes, "exception: IndexError", "[b'a', b' secret']"),
]


@pytest.mark.parametrize("kind, says, recipe", BUGS)
def test_a_planted_bug_is_found_and_described(kind: Callable[[], Any], says: str, recipe: str) -> None:
    with pytest.raises(AssertionError, match=says) as caught:
        assert_split_invariant(kind, b"a secret")
    assert recipe in str(caught.value) and f"outcome_of({kind.__name__}, " in str(caught.value)


def test_the_recipe_repeats_the_failure() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_split_invariant(Replaces, b"a secret")
    call = re.search(r"print\((outcome_of\(.*\))\)$", str(caught.value))
    assert call is not None
    again: Outcome = eval(call[1], {"outcome_of": outcome_of, "Replaces": Replaces})
    assert again.onward == b"a secret"


def test_a_rest_that_is_lost_at_the_end_is_the_same_for_every_cut_and_seen_in_the_result() -> None:
    """What no comparison can find, the result that a test looks at shows."""
    assert assert_split_invariant(KeepsRest, b"odd").onward == b"od"


def test_a_bug_that_needs_many_pieces_is_shrunk_to_the_fewest() -> None:
    class Third(NetworkFilter):
        """Wrong from the third read on."""

        reads = 0

        def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
            self.reads += data.size > 0
            if self.reads == 3:
                data.clear()
            return CONTINUE
    with pytest.raises(AssertionError, match="in 3 pieces") as caught:
        assert_split_invariant(Third, b"0123456789", pauses=())
    assert "outcome_of(Third, [b'" in str(caught.value)


def test_bugs_on_the_way_out_are_found_too() -> None:
    with pytest.raises(AssertionError, match="sent: .*") as caught:
        assert_split_invariant(Censors, b"a secret", side="write")
    assert "side='write'" in str(caught.value)


def test_key_leaves_out_what_may_vary() -> None:
    with pytest.raises(AssertionError, match="onward: b'' when it comes whole, b'g' so"):
        assert_split_invariant(ClosesLate, b"good!")
    found = assert_split_invariant(ClosesLate, b"good!", key=lambda outcome: outcome.closed)
    assert found.closed == "local policy: bad_byte"
    with pytest.raises(AssertionError, match="compared: 0 with 1"):
        assert_split_invariant(ClosesLate, b"good!", key=lambda outcome: len(outcome.onward))


def test_after_answers_what_the_filter_has_asked() -> None:
    def answer(harness: ChainHarness) -> None:
        asker, = [one for one in harness.filters if isinstance(one, AsksFirst)]
        harness.act(lambda: (asker.timer.cancel(), asker.go_on()))
    assert assert_split_invariant(lambda: AsksFirst(1e9), b"hello", after=answer).onward == b"hello"
    with pytest.raises(AssertionError, match="end_stream was lost: .*waiting for an answer"):
        assert_split_invariant(lambda: AsksFirst(1e9), b"hello")


def test_an_end_may_be_kept_if_that_is_meant() -> None:
    class Keeps(NetworkFilter):
        def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
            self.callbacks.inject_read_data_to_filter_chain(data, False)
            if end_stream:
                self.kept = self.callbacks.hold("ever")
            return STOP_ITERATION
    assert assert_split_invariant(Keeps, b"hello", passes_end=False).onward_ends == 0
    with pytest.raises(AssertionError, match="end_stream was lost"):
        assert_split_invariant(Keeps, b"hello")


def test_every_way_is_tried_once_per_place_and_kinds_can_be_left_out() -> None:
    runs: List[int] = []

    def make() -> Any:
        runs.append(0)
        return Lines()
    data = b"0123456789"
    assert_split_invariant(make, data)
    every = len(runs)
    runs.clear()
    assert_split_invariant(make, data, pauses=())
    without_pauses = len(runs)
    # Three kinds (Lines injects, so none leaves bytes behind it): the start, each of the nine cuts, the end. And one run less for
    # each of the nine prefixes, whose bytes and end do not come together any more.
    assert every - without_pauses == 3 * 11 + 9
    runs.clear()
    assert_split_invariant(make, data, pauses=(), prefixes=False, most_cuts=4)
    assert len(runs) == 1 + 1 + 4 + 1 + 8


@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_each_pause_holds_up_what_it_says_and_loses_nothing(pause: str, at: int) -> None:
    found = outcome_of(lambda: [], [b"ab", b"cd"], pause=pause, at=at)
    assert (found.onward, found.onward_ends, found.misuses) == (b"abcd", 1, ())


def test_an_unknown_pause_is_refused() -> None:
    with pytest.raises(ValueError, match="no such pause: 'sometimes'"):
        outcome_of(Lines, [b"a"], pause="sometimes")


def test_what_a_gate_held_back_when_the_filter_closed_had_come_past_the_filter() -> None:
    class Twice(NetworkFilter):
        def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
            if end_stream:
                self.connection.close(NO_FLUSH, "enough")
            return CONTINUE
    for pause in ("", "behind", "behind_leaving"):
        found = outcome_of(Twice, [b"ab", b"cd"], pause=pause, at=1)
        assert (found.onward, found.closed) == (b"abcd", "local policy: enough"), pause
