"""A filter that stops a request and forgets it is found out and reported once; one that waits for something is not."""

from __future__ import annotations

import gc
from typing import Callable, Dict, List, Optional, Tuple

import pytest

from proxy_core.buffer import Buffer
from proxy_core.http.connection_manager.stall import StallWatch, parked
from proxy_core.http.connection_manager.stream import ActiveStream
from proxy_core.http.events import ResponseHead
from proxy_core.http.filter_api import (
    STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK, STOP_AND_BUFFER, STOP_AND_WATERMARK, STOP_ITERATION, STOP_NO_BUFFER,
    FilterStatus,
)
from proxy_core.network.settings import Stall
from tests.unit.http.connection_manager.hcm_kit import get, request
from tests.unit.http.connection_manager.test_hcm_filters import Bench as Filters

POST = request("POST", "/up", "Content-Length: 6")
Script = Dict[str, List[FilterStatus]]


class Bench(Filters):
    """Filters `a` and `b` before the terminal one, and what was reported as a stall."""

    def __init__(self, a: Optional[Script] = None, b: Optional[Script] = None, **settings: int) -> None:
        super().__init__(a, b, **settings)
        self.reports: List[Stall] = []
        self.hcm.connection.settings.on_stall = lambda connection, stall: self.reports.append(stall)

    @property
    def stalls(self) -> List[Tuple[str, str]]:
        return [(one.filter, one.request) for one in self.reports]

    @property
    def parked_by(self) -> str:
        stream = self.hcm.http.stream
        found = parked(stream) if stream is not None else None
        return "" if found is None else f"{found.name} {found.direction}"


def test_a_filter_that_stops_a_complete_request_and_holds_nothing_is_reported_once_after_a_second() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})
    bench.hcm.send(get("/up?x=1"))
    assert bench.parked_by == "a request"
    bench.hcm.advance(0.9)
    assert bench.stalls == []
    bench.hcm.advance(0.2)
    bench.hcm.advance(0.0)
    assert bench.stalls == [("a", "GET /up?x=1")]
    assert (bench.reports[0].since, bench.reports[0].kept) == (bench.hcm.http.stream.info.start_mono, 0)
    bench.hcm.advance(60.0)
    assert len(bench.stalls) == 1


@pytest.mark.parametrize("status", [STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK])
def test_a_filter_that_stopped_everything_is_not_asked_again_so_that_no_body_can_wake_it(status: FilterStatus) -> None:
    bench = Bench(None, {"decode_headers": [status]})
    bench.hcm.send(POST, b"abc")
    for _ in range(3):
        bench.hcm.advance(1.1)
    assert bench.stalls == [("b", "POST /up")] and bench.reports[0].kept == 3


@pytest.mark.parametrize("status", [STOP_AND_BUFFER, STOP_AND_WATERMARK, STOP_NO_BUFFER])
def test_a_filter_that_collects_a_body_waits_for_its_client_and_is_only_reported_when_all_of_it_is_there(
    status: FilterStatus,
) -> None:
    bench = Bench({"decode_data": [status] * 2})
    bench.hcm.send(POST, b"abc")
    for _ in range(20):
        bench.hcm.advance(1.0)
    assert bench.stalls == [] and bench.parked_by == "a request"
    bench.hcm.send(b"def")
    for _ in range(3):
        bench.hcm.advance(1.0)
    assert bench.stalls == [("a", "POST /up")]


def test_a_body_over_the_limit_that_pauses_the_client_can_not_wake_a_filter_either() -> None:
    bench = Bench({"decode_data": [STOP_AND_WATERMARK] * 9}, buffer_limit=1000)
    bench.hcm.send(request("POST", "/up", "Content-Length: 5000"), b"x" * 1500)
    assert bench.hcm.connection.pauses
    for _ in range(3):
        bench.hcm.advance(1.1)
    assert bench.stalls == [("a", "POST /up")]


