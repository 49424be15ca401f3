"""The kit for HTTP filters: what a test can do and see, and that its check finds what it is for."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.http.events import RequestHead
from proxy_core.http.filter_api import (
    CONTINUE, STOP_AND_BUFFER, STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFilter,
)
from proxy_core.testing.http import Answer, HttpHarness, assert_body_split_invariant


class Upper(HttpFilter):
    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.append(data.take().upper())
        return CONTINUE

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        data.append(data.take().upper())
        return CONTINUE


class Whole(HttpFilter):
    """Counts the bytes of a body when all of it is there."""

    def __init__(self) -> None:
        self.size = 0

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        return CONTINUE if end_stream else STOP_ITERATION

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.size += data.size
        if not end_stream:
            return STOP_AND_BUFFER
        self.decoder.request.headers.set("x-size", str(self.size))
        return CONTINUE


class PiecesCounted(HttpFilter):
    """Wrong: takes a piece for a message."""

    pieces = 0

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.pieces += 1
        data.append(str(self.pieces).encode())
        return CONTINUE


class AnswersNonsense(HttpFilter):
    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        return STOP_NO_BUFFER


class Later(HttpFilter):
    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        self.decoder.schedule(3, self.decoder.continue_decoding, "patience")
        return STOP_ITERATION


class Broken(HttpFilter):
    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        raise RuntimeError("broken")


def test_a_whole_request_and_its_response() -> None:
    answer = Answer(201, (("x-a", "1"),), (b"some ", b"body"), (("x-sum", "9"),))
    with HttpHarness([Upper], answer=answer) as harness:
        response = harness.request("PUT", "/p?q", [("x-b", "2")], b"hello", host="h.example")
        head = harness.upstream.head
        assert head is not None and (head.method, head.path, head.authority) == ("PUT", "/p?q", "h.example")
        assert head.headers.get("x-b") == "2" and harness.upstream.body == b"HELLO" and harness.upstream.ends == 1
        assert (response.status, response.body, response.complete) == (201, b"SOME BODY", True)
        assert response.headers.get("x-a") == "1" and response.trailers is not None and response.trailers.get("x-sum") == "9"
        assert harness.details == "via_upstream" and harness.stat("downstream_rq_2xx") == 1


def test_a_request_in_pieces_with_trailers_answered_by_hand() -> None:
    with HttpHarness([Upper], answer=None) as harness:
        harness.open("POST", length=None)
        harness.data(b"a")
        harness.data(b"b")
        assert harness.upstream.pieces == [b"A", b"B"] and harness.upstream.ends == 0
        harness.end([("x-t", "1")])
        assert harness.upstream.trailers is not None and harness.upstream.trailers.get("x-t") == "1"
        harness.act(harness.upstream.respond, 200, (), b"x", False)
        assert harness.response is not None and harness.response.body == b"X" and not harness.response.complete
        harness.act(harness.upstream.send, b"y", True)
        assert harness.response.body == b"XY" and harness.response.complete


def test_calls_are_written_down_with_their_answers() -> None:
    with HttpHarness([Whole]) as harness:
        harness.open("POST", length=6)
        harness.data(b"abc")
        assert not harness.reached_upstream
        harness.data(b"def")
        harness.end()
        assert harness.statuses("decode_headers", "Whole") == [STOP_ITERATION]
        assert [(call.data, call.status) for call in harness.calls if call.hook == "decode_data"][:1] == [(b"abc", STOP_AND_BUFFER)]
        assert harness.statuses("decode_data")[-1] is CONTINUE
        assert harness.upstream.head is not None and harness.upstream.head.headers.get("x-size") == "6"


def test_time_passes_only_when_the_test_says_so() -> None:
    with HttpHarness([Later]) as harness:
        with pytest.raises(AssertionError, match="no response yet.*Later: patience"):
            harness.request()
        assert harness.waits == ["Later: patience"] and harness.now == 0
        harness.advance(3)
        assert harness.response is not None and harness.response.status == 200 and harness.waits == []


def test_what_leaves_a_filter_is_raised_where_the_test_caused_it() -> None:
    harness = HttpHarness([Broken])
    with pytest.raises(RuntimeError, match="broken"):
        harness.request()


def test_an_answer_that_a_hook_must_not_give_fails_the_block() -> None:
    with pytest.raises(AssertionError, match="AnswersNonsense: decode_headers answered"):
        with HttpHarness([AnswersNonsense]) as harness:
            harness.open()


def test_a_client_that_hangs_up_is_seen_by_the_upstream() -> None:
    with HttpHarness([Upper], answer=None) as harness:
        harness.open()
        harness.hang_up()
        assert harness.upstream.cancelled and harness.closed
        assert harness.finished[-1].response_flags == ("DC",)


def test_a_name_without_a_stat_is_an_error() -> None:
    with HttpHarness([]) as harness:
        with pytest.raises(KeyError):
            harness.stat("no.such.stat")
        with pytest.raises(AssertionError, match="no request has begun"):
            harness.upstream.body


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("trailers", [[], [("x-t", "1")]])
def test_the_check_passes_filters_that_do_not_mind(side: str, trailers: List[Any]) -> None:
    outcome = assert_body_split_invariant(lambda: [Upper], b"some text", side=side, trailers=trailers)
    assert (outcome.upstream[3] if side == "request" else outcome.client[2]) == b"SOME TEXT"
    if side == "request" and not trailers:
        assert_body_split_invariant(lambda: [Whole], b"some text")


def test_the_check_finds_a_filter_that_takes_a_piece_for_a_message() -> None:
    with pytest.raises(AssertionError, match="depends on how the body is cut") as caught:
        assert_body_split_invariant(lambda: [PiecesCounted], b"abc")
    assert "upstream" in str(caught.value)
