"""Requests that two servers may read differently, sent through a running engine to an upstream that believes nothing.

Each family of request smuggling is here (RFC 9112 section 11.2): what reaches the upstream is one well-formed request or
none, the next client gets the answer to its own question, and the answer is Envoy's. The other direction as well: what a bad
upstream says must not reach the wrong client, nor become a second response.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest

from tests.support.http_live import Client, Ended, fetch, http_bootstrap, request
from tests.support.http_upstream import RecordingUpstream
from tests.support.live import Engine, until

pytestmark = pytest.mark.live

OTHER_ENGINE = "PROXY_CORE_TEST_ENGINE" in os.environ
# Envoy skips what stands between a chunk's data and the next LF, and sees no coding at all in the last two.
LENIENT = {
    "chunk: more data than the size", "chunk: less data than the size", "chunk: LF after the data",
    "coding: chunked and an empty one", "coding: a CR in chunked",
}

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n"
POST = b"POST /first HTTP/1.1\r\nHost: t\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"
HELLO = b"5\r\nhello\r\n" + END


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST with these header lines, and what follows them."""
    return POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def headed(*lines: bytes) -> bytes:
    """A GET with these header lines, and a hidden request after it, which is its body if one of the lines says so."""
    return b"GET /first HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


LENGTHS = {
    "twice, alike": post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "twice, different": post(b"Content-Length: 0", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
    "a list": post(b"Content-Length: 5, 5", body=b"hello"),
    "a plus sign": post(b"Content-Length: +5", body=b"hello"),
    "a minus sign": post(b"Content-Length: -5", body=b"hello"),
    "in hexadecimal": post(b"Content-Length: 0x5", body=b"hello"),
    "an underscore": post(b"Content-Length: 1_0", body=b"hellohello"),
    "a fraction": post(b"Content-Length: 5.0", body=b"hello"),
    "a space inside": post(b"Content-Length: 1 0", body=b"hello"),
    "empty": post(b"Content-Length:", body=HIDDEN),
    "more than 64 bits": post(b"Content-Length: 18446744073709551621", body=b"hello"),
    "digits that are not ASCII": post("Content-Length: \u0665".encode(), body=b"hello"),
    "a space before the colon": post(b"Content-Length : 5", body=b"hello"),
    "a NUL in it": post(b"Content-Length: 5\0", body=b"hello"),
    "a CR in it": post(b"Content-Length: 5\r0", body=b"hello"),
}
BOTH = {
    "CL.TE": post(b"Content-Length: %d" % (5 + len(HIDDEN)), CHUNKED, body=b"0\r\n\r\n" + HIDDEN),
    "TE.CL": post(CHUNKED, b"Content-Length: 4", body=b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"),
    "a folded TE": post(b"Content-Length: 5", b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a TE after a bare LF": POST + b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN,
}
CODINGS = {
    "chunked twice": (post(CHUNKED, CHUNKED, body=b"0\r\n\r\n" + HIDDEN), 501),
    "chunked and identity": (post(CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n" + HIDDEN), 501),
    "chunked and an empty one": (post(CHUNKED, b"Transfer-Encoding:", body=END + HIDDEN), 501),
    "a CR in chunked": (post(b"Transfer-Encoding: c\rhunked", body=END + HIDDEN), 400),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "xchunked": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + HIDDEN), 501),
    "identity": (post(b"Transfer-Encoding: identity", body=HIDDEN), 501),
    "a quoted chunked": (post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 501),
    "a list with nothing": (post(b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n"), 501),
    "a vertical tab": (post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    "a space before the colon": (post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a tab before the colon": (post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a control byte in the name": (post(b"Transfer\x01-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a NUL in the name": (post(b"Transfer-Encoding\0: chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a line without a colon": (post(b"Transfer-Encoding chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 426),
}
HEADS = {
    "a NUL in a value": headed(b"Host: t", b"X: a\0b"),
    "a bell in a value": headed(b"Host: t", b"X: a\x07b"),
    "a name that is empty": headed(b"Host: t", b": x"),
    "a first line that is folded": b"GET /first HTTP/1.1\r\n Host: t\r\n\r\n",
    "a space in the path": b"GET /first /second HTTP/1.1\r\nHost: t\r\n\r\n",
    "a host with a path": headed(b"Host: t/first"),
    "no host": headed(b"X: y"),
    "another protocol's name": b"GET /first HTTPS/1.1\r\nHost: t\r\n\r\n",
    "x-forwarded-for to be removed by Connection": headed(b"Host: t", b"Connection: close, X-Forwarded-For"),
}
# In a chunked body: the bad size reaches the engine after the request may have gone on, and it must not be completed.
CHUNKS = {
    "0x before the size": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a sign before the size": b"+5\r\nhello\r\n0\r\n\r\n",
    "a space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "a size of 64 bits and five": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "an underscore in the size": b"1_0\r\nhellohello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "only an extension": b";x=5\r\nhello\r\n0\r\n\r\n",
    "more data than the size": b"5\r\nhelloX\r\n0\r\n\r\n",
    "less data than the size": b"6\r\nhello\r\n0\r\n\r\n",
    "LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "LF after the last chunk": b"5\r\nhello\r\n0\n\n" + HIDDEN,
    "a trailer without a colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "a trailer with a NUL": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
}


# One meaning after all: what the upstream gets, less the headers that every request has.
UNDERSTOOD: Dict[str, Tuple[bytes, List[str], Dict[str, str]]] = {
    "a folded value": (headed(b"Host: t", b"X: a", b" b"), ["GET /first"], {"x": "a b"}),
    "a folded coding": (
        post(b"Transfer-Encoding:", b" chunked", body=HELLO), ["POST /first hello"], {"transfer-encoding": "chunked"},
    ),
    "two hosts are one that nobody has": (headed(b"Host: a", b"Host: b"), ["GET /first"], {"host": "a,b"}),
    "the absolute form wins over Host": (b"GET http://b/first HTTP/1.1\r\nHost: a\r\n\r\n", ["GET /first"], {"host": "b"}),
    "bare LF all over": (b"GET /first HTTP/1.1\nHost: t\nX: y\n\n", ["GET /first"], {"x": "y"}),
    "a CR in a value goes": (headed(b"Host: t", b"X: a\rY: b"), ["GET /first"], {"x": "aY: b"}),
    "Chunked, a tab around it": (
        post(b"Transfer-Encoding: \tcHUNKED\t", body=HELLO), ["POST /first hello"], {"transfer-encoding": "chunked"},
    ),
    "a chunk extension goes": (post(CHUNKED, body=b'5;x="y;z"\r\nhello\r\n' + END), ["POST /first hello"], {}),
    "zeros before a size": (post(CHUNKED, body=b"0000000005\r\nhello\r\n" + END), ["POST /first hello"], {}),
    "trailers that frame go": (
        post(CHUNKED, body=b"5\r\nhello\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\n"), ["POST /first hello"], {},
    ),
    "Connection: Content-Length": (
        post(b"Content-Length: 5", b"Connection: Content-Length", body=b"hello"),
        ["POST /first hello"], {"transfer-encoding": "chunked"},
    ),
    "Connection: Transfer-Encoding": (
        post(CHUNKED, b"Connection: Transfer-Encoding", body=HELLO), ["POST /first hello"], {},
    ),
    "zeros before a length": (post(b"Content-Length: 005", body=b"hello"), ["POST /first hello"], {}),
    "Content_Length is no length": (post(b"Content_Length: 5", body=HIDDEN), ["POST /first", "GET /hidden"], {}),
    "no length is none": (post(body=HIDDEN), ["POST /first", "GET /hidden"], {"content-length": "0"}),
    "the body of a GET": (
        headed(b"Host: t", b"Content-Length: %d" % len(HIDDEN)) + HIDDEN,
        [f"GET /first {HIDDEN.decode()}"], {"content-length": str(len(HIDDEN))},
    ),
    "an upgrade to h2c is none": (
        headed(b"Host: t", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAM") + HIDDEN,
        ["GET /first", "GET /hidden"], {},
    ),
    "an escaped CRLF stays escaped": (b"GET /a%0d%0aX:%20y HTTP/1.1\r\nHost: t\r\n\r\n", ["GET /a%0d%0aX:%20y"], {}),
    "two in a row": (headed(b"Host: t") + HIDDEN, ["GET /first", "GET /hidden"], {}),
}


def refused() -> Dict[str, Tuple[bytes, int]]:
    """What is sent, and the status of the only answer, after which the connection ends."""
    found = {f"coding: {name}": one for name, one in CODINGS.items()}
    for kind, group in (("length", LENGTHS), ("both", BOTH), ("head", HEADS)):
        found.update({f"{kind}: {name}": (sent, 400) for name, sent in group.items()})
    found.update({f"chunk: {name}": (post(CHUNKED, body=body), 400) for name, body in CHUNKS.items()})
    return found


REFUSED = refused()
CUTS: Dict[str, Callable[[bytes], List[bytes]]] = {
    "whole": lambda data: [data],
    "bytewise": lambda data: [data[index:index + 1] for index in range(len(data))],
}


class Proxied(NamedTuple):
    """A running engine before a recording upstream. Connections that end badly end soon."""

    engine: Engine
    upstream: RecordingUpstream

    def victim(self, name: str) -> None:
        """The next client gets the answer to its own question, and nobody else is heard at the upstream."""
        answer = fetch(self.engine, "/victim")
        assert (answer.status, answer.body) == (200, b"GET /victim"), name
        assert self.upstream.lines() == ["GET /victim"], name
        assert self.upstream.violations == [], name


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    scripted = {f"/{number}": said for number, (said, *_) in enumerate(SAID.values())}
    with RecordingUpstream(scripted) as upstream:
        config = http_bootstrap(upstream.port, delayed_close_timeout="0.01s")
        with Engine(config, tmp_path_factory.mktemp("smuggling")) as running:
            yield Proxied(running, upstream)


@pytest.mark.parametrize("cut", list(CUTS))
def test_what_could_be_read_in_two_ways_is_refused_and_reaches_nobody(proxied: Proxied, cut: str) -> None:
    for name, (sent, status) in REFUSED.items():
        if OTHER_ENGINE and name in LENIENT:
            continue
        with Client(proxied.engine.port()) as client:
            for piece in CUTS[cut](sent):
                if not client.try_send(piece):
                    break  # refused before the end
            assert client.answer().status == status, name
            assert client.ends(), name
        assert proxied.upstream.lines() == [], name
        proxied.victim(name)


@pytest.mark.parametrize("cut", list(CUTS))
def test_what_is_understood_arrives_as_one_request_that_everybody_reads_alike(proxied: Proxied, cut: str) -> None:
    for name, (sent, arrives, headers) in UNDERSTOOD.items():
        with Client(proxied.engine.port()) as client:
            for piece in CUTS[cut](sent):
                client.send(piece)
            answers = [client.answer() for _ in arrives]
            assert [answer.body.decode("latin-1") for answer in answers] == arrives, name
            first = proxied.upstream.requests[0]
            assert {key: first.header(key) for key in headers} == headers, name
            assert proxied.upstream.lines() == arrives, name
            assert client.ask(request("/after")).body == b"GET /after", name  # nothing is left over
            assert proxied.upstream.lines() == ["GET /after"], name
        proxied.victim(name)


def test_a_body_larger_than_any_memory_is_announced_and_never_finished(proxied: Proxied) -> None:
    with Client(proxied.engine.port()) as client:
        client.send(post(CHUNKED, body=b"ffffffffffffffff\r\n" + HIDDEN))
        proxied.victim("2**64 - 1")
    proxied.victim("2**64 - 1, and gone")


# -- the other direction -----------------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"content-length: 5\r\n\r\nhello"
SECOND = b"HTTP/1.1 200 OK\r\nset-cookie: evil\r\ncontent-length: 6\r\n\r\nhidden"
CHUNKED_OK = OK + b"transfer-encoding: chunked\r\n\r\n"
GOOD, BAD = (200, b"hello"), (502, b"upstream connect error or disconnect/reset before headers. reset reason: protocol error")
# What the upstream says; the status and body that the client gets, None: the connection ends within the answer; whether the
# upstream's connection may serve another request.
SAID: Dict[str, Tuple[bytes, Optional[Tuple[int, bytes]], bool]] = {
    "a second response behind the first": (OK + FIVE + SECOND, GOOD, False),
    "a second one behind chunks": (CHUNKED_OK + b"5\r\nhello\r\n" + END + SECOND, GOOD, False),
    "a second one behind a 204": (b"HTTP/1.1 204 No Content\r\n\r\n" + SECOND, (204, b""), False),
    "a body behind a 304": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 6\r\n\r\nhidden", (304, b""), False),
    "a length and chunks": (OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nhello\r\n" + END, BAD, False),
    "two lengths": (OK + b"content-length: 6\r\n" + FIVE, BAD, False),
    "two equal lengths": (OK + b"content-length: 5\r\n" + FIVE, BAD, False),
    "a length with a sign": (OK + b"content-length: +5\r\n\r\nhello", BAD, False),
    "chunked twice": (OK + CHUNKED + b"\r\n" + CHUNKED + b"\r\n\r\n5\r\nhello\r\n" + END, BAD, False),
    "another coding": (OK + b"transfer-encoding: gzip\r\n\r\nhello", BAD, False),
    "a space before the colon": (OK + b"transfer-encoding : chunked\r\n\r\n5\r\nhello\r\n" + END, BAD, False),
    "a fold that looks like a header": (OK + b"x: a\r\n\tset-cookie: evil\r\n" + FIVE, GOOD, True),
    "a bare CR that looks like an end": (OK + b"x: a\rset-cookie: evil\r\n" + FIVE, GOOD, True),
    "a CR before an end of line": (OK + b"x: a\r\r\n" + FIVE, GOOD, True),
    "a CR at the start of a line": (OK + b"x: a\r\n\rset-cookie: evil\r\n" + FIVE, BAD, False),
    "a CR in the reason": (b"HTTP/1.1 200 O\rset-cookie: evil\r\n" + FIVE, GOOD, True),
    "an escaped CRLF": (OK + b"location: /%0d%0aset-cookie:%20evil\r\n" + FIVE, GOOD, True),
    "a NUL in a value": (OK + b"x: a\0b\r\n" + FIVE, BAD, False),
    "a line without a colon": (OK + b"hello\r\n" + FIVE, BAD, False),
    "a pseudo header": (OK + b":status: 500\r\n" + FIVE, BAD, False),
    "a status of two digits": (b"HTTP/1.1 99 OK\r\n" + FIVE, BAD, False),
    "no HTTP": (b"hello\r\n\r\n", BAD, False),
    "an early 103 is swallowed": (b"HTTP/1.1 103 Early\r\nset-cookie: evil\r\n\r\n" + OK + FIVE, GOOD, True),
    "a 103 with a body": (b"HTTP/1.1 103 Early\r\n" + FIVE + SECOND, BAD, False),
    "a 101 that nobody asked for": (b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" + SECOND, (101, b""), False),
    "a 204 with a length": (b"HTTP/1.1 204 No Content\r\n" + FIVE, BAD, False),
    "0x before a chunk size": (CHUNKED_OK + b"0x5\r\nhello\r\n" + END, None, False),
    "a chunk size beyond 64 bits": (CHUNKED_OK + b"10000000000000005\r\nhello\r\n" + END, None, False),
    "LF in a chunk extension": (CHUNKED_OK + b"5;a\nb\r\nhello\r\n" + END, None, False),
    "a trailer that would set a cookie": (CHUNKED_OK + b"5\r\nhello\r\n0\r\nset-cookie: evil\r\n\r\n", GOOD, True),
    "headers without end": (OK + b"x: " + b"y" * 90_000 + b"\r\n" + FIVE, BAD, False),
    "150 headers": (OK + b"".join(b"x%d: y\r\n" % number for number in range(150)) + FIVE, BAD, False),
}


def test_a_bad_upstream_answers_nobody_else_and_splits_no_response(proxied: Proxied) -> None:
    for number, (name, (_, expected, reusable)) in enumerate(SAID.items()):
        with Client(proxied.engine.port()) as client:
            try:
                answer = client.ask(request(f"/{number}"))
                got = answer.status, answer.body
            except Ended:
                got = None
            assert got == expected, name
            if got is not None:
                assert "set-cookie" not in answer.headers, name
                assert client.ask(request("/after")).body == b"GET /after", name
                assert client.ask(request("/third")).body == b"GET /third", name
            else:
                assert b"evil" not in client.rest(), name
        used = [one.connection for one in proxied.upstream.requests]
        assert (len(set(used)) == 1) is (reusable or len(used) == 1), name
        proxied.upstream.lines()
        proxied.victim(name)


def test_what_an_idle_upstream_connection_says_is_no_answer_to_the_next_request(proxied: Proxied) -> None:
    """The second response comes when the first is long over, and the connection waits in the pool."""
    fetch(proxied.engine, "/warm")
    last = proxied.upstream.requests[-1].connection
    proxied.upstream.lines()
    before = proxied.engine.stat("cluster.backend.upstream_cx_destroy")
    proxied.upstream.say(last, SECOND)
    until(lambda: proxied.engine.stat("cluster.backend.upstream_cx_destroy") > before, "that connection is gone")
    proxied.victim("unasked")
