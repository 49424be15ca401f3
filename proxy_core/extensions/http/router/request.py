"""A request that has a cluster: its attempts one after the other, its time, and what comes of it. Mirrors the part of
`Router::Filter` that begins with the choice of a host.

Place in the data's way: between the router's filter, which gives it the request as it comes, and `Attempt`, which has the
connection. The response goes through `Answer` to the filter's callbacks.

At every moment there is one attempt, or the timer of the next one, or the answer is known (`is_over`). The body is kept by the
connection manager as long as the request may have to be sent again.
"""

from __future__ import annotations

from typing import Any, Final, Optional, Sequence, Union

from ....buffer import Buffer
from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import DecoderFilterCallbacks
from ....http.headers import Headers
from ....http.route_api import InternalRedirectPolicy, Route, RouteAction
from ....network.connection import Connection
from ....observe.reasons import Reasons
from ....upstream.cluster import Cluster
from ....upstream.host import Host
from ....upstream.http_pool.api import LOCAL_RESET, OVERFLOW, PROTOCOL_ERROR, ResetReason
from . import replies
from .answer import Answer
from .attempt import Attempt
from .charging import charge_timeout
from .config import GroupStats, Prepared
from .explained import request_reasons
from .facts import note_answer, note_attempt, note_connection, note_host
from .heads import prepare_first, prepare_next
from .mirror import Mirrors
from .picking import pick
from .redirect import follow
from .relay import Relay
from .retry import RetryState, retry_state_of
from .retrying import Retries
from .timeouts import timeouts_of
from .timing import Clock, RouteTimer
from .tunnel import Tunnel

SWITCHING, NO_CONTENT = 101, 204
BAD_GATEWAY, UNAVAILABLE, GATEWAY_TIMEOUT, INSUFFICIENT_STORAGE = 502, 503, 504, 507
NO_LIMIT: Final = 1 << 63
_ALTERNATIVE: Final = "x-envoy-upstream-rq-timeout-alt-response"
_IMMEDIATE_FAIL: Final = "x-envoy-immediate-health-check-fail"

AnyAttempt = Union[Attempt, Tunnel]


