"""Requests that are accepted: what comes out of them, at every split, as Envoy 1.40.0 forwards it."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest

from proxy_core.http.settings import Http1Settings
from proxy_core.testing.splits import splits
from tests.unit.http.codec_kit import SETTINGS, Said, server_says

H = b"host: t\r\n"


def said_at_every_split(data: bytes, settings: Http1Settings = SETTINGS) -> Said:
    """What the codec says about `data`, which must be the same however it is cut."""
    whole = server_says([data], settings)
    for pieces in splits(data, random_ways=3):
        assert server_says(pieces, settings) == whole
    return whole


def request(data: bytes, settings: Http1Settings = SETTINGS) -> Dict[str, Any]:
    """The fields of the first request in `data`."""
    first = said_at_every_split(data, settings)[0]
    assert first[0] == "request", first
    names = ("method", "target", "version", "path", "authority", "scheme", "upgrade", "keep_alive")
    return dict(zip((*names, "expect_continue", "end_stream", "headers"), first[1:]))


def header_lines(lines: bytes) -> Tuple[Tuple[str, str], ...]:
    """The headers of a request with these lines."""
    headers = request(b"GET / HTTP/1.1\r\n" + H + lines + b"\r\n")["headers"]
    assert isinstance(headers, tuple)
    return headers


def test_a_plain_request_has_all_its_parts() -> None:
    got = request(b"GET /p?q=1 HTTP/1.1\r\nHost: example.test:80\r\nUser-Agent: x\r\nX-Mixed-Case: Y\r\n\r\n")
    assert got == {
        "method": "GET",
        "target": "/p?q=1",
        "version": "HTTP/1.1",
        "path": "/p?q=1",
        "authority": "example.test:80",
        "scheme": "",
        "upgrade": "",
        "keep_alive": True,
        "expect_continue": False,
        "end_stream": True,
        "headers": (("user-agent", "x"), ("x-mixed-case", "Y")),
    }


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nhost: t\n\n",
        b"GET / HTTP/1.1\r\nhost: t\n\r\n",
        b"GET / HTTP/1.1\nhost: t\r\n\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
        b"\n\r\rGET / HTTP/1.1\r\nhost: t\r\n\r\n",
        b"GET / HTTP/1.1\r\r\nhost: t\r\n\r\n",
        b"GET / HTTP/1.1 \t\r\nhost: t\r\n\r\n",
        b"GET  /\t HTTP/1.1\r\nhost: t\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost:t\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost:\t t \r\n\r\n",
    ],
)
def test_tolerated_spellings_of_the_same_request_mean_the_same(data: bytes) -> None:
    plain = server_says([b"GET / HTTP/1.1\r\nhost: t\r\n\r\n"])
    assert said_at_every_split(data) == plain


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (b"a: one\r\n two\r\n", "one two"),
        (b"a: one\r\n\ttwo\r\n", "one\ttwo"),
        (b"a: one  \r\n   two  \r\n \t three\r\n", "one     two   \t three"),
        (b"a: one\n two\n", "one two"),
        (b"a: one\r\n \r\n", "one"),
        (b"a:\r\n two\r\n", "two"),
        (b"a: one\r\n b: two\r\n", "one b: two"),
        (b"a: v\rw\r\n", "vw"),
        (b"a: v\r\r\r\n", "v"),
        (b"a:\rv\r\n", "v"),
        (b"a: v\tw\r\n", "v\tw"),
        (b"a: \xff\x80\r\n", "\xff\x80"),
        (b"a:   \r\n", ""),
        (b"a:\r\n", ""),
        (b"a: b: c\r\n", "b: c"),
    ],
)
def test_values_come_out_as_envoy_reads_them(lines: bytes, value: str) -> None:
    assert header_lines(lines) == (("a", value),)


def test_every_token_character_may_be_in_a_name() -> None:
    assert header_lines(b"!#$%&'*+-.^_`|~09aZ: v\r\n") == (("!#$%&'*+-.^_`|~09az", "v"),)


def test_repeats_of_names_with_a_slot_are_joined_and_others_stay_lines() -> None:
    lines = b"Accept: a\r\nx-d: 1\r\nCookie: c=1\r\nACCEPT: b\r\nX-D: 2\r\ncookie: c=2\r\naccept:\r\n"
    assert header_lines(lines) == (
        ("accept", "a,b"),
        ("x-d", "1"),
        ("cookie", "c=1"),
        ("x-d", "2"),
        ("cookie", "c=2"),
    )


def test_two_hosts_become_one_with_a_comma() -> None:
    assert request(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")["authority"] == "a,b"


def test_a_missing_host_and_an_empty_one_are_told_apart() -> None:
    assert request(b"GET / HTTP/1.1\r\n\r\n")["authority"] is None
    assert request(b"GET / HTTP/1.1\r\nhost:\r\n\r\n")["authority"] == ""


@pytest.mark.parametrize(
    ("target", "scheme", "authority", "path"),
    [
        ("http://u/p", "http", "u", "/p"),
        ("HTTP://U/p?x", "http", "U", "/p?x"),
        ("https://u:8443/", "https", "u:8443", "/"),
        ("http://u", "http", "u", "/"),
        ("http://u?x=1", "http", "u", "?x=1"),
        ("http://a:b@u/p", "http", "u", "/p"),
        ("http://@u/p", "http", "u", "/p"),
        ("http://u:080/p", "http", "u:080", "/p"),
        ("http://u:0/p", "http", "u:0", "/p"),
        ("http://[::1]:80/p", "http", "[::1]:80", "/p"),
        ("http://[::1]/p", "http", "[::1]", "/p"),
        ("http://u./p#f", "http", "u.", "/p#f"),
        ("http://u/?x=http://y/", "http", "u", "/?x=http://y/"),
    ],
)
def test_an_absolute_target_replaces_the_host_header(
    target: str, scheme: str, authority: str, path: str
) -> None:
    got = request(f"GET {target} HTTP/1.1\r\nhost: other\r\n\r\n".encode())
    assert (got["target"], got["scheme"], got["authority"], got["path"]) == (target, scheme, authority, path)
    assert got["headers"] == ()


def test_absolute_targets_are_left_alone_when_they_are_not_allowed() -> None:
    got = request(b"GET http://u/p HTTP/1.1\r\nhost: t\r\n\r\n", Http1Settings(allow_absolute_url=False))
    assert (got["scheme"], got["authority"], got["path"]) == ("", "t", "http://u/p")


def test_options_may_ask_about_the_server_itself() -> None:
    assert request(b"OPTIONS * HTTP/1.1\r\nhost: t\r\n\r\n")["path"] == "*"


def test_unusual_characters_in_a_path_pass() -> None:
    path = '/"<>\\^`{|}#'
    assert request(f"GET {path} HTTP/1.1\r\nhost: t\r\n\r\n".encode())["path"] == path


def test_custom_methods_need_the_switch() -> None:
    got = request(b"frob-2 / HTTP/1.1\r\nhost: t\r\n\r\n", Http1Settings(allow_custom_methods=True))
    assert got["method"] == "frob-2"


@pytest.mark.parametrize(
    ("version", "lines", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"connection: close\r\n", False),
        (b"1.1", b"connection: keep-alive, CLOSE\r\n", False),
        (b"1.1", b"connection: a\r\nconnection: close\r\n", False),
        (b"1.1", b'connection: "close"\r\n', True),
        (b"1.1", b"proxy-connection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"connection: Keep-Alive\r\n", True),
        (b"1.2", b"", False),
    ],
)
def test_whether_the_connection_goes_on(version: bytes, lines: bytes, keep_alive: bool) -> None:
    data = b"GET / HTTP/" + version + b"\r\n" + H + lines + b"\r\n"
    got = request(data, Http1Settings(accept_http_10=True))
    assert got["keep_alive"] is keep_alive
    assert got["version"] == ("HTTP/1.1" if version == b"1.1" else "HTTP/1.0")


def test_a_request_without_a_version_is_its_line_alone() -> None:
    settings = Http1Settings(accept_http_10=True)
    said = said_at_every_split(b"GET /1\r\nhost: q\r\n\r\nGET /2\r\n\r\n", settings)
    assert len(said) == 2
    assert said[0][1:6] == ("GET", "/1", "HTTP/1.0", "/1", None)
    assert said[1] == ("end", None)


def test_headers_that_connection_names_are_taken_out() -> None:
    lines = b"connection: keep-alive, X-Foo\r\nx-foo: 1\r\nx-foo: 2\r\nx-bar: 3\r\n"
    assert header_lines(lines) == (("connection", "keep-alive"), ("x-bar", "3"))
    assert header_lines(b"connection: x-foo\r\nx-foo: 1\r\n") == ()


def test_te_is_kept_for_trailers_only_if_connection_names_it() -> None:
    assert header_lines(b"connection: te\r\nte: gzip, Trailers\r\n") == (
        ("connection", "te"),
        ("te", "trailers"),
    )
    assert header_lines(b"connection: te\r\nte: gzip\r\n") == ()


def test_connection_can_take_out_a_length_but_not_change_the_framing() -> None:
    data = b"POST / HTTP/1.1\r\n" + H + b"connection: content-length\r\ncontent-length: 3\r\n\r\nabc"
    said = said_at_every_split(data)
    assert [entry[0] for entry in said] == ["request", "data", "end"]
    assert said[1] == ("data", b"abc")
    assert said[0][-1] == ()


@pytest.mark.parametrize(
    ("length", "body"),
    [(b"3", b"abc"), (b"003", b"abc"), (b"0" * 40 + b"3", b"abc"), (b"0", b""), (b"00", b"")],
)
def test_a_body_of_known_length_ends_where_it_says(length: bytes, body: bytes) -> None:
    head = b"POST / HTTP/1.1\r\n" + H + b"content-length: " + length + b"\r\n\r\n"
    said = said_at_every_split(head + body + b"GET /next HTTP/1.1\r\n" + H + b"\r\n")
    assert [entry[1] for entry in said if entry[0] == "data"] == ([body] if body else [])
    assert [entry[2] for entry in said if entry[0] == "request"] == ["/", "/next"]
    assert said[0][10] is (not body)


def test_a_very_large_length_is_waited_for() -> None:
    head = b"POST / HTTP/1.1\r\n" + H + b"content-length: 18446744073709551615\r\n\r\n"
    assert server_says([head + b"abc"])[1:] == [("data", b"abc")]


@pytest.mark.parametrize(
    ("chunks", "body"),
    [
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
        (b"0" * 40 + b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b'3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n', b"abc"),
        (b"3 ;a\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"3 \t\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"3;\x00\xff\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"1\r\na\r\n1\r\nb\r\n2\r\n\r\n\r\n0\r\n\r\n", b"ab\r\n"),
        (b"0\r\n\r\n", b""),
        (b"0\r\n\n", b""),
    ],
)
def test_chunks_are_put_together_and_the_next_request_is_found(chunks: bytes, body: bytes) -> None:
    head = b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: ChunKed\r\n\r\n"
    said = said_at_every_split(head + chunks + b"GET /next HTTP/1.1\r\n" + H + b"\r\n")
    assert [entry[1] for entry in said if entry[0] == "data"] == ([body] if body else [])
    assert [entry[2] for entry in said if entry[0] == "request"] == ["/", "/next"]


def test_trailers_are_delivered_only_when_they_are_enabled() -> None:
    head = b"POST / HTTP/1.1\r\n" + H + b"transfer-encoding: chunked\r\n\r\n0\r\n"
    for ending in (b"X: y\r\nA: b\r\n c\r\n\r\n", b"X: y\nA: b c\n\n"):
        said = said_at_every_split(head + ending)
        assert said[-1] == ("end", (("x", "y"), ("a", "b c")))
        assert said_at_every_split(head + ending, Http1Settings())[-1] == ("end", None)


def test_a_length_beside_chunks_is_dropped_if_the_settings_allow_it() -> None:
    data = (
        b"POST / HTTP/1.1\r\n"
        + H
        + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    )
    said = said_at_every_split(data, Http1Settings(allow_chunked_length=True))
    assert said[0][-1] == (("transfer-encoding", "chunked"),)
    assert said[1:] == [("data", b"a"), ("end", None)]


@pytest.mark.parametrize(
    ("value", "waits"),
    [(b"100-continue", True), (b"100-Continue", True), (b"100-continue, x", False), (b"y", False)],
)
def test_an_expectation_of_100_continue_is_seen(value: bytes, waits: bool) -> None:
    data = b"POST / HTTP/1.1\r\n" + H + b"expect: " + value + b"\r\ncontent-length: 3\r\n\r\n"
    assert request(data)["expect_continue"] is waits


@pytest.mark.parametrize(
    ("lines", "upgrade"),
    [
        (b"upgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n", "WebSocket"),
        (b"upgrade: websocket\r\n", ""),
        (b"upgrade: websocket\r\nconnection: close\r\n", ""),
        (b"upgrade: h2c, websocket\r\nconnection: upgrade\r\n", "h2c, websocket"),
    ],
)
def test_an_upgrade_needs_both_headers(lines: bytes, upgrade: str) -> None:
    assert request(b"GET / HTTP/1.1\r\n" + H + lines + b"\r\n")["upgrade"] == upgrade


def test_an_upgrade_to_h2c_is_served_as_http_1() -> None:
    lines = b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: x\r\n"
    lines += b"content-length: 3\r\n"
    said = said_at_every_split(b"POST / HTTP/1.1\r\n" + H + lines + b"\r\nabc")
    assert said[0][7] == ""
    assert said[0][-1] == (("connection", "upgrade"), ("content-length", "3"))
    assert said[1:] == [("data", b"abc"), ("end", None)]


@pytest.mark.parametrize("target", ["t:80", "1.2.3.4:5", "[::1]:80", "t:00080", "t:0"])
def test_connect_names_host_and_port_and_what_follows_are_raw_bytes(target: str) -> None:
    data = f"CONNECT {target} HTTP/1.1\r\nhost: other\r\ncontent-length: 0\r\n\r\n".encode()
    for pieces in splits(data + b"GET / HTTP/1.1\r\n\r\n", random_ways=3):
        said = server_says(pieces, eof=False)
        assert said[0][1:8] == ("CONNECT", target, "HTTP/1.1", "", target, "", "connect")
        assert said[0][-1] == ()
        assert said[1:] == [("data", b"GET / HTTP/1.1\r\n\r\n")]


def test_pipelined_requests_come_one_after_the_other() -> None:
    data = b"".join(b"GET /%d HTTP/1.1\r\n" % n + H + b"\r\n" for n in range(5))
    said = said_at_every_split(data)
    assert [entry[2] for entry in said if entry[0] == "request"] == ["/0", "/1", "/2", "/3", "/4"]


def test_what_follows_a_request_that_closes_is_ignored() -> None:
    data = b"GET / HTTP/1.1\r\n" + H + b"connection: close\r\n\r\nGET /2 HTTP/1.1\r\n" + H + b"\r\n"
    assert [entry[0] for entry in said_at_every_split(data)] == ["request", "end"]
