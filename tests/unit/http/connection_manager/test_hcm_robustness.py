"""What a connection manager must survive: failing filters, forgotten pauses, slow clients, paths that hide what they are."""

from __future__ import annotations

from typing import List, Type

import pytest

from proxy_core.buffer import Buffer
from proxy_core.http.connection_manager.path import normalise_path
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.filter_api import CONTINUE, STOP_ALL_AND_WATERMARK, STOP_AND_BUFFER, STOP_AND_WATERMARK
from proxy_core.http.filter_api import FilterStatus, HttpFilter
from proxy_core.http.headers import Headers
from tests.unit.http.connection_manager.hcm_kit import Hcm, get, request


class Raises(HttpFilter):
    """Fails on the way back."""

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        raise RuntimeError("a bug")


class Lies(HttpFilter):
    """Says that a body is shorter than it is."""

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        head.headers.set("content-length", "3")
        return CONTINUE


class Splits(HttpFilter):
    """Makes two header lines of one."""

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        head.headers.set("x-a", "1\r\nx-b: 2")
        return CONTINUE


class FailsAt1xx(HttpFilter):
    """Fails at an interim response."""

    def encode_1xx(self, status: int, headers: Headers) -> FilterStatus:
        raise RuntimeError("a bug")


@pytest.mark.parametrize("kind", [Raises, Lies, Splits])
def test_a_filter_that_fails_while_the_upstream_is_on_the_stack_ends_the_clients_connection(kind: Type[HttpFilter]) -> None:
    hcm = Hcm(filters=[("f", kind)], direct=False)
    hcm.send(get("/up"))
    hcm.reactor.defer(lambda: hcm.last.answer(200, b"hello"))  # from a stack that is not the client's
    hcm.rig.turn(2)
    assert not hcm.connection.is_open and hcm.http.stream is None and hcm.last.destroyed
    assert len(hcm.rig.errors) == 1 and b"x-b" not in hcm.got()


def test_a_filter_that_fails_at_an_interim_response_ends_the_clients_connection() -> None:
    hcm = Hcm({"proxy_100_continue": True}, filters=[("f", FailsAt1xx)], direct=False)
    hcm.send(get("/up"))
    hcm.reactor.defer(lambda: hcm.last.decoder.encode_1xx(103, Headers()))
    hcm.rig.turn(2)
    assert not hcm.connection.is_open and hcm.last.destroyed and len(hcm.rig.errors) == 1


@pytest.mark.parametrize("hook", ["on_destroy", "on_stream_complete"])
def test_a_filter_that_fails_at_the_end_keeps_no_other_from_being_destroyed(hook: str) -> None:
    def fail(self: HttpFilter) -> None:
        raise RuntimeError("a bug")

    hcm = Hcm(filters=[("f", type("Fails", (HttpFilter,), {hook: fail}))], direct=False)
    hcm.send(get("/up"))
    hcm.last.answer(200, b"ok")
    assert hcm.last.destroyed and b"ok" in hcm.got()
    assert [str(error) for error in hcm.rig.errors] == ["a bug"] and hcm.connection.is_open


class Keeps(HttpFilter):
    """Has the manager keep requests to /kept, and never lets them go."""

    def __init__(self, made: List[Keeps]) -> None:
        made.append(self)

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        return STOP_ALL_AND_WATERMARK if head.path == "/kept" else CONTINUE


def test_a_pause_of_reading_ends_with_the_stream_that_asked_for_it() -> None:
    made: List[Keeps] = []
    hcm = Hcm(filters=[("keeps", lambda: Keeps(made))], buffer_limit=1000)
    hcm.send(request("POST", "/kept", "content-length: 1001"), b"x" * 900, b"x" * 101)
    assert hcm.connection.pauses != ()
    made[-1].decoder.send_local_reply(403, b"no", "denied")
    assert hcm.got().startswith(b"HTTP/1.1 403") and hcm.connection.is_open and hcm.connection.pauses == ()
    assert hcm.send(get()).startswith(b"HTTP/1.1 200")


