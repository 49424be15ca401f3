"""The network filter: a client's bytes become streams, one at a time, and their answers bytes. Mirrors `ConnectionManagerImpl`.

Place in the data's way: `Connection.on_ready` -> `on_data` -> `ServerCodec` -> `ActiveStream`; and back from `response` to
`Connection.write`. One request is answered at a time. What a client sends ahead stays in the codec, and reading pauses.

What one client can cost is bounded: requests that are answered at once are served `REQUESTS_AT_ONCE` a turn; none is begun while
more than the write watermark waits to be sent (Envoy drops a connection with three unsent answers, `http1.response_flood`).

How a connection is closed, by the time its last response is out:

    FlushWrite            the request was complete, and the answer of its upstream said that it is the last one
    FlushWriteAndDelay    everything else: the client gets `delayed_close_timeout` to see the answer and to close first
"""

from __future__ import annotations

from typing import Final, List, Optional

from ...buffer import Buffer
from ...filters.api import (
    CONNECTED, CONTINUE, REMOTE_CLOSE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks,
)
from ...network.close import FLUSH_WRITE, FLUSH_WRITE_AND_DELAY
from ...network.connection import Connection
from ...observe.reasons import Reasons
from ..codec import ServerCodec
from ..events import END_OF_MESSAGE, NEED_DATA, PAUSED, Data, EndOfMessage, Event, RequestHead
from ..settings import ProtocolError
from ..states import IDLE
from ..writer import REASONS
from .explained import explained
from .peer import Peer
from .settings import ManagerSettings
from .states import NONE
from .stream import PERIODIC_LINE, REMOTE_DISCONNECT, ActiveStream
from .stream_info import stream_info
from .timeouts import NEVER, Timeouts

REQUESTS_AT_ONCE: Final = 16
PIPELINE_HOLDER: Final = "the request before is not answered yet"


