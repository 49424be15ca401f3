"""One attempt: the request on its way to one host, and the response as far as it has come. Mirrors `Router::UpstreamRequest`.

    WAITING        for a connection; body that comes meanwhile is kept
    SENDING        the host has (some of) the request, its response has not begun
    AWAITING_SWITCH  the same for an upgrade: the client's bytes are kept until the host has agreed
    RESPONDING     the head of the response has come
    OVER           complete, reset, or never begun

Place in the data's way: between the router (`Owner`) and the pool, as the `Stream` of a connection.
"""

from __future__ import annotations

import enum
from typing import Final, Optional, Protocol

from ....buffer import Buffer
from ....event.timers import Timer
from ....http.events import RequestHead, ResponseHead
from ....http.headers import Headers
from ....network.connection import Connection
from ....observe.reasons import Reasons
from ....observe.stream_info import StreamInfo
from ....upstream.host import Host
from ....upstream.http_pool.api import LOCAL_RESET, PendingStream, ResetReason
from ....upstream.http_pool.budget import TimeoutBudget
from ....upstream.http_pool.exchange import Exchange
from ....upstream.http_pool.host_pool import HostPool
from .explained import attempt_reasons
from .sender import NOT_CONNECTED, UPSTREAM_FULL, Sender
from .timeouts import Timeouts
from .timing import Clock

PASSED_ON: Final = (100, 102, 103, 104)  # the interim responses that Envoy knows (`HeaderUtility::isSpecial1xx`)


class AttemptState(enum.Enum):
    """See the module docstring."""

    WAITING = "waiting for a connection"
    SENDING = "waiting for the response"
    AWAITING_SWITCH = "waiting for the protocol to be switched"
    RESPONDING = "the response has begun"
    OVER = "over"


WAITING: Final = AttemptState.WAITING
SENDING: Final = AttemptState.SENDING
AWAITING_SWITCH: Final = AttemptState.AWAITING_SWITCH
RESPONDING: Final = AttemptState.RESPONDING
OVER: Final = AttemptState.OVER


class Owner(Protocol):
    """The request, as its attempts see it."""

    @property
    def reactor(self) -> Clock:
        """Time and timers."""

    @property
    def sender(self) -> Optional[Sender]:
        """Who sends the request; None if all of it is there already."""

    def on_attempt_ready(self, attempt: Attempt, connection: Connection, head_bytes: int) -> None:
        """It has a connection, and the head is sent."""

    def on_attempt_sent(self) -> None:
        """All of the request is sent."""

    def on_attempt_informational(self, attempt: Attempt, status: int, headers: Headers) -> None:
        """A 1xx response."""

    def on_attempt_head(self, attempt: Attempt, head: ResponseHead, end_stream: bool) -> None:
        """The final head."""

    def on_attempt_data(self, attempt: Attempt, data: Buffer, end_stream: bool) -> None:
        """Some of the body."""

    def on_attempt_trailers(self, attempt: Attempt, trailers: Headers) -> None:
        """The end, with trailers."""

    def on_attempt_failed(self, attempt: Attempt, reason: ResetReason, text: str) -> None:
        """There will be no (complete) response. text: Envoy's transport failure text, or ""."""

    def on_per_try_timeout(self, attempt: Attempt, is_idle: bool) -> None:
        """It took too long. is_idle: nothing has moved for too long."""

    def on_max_duration(self, attempt: Attempt) -> None:
        """No request to this cluster may last that long."""


