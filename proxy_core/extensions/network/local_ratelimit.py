"""local_ratelimit: each connection takes a token or is closed. Mirrors `envoy.filters.network.local_ratelimit`.

The bucket belongs to the configured filter, or to all filters in the process that have the same `share_key` and the same
`token_bucket`. As in Envoy a limited connection has the flag URX.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Optional

from ...config.fields import Message, Nested, Report, String, message, optional, plain
from ...config.model.core import RuntimeFeatureFlag
from ...config.model.token_bucket import TokenBucket as TokenBucketConfig
from ...filters.api import CONTINUE, FilterFactory, FilterManager, FilterStatus
from ...filters.registry import FactoryContext, NetworkExtension
from ...observe.log import component_logger
from ..feature_flag import FeatureFlag
from ..local_ratelimit import check_bucket, make_bucket
from ..token_bucket import TokenBucket
from .policy import PolicyFilter

NAME = "envoy.filters.network.local_ratelimit"

_log = component_logger("filter")


@message("envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit")
@dataclasses.dataclass(eq=False, repr=False)
class LocalRateLimitConfig(Message):
    """How many connections may come in a time."""

    stat_prefix: str = plain(String(min_len=1), help="Stats are named local_rate_limit.<stat_prefix>.")
    token_bucket: Optional[TokenBucketConfig] = optional(Nested(TokenBucketConfig), required=True)
    runtime_enabled: Optional[RuntimeFeatureFlag] = optional(Nested(RuntimeFeatureFlag), help="Default: enabled.")
    share_key: str = plain(String(), help="Filters with equal keys and equal buckets share one bucket.")

    def check(self, report: Report) -> None:
        """The bucket's own rule."""
        check_bucket(self.token_bucket, report)


class SharedBuckets:
    """The buckets of the process that have a share_key. One that no filter uses any more is gone."""

    def __init__(self) -> None:
        self._buckets: weakref.WeakValueDictionary[Any, TokenBucket] = weakref.WeakValueDictionary()

    def get(self, share_key: str, config: TokenBucketConfig, clock: Any) -> TokenBucket:
        """The bucket of this key and this configuration. Field by field: an unset tokens_per_fill is not a 1, as in Envoy."""
        key = (share_key, config.max_tokens, config.tokens_per_fill, config.fill_interval)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = make_bucket(config, clock)
        return bucket


class _Prepared:
    """What all connections of one configured filter share."""

    def __init__(self, config: LocalRateLimitConfig, context: FactoryContext) -> None:
        bucket = config.token_bucket
        assert bucket is not None
        self.flag = FeatureFlag(config.runtime_enabled, context.runtime)
        self.rate_limited = context.stats.scope(f"local_rate_limit.{config.stat_prefix}").counter("rate_limited")
        if config.share_key:
            self.bucket = context.singletons.get(SharedBuckets).get(config.share_key, bucket, context.reactor)
        else:
            self.bucket = make_bucket(bucket, context.reactor)
        self.setting = f"local_ratelimit {config.stat_prefix}: max_tokens {bucket.max_tokens}"


class LocalRateLimit(PolicyFilter):
    """One connection's token."""

    __slots__ = ("_prepared",)

    def __init__(self, prepared: _Prepared) -> None:
        self._prepared = prepared

    def on_new_connection(self) -> FilterStatus:
        """Take it or leave."""
        prepared = self._prepared
        if not prepared.flag.enabled or prepared.bucket.take():
            return CONTINUE
        prepared.rate_limited.inc()
        self.connection.info.add_flag("URX")
        _log.debug("[C%d] no token left: %s", self.connection.id, prepared.setting)
        return self.refuse("local_ratelimit_close_over_limit", prepared.setting)


def build(config: LocalRateLimitConfig, context: FactoryContext) -> FilterFactory:
    """The factory; the bucket is made, or found, once."""
    prepared = _Prepared(config, context)

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(LocalRateLimit(prepared), NAME)
    return add


EXTENSION = NetworkExtension(LocalRateLimitConfig, False, build)
