"""Responses as a client reads them: framing, 1xx heads, tunnels, and what is refused, at every split."""

from __future__ import annotations

from typing import Optional

import pytest

from proxy_core.http.events import RequestHead
from proxy_core.http.settings import Http1Settings
from proxy_core.testing.splits import splits
from tests.unit.http.codec_kit import SETTINGS, Said, client_says, error_of, get

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
BAD = (400, "http1.codec_error")


def said_at_every_split(
    data: bytes, eof: bool = False, request: Optional[RequestHead] = None, settings: Http1Settings = SETTINGS
) -> Said:
    """What the codec says about `data`, which must be the same however it is cut."""
    whole = client_says([data], settings, eof, request)
    for pieces in splits(data, random_ways=3):
        assert client_says(pieces, settings, eof, request) == whole
    return whole


def kinds(said: Said) -> str:
    """The first letters of what was said: (i)nformational, (r)esponse, (d)ata, (e)nd or (e)rror, (c)losed."""
    return "".join("E" if entry[0] == "error" else entry[0][0] for entry in said)


def websocket() -> RequestHead:
    return get("GET", ("upgrade", "websocket"), ("connection", "upgrade"))


def connect() -> RequestHead:
    return RequestHead("CONNECT", "t:80", authority="t:80")


def test_a_plain_response_has_all_its_parts() -> None:
    said = said_at_every_split(
        b"HTTP/1.1 404 Not here\r\nContent-Length: 2\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nno"
    )
    headers = (("content-length", "2"), ("set-cookie", "a"), ("set-cookie", "b"))
    assert said == [
        ("response", 404, "Not here", "HTTP/1.1", True, False, headers),
        ("data", b"no"),
        ("end", None),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/1.1 200\r\n", ""),
        (b"HTTP/1.1 200 \r\n", ""),
        (b"HTTP/1.1  200\tAll is well \r\n", "All is well"),
        (b"HTTP/1.1 200 O\xffK\n", "O\xffK"),
        (b"HTTP/1.1 200 O\rK\r\n", "OK"),
    ],
)
def test_status_lines_are_read_as_by_envoy(line: bytes, reason: str) -> None:
    assert said_at_every_split(line + b"content-length: 0\r\n\r\n")[0][1:4] == (200, reason, "HTTP/1.1")


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",  # Envoy forwards it
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 -20 OK",
        b"HTTP/1.1 200x OK",
        b"HTTP/1.1 \xb2\xb3\xb9 OK",
        b"HTTP/1.10 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b" HTTP/1.1 200 OK",
        b"\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1",
    ],
)
def test_malformed_status_lines_are_refused(line: bytes) -> None:
    assert error_of(said_at_every_split(line + b"\r\n\r\n")) == BAD


@pytest.mark.parametrize(
    ("lines", "details"),
    [
        (b"content-length: 2\r\n" + CHUNKED, "http1.content_length_and_chunked_not_allowed"),
        (b"content-length: 2\r\ncontent-length: 2\r\n", "http1.codec_error"),
        (b"content-length: x\r\n", "http1.codec_error"),
        (b"transfer-encoding: gzip\r\n", "http1.invalid_transfer_encoding"),
        (b"transfer-encoding: gzip, chunked\r\n", "http1.invalid_transfer_encoding"),
        (CHUNKED + CHUNKED, "http1.invalid_transfer_encoding"),
        (b"foo\r\n", "http1.codec_error"),
        (b"foo : x\r\n", "http1.codec_error"),
        (b"foo: \x00\r\n", "http1.invalid_characters"),
    ],
)
def test_ambiguous_or_malformed_heads_are_refused(lines: bytes, details: str) -> None:
    for request in (get(), get("HEAD")):
        said = said_at_every_split(OK + lines + b"\r\n", request=request)
        assert said[-1][2] == details


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (OK + b"content-length: 2\r\n\r\nok", "rde"),
        (OK + b"content-length: 0\r\n\r\n", "re"),
        (OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n", "rde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "re"),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", "re"),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", "re"),
        (b"HTTP/1.1 304 Not Modified\r\n" + CHUNKED + b"\r\n", "re"),
        (b"HTTP/1.1 205 Reset\r\ncontent-length: 1\r\n\r\na", "rde"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 0\r\n\r\n", "ire"),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" * 3 + OK + b"content-length: 1\r\n\r\na", "iiirde"),
        (b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n" + OK + b"content-length: 0\r\n\r\n", "ire"),
    ],
)
def test_a_body_ends_where_its_framing_says(data: bytes, expected: str) -> None:
    said = said_at_every_split(data)
    assert kinds(said) == expected
    assert [entry[4] for entry in said if entry[0] == "response"] == [True]


