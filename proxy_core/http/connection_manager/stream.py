"""One request with its response. Mirrors `ConnectionManagerImpl::ActiveStream` and the outside of `FilterManager`.

Place in the data's way: the connection makes one for each request and hands it head, data and end as the codec gives them; they
go through `decode` to the router, whose answer comes back through `encode` to the codec. `states` has the two machines.

A stream is answered at most once. An answer that a filter gives from inside a hook is kept until the hook has returned
(`settle_interruption`), so that no filter is destroyed while it runs. After the end, however it came, `over` is True and every
call does nothing.
"""

from __future__ import annotations

from typing import Any, Callable, Final, List, Optional, Sequence, Tuple

from ...buffer import Buffer
from ...network.connection import Connection
from ...observe.stream_info import StreamInfo
from ..events import RequestHead, ResponseHead
from ..filter_api import HttpFilter, WatermarkCallbacks
from ..headers import Headers
from ..route_api import Route
from . import arrival, response
from .decode import Decode
from .encode import Encode
from .facts import StreamFacts
from .holds import StreamHold
from .iteration import NOTHING, Slot
from .local_reply import LocalReply
from .settings import ManagerSettings
from .stall import StallWatch
from .states import AWAITED, COMPLETE, END, GIVEN_UP, HEAD, NONE, REQUEST_TABLE, RESPONSE_TABLE

# Log types of Envoy's.
START_LINE: Final = "DownstreamStart"
PERIODIC_LINE: Final = "DownstreamPeriodic"
END_LINE: Final = "DownstreamEnd"

REMOTE_DISCONNECT: Final = "downstream_remote_disconnect"


