"""Both halves together: cycles of a connection, pipelining, tunnels, errors, a client talking to a server."""

from __future__ import annotations

from typing import List

import pytest

from proxy_core.errors import IllegalTransition
from proxy_core.http.codec import ClientCodec, ServerCodec
from proxy_core.http.events import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    RequestHead,
    ResponseHead,
)
from proxy_core.http.headers import Headers
from proxy_core.http.settings import Http1Settings, ProtocolError
from tests.unit.http.codec_kit import SETTINGS, get

GET = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
UPGRADE = b"GET / HTTP/1.1\r\nhost: t\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"


def drain(codec: "ServerCodec | ClientCodec") -> List[Event]:
    """Events up to the one that says why there are no more; that one included."""
    events: List[Event] = []
    while True:
        events.append(codec.next_event())
        if events[-1] is NEED_DATA or events[-1] is PAUSED or isinstance(events[-1], ConnectionClosed):
            return events


def names(events: List[Event]) -> List[str]:
    return [event.name if event is NEED_DATA or event is PAUSED else type(event).__name__ for event in events]


def ok(*pairs: "tuple[str, str]") -> ResponseHead:
    return ResponseHead(200, headers=Headers(pairs or [("content-length", "0")]))


def test_a_second_request_is_held_back_until_the_first_is_answered() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(GET + GET)
    assert names(drain(codec)) == ["RequestHead", "EndOfMessage", "PAUSED"]
    assert codec.trailing_data == GET
    codec.send_response(ok())
    assert codec.next_event() is PAUSED
    codec.send_end()
    assert names(drain(codec)) == ["RequestHead", "EndOfMessage", "PAUSED"]
    assert codec.trailing_data == b""


def test_an_answer_may_be_complete_before_its_request_and_the_connection_goes_on() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\na")
    assert names(drain(codec)) == ["RequestHead", "Data", "NEED_DATA"]
    codec.send_response(ok(), end_stream=True)
    codec.receive(b"bc" + GET)
    assert names(drain(codec)) == ["Data", "EndOfMessage", "RequestHead", "EndOfMessage", "PAUSED"]


def test_a_response_with_connection_close_is_the_last_and_later_input_is_dropped() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(GET)
    drain(codec)
    codec.send_response(ok(("connection", "close")), end_stream=True)
    assert (codec.cycle.client, codec.cycle.server) == ("MUST_CLOSE", "MUST_CLOSE")
    codec.receive(GET)
    assert codec.next_event() is NEED_DATA
    assert codec.trailing_data == b""
    codec.receive_eof()
    assert names(drain(codec)) == ["ConnectionClosed"]
    with pytest.raises(IllegalTransition):
        codec.send_response(ok())


def test_a_client_that_closes_its_side_after_the_request_still_gets_its_answer() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(GET)
    codec.receive_eof()
    assert names(drain(codec)) == ["RequestHead", "EndOfMessage", "PAUSED"]
    assert codec.send_response(ok(), end_stream=True).startswith(b"HTTP/1.1 200")
    assert names(drain(codec)) == ["ConnectionClosed"]
    assert names(drain(codec)) == ["ConnectionClosed"]


def test_after_a_protocol_error_one_response_can_be_sent_and_the_error_stays() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(b"nonsense\r\n\r\n")
    with pytest.raises(ProtocolError) as caught:
        codec.next_event()
    assert codec.cycle.client == "ERROR"
    head = ResponseHead(caught.value.status, headers=Headers([("content-length", "11")]))
    out = codec.send_response(head) + codec.send_data(b"Bad Request", end_stream=True)
    assert out == b"HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\nconnection: close\r\n\r\nBad Request"
    assert codec.cycle.server == "MUST_CLOSE"
    with pytest.raises(ProtocolError):
        codec.next_event()


def test_an_error_in_a_body_leaves_the_response_to_be_finished() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(b"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n")
    drain(codec)
    codec.send_response(ok(("content-length", "4")))
    codec.receive(b"zz\r\n")
    with pytest.raises(ProtocolError):
        codec.next_event()
    assert codec.send_data(b"done", end_stream=True) == b"done"
    assert codec.cycle.server == "MUST_CLOSE"


