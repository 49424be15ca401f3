"""Heads that have come before: what is recalled of them is what parsing them says, and bounded."""

from __future__ import annotations

from typing import List, Sequence

import pytest

from proxy_core.http.codec import ClientCodec, ServerCodec
from proxy_core.http.events import NEED_DATA, RequestHead, ResponseHead
from proxy_core.http.recall import MOST_BYTES, MOST_PIECES, Recall
from proxy_core.http.settings import Http1Settings, ProtocolError
from tests.unit.http.codec_kit import plain, server_says

HEADERS = b"Host: a\r\nAccept: */*\r\naccept: text/html\r\nX-A: 1\r\nx-a: 2\r\n"
REQUESTS = [
    b"GET /x HTTP/1.1\r\n" + HEADERS + b"\r\n",
    b"HEAD /y?z HTTP/1.1\r\n" + HEADERS + b"\r\n",
    b"GET http://other/x HTTP/1.1\r\n" + HEADERS + b"\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n" + HEADERS + b"\r\n",
    b"GET /x HTTP/1.0\r\n" + HEADERS + b"\r\n",
    b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
    b"POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    b"GET /x HTTP/1.1\r\nhost: a\nx: 1\r\n folded\r\n\r\n",
    b"\r\nGET /x HTTP/1.1\r\n" + HEADERS + b"\r\n",
    b"GET /x HTTP/1.1\nhost: a\n\nGET /y HTTP/1.1\r\nhost: a\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: 1\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nx: 1\r\n\r\nok",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\nx: 1\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n",
]


def asked(*lines: str) -> RequestHead:
    request = RequestHead("GET", "/", authority="a")
    for line in lines:
        name, _, value = line.partition(": ")
        request.headers.add(name, value)
    return request


def response_to(request: RequestHead, data: bytes, settings: Http1Settings) -> Sequence[object]:
    codec = ClientCodec(settings)
    codec.send_request(request, True)
    codec.receive(data)
    event = codec.next_event()
    assert isinstance(event, ResponseHead)
    return [*plain(event), codec.cycle, codec.trailing_data]


@pytest.mark.parametrize("data", REQUESTS)
def test_a_request_that_came_before_reads_as_at_the_first_time(data: bytes) -> None:
    settings = Http1Settings(accept_http_10=True)
    first = server_says([data], settings)
    assert [server_says([data], settings), server_says([data], settings)] == [first, first]


def test_what_is_known_of_one_message_is_not_taken_for_another_that_begins_or_goes_on_like_it() -> None:
    settings = Http1Settings(accept_http_10=True)
    for data in REQUESTS:
        server_says([data], settings)
    for line in {data.partition(b"\n")[0] for data in REQUESTS}:
        for block in {data.partition(b"\n")[2] for data in REQUESTS}:
            mixed = [line + b"\n" + block]
            assert server_says(mixed, settings) == server_says(mixed, Http1Settings(accept_http_10=True))


@pytest.mark.parametrize("data", RESPONSES)
@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_known_response_means_what_it_means_for_the_request_that_it_answers(data: bytes, others: int) -> None:
    head = RequestHead("HEAD", "/", authority="a")
    requests = [asked, lambda: head, lambda: asked("connection: upgrade", "upgrade: websocket")]
    settings = Http1Settings()
    response_to(requests[others](), data, settings)
    for request in requests:
        assert response_to(request(), data, settings) == response_to(request(), data, Http1Settings())


def test_whoever_changes_a_head_changes_no_other_one() -> None:
    settings, heads = Http1Settings(), []  # type: Http1Settings, List[RequestHead]
    for _ in range(3):
        codec = ServerCodec(settings)
        codec.receive(REQUESTS[0])
        head = codec.next_event()
        assert isinstance(head, RequestHead)
        assert head.headers.get_all("x-a") == ["1", "2"] and head.headers.get("accept") == "*/*,text/html"
        head.headers.set("x-a", "3")
        head.headers.remove("accept")
        head.upgrade = "h2c"
        heads.append(head)
    assert [head.upgrade for head in heads] == ["h2c"] * 3


def test_a_known_head_with_a_start_line_that_is_too_long_is_refused_as_any_other() -> None:
    settings = Http1Settings(max_headers_kb=1)
    block = b"host: a\r\nx: %b\r\n\r\n" % (b"1" * 900)
    assert server_says([b"GET / HTTP/1.1\r\n" + block], settings)[0][0] == "request"
    long_line = b"GET /%b HTTP/1.1\r\n" % (b"y" * 90)
    assert server_says([long_line + b"host: a\r\n\r\n"], settings)[0][0] == "request"
    assert server_says([long_line + block], settings) == server_says([long_line + block], Http1Settings(max_headers_kb=1))


def test_a_head_that_comes_in_pieces_is_looked_for_as_a_whole_only_once() -> None:
    settings = Http1Settings()
    codec = ServerCodec(settings)
    server_says([REQUESTS[0]], settings)
    codec.receive(REQUESTS[0][:5])
    assert codec.next_event() is NEED_DATA
    codec.receive(REQUESTS[0][5:])
    assert isinstance(codec.next_event(), RequestHead)


def test_errors_are_not_recalled_as_heads() -> None:
    settings = Http1Settings()
    for _ in range(2):
        codec = ServerCodec(settings)
        codec.receive(b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n")
        with pytest.raises(ProtocolError):
            codec.next_event()


@pytest.mark.parametrize("name", ["authorization", "proxy-authorization", "cookie", "set-cookie"])
def test_heads_with_secrets_are_not_kept(name: str) -> None:
    settings = Http1Settings()
    secret = b"%s: s3cret\r\n\r\n" % name.encode()
    for line in (b"GET /open HTTP/1.1\r\nhost: a\r\n", b"GET /x?token=s3cret HTTP/1.1\r\nhost: a\r\n"):
        server_says([line + secret], settings)
    response_to(asked(), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + secret, settings)
    assert not len(settings.known_requests) and not len(settings.known_responses)
    assert settings.known_lines.get(b"GET /open HTTP/1.1\r") is not None
    assert settings.known_lines.get(b"GET /x?token=s3cret HTTP/1.1\r") is None


def test_long_pieces_are_not_kept_and_a_full_memory_is_emptied() -> None:
    recall: Recall[int] = Recall()
    recall.keep(b"x" * (MOST_BYTES + 1), 1)
    assert len(recall) == 0
    for number in range(MOST_PIECES):
        recall.keep(b"%d" % number, number)
    assert len(recall) == MOST_PIECES and recall.get(b"7") == 7
    recall.keep(b"one more", 1)
    assert len(recall) == 1 and recall.get(b"7") is None and recall.get(b"one more") == 1
