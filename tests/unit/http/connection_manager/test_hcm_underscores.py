"""`headers_with_underscores_action` of a connection manager: what it counts, however often the same head comes."""

from __future__ import annotations

from typing import Any

from tests.unit.http.connection_manager.hcm_kit import Hcm, get


def hcm(action: str, **config: Any) -> Hcm:
    """A manager that hands its requests to the test."""
    return Hcm({"common_http_protocol_options": {"headers_with_underscores_action": action}, **config}, direct=False)


def counted(one: Hcm, name: str) -> int:
    """A counter of the codec."""
    found: Any = one.stats.find(f"http1.{name}_headers_with_underscores")
    if found is None:
        found = one.stats.find(f"http1.{name}_with_underscores_in_headers")
    return int(found.value)


def test_each_line_that_is_dropped_counts_in_each_request() -> None:
    one = hcm("DROP_HEADER")
    for number in range(3):
        one.send(get("/up", "a_b: 1", "c_d: 2", "e-f: 3"))
        headers = one.last.decoder.request.headers
        assert "a_b" not in headers and "c_d" not in headers and headers.get("e-f") == "3"
        one.last.answer(200, b"", content_length="0")
        assert counted(one, "dropped") == 2 * (number + 1)
    assert counted(one, "requests_rejected") == 0


def test_a_request_that_is_refused_counts_once() -> None:
    one = hcm("REJECT_REQUEST")
    assert one.send(get("/up", "a_b: 1", "c_d: 2")).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (counted(one, "dropped"), counted(one, "requests_rejected")) == (0, 1)


def test_trailers_that_nobody_wants_are_not_looked_at() -> None:
    chunked = b"POST /up HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\na_b: 1\r\n\r\n"
    ignoring, passing = hcm("REJECT_REQUEST"), hcm("REJECT_REQUEST", http_protocol_options={"enable_trailers": True})
    assert ignoring.send(chunked) == b"" and ignoring.last.ended
    assert passing.send(chunked).startswith(b"HTTP/1.1 400 Bad Request\r\n")
