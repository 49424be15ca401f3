"""The retries of one request: what `RetryState` decides is carried out here."""

from __future__ import annotations

from typing import Any, Callable, Final, Union

from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import DecoderFilterCallbacks
from ....http.route_api import Route
from ....upstream.http_pool.api import ResetReason
from .attempt import Attempt
from .heads import IS_TIMEOUT_RETRY
from .retry import OVER_BREAKER, OVER_LIMIT, YES, RetryState, Verdict
from .tunnel import Tunnel

_FLAGS: Final = {OVER_LIMIT: "URX", OVER_BREAKER: "UO"}


class Retries:
    """Of a request that may be sent again. `state` decides."""

    __slots__ = ("state", "_decoder", "_head", "_tells_timeouts", "_start", "_timer")

    def __init__(
        self, state: RetryState, decoder: DecoderFilterCallbacks, head: RequestHead, route: Route, start: Callable[[], None]
    ) -> None:
        """start: begins the next attempt."""
        self.state = state
        self._decoder = decoder
        self._head = head
        self._tells_timeouts = route.virtual_host.include_is_timeout_retry_header
        self._start = start
        self._timer: Any = None

    def after_response(self, attempt: Union[Attempt, Tunnel], head: ResponseHead) -> bool:
        """Whether the request is sent again instead of passing this response on."""
        return self._carry_out(self.state.after_response(head), attempt, False)

    def after_reset(self, attempt: Union[Attempt, Tunnel], reason: ResetReason, is_timeout: bool = False) -> bool:
        """Whether it is sent again after an attempt without a response."""
        return self._carry_out(self.state.after_reset(reason, attempt.was_sent), attempt, is_timeout)

    def stop(self) -> None:
        """There are no more."""
        self.state.finish()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _carry_out(self, verdict: Verdict, attempt: Union[Attempt, Tunnel], is_timeout: bool) -> bool:
        if verdict in _FLAGS:
            self._decoder.info.add_flag(_FLAGS[verdict])
        if verdict is not YES:
            return False
        if attempt.host is not None:
            self.state.note_tried(attempt.host)
            attempt.host.counters.rq_error += 1
        if self._tells_timeouts:
            self._head.headers.set(IS_TIMEOUT_RETRY, "true" if is_timeout else "false")
        self._timer = self._decoder.schedule(self.state.delay, self._on_timer, "waiting to send the request again")
        return True

    def _on_timer(self) -> None:
        self._timer = None
        self._start()
