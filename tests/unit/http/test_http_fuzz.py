"""Seeded mutations of valid messages: every split says the same, and nothing but ProtocolError gets out."""

from __future__ import annotations

import random
from typing import Callable, List

import pytest

from proxy_core.http.settings import Http1Settings
from tests.support.splits import bytewise, random_pieces, splits
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


@pytest.mark.parametrize("seed", range(40))
def test_mutated_requests_say_the_same_at_every_split(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(25):
        data = mutate(generator.choice(REQUESTS), generator)
        check(lambda pieces, eof: server_says(pieces, SMALL, eof), data, generator)


@pytest.mark.parametrize("seed", range(30))
def test_mutated_responses_say_the_same_at_every_split(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(25):
        data = mutate(generator.choice(RESPONSES), generator)
        method = generator.choice(("GET", "HEAD"))
        pairs = [("upgrade", "websocket"), ("connection", "upgrade")] if generator.random() < 0.3 else []
        check(lambda pieces, eof: client_says(pieces, SMALL, eof, get(method, *pairs)), data, generator)


def test_unmutated_messages_say_the_same_at_every_split_and_are_accepted() -> None:
    for data in REQUESTS:
        whole = server_says([data], SMALL)
        assert whole[-1][0] != "error"
        for pieces in splits(data):
            assert server_says(pieces, SMALL) == whole
    for data in RESPONSES:
        whole = client_says([data], SMALL)
        assert whole[-1][0] != "error" or data.startswith(b"HTTP/1.1 101")
        for pieces in splits(data):
            assert client_says(pieces, SMALL) == whole


def test_the_splits_are_complete_and_repeatable() -> None:
    data = bytes(range(50))
    ways = list(splits(data, seed=3))
    assert ways == list(splits(data, seed=3))
    assert ways[0] == [data]
    assert all(b"".join(pieces) == data and all(pieces) for pieces in ways)
    assert [len(data[:cut]) for cut in range(1, 50)] == [len(pieces[0]) for pieces in ways[2:51]]
    long = bytes(1000)
    assert len(list(splits(long, two_way_limit=30, random_ways=2))) == 2 + 30 + 2
