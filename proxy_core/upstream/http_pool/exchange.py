"""The HTTP side of one upstream connection: the codec, and the stream that uses it now. Mirrors `CodecClientProd`.

Place in the data's way: the connection's only read filter. Bytes go through the codec to the stream's `on_...` methods; the
stream writes with `send_...`, from `on_pool_ready` until it has heard the end of the response or a reset.

The connection is back in the pool before the stream hears of that end: a stream that begins the next request from there finds
it. What a server says without being asked, or behind a complete response, ends the connection and nothing else.
"""

from __future__ import annotations

from typing import Final, Optional, Protocol

from ...buffer import Buffer
from ...filters.api import CONTINUE, REMOTE_CLOSE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from ...http.codec import ClientCodec
from ...http.events import HTTP_11, Data, EndOfMessage, InformationalHead, RequestHead, ResponseHead
from ...http.framing import keeps_alive
from ...http.headers import Headers
from ...http.settings import Http1Settings, ProtocolError
from ...http.states import CLOSED, IDLE, SEND_BODY, TUNNEL
from ...network.connection import Connection
from ...observe.reasons import Reasons
from .api import PROTOCOL_ERROR, ResetReason, Stream

DOWNSTREAM_FULL: Final = "downstream write buffer over its limit"
_TIMEOUT_NOTICE: Final = b"HTTP/1.1 408"  # of a server that closes an idle connection: no error of anybody


class Owner(Protocol):
    """The pool's side of the connection."""

    def on_response_over(self, may_stay: bool, was_sent: bool) -> None:
        """The response is complete. may_stay: both sides can go on with another request. was_sent: the request is complete."""

    def give_up(self, why: str) -> None:
        """Close the connection in the middle of an exchange."""

    def on_close_notified(self) -> None:
        """The server says that this response is the last one here."""

    def on_protocol_error(self) -> None:
        """The server sent what is no HTTP."""

    def doing(self) -> str:
        """What the connection does now, as a phrase."""


class Exchange:
    """See the module docstring. `stream` is None between two requests."""

    __slots__ = ("connection", "stream", "codec", "owner", "_paused")

    def __init__(self, settings: Http1Settings) -> None:
        self.connection: Connection
        self.owner: Owner
        self.stream: Optional[Stream] = None
        self.codec = ClientCodec(settings)
        self._paused = False

    # -- for the stream --------------------------------------------------------------------------------------------

    def send_head(self, head: RequestHead, end_stream: bool) -> int:
        """Begin the request; how many bytes its head takes. Raises ValueError for a head that can't be sent."""
        data = self.codec.send_request(head, end_stream)
        self.connection.write_bytes(data)
        return len(data)

    def send_data(self, data: Buffer, end_stream: bool) -> None:
        """Some of the body, or of a tunnel; `data` is empty afterwards. Raises ValueError if it does not fit the
        content-length."""
        self._write(self.codec.send_data(data.take(), end_stream))
        if end_stream and self.codec.cycle.client is CLOSED:  # of a tunnel: there is nothing in the bytes that says so
            self.connection.write(Buffer(), True)

    def send_trailers(self, trailers: Optional[Headers]) -> None:
        """The end of the request."""
        self._write(self.codec.send_end(trailers))

    def pause(self) -> None:
        """Read no more until `resume`."""
        if not self._paused:
            self._paused = True
            self.connection.pause_reading(DOWNSTREAM_FULL)

    def resume(self) -> None:
        """The other half of `pause`."""
        if self._paused:
            self._paused = False
            self.connection.resume_reading(DOWNSTREAM_FULL)

    def reset(self, why: str) -> None:
        """The stream gives up: so does the connection, since the rest of the exchange is still on its way."""
        self.stream = None
        self.owner.give_up(why)

    @property
    def is_tunnel(self) -> bool:
        """Whether the server has agreed that bytes go through as they are."""
        return self.codec.cycle.server is TUNNEL

    # -- for the pool ----------------------------------------------------------------------------------------------

    def fail(self, reason: ResetReason, text: str) -> None:
        """The connection is over: whoever uses it is told."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.on_reset(reason, text)

    # -- the connection's read filter ------------------------------------------------------------------------------

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep the connection."""
        self.connection = callbacks.connection

    def on_new_connection(self) -> FilterStatus:
        """Bytes are welcome."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """What the server sent."""
        self.codec.receive(data.take())
        self._advance()
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """The server's end may be the end of a response; that of a tunnel is no end to it but a break. The pool hears of it
        afterwards."""
        if event is REMOTE_CLOSE and self.stream is not None and not self.is_tunnel:
            self.codec.receive_eof()
            self._advance()

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        return Reasons(self.owner.doing())

    # -- responses -------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Tell the stream what the bytes mean. A head without a body, and data, wait for the next event: it may be the end."""
        codec = self.codec
        head: Optional[ResponseHead] = None
        body: Optional[Buffer] = None
        while True:
            try:
                event = codec.next_event()
            except ProtocolError:
                self._on_error(body)
                return
            if isinstance(event, Data):
                if body is None:
                    body = Buffer(event.data)
                else:
                    body.append(event.data)
            elif isinstance(event, EndOfMessage):
                self._on_end(head, body, event.trailers)
                return
            else:
                if body is not None:
                    self._tell_data(body)
                    body = None
                if isinstance(event, ResponseHead):
                    if event.end_stream:
                        head = event
                        continue
                    self._tell_head(event)
                elif isinstance(event, InformationalHead):
                    if self.stream is not None:
                        self.stream.on_informational(event.status, event.headers)
                else:  # NEED_DATA, PAUSED, ConnectionClosed
                    return
                if self.stream is None:
                    return  # it has given up

    def _tell_head(self, head: ResponseHead) -> None:
        if not head.keep_alive and not keeps_alive(head.version is HTTP_11, head.headers):
            self.owner.on_close_notified()
        if self.stream is not None:
            self.stream.on_head(head, False)

    def _tell_data(self, body: Buffer) -> None:
        if self.stream is not None:
            self.stream.on_data(body, False)

    def _on_end(self, head: Optional[ResponseHead], body: Optional[Buffer], trailers: Optional[Headers]) -> None:
        stream, self.stream = self.stream, None
        if head is not None and not head.keep_alive and not keeps_alive(head.version is HTTP_11, head.headers):
            self.owner.on_close_notified()
        cycle, has_more = self.codec.cycle, self.codec.has_input
        if self._paused:
            self.resume()
        if has_more:
            self.owner.on_protocol_error()
        may_stay = cycle.client is IDLE and cycle.server is IDLE and not has_more
        self.owner.on_response_over(may_stay, cycle.client is not SEND_BODY)
        if stream is None:
            return
        if head is not None:
            stream.on_head(head, True)
        elif trailers is not None:
            if body is not None:
                stream.on_data(body, False)
            stream.on_trailers(trailers)
        else:
            stream.on_data(Buffer() if body is None else body, True)

    def _on_error(self, body: Optional[Buffer]) -> None:
        """No HTTP. What was right before it has been understood as such."""
        if body is not None:
            self._tell_data(body)
        if self.stream is not None or not self.codec.trailing_data.startswith(_TIMEOUT_NOTICE):
            self.owner.on_protocol_error()
        stream, self.stream = self.stream, None
        self.owner.give_up("protocol error")
        if stream is not None:
            stream.on_reset(PROTOCOL_ERROR, "")

    def _write(self, data: bytes) -> None:
        if data:
            self.connection.write_bytes(data)
