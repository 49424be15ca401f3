"""Valid HTTP/1 messages, accidents that befall them, and what must hold whatever came of it. For the tests of the codec and
for `tools/fuzz_http.py`, which goes on for as long as one likes.
"""

from __future__ import annotations

import random
from typing import Callable, List, Optional, Tuple

from proxy_core.http.codec import ClientCodec, ServerCodec
from proxy_core.http.events import NEED_DATA, PAUSED, ConnectionClosed, Data, EndOfMessage, RequestHead, ResponseHead
from proxy_core.http.settings import Http1Settings, ProtocolError
from proxy_core.testing.splits import bytewise, random_pieces
from tests.unit.http.codec_kit import Said, client_says, get, server_says

H = b"host: t\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
REQUESTS = [
    b"GET /a?b HTTP/1.1\r\n" + H + b"accept: */*\r\ncookie: a\r\ncookie: b\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + H + b"content-length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" + H + b"\r\n",
    b"POST / HTTP/1.1\r\n"
    + H
    + CHUNKED
    + b"\r\n5;x=y\r\nhello\r\n0\r\nx: y\r\n\r\nGET / HTTP/1.1\r\n"
    + H
    + b"\r\n",
    b"\r\nGET http://u:80/p HTTP/1.1\nconnection: keep-alive, x-a\nx-a: 1\n folded\n\n",
    b"CONNECT t:80 HTTP/1.1\r\n" + H + b"\r\nraw",
    b"GET / HTTP/1.1\r\n" + H + b"upgrade: websocket\r\nconnection: upgrade\r\n\r\nraw",
    b"POST / HTTP/1.0\r\nconnection: keep-alive\r\nexpect: x\r\ncontent-length: 1\r\n\r\naGET /\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nset-cookie: a\r\nset-cookie: b\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nvary: a\r\nvary: b\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nraw",
]
# What parsers stumble over, put in at random places.
TOKENS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\n\r", b"\0", b" ", b"\t", b":", b";", b",", b"\x7f",
    b"\xff", b"\x0b", b"0", b"f" * 17, b"-", b"+", b"_", b"content-length: 3\r\n", CHUNKED, b"0\r\n\r\n",
    b"\r\n folded", b"connection: close\r\n", b"host: x\r\n", b"transfer-encoding: gzip\r\n",
    b"GET / HTTP/1.1\r\n", b"HTTP/1.1",
]  # fmt: skip
SMALL = Http1Settings(
    max_headers_kb=1, max_headers_count=8, max_chunk_line_bytes=40, enable_trailers=True, accept_http_10=True
)
Says = Callable[[List[bytes], bool], Said]


def mutate(data: bytes, generator: random.Random) -> bytes:
    """One to three small accidents."""
    for _ in range(generator.randint(1, 3)):
        place = generator.randrange(len(data) + 1)
        end = min(len(data), place + generator.choice((0, 0, 1, 1, 2, 8)))
        kind = generator.random()
        if kind < 0.5:
            data = data[:place] + generator.choice(TOKENS) + data[end:]
        elif kind < 0.7:
            data = data[:place] + data[end:]
        elif kind < 0.85:
            data = data[:place] + bytes([generator.randrange(256)]) + data[end:]
        else:
            data = data[:end] + data[place:end] * generator.choice((1, 2, 300)) + data[end:]
    return data


def check(says: Says, data: bytes, generator: random.Random) -> None:
    """Whole, byte by byte and cut at random, with and without an end of input: always the same."""
    for eof in (False, True):
        whole = says([data], eof)
        assert says(bytewise(data), eof) == whole, data
        assert says(random_pieces(data, generator), eof) == whole, data


def fuzz_request(generator: random.Random) -> None:
    """One mutated request: every split says the same, and the next hop reads what we read."""
    data = mutate(generator.choice(REQUESTS), generator)
    check(lambda pieces, eof: server_says(pieces, SMALL, eof), data, generator)
    check_next_hop(data)


def fuzz_response(generator: random.Random) -> None:
    """One mutated response: every split says the same."""
    data = mutate(generator.choice(RESPONSES), generator)
    method = generator.choice(("GET", "HEAD"))
    pairs = [("upgrade", "websocket"), ("connection", "upgrade")] if generator.random() < 0.3 else []
    check(lambda pieces, eof: client_says(pieces, SMALL, eof, get(method, *pairs)), data, generator)


Message = Tuple[RequestHead, bytes]


def check_next_hop(data: bytes) -> None:
    """Requests that are accepted, and sent on by a `ClientCodec` one after the other, are the same number of requests with
    the same meaning to whoever reads them next: nothing hides in one of them (RFC 9112 section 11.2)."""
    passed = complete_requests(data, SMALL)
    wire = b"".join(sent_on(head, body) for head, body in passed)
    again = complete_requests(wire, Http1Settings(enable_trailers=True, max_headers_count=16))
    assert [meaning(*one) for one in again] == [meaning(*one) for one in passed], data


def meaning(head: RequestHead, body: bytes) -> Tuple[object, ...]:
    """What a request says, less its framing and what concerns only one hop."""
    hop = ("content-length", "transfer-encoding", "connection")
    lines = [(name, value) for name, value in head.headers.items() if name not in hop]
    return head.method, head.path, head.authority, body, lines


def sent_on(head: RequestHead, body: bytes) -> bytes:
    """The request as it goes to the upstream."""
    codec = ClientCodec(SMALL)
    head.headers.remove("connection")
    head.headers.remove("transfer-encoding")
    out = codec.send_request(head, end_stream=not body)
    return out + codec.send_data(body, end_stream=True) if body else out


def complete_requests(data: bytes, settings: Http1Settings) -> List[Message]:
    """The requests in front of the first error or tunnel, each with its whole body."""
    codec = ServerCodec(settings)
    codec.receive(data)
    found: List[Message] = []
    head: Optional[RequestHead] = None
    body = b""
    try:
        while True:
            event = codec.next_event()
            if event is PAUSED:
                codec.send_response(ResponseHead(200), end_stream=True)
            elif event is NEED_DATA or isinstance(event, ConnectionClosed):
                return found
            elif isinstance(event, RequestHead):
                if event.upgrade or event.path[:1] != "/" or event.authority is None:
                    return found  # a tunnel, or refused by the connection manager
                head, body = event, b""
            elif isinstance(event, Data):
                body += event.data
            elif isinstance(event, EndOfMessage):
                assert head is not None
                found.append((head, body))
    except ProtocolError:
        return found
