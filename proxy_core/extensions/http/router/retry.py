"""Whether a request is sent once more, to whom, and when. Mirrors `RetryStateImpl`.

What allows a retry is the policy of the route together with headers of internal requests; these are taken out. A retry holds
a place below `max_retries` (or the retry budget) from the moment it is decided until the outcome of the attempt is known.
"""

from __future__ import annotations

import enum
import random
from typing import Callable, Final, FrozenSet, List, Mapping, Optional, Sequence, Set

from ....http.events import RequestHead, ResponseHead
from ....http.headers import Headers
from ....http.route_api import RetryPolicy
from ....http.routing.retry import BASE_INTERVAL, retry_words
from ....upstream.balancer.criteria import NAMESPACE
from ....upstream.breaker import CircuitBreakers
from ....upstream.host import Host
from ....upstream.http_pool.api import CONNECT_FAILURES, OVERFLOW, ResetReason
from ....upstream.http_pool.stats import HttpClusterStats
from .config import GroupStats

RETRY_ON: Final = "x-envoy-retry-on"
_MAX_RETRIES: Final = "x-envoy-max-retries"
_STATUS_CODES: Final = "x-envoy-retriable-status-codes"
_HEADER_NAMES: Final = "x-envoy-retriable-header-names"
_CONSUMED: Final = (
    RETRY_ON, "x-envoy-retry-grpc-on", _MAX_RETRIES, "x-envoy-hedge-on-per-try-timeout", _HEADER_NAMES, _STATUS_CODES,
)
_GATEWAY_ERRORS: Final = (502, 503, 504)
_CONFLICT: Final = 409
_RATE_LIMITED: Final = "x-envoy-ratelimited"
_MOST_DIGITS: Final = 9


class Verdict(enum.Enum):
    """What becomes of an attempt that did not go well, or did."""

    YES = "once more"
    NO = "no reason to"
    OVERFLOW = "too many retries in this cluster"
    LIMIT = "no retries left"


YES: Final = Verdict.YES
NO: Final = Verdict.NO
OVER_LIMIT: Final = Verdict.LIMIT
OVER_BREAKER: Final = Verdict.OVERFLOW


