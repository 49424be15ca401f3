"""The HTTP/1.1 codec: `ServerCodec` for the side that accepts, `ClientCodec` for the side that connects.

Place in the data's way: the connection manager, the HTTP pool and the admin server own one per connection.
They give it received bytes (`receive`, `receive_eof`), ask `next_event()` until it says NEED_DATA or PAUSED,
and write what the `send_...` methods return. It does no I/O, has no clock and calls nobody. Mirrors Envoy's
`Http1::ServerConnectionImpl` and `ClientConnectionImpl`; the form is that of h11.

    codec = ServerCodec(Http1Settings())
    codec.receive(data)
    event = codec.next_event()            # RequestHead, Data..., EndOfMessage, then PAUSED
    out = codec.send_response(ResponseHead(200, headers=Headers([("content-length", "2")])))
    out += codec.send_data(b"ok", end_stream=True)

Whose fault: the peer's bytes raise ProtocolError, after the machine went to ERROR; a server may still send a
response then, and the connection closes. A step that the state does not allow raises IllegalTransition, and a
head or body that must not be sent raises ValueError with the state unchanged: both are bugs of the caller.
Nothing else is raised.

While `next_event()` says PAUSED the user should stop reading from the connection; what it gives anyway is
kept.
"""

from __future__ import annotations

from typing import Dict, Final, Optional

from ..errors import IllegalTransition
from . import states
from .body import DISCARD_READER, PAUSED_READER, Reader, body_reader
from .events import HTTP_10, HTTP_11, NEED_DATA, Event, InformationalHead, RequestHead, ResponseHead
from .events import ConnectionClosed, EndOfMessage
from .framing import RAW, UNTIL_CLOSE, is_upgrade, keeps_alive
from .headers import Headers
from .parser import RequestHeadReader, ResponseHeadReader
from .receive_buffer import ReceiveBuffer
from .settings import Http1Settings, ProtocolError
from .writer import BodyWriter, encode_head, request_framing, response_framing, status_line

# Where the peer's next bytes are not a message to be read, by the state of the peer.
_READERS_AFTER_END: Final[Dict[str, Reader]] = {
    states.DONE: PAUSED_READER,
    states.MUST_CLOSE: DISCARD_READER,
    states.CLOSED: DISCARD_READER,
    states.ERROR: DISCARD_READER,
}


class _Codec:
    """What both sides have: the states, the received bytes and the reader in charge of them, the sending half,
    and the error that has ended the receiving one. `_reader` is set whenever the state of the peer changes."""

    __slots__ = ("request", "cycle", "_settings", "_buffer", "_reader", "_writer", "_error")

    def __init__(self, settings: Http1Settings, head_reader: Reader) -> None:
        self.request: Optional[RequestHead] = None
        self.cycle = states.START
        self._settings = settings
        self._buffer = ReceiveBuffer()
        self._reader = head_reader
        self._writer = BodyWriter()
        self._error: Optional[ProtocolError] = None

    def receive(self, data: bytes) -> None:
        """Take what was read from the connection; `next_event()` says what it means."""
        self._buffer.append(data)

    def receive_eof(self) -> None:
        """The peer has closed its sending side."""
        self._buffer.eof = True

    def stop_keep_alive(self) -> None:
        """The request under way is the last one of this connection."""
        self.cycle = self.cycle.last

    @property
    def has_input(self) -> bool:
        """Whether something was received that is not used yet: a part of a head, or pipelined requests."""
        buffer = self._buffer
        return buffer.pos < len(buffer.data)

    @property
    def trailing_data(self) -> bytes:
        """What was received and is not yet used: pipelined requests, or what a server sent without being
        asked."""
        buffer = self._buffer
        return buffer.data[buffer.pos :]

    def _at_end(self) -> Event:
        """What it means that the reader needs more bytes than there are. Raises ProtocolError."""
        return self._reader.at_eof(self._buffer) if self._buffer.eof else NEED_DATA


