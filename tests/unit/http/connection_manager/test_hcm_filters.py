"""HTTP filters in the connection manager: what each status does, both ways, with the limits on what is kept."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from proxy_core.buffer import Buffer
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.filter_api import (
    CONTINUE, CONTINUE_AND_DONT_END_STREAM, STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK, STOP_AND_BUFFER, STOP_AND_WATERMARK,
    STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFilter,
)
from proxy_core.http.headers import Headers
from tests.unit.http.connection_manager.hcm_kit import Hcm, empty, get, local, request

POST = request("POST", "/up", "Content-Length: 6")
LIMIT = 1000


class Told(HttpFilter):
    """Answers what `script` says for a hook (by default CONTINUE), once for each call, and records what it was told."""

    def __init__(self, script: Dict[str, List[FilterStatus]], log: List[Tuple[Any, ...]], name: str) -> None:
        self.script = {hook: list(statuses) for hook, statuses in script.items()}
        self.log = log
        self.name = name
        self.act: Dict[str, Callable[[], None]] = {}

    def _answer(self, hook: str, *what: Any) -> FilterStatus:
        self.log.append((self.name, hook, *what))
        if hook in self.act:
            self.act[hook]()
        statuses = self.script.get(hook)
        return statuses.pop(0) if statuses else CONTINUE

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        return self._answer("decode_headers", end_stream)

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return self._answer("decode_data", bytes(data), end_stream)

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        return self._answer("decode_trailers")

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        return self._answer("encode_headers", head.status, end_stream)

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return self._answer("encode_data", bytes(data), end_stream)

    def encode_trailers(self, trailers: Headers) -> FilterStatus:
        return self._answer("encode_trailers")

    def on_local_reply(self, status: int, details: str) -> None:
        self.log.append((self.name, "local reply", status, details))

    def on_destroy(self) -> None:
        self.log.append((self.name, "destroy"))


class Bench:
    """A manager with the filters `a` and `b` in front of the terminal one."""

    def __init__(self, a: Optional[Dict[str, List[FilterStatus]]] = None, b: Optional[Dict[str, List[FilterStatus]]] = None,
                 config: Optional[Dict[str, Any]] = None, **settings: Any) -> None:
        self.log: List[Tuple[Any, ...]] = []
        self.a = Told(a or {}, self.log, "a")
        self.b = Told(b or {}, self.log, "b")
        self.hcm = Hcm(config, [("a", lambda: self.a), ("b", lambda: self.b)], direct=False, **settings)

    def of(self, name: str) -> List[Tuple[Any, ...]]:
        return [one[1:] for one in self.log if one[0] == name]


def test_requests_go_through_in_order_and_responses_back_in_the_reverse_order() -> None:
    bench = Bench()
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200, b"x", content_length="1")
    assert bench.log == [
        ("a", "decode_headers", True), ("b", "decode_headers", True),
        ("b", "encode_headers", 200, False), ("a", "encode_headers", 200, False),
        ("b", "encode_data", b"x", True), ("a", "encode_data", b"x", True),
        ("a", "destroy"), ("b", "destroy"),
    ]


def test_a_filter_that_stops_headers_still_gets_data_and_goes_on_with_what_was_kept_by_answering_continue() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION], "decode_data": [STOP_AND_BUFFER, CONTINUE]})
    bench.hcm.send(POST + b"abc")
    assert bench.of("b") == []
    bench.hcm.send(b"def")
    assert bench.of("b") == [("decode_headers", False), ("decode_data", b"abcdef", True)]
    assert bench.hcm.last.body == b"abcdef" and bench.hcm.last.ended


def test_continue_decoding_hands_on_headers_and_what_was_kept() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION], "decode_data": [STOP_AND_BUFFER]})
    bench.hcm.send(POST + b"abcdef")
    bench.a.decoder.continue_decoding()
    assert bench.of("b") == [("decode_headers", False), ("decode_data", b"abcdef", True)]


def test_continue_decoding_of_a_request_without_body_ends_it_with_its_headers() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})
    bench.hcm.send(get("/up"))
    bench.a.decoder.continue_decoding()
    assert bench.of("b") == [("decode_headers", True)]


@pytest.mark.parametrize("status", [STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK])
def test_a_filter_that_stops_all_sees_the_body_only_after_it_continues(status: FilterStatus) -> None:
    bench = Bench({"decode_headers": [status]})
    bench.hcm.send(POST + b"abc", b"def")
    assert bench.of("a") == [("decode_headers", False)] and bench.of("b") == []
    bench.a.decoder.continue_decoding()
    assert bench.of("a")[1:] == [("decode_data", b"abcdef", True)]
    assert bench.of("b") == [("decode_headers", False), ("decode_data", b"abcdef", True)]


def test_a_filter_that_takes_the_bytes_and_continues_ends_the_message_with_nothing() -> None:
    bench = Bench({"decode_data": [STOP_NO_BUFFER]})
    bench.hcm.send(request("POST", "/up", "Content-Length: 1") + b"x")
    bench.a.decoder.continue_decoding()
    assert bench.of("b") == [("decode_headers", False), ("decode_data", b"", True)]


def test_a_filter_may_add_a_body_to_a_request_without_one() -> None:
    bench = Bench()
    bench.a.act["decode_headers"] = lambda: bench.a.decoder.add_decoded_data(Buffer(b"added"), False)
    bench.hcm.send(request("POST", "/up"))
    assert bench.of("b") == [("decode_headers", False), ("decode_data", b"added", True)]


def test_continue_and_dont_end_stream_leaves_the_end_to_the_filter() -> None:
    bench = Bench({"decode_headers": [CONTINUE_AND_DONT_END_STREAM]})
    bench.hcm.send(request("POST", "/up"))
    assert bench.of("b") == [("decode_headers", False)]
    bench.a.decoder.inject_decoded_data(Buffer(b"late"), True)
    assert bench.of("b")[1:] == [("decode_data", b"late", True)]


def test_injected_data_pass_the_headers_on_first() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION], "decode_data": [STOP_NO_BUFFER]})
    bench.hcm.send(POST + b"abcdef")
    bench.a.decoder.inject_decoded_data(Buffer(b"ABC"), False)
    bench.a.decoder.inject_decoded_data(Buffer(b"DEF"), True)
    assert bench.of("b") == [("decode_headers", False), ("decode_data", b"ABC", False), ("decode_data", b"DEF", True)]


def test_trailers_wait_for_the_filter_that_stopped_and_data_added_by_it_come_before_them() -> None:
    config = {"http_protocol_options": {"enable_trailers": True}}
    bench = Bench({"decode_trailers": [STOP_ITERATION]}, config=config)
    bench.a.act["decode_trailers"] = lambda: bench.a.decoder.add_decoded_data(Buffer(b"+"), False)
    bench.hcm.send(request("POST", "/up", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\nt: 1\r\n\r\n")
    assert bench.of("b") == [("decode_headers", False), ("decode_data", b"x", False), ("decode_data", b"+", False)]
    bench.a.decoder.continue_decoding()
    assert bench.of("b")[3:] == [("decode_trailers",)] and bench.hcm.last.ended


@pytest.mark.parametrize("status", [STOP_ALL_AND_BUFFER, STOP_ITERATION])
def test_a_body_that_is_kept_over_the_limit_is_413(status: FilterStatus) -> None:
    bench = Bench({"decode_headers": [status], "decode_data": [STOP_AND_BUFFER] * 9}, buffer_limit=LIMIT)
    head = request("POST", "/up", "Content-Length: 5000")
    assert bench.hcm.send(head, b"x" * LIMIT) == b""
    answer = bench.hcm.send(b"y")
    assert answer == local("413 Payload Too Large", "Payload Too Large", "connection: close")
    assert bench.hcm.stat("downstream_rq_too_large") == 1
    assert ("a", "local reply", 413, "request_payload_too_large") in bench.log
    assert "413 - request_payload_too_large" in bench.hcm.lines[0]


@pytest.mark.parametrize("script", [
    {"decode_headers": [STOP_ALL_AND_WATERMARK]}, {"decode_data": [STOP_AND_WATERMARK] * 9},
])
def test_a_body_that_streams_over_the_limit_pauses_the_client_instead(script: Dict[str, List[FilterStatus]]) -> None:
    bench = Bench(script, buffer_limit=LIMIT)
    bench.hcm.send(request("POST", "/up", "Content-Length: 5000"), b"x" * 600, b"x" * 600)
    assert bench.hcm.connection.pauses != ()
    bench.a.decoder.continue_decoding()
    assert bench.hcm.connection.pauses == () and bench.hcm.last.body == b"x" * 1200
    assert bench.hcm.stat("downstream_flow_control_paused_reading_total") == 1
    assert bench.hcm.stat("downstream_flow_control_resumed_reading_total") == 1


def test_the_limit_can_be_raised_by_a_filter() -> None:
    bench = Bench({"decode_data": [STOP_AND_BUFFER] * 9}, buffer_limit=LIMIT)
    bench.a.act["decode_headers"] = lambda: bench.a.decoder.set_decoder_buffer_limit(2 * LIMIT)
    assert bench.hcm.send(request("POST", "/up", "Content-Length: 5000"), b"x" * 900, b"x" * 900) == b""
    assert b"413" in bench.hcm.send(b"y" * 201)


def test_an_answer_from_inside_a_hook_waits_until_the_hook_has_returned() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})

    def answer() -> None:
        bench.a.decoder.send_local_reply(403, b"no", "some details")
        bench.a.decoder.send_local_reply(500, b"never", "second")
        assert ("a", "destroy") not in bench.log

    bench.a.act["decode_headers"] = answer
    assert bench.hcm.send(get("/up")) == local("403 Forbidden", "no")
    assert bench.log == [
        ("a", "decode_headers", True), ("a", "local reply", 403, "some details"), ("b", "local reply", 403, "some details"),
        ("b", "encode_headers", 403, False), ("a", "encode_headers", 403, False),
        ("b", "encode_data", b"no", True), ("a", "encode_data", b"no", True), ("a", "destroy"), ("b", "destroy"),
    ]
    assert bench.hcm.lines[0].startswith("GET /up 403 - some_details")


def test_an_answer_while_the_body_is_still_coming_closes_the_connection() -> None:
    bench = Bench({"decode_headers": [STOP_ALL_AND_BUFFER]})
    bench.hcm.send(POST + b"abc")
    bench.a.decoder.send_local_reply(401, b"", "denied")
    assert bench.hcm.got() == empty("401 Unauthorized", "connection: close")
    assert bench.hcm.stat("downstream_rq_response_before_rq_complete") == 1
    bench.hcm.send(b"def")
    assert not bench.hcm.connection.is_open


@pytest.mark.parametrize("keeps", [False, True])
def test_a_400_of_a_filter_ends_the_connection_unless_the_configuration_keeps_it(keeps: bool) -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]}, config={"stream_error_on_invalid_http_message": keeps})
    bench.hcm.send(get("/up"))
    bench.a.decoder.send_local_reply(400, b"", "bad")
    assert (b"connection: close" in bench.hcm.got()) is not keeps and bench.hcm.connection.is_open is keeps


def test_headers_of_a_local_reply_come_before_those_that_are_added_here() -> None:
    bench = Bench()
    bench.hcm.send(get("/up"))
    bench.a.decoder.send_local_reply(429, b"slow", "", lambda headers: headers.set("x-why", "1"))
    lines = bench.hcm.got().split(b"\r\n")
    assert [line.partition(b":")[0] for line in lines[1:6]] == [b"x-why", b"content-length", b"content-type", b"date", b"server"]


def test_a_response_that_is_kept_over_the_limit_is_replaced_by_a_500() -> None:
    bench = Bench({"encode_headers": [STOP_ITERATION], "encode_data": [STOP_AND_BUFFER] * 9}, buffer_limit=LIMIT)
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200, b"x" * (LIMIT + 1), end=False)
    assert bench.hcm.got() == local("500 Internal Server Error", "Internal Server Error")
    assert bench.hcm.stat("rs_too_large") == 1 and "500 - response_payload_too_large" in bench.hcm.lines[0]


def test_a_response_that_is_kept_over_the_limit_after_its_head_was_sent_is_broken_off() -> None:
    bench = Bench({"encode_data": [STOP_AND_BUFFER] * 9}, buffer_limit=LIMIT)
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200, b"x" * (LIMIT + 1), end=False)
    assert bench.hcm.got().startswith(b"HTTP/1.1 200 OK") and not bench.hcm.connection.is_open
    assert bench.hcm.stat("downstream_rq_tx_reset") == 1


def test_a_response_that_streams_over_the_limit_tells_its_producer_to_wait() -> None:
    bench = Bench({"encode_data": [STOP_AND_WATERMARK]}, buffer_limit=LIMIT)
    bench.hcm.send(get("/up"))
    upstream = bench.hcm.last
    upstream.decoder.add_downstream_watermark_callbacks(upstream)
    upstream.answer(200, b"x" * (LIMIT + 1), end=False)
    assert upstream.pressure == ["high"]
    bench.a.encoder.continue_encoding()
    assert upstream.pressure[:3] == ["high", "high", "low"]  # the second one is the connection's own
    assert b"x" * LIMIT in bench.hcm.got() and upstream.pressure.count("low") == 2


def test_a_parked_response_goes_on_with_continue_encoding() -> None:
    bench = Bench({"encode_headers": [STOP_ALL_AND_BUFFER]})
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200, b"body", content_length="4")
    assert bench.hcm.got() == b"" and bench.of("a")[1:] == [("encode_headers", 200, False)]
    bench.a.encoder.continue_encoding()
    assert bench.hcm.got().endswith(b"body") and bench.of("a")[2:] == [("encode_data", b"body", True), ("destroy",)]


def test_a_filter_may_add_a_body_to_a_response_without_one() -> None:
    bench = Bench()
    bench.a.act["encode_headers"] = lambda: bench.a.encoder.add_encoded_data(Buffer(b"added"), False)
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200)
    assert bench.hcm.got().endswith(b"transfer-encoding: chunked\r\n\r\n5\r\nadded\r\n0\r\n\r\n")


def test_response_trailers_are_sent_where_they_are_enabled() -> None:
    bench = Bench(config={"http_protocol_options": {"enable_trailers": True}})
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200, b"x", end=False)
    bench.hcm.last.decoder.encode_trailers(Headers([("x-sum", "1")]))
    assert bench.hcm.got().endswith(b"1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n")


def test_what_a_filter_scheduled_is_not_called_once_the_stream_is_over() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION, STOP_ITERATION]})
    calls: List[str] = []
    bench.hcm.send(get("/up"))
    bench.a.decoder.schedule(1.0, lambda: calls.append("early"), "a pause")
    bench.a.decoder.schedule(5.0, lambda: calls.append("late"), "another")
    hold = bench.a.decoder.hold("an answer")
    assert [one.reason for one in bench.hcm.http.streams()[0].holds] == ["a: a pause", "a: another", "a: an answer"]
    bench.hcm.advance(1.0)
    hold.release()
    hold.release()
    assert calls == ["early"]
    bench.a.decoder.send_local_reply(503, b"", "gone")
    bench.hcm.advance(10.0)
    bench.a.decoder.schedule(1.0, lambda: calls.append("after"), "no more")
    bench.hcm.advance(10.0)
    assert calls == ["early"]


def test_callbacks_of_a_stream_that_is_over_do_nothing() -> None:
    bench = Bench()
    bench.hcm.send(get("/up"))
    upstream, decoder, encoder = bench.hcm.last, bench.a.decoder, bench.a.encoder
    upstream.answer(204)
    bench.hcm.got()
    upstream.answer(200, b"again", content_length="5")
    decoder.continue_decoding()
    decoder.send_local_reply(500, b"", "late")
    decoder.reset_stream("late")
    decoder.pause_sender("late")
    decoder.inject_decoded_data(Buffer(b"x"), True)
    encoder.continue_encoding()
    encoder.inject_encoded_data(Buffer(b"x"), True)
    assert not decoder.recreate_stream()
    assert bench.hcm.got() == b"" and bench.hcm.connection.is_open and bench.hcm.connection.pauses == ()


def test_an_exception_in_a_filter_costs_its_connection_only() -> None:
    bench = Bench()

    def fail() -> None:
        raise RuntimeError("a bug")

    bench.a.act["decode_headers"] = fail
    bench.hcm.send(get("/up"))
    assert [str(error) for error in bench.hcm.rig.errors] == ["a bug"] and not bench.hcm.connection.is_open
    assert ("a", "destroy") in bench.log


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\0"])
def test_a_filter_can_not_split_a_response(value: str) -> None:
    bench = Bench()
    bench.hcm.send(get("/up"))
    bench.hcm.last.answer(200, x_bad=value)
    assert bench.hcm.got() == b"" and not bench.hcm.connection.is_open
    assert [str(error) for error in bench.hcm.rig.errors] == ["CR, LF or NUL in a header to be sent"]


def test_clearing_the_route_cache_makes_the_next_look_choose_again() -> None:
    bench = Bench({"decode_headers": [STOP_ITERATION]})
    bench.hcm.send(get("/up"))
    decoder = bench.a.decoder
    first = decoder.route
    assert first is not None and decoder.route is first
    decoder.request.path = "/hi"
    assert decoder.route is first
    decoder.clear_route_cache()
    second = decoder.route
    assert second is not None and second is not first and second.direct_response is not None


def test_a_request_that_is_recreated_goes_through_new_filters_with_its_body() -> None:
    hcm = Hcm(direct=False)
    hcm.send(request("POST", "/up", "Content-Length: 3") + b"abc")
    first = hcm.last
    first.decoder.add_decoded_data(Buffer(first.body), False)
    first.decoder.request.path = "/up/again"
    assert first.decoder.recreate_stream() and first.destroyed
    assert hcm.last is not first and hcm.last.body == b"abc" and hcm.last.decoder.request.path == "/up/again"
    hcm.last.answer(204)
    assert hcm.got().startswith(b"HTTP/1.1 204") and hcm.stat("downstream_rq_active") == 0 and len(hcm.lines) == 2
