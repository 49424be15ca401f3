"""Bytes on their way through toxics: however they are cut, whatever changes meanwhile, and how much of them may wait."""

from __future__ import annotations

import random
from typing import Any, Dict, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.extensions.network.fault.filter import FaultFilter
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import FLUSH_WRITE, NO_FLUSH
from proxy_core.testing import Outcome, RecordingFilter, assert_split_invariant
from proxy_core.testing.outcome import IN_FRONT, READING
from tests.unit.extensions.network.fault.fault_kit import DOWN, UP, Faulty, Json, faulty, point, toxic

both_ways = pytest.mark.parametrize("stream", [UP, DOWN])
DATA = bytes(range(40))
GENTLE: Dict[str, Json] = {  # toxics that let everything through in the end
    "latency": {"latency": 100, "jitter": 100},
    "bandwidth": {"rate": 1},
    "slow_close": {"delay": 300},
    "slicer": {"average_size": 3, "size_variation": 2, "delay": 50},
}


# -- however it is cut -----------------------------------------------------------------------------------------

@both_ways
@pytest.mark.parametrize("type", [*GENTLE, "none", "all"])
def test_what_comes_out_does_not_depend_on_how_it_came(stream: str, type: str) -> None:
    types = GENTLE if type == "all" else [type] if type in GENTLE else []
    toxics = [toxic(one, stream, **GENTLE[one]) for one in types]
    outcome = assert_split_invariant(
        lambda: FaultFilter(point(*toxics)), DATA[:16], side="read" if stream == UP else "write", most_cuts=8,
    )
    assert (outcome.onward if stream == UP else outcome.sent) == DATA[:16]


@both_ways
@pytest.mark.parametrize("half_close", [True, False], ids=["half-close", "plain"])
@pytest.mark.parametrize("limit", [0, 1, 7, 15])
def test_limit_data_lets_the_same_bytes_through_however_they_come(stream: str, half_close: bool, limit: int) -> None:
    def seen(outcome: Outcome) -> Any:
        return outcome.onward, outcome.sent
    outcome = assert_split_invariant(
        lambda: FaultFilter(point(toxic("limit_data", stream, bytes=limit))), DATA[:16], most_cuts=8, key=seen,
        side="read" if stream == UP else "write", prefixes=False, half_close=half_close,
        pauses=(IN_FRONT, READING),  # what a filter behind keeps is cut off by a close
    )
    assert (outcome.onward if stream == UP else outcome.sent) == DATA[:limit]


def test_filters_behind_that_do_not_understand_half_close_get_all_the_bytes_before_the_close() -> None:
    outcome = assert_split_invariant(
        lambda: FaultFilter(point(toxic("latency", UP, latency=100))), DATA[:16], most_cuts=8, half_close=False,
    )
    assert outcome.onward == DATA[:16] and outcome.closed and not outcome.onward_ends


# -- ends and closes -------------------------------------------------------------------------------------------

def test_the_answer_to_an_early_end_is_not_cut_off_when_both_directions_are_slow() -> None:
    """The client ends first; what it sent is still on its way when the server has said everything."""
    with faulty(toxic("latency", UP, latency=500), toxic("latency", DOWN, latency=100)) as harness:
        harness.feed(b"question", end_stream=True)
        harness.write(b"banner", end_stream=True)
        harness.advance(0.2)
        assert harness.sent == b"banner" and not harness.sent_end and not harness.closed
        harness.advance(0.4)
        assert harness.onward == b"question" and harness.onward_ends == 1
        assert harness.sent_end and harness.closed


def test_bytes_of_a_client_that_ends_last_are_passed_on_before_the_connection_closes() -> None:
    with faulty(toxic("latency", UP, latency=500)) as harness:
        harness.write(b"banner", end_stream=True)
        assert harness.sent_end
        harness.feed(b"question", end_stream=True)
        assert not harness.closed
        harness.advance(0.6)
        assert harness.onward == b"question" and harness.onward_ends == 1 and harness.closed


def test_a_close_that_flushes_waits_for_what_is_delayed() -> None:
    with faulty(toxic("latency", DOWN, latency=500)) as harness:
        harness.write(b"last words")
        harness.close(FLUSH_WRITE)
        assert not harness.closed
        harness.advance(0.6)
        assert harness.sent == b"last words" and harness.closed