@pytest.mark.parametrize(
    ("head", "details"),
    [
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n", "http1.content_length_not_allowed"),
        (b"HTTP/1.1 204 No Content\r\n" + CHUNKED, "http1.transfer_encoding_not_allowed"),
        (b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n", "http1.content_length_not_allowed"),
        (b"HTTP/1.1 103 Early Hints\r\n" + CHUNKED, "http1.transfer_encoding_not_allowed"),
        (b"HTTP/1.1 101 Switching\r\ncontent-length: 5\r\n", "http1.content_length_not_allowed"),
    ],
)
def test_a_1xx_or_204_must_not_state_a_body(head: bytes, details: str) -> None:
    assert said_at_every_split(head + b"\r\n")[-1][2] == details


def test_a_response_to_head_has_no_body_whatever_it_says() -> None:
    for lines in (b"", b"content-length: 5\r\n", CHUNKED):
        said = said_at_every_split(OK + lines + b"\r\n", request=get("HEAD"))
        assert kinds(said) == "re"
        assert said[0][4:6] == (True, True)


def test_a_body_without_framing_ends_with_the_connection() -> None:
    data = OK + b"\r\nok"
    assert kinds(said_at_every_split(data)) == "rd"
    said = said_at_every_split(data, eof=True)
    assert kinds(said) == "rdec"
    assert said[0][4] is False


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nProxy-Connection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n", True),
        (b"HTTP/2.0 200 OK\r\n", False),
    ],
)
def test_whether_the_connection_can_be_used_again(head: bytes, keep_alive: bool) -> None:
    assert said_at_every_split(head + b"content-length: 0\r\n\r\n")[0][4] is keep_alive


def test_an_end_inside_a_response_is_an_error_and_before_its_first_byte_it_is_not() -> None:
    assert client_says([], eof=True) == [("closed",)]
    assert kinds(client_says([b"HTTP/1.1 100 Continue\r\n\r\n"], eof=True)) == "ic"
    for data in (OK + b"content-length: 2\r\n\r\nok", OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n"):
        for length in range(1, len(data)):
            assert error_of(client_says([data[:length]], eof=True)) == BAD
        assert kinds(client_says([data], eof=True)) == "rdec"


def test_bytes_behind_a_complete_response_are_an_error_of_their_own() -> None:
    said = said_at_every_split(OK + b"content-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")
    assert kinds(said) == "rdeE"


def test_limits_hold_for_responses_too() -> None:
    settings = Http1Settings(max_headers_kb=1, max_headers_count=5)
    large = client_says([OK + b"x: " + b"y" * 1024 + b"\r\n\r\n"], settings)
    assert error_of(large) == (431, "http1.headers_too_large")
    many = client_says([OK + b"x: y\r\n" * 6 + b"\r\n"], settings)
    assert error_of(many) == (431, "http1.too_many_headers")


def test_a_granted_upgrade_opens_a_tunnel() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
    said = said_at_every_split(head + b"HTTP/1.1 raw \x00", request=websocket())
    assert kinds(said) == "rd"
    assert said[1] == ("data", b"HTTP/1.1 raw \x00")
    assert kinds(said_at_every_split(head + b"raw", eof=True, request=websocket())) == "rdec"


@pytest.mark.parametrize("status", [b"200 OK", b"403 Forbidden"])
def test_a_refused_upgrade_is_a_response_like_any_other_but_the_last_one(status: bytes) -> None:
    data = b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\nno"
    said = said_at_every_split(data, request=websocket())
    assert kinds(said) == "rde"
    assert said[0][4] is False


def test_a_101_that_was_not_asked_for_is_a_final_response_without_a_body() -> None:
    data = b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw"
    said = said_at_every_split(data)
    assert kinds(said) == "re"
    assert said[0][4] is False


def test_a_2xx_to_connect_opens_a_tunnel_and_its_length_means_nothing() -> None:
    data = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nraw bytes"
    assert said_at_every_split(data, request=connect())[1] == ("data", b"raw bytes")
    refused = said_at_every_split(b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno", request=connect())
    assert kinds(refused) == "rde"
    chunked = said_at_every_split(OK + CHUNKED + b"\r\n", request=connect())
    assert chunked[-1][2] == "http1.invalid_transfer_encoding"
