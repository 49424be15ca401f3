"""envoy.filters.http.csrf: turns requests away that another site's page made a browser send. Mirrors `CsrfFilter`.

Place in the data's way: the head of a request that may change something (POST, PUT, DELETE, PATCH) has to come from the site it
goes to, or from one of `additional_origins`. The policy of the route counts instead of the filter's.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Final, List, Optional

from ...config.fields import Message, Nested, message, optional, repeated
from ...config.model.core import RuntimeFractionalPercent
from ...config.model.matcher import StringMatcher
from ...http.events import RequestHead
from ...http.filter_api import CONTINUE, STOP_ITERATION, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory
from ...http.headers import Headers
from ...http.registry import HttpExtension
from ...http.routing.text import wire
from ...observe.access_log.matchers import string_matcher
from ...observe.stats import Scope
from .chance import chance

CHANGING_METHODS: Final = frozenset(("POST", "PUT", "DELETE", "PATCH"))
INVALID_ORIGIN: Final = b"Invalid origin"
ORIGIN_MISMATCH: Final = "csrf_origin_mismatch"
NO_ORIGIN: Final = "null"  # RFC 6454 section 7.3: the page's origin is nobody's business


@message("envoy.extensions.filters.http.csrf.v3.CsrfPolicy")
@dataclasses.dataclass(eq=False, repr=False)
class CsrfPolicy(Message):
    """Which other sites' pages may make browsers send requests that change something."""

    filter_enabled: Optional[RuntimeFractionalPercent] = optional(Nested(RuntimeFractionalPercent), required=True)
    shadow_enabled: Optional[RuntimeFractionalPercent] = optional(
        Nested(RuntimeFractionalPercent), help="Count, but let everything pass, where the filter is not enabled."
    )
    additional_origins: List[StringMatcher] = repeated(Nested(StringMatcher), help="On the host and port of the page.")


class _Stats:
    """`http.<stat_prefix>.csrf.`"""

    __slots__ = ("missing_source_origin", "request_invalid", "request_valid")

    def __init__(self, scope: Scope) -> None:
        self.missing_source_origin = scope.counter("missing_source_origin")
        self.request_invalid = scope.counter("request_invalid")
        self.request_valid = scope.counter("request_valid")


class _Policy:
    """One policy, prepared."""

    __slots__ = ("enabled", "shadow_enabled", "_also_allowed")

    def __init__(self, config: CsrfPolicy, context: HttpFactoryContext) -> None:
        self.enabled = chance(config.filter_enabled, context, False)
        self.shadow_enabled = chance(config.shadow_enabled, context, False)
        self._also_allowed: List[Callable[[str], bool]] = [string_matcher(one, wire) for one in config.additional_origins]

    def allows(self, source: str, target: str) -> bool:
        """source, target: host and port of the page, and of where the request goes."""
        return source == target or any(matches(source) for matches in self._also_allowed)


class CsrfFilter(HttpFilter):
    """One request."""

    __slots__ = ("decoder", "encoder", "_policy", "_stats")

    def __init__(self, policy: _Policy, stats: _Stats) -> None:
        self._policy = policy
        self._stats = stats

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Let it pass, or answer 403."""
        if head.method not in CHANGING_METHODS:
            return CONTINUE
        policy: _Policy = self.decoder.route_config() or self._policy
        enforced = policy.enabled()
        if not enforced and not policy.shadow_enabled():
            return CONTINUE
        source = _source(head.headers)
        if not source:
            self._stats.missing_source_origin.inc()
        elif not policy.allows(source, host_and_port(head.authority or "")):
            self._stats.request_invalid.inc()
        else:
            self._stats.request_valid.inc()
            return CONTINUE
        if not enforced:
            return CONTINUE
        self.decoder.send_local_reply(403, INVALID_ORIGIN, ORIGIN_MISMATCH)
        return STOP_ITERATION


def _source(headers: Headers) -> str:
    """Where the request comes from, "" if it does not say."""
    origin = headers.get("origin")
    if origin:
        return "" if origin == NO_ORIGIN else host_and_port(origin)
    return host_and_port(headers.get("referer") or "")


def host_and_port(url: str) -> str:
    """Of "http://user@host:port/path?query"; text that is no URL is taken as it is."""
    scheme, mark, rest = url.partition("://")
    if not mark or not scheme:
        return url
    authority = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    return authority or url


def build(config: CsrfPolicy, context: HttpFactoryContext) -> HttpFilterFactory:
    """The factory."""
    policy, stats = build_route(config, context), _Stats(context.scope.scope("csrf"))
    return lambda: CsrfFilter(policy, stats)


def build_route(config: CsrfPolicy, context: HttpFactoryContext) -> _Policy:
    """The policy of a route."""
    return _Policy(config, context)


EXTENSION = HttpExtension(CsrfPolicy, build, CsrfPolicy, build_route)
