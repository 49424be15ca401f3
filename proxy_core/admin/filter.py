"""The admin's connections: a terminal network filter that speaks HTTP/1 and answers from the table of routes.

Place in the data's way: bytes -> `ServerCodec` -> `Exchange` -> `routes.dispatch` -> codec -> write buffer.
Mirrors the pair of connection manager and `AdminFilter` in Envoy.

What one client can cost is bounded: requests of a connection are answered one after the other, a few per turn
of the loop, and none while more than the write watermark waits to be sent; reading is paused then. A
connection on which nothing moves in either direction for IDLE_TIMEOUT is closed, whether it is idle between
requests, stuck in a request, or not reading. (Envoy's admin has no such timeout.)
"""

from __future__ import annotations

from typing import Final, List, Optional

from ..buffer import Buffer
from ..event.timers import Timer
from ..filters.api import (
    CONNECTED, CONTINUE, REMOTE_CLOSE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks,
)
from ..http.codec import ServerCodec
from ..http.events import ConnectionClosed, Data, EndOfMessage, Event, RequestHead, ResponseHead
from ..http.settings import Http1Settings, ProtocolError
from ..http.states import MUST_CLOSE
from ..network.close import FLUSH_WRITE, NO_FLUSH
from ..network.connection import Connection
from ..observe.access_log.logger import AccessLog
from . import guard, routes
from .api import PLAIN, Response, text
from .exchange import Exchange
from .host import AdminHost
from .http_stats import AdminStats
from .reply_head import reply_head
from .streaming import StreamedReply

IDLE_TIMEOUT: Final = 60.0  # seconds
REQUESTS_AT_ONCE: Final = 4
HOLDER: Final = "admin is answering"
ANSWERED: Final = "admin_filter_response"

_REASONS: Final = {
    400: "Bad Request", 403: "Forbidden", 426: "Upgrade Required", 431: "Request Header Fields Too Large",
    501: "Not Implemented",
}


class AdminService:
    """What the admin's connections share. checks_host: False on a Unix socket, which no browser can reach."""

    def __init__(self, host: AdminHost, access_logs: List[AccessLog], checks_host: bool) -> None:
        self.host = host
        self.access_logs = access_logs
        self.checks_host = checks_host
        self.stats = AdminStats(host.stats)
        self.settings = Http1Settings(allow_absolute_url=False)

    def refusal(self, head: RequestHead) -> Optional[Response]:
        """The 403 for a request that a web page of somebody else may have made."""
        if not self.checks_host:
            return None
        more = guard.allowed_hosts(self.host.runtime.get(guard.HOSTS_KEY))
        return guard.refusal(head.method, head.authority or "", head.headers.get("origin"), more)