class KeepsTheRest(HttpFilter):
    """Lets the first piece of a body through and has the rest kept until its end."""

    pieces = 0

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.pieces += 1
        return CONTINUE if end_stream or self.pieces == 1 else STOP_AND_BUFFER


def test_what_the_last_filter_retains_is_not_given_to_it_again() -> None:
    hcm = Hcm(filters=[("keeps", KeepsTheRest)], direct=False)
    hcm.send(request("POST", "/up", "content-length: 6"), b"ab")
    hcm.last.decoder.add_decoded_data(Buffer(b"ab"), True)  # as the router does for a retry
    hcm.send(b"cd", b"ef")
    assert hcm.last.body == b"abcdef" and bytes(hcm.last.decoder.decoding_buffer) == b"ab"


class KeepsResponses(HttpFilter):
    """Has response bodies kept, without a limit that would fail them, until they are complete."""

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE if end_stream else STOP_AND_WATERMARK


def test_a_stream_may_end_with_a_body_that_was_kept_over_the_limit() -> None:
    hcm = Hcm(filters=[("keeps", KeepsResponses)], direct=False, buffer_limit=1000)
    hcm.send(get("/up"))
    hcm.last.answer(200, b"x" * 1500, end=False)
    hcm.last.decoder.encode_data(Buffer(b"y"), True)
    assert hcm.got().endswith(b"xy\r\n0\r\n\r\n") and hcm.rig.errors == [] and hcm.connection.is_open


def test_the_idle_time_runs_after_a_request_that_took_longer() -> None:
    hcm = Hcm({"common_http_protocol_options": {"idle_timeout": "5s"}}, direct=False)
    hcm.send(get("/up"))
    hcm.advance(6)
    hcm.last.answer(200, b"x")
    hcm.got()
    hcm.advance(4)
    assert hcm.stat("downstream_cx_idle_timeout") == 0
    hcm.advance(2)
    assert hcm.stat("downstream_cx_idle_timeout") == 1


def test_a_head_that_comes_byte_by_byte_does_not_renew_the_idle_time_of_its_stream() -> None:
    hcm = Hcm({"stream_idle_timeout": "10s"})
    answer = hcm.send(b"GET / HTTP/1.1\r\n")
    for _ in range(5):
        answer += hcm.send(b"a")
        hcm.advance(3)
    assert answer + hcm.got() != b"" and hcm.stat("downstream_rq_idle_timeout") == 1


def test_a_body_that_comes_byte_by_byte_does_renew_it() -> None:
    hcm = Hcm({"stream_idle_timeout": "10s"}, direct=False)
    hcm.send(request("POST", "/up", "content-length: 20"))
    for _ in range(5):
        hcm.send(b"a")
        hcm.advance(3)
    assert hcm.stat("downstream_rq_idle_timeout") == 0 and hcm.http.stream is not None


def test_an_http_10_request_in_chunks_is_the_last_of_its_connection() -> None:
    hcm = Hcm({"http_protocol_options": {"accept_http_10": True}}, direct=False)
    head = b"POST /up HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    hcm.send(head + b"0\r\n\r\n" + get("/up"))
    hcm.last.answer(200, content_length="0")
    assert b"connection: close\r\n" in hcm.got() and len(hcm.streams) == 1 and not hcm.connection.is_open


@pytest.mark.parametrize("path, expected", [
    ("/%%32e%%32e/x", "/%252e%252e/x"), ("/a/%2%65%2%65/x", "/a/%252e%252e/x"), ("/a/%2%45/x", "/a/%252E/x"),
    ("/%%33%30", "/%2530"), ("/%", "/%"), ("/%zz%%", "/%zz%%"), ("/%%32%30", "/%2520"), ("/%252e", "/%252e"),
])
def test_no_escape_comes_out_of_a_path_that_did_not_stand_in_it(path: str, expected: str) -> None:
    assert normalise_path(path) == expected
