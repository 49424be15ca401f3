"""One request before its limit. Mirrors `Filter` of `http/local_ratelimit`.

Place in the data's way: the head of a request takes a token, or the request is answered; responses may say how many are left.
A route may bring a configuration of its own, with buckets and stats of its own.
"""

from __future__ import annotations

import math
from typing import Final, List, Optional, Sequence

from ....errors import ConfigError, Problem
from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import (
    CONTINUE, STOP_ITERATION, DecoderFilterCallbacks, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory,
)
from ....http.headers import Headers
from ....http.routing.header_mutation import prepare_headers
from ....http.routing.rate_limits import Descriptor, prepare_rate_limits
from ....observe.stats import Scope
from ....observe.stream_info import StreamInfo
from ..chance import chance
from .config import DRAFT_VERSION_03, LocalRateLimit
from .descriptors import own_descriptors, route_descriptors
from .limiter import Decision, Limit, Limiter, descriptor_of

RATE_LIMITED: Final = "local_rate_limited"
FLAG: Final = "RL"
TOO_MANY_REQUESTS: Final = 429
# Where the buckets of a connection are kept. As in Envoy a connection has one set of them, those of the first configuration that
# asked, even if its requests go by different ones.
PER_CONNECTION: Final = "envoy.filters.http.local_ratelimit.connection"


class _Stats:
    """`<stat_prefix>.http_local_rate_limit.`"""

    __slots__ = ("enabled", "enforced", "rate_limited", "ok", "shadow_mode")

    def __init__(self, scope: Scope) -> None:
        self.enabled = scope.counter("enabled")
        self.enforced = scope.counter("enforced")
        self.rate_limited = scope.counter("rate_limited")
        self.ok = scope.counter("ok")
        self.shadow_mode = scope.counter("shadow_mode")


class Settings:
    """One configuration, of the filter or of a route, prepared. Raises ConfigError with all that is wrong with it."""

    def __init__(self, config: LocalRateLimit, context: HttpFactoryContext) -> None:
        problems: List[Problem] = _problems(config, context.path)
        formats, path = context.formats, context.path
        self.change_response = prepare_headers(config.response_headers_to_add, (), formats, path, "response", problems)
        self.change_request = prepare_headers(
            config.request_headers_to_add_when_not_enforced, (), formats, path, "request", problems,
            "request_headers_to_add_when_not_enforced",
        )
        self._own = prepare_rate_limits(config.rate_limits, formats, f"{path}.rate_limits", problems)
        if problems:
            raise ConfigError(problems)
        self.enabled = chance(config.filter_enabled, context, False)
        self.enforced = chance(config.filter_enforced, context, False)
        self.stats = _Stats(context.stats.scope(f"{config.stat_prefix}.http_local_rate_limit"))
        status = config.status.number if config.status is not None else TOO_MANY_REQUESTS
        self.status = status if status >= 400 else TOO_MANY_REQUESTS
        self.says_limit = config.enable_x_ratelimit_headers == DRAFT_VERSION_03
        self.says_retry_after = config.enable_retry_after_header
        self._config = config
        self._clock = context.reactor
        self._service: str = context.node_cluster
        self._limiter = None if config.local_rate_limit_per_downstream_connection else Limiter(config, self._clock)

    def take(self, decoder: DecoderFilterCallbacks, head: RequestHead) -> Decision:
        """A token for this request."""
        limiter = self._limiter if self._limiter is not None else self._of_connection(decoder.connection.info)
        return limiter.take(self._descriptors(decoder, head) if self._config.descriptors else ())

    def _of_connection(self, info: StreamInfo) -> Limiter:
        limiter = info.filter_state.get(PER_CONNECTION)
        if not isinstance(limiter, Limiter):
            limiter = Limiter(self._config, self._clock)
            info.set_filter_state(PER_CONNECTION, limiter)
        return limiter

    def _descriptors(self, decoder: DecoderFilterCallbacks, head: RequestHead) -> Sequence[Descriptor]:
        config = self._config
        if self._own:
            return own_descriptors(self._own, head, decoder.info, self._service, decoder.route)
        return route_descriptors(config.stage, config.vh_rate_limits, head, decoder.info, self._service, decoder.route)


class LocalRateLimitFilter(HttpFilter):
    """See the module docstring."""

    __slots__ = ("decoder", "encoder", "_settings", "_limit")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limit: Optional[Limit] = None  # the bucket that decided

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Take a token, or answer."""
        self._settings = settings = self.decoder.route_config() or self._settings
        if not settings.enabled():
            return CONTINUE
        stats = settings.stats
        stats.enabled.inc()
        allowed, self._limit = settings.take(self.decoder, head)
        if allowed:
            stats.ok.inc()
            return CONTINUE
        stats.rate_limited.inc()
        if self._limit is not None and self._limit.is_shadow:
            stats.shadow_mode.inc()
            return CONTINUE
        if not settings.enforced():
            if settings.change_request is not None:
                settings.change_request(head.headers, self.decoder.info)
            return CONTINUE
        stats.enforced.inc()
        self.decoder.info.add_flag(FLAG)
        self.decoder.send_local_reply(settings.status, RATE_LIMITED.encode(), RATE_LIMITED, self._change)
        return STOP_ITERATION

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """Say how many tokens are left."""
        limit = self._limit
        if limit is not None and limit.max_tokens and self._settings.says_limit:
            left = limit.tokens.whole()
            head.headers.set("x-ratelimit-limit", str(limit.max_tokens))
            head.headers.set("x-ratelimit-remaining", str(left))
            head.headers.set("x-ratelimit-reset", "0" if left else _seconds_to_next(limit))
        return CONTINUE

    def _change(self, headers: Headers) -> None:
        settings, limit = self._settings, self._limit
        if settings.change_response is not None:
            settings.change_response(headers, self.decoder.info)
        if settings.says_retry_after and limit is not None and limit.max_tokens:
            headers.set("retry-after", _seconds_to_next(limit))


def _seconds_to_next(limit: Limit) -> str:
    return str(math.ceil(limit.tokens.seconds_to_next()))


def _problems(config: LocalRateLimit, path: str) -> List[Problem]:
    """Envoy's rules that one field alone can't tell."""
    found: List[Problem] = []
    known = set()
    for index, one in enumerate(config.descriptors):
        descriptor = descriptor_of(one)
        if descriptor in known:
            text = ", ".join(f"{entry.key}={entry.value}" for entry in one.entries)
            found.append(Problem(f"{path}.descriptors[{index}]", f"duplicate descriptor in the local rate descriptor: {text}"))
        known.add(descriptor)
    return found


def build(config: LocalRateLimit, context: HttpFactoryContext) -> HttpFilterFactory:
    """The factory."""
    settings = Settings(config, context)
    return lambda: LocalRateLimitFilter(settings)


def build_route(config: LocalRateLimit, context: HttpFactoryContext) -> Settings:
    """The settings of a route. Raises ConfigError where there is no bucket."""
    if config.token_bucket is None:
        text = "local rate limit token bucket must be set for per filter configs"
        raise ConfigError([Problem(f"{context.path}.token_bucket", text)])
    return Settings(config, context)
