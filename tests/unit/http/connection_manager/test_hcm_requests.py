"""Requests through the connection manager: answers byte for byte, keep-alive, pipelining, and every way to cut the input."""

from __future__ import annotations

import gc
import weakref
from typing import List

import pytest

from proxy_core.http.headers import Headers
from proxy_core.testing.splits import splits
from tests.unit.http.connection_manager.hcm_kit import DATE, HOST, Hcm, empty, get, local, reply, request

HI = local("200 OK", "hi")
CLOSE = "connection: close"

# Envoy's answers, captured from 1.40 (request, answer, whether the connection goes on, log line without duration).
CAPTURED = [
    (get(), HI, True, "GET /hi 200 - direct_response 0 2"),
    (get("/none"), empty("404 Not Found"), True, "GET /none 404 NR route_not_found 0 0"),
    (
        request("HEAD", "/none"),
        reply("404 Not Found", f"date: {DATE}", "server: envoy", "transfer-encoding: chunked"), True,
        "HEAD /none 404 NR route_not_found 0 0",
    ),
    (
        get("/old"),
        reply("301 Moved Permanently", "location: http://a/new", f"date: {DATE}", "server: envoy", "content-length: 0"), True,
        "GET /old 301 - direct_response 0 0",
    ),
    (
        get("/hi", "Connection: close"), local("200 OK", "hi", CLOSE), False, "GET /hi 200 - direct_response 0 2",
    ),
    (
        b"GET / HTTP/1.1\r\n\r\n", empty("400 Bad Request", CLOSE), False, "GET / 400 - missing_host_header 0 0",
    ),
    (
        b"OPTIONS * HTTP/1.1\r\n" + HOST, empty("404 Not Found"), True, "OPTIONS * 404 - absolute_path_rejected 0 0",
    ),
    (
        get("/hi#x"), empty("400 Bad Request", CLOSE), False, "GET /hi#x 400 - path_normalization_failed 0 0",
    ),
    (
        b"CONNECT a:1 HTTP/1.1\r\n" + HOST, empty("404 Not Found", CLOSE), False, "CONNECT - 404 NR route_not_found 0 0",
    ),
    (
        get("/hi", "Connection: upgrade", "Upgrade: websocket"), empty("403 Forbidden", CLOSE), False,
        "GET /hi 403 - upgrade_failed 0 0",
    ),
    (
        request("QUERY", "/hi"), empty("400 Bad Request", CLOSE), False, "QUERY /hi 400 - query_missing_content_type 0 0",
    ),
    (
        b"NOT A REQUEST LINE AT ALL\r\n\r\n", local("400 Bad Request", "Bad Request", CLOSE), False,
        "- - 400 DPE http1.codec_error 0 11",
    ),
    (
        b"\x16\x03\x01\x02\x00\x01\x00", local("400 Bad Request", "Bad Request", CLOSE), False,
        "- - 400 DPE http1.codec_error 0 11",
    ),
    (
        request("POST", "/hi", "Content-Length: 3", "Transfer-Encoding: chunked"),
        local("400 Bad Request", "Bad Request", CLOSE), False,
        "- - 400 DPE http1.content_length_and_chunked_not_allowed 0 11",
    ),
    (
        request("POST", "/hi", "Transfer-Encoding: gzip"), local("501 Not Implemented", "Not Implemented", CLOSE), False,
        "- - 501 DPE http1.invalid_transfer_encoding 0 15",
    ),
    (
        b"GET /hi HTTP/1.0\r\n" + HOST, local("426 Upgrade Required", "Upgrade Required", CLOSE), False,
        "- - 426 DPE low_version 0 16",
    ),
    (
        get("/hi", *(f"X-{number}: v" for number in range(100))),
        local("431 Request Header Fields Too Large", "Request Header Fields Too Large", CLOSE), False,
        "- - 431 DPE http1.too_many_headers 0 31",
    ),
    (
        request("POST", "/hi", "Content-Length: 3"), local("200 OK", "hi", CLOSE), False,
        "POST /hi 200 - direct_response 0 2",
    ),
]


@pytest.mark.parametrize("sent, answer, goes_on, line", CAPTURED, ids=[str(one[3]) for one in CAPTURED])
def test_the_answer_is_the_one_that_envoy_gives_byte_for_byte(sent: bytes, answer: bytes, goes_on: bool, line: str) -> None:
    hcm = Hcm()
    assert hcm.send(sent) == answer
    assert hcm.lines == [f"{line} 0 DownstreamEnd"]
    assert hcm.connection.is_open is goes_on
    if goes_on:
        assert hcm.send(get()) == HI
    assert hcm.rig.errors == []


