"""A request without a client: one attempt, and what is counted of it. Mirrors `Http::AsyncRequestSharedImpl`.

    DetachedRequest(...).start(body, trailers)     the copies of mirrored requests: nobody waits for the answer
    DetachedRequest(..., on_answer)                `async_client`: somebody does, until `cancel()`
"""

from __future__ import annotations

from typing import Callable, Final, Optional

from ....buffer import Buffer
from ....http.events import RequestHead, ResponseHead
from ....http.headers import Headers
from ....network.connection import Connection
from ....observe.stream_info import StreamInfo
from ....upstream.balancer import PickContext
from ....upstream.cluster import Cluster
from ....upstream.http_pool.api import OVERFLOW, PROTOCOL_ERROR, ResetReason
from .attempt import Attempt
from .charging import Charges
from .config import Prepared
from .sender import Sender
from .timeouts import Timeouts, write_expected
from .timing import Clock, RouteTimer

BAD_GATEWAY, UNAVAILABLE, GATEWAY_TIMEOUT = 502, 503, 504
MOST_BODY: Final = 32 << 20  # bytes of an answer that somebody waits for; more is a failure

# Called once, with the head and the body of the answer, or with None where there is none.
OnAnswer = Callable[[Optional[ResponseHead], bytes], None]


class DetachedRequest:
    """See the module docstring. An `attempt.Owner`; it lives as long as its attempt or its timer."""

    __slots__ = ("reactor", "sender", "_prepared", "_cluster", "_pools", "_head", "_charges", "_attempt", "_timer", "_sent_at",
                 "_timeout", "_response", "_on_answer", "_body")

    def __init__(
        self, prepared: Prepared, reactor: Clock, cluster: Cluster, head: RequestHead, timeout: float,
        on_answer: Optional[OnAnswer] = None,
    ) -> None:
        """timeout: seconds, 0 = none."""
        self.reactor = reactor
        self.sender: Optional[Sender] = None
        self._prepared = prepared
        self._cluster = cluster
        self._pools = prepared.pools.of(cluster)
        self._head = head
        self._charges = Charges(self._pools.responses, (), head, prepared.zone)
        self._attempt: Optional[Attempt] = None
        self._timer = RouteTimer(reactor, self._on_timeout)
        self._timeout = timeout
        self._sent_at = reactor.now
        self._response: Optional[ResponseHead] = None
        self._on_answer = on_answer
        self._body = Buffer()

    def start(self, body: Buffer, trailers: Optional[Headers]) -> None:
        """Send it. body: all of it."""
        self._prepared.detached_total.inc()
        info = StreamInfo(-1, 0.0, self.reactor.now)
        host = self._cluster.pick_host(PickContext(info=info) if self._cluster.uses_info else None)
        pool = self._pools.pool(host, False, info, self._head) if host is not None else None
        if host is None or pool is None:
            if host is None:
                self._cluster.stats.upstream_cx_none_healthy.inc()
            self._charges.charge(UNAVAILABLE, None)
            self._answer(None)
            return
        timeouts = Timeouts(self._timeout)
        if self._prepared.adds_headers:
            write_expected(self._head.headers, timeouts, 0.0)
        has_body = bool(body.size)
        attempt = self._attempt = Attempt(self, self._head, not has_body and trailers is None, host, timeouts)
        self._timer.start(self._timeout)
        attempt.start(pool)
        if has_body:
            attempt.send_data(body, trailers is None)
        if trailers is not None:
            attempt.send_trailers(trailers)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._on_answer = None
        self._timer.stop()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.reset("cancelled")

    # -- attempt.Owner ---------------------------------------------------------------------------------------------

    def on_attempt_ready(self, attempt: Attempt, connection: Connection, head_bytes: int) -> None:
        """See `attempt.Owner`."""
        if attempt.host is not None and attempt.host.outlier is not None:
            attempt.host.outlier.put_connected(final=False)

    def on_attempt_sent(self) -> None:
        """See `attempt.Owner`."""

    def on_attempt_informational(self, attempt: Attempt, status: int, headers: Headers) -> None:
        """See `attempt.Owner`."""

    def on_attempt_head(self, attempt: Attempt, head: ResponseHead, end_stream: bool) -> None:
        """See `attempt.Owner`."""
        host = attempt.host
        self._response = head
        if self._on_answer is not None and self._prepared.adds_headers:
            head.headers.set("x-envoy-upstream-service-time", str(int((self.reactor.now - self._sent_at) * 1000)))
        self._charges.charge(head.status, host, head)
        if host is not None:
            host.counters.rq_success += head.status < 500
            if host.outlier is not None:
                host.outlier.put_response_code(head.status)
        if end_stream:
            self._on_complete(attempt)

    def on_attempt_data(self, attempt: Attempt, data: Buffer, end_stream: bool) -> None:
        """See `attempt.Owner`."""
        if self._on_answer is not None:
            self._body.move_from(data)
            if self._body.size > MOST_BODY:
                attempt.reset("the answer is too large")
                self._answer(None)
                return
        if end_stream:
            self._on_complete(attempt)

    def on_attempt_trailers(self, attempt: Attempt, trailers: Headers) -> None:
        """See `attempt.Owner`."""
        self._on_complete(attempt)

    def on_attempt_failed(self, attempt: Attempt, reason: ResetReason, text: str) -> None:
        """See `attempt.Owner`."""
        host = attempt.host
        if host is not None and host.outlier is not None and reason is not OVERFLOW:
            host.outlier.put_connect_failed(timed_out=False)
        if self._response is None:
            self._charges.charge(BAD_GATEWAY if reason is PROTOCOL_ERROR else UNAVAILABLE, host)
        self._answer(None)

    def on_per_try_timeout(self, attempt: Attempt, is_idle: bool) -> None:
        """There is no such limit."""

    def on_max_duration(self, attempt: Attempt) -> None:
        """Nor this one."""

    def _on_complete(self, attempt: Attempt) -> None:
        self._charges.charge_time(int((self.reactor.now - self._sent_at) * 1000), attempt.host, self._response)
        self._answer(self._response)

    def _answer(self, head: Optional[ResponseHead]) -> None:
        """It is over, and refers to nobody who refers to it."""
        self._timer.stop()
        self._attempt = None
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            on_answer(head, self._body.take())

    def _on_timeout(self) -> None:
        attempt = self._attempt
        if attempt is None:
            return
        self._pools.stats.upstream_rq_timeout.inc()
        if attempt.awaits_head:
            self._charges.charge(GATEWAY_TIMEOUT, attempt.host)
            if attempt.host is not None:
                attempt.host.counters.rq_timeout += 1
        attempt.reset("timeout")
        self._answer(None)
