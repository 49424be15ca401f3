"""Feeding codecs and writing down what they say, in a form that can be compared."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Tuple

from proxy_core.http.codec import ClientCodec, ServerCodec
from proxy_core.http.events import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InformationalHead,
    RequestHead,
    ResponseHead,
)
from proxy_core.http.headers import Headers
from proxy_core.http.settings import Http1Settings, ProtocolError

Said = List[Tuple[Any, ...]]

SETTINGS = Http1Settings(enable_trailers=True)


def plain(event: object) -> Tuple[Any, ...]:
    """An event as a tuple that says everything in it."""
    if isinstance(event, RequestHead):
        fields: List[Any] = [
            event.method,
            event.target,
            event.version,
            event.path,
            event.authority,
            event.scheme,
        ]
        fields += [event.upgrade, event.keep_alive, event.expect_continue, event.end_stream]
        return ("request", *fields, tuple(event.headers.items()))
    if isinstance(event, ResponseHead):
        fields = [event.status, event.reason, event.version, event.keep_alive, event.end_stream]
        return ("response", *fields, tuple(event.headers.items()))
    if isinstance(event, InformationalHead):
        return ("informational", event.status, tuple(event.headers.items()))
    if isinstance(event, EndOfMessage):
        return ("end", None if event.trailers is None else tuple(event.trailers.items()))
    assert isinstance(event, ConnectionClosed)
    return ("closed",)


def _note(said: Said, event: object) -> None:
    if not isinstance(event, Data):
        said.append(plain(event))
    elif said and said[-1][0] == "data":
        said[-1] = ("data", said[-1][1] + event.data)
    else:
        assert event.data
        said.append(("data", event.data))


def _drain_server(codec: ServerCodec, said: Said) -> bool:
    while True:
        event = codec.next_event()
        if event is PAUSED:
            codec.send_response(ResponseHead(200), end_stream=True)
        elif event is NEED_DATA:
            return True
        else:
            _note(said, event)
            if isinstance(event, ConnectionClosed):
                return False


def server_says(pieces: Iterable[bytes], settings: Http1Settings = SETTINGS, eof: bool = False) -> Said:
    """What a ServerCodec says about this input, every request answered at once; an error comes last."""
    codec = ServerCodec(settings)
    said: Said = []
    try:
        for piece in pieces:
            codec.receive(piece)
            _drain_server(codec, said)
        if eof:
            codec.receive_eof()
            _drain_server(codec, said)
    except ProtocolError as error:
        said.append(("error", error.status, error.details, error.reason))
    return said


def client_says(
    pieces: Iterable[bytes],
    settings: Http1Settings = SETTINGS,
    eof: bool = False,
    request: Optional[RequestHead] = None,
) -> Said:
    """What a ClientCodec says about this input as the answer to one request (GET /)."""
    codec = ClientCodec(settings)
    codec.send_request(get() if request is None else request, end_stream=True)
    said: Said = []
    try:
        for piece in pieces:
            codec.receive(piece)
            _drain_client(codec, said)
        if eof:
            codec.receive_eof()
            _drain_client(codec, said)
    except ProtocolError as error:
        said.append(("error", error.status, error.details, error.reason))
    return said


def _drain_client(codec: ClientCodec, said: Said) -> None:
    while True:
        event = codec.next_event()
        if event is NEED_DATA or event is PAUSED:
            return
        _note(said, event)
        if isinstance(event, ConnectionClosed):
            return


def get(method: str = "GET", *pairs: Tuple[str, str]) -> RequestHead:
    """A request to send."""
    return RequestHead(method, "/", headers=Headers(pairs), authority="t")


def error_of(said: Said) -> Tuple[int, str]:
    """The status and details that the input ended with; it must have ended so."""
    assert said and said[-1][0] == "error", said
    return (said[-1][1], said[-1][2])
