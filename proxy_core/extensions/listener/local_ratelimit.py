"""local_ratelimit in front of everything: an accepted socket takes a token or is closed before it is a connection. Mirrors
`envoy.filters.listener.local_ratelimit`.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Optional

from ...config.fields import Message, Nested, Report, String, message, optional, plain
from ...config.model.core import RuntimeFeatureFlag
from ...config.model.token_bucket import TokenBucket as TokenBucketConfig
from ...filters.api import CONTINUE, STOP_ITERATION, FilterStatus
from ...filters.listener_api import ListenerFilter, ListenerFilterCallbacks
from ...filters.registry import ListenerFilterContext, ListenerFilterExtension
from ..feature_flag import FeatureFlag
from ..local_ratelimit import check_bucket, make_bucket


@message("envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit")
@dataclasses.dataclass(eq=False, repr=False)
class ListenerLocalRateLimitConfig(Message):
    """How many sockets may be accepted in a time; the others are closed at once."""

    stat_prefix: str = plain(String(min_len=1), help="Stats are named listener_local_ratelimit.<stat_prefix>.")
    token_bucket: Optional[TokenBucketConfig] = optional(Nested(TokenBucketConfig), required=True)
    runtime_enabled: Optional[RuntimeFeatureFlag] = optional(Nested(RuntimeFeatureFlag), help="Default: enabled.")

    def check(self, report: Report) -> None:
        """The bucket's own rule."""
        check_bucket(self.token_bucket, report)


class ListenerLocalRateLimit(ListenerFilter):
    """The filter of all sockets of a listener: it keeps nothing of any of them."""

    def __init__(self, config: ListenerLocalRateLimitConfig, context: ListenerFilterContext) -> None:
        assert config.token_bucket is not None
        self._flag = FeatureFlag(config.runtime_enabled, context.runtime)
        self._bucket = make_bucket(config.token_bucket, context.reactor)
        scope = context.stats.scope(f"listener_local_ratelimit.{config.stat_prefix}")
        self._rate_limited = scope.counter("rate_limited")
        self._reason = f"no token left: local_ratelimit {config.stat_prefix}"

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        """Take a token or leave."""
        if not self._flag.enabled or self._bucket.take():
            return CONTINUE
        self._rate_limited.inc()
        callbacks.reject(self._reason)
        return STOP_ITERATION


def build(config: ListenerLocalRateLimitConfig, context: ListenerFilterContext) -> Callable[[], ListenerLocalRateLimit]:
    """One filter for all sockets: the bucket is the listener's."""
    shared = ListenerLocalRateLimit(config, context)
    return lambda: shared


EXTENSION = ListenerFilterExtension(ListenerLocalRateLimitConfig, build)