class HttpConnection:
    """One client's connection. stream: the request under way. drain_ends_at: 0.0 unless it drains. idle_since: when the last
    stream ended, in the reactor's seconds. requests: how many have begun."""

    __slots__ = (
        "manager", "connection", "codec", "stream", "timeouts", "drain_ends_at", "idle_since", "requests", "_peer", "_is_last",
        "_lingers", "_admitting", "_leaves_at", "_waiting", "_serving", "_closed", "_read_before", "_sent_before",
    )

    def __init__(self, manager: ManagerSettings, connection: Connection) -> None:
        self.manager = manager
        self.connection = connection
        self.codec = ServerCodec(manager.codec)
        self.stream: Optional[ActiveStream] = None
        self.drain_ends_at = 0.0
        self.idle_since = connection.reactor.now
        self.timeouts = Timeouts(self, manager.timeouts, manager.connection_duration())
        self._peer: Optional[Peer] = None
        self.requests = 0
        self._is_last = False  # the next response is the last one
        self._lingers = False  # and the client is given time to see it
        self._admitting = False  # filters are being given a head, and have not had time to learn that it is complete
        self._leaves_at = NEVER  # the listener drains
        self._waiting = False  # reading is paused because of PIPELINE_HOLDER
        self._serving = False  # `_serve` is on the stack
        self._closed = False
        self._read_before = 0  # bytes of the connection before the present stream
        self._sent_before = 0

    # -- the engine's calls ----------------------------------------------------------------------------------------

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Take the connection over."""
        manager, connection = self.manager, self.connection
        connection.settings = manager.connection_settings(connection.settings)
        connection.counters = manager.counters
        connection.callbacks += (self,)
        manager.stats.connection_opened(connection.transport.name == "tls")

    def on_new_connection(self) -> FilterStatus:
        """The idle time begins."""
        self.timeouts.start()
        self.manager.drain.add(self)
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Make what is complete into requests. end_stream: told where another filter has enabled half-close,
        elsewhere a client that ends its side is gone."""
        if data.size:
            self.codec.receive(data.take())
        if end_stream:
            self.codec.receive_eof()
        self._serving = True
        self._serve()
        self._serving = False
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """Called as filter and as callbacks of the connection; the first call counts."""
        if event is CONNECTED or self._closed:
            return
        self._closed = True
        self.timeouts.stop()
        self.manager.drain.discard(self)
        connection, stream, remote = self.connection, self.stream, event is REMOTE_CLOSE
        self.manager.stats.connection_closed(connection, remote, self.requests > 0, stream is not None)
        if stream is not None:
            local = f"downstream_local_disconnect({connection.local_close_details})"
            stream.info.add_flag("DC")
            stream.info.response_code_details = REMOTE_DISCONNECT if remote else local
            stream.finish()

    def on_above_write_buffer_high_watermark(self) -> None:
        """The client reads too slowly."""
        if self.stream is not None:
            self.stream.tell_above_high()

    def on_below_write_buffer_low_watermark(self) -> None:
        """It has caught up: the answer goes on, or the next request begins, but not from inside the flush."""
        if self.stream is not None:
            self.stream.tell_below_low()
        elif self._waiting:
            self.connection.reactor.defer(self._go_on, self.connection)

    def on_drain(self, delay: float) -> None:
        """The listener drains: from `delay` seconds on, the next response is the last."""
        self._leaves_at = self.connection.reactor.now + delay

    # -- requests --------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Take events from the codec until there are none, or until a request has to wait for its turn."""
        codec, connection = self.codec, self.connection
        body: Optional[bytes] = None
        begun = 0
        while connection.is_open:
            if self.stream is None and not self._may_begin(begun):
                return
            try:
                event = codec.next_event()
            except ProtocolError as error:
                if body is not None:
                    self._deliver(body, False)
                self._refuse(error)
                return
            if body is not None:
                piece, body = body, None
                if event is END_OF_MESSAGE:
                    self._deliver(piece, True)
                    continue
                self._deliver(piece, False)
            if isinstance(event, RequestHead):
                begun += 1
                self._begin(event)
                if event.end_stream and not codec.has_input:
                    return  # nearly always: the client waits for the answer
            elif isinstance(event, Data):
                body = event.data
            elif isinstance(event, EndOfMessage):
                if self.stream is not None:
                    self.stream.take_end(event.trailers)
            else:
                self._wait(event)
                return

    def _begin(self, head: RequestHead) -> None:
        codec, manager = self.codec, self.manager
        if head.end_stream:
            codec.next_event()  # its EndOfMessage: the answer may come before we are back here
        stream = self.stream or self._new_stream()
        stream.facts.header_bytes_received = codec.head_bytes
        if manager.max_requests and self.requests >= manager.max_requests:
            manager.stats.downstream_cx_max_requests_reached.inc()
            self._is_last = True
        self._admitting = True
        stream.take_head(head)
        self._admitting = False

    def _new_stream(self) -> ActiveStream:
        manager, connection = self.manager, self.connection
        self.requests += 1
        stats = manager.stats
        if self.requests == 1:
            stats.downstream_cx_http1_total.value += 1
            stats.downstream_cx_http1_active.value += 1
        stats.downstream_rq_total.value += 1
        stats.downstream_rq_http1_total.value += 1
        stats.downstream_rq_active.value += 1
        info = stream_info(connection.info, manager.wall_clock(), connection.reactor.now)
        stream = self.stream = ActiveStream(self, manager, connection, info)
        self.timeouts.stream_began()
        return stream

    def _deliver(self, body: bytes, end_stream: bool) -> None:
        if self.stream is not None:
            self.stream.take_data(body, end_stream)

    def _may_begin(self, begun: int) -> bool:
        """Whether it is the turn of another request of this connection."""
        if begun < REQUESTS_AT_ONCE and not self.connection.above_high or not self.codec.has_input:
            return True
        self._wait_for_turn()
        if not self.connection.above_high:
            self.connection.reactor.defer(self._go_on, self.connection)
        return False

    def _wait(self, event: Event) -> None:
        """The codec has nothing to say now."""
        if event is NEED_DATA:
            if self.stream is None and self.codec.has_input:
                self._new_stream()  # a request counts, and its timeouts run, from its first byte on
        elif event is PAUSED and self.codec.has_input:
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        if not self._waiting:
            self._waiting = True
            self.connection.pause_reading(PIPELINE_HOLDER)

    def _go_on(self) -> None:
        """The request before is answered: begin with what the client has sent ahead."""
        connection = self.connection
        if self.stream is not None or not connection.is_open or connection.above_high:
            return
        if self._waiting:
            self._waiting = False
            connection.resume_reading(PIPELINE_HOLDER)
        self._serving = True
        self._serve()
        self._serving = False

    def _refuse(self, error: ProtocolError) -> None:
        """Bytes that are not HTTP as we take it: say so, if it can still be said, and close."""
        self.manager.stats.protocol_error(error)
        stream = self.stream or self._new_stream()
        stream.last_flag = "DPE"
        if stream.response_state is NONE:
            self.close_after_response()
            text = REASONS.get(error.status, "Bad Request")
            stream.send_local_reply(error.status, text.encode("latin-1"), error.details)
        else:
            stream.reset(error.details)

    # -- for the stream --------------------------------------------------------------------------------------------

    @property
    def peer(self) -> Peer:
        """The client, for the header rules."""
        if self._peer is None:
            self._peer = Peer(self.connection)
        return self._peer

    def say_continue(self, stream: ActiveStream) -> None:
        """100 Continue, if the client's version knows it."""
        out = self.codec.send_informational(100)
        if out:
            self.manager.count_response(100, False)
            self.connection.write_bytes(out)

    def pause(self, holder: str) -> None:
        """Read no more until `holder` resumes."""
        self.manager.stats.downstream_flow_control_paused_reading_total.value += 1
        self.connection.pause_reading(holder)

    def resume(self, holder: str) -> None:
        """The other half."""
        self.manager.stats.downstream_flow_control_resumed_reading_total.value += 1
        self.connection.resume_reading(holder)

    def is_last_response(self) -> bool:
        """Whether the response that is about to begin is to say `connection: close`."""
        if self._leaves_at <= self.connection.reactor.now and not self._is_last:
            if self.manager.drain.draining:
                self.manager.stats.downstream_cx_drain_close.inc()
                self._is_last = True
            else:
                self._leaves_at = NEVER  # the health check is good again
        return self._is_last

    def end_after_response(self) -> None:
        """The response that is about to begin is the last one."""
        self._is_last = True

    def close_after_response(self) -> None:
        """What this client sends is not to be trusted any further."""
        self._is_last = self._lingers = True

    def stream_ended(self, stream: ActiveStream) -> None:
        """A stream is over: the next one, or the end of the connection."""
        connection, facts, stats = self.connection, stream.facts, self.manager.stats
        self.stream = None
        now = self.idle_since = connection.reactor.now
        stats.downstream_rq_active.value -= 1
        stats.downstream_rq_time.record(int((now - stream.info.start_mono) * 1000 + 1e-6))
        if stream.upgraded:
            stats.downstream_cx_upgrades_active.dec()
        complete = facts.rx_end is not None
        if not complete or facts.tx_end is None:
            stats.downstream_rq_rx_reset.value += 1
        if self._closed:
            return
        self._read_before, self._sent_before = connection.bytes_read, connection.bytes_queued
        if self.codec.cycle.server is not IDLE or facts.tx_end is None:
            at_once = complete and facts.tx_end is not None and not self._lingers and not self._admitting
            connection.close(FLUSH_WRITE if at_once else FLUSH_WRITE_AND_DELAY, how="FIN", config=facts_of_end(stream))
            return
        self.timeouts.stream_ended()
        if not self._serving and (self._waiting or self.codec.has_input):
            connection.reactor.defer(self._go_on, connection)

    def recreate(self, old: ActiveStream, head: RequestHead, body: Optional[bytes]) -> None:
        """Another stream for the request of `old`, which has been closed down."""
        stats = self.manager.stats
        stats.downstream_rq_active.value -= 1
        stats.downstream_rq_time.record(int((self.connection.reactor.now - old.info.start_mono) * 1000 + 1e-6))
        self.stream = None
        stream = self._new_stream()
        stream.info.filter_state = old.info.filter_state
        stream.retake(head, body)

    def note_wire(self, stream: ActiveStream) -> None:
        """The bytes of a stream with their framing, as far as they have moved."""
        connection, info = self.connection, stream.info
        info.wire_bytes_received = connection.bytes_read - self._read_before
        info.wire_bytes_sent = connection.bytes_queued - self._sent_before

    # -- the end (the waits are in `timeouts`) ---------------------------------------------------------------------

    def idle_timeout_reached(self) -> None:
        """No request for too long."""
        if self.requests:
            self.start_drain()
        else:
            self.connection.close(FLUSH_WRITE, how="timeout", config=f"idle_timeout {self.manager.timeouts.idle:g}s")

    def max_duration_reached(self) -> None:
        """The connection is old enough."""
        if self.requests:
            self.start_drain()
        else:
            duration = self.manager.timeouts.max_connection_duration
            self.connection.close(FLUSH_WRITE, how="timeout", config=f"max_connection_duration {duration:g}s")

    def start_drain(self) -> None:
        """A last request may still come within `drain_timeout`; its response says that it is the last."""
        self._is_last = True
        self.drain_ends_at = self.connection.reactor.now + self.manager.drain_time()

    def drain_over(self) -> None:
        """Close now, or as soon as the request under way is answered."""
        self.drain_ends_at = NEVER
        if self.stream is None:
            self.connection.close(FLUSH_WRITE_AND_DELAY, how="drain", config=f"drain_timeout {self.manager.timeouts.drain:g}s")

    def log_periodically(self) -> None:
        """The periodic line of the request under way."""
        stream = self.stream
        if stream is not None:
            stream.logged_at = self.connection.reactor.now
            stream.write_log(PERIODIC_LINE)

    # -- for whoever asks why --------------------------------------------------------------------------------------

    def streams(self) -> List[ActiveStream]:
        """The requests under way, to look at: one at most, as this is HTTP/1."""
        return [] if self.stream is None else [self.stream]

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        return explained(self)


def facts_of_end(stream: ActiveStream) -> str:
    """Why the connection closes after a stream, for people."""
    details = stream.info.response_code_details
    return f"after a response ({details})" if details else "after a response"