class ServerCodec(_Codec):
    """Reads requests, writes responses.

    request: the head of the request being answered, None between two requests. cycle: the states, to look at.
    """

    __slots__ = ("_head_reader",)

    def __init__(self, settings: Http1Settings) -> None:
        """settings: shared, not copied."""
        self._head_reader = RequestHeadReader(settings)
        super().__init__(settings, self._head_reader)

    @property
    def head_bytes(self) -> int:
        """The size of the header lines of the last head that was read, as Envoy counts them."""
        return self._head_reader.head_bytes

    def next_event(self) -> Event:
        """RequestHead, Data, EndOfMessage, ConnectionClosed; or NEED_DATA or PAUSED if there is nothing to
        say now.

        Raises ProtocolError, and the same one again if asked again.
        """
        if self._error is not None:
            raise self._error.again()
        try:
            event = self._reader.read(self._buffer)
            if event is None:
                event = self._at_end()
        except ProtocolError as error:
            self._error = error.again()
            self.cycle = self.cycle.client_does[states.FAIL].last
            raise
        if isinstance(event, RequestHead):
            self.request = event
            cycle = self.cycle if event.keep_alive else self.cycle.last
            self.cycle = cycle.client_does[states.TUNNEL_REQUEST if event.upgrade else states.REQUEST]
            self._reader = body_reader(self._head_reader.framing, self._settings)
        elif isinstance(event, EndOfMessage):
            self.cycle = self.cycle.client_does[states.END]
            self._select_reader()
        elif isinstance(event, ConnectionClosed):
            self.cycle = self.cycle.client_does[states.EOF]
            self._select_reader()
        return event

    def send_informational(self, status: int = 100, headers: Optional[Headers] = None) -> bytes:
        """A 1xx response that is not the final one: 100 Continue, 103 Early Hints.

        An HTTP/1.0 client knows none (RFC 9110 section 15.2); for it there are no bytes.
        """
        if not 100 <= status < 200 or status == 101:
            raise ValueError(f"{status} is not an informational status")
        lines = Headers() if headers is None else headers
        out = encode_head(status_line(HTTP_11, status, ""), lines, None, self._settings.proper_case_words)
        self.cycle = self.cycle.server_does[states.INFORMATIONAL]
        return b"" if self.request is not None and self.request.version is HTTP_10 else out

    def send_response(self, head: ResponseHead, end_stream: bool = False) -> bytes:
        """The final head. A `connection` header is added to it if there is none and one is needed, framing
        headers come last.

        end_stream: there is no body, and no `send_end` follows. Without a content-length the body is sent in
            chunks, to an HTTP/1.0 client until the connection closes. A 101, or a 2xx to CONNECT, opens the
            tunnel that was asked for.
        """
        request = self.request
        http_10 = request is not None and request.version is HTTP_10
        tunnel = request is not None and bool(request.upgrade) and _opens_tunnel(request, head.status)
        method = None if request is None else request.method
        framing, said = response_framing(head.status, head.headers, end_stream, method, http_10, tunnel)
        # Not after a refused tunnel, nor after an answer to a request that is not there as a whole.
        stays = request is not None and not request.upgrade and framing[0] is not UNTIL_CLOSE
        stays = stays and self.cycle.keep_alive
        if not tunnel and (http_10 or not stays):
            _say_connection(head.headers, stays)
        line = status_line(HTTP_10 if http_10 else HTTP_11, head.status, head.reason)
        out = encode_head(line, head.headers, said, self._settings.proper_case_words)
        waits_as = self.cycle.client
        cycle = self.cycle.server_does[states.TUNNEL_RESPONSE if tunnel else states.RESPONSE]
        if not tunnel and not (stays and keeps_alive(not http_10, head.headers)):
            cycle = cycle.last
        if end_stream and not tunnel:
            cycle = cycle.server_does[states.END]
        self.cycle = cycle
        self._writer.start(framing)
        if cycle.client is not waits_as:
            self._select_reader()
        return out

    def send_data(self, data: bytes, end_stream: bool = False) -> bytes:
        """Some of the body, or of the tunnel. Raises ValueError if it does not fit the content-length."""
        if self.cycle.server is not states.SEND_BODY and self.cycle.server is not states.TUNNEL:
            raise IllegalTransition(f"server: data in {self.cycle.server}")
        out = self._writer.write(data)
        return out + self.send_end() if end_stream else out

    def send_end(self, trailers: Optional[Headers] = None) -> bytes:
        """The body is complete. Trailers are sent if the settings enable them and the body is chunked."""
        settings = self._settings
        out = self._writer.finish(trailers if settings.enable_trailers else None, settings.proper_case_words)
        self.cycle = self.cycle.server_does[states.END]
        self._select_reader()
        return out

    def _select_reader(self) -> None:
        state = self.cycle.client
        if state is states.IDLE:
            self.request = None
            self._reader = self._head_reader
        elif state in _READERS_AFTER_END:
            self._reader = _READERS_AFTER_END[state]


def _opens_tunnel(request: RequestHead, status: int) -> bool:
    return status < 300 if request.upgrade == "connect" else status == 101


def _say_connection(headers: Headers, stays: bool) -> None:
    # RFC 9112 sections 9.3 and 9.6. Placed as in Envoy, behind the other headers and before the framing.
    if "connection" not in headers:
        headers.add("connection", "keep-alive" if stays else "close")