def test_a_timeout_can_be_answered_before_the_head_is_complete_and_the_rest_is_dropped() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(b"GET / HTT")
    assert codec.next_event() is NEED_DATA
    out = codec.send_response(ResponseHead(408), end_stream=True)
    assert out == b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    codec.receive(b"P/1.1\r\nhost: t\r\n\r\n")
    assert codec.next_event() is NEED_DATA
    codec.receive_eof()
    assert names(drain(codec)) == ["ConnectionClosed"]


def test_steps_that_no_state_allows_are_bugs_of_the_caller() -> None:
    codec = ServerCodec(SETTINGS)
    for step in (codec.send_end, lambda: codec.send_data(b"x"), codec.send_informational):
        with pytest.raises(IllegalTransition):
            step()
    codec.receive(GET)
    drain(codec)
    codec.send_response(ok())
    with pytest.raises(IllegalTransition):
        codec.send_response(ok())
    with pytest.raises(IllegalTransition):
        codec.send_informational()
    client = ClientCodec(SETTINGS)
    for step in (client.send_end, lambda: client.send_data(b"x")):
        with pytest.raises(IllegalTransition):
            step()
    client.send_request(get())
    with pytest.raises(IllegalTransition):
        client.send_request(get())


def test_an_accepted_upgrade_carries_raw_bytes_both_ways_and_ends_one_side_at_a_time() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(UPGRADE + b"early")
    events = drain(codec)
    assert names(events) == ["RequestHead", "Data", "NEED_DATA"]
    head = ResponseHead(101, headers=Headers([("upgrade", "websocket"), ("connection", "upgrade")]))
    out = codec.send_response(head)
    assert out == b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    assert (codec.cycle.client, codec.cycle.server) == ("TUNNEL", "TUNNEL")
    assert codec.send_data(b"\x00raw") == b"\x00raw"
    codec.receive(b"GET / HTTP/1.1\r\n\r\n")
    codec.receive_eof()
    assert names(drain(codec)) == ["Data", "EndOfMessage", "ConnectionClosed"]
    assert codec.send_data(b"last") == b"last"
    assert codec.send_end() == b""
    assert (codec.cycle.client, codec.cycle.server) == ("CLOSED", "CLOSED")


def test_a_refused_upgrade_is_answered_and_what_follows_is_dropped() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(UPGRADE)
    drain(codec)
    out = codec.send_response(ResponseHead(403), end_stream=True)
    assert out == b"HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    codec.receive(b"frames")
    assert codec.next_event() is NEED_DATA
    assert codec.cycle.client == "MUST_CLOSE"


def test_connect_is_granted_with_a_200_that_has_no_framing() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(b"CONNECT t:80 HTTP/1.1\r\nhost: t:80\r\n\r\n")
    drain(codec)
    assert codec.send_response(ResponseHead(200)) == b"HTTP/1.1 200 OK\r\n\r\n"
    assert codec.send_data(b"x") == b"x"


def test_a_client_connection_serves_one_request_after_the_other() -> None:
    codec = ClientCodec(SETTINGS)
    for _ in range(3):
        codec.send_request(get(), end_stream=True)
        codec.receive(OK)
        assert names(drain(codec)) == ["ResponseHead", "Data", "EndOfMessage", "NEED_DATA"]
        assert (codec.cycle.client, codec.cycle.server, codec.trailing_data) == ("IDLE", "IDLE", b"")
        assert codec.request is None


def test_a_client_can_tell_that_the_server_sent_too_much() -> None:
    codec = ClientCodec(SETTINGS)
    codec.send_request(get(), end_stream=True)
    codec.receive(OK + b"extra")
    events = [codec.next_event() for _ in range(3)]
    assert names(events) == ["ResponseHead", "Data", "EndOfMessage"]
    assert codec.trailing_data == b"extra"
    with pytest.raises(ProtocolError):
        codec.next_event()


