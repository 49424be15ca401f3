"""The buckets, and which of them a request draws from. Mirrors `LocalRateLimiterImpl`.

A request takes a token from the bucket of each of its descriptors that has one, the slowest first, and then from the common one.
The first that is empty decides. A descriptor whose entry has no value stands for every value: each value that comes gets a bucket
of its own, and of too many the one that was not used for longest goes.
"""

from __future__ import annotations

import collections
from typing import Dict, Final, List, NamedTuple, Optional, OrderedDict, Sequence, Tuple

from ....config.model.token_bucket import TokenBucket as TokenBucketConfig
from ....http.routing.rate_limits import Descriptor
from ....http.routing.text import wire
from ...local_ratelimit import make_bucket
from ...token_bucket import Clock, TokenBucket
from .config import LocalRateLimit, LocalRateLimitDescriptor

DEFAULT_MOST_DYNAMIC: Final = 20


class Limit:
    """One bucket, as configured. max_tokens: what it holds. per_second: tokens that come. is_shadow: it limits nothing, but what
    it would have limited is counted."""

    __slots__ = ("max_tokens", "per_second", "is_shadow", "tokens")

    def __init__(self, config: TokenBucketConfig, clock: Clock, is_shadow: bool = False) -> None:
        assert config.fill_interval is not None
        self.max_tokens = config.max_tokens
        self.per_second = (config.tokens_per_fill or 1) / config.fill_interval
        self.is_shadow = is_shadow
        self.tokens: TokenBucket = make_bucket(config, clock)


class Decision(NamedTuple):
    """limit: the bucket that decided, None if there was none to ask."""

    allowed: bool
    limit: Optional[Limit]


class _Pattern:
    """A descriptor with open values."""

    __slots__ = ("_entries", "_config", "_clock", "_most", "_limits")

    def __init__(self, config: LocalRateLimitDescriptor, clock: Clock, most: int) -> None:
        self._entries = descriptor_of(config)
        self._config = config
        self._clock = clock
        self._most = most
        self._limits: OrderedDict[Descriptor, Limit] = collections.OrderedDict()

    def find(self, asked: Descriptor) -> Optional[Limit]:
        """The bucket of a descriptor, None if this is not its pattern."""
        if len(asked) != len(self._entries) or not all(
            key == own_key and (not own_value or value == own_value)
            for (key, value), (own_key, own_value) in zip(asked, self._entries)
        ):
            return None
        limit = self._limits.get(asked)
        if limit is None:
            assert self._config.token_bucket is not None
            limit = self._limits[asked] = Limit(self._config.token_bucket, self._clock, self._config.shadow_mode)
            if len(self._limits) > self._most:
                self._limits.popitem(last=False)
        else:
            self._limits.move_to_end(asked)
        return limit


class Limiter:
    """The buckets of one configuration, or of one connection."""

    __slots__ = ("_common", "_always_common", "_limits", "_patterns")

    def __init__(self, config: LocalRateLimit, clock: Clock) -> None:
        most = config.max_dynamic_descriptors or DEFAULT_MOST_DYNAMIC
        self._common = None if config.token_bucket is None else Limit(config.token_bucket, clock)
        self._always_common = config.always_consume_default_token_bucket is not False
        self._limits: Dict[Descriptor, Limit] = {}
        self._patterns: List[_Pattern] = []
        for one in config.descriptors:
            if is_pattern(one):
                self._patterns.append(_Pattern(one, clock, most))
            else:
                assert one.token_bucket is not None
                self._limits[descriptor_of(one)] = Limit(one.token_bucket, clock, one.shadow_mode)

    def take(self, descriptors: Sequence[Descriptor]) -> Decision:
        """A token for a request with these descriptors."""
        found = [limit for limit in map(self._find, descriptors) if limit is not None] if descriptors else []
        if len(found) > 1:
            found.sort(key=_speed)
        for limit in found:
            if not limit.tokens.take():
                return Decision(False, limit)
        first = found[0] if found else None
        if first is not None and not self._always_common:
            return Decision(True, first)
        if self._common is None:
            return Decision(True, first)
        if not self._common.tokens.take():
            return Decision(False, self._common)
        return Decision(True, first or self._common)

    def _find(self, descriptor: Descriptor) -> Optional[Limit]:
        limit = self._limits.get(descriptor)
        if limit is None:
            for pattern in self._patterns:
                limit = pattern.find(descriptor)
                if limit is not None:
                    break
        return limit


def descriptor_of(config: LocalRateLimitDescriptor) -> Descriptor:
    """The pairs, as `http.routing.rate_limits` makes them of a request."""
    pairs: List[Tuple[str, str]] = [(wire(entry.key), wire(entry.value)) for entry in config.entries]
    return tuple(pairs)


def is_pattern(config: LocalRateLimitDescriptor) -> bool:
    """Whether one of its values is open."""
    return any(not entry.value for entry in config.entries)


def _speed(limit: Limit) -> float:
    return limit.per_second
