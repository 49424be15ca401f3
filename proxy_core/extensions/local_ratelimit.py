"""What the network filter and the listener filter `local_ratelimit` have in common: the bucket of their configuration."""

from __future__ import annotations

from typing import Final, Optional

from ..config.fields import Report
from ..config.model.token_bucket import TokenBucket as TokenBucketConfig
from .token_bucket import Clock, TokenBucket

SHORTEST_FILL_INTERVAL: Final = 0.05


def check_bucket(bucket: Optional[TokenBucketConfig], report: Report) -> None:
    """Envoy's rule for buckets of connections, though no timer fills them any more."""
    if bucket is not None and bucket.fill_interval is not None and 0 < bucket.fill_interval < SHORTEST_FILL_INTERVAL:
        report("token_bucket.fill_interval", "local rate limit token bucket fill timer must be >= 50ms")


def make_bucket(config: TokenBucketConfig, clock: Clock) -> TokenBucket:
    """A full bucket."""
    assert config.fill_interval is not None
    return TokenBucket(clock, config.max_tokens, config.tokens_per_fill or 1, config.fill_interval)
