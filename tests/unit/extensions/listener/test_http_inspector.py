"""http_inspector in front of one socket, and the request-line reader behind it. The tables are measured on Envoy 1.40."""

from __future__ import annotations

import random
from typing import Any, Dict

import pytest

from proxy_core.errors import ConfigError
from proxy_core.extensions.listener.http_inspector import EXTENSION
from proxy_core.testing.splits import bytewise, splits
from tests.support.inspected import Context, Inspected, hello, prepare

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
COUNTERS = ("http10_found", "http11_found", "http2_found", "http_not_found", "read_error")

IS_11 = (
    b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\n", b"GET  / HTTP/1.1\r\n", b"GET /  HTTP/1.1 \t\r\n",
    b"GET\t/\tHTTP/1.1\r\n", b"GET\x0b/ HTTP/1.1\r\n", b"GET\r/ HTTP/1.1\r\n",
    b"GET \x01/ \x01HTTP/1.1\x01\r\n", b"get / HTTP/1.1\r\n", b"FOO / HTTP/1.1\r\n",
    b"!#$%&'*+-.^_`|~09az / HTTP/1.1\r\n", b"GET http://a HTTP/1.1\r\n", b"GET http://a/b?c#d HTTP/1.1\r\n",
    b"GET http:// HTTP/1.1\r\n", b"GET h2tp://a HTTP/1.1\r\n", b"GET a+b-c.d://x HTTP/1.1\r\n",
    b"GET http://a@b@c HTTP/1.1\r\n", b"GET http://@ HTTP/1.1\r\n", b"GET http://a?b#c HTTP/1.1\r\n",
    b"GET http://[::1]:8/ HTTP/1.1\r\n", b"GET * HTTP/1.1\r\n", b"GET *abc HTTP/1.1\r\n",
    b"GET /~!@#$%^&*()_+{}|:\"<>?`-=[]\\;',. HTTP/1.1\r\n", b"CONNECT a:1 HTTP/1.1\r\n",
    b"CONNECT a HTTP/1.1\r\n", b"CONNECT /a HTTP/1.1\r\n", b"CONNECT a/b HTTP/1.1\r\n",
    b"CONNECT ?b HTTP/1.1\r\n", b"CONNECT http://a HTTP/1.1\r\n", b"CONNECT @b HTTP/1.1\r\n",
    b"CONNECT !ab:1 HTTP/1.1\r\n", b"PRI / HTTP/1.1\r\n", b"GET /HTTP/1.1\r\n", b"GET /xHTTP/1.1\n",
    b"GET / HTTP/1.1\r\r\n", b"GET / HTTP/1.1\0\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)
IS_10 = (
    b"GET / HTTP/1.0\r\n", b"GET /\r\n", b"GET /\n", b"GET / \r\n", b"FOO\t *\n", b"GET / HTTP/2.0\r\n",
    b"GET / HTTP/0.9\r\n", b"GET / HTTP/9.9\r\n", b"hello /w\r\n", b"CONNECT ab:1HTTP/1.0\r\n",
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/2.0\r\nX", b"PRI * HTTP/2.0\n\n",
)
IS_NOT = (
    b"GET\r\n", b"GET \r\n", b"GET \n", b"A\n", b"\n", b"\r", b"\r\nGET / HTTP/1.1\r\n",
    b" GET / HTTP/1.1\r\n", b"GET / HTTP/1.1 x\r\n", b"GET / HTTP/1.1\rX\n", b"GET / HTTP/1.1\0x\r\n",
    b"GET / HTTP/3\r\n", b"GET / HTTP/1.12\r\n", b"GET / http/1.1\r\n", b"GET / HTTP/a.1\r\n",
    b"GET / HTTPS/1.1\r\n", b"GET / HTTP/1,1\r\n", b"GET / HTTP/\r\n", b"GET / H\r\n", b"GET\0/ HTTP/1.1\r\n",
    b"GET\x01/ HTTP/1.1\r\n", b"GET\x1f/ HTTP/1.1\r\n", b"hello\r\n", b"hello world\r\n",
    b"(GET / HTTP/1.1\r\n", b"G@T / HTTP/1.1\r\n", b"{\"a\":1}\r\n", b"GET x HTTP/1.1\r\n",
    b"GET http:/a HTTP/1.1\r\n", b"GET http: HTTP/1.1\r\n", b"GET 1a://x HTTP/1.1\r\n",
    b"GET +a://x HTTP/1.1\r\n", b"GET a_b://x HTTP/1.1\r\n", b"GET http://a@@c HTTP/1.1\r\n",
    b"GET http://a#b HTTP/1.1\r\n", b"GET http://a<b HTTP/1.1\r\n", b"GET ?a HTTP/1.1\r\n",
    b"GET /\x7f HTTP/1.1\r\n", b"GET /\x80 HTTP/1.1\r\n", b"GET /a\x0cb HTTP/1.1\r\n",
    b"CONNECT a<b HTTP/1.1\r\n", b"CONNECTX a HTTP/1.1\r\n", b"CONNEC a HTTP/1.1\r\n",
    b"connect a:1 HTTP/1.1\r\n", b"CONNECT a@@b HTTP/1.1\r\n", b"\0\1\2\3" * 10, b"SSH-2.0-c\r\n",
    b"GET/ HTTP/1.1\r\n", b"F\x80O *\n", b"\x80",
)


def inspect(*pieces: bytes, ended: bool = False, transport_protocol: str = "") -> Inspected:
    return Inspected(prepare(EXTENSION, Context()), transport_protocol).feed(*pieces, ended=ended)


def counted(*pieces: bytes) -> Dict[str, int]:
    context = Context()
    Inspected(prepare(EXTENSION, context)).feed(*pieces)
    values = {name: context.value(f"http_inspector.{name}") for name in COUNTERS}
    return {name: value for name, value in values.items() if value}


CASES = [
    *((data, "http/1.1", "http11_found") for data in IS_11), *((data, "http/1.0", "http10_found") for data in IS_10),
    *((data, "", "http_not_found") for data in IS_NOT), (PREFACE, "h2c", "http2_found"),
    (PREFACE + b"\0\0\0", "h2c", "http2_found"),
]


@pytest.mark.parametrize("data, protocol, counter", CASES)
def test_the_protocol_is_found_however_the_bytes_are_cut(data: bytes, protocol: str, counter: str) -> None:
    for pieces in splits(data, two_way_limit=30, random_ways=3):
        one = inspect(*pieces)
        assert one.verdict == "passed" and one.socket.application_protocols == ((protocol,) if protocol else ())
    assert counted(data) == {counter: 1}


@pytest.mark.parametrize("data", [*IS_11, *IS_10, PREFACE])
def test_a_line_without_its_end_waits_and_an_end_there_is_refused(data: bytes) -> None:
    last = len(PREFACE) if data == PREFACE else data.index(b"\n") + 1
    for length in range(last):
        assert inspect(data[:length]).verdict == "waits"
        assert inspect(data[:length], ended=True).verdict == "refused"
    assert counted(data[:last - 1]) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"\x16", b"\0", b"\r", b"\n", b"GE(", b"GE\x01", b"GET\n", b"GET ?", b"GET x ", b"GET x\n",
        b"GET /\x80", b"GET http:a", b"GET / X", b"GET / HTTP/1.1 x", b"GET / HTTP/11", b"PRI *  HTTP/2.0 x",
        b"CONNECT a<", b"GET a@",
    ],
)
def test_what_cannot_become_a_request_line_passes_with_the_byte_that_says_so(data: bytes) -> None:
    """Envoy looks beyond the method only when the line is complete, and waits until its timeout for that."""
    assert inspect(data[:-1]).verdict == "waits"
    assert inspect(data).verdict == "passed"
    assert counted(data) == {"http_not_found": 1}


