"""How long a request may take: of its route, or as internal requests say in headers. Mirrors `FilterUtility::finalTimeout`.

Times in seconds, 0.0 for no limit. The headers are taken out, and the upstream is told in x-envoy-expected-rq-timeout-ms.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Optional

from ....http.events import RequestHead
from ....http.headers import Headers
from ....http.route_api import RetryPolicy, RouteAction

EXPECTED: Final = "x-envoy-expected-rq-timeout-ms"
GLOBAL: Final = "x-envoy-upstream-rq-timeout-ms"
PER_TRY: Final = "x-envoy-upstream-rq-per-try-timeout-ms"
_MOST_DIGITS: Final = 15


class Timeouts(NamedTuple):
    """overall: from the end of the request, all attempts together. per_try: of one attempt. per_try_idle: without any byte.
    max_duration: of one attempt, whatever happens in it."""

    overall: float
    per_try: float = 0.0
    per_try_idle: float = 0.0
    max_duration: float = 0.0


def timeouts_of(head: RequestHead, action: RouteAction, respect_expected: bool, max_duration: float) -> Timeouts:
    """Of one request. respect_expected: an upstream proxy's idea of it counts. max_duration: of the cluster."""
    policy: Optional[RetryPolicy] = action.retry_policy
    headers = head.headers
    overall = action.timeout if action.max_stream_duration is None else 0.0  # the newer way to say it, which HCM sees to
    per_try, per_try_idle = (policy.per_try_timeout, policy.per_try_idle_timeout) if policy is not None else (0.0, 0.0)
    expected = headers.get(EXPECTED) if respect_expected else None
    if expected is not None:
        overall = _seconds(expected, overall)
    elif headers.get(GLOBAL) is not None:
        overall = _seconds(headers.take(GLOBAL), overall)
    if headers.get(PER_TRY) is not None:
        per_try = _seconds(headers.take(PER_TRY), per_try)
    if 0 < overall <= per_try:
        per_try = 0.0
    return Timeouts(overall, per_try, per_try_idle, max_duration)


def write_expected(headers: Headers, timeouts: Timeouts, elapsed: float) -> None:
    """Tell the upstream how long its answer is of use. elapsed: seconds since the end of the request."""
    overall, expected = timeouts.overall, timeouts.per_try
    if not expected:
        if not elapsed:  # nearly all requests
            if overall:
                headers.set(EXPECTED, str(int(overall * 1000 + 0.5)))
            return
        expected = overall
    if not expected:
        return
    if overall:
        expected = min(expected, overall - elapsed)
    headers.set(EXPECTED, str(max(1, int(expected * 1000 + 0.5))))  # 0 would mean: no limit


def _seconds(text: Optional[str], default: float) -> float:
    if text is None or not text.isdecimal() or len(text) > _MOST_DIGITS:
        return default
    return int(text) / 1000