class ClientCodec(_Codec):
    """Writes requests, reads responses.

    request: the head of the request that was sent, None between two requests. cycle: the states, to look at.
        The connection can take the next request when `cycle.client` and `cycle.server` are IDLE and
        `trailing_data` is empty.
    """

    __slots__ = ("_head_reader",)

    def __init__(self, settings: Http1Settings) -> None:
        """settings: shared, not copied."""
        self._head_reader = ResponseHeadReader(settings)
        super().__init__(settings, self._head_reader)

    def next_event(self) -> Event:
        """InformationalHead, ResponseHead, Data, EndOfMessage, ConnectionClosed; or NEED_DATA or PAUSED.

        ConnectionClosed means between two messages or before the first byte of a response; an end inside one
        is a ProtocolError. Raises ProtocolError, and the same one again if asked again.
        """
        if self._error is not None:
            raise self._error.again()
        try:
            event = self._reader.read(self._buffer)
            if event is None:
                event = self._at_end()
        except ProtocolError as error:
            self._error = error.again()
            self.cycle = self.cycle.server_does[states.FAIL].last
            raise
        if isinstance(event, EndOfMessage):
            self.cycle = self.cycle.server_does[states.END]
            self._select_reader()
        elif isinstance(event, ResponseHead):
            framing = self._head_reader.framing
            cycle = self.cycle if event.keep_alive else self.cycle.last
            self.cycle = cycle.server_does[states.TUNNEL_RESPONSE if framing[0] is RAW else states.RESPONSE]
            self._reader = body_reader(framing, self._settings)
        elif isinstance(event, InformationalHead):
            self.cycle = self.cycle.server_does[states.INFORMATIONAL]
        elif isinstance(event, ConnectionClosed):
            self.cycle = self.cycle.server_does[states.EOF]
            self._select_reader()
        return event

    def send_request(self, head: RequestHead, end_stream: bool = False) -> bytes:
        """The head: `path` in the request line (`authority` for CONNECT), `host` first, framing headers last.

        Sets `head.upgrade` from the headers. end_stream: there is no body, and no `send_end` follows. CONNECT
        and upgrades open a tunnel if the server agrees; until then nothing should be sent after the head.
        """
        headers = head.headers
        connect = head.method == "CONNECT"
        upgrade = headers.get("upgrade")
        head.upgrade = "connect" if connect else upgrade if upgrade and is_upgrade(headers) else ""
        tunnel = bool(head.upgrade)
        framing, said = request_framing(head.method, headers, end_stream, tunnel)
        host = None if head.authority is None else ("host", head.authority)
        out = encode_head(self._request_line(head), headers, said, self._settings.proper_case_words, host)
        cycle = self.cycle.client_does[states.TUNNEL_REQUEST if tunnel else states.REQUEST]
        if end_stream and not tunnel:
            cycle = cycle.client_does[states.END]
        self.cycle = cycle if keeps_alive(True, headers) else cycle.last
        self.request = self._head_reader.request = head
        self._reader = self._head_reader
        self._writer.start(framing)
        return out

    def send_data(self, data: bytes, end_stream: bool = False) -> bytes:
        """Some of the body, or of the tunnel. Raises ValueError if it does not fit the content-length."""
        if self.cycle.client is not states.SEND_BODY and self.cycle.client is not states.TUNNEL:
            raise IllegalTransition(f"client: data in {self.cycle.client}")
        out = self._writer.write(data)
        return out + self.send_end() if end_stream else out

    def send_end(self, trailers: Optional[Headers] = None) -> bytes:
        """The body is complete. Trailers are sent if the settings enable them and the body is chunked."""
        settings = self._settings
        out = self._writer.finish(trailers if settings.enable_trailers else None, settings.proper_case_words)
        self.cycle = self.cycle.client_does[states.END]
        self._select_reader()
        return out

    def _select_reader(self) -> None:
        state = self.cycle.server
        if state is states.IDLE:
            self.request = self._head_reader.request = None
            self._reader = self._head_reader
        elif state in _READERS_AFTER_END:
            self._reader = _READERS_AFTER_END[state]

    def _request_line(self, head: RequestHead) -> str:
        authority = head.authority
        if head.method == "CONNECT":
            target = authority or head.target
        elif self._settings.send_fully_qualified_url and authority:
            target = f"{head.scheme or 'http'}://{authority}{head.path}"
        else:
            target = head.path
        if not target or " " in target or "\t" in target or not target.isascii():
            raise ValueError("request target to be sent is empty or has a blank or a byte outside ASCII")
        return f"{head.method} {target} {HTTP_11}"