def test_a_filter_that_holds_or_has_scheduled_something_is_no_stall_until_that_is_over() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})
    holds: List[Callable[[], None]] = []
    bench.a.act["decode_headers"] = lambda: holds.append(bench.a.decoder.hold("an answer").release)
    bench.hcm.send(get("/up"))
    bench.a.decoder.schedule(20.0, lambda: None, "a pause")
    for _ in range(10):
        bench.hcm.advance(1.0)
    holds[0]()
    for _ in range(5):
        bench.hcm.advance(1.0)
    assert bench.stalls == []
    for _ in range(8):
        bench.hcm.advance(1.0)
    assert bench.stalls == [("a", "GET /up")]


def test_a_filter_that_continues_in_time_is_not_reported() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})
    bench.hcm.send(get("/up"))
    bench.hcm.advance(0.5)
    bench.a.decoder.continue_decoding()
    for _ in range(5):
        bench.hcm.advance(1.0)
    assert bench.stalls == [] and bench.parked_by == "" and bench.of("b") != []
    bench.hcm.last.answer(200)
    assert bench.hcm.got().startswith(b"HTTP/1.1 200")


def test_a_filter_may_be_reported_again_when_it_forgets_again() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION], "encode_headers": [STOP_ITERATION]})
    bench.hcm.send(get("/up"))
    for _ in range(3):
        bench.hcm.advance(1.0)
    bench.a.decoder.continue_decoding()
    assert bench.hcm.http.stream.stall_watch.stalled is False
    bench.hcm.last.answer(200)
    assert bench.parked_by == "a response"
    for _ in range(3):
        bench.hcm.advance(1.0)
    assert bench.stalls == [("a", "GET /up")] * 2


def test_a_response_that_a_filter_keeps_whole_is_reported_but_not_one_of_which_more_may_come() -> None:
    bench = Bench({"encode_data": [STOP_AND_BUFFER] * 2})
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200, b"abc", end=False)
    for _ in range(5):
        bench.hcm.advance(1.0)
    assert bench.stalls == [] and bench.parked_by == "a response"
    bench.hcm.last.decoder.encode_data(Buffer(b"def"), True)
    for _ in range(3):
        bench.hcm.advance(1.0)
    assert bench.stalls == [("a", "GET /up")] and bench.reports[0].kept == 6


def test_a_filter_that_answers_itself_a_little_later_need_not_let_the_request_go_on() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})
    bench.hcm.send(get("/up"))
    bench.a.decoder.encode_headers(ResponseHead(200), False, "by_a")
    for _ in range(5):
        bench.hcm.advance(1.0)
    assert bench.stalls == [] and bench.parked_by == ""


def test_a_filter_that_passes_on_by_injecting_is_no_stall_once_the_end_is_passed_on() -> None:
    bench = Bench({"decode_data": [STOP_NO_BUFFER]})
    bench.a.act["decode_data"] = lambda: bench.a.decoder.inject_decoded_data(Buffer(b"ABCDEF"), True)
    bench.hcm.send(POST, b"abcdef")
    assert bench.hcm.last.body == b"ABCDEF" and bench.parked_by == ""
    for _ in range(3):
        bench.hcm.advance(1.0)
    assert bench.stalls == []


def living_streams() -> int:
    return sum(type(one) is ActiveStream for one in gc.get_objects())


def test_a_stream_that_is_watched_is_freed_at_once_when_its_client_goes_away() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})
    gc.collect()
    gc.disable()
    try:
        before = living_streams()
        bench.hcm.send(get("/up"))
        assert living_streams() == before + 1
        assert [type(one) for one in bench.hcm.reactor.unsettled].count(StallWatch) == 1
        bench.hcm.rig.peer.reset()
        bench.hcm.rig.turn(3)
        for one in (bench.a, bench.b):  # the test's own references
            del one.decoder, one.encoder
        bench.hcm.streams.clear()
        assert [type(one) for one in bench.hcm.reactor.unsettled].count(StallWatch) == 0
        assert living_streams() == before, "not left to the garbage collector"
    finally:
        gc.enable()
    bench.hcm.advance(5.0)
    assert bench.stalls == []


def test_an_ordinary_request_is_never_looked_at() -> None:
    bench = Bench()
    bench.hcm.send(POST, b"abcdef")
    assert bench.hcm.http.stream.stall_watch is None