@both_ways
@pytest.mark.parametrize("way", ["local", "reset", "exception behind"])
def test_a_connection_that_ends_while_bytes_wait_leaves_no_timer_behind(stream: str, way: str) -> None:
    toxics = [toxic(one, stream, **GENTLE[one]) for one in GENTLE]
    harness = faulty(*toxics, raise_errors=False)
    harness.move(stream, DATA)
    harness.advance(0.01)
    if way == "local":
        harness.close(NO_FLUSH)
    elif way == "reset":
        harness.reset()
    else:
        harness.act(lambda: harness.connection.on_failure(ValueError("of a filter")))
    assert harness.closed and len(harness.reactor.timers) == 0
    assert harness.faults.to_json()["connections"] == 0
    harness.check()


def test_a_filter_behind_that_closes_in_the_middle_of_an_injection_ends_everything_cleanly() -> None:
    closer = RecordingFilter("closer")
    closer.on_data_do = lambda data, end: closer.callbacks.connection.close(NO_FLUSH)
    harness = faulty(toxic("slicer", UP, average_size=1, delay=1000), toxic("latency", UP, latency=5), behind=[closer])
    harness.feed(DATA)
    harness.advance(1.0)
    assert harness.closed and len(harness.reactor.timers) == 0 and harness.errors == []


class Halting(NetworkFilter):
    """Writes in pieces, a tenth of a second apart, and has a flushing close wait for the last."""

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.kept = data.take()
        self.held = self.write_callbacks.hold("the next piece")
        self.connection.reactor.after(0.1, self.next_piece, self.connection)
        return STOP_ITERATION

    def next_piece(self) -> None:
        self.write_callbacks.inject_write_data_to_filter_chain(Buffer(self.kept[:4]), False)
        self.kept = self.kept[4:]
        if self.kept:
            self.connection.reactor.after(0.1, self.next_piece, self.connection)
        else:
            self.held.release()


def test_nothing_comes_behind_the_close_of_a_toxic_not_even_what_a_filter_still_held() -> None:
    with faulty(toxic("limit_data", DOWN, bytes=6), behind=[Halting()]) as harness:
        harness.write(b"0123456789")
        harness.advance(1.0)
        assert harness.sent == b"012345"
        harness.assert_closed("fault_limit_data")


# -- how much may wait -----------------------------------------------------------------------------------------

def test_no_more_than_the_buffer_limit_and_one_read_waits_from_a_client_and_the_pause_has_a_name() -> None:
    with faulty(toxic("bandwidth", UP, rate=100), buffer_limit=10_000) as harness:
        for _ in range(40):
            harness.peer.send(bytes(5000))
        harness.settle()
        assert harness.paused_by == ("fault: its toxics hold enough",)
        assert harness.connection.bytes_read == 15_000
        held = []
        while len(harness.onward) < 200_000:
            assert harness.advance_to_next_timer(30.0)
            held.append(harness.connection.bytes_read - len(harness.onward))
        assert max(held) <= 20_000
        assert harness.paused_by == () and harness.now == pytest.approx(2.0)


def test_bytes_that_wait_for_a_client_stop_their_producer_and_let_it_go_on_at_half() -> None:
    with faulty(toxic("bandwidth", DOWN, rate=100), buffer_limit=10_000) as harness:
        harness.write(bytes(10_000))
        assert harness.watermarks == []
        harness.write(bytes(10_000))
        assert harness.watermarks == ["high"]
        harness.advance(0.101)
        assert harness.watermarks == ["high"]
        harness.advance(0.1)
        assert harness.watermarks == ["high", "low"] and len(harness.sent) == 20_000


def test_a_client_that_does_not_read_has_one_full_queue_and_its_producer_is_told_once() -> None:
    with faulty(toxic("latency", DOWN, latency=10), buffer_limit=10_000) as harness:
        harness.block()
        harness.write(bytes(25_000))
        harness.advance(1.0)
        assert harness.watermarks == ["high"] and harness.connection.write_buffer.size == 10_000
        harness.unblock()
        harness.advance(1.0)
        assert len(harness.sent) == 25_000 and harness.watermarks == ["high", "low"]


def test_a_stopped_producer_is_let_go_when_the_connection_is_over() -> None:
    with faulty(toxic("latency", DOWN, latency=10), buffer_limit=1000) as harness:
        harness.write(bytes(5000))
        harness.reset()
        assert harness.watermarks == ["high", "low"]