def test_a_client_sees_the_server_close_between_two_requests() -> None:
    codec = ClientCodec(SETTINGS)
    codec.receive_eof()
    assert names(drain(codec)) == ["ConnectionClosed"]
    with pytest.raises(IllegalTransition):
        codec.send_request(get())


def test_a_server_that_closes_before_it_answers_is_no_protocol_error() -> None:
    codec = ClientCodec(SETTINGS)
    codec.send_request(get(), end_stream=True)
    codec.receive_eof()
    assert names(drain(codec)) == ["ConnectionClosed"]
    assert codec.cycle.server == "CLOSED"


def test_a_response_that_is_complete_before_its_request_leaves_the_client_sending() -> None:
    codec = ClientCodec(SETTINGS)
    codec.send_request(get("POST"))
    codec.receive(OK)
    assert names(drain(codec)) == ["ResponseHead", "Data", "EndOfMessage", "PAUSED"]
    assert (codec.cycle.client, codec.cycle.server) == ("SEND_BODY", "DONE")
    assert codec.send_data(b"x", end_stream=True) == b"1\r\nx\r\n0\r\n\r\n"
    assert (codec.cycle.client, codec.cycle.server) == ("IDLE", "IDLE")


@pytest.mark.parametrize(
    "response", [b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_client_connection_that_cannot_be_reused_must_be_closed(response: bytes) -> None:
    codec = ClientCodec(SETTINGS)
    codec.send_request(get(), end_stream=True)
    codec.receive(response)
    codec.receive_eof()
    assert names(drain(codec))[-1] == "ConnectionClosed"
    assert codec.cycle.client == "MUST_CLOSE"


def test_a_client_that_says_close_gets_one_answer() -> None:
    codec = ClientCodec(SETTINGS)
    codec.send_request(get("GET", ("connection", "close")), end_stream=True)
    codec.receive(OK)
    drain(codec)
    assert (codec.cycle.client, codec.cycle.server) == ("MUST_CLOSE", "MUST_CLOSE")


def test_client_and_server_agree_about_every_message_of_a_conversation() -> None:
    client, server = ClientCodec(SETTINGS), ServerCodec(SETTINGS)
    for method, body, length in (("GET", b"", False), ("POST", b"abc" * 100, False), ("PUT", b"x" * 7, True)):
        head = get(method, *([("content-length", str(len(body)))] if length else []))
        out = client.send_request(head, end_stream=not body)
        if body:
            out += client.send_data(body) + client.send_end()
        server.receive(out)
        events = drain(server)
        request = events[0]
        assert isinstance(request, RequestHead)
        assert (request.method, request.authority, request.end_stream) == (method, "t", not body)
        assert b"".join(event.data for event in events if isinstance(event, Data)) == body
        client.receive(server.send_response(ResponseHead(200)) + server.send_data(body) + server.send_end())
        answers = drain(client)
        assert b"".join(event.data for event in answers if isinstance(event, Data)) == body
        assert isinstance(answers[-2], EndOfMessage)
        assert (client.cycle.client, client.cycle.server) == (server.cycle.client, server.cycle.server)


def test_nothing_is_kept_of_a_read_that_was_used_up() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(GET)
    drain(codec)
    assert codec._buffer.data == b""


def test_a_large_body_passes_without_a_copy() -> None:
    codec = ServerCodec(SETTINGS)
    codec.receive(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000\r\n\r\n")
    drain(codec)
    data = b"x" * 65536
    codec.receive(data)
    event = codec.next_event()
    assert isinstance(event, Data)
    assert event.data is data


def test_heads_and_events_have_a_readable_repr() -> None:
    codec = ServerCodec(Http1Settings())
    codec.receive(GET)
    shown = [repr(event) for event in drain(codec)[:2]]
    assert shown == ["RequestHead('GET', '/', 'HTTP/1.1', Headers([]), 't')", "EndOfMessage(None)"]
    assert repr(ResponseHead(200)) == "ResponseHead(200, '', 'HTTP/1.1', Headers([]))"
    assert repr(Data(b"x")) == "Data(b'x')"