class RetryState:
    """Of one request. `delay`: seconds to wait, after YES."""

    __slots__ = ("delay", "_policy", "_on", "_left", "_codes", "_header_names", "_breakers", "_stats", "_groups", "_random",
                 "_wall_clock", "_retries", "_holds", "_tried", "_interval")

    def __init__(
        self, policy: Optional[RetryPolicy], on: FrozenSet[str], headers: Headers, breakers: CircuitBreakers,
        stats: HttpClusterStats, groups: Sequence[GroupStats], rng: random.Random, wall_clock: Callable[[], float],
    ) -> None:
        self.delay = 0.0
        self._policy = policy
        self._on = on
        self._left = _number(headers.get(_MAX_RETRIES), policy.num_retries if policy is not None else 1)
        self._codes = _codes(headers.get(_STATUS_CODES), policy)
        self._header_names = [name.strip().lower() for name in (headers.get(_HEADER_NAMES) or "").split(",") if name.strip()]
        self._breakers = breakers
        self._stats = stats
        self._groups = groups
        self._random = rng
        self._wall_clock = wall_clock
        self._retries = 0  # so far
        self._holds = False  # a place below `max_retries`
        self._tried: List[Host] = []
        self._interval: Optional[float] = None  # that the upstream asked for

    # -- what happened ---------------------------------------------------------------------------------------------

    def after_response(self, head: ResponseHead) -> Verdict:
        """An attempt was answered."""
        would = self._would_retry_response(head)
        if would and self._policy is not None:
            self._interval = self._policy.reset_interval(head, self._wall_clock())
        return self._decide(would)

    def after_reset(self, reason: ResetReason, was_sent: bool) -> Verdict:
        """An attempt was cut off before its response. was_sent: some of the request has gone to the host."""
        return self._decide(self._would_retry_reset(reason, was_sent))

    def note_tried(self, host: Host) -> None:
        """This host was asked."""
        self._tried.append(host)

    def finish(self) -> None:
        """The request is over, or its response has begun."""
        if self._holds:
            self._holds = False
            self._breakers.retries.give_back()

    # -- whom to ask -----------------------------------------------------------------------------------------------

    @property
    def rejects(self) -> Optional[Callable[[Host], bool]]:
        """What the next attempt should rather avoid, if the policy says so."""
        policy = self._policy
        if policy is None or not (policy.avoids_previous_hosts or policy.omits_canary_hosts or policy.omitted_metadata):
            return None
        return self._is_unwanted

    @property
    def most_picks(self) -> int:
        """How many hosts may be picked to avoid those."""
        return 1 + (self._policy.host_selection_retry_max_attempts if self._policy is not None else 0)

    def _is_unwanted(self, host: Host) -> bool:
        policy = self._policy
        assert policy is not None
        if policy.avoids_previous_hosts and host in self._tried or policy.omits_canary_hosts and is_canary(host):
            return True
        labels: Mapping[str, object] = host.metadata.get(NAMESPACE) or {}
        return any(
            all(key in labels and labels[key] == value for key, value in omitted.items())
            for omitted in policy.omitted_metadata if omitted
        )

    # -- deciding --------------------------------------------------------------------------------------------------

    def _would_retry_response(self, head: ResponseHead) -> bool:
        on, status = self._on, head.status
        if _RATE_LIMITED in head.headers:
            return "envoy-ratelimited" in on
        if "5xx" in on and 500 <= status < 600:
            return True
        if "gateway-error" in on and status in _GATEWAY_ERRORS:
            return True
        if "retriable-4xx" in on and status == _CONFLICT:
            return True
        if "retriable-status-codes" in on and status in self._codes:
            return True
        if "retriable-headers" not in on:
            return False
        if any(name in head.headers for name in self._header_names):
            return True
        return self._policy is not None and self._policy.retriable_headers(head)

    def _would_retry_reset(self, reason: ResetReason, was_sent: bool) -> bool:
        on = self._on
        if reason is OVERFLOW:
            return False
        if "reset" in on or "5xx" in on or "gateway-error" in on:
            return True
        if "reset-before-request" in on and not was_sent:
            return True
        return "connect-failure" in on and reason in CONNECT_FAILURES

    def _decide(self, would: bool) -> Verdict:
        stats, retries = self._stats, self._breakers.retries
        if self._holds and not would:
            stats.upstream_rq_retry_success.inc()
            self._count("upstream_rq_retry_success")
        self.finish()
        if not would:
            return NO
        if not self._left:
            stats.upstream_rq_retry_limit_exceeded.inc()
            self._count("upstream_rq_retry_limit_exceeded")
            return OVER_LIMIT
        self._left -= 1
        if not retries.can_create:
            stats.upstream_rq_retry_overflow.inc()
            self._count("upstream_rq_retry_overflow")
            return OVER_BREAKER
        retries.take()
        self._holds = True
        stats.upstream_rq_retry.inc()
        self._count("upstream_rq_retry")
        self.delay = self._next_delay()
        return YES

    def _next_delay(self) -> float:
        """Full jitter below a ceiling that doubles; or what the upstream asked for and up to half of it more."""
        interval, self._interval = self._interval, None
        if interval:
            self._stats.upstream_rq_retry_backoff_ratelimited.inc()
            return interval * (1 + self._random.random() / 2)
        self._stats.upstream_rq_retry_backoff_exponential.inc()
        base, most = BASE_INTERVAL, 10 * BASE_INTERVAL
        if self._policy is not None:
            base, most = self._policy.base_interval, self._policy.max_interval
        ceiling: float = min(base * 2.0 ** min(self._retries, 60), most)
        self._retries += 1
        return ceiling * self._random.random()

    def _count(self, name: str) -> None:
        for group in self._groups:
            getattr(group, name).inc()


def retry_state_of(
    head: RequestHead, policy: Optional[RetryPolicy], breakers: CircuitBreakers, stats: HttpClusterStats,
    groups: Sequence[GroupStats], rng: random.Random, wall_clock: Callable[[], float],
) -> Optional[RetryState]:
    """The state of one request, whose headers about retries are taken out; None if there is no retry in any case."""
    headers = head.headers
    is_internal = "x-envoy-internal" in headers  # others have lost these headers in the connection manager
    asked = headers.get(RETRY_ON) if is_internal else None
    state = None
    if policy is not None or asked is not None:
        on = frozenset(policy.retry_on if policy is not None else ()) | retry_words(asked or "")
        if policy is not None and not policy.retriable_request(head):
            on = frozenset()
        if on:
            state = RetryState(policy, on, headers, breakers, stats, groups, rng, wall_clock)
    for name in _CONSUMED if is_internal else ():
        headers.remove(name)
    return state


def is_canary(host: Host) -> bool:
    """Whether its metadata calls it one."""
    labels = host.metadata.get(NAMESPACE)
    return labels is not None and labels.get("canary") is True


def _number(text: Optional[str], default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) <= _MOST_DIGITS else default


def _codes(text: Optional[str], policy: Optional[RetryPolicy]) -> Set[int]:
    codes = set(policy.retriable_status_codes) if policy is not None else set()
    for part in (text or "").split(","):
        number = _number(part.strip(), 0)
        if number:
            codes.add(number)
    return codes