def test_many_small_reads_are_bounded_by_their_number() -> None:
    """A read of one byte costs a hundred times that in memory."""
    with faulty(toxic("latency", UP, latency=60_000)) as harness:
        for _ in range(3000):
            harness.peer.send(b"x")
        harness.settle()
        assert harness.connection.bytes_read == 1025
        harness.advance(181.0)
        assert len(harness.onward) == 3000


def test_somebody_behind_who_pauses_reading_gets_nothing_until_he_resumes() -> None:
    with faulty(toxic("latency", UP, latency=100)) as harness:
        harness.feed(DATA)
        harness.pause("upstream write buffer over its limit")
        harness.advance(5.0)
        assert harness.onward == b""
        harness.resume("upstream write buffer over its limit")
        harness.advance(0.1)
        assert harness.onward == DATA


def test_a_chain_that_waits_for_a_toxic_is_not_a_stall_and_says_what_it_waits_for() -> None:
    with faulty(toxic("latency", UP, latency=100)) as harness:
        harness.feed(DATA, end_stream=True)
        assert harness.parked_by == "FaultFilter" and harness.waits == ["toxics of the fault filter"]
        harness.advance(0.2)
        assert harness.waits == [] and harness.stalls == []


class Framed(NetworkFilter):
    """Waits for frames of ten bytes, and leaves what is less where it is."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE if data.size >= 10 or end_stream else STOP_ITERATION


class Asking(NetworkFilter):
    """Stops once and goes on by itself, having left the bytes where they are."""

    asked = False

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if not self.asked:
            self.asked = True
            self.callbacks.schedule(0.33, self.callbacks.continue_reading, "an answer")
            return STOP_ITERATION
        return CONTINUE


@pytest.mark.parametrize("behind", [Framed, Asking])
def test_a_filter_behind_that_leaves_bytes_is_shown_them_again_and_they_reach_the_end(behind: Any) -> None:
    for pieces in ([DATA], [DATA[:3], DATA[3:]], [DATA[index:index + 1] for index in range(len(DATA))]):
        with faulty(toxic("latency", UP, latency=100), behind=[behind()]) as harness:
            for piece in pieces:
                harness.feed(piece)
            harness.end()
            harness.advance(2.0)
            assert harness.onward == DATA and harness.onward_ends == 1


class Hasty(NetworkFilter):
    """Answers and ends before it drains what it answers to."""

    terminal = True

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if data.size:
            self.connection.write(Buffer(bytes(data)), True)
            data.clear()
        return STOP_ITERATION


def test_a_filter_behind_that_ends_before_it_drains_is_shown_its_bytes_once() -> None:
    with faulty(toxic("latency", UP, latency=100), behind=[Hasty()]) as harness:
        harness.feed(b"question")
        harness.advance(0.2)
        assert harness.sent == b"question" and harness.sent_end
        assert harness.statuses("Hasty") == [STOP_ITERATION]


# -- changes while bytes wait ----------------------------------------------------------------------------------

@both_ways
def test_a_toxic_that_is_removed_lets_go_everything_in_order_with_its_end(stream: str) -> None:
    for type in GENTLE:
        with faulty(toxic(type, stream, name="t", **GENTLE[type])) as harness:
            harness.move(stream, DATA[:20])
            harness.advance(0.001)
            harness.move(stream, DATA[20:], end_stream=True)
            harness.change({"remove": ["t"]})
            assert harness.moved(stream) == DATA and harness.ended(stream), type
            assert len(harness.reactor.timers) <= 1  # the bound of a half-closed connection


@both_ways
def test_toxics_that_are_removed_together_let_go_first_what_was_farther_on(stream: str) -> None:
    slow, slower = toxic("latency", stream, "a", latency=100), toxic("latency", stream, "b", latency=1000)
    with faulty(slow, slower) as harness:
        harness.move(stream, b"first,")
        harness.advance(0.15)
        harness.move(stream, b"second", end_stream=True)
        harness.change({"remove": ["a", "b"]})
        assert harness.moved(stream) == b"first,second" and harness.ended(stream)


def test_a_toxic_that_is_added_takes_hold_of_what_still_waits_and_of_what_comes() -> None:
    with faulty(toxic("latency", UP, latency=100)) as harness:
        harness.feed(b"early")
        harness.change({"add": [toxic("latency", UP, name="more", latency=1000)]})
        harness.feed(b"late")
        harness.advance(1.05)
        assert harness.onward == b""
        harness.advance(0.1)
        assert harness.onward == b"earlylate"


def test_a_new_latency_counts_from_the_arrival_of_what_waits() -> None:
    with faulty(toxic("latency", UP, latency=1000)) as harness:
        harness.feed(b"data")
        harness.advance(0.3)
        harness.change({"update": [{"name": "latency_upstream", "attributes": {"latency": 400}}]})
        harness.advance(0.099)
        assert harness.onward == b""
        harness.advance(0.002)
        assert harness.onward == b"data"


def test_an_update_leaves_connections_out_that_were_out_and_takes_in_those_whose_draw_is_below() -> None:
    faults = point(toxic("latency", UP, toxicity=0.5, latency=1000), seed=4)
    harnesses = [Faulty(faults) for _ in range(40)]

    def delayed() -> List[bool]:
        before = [len(one.onward) for one in harnesses]
        for one in harnesses:
            one.feed(b"x")
        return [len(one.onward) == size for one, size in zip(harnesses, before)]
    first = delayed()
    assert 5 < sum(first) < 35
    faults.prepare([("", {"update": [{"name": "latency_upstream", "toxicity": 0.8}]})]).put_in_force()
    second = delayed()
    assert all(now for before, now in zip(first, second) if before) and sum(second) > sum(first)
    faults.prepare([("", {"update": [{"name": "latency_upstream", "toxicity": 0}]})]).put_in_force()
    assert not any(delayed())


def test_a_connection_without_toxics_is_not_in_the_way_of_its_bytes() -> None:
    with faulty() as harness:
        harness.feed(DATA)
        harness.write(DATA)
        statuses = harness.statuses("FaultFilter") + harness.statuses("FaultFilter", "on_write")
        assert statuses == [CONTINUE, CONTINUE]


@pytest.mark.parametrize("seed", range(25))
def test_whatever_changes_in_any_order_nothing_is_lost_or_overtaken(seed: int) -> None:
    """Seeded: bytes both ways in pieces of any size, toxics that come, change and go, time, a client that stops reading."""
    rng = random.Random(seed)
    harness = faulty(seed=seed, buffer_limit=rng.choice((500, 20_000)))
    data = {stream: bytes(rng.randrange(256) for _ in range(4000)) for stream in (UP, DOWN)}
    sent = {UP: 0, DOWN: 0}
    while min(sent.values()) < 4000 or harness.faults.toxics:
        step = rng.random()
        stream = rng.choice((UP, DOWN))
        if step < 0.4:
            size = rng.choice((1, 30, 700))
            end = sent[stream] < 4000 <= sent[stream] + size and rng.random() < 0.7
            piece = data[stream][sent[stream]:sent[stream] + size]
            if piece:
                harness.move(stream, piece, end_stream=end)
            sent[stream] += size
        elif step < 0.6:
            harness.advance(rng.choice((0.001, 0.05, 0.3)))
        elif step < 0.7:
            rng.choice((harness.block, harness.unblock))()
        else:
            harness.change(random_change(rng, harness.faults.to_json()["toxics"], stream))
    harness.unblock()
    harness.change({"reset": True})
    harness.advance(5.0)
    assert harness.onward == data[UP] and harness.sent == data[DOWN]
    assert harness.paused_by == () and harness.watermarks.count("high") == harness.watermarks.count("low")
    assert harness.errors == [] and harness.stalls == [] and harness.misuses == []


def random_change(rng: random.Random, toxics: List[Json], stream: str) -> Json:
    """Something that can be done to these toxics; more often than not it removes one."""
    types = {one["name"]: one["type"] for one in toxics}
    if types and rng.random() < 0.6:
        name = rng.choice(sorted(types))
        if rng.random() < 0.4:
            return {"update": [{"name": name, "toxicity": rng.random(), "attributes": GENTLE[types[name]]}]}
        return {"remove": [name]}
    type = rng.choice(sorted(GENTLE))
    name = f"{type}_{stream}"
    if name in types:
        return {"remove": [name]}
    values = {key: rng.randrange(1, value + 1) for key, value in GENTLE[type].items()}
    if type == "slicer":
        values["size_variation"] = values["average_size"] - 1
    return {"add": [toxic(type, stream, name, rng.choice((0.5, 1.0)), **values)]}