def test_the_end_of_the_client_is_no_matter_once_the_line_is_there() -> None:
    """Envoy rejects it: it sees the end first."""
    one = Inspected(prepare(EXTENSION, Context()))
    one.data += b"GET / HTTP/1.1\r\n\r\n"
    one.ask(True)
    assert one.verdict == "passed" and one.socket.application_protocols == ("http/1.1",)


def test_behind_tls_it_does_not_look() -> None:
    assert inspect(transport_protocol="tls").calls == 0
    assert inspect(transport_protocol="tls").verdict == "passed"
    assert inspect(transport_protocol="raw_buffer").verdict == "waits"


def test_protocols_of_a_hello_are_not_overwritten() -> None:
    one = inspect(hello())
    assert one.verdict == "passed" and one.socket.application_protocols == ()


def test_the_longest_line_passes_and_one_byte_more_is_closed() -> None:
    frame = len(b"GET / HTTP/1.1\n")
    fits = b"GET /" + b"a" * (65536 - frame) + b" HTTP/1.1\n"
    assert inspect(fits).socket.application_protocols == ("http/1.1",)
    for data in (b"GET /" + b"a" * (65537 - frame) + b" HTTP/1.1\n", b"a" * 65536):
        one = inspect(data)
        assert one.verdict == "closed"
        assert one.reason == "http_inspector: no end of a request line in 65536 bytes"
        assert counted(data) == {"read_error": 1}
    assert inspect(b"a" * 65535).verdict == "waits"


def test_the_window_grows_up_to_the_limit() -> None:
    one = Inspected(prepare(EXTENSION, Context()))
    sizes = set()
    for _ in range(65):
        one.feed(b"a" * 1000)
        sizes.add(one.filter.most_bytes)
    assert sorted(sizes) == [8192, 16384, 32768, 65536]


def test_a_line_that_comes_byte_by_byte_is_looked_at_once() -> None:
    one = Inspected(prepare(EXTENSION, Context()))
    line = one.filter._line
    for byte in bytewise(b"GET /" + b"a" * 500):
        before = line.position
        one.feed(byte)
        assert line.position - before == 1


def test_thousands_of_broken_lines_get_the_same_verdict_whole_and_byte_by_byte() -> None:
    generator = random.Random(11)
    models = [b"GET / HTTP/1.1\r\n", b"GET http://ab.c:8/d?e HTTP/1.1\r\n", b"CONNECT ab:1 HTTP/1.0\r\n", b"FOO *\n", PREFACE]
    alphabet = b"/:@?#.*HTP10 \r\t\0\x7f\x80abC<\"!~%\n"
    make = prepare(EXTENSION, Context())
    seen: Dict[Any, int] = {}
    for _ in range(3000):
        data = bytearray(generator.choice(models))
        for _ in range(generator.choice((1, 2, 4))):
            at = generator.randrange(len(data))
            data[at:at + generator.randint(0, 1)] = bytes([generator.choice(alphabet)])
        whole = Inspected(make).feed(bytes(data), ended=True).facts()
        assert Inspected(make).feed(*bytewise(bytes(data)), ended=True).facts() == whole
        key = whole["verdict"], whole["protocols"]
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 5, seen


def test_there_is_nothing_to_configure() -> None:
    with pytest.raises(ConfigError):
        prepare(EXTENSION, Context(), max_bytes=1)