class Attempt:
    """See the module docstring. `protocol`: for access logs; `host`: whom it asks, None if nobody was. `was_sent`: the host got
    the head. `budget`: who wants to know how long it takes."""

    __slots__ = ("host", "state", "was_sent", "exchange", "budget", "_started_at", "_is_full", "_owner", "_head", "_timeouts",
                 "_pending", "_early", "_early_end", "_trailers", "_end_stream", "_holds", "_timer", "_idle_timer",
                 "_duration_timer", "_last_moved")

    protocol: Final = "HTTP/1.1"

    def __init__(self, owner: Owner, head: RequestHead, end_stream: bool, host: Host, timeouts: Timeouts) -> None:
        """end_stream: the request has no body."""
        self.host: Optional[Host] = host
        self.state = WAITING
        self.was_sent = False
        self.exchange: Optional[Exchange] = None
        self._is_full = False
        self._owner = owner
        self._head = head
        self._timeouts = timeouts
        self._pending: Optional[PendingStream] = None
        self._early: Optional[Buffer] = None
        self._early_end = False
        self._trailers: Optional[Headers] = None
        self._end_stream = end_stream
        self._holds = False
        self._timer: Optional[Timer] = None
        self._idle_timer: Optional[Timer] = None
        self._duration_timer: Optional[Timer] = None
        self._last_moved = 0.0
        self.budget: Optional[TimeoutBudget] = None
        self._started_at = 0.0

    # -- for the router --------------------------------------------------------------------------------------------

    def start(self, pool: HostPool) -> None:
        """Ask for a connection, and send the head as soon as there is one."""
        most = self._timeouts.max_duration
        if most:
            self._duration_timer = self._owner.reactor.after(most, self._on_max_duration)
        self.budget = pool.budget
        self._started_at = self._owner.reactor.now
        pending = pool.new_stream(self)
        if self.state is WAITING:
            self._pending = pending

    def send_data(self, data: Buffer, end_stream: bool) -> None:
        """Some of the body; `data` is empty afterwards."""
        if self.state is OVER:
            data.clear()
        elif self.state is WAITING or self.state is AWAITING_SWITCH:
            self._keep(data, end_stream)
        else:
            self._send(data, end_stream)

    def send_trailers(self, trailers: Headers) -> None:
        """The end of the request."""
        if self.state is WAITING:
            self._trailers = trailers
        else:
            self._send_trailers(trailers)

    def reset(self, why: str) -> None:
        """Give up. The router hears nothing more of it."""
        if self.state is OVER:
            return
        self._finish()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.reset(why)

    def stop_timers(self) -> None:
        """Its outcome is awaited no longer: a tunnel is open."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def pause(self) -> None:
        """Take no more of the response for now."""
        if self.exchange is not None:
            self.exchange.pause()

    def resume(self) -> None:
        """Take more again."""
        if self.exchange is not None:
            self.exchange.resume()

    @property
    def awaits_head(self) -> bool:
        """Whether its response may still begin."""
        return self.state is not RESPONDING and self.state is not OVER

    # -- for whoever asks why --------------------------------------------------------------------------------------

    @property
    def info(self) -> Optional[StreamInfo]:
        """See `http_pool.Stream`."""
        return self._owner.sender.info if self._owner.sender is not None else None

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        return attempt_reasons(self.state.value, self.host, self._timeouts, self._timer, self._idle_timer, self._duration_timer)

    # -- from the pool ---------------------------------------------------------------------------------------------

    def on_pool_ready(self, exchange: Exchange, host: Host) -> None:
        """See `http_pool.Stream`."""
        self._pending = None
        self.exchange = exchange
        self.host = host
        head = self._head
        self.state = AWAITING_SWITCH if head.upgrade else SENDING
        try:
            size = exchange.send_head(head, self._end_stream)
        except ValueError as error:
            self._fail_locally(str(error))
            return
        self.was_sent = True
        self._owner.on_attempt_ready(self, exchange.connection, size)
        idle = self._timeouts.per_try_idle
        if idle:
            self._last_moved = self._owner.reactor.now
            self._idle_timer = self._owner.reactor.after(idle, self._on_per_try_idle)
        if self._end_stream:
            self._on_sent()
        elif self.state is SENDING:
            self._flush_early()

    def on_pool_failure(self, reason: ResetReason, text: str, host: Optional[Host]) -> None:
        """See `http_pool.Stream`."""
        self._pending = None
        self.host = host
        self._finish()
        self._owner.on_attempt_failed(self, reason, text)

    def on_informational(self, status: int, headers: Headers) -> None:
        """See `http_pool.Stream`."""
        if status in PASSED_ON:
            self._owner.on_attempt_informational(self, status, headers)

    def on_head(self, head: ResponseHead, end_stream: bool) -> None:
        """See `http_pool.Stream`."""
        switched = self.state is AWAITING_SWITCH and self.exchange is not None and self.exchange.is_tunnel
        self.state = RESPONDING
        if self._timer is not None:
            self._stop_per_try()
        if end_stream:
            self._end()
        if self._idle_timer is not None:
            self._touch()
        self._owner.on_attempt_head(self, head, end_stream)
        if switched and self.exchange is not None:
            self._flush_early()

    def on_data(self, data: Buffer, end_stream: bool) -> None:
        """See `http_pool.Stream`."""
        if end_stream:
            self._end()
        if self._idle_timer is not None:
            self._touch()
        self._owner.on_attempt_data(self, data, end_stream)

    def on_trailers(self, trailers: Headers) -> None:
        """See `http_pool.Stream`."""
        self._end()
        self._owner.on_attempt_trailers(self, trailers)

    def on_reset(self, reason: ResetReason, text: str) -> None:
        """See `http_pool.Stream`."""
        self.exchange = None
        self._finish()
        self._owner.on_attempt_failed(self, reason, text)

    def on_above_write_buffer_high_watermark(self) -> None:
        """See `http_pool.Stream`."""
        sender = self._owner.sender
        if sender is not None and not self._is_full:
            self._is_full = True
            sender.pause_sender(UPSTREAM_FULL)

    def on_below_write_buffer_low_watermark(self) -> None:
        """See `http_pool.Stream`."""
        sender = self._owner.sender
        if sender is not None and self._is_full:
            self._is_full = False
            sender.resume_sender(UPSTREAM_FULL)

    # -- sending ---------------------------------------------------------------------------------------------------

    def _keep(self, data: Buffer, end_stream: bool) -> None:
        if self._early is None:
            self._early = Buffer()
        self._early.move_from(data)
        self._early_end = self._early_end or end_stream
        sender = self._owner.sender
        if sender is not None and not self._holds and self._early.size > sender.decoder_buffer_limit > 0:
            self._holds = True
            sender.pause_sender(NOT_CONNECTED)

    def _flush_early(self) -> None:
        early, self._early = self._early, None
        if early is not None and self.exchange is not None:
            self._send(early, self._early_end)
        if self._trailers is not None:
            self._send_trailers(self._trailers)
        self._let_sender_go()

    def _send(self, data: Buffer, end_stream: bool) -> None:
        if self.exchange is None:
            return
        try:
            self.exchange.send_data(data, end_stream)
        except ValueError as error:
            self._fail_locally(str(error))
            return
        if self._idle_timer is not None:
            self._touch()
        if end_stream:
            self._on_sent()

    def _send_trailers(self, trailers: Headers) -> None:
        if self.exchange is None:
            return
        try:
            self.exchange.send_trailers(trailers)
        except ValueError as error:
            self._fail_locally(str(error))
            return
        self._on_sent()

    def _on_sent(self) -> None:
        per_try = self._timeouts.per_try
        if per_try and self.state is SENDING:
            self._timer = self._owner.reactor.after(per_try, self._on_per_try)
        self._owner.on_attempt_sent()

    def _fail_locally(self, why: str) -> None:
        """What should be sent can't be: a filter has spoilt it."""
        exchange, self.exchange = self.exchange, None
        self._finish()
        if exchange is not None:
            exchange.reset(why)
        self._owner.on_attempt_failed(self, LOCAL_RESET, "")

    # -- ending ----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """The response is complete; the connection is not ours any more."""
        self.exchange = None
        self._finish()

    def _finish(self) -> None:
        self.state = OVER
        if self.budget is not None:
            self.budget.tried(self._owner.reactor.now - self._started_at, self._timeouts.per_try)
        self.stop_timers()
        if self._duration_timer is not None:
            self._duration_timer.cancel()
            self._duration_timer = None
        self._early = None
        if self._holds:
            self._let_sender_go()
        if self._is_full:
            self.on_below_write_buffer_low_watermark()

    def _let_sender_go(self) -> None:
        sender = self._owner.sender
        if sender is not None and self._holds:
            self._holds = False
            sender.resume_sender(NOT_CONNECTED)

    # -- time ------------------------------------------------------------------------------------------------------

    def _touch(self) -> None:
        self._last_moved = self._owner.reactor.now

    def _stop_per_try(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_max_duration(self) -> None:
        self._duration_timer = None
        self._owner.on_max_duration(self)

    def _on_per_try(self) -> None:
        self._timer = None
        self._owner.on_per_try_timeout(self, is_idle=False)

    def _on_per_try_idle(self) -> None:
        """Bytes don't touch the timer: if it was too early, wait for the rest."""
        reactor = self._owner.reactor
        left = self._last_moved + self._timeouts.per_try_idle - reactor.now
        if left > 0:
            self._idle_timer = reactor.after(left, self._on_per_try_idle)
            return
        self._idle_timer = None
        self._owner.on_per_try_timeout(self, is_idle=True)