class RoutedRequest:
    """See the module docstring. The `Owner` of its attempts."""

    __slots__ = (
        "is_over", "sender", "reactor", "_prepared", "_decoder", "_head", "_route", "_action", "_cluster", "_pools", "_groups",
        "_answer", "_timeouts", "_timeout_status", "_retries", "_mirrors", "_attempt", "_facts", "_keeps_body", "_complete_at",
        "_timer", "_relay", "_trailers", "_asked_at",
    )

    def __init__(
        self, prepared: Prepared, decoder: DecoderFilterCallbacks, head: RequestHead, route: Route, action: RouteAction,
        cluster: Cluster, groups: Sequence[GroupStats],
    ) -> None:
        self.is_over = False
        self.sender = decoder
        self.reactor: Clock = decoder.reactor
        self._prepared = prepared
        self._decoder = decoder
        self._head = head
        self._route = route
        self._action = action
        self._cluster = cluster
        self._pools = prepared.pools.of(cluster)
        self._groups = groups
        self._answer = Answer(prepared, decoder, head, route, self._pools, groups)
        self._timeouts = timeouts_of(head, action, prepared.respects_expected_timeout, self._pools.options.max_stream_duration)
        self._timeout_status = GATEWAY_TIMEOUT
        self._retries: Optional[Retries] = None
        self._mirrors: Optional[Mirrors] = None
        self._attempt: Optional[AnyAttempt] = None
        self._facts: Any = decoder.info.http
        self._keeps_body = False
        self._complete_at: Optional[float] = None  # of the request, when nothing more of it is to come
        self._timer = RouteTimer(decoder.reactor, self._on_timeout)
        self._relay: Optional[Relay] = None  # of a response that does not come in one piece
        self._trailers: Optional[Headers] = None
        self._asked_at = 0.0

    # -- the request -----------------------------------------------------------------------------------------------

    def begin(self, end_stream: bool) -> None:
        """The head has come, and perhaps that is all."""
        host = self._pick()
        if host is None:
            return
        prepared, head, action, route = self._prepared, self._head, self._action, self._route
        if _ALTERNATIVE in head.headers:
            head.headers.remove(_ALTERNATIVE)
            self._timeout_status = NO_CONTENT
        prepare_first(head, route, action, self._timeouts, host, self._decoder.info, prepared.adds_headers)
        breakers = self._cluster.high_breakers if action.high_priority else self._cluster.breakers
        retry = retry_state_of(
            head, action.retry_policy, breakers, self._pools.stats, self._groups, prepared.random, prepared.wall_clock
        )
        if retry is not None:
            self._retries = Retries(retry, self._decoder, head, route, self._start_again)
        if action.mirror_policies:
            self._mirrors = Mirrors.of(prepared, action.mirror_policies, head, self._decoder.info, self._timeouts.overall)
        self._keeps_body = not (retry is None and self._mirrors is None and action.internal_redirect_policy is None)
        if end_stream:
            self._request_complete()
        elif head.upgrade:
            self._timer.start(self._timeouts.overall)
        self._start(host, end_stream)

    def on_data(self, data: Buffer, end_stream: bool) -> None:
        """Some of the body; all of it is taken."""
        attempt = self._attempt
        if self.is_over:
            data.clear()
            return
        if self._keeps_body and self._decoder.decoding_buffer.size + data.size > self._most_kept():
            self._stop_keeping()
            if attempt is None:
                text = b"exceeded request buffer limit while retrying upstream"
                self._reply(INSUFFICIENT_STORAGE, text, replies.RETRY_BUFFER_EXCEEDED)
                return
        if self._keeps_body:
            if attempt is not None:
                attempt.send_data(Buffer(data.peek(data.size)), end_stream)
            self._decoder.add_decoded_data(data, True)
        elif attempt is not None:
            attempt.send_data(data, end_stream)
        if end_stream and not self.is_over:
            self._request_complete()

    def on_trailers(self, trailers: Headers) -> None:
        """The end of the body, with trailers."""
        self._trailers = trailers
        if self._attempt is not None:
            self._attempt.send_trailers(trailers)
        if not self.is_over:
            self._request_complete()

    def close(self) -> None:
        """The client's stream is over, however it ended."""
        if not self.is_over:
            self._finish("the client's stream is over")

    def _request_complete(self) -> None:
        self._complete_at = self.reactor.now
        if not self._head.upgrade:
            self._timer.start(self._timeouts.overall)
        if self._mirrors is not None:
            self._mirrors.send(self.reactor, self._decoder.decoding_buffer, self._trailers)

    def _most_kept(self) -> int:
        limit = self._route.request_body_buffer_limit
        return self._decoder.decoder_buffer_limit or NO_LIMIT if limit is None else limit

    def _stop_keeping(self) -> None:
        """The body is too large to be sent again, or twice."""
        self._cluster.stats.retry_or_shadow_abandoned.inc()
        self._mirrors = None
        self._give_up_retrying()

    def _give_up_retrying(self) -> None:
        self._keeps_body = False
        retries, self._retries = self._retries, None
        if retries is not None:
            retries.stop()

    # -- attempts --------------------------------------------------------------------------------------------------

    def _pick(self, retry: Optional[RetryState] = None) -> Optional[Host]:
        """The host of the next attempt; None: there is none, and the client has been told. retry: if it is not the first."""
        if self._cluster.ratios.look_ahead:
            self._pools.look_ahead()
        note_attempt(self._decoder.info, self._answer.attempts)
        host = pick(self._cluster, self._action, self._head, self._decoder.info, retry, self._answer.cookies)
        if host is None:
            self._finish()
            self._answer.no_host()
        return host

    def _start(self, host: Host, end_stream: bool) -> None:
        """end_stream: the request has no body."""
        head, action, info = self._head, self._action, self._decoder.info
        self._asked_at = self.reactor.now
        if action.connect_config and head.upgrade == "connect":
            note_host(info, host)
            tunnel = self._attempt = Tunnel(self, host)
            tunnel.start(self._prepared.tcp_pool, self._cluster, info)
            return
        pool = self._pools.pool(host, action.high_priority, info, head)
        if pool is None:
            self._finish()
            self._answer.no_host()
            return
        note_host(info, host)
        attempt = self._attempt = Attempt(self, head, end_stream, host, self._timeouts)
        attempt.start(pool)

    def _start_again(self) -> None:
        """It is time for the next attempt."""
        answer = self._answer
        answer.attempts += 1
        host = self._pick(self._retries.state if self._retries is not None else None)
        if host is None:
            return
        elapsed = 0.0 if self._complete_at is None else self.reactor.now - self._complete_at
        prepare_next(
            self._head, self._route, self._action, self._timeouts, host, answer.attempts, self._prepared.adds_headers, elapsed
        )
        kept = self._decoder.decoding_buffer
        body, no_trailers = Buffer(kept.peek(kept.size)), self._trailers is None
        is_complete = self._complete_at is not None and no_trailers
        self._start(host, is_complete and not body.size)
        if body.size and self._attempt is not None:
            self._attempt.send_data(body, is_complete)
        if self._trailers is not None and self._attempt is not None:
            self._attempt.send_trailers(self._trailers)

    def _leave(self, attempt: AnyAttempt) -> None:
        """The request will be sent again: this attempt is not needed any more."""
        self._attempt = None
        attempt.reset("the request is sent again")

    # -- what becomes of an attempt (`attempt.Owner`) --------------------------------------------------------------

    def on_attempt_ready(self, attempt: AnyAttempt, connection: Connection, head_bytes: int) -> None:
        """See `attempt.Owner`."""
        facts, host = self._facts, attempt.host
        now = facts.us_tx_begin = self.reactor.now
        facts.upstream_header_bytes_sent += head_bytes
        self._answer.charge_attempt()
        info = self._decoder.info
        note_answer(info, host, now - self._asked_at)
        note_connection(info, connection, attempt.protocol)
        if host is not None and host.outlier is not None:
            host.outlier.put_connected(final=False)

    def on_attempt_sent(self) -> None:
        """See `attempt.Owner`."""
        self._facts.us_tx_end = self.reactor.now

    def on_attempt_informational(self, attempt: AnyAttempt, status: int, headers: Headers) -> None:
        """See `attempt.Owner`. Another host might not say the same, so this one is asked and no other."""
        self._give_up_retrying()
        self._answer.respond_interim(status, headers, attempt.host)

    def on_attempt_head(self, attempt: AnyAttempt, head: ResponseHead, end_stream: bool) -> None:
        """See `attempt.Owner`."""
        host, status, upgrade = attempt.host, head.status, self._head.upgrade
        now = self._facts.us_rx_begin = self.reactor.now
        if upgrade and (status == SWITCHING or upgrade == "connect" and status < 300):
            attempt.stop_timers()
            self._timer.stop()
        elif upgrade.lower() == "websocket" and status < 400:
            self._finish("websocket handshake unsuccessful")
            self._answer.refuse_switch(head)
            return
        if host is not None and host.outlier is not None:
            host.outlier.put_response_code(status)
        if _IMMEDIATE_FAIL in head.headers and host is not None:
            self._cluster.fail_host(host)
        if self._retries is not None and self._retries.after_response(attempt, head):
            self._answer.charge_retried(status)
            self._leave(attempt)
            return
        policy = self._action.internal_redirect_policy
        if policy is not None and status in policy.codes and self._redirects(policy, head):
            return
        if self._keeps_body:
            self._give_up_retrying()
        elapsed = None if self._complete_at is None else int((now - self._complete_at) * 1000)
        if end_stream:
            self._on_complete(attempt)
        self._answer.respond(head, end_stream, host, elapsed)

    def on_attempt_data(self, attempt: AnyAttempt, data: Buffer, end_stream: bool) -> None:
        """See `attempt.Owner`."""
        if end_stream:
            self._on_complete(attempt)
            self._decoder.encode_data(data, True)
        else:
            if self._relay is None:
                self._relay = Relay(self._decoder, self._cluster, attempt)
            self._relay.forward(data)

    def on_attempt_trailers(self, attempt: AnyAttempt, trailers: Headers) -> None:
        """See `attempt.Owner`."""
        self._on_complete(attempt)
        self._decoder.encode_trailers(trailers)

    def on_attempt_failed(self, attempt: AnyAttempt, reason: ResetReason, text: str) -> None:
        """See `attempt.Owner`."""
        host, info, answer = attempt.host, self._decoder.info, self._answer
        if not attempt.was_sent:
            note_answer(info, host, self.reactor.now - self._asked_at, text)
        if host is not None and host.outlier is not None and reason is not OVERFLOW:
            host.outlier.put_connect_failed(timed_out=False)
        if self._retries is not None and self._retries.after_reset(attempt, reason):
            self._leave(attempt)
            return
        status = BAD_GATEWAY if reason is PROTOCOL_ERROR else UNAVAILABLE
        answer.charge_abort(status, host)
        info.add_flag(replies.FLAGS[reason])
        body = replies.reset_body(reason, answer.attempts > 1)
        details = replies.reset_details(reason, text, answer.has_begun)
        self._reply(status, body, details, replies.OVERLOADED if reason is OVERFLOW else "")

    def on_per_try_timeout(self, attempt: AnyAttempt, is_idle: bool) -> None:
        """See `attempt.Owner`."""
        stats = self._pools.stats
        (stats.upstream_rq_per_try_idle_timeout if is_idle else stats.upstream_rq_per_try_timeout).inc()
        charge_timeout(attempt.host)
        attempt.reset("per_try_timeout")
        if self._retries is not None and self._retries.after_reset(attempt, LOCAL_RESET, is_timeout=True):
            self._leave(attempt)
            return
        self._answer.charge_abort(self._timeout_status, attempt.host)
        self._time_out(replies.PER_TRY_IDLE_TIMEOUT if is_idle else replies.PER_TRY_TIMEOUT)

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        return request_reasons(self._attempt, self._timer.due, self._timeouts, self._route, self._action, self._cluster)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _on_complete(self, attempt: AnyAttempt) -> None:
        """The response is complete: whatever of the request is still to come, nobody wants it."""
        now = self._facts.us_rx_end = self.reactor.now
        if self._complete_at is not None:
            self._answer.charge_time(int((now - self._complete_at) * 1000), attempt.host)
            self._record_budget()
        self._finish()

    def _redirects(self, policy: InternalRedirectPolicy, head: ResponseHead) -> bool:
        """Whether the request begins anew with the location of this response."""
        is_complete = self._complete_at is not None and self._keeps_body
        if not follow(self._decoder, policy, head, is_complete, self._prepared.stats):
            self._pools.stats.upstream_internal_redirect_failed_total.inc()
            return False
        self._pools.stats.upstream_internal_redirect_succeeded_total.inc()
        self._finish("internal redirect")
        return True

    def _on_timeout(self) -> None:
        """The route's time is over."""
        stats, attempt = self._pools.stats, self._attempt
        if attempt is not None:
            if isinstance(attempt, Attempt):
                attempt.budget = None  # Envoy leaves those out whose request ran out of time
            stats.upstream_rq_timeout.inc()
            for group in self._groups:
                group.upstream_rq_timeout.inc()
            if attempt.awaits_head:
                charge_timeout(attempt.host)
                self._answer.charge_abort(self._timeout_status, attempt.host)
        self._time_out(replies.RESPONSE_TIMEOUT)

    def _record_budget(self) -> None:
        budget = self._pools.budget
        if budget is not None and self._complete_at is not None:
            budget.answered(self.reactor.now - self._complete_at, self._timeouts.overall)

    def _time_out(self, details: str) -> None:
        self._record_budget()
        self._decoder.info.add_flag("UT")
        status = self._timeout_status
        self._reply(status, b"upstream request timeout" if status == GATEWAY_TIMEOUT else b"", details)

    def on_max_duration(self, attempt: AnyAttempt) -> None:
        """See `attempt.Owner`."""
        self._pools.stats.upstream_rq_max_duration_reached.inc()
        if self._retries is not None and self._retries.after_reset(attempt, LOCAL_RESET):
            self._leave(attempt)
            return
        self._decoder.info.add_flag("UMSDR")
        self._reply(GATEWAY_TIMEOUT, b"upstream max stream duration reached", replies.MAX_DURATION)

    def _reply(self, status: int, body: bytes, details: str, mark: str = "") -> None:
        self._finish("the client is answered without it")
        self._answer.reply(status, body, details, mark)

    def _finish(self, why: str = "") -> None:
        """The answer is known: no timer and no attempt is needed any more."""
        self.is_over = True
        self._timer.stop()
        if self._relay is not None:
            self._relay.stop()
            self._relay = None  # it knows the attempt, which knows us
        if self._keeps_body:
            self._give_up_retrying()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.reset(why)
