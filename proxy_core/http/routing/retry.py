"""`retry_policy`, prepared. Mirrors `RetryPolicyImpl`."""

from __future__ import annotations

from typing import Any, Collection, Final, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ...config.model.route_retry import (
    OmitCanaryHostsPredicate, OmitHostMetadataConfig, PreviousHostsPredicate, RateLimitedRetryBackOff, RetryPolicy,
)
from ...errors import Problem
from ..events import RequestHead, ResponseHead
from .conditions import request_matcher, response_matcher

BASE_INTERVAL: Final = 0.025
_LONGEST_RESET: Final = 300.0
_WORDS: Final = frozenset((
    "5xx gateway-error connect-failure reset reset-before-request refused-stream retriable-4xx retriable-status-codes "
    "retriable-headers envoy-ratelimited http3-post-connect-failure cancelled deadline-exceeded internal resource-exhausted "
    "unavailable"
).split())


class PreparedRetryPolicy:
    """`route_api.RetryPolicy`."""

    __slots__ = (
        "retry_on", "num_retries", "per_try_timeout", "per_try_idle_timeout", "base_interval", "max_interval",
        "retriable_status_codes", "host_selection_retry_max_attempts", "avoids_previous_hosts", "omits_canary_hosts",
        "omitted_metadata", "_response_tests", "_request_tests", "_reset_headers", "_longest_reset",
    )

    def __init__(self, config: RetryPolicy) -> None:
        """Raises ValueError for what is no predicate."""
        self.retry_on: Collection[str] = retry_words(config.retry_on)
        self.num_retries = 1 if config.num_retries is None else config.num_retries
        self.per_try_timeout = config.per_try_timeout or 0.0
        self.per_try_idle_timeout = config.per_try_idle_timeout or 0.0
        back_off = config.retry_back_off
        self.base_interval: float = BASE_INTERVAL if back_off is None else max(0.001, back_off.base_interval or 0.0)
        limit = back_off.max_interval if back_off is not None else None
        self.max_interval: float = 10 * self.base_interval if limit is None else max(0.001, limit)
        self.retriable_status_codes: Collection[int] = frozenset(config.retriable_status_codes)
        self.host_selection_retry_max_attempts = config.host_selection_retry_max_attempts or 1
        predicates = [one.typed_config.message for one in config.retry_host_predicate if one.typed_config is not None]
        self.avoids_previous_hosts = any(isinstance(one, PreviousHostsPredicate) for one in predicates)
        self.omits_canary_hosts = any(isinstance(one, OmitCanaryHostsPredicate) for one in predicates)
        self.omitted_metadata: Sequence[Mapping[str, Any]] = [
            one.metadata_match.filter_metadata.get("envoy.lb", {})
            for one in predicates if isinstance(one, OmitHostMetadataConfig) and one.metadata_match is not None
        ]
        self._response_tests = [response_matcher(one) for one in config.retriable_headers]
        self._request_tests = [request_matcher([one]) for one in config.retriable_request_headers]
        resets = config.rate_limited_retry_back_off
        self._reset_headers = _reset_headers(resets)
        self._longest_reset = _LONGEST_RESET if resets is None or resets.max_interval is None else resets.max_interval

    def retriable_headers(self, head: ResponseHead) -> bool:
        """See `route_api.RetryPolicy`."""
        return any(matches(head) for matches in self._response_tests)

    def retriable_request(self, head: RequestHead) -> bool:
        """See `route_api.RetryPolicy`."""
        return not self._request_tests or any(matches(head) for matches in self._request_tests)

    def reset_interval(self, head: ResponseHead, now: float) -> Optional[float]:
        """See `route_api.RetryPolicy`. The first header with a usable value counts."""
        for name, is_timestamp in self._reset_headers:
            value = head.headers.get(name) or ""
            if not value.isascii() or not value.isdigit() or len(value) > 18:
                continue
            interval = int(value) - int(now) if is_timestamp else int(value)
            if 0 < interval <= self._longest_reset or interval == 0 and not is_timestamp:
                return float(interval)
        return None


def retry_words(text: str) -> FrozenSet[str]:
    """The known words of `retry_on`, or of a header that says the same; unknown ones are ignored, as in Envoy."""
    return frozenset(word.strip() for word in text.split(",")) & _WORDS


def check_predicates(config: RetryPolicy, path: str) -> List[Problem]:
    """Predicates that are none. path: of the policy."""
    known = (PreviousHostsPredicate, OmitCanaryHostsPredicate, OmitHostMetadataConfig)
    found = []
    for index, one in enumerate(config.retry_host_predicate):
        if one.typed_config is not None and not isinstance(one.typed_config.message, known):
            text = f"'{one.typed_config.type_name}' is no condition on the host of a retry"
            found.append(Problem(f"{path}.retry_host_predicate[{index}].typed_config", text))
    return found


def _reset_headers(config: Optional[RateLimitedRetryBackOff]) -> List[Tuple[str, bool]]:
    if config is None:
        return []
    return [(one.name.lower(), one.format == "UNIX_TIMESTAMP") for one in config.reset_headers]
