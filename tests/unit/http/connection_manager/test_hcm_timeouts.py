"""Every wait of a client's connection: what is answered, logged and counted when it is over, and that one timer does for all."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from tests.unit.http.connection_manager.hcm_kit import Hcm, get, local, request

CLOSE = "connection: close"
HALF = request("POST", "/up", "Content-Length: 10") + b"abc"

# (configuration, what was sent, seconds, answer, log line without duration, counter)
WAITS = [
    (
        {"request_timeout": "2s"}, HALF, 2.0, local("408 Request Timeout", "request timeout", CLOSE),
        "POST /up 408 - request_overall_timeout 3 15", "downstream_rq_timeout",
    ),
    (
        {"request_headers_timeout": "2s"}, b"GET / HT", 2.0, local("408 Request Timeout", "request header timeout", CLOSE),
        "- - 408 - request_header_timeout 0 22", "downstream_rq_header_timeout",
    ),
    (
        {"stream_idle_timeout": "2s"}, b"GET / HT", 2.0, local("408 Request Timeout", "stream timeout", CLOSE),
        "- - 408 SI stream_idle_timeout 0 14", "downstream_rq_idle_timeout",
    ),
    (
        {"stream_idle_timeout": "2s"}, get("/up"), 2.0, local("504 Gateway Timeout", "stream timeout"),
        "GET /up 504 SI stream_idle_timeout 0 14", "downstream_rq_idle_timeout",
    ),
    (
        {"common_http_protocol_options": {"max_stream_duration": "2s"}}, get("/up"), 2.0,
        local("504 Gateway Timeout", "downstream duration timeout"), "GET /up 504 - max_duration_timeout 0 27",
        "downstream_rq_max_duration_reached",
    ),
]


@pytest.mark.parametrize("config, sent, seconds, answer, line, counter", WAITS, ids=[one[5] + str(one[1][:9]) for one in WAITS])
def test_a_request_that_takes_too_long_is_answered_when_its_time_is_over_and_not_before(
    config: Dict[str, Any], sent: bytes, seconds: float, answer: bytes, line: str, counter: str
) -> None:
    hcm = Hcm(config, direct=False)
    hcm.advance(100.0)  # an idle connection has no such wait
    hcm.send(sent)
    hcm.advance(seconds - 0.01)
    assert hcm.got() == b""
    hcm.advance(0.02)
    assert hcm.got() == answer
    assert hcm.lines[0].startswith(line) and hcm.stat(counter) == 1
    assert hcm.connection.is_open is (CLOSE.encode() not in answer)


def test_the_request_timeout_is_over_with_the_request() -> None:
    hcm = Hcm({"request_timeout": "2s"}, direct=False)
    hcm.send(HALF)
    hcm.advance(1.9)
    hcm.send(b"defghij")
    hcm.advance(50.0)
    assert hcm.got() == b"" and hcm.streams[0].ended


def test_bytes_either_way_keep_a_stream_from_being_idle() -> None:
    hcm = Hcm({"stream_idle_timeout": "2s"}, direct=False)
    hcm.send(request("POST", "/up", "Content-Length: 10"))
    for piece in (b"a", b"b"):
        hcm.advance(1.5)
        hcm.send(piece)
    hcm.last.answer(200, b"x", end=False)
    for _ in range(3):
        hcm.advance(1.5)
        hcm.last.decoder.encode_data(_buffer(b"y"), False)
        assert hcm.got() != b""
    hcm.advance(2.1)
    assert not hcm.connection.is_open and "SI" in hcm.lines[0]


def _buffer(data: bytes) -> Any:
    from proxy_core.buffer import Buffer

    return Buffer(data)


def test_a_stream_that_times_out_in_the_middle_of_its_answer_is_broken_off() -> None:
    hcm = Hcm({"stream_idle_timeout": "2s"}, direct=False)
    hcm.send(get("/up"))
    hcm.last.answer(200, b"begin", end=False)
    hcm.got()
    hcm.advance(2.1)
    assert hcm.got() == b"" and not hcm.connection.is_open
    assert hcm.lines[0].startswith("GET /up 200 SI stream_idle_timeout")


def test_a_route_has_an_idle_timeout_and_a_duration_of_its_own() -> None:
    routes = {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
        {"match": {"prefix": "/idle"}, "route": {"cluster": "c", "idle_timeout": "1s"}},
        {"match": {"prefix": "/any"}, "route": {"cluster": "c", "idle_timeout": "0s"}},
        {"match": {"prefix": "/short"}, "route": {"cluster": "c", "max_stream_duration": {"max_stream_duration": "3s"}}},
    ]}]}
    for path, seconds, text in (("/idle", 1.0, b"stream timeout"), ("/short", 3.0, b"downstream duration timeout")):
        hcm = Hcm({"route_config": routes}, direct=False)
        hcm.send(get(path))
        hcm.advance(seconds - 0.01)
        assert hcm.got() == b""
        hcm.advance(0.02)
        assert hcm.got().endswith(text)
    hcm = Hcm({"route_config": routes}, direct=False)
    hcm.send(get("/any"))
    hcm.advance(100_000.0)
    assert hcm.got() == b"" and hcm.connection.is_open


def test_an_idle_connection_that_never_spoke_is_closed_at_once() -> None:
    hcm = Hcm({"common_http_protocol_options": {"idle_timeout": "10s"}})
    hcm.advance(9.9)
    assert hcm.connection.is_open
    hcm.advance(0.2)
    hcm.rig.turn(2)
    assert hcm.rig.closed and hcm.stat("downstream_cx_idle_timeout") == 1


def test_an_idle_connection_drains_and_then_gives_the_client_time_to_close() -> None:
    hcm = Hcm({"common_http_protocol_options": {"idle_timeout": "10s"}, "drain_timeout": "2s"})
    hcm.send(get())
    hcm.advance(10.1)
    assert hcm.connection.is_open and hcm.stat("downstream_cx_idle_timeout") == 1
    hcm.advance(2.1)
    assert not hcm.connection.is_open and not hcm.rig.closed
    hcm.advance(1.1)
    hcm.rig.turn(2)
    assert hcm.rig.closed and hcm.stat("downstream_cx_delayed_close_timeout") == 1


def test_a_request_while_the_connection_drains_is_answered_as_the_last() -> None:
    hcm = Hcm({"common_http_protocol_options": {"max_connection_duration": "5s"}, "drain_timeout": "2s"}, direct=False)
    hcm.send(get("/up"))
    hcm.advance(5.1)
    assert hcm.stat("downstream_cx_max_duration_reached") == 1
    hcm.advance(2.1)  # the drain is over, but not the request
    assert hcm.connection.is_open
    hcm.last.answer(204)
    assert b"connection: close" in hcm.got() and not hcm.connection.is_open


def test_the_max_duration_of_a_connection_without_requests_closes_it() -> None:
    hcm = Hcm({"common_http_protocol_options": {"max_connection_duration": "5s"}})
    hcm.advance(5.1)
    hcm.rig.turn(2)
    assert hcm.rig.closed


def test_an_error_gives_the_client_the_delayed_close_timeout_to_close_first() -> None:
    hcm = Hcm({"delayed_close_timeout": "3s"})
    hcm.send(b"BAD\r\n\r\n")
    assert not hcm.rig.peer.ended
    hcm.advance(2.9)
    assert not hcm.rig.closed
    hcm.advance(0.2)
    hcm.rig.turn(2)
    assert hcm.rig.closed and hcm.stat("downstream_cx_delayed_close_timeout") == 1
    first = Hcm({"delayed_close_timeout": "3s"})
    first.send(b"BAD\r\n\r\n")
    first.rig.peer.finish()
    first.rig.turn(2)
    assert first.rig.closed and first.stat("downstream_cx_delayed_close_timeout") == 0
    assert first.stat("downstream_cx_destroy_remote") == 1


def test_without_a_delayed_close_timeout_it_is_closed_at_once() -> None:
    hcm = Hcm({"delayed_close_timeout": "0s"})
    hcm.send(b"BAD\r\n\r\n")
    assert hcm.rig.closed


def test_requests_set_no_timers_of_their_own() -> None:
    hcm = Hcm()
    hcm.send(get())
    hcm.advance(1.1)  # long waits get their timer after a second
    hcm.send(get())
    before = hcm.reactor.timers.newest
    for _ in range(20):
        hcm.send(get())
        hcm.advance(0.1)
    assert hcm.reactor.timers.newest == before and len(hcm.reactor.timers) <= 2


def test_a_closed_connection_leaves_no_timer() -> None:
    hcm = Hcm({"stream_idle_timeout": "2s"}, direct=False)
    hcm.send(get("/up"))
    hcm.rig.peer.reset()
    hcm.rig.turn(2)
    assert len(hcm.reactor.timers) <= 1 and not hcm.reactor.unsettled  # the reactor's own, for all that settle
    hcm.advance(1.1)
    assert len(hcm.reactor.timers) == 0


def test_access_log_lines_come_at_the_interval_and_with_each_new_request() -> None:
    options = {"access_log_flush_interval": "5s", "flush_access_log_on_new_request": True}
    hcm = Hcm({"access_log_options": options}, direct=False)
    hcm.send(get("/up"))
    hcm.advance(5.1)
    hcm.advance(5.1)
    hcm.last.answer(204)
    kinds = [line.rsplit(" ", 1)[1] for line in hcm.lines]
    assert kinds == ["DownstreamStart", "DownstreamPeriodic", "DownstreamPeriodic", "DownstreamEnd"]
