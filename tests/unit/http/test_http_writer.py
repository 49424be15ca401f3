"""What is written: exact bytes, as Envoy 1.40.0 frames the same message, and what is refused."""

from __future__ import annotations

import random

import pytest

from proxy_core.http.codec import ClientCodec, ServerCodec
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.http.settings import Http1Settings
from proxy_core.http.writer import REASONS
from tests.unit.http.codec_kit import SETTINGS, server_says

OLD = Http1Settings(accept_http_10=True, enable_trailers=True)


def asked(
    request: bytes = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n", settings: Http1Settings = OLD
) -> ServerCodec:
    """A server codec that has read this request."""
    codec = ServerCodec(settings)
    codec.receive(request)
    codec.next_event()
    codec.next_event()
    return codec


def response(status: int = 200, *pairs: "tuple[str, str]") -> ResponseHead:
    return ResponseHead(status, headers=Headers(pairs))


HEAD = b"HEAD / HTTP/1.1\r\nhost: t\r\n\r\n"
TEN = b"GET / HTTP/1.0\r\n\r\n"
TEN_ALIVE = b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
TEN_HEAD = b"HEAD / HTTP/1.0\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "head", "written"),
    [
        (None, response(404, ("date", "d"), ("server", "envoy")),
         b"HTTP/1.1 404 Not Found\r\ndate: d\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n"),
        (HEAD, response(404, ("server", "envoy")),
         b"HTTP/1.1 404 Not Found\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n\r\n"),
        (HEAD, response(200, ("content-length", "5")), b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        (None, response(204), b"HTTP/1.1 204 No Content\r\n\r\n"),
        (None, response(204, ("content-length", "0")), b"HTTP/1.1 204 No Content\r\n\r\n"),
        (None, response(304, ("content-length", "5")),
         b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
        (None, response(304), b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        (HEAD, response(304), b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        (None, response(418), b"HTTP/1.1 418 Unknown\r\ncontent-length: 0\r\n\r\n"),
        (None, response(200, ("transfer-encoding", "chunked")),
         b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (CLOSE, response(200), b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
        (TEN, response(200), b"HTTP/1.0 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
        (TEN_ALIVE, response(200), b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n"),
        (TEN_HEAD, response(200), b"HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n"),
    ],
)  # fmt: skip
def test_a_response_without_a_body_has_the_framing_that_envoy_gives_it(
    request_bytes: "bytes | None", head: ResponseHead, written: bytes
) -> None:
    codec = asked() if request_bytes is None else asked(request_bytes)
    assert codec.send_response(head, end_stream=True) == written


def test_a_body_without_a_length_goes_in_chunks() -> None:
    codec = asked()
    out = (
        codec.send_response(response())
        + codec.send_data(b"abc")
        + codec.send_data(b"")
        + codec.send_data(b"x" * 26)
    )
    out += codec.send_end(Headers([("X-Sum", "1")]))
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert out == head + b"3\r\nabc\r\n1a\r\n" + b"x" * 26 + b"\r\n0\r\nx-sum: 1\r\n\r\n"


def test_a_body_of_known_length_goes_as_it_is_and_is_not_copied() -> None:
    codec = asked()
    assert codec.send_response(response(200, ("content-length", "3"))).endswith(b"content-length: 3\r\n\r\n")
    data = b"abc"
    assert codec.send_data(data) is data
    assert codec.send_end(Headers([("x", "y")])) == b""


def test_a_body_of_unknown_length_ends_the_connection_of_an_http_10_client() -> None:
    codec = asked(TEN_ALIVE)
    out = codec.send_response(response()) + codec.send_data(b"abc") + codec.send_end()
    assert out == b"HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nabc"
    assert codec.cycle.server == "MUST_CLOSE"


def test_there_are_no_body_bytes_where_no_body_may_be() -> None:
    for codec, status in ((asked(HEAD), 200), (asked(), 204), (asked(), 304)):
        codec.send_response(response(status, ("content-length", "3") if status != 204 else ("a", "b")))
        assert codec.send_data(b"abc") == b""
        assert codec.send_end() == b""
        assert codec.cycle.server == "IDLE"


def test_trailers_are_left_out_when_they_are_not_enabled() -> None:
    codec = asked(settings=Http1Settings())
    codec.send_response(response())
    assert codec.send_end(Headers([("x", "y")])) == b"0\r\n\r\n"


def test_informational_responses_come_before_the_final_one_and_never_to_an_http_10_client() -> None:
    codec = asked()
    assert codec.send_informational() == b"HTTP/1.1 100 Continue\r\n\r\n"
    early = codec.send_informational(103, Headers([("link", "a")]))
    assert early == b"HTTP/1.1 103 Unknown\r\nlink: a\r\n\r\n"
    assert asked(TEN).send_informational() == b""
    for status in (99, 101, 200):
        with pytest.raises(ValueError, match="not an informational status"):
            codec.send_informational(status)


@pytest.mark.parametrize("bad", ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\r\n"])
def test_no_header_can_be_split_by_what_is_in_it(bad: str) -> None:
    for head in (response(200, ("x", bad)), response(200, (f"x{bad}", "y")), ResponseHead(200, bad)):
        codec = asked()
        with pytest.raises(ValueError, match="CR, LF or NUL"):
            codec.send_response(head)
        assert codec.cycle.server == "SEND_HEADERS"  # an error response is still possible
        assert codec.send_response(response(500), end_stream=True).startswith(b"HTTP/1.1 500 ")
    client = ClientCodec(SETTINGS)
    for request in (RequestHead("GET", "/" + bad, authority="t"), RequestHead("GET", "/", authority=bad)):
        with pytest.raises(ValueError):
            client.send_request(request, end_stream=True)
    codec = asked()
    codec.send_response(response())
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        codec.send_end(Headers([("x", bad)]))


def test_text_that_has_no_latin_1_form_is_refused() -> None:
    with pytest.raises(ValueError):
        asked().send_response(response(200, ("x", "\u20ac")))


def test_a_body_must_be_as_long_as_it_said() -> None:
    codec = asked()
    codec.send_response(response(200, ("content-length", "3")))
    with pytest.raises(ValueError, match="longer"):
        codec.send_data(b"abcd")
    codec.send_data(b"ab")
    with pytest.raises(ValueError, match="shorter"):
        codec.send_end()
    with pytest.raises(ValueError, match="not a number"):
        asked().send_response(response(200, ("content-length", "+3")))
    with pytest.raises(ValueError, match="shorter"):
        asked().send_response(response(200, ("content-length", "3")), end_stream=True)


@pytest.mark.parametrize(
    ("method", "end_stream", "pairs", "lines"),
    [
        ("GET", True, [], b""),
        ("HEAD", True, [], b""),
        ("DELETE", True, [], b""),
        ("TRACE", True, [], b""),
        ("POST", True, [], b"content-length: 0\r\n"),
        ("OPTIONS", True, [], b"content-length: 0\r\n"),
        ("POST", False, [], b"transfer-encoding: chunked\r\n"),
        ("GET", False, [], b"transfer-encoding: chunked\r\n"),
        ("POST", False, [("content-length", "3")], b"content-length: 3\r\n"),
        ("POST", False, [("transfer-encoding", "gzip")], b"transfer-encoding: chunked\r\n"),
        ("GET", False, [("upgrade", "websocket"), ("connection", "Upgrade"), ("content-length", "5")],
         b"upgrade: websocket\r\nconnection: Upgrade\r\n"),
    ],
)  # fmt: skip
def test_a_request_has_the_framing_that_envoy_gives_it(
    method: str, end_stream: bool, pairs: "list[tuple[str, str]]", lines: bytes
) -> None:
    head = RequestHead(method, "/p", headers=Headers([("a", "b"), *pairs]), authority="t")
    out = ClientCodec(SETTINGS).send_request(head, end_stream)
    assert out == method.encode() + b" /p HTTP/1.1\r\nhost: t\r\na: b\r\n" + lines + b"\r\n"


def test_connect_and_full_urls_and_missing_hosts_are_written_as_asked_for() -> None:
    connect = RequestHead("CONNECT", "t:80", authority="t:80", path="")
    assert ClientCodec(SETTINGS).send_request(connect) == b"CONNECT t:80 HTTP/1.1\r\nhost: t:80\r\n\r\n"
    full = ClientCodec(Http1Settings(send_fully_qualified_url=True))
    out = full.send_request(RequestHead("GET", "/p", authority="t", scheme="https"), end_stream=True)
    assert out == b"GET https://t/p HTTP/1.1\r\nhost: t\r\n\r\n"
    bare = ClientCodec(SETTINGS).send_request(RequestHead("GET", "/"), end_stream=True)
    assert bare == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("path", ["", "/a b", "/a\tb", "/\u00e9"])
def test_a_target_that_would_be_read_in_another_way_is_refused(path: str) -> None:
    codec = ClientCodec(SETTINGS)
    with pytest.raises(ValueError, match="request target"):
        codec.send_request(RequestHead("GET", path, authority="t"), end_stream=True)
    assert codec.cycle.client == "IDLE"


def test_names_can_be_written_in_proper_case() -> None:
    codec = asked(settings=Http1Settings(proper_case_words=True))
    out = codec.send_response(response(200, ("x-foo-b3id", "a"), ("www-authenticate", "b"), ("1a-b_c", "d")))
    assert out == (
        b"HTTP/1.1 200 OK\r\nX-Foo-B3id: a\r\nWww-Authenticate: b\r\n1a-B_C: d\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )


def test_every_reason_is_one_line_of_text() -> None:
    assert all(100 <= status <= 599 and reason.isprintable() for status, reason in REASONS.items())


@pytest.mark.parametrize("seed", range(50))
def test_what_the_client_writes_the_server_reads(seed: int) -> None:
    generator = random.Random(seed)
    pairs = [
        (f"x-{generator.randrange(5)}", "v" * generator.randrange(5)) for _ in range(generator.randrange(6))
    ]
    head = RequestHead(
        generator.choice(["GET", "POST", "PUT"]), "/p?q", headers=Headers(pairs), authority="t"
    )
    body = bytes(generator.randrange(256) for _ in range(generator.choice([0, 1, 40])))
    known_length = generator.random() < 0.5
    if known_length:
        head.headers.add("content-length", str(len(body)))
    client = ClientCodec(SETTINGS)
    out = client.send_request(head)
    start = 0
    while start < len(body):
        size = generator.randint(1, 20)
        out += client.send_data(body[start : start + size])
        start += size
    out += client.send_end()
    said = server_says([out])
    assert said[0][1:3] == (head.method, "/p?q")
    assert said[0][5] == "t"
    sent = [pair for pair in pairs]
    assert [pair for pair in said[0][-1] if pair[0].startswith("x-")] == sent
    assert b"".join(entry[1] for entry in said if entry[0] == "data") == body
    assert said[-1] == ("end", None)