TWO = request("POST", "/up", "Content-Length: 5") + b"hello" + get("/up", "Connection: close")


@pytest.mark.parametrize("data", [
    get() + get("/none") + get("/hi", "connection: close") + b"what is behind is not read",
    b"\r\n" + get() + b"GET / HTTP/1.1\r\n\r\n",
    get() + b"BAD\r\n\r\n",
    request("POST", "/hi", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
])
def test_how_the_input_is_cut_makes_no_difference_to_what_is_answered_or_logged(data: bytes) -> None:
    whole = Hcm()
    expected = whole.send(data)
    for pieces in splits(data, two_way_limit=40, random_ways=4):
        hcm = Hcm()
        assert hcm.send(*pieces) == expected
        assert hcm.lines == whole.lines
        assert hcm.connection.is_open is whole.connection.is_open


def test_a_body_reaches_the_upstream_in_whatever_pieces_it_came_and_the_end_comes_once() -> None:
    for pieces in splits(TWO, two_way_limit=60, random_ways=4):
        hcm = Hcm(direct=False)
        hcm.send(*pieces)
        assert len(hcm.streams) == 1 and hcm.streams[0].body == b"hello"
        assert [one[-1] for one in hcm.seen].count(True) == 1
        hcm.streams[0].answer(200, b"one", content_length="3")
        hcm.rig.turn(len(TWO))
        assert hcm.got().endswith(b"one") and len(hcm.streams) == 2
        hcm.streams[1].answer(204)
        assert b"connection: close" in hcm.got() and not hcm.connection.is_open


def test_a_body_that_is_complete_in_one_read_comes_in_one_piece_with_its_end() -> None:
    hcm = Hcm(direct=False)
    hcm.send(request("POST", "/up", "Content-Length: 3") + b"abc")
    assert hcm.seen == [("headers", "POST", "/up", False), ("data", b"abc", True)]


def test_requests_that_are_sent_ahead_are_answered_one_after_the_other_while_reading_pauses() -> None:
    hcm = Hcm(direct=False)
    hcm.send(get("/up/1") + get("/up/2"), get("/up/3"))
    assert [one[2] for one in hcm.seen] == ["/up/1"]
    assert hcm.connection.pauses != ()
    for number in (1, 2, 3):
        hcm.streams[number - 1].answer(200, str(number).encode(), content_length="1")
        hcm.rig.turn(2)
    assert [one[2] for one in hcm.seen] == ["/up/1", "/up/2", "/up/3"]
    assert hcm.connection.pauses == ()
    assert [part[-1:] for part in hcm.got().split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"2", b"3"]


def test_a_flood_of_requests_that_are_answered_at_once_takes_its_turns() -> None:
    hcm = Hcm()
    hcm.rig.peer.send(get() * 200)
    hcm.reactor.turn(0)
    assert hcm.stat("downstream_rq_total") < 100  # others had their turn in between
    hcm.rig.turn(10)
    assert hcm.got().count(b"HTTP/1.1 200 OK") == 200


def test_no_request_is_begun_while_the_client_does_not_read_its_answers() -> None:
    hcm = Hcm(buffer_limit=400)
    hcm.rig.peer.block()
    hcm.send(get() * 100)
    begun = hcm.stat("downstream_rq_total")
    assert begun < 10 and hcm.connection.write_buffer.size < 1000
    hcm.rig.turn(5)
    assert hcm.stat("downstream_rq_total") == begun
    hcm.rig.peer.unblock()
    hcm.rig.turn(60)
    assert hcm.got().count(b"HTTP/1.1 200 OK") == 100


def test_a_client_that_ends_its_side_is_gone_and_its_request_given_up() -> None:
    hcm = Hcm(direct=False)
    hcm.send(get("/up"))
    hcm.rig.peer.finish()
    assert hcm.got() == b""
    assert hcm.last.destroyed and hcm.lines == ["GET /up 0 DC downstream_remote_disconnect 0 0 0 DownstreamEnd"]
    assert hcm.stat("downstream_cx_destroy_remote_active_rq") == hcm.stat("downstream_rq_rx_reset") == 1
    assert hcm.stat("downstream_rq_active") == hcm.stat("downstream_cx_active") == 0


@pytest.mark.parametrize("sent", [b"GET", b"GET /hi HTTP/1.1\r\nHo"])
def test_a_request_counts_from_its_first_byte_on(sent: bytes) -> None:
    hcm = Hcm()
    hcm.send(sent)
    assert hcm.stat("downstream_rq_active") == 1
    hcm.rig.peer.reset()
    hcm.rig.turn(2)
    assert hcm.lines == ["- - 0 DC downstream_remote_disconnect 0 0 0 DownstreamEnd"]


def test_a_codec_error_in_a_body_is_answered_if_no_answer_has_begun() -> None:
    hcm = Hcm(direct=False)
    head = request("POST", "/up", "Transfer-Encoding: chunked")
    assert hcm.send(head + b"3\r\nabc\r\nzz\r\n") == local("400 Bad Request", "Bad Request", CLOSE)
    assert hcm.last.body == b"abc" and hcm.last.destroyed
    assert hcm.lines == ["POST /up 400 DPE http1.codec_error 3 11 0 DownstreamEnd"]
    assert hcm.stat("downstream_cx_protocol_error") == 1


def test_a_codec_error_in_a_body_breaks_an_answer_off_that_has_begun() -> None:
    hcm = Hcm(direct=False)
    hcm.send(request("POST", "/up", "Transfer-Encoding: chunked"))
    hcm.last.answer(200, b"begin", end=False)
    hcm.got()
    assert hcm.send(b"zz\r\n") == b""
    assert not hcm.connection.is_open and hcm.last.destroyed
    assert "DPE" in hcm.lines[0]


def test_expect_100_continue_is_answered_here_and_not_passed_on() -> None:
    hcm = Hcm(direct=False)
    assert hcm.send(request("POST", "/up", "Content-Length: 2", "Expect: 100-continue")) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert "expect" not in hcm.last.decoder.request.headers
    assert hcm.stat("downstream_rq_1xx") == 1


def test_expect_100_continue_is_left_to_the_upstream_where_the_configuration_says_so() -> None:
    hcm = Hcm({"proxy_100_continue": True}, direct=False)
    assert hcm.send(request("POST", "/up", "Content-Length: 2", "Expect: 100-continue")) == b""
    assert hcm.last.decoder.request.headers.get("expect") == "100-continue"
    hcm.last.decoder.encode_1xx(100, Headers([("x-a", "1"), ("connection", "close")]))
    assert hcm.got() == b"HTTP/1.1 100 Continue\r\nx-a: 1\r\n\r\n"
    hcm.send(b"ok")
    hcm.last.answer(200)
    hcm.last.decoder.encode_1xx(103, Headers())  # too late: nothing happens
    assert hcm.got().startswith(b"HTTP/1.1 200 OK")


def test_http_10_gets_its_default_host_and_closes_unless_asked_not_to() -> None:
    config = {"http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "d"}}
    hcm = Hcm(config)
    answer = hcm.send(b"GET /hi HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 200 OK") and b"connection: keep-alive" in answer
    assert b"connection: close" in hcm.send(b"GET /hi HTTP/1.0\r\n\r\n") and not hcm.connection.is_open


def test_the_last_of_max_requests_per_connection_says_so() -> None:
    hcm = Hcm({"common_http_protocol_options": {"max_requests_per_connection": 2}})
    assert b"connection: close" not in hcm.send(get())
    assert b"connection: close" in hcm.send(get())
    assert hcm.stat("downstream_cx_max_requests_reached") == 1 and not hcm.connection.is_open


def test_a_draining_listener_lets_each_connection_answer_once_more() -> None:
    hcm = Hcm()
    hcm.send(get())
    hcm.drain.start()
    assert b"connection: close" in hcm.send(get())
    assert hcm.stat("downstream_cx_drain_close") == 1 and not hcm.connection.is_open


def test_a_drain_that_was_called_off_closes_nothing() -> None:
    hcm = Hcm()
    hcm.drain.start()
    hcm.drain.stop()
    assert b"connection: close" not in hcm.send(get()) and hcm.connection.is_open


def test_a_finished_stream_is_freed_at_once_and_not_left_to_the_garbage_collector() -> None:
    class Watched:
        """Something that a filter holds."""

    hcm = Hcm(direct=False)
    gc.disable()
    try:
        hcm.send(get("/up"))
        watched = Watched()
        gone = weakref.ref(watched)
        hcm.last.body = watched  # type: ignore[assignment]  # anything that a filter may keep
        del watched
        hcm.streams.pop().answer(204)
        hcm.got()
        assert gone() is None
    finally:
        gc.enable()


def test_the_connection_tells_of_its_streams() -> None:
    hcm = Hcm(direct=False)
    assert hcm.http.streams() == []
    hcm.send(get("/up"))
    found: List[str] = [stream.head.path for stream in hcm.http.streams() if stream.head is not None]
    assert found == ["/up"]