class AdminFilter:
    """One connection of the admin."""

    __slots__ = (
        "_service", "_stats", "_connection", "_codec", "_exchange", "_streamed", "_held", "_peer_ended", "_timer",
    )

    def __init__(self, service: AdminService, connection: Connection) -> None:
        self._service = service
        self._stats = service.stats
        self._connection = connection
        self._codec = ServerCodec(service.settings)
        self._exchange: Optional[Exchange] = None
        self._streamed: Optional[StreamedReply] = None
        self._held = False
        self._peer_ended = False
        self._timer: Optional[Timer] = None

    # -- the engine's calls ----------------------------------------------------------------------------------

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """A client may end its side and still read its replies."""
        connection = self._connection
        connection.half_close_enabled = True
        connection.counters = self._stats.counters
        connection.callbacks += (self,)
        self._stats.connection_opened()

    def on_new_connection(self) -> FilterStatus:
        """The idle time begins."""
        self._timer = self._connection.reactor.after(IDLE_TIMEOUT, self._on_quiet, self._connection)
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Answer what is complete."""
        if data.size:
            self._codec.receive(data.take())
        if end_stream:
            self._peer_ended = True
            self._codec.receive_eof()
        if self._streamed is None:
            self._serve()
        elif end_stream:
            self._connection.close(NO_FLUSH, "admin_viewer_left")
        elif not self._held:  # the next request waits for the end of this reply, in the kernel
            self._hold()
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """Called as filter and as callbacks of the connection; the filter's call comes first and counts."""
        if event is CONNECTED or self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._on_closed(remote=self._peer_ended or event is REMOTE_CLOSE)

    def on_above_write_buffer_high_watermark(self) -> None:
        """`_serve` looks at the connection's own flag."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """Room again: go on, but not from inside the flush."""
        if self._held and self._streamed is None:
            self._connection.reactor.defer(self._go_on, self._connection)

    # -- requests --------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Take events from the codec until there are none, or until it is somebody else's turn."""
        connection, answered = self._connection, 0
        while connection.is_open and not self._held and self._streamed is None:
            try:
                event = self._codec.next_event()
            except ProtocolError as error:
                self._refuse(error)
                return
            if isinstance(event, EndOfMessage):
                answered += 1
                self._answer()
                if connection.above_high:
                    self._hold()
                elif answered == REQUESTS_AT_ONCE:
                    self._hold()
                    connection.reactor.defer(self._go_on, connection)
            elif not self._take(event):
                return

    def _take(self, event: Event) -> bool:
        """Any event but the end of a request; whether to ask for another."""
        if isinstance(event, RequestHead):
            self._begin(event)
        elif isinstance(event, Data):
            if self._exchange is not None and not self._exchange.take_body(event.data):
                self._reply(text("The body is too large.\n", 413), "request_payload_too_large")
        elif isinstance(event, ConnectionClosed):
            self._connection.close(FLUSH_WRITE, how="FIN")
        else:
            return False
        return True

    def _hold(self) -> None:
        self._held = True
        self._connection.pause_reading(HOLDER)

    def _go_on(self) -> None:
        if self._held and self._connection.is_open and not self._connection.above_high:
            self._held = False
            self._connection.resume_reading(HOLDER)
            self._serve()

    def _begin(self, head: RequestHead) -> None:
        service = self._service
        self._exchange = Exchange(self._connection, head, service.host.wall_clock())
        self._stats.request_started()
        if head.authority is None:
            self._reply(Response(400, b"", ""), "missing_host_header", close=True)
        elif head.upgrade:  # there is no tunnel to be had, and what follows is no HTTP
            self._answer()
        elif head.expect_continue:
            self._stats.response(100)
            self._write(self._codec.send_informational(100))

    def _answer(self) -> None:
        """The request is complete."""
        exchange = self._exchange
        if exchange is None:  # it was answered before its end
            return
        assert exchange.head is not None
        refusal = self._service.refusal(exchange.head)
        if refusal is not None:
            self._reply(refusal, "admin_host_or_origin_refused")
            return
        request = exchange.request()
        if request is not None:
            self._reply(routes.dispatch(self._service.host, request), ANSWERED)
        elif exchange.head.path.startswith("/"):
            self._reply(Response(400, b"", ""), "path_normalization_failed", close=True)
        else:
            self._reply(Response(404, b"", ""), "absolute_path_rejected")

    def _refuse(self, error: ProtocolError) -> None:
        """Bytes that are not HTTP as we take it: say so, if it can still be said, and close."""
        self._stats.protocol_error(in_request=self._exchange is not None)
        if self._exchange is None:
            self._exchange = Exchange(self._connection, None, self._service.host.wall_clock())
        self._exchange.info.add_flag("DPE")
        reply = text(_REASONS.get(error.status, "Bad Request"), error.status, PLAIN)
        self._reply(reply, error.details, close=True)

    # -- replies ---------------------------------------------------------------------------------------------

    def _reply(self, response: Response, details: str, close: bool = False) -> None:
        """Queue a reply, log it, and close where the codec says that no request can follow."""
        exchange, codec, connection = self._exchange, self._codec, self._connection
        assert exchange is not None
        head = reply_head(response, self._service.host.wall_clock(), last=close)
        is_head = exchange.head is not None and exchange.head.method == "HEAD"
        bodiless = is_head or not response.body and not response.content_type
        out = codec.send_response(head, end_stream=bodiless)
        if response.stream is not None and not bodiless:
            self._write(out)
            self._streamed = StreamedReply(connection, codec, head, self._on_stream_end)
            self._streamed.begin(response.stream)
            return
        if not bodiless:
            out += codec.send_data(response.body, end_stream=True)
        self._write(out)
        self._replied(exchange, details, head, 0 if is_head else len(response.body))
        if response.after is not None:
            connection.reactor.defer(response.after)
        if codec.cycle.server is MUST_CLOSE or close:
            connection.close(FLUSH_WRITE, how="FIN")

    def _on_stream_end(self) -> None:
        """A streamed reply is complete: on with the next request, but not from inside the endpoint."""
        exchange, streamed, connection = self._exchange, self._streamed, self._connection
        assert exchange is not None and streamed is not None
        self._streamed = None
        self._replied(exchange, ANSWERED, streamed.head, streamed.size)
        if self._codec.cycle.server is MUST_CLOSE:
            connection.close(FLUSH_WRITE, how="FIN")
            return
        if not self._held:
            self._hold()
        connection.reactor.defer(self._go_on, connection)

    def _replied(self, exchange: Exchange, details: str, head: ResponseHead, size: int) -> None:
        self._exchange = None
        self._stats.request_ended(head.status, self._connection.reactor.now - exchange.started)
        exchange.finish(details, head, size, self._service.access_logs)

    def _write(self, data: bytes) -> None:
        self._connection.write(Buffer(data), False)

    # -- the end ---------------------------------------------------------------------------------------------

    def _on_closed(self, remote: bool) -> None:
        connection, exchange, streamed = self._connection, self._exchange, self._streamed
        self._stats.connection_closed(remote, connection.reactor.now - connection.opened_at)
        if streamed is not None:
            self._streamed = None
            streamed.viewer_left()
        if exchange is not None:
            self._exchange = None
            self._stats.request_lost(remote)
            exchange.info.add_flag("DC")
            details = "downstream_remote_disconnect" if remote else "downstream_local_disconnect"
            head, size = (streamed.head, streamed.size) if streamed is not None else (None, 0)
            exchange.finish(details, head, size, self._service.access_logs)

    def _on_quiet(self) -> None:
        """IDLE_TIMEOUT has passed since the timer was set: close, or wait for the rest of it."""
        connection = self._connection
        if not connection.is_open:  # on its way out, with a bound of its own
            return
        reactor = connection.reactor
        left = max(connection.last_read, connection.last_write) + IDLE_TIMEOUT - reactor.now
        if left > 0:
            self._timer = reactor.after(left, self._on_quiet, connection)
            return
        self._stats.connection_idle()
        kind = NO_FLUSH if connection.write_buffer.size else FLUSH_WRITE
        connection.close(kind, "admin_idle_timeout", how="timeout", config=f"{IDLE_TIMEOUT:g}s, fixed")