class ActiveStream:
    """owner: the `connection.HttpConnection`. head, response: None until they come."""

    __slots__ = (
        "owner", "manager", "connection", "reactor", "info", "facts", "head", "response", "request_state", "response_state",
        "filters", "chain", "decode", "encode", "interrupted", "over", "holds", "random_value", "tunnel", "upgraded",
        "idle_timeout", "max_duration", "logged_at", "last_flag", "stall_watch", "_route", "_route_known", "_pending",
        "_watchers", "_pauses", "_answered_here",
    )

    def __init__(self, owner: Any, manager: ManagerSettings, connection: Connection, info: StreamInfo) -> None:
        self.owner = owner
        self.manager = manager
        self.connection = connection
        self.reactor = connection.reactor
        self.info = info
        self.facts = info.http = StreamFacts(info.start_mono)
        self.head: Optional[RequestHead] = None
        self.response: Optional[ResponseHead] = None
        self.request_state: str = AWAITED
        self.response_state: str = NONE
        self.filters: Sequence[HttpFilter] = ()
        self.chain = manager.chain
        limit = connection.settings.buffer_limit
        self.decode = Decode(self, limit)
        self.encode = Encode(self, limit)
        self.interrupted = False
        self.over = False
        self.holds: Tuple[StreamHold, ...] = ()
        self.random_value = manager.random.getrandbits(64)
        self.tunnel = False  # granted: bytes in both directions, no HTTP any more
        self.upgraded = False  # counted as an upgrade
        self.idle_timeout = manager.timeouts.stream_idle
        self.max_duration = manager.timeouts.max_stream_duration
        self.logged_at = info.start_mono  # the periodic line before
        self.last_flag = ""  # a response flag to be set at the end, after the answer has been made
        self.stall_watch: Optional[StallWatch] = None  # once a filter has stopped
        self._route: Optional[Route] = None
        self._route_known = False
        self._pending: Optional[LocalReply] = None
        self._watchers: Tuple[WatermarkCallbacks, ...] = ()
        self._pauses: Tuple[str, ...] = ()  # who keeps the request from being read
        self._answered_here = False

    # -- the request -----------------------------------------------------------------------------------------------

    @property
    def may_decode(self) -> bool:
        """Whether filters may still be given the request."""
        return not self.interrupted and not self._answered_here and self.response_state is not COMPLETE

    def take_head(self, head: RequestHead) -> None:
        """The head of the request is there."""
        self.head = self.decode.head = self.facts.request = head
        self.request_state = REQUEST_TABLE[self.request_state][HEAD]
        if head.end_stream:
            self._request_ended()
        arrival.admit(self, head)

    def retake(self, head: RequestHead, body: Optional[bytes]) -> None:
        """The head and body of a complete request that another stream has given up (`recreate`)."""
        head.end_stream = body is None
        self.head = self.decode.head = self.facts.request = head
        self.request_state = REQUEST_TABLE[self.request_state][HEAD]
        self._request_ended()
        arrival.enter(self, head)
        if body is not None and self.may_decode:
            self.decode.run_data(0, Buffer(body), True)

    def start_filters(self, head: RequestHead) -> None:
        """The head is accepted and routed: let the filters have it."""
        if self.manager.log_on_new_request:
            self.write_log(START_LINE)
        self.decode.run_headers(0, head.end_stream)

    def take_data(self, data: bytes, end_stream: bool) -> None:
        """Some of its body."""
        self.info.bytes_received += len(data)
        if end_stream:
            self._request_ended()
        if self.may_decode:
            self.decode.run_data(0, Buffer(data), end_stream)

    def take_end(self, trailers: Optional[Headers]) -> None:
        """Its end."""
        self._request_ended()
        if not self.may_decode:
            return
        if trailers is None:
            self.decode.run_data(0, Buffer(), True)
        else:
            self.decode.trailers = trailers
            self.decode.run_trailers(0)

    def _request_ended(self) -> None:
        self.request_state = REQUEST_TABLE[self.request_state][END]
        self.decode.complete = True
        self.facts.rx_end = self.reactor.now

    # -- routing ---------------------------------------------------------------------------------------------------

    @property
    def route(self) -> Optional[Route]:
        """The route of the request as it looks now, chosen at the first look and kept."""
        if not self._route_known:
            self._route_known = True
            table = self.manager.routes.table
            if table is not None and self.head is not None:
                self._route = table.route(self.head, self.info, self.random_value)
                self.facts.route = self._route
                arrival.obey_route(self, self._route)
        return self._route

    def clear_route_cache(self) -> None:
        """Choose again at the next look."""
        self._route_known = False
        self._route = None

    # -- answers made here -----------------------------------------------------------------------------------------

    def send_local_reply(
        self, status: int, body: bytes, details: str, change_headers: Optional[Callable[[Headers], None]] = None
    ) -> None:
        """See `filter_api.StreamCallbacks.send_local_reply`."""
        if self.over or self._pending is not None:
            return
        reply = LocalReply(status, body, details, change_headers)
        if self.decode.calling is NOTHING and self.encode.calling is NOTHING:
            self._answer(reply)
        else:
            self._pending = reply
            self.interrupted = True

    def settle_interruption(self) -> None:
        """See `iteration.Interruptible`."""
        reply, self._pending = self._pending, None
        if reply is not None and not self.over:
            self.interrupted = False
            self._answer(reply)

    def _answer(self, reply: LocalReply) -> None:
        self._answered_here = True
        if self.response_state is not NONE:
            self.reset(reply.details)
            return
        self.info.response_code_details = "_".join(reply.details.split())
        if reply.status == 400 and not self.manager.keeps_after_bad_request:
            self.owner.end_after_response()
        try:
            head, body = self._make_answer(reply)
        except Exception as error:
            self.contain(error)
            return
        bodiless = not body or (self.head is not None and self.head.method == "HEAD")
        self._begin_response(head, bodiless)
        if not bodiless and not self.interrupted:
            self.encode.complete = True
            self.encode.run_data(0, Buffer(body), True)

    def _make_answer(self, reply: LocalReply) -> Tuple[ResponseHead, bytes]:
        if not self.filters:
            self.chain.install(self, self._route)
        for one in self.chain.listeners(self.filters, "hears_local_reply"):
            one.on_local_reply(reply.status, reply.details)
        if self.response is not None:
            self.encode.slots = ()  # the filters have begun with another response, and see no second one
        self.encode.kept, self.encode.trailers = None, None
        return self.manager.local_replies.make(reply, self.info, self.facts)

    # -- the response ----------------------------------------------------------------------------------------------

    def encode_1xx(self, status: int, headers: Headers) -> None:
        """An interim response of the upstream."""
        if not self.manager.proxy_100_continue or self.over or self.response_state is not NONE:
            return
        try:
            for one in reversed(self.chain.listeners(self.filters, "encodes_1xx")):
                one.encode_1xx(status, headers)
            if not self.over and self.response_state is NONE:
                response.send_interim(self, status, headers)
        except Exception as error:
            self.contain(error)

    def encode_headers(self, head: ResponseHead, end_stream: bool, details: str) -> None:
        """The head of the response, from the filter that has it."""
        if self.over or self._answered_here:
            return
        self.info.response_code_details = details
        self._begin_response(head, end_stream)

    def _begin_response(self, head: ResponseHead, end_stream: bool) -> None:
        self.response = self.encode.head = self.facts.response = head
        self.facts.response_code = head.status
        if end_stream:
            self.encode.complete = True
        self.encode.run_headers(0, end_stream)

    def encode_data(self, data: Buffer, end_stream: bool) -> None:
        """Some of its body."""
        if self.over or self._answered_here:
            data.clear()
            return
        if end_stream:
            self.encode.complete = True
        self.encode.run_data(0, data, end_stream)

    def encode_trailers(self, trailers: Headers) -> None:
        """Its end, with trailers."""
        if self.over or self._answered_here:
            return
        self.encode.complete = True
        self.encode.trailers = self.facts.response_trailers = trailers
        self.encode.run_trailers(0)

    def response_started(self) -> None:
        """The head went to the codec."""
        self.response_state = RESPONSE_TABLE[self.response_state][HEAD]
        self.facts.tx_begin = self.reactor.now

    def response_ended(self) -> None:
        """The last byte went to the codec."""
        self.response_state = RESPONSE_TABLE[self.response_state][END]
        self.facts.tx_end = self.reactor.now
        self.finish()

    # -- flow control ----------------------------------------------------------------------------------------------

    def pause_sender(self, holder: str) -> None:
        """Read no more of the request until `holder` resumes."""
        if not self.over:
            self._pauses += (holder,)
            self.owner.pause(holder)

    def resume_sender(self, holder: str) -> None:
        """The other half."""
        if not self.over:
            at = self._pauses.index(holder)
            self._pauses = self._pauses[:at] + self._pauses[at + 1:]
            self.owner.resume(holder)

    def watch_client(self, callbacks: WatermarkCallbacks) -> None:
        """Tell `callbacks` when the client reads too slowly, at once if it is so."""
        if not self.over:
            self._watchers += (callbacks,)
            if self.connection.above_high:
                callbacks.on_above_write_buffer_high_watermark()

    def unwatch_client(self, callbacks: WatermarkCallbacks) -> None:
        """Not any more."""
        self._watchers = tuple(one for one in self._watchers if one is not callbacks)

    def tell_above_high(self) -> None:
        """Whoever produces the response should stop."""
        for watcher in self._watchers:
            watcher.on_above_write_buffer_high_watermark()

    def tell_below_low(self) -> None:
        """Whoever produces the response may go on."""
        for watcher in self._watchers:
            watcher.on_below_write_buffer_low_watermark()

    # -- the end ---------------------------------------------------------------------------------------------------

    def reset(self, details: str) -> None:
        """End without an answer, or in the middle of one; so does the connection."""
        if self.over:
            return
        self.manager.stats.downstream_rq_tx_reset.value += 1
        self.info.response_code_details = "_".join(details.split())
        self.finish()

    def contain(self, error: Exception) -> None:
        """See `iteration.Interruptible`."""
        self.reactor.contain(error, self.connection)

    def recreate(self) -> bool:
        """See `filter_api.DecoderFilterCallbacks.recreate_stream`. The rest of the request must be there, and no response."""
        if self.over or self.request_state is not COMPLETE or self.response is not None or self.tunnel:
            return False
        retained = self.decode.retained
        body = None if retained is None else retained.peek(retained.size)
        head, owner = self.head, self.owner
        assert head is not None
        self._close_down()
        owner.recreate(self, head, body)
        return True

    def finish(self) -> None:
        """The stream is over, for whatever reason."""
        if self.over:
            return
        self._close_down()
        self.owner.stream_ended(self)

    def _close_down(self) -> None:
        """Tell, log and destroy the filters."""
        self.over = self.interrupted = True
        self.info.end_mono = self.reactor.now
        if self.last_flag:
            self.info.add_flag(self.last_flag)
        filters, self.filters = self.filters, ()
        try:
            for one in self.chain.listeners(filters, "hears_completion"):
                one.on_stream_complete()
            if self.manager.access_logs:
                self.write_log(END_LINE)
        except Exception as error:
            self.reactor.contain(error, None)
        for one in filters:
            try:
                one.on_destroy()
            except Exception as error:  # the others, the router above all, must still give back what they hold
                self.reactor.contain(error, None)
        for hold in self.holds:
            hold.stop_timer()
        if self.stall_watch is not None:
            self.stall_watch.stop()
            self.stall_watch = None
        if self.request_state is not COMPLETE or self.response_state is not COMPLETE:
            self.request_state = REQUEST_TABLE[self.request_state][GIVEN_UP]
            self.response_state = RESPONSE_TABLE[self.response_state][GIVEN_UP]
        for holder in self._pauses:  # they must not keep the next request from being read
            self.owner.resume(holder)
        # Nothing refers back to the stream any more: it is freed at once, not by the garbage collector.
        self.holds = self._watchers = self._pauses = ()
        self.decode.slots = self.encode.slots = ()
        self.decode.detach()
        self.encode.detach()

    def write_log(self, log_type: str) -> None:
        """One access-log line of this moment to each logger."""
        self.owner.note_wire(self)
        for logger in self.manager.access_logs:
            logger.log(self.info, log_type)

    def describe(self) -> List[str]:
        """What the parked filters wait for, for operators."""
        return [hold.reason for hold in self.holds]

    # -- stalls ----------------------------------------------------------------------------------------------------

    def filter_stopped(self, slot: Slot) -> None:
        """See `iteration.Interruptible`."""
        if not slot.since:
            slot.since = self.reactor.now
        if self.stall_watch is None:
            self.stall_watch = StallWatch(self)
        self.stall_watch.look_later()
