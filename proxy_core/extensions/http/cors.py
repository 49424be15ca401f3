"""envoy.filters.http.cors: tells browsers which other sites may use this one. Mirrors `CorsFilter`.

Place in the data's way: a preflight (OPTIONS with `origin` and `access-control-request-method`) of a site that is allowed is
answered here; other requests pass, and what browsers have to know is added to their responses. The policy stands with routes,
virtual hosts and the route table; what an inner level does not say, an outer one does. `cors` of routes and virtual hosts, the
older place, counts where there is no such policy.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple, Union

from ...config.fields import Bool, Message, Nested, message, optional, plain, repeated
from ...config.model.core import RuntimeFractionalPercent
from ...config.model.header_value import HeaderText
from ...config.model.matcher import StringMatcher
from ...config.model.route_cors import CorsPolicy as OlderCorsPolicy
from ...http.events import RequestHead, ResponseHead
from ...http.filter_api import CONTINUE, STOP_ITERATION, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory
from ...http.headers import Headers
from ...http.registry import HttpExtension
from ...http.routing.text import wire
from ...observe.access_log.matchers import string_matcher
from ...observe.stats import Scope
from .chance import chance

CORS_RESPONSE: Final = "cors_response"
MOST_OLDER_POLICIES: Final = 1000
_PACKAGE: Final = "envoy.extensions.filters.http.cors.v3."


@message(_PACKAGE + "Cors")
@dataclasses.dataclass(eq=False, repr=False)
class Cors(Message):
    """The filter; what it does is said by the policies of routes."""


@message(_PACKAGE + "CorsPolicy")
@dataclasses.dataclass(eq=False, repr=False)
class CorsPolicy(Message):
    """Which other sites may ask from a browser, and for what."""

    allow_origin_string_match: List[StringMatcher] = repeated(Nested(StringMatcher))
    allow_methods: str = plain(HeaderText(), help="Of access-control-allow-methods.")
    allow_headers: str = plain(HeaderText(), help="Of access-control-allow-headers.")
    expose_headers: str = plain(HeaderText(), help="Of access-control-expose-headers.")
    max_age: str = plain(HeaderText(), help="Of access-control-max-age.")
    allow_credentials: Optional[bool] = optional(Bool())
    filter_enabled: Optional[RuntimeFractionalPercent] = optional(Nested(RuntimeFractionalPercent), help="Default 100 %.")
    shadow_enabled: Optional[RuntimeFractionalPercent] = optional(
        Nested(RuntimeFractionalPercent), help="Only count where the filter is not enabled. Default 0 %."
    )
    allow_private_network_access: Optional[bool] = optional(Bool())
    forward_not_matching_preflights: Optional[bool] = optional(Bool(), help="Default true; false: they are answered here.")


class Policy:
    """One policy, prepared. origins: None where it says nothing of them; so with the texts ("") and switches (None).

    alone: what is in force where it is the only one.
    """

    __slots__ = (
        "origins", "allow_methods", "allow_headers", "expose_headers", "max_age", "allow_credentials",
        "allow_private_network_access", "forward_not_matching_preflights", "enabled", "shadow_enabled", "alone",
    )

    def __init__(self, config: Union[CorsPolicy, OlderCorsPolicy], context: HttpFactoryContext) -> None:
        self.origins = [string_matcher(one, wire) for one in config.allow_origin_string_match] or None
        self.allow_methods = wire(config.allow_methods)
        self.allow_headers = wire(config.allow_headers)
        self.expose_headers = wire(config.expose_headers)
        self.max_age = wire(config.max_age)
        self.allow_credentials = config.allow_credentials
        self.allow_private_network_access = config.allow_private_network_access
        self.forward_not_matching_preflights = config.forward_not_matching_preflights
        self.enabled = chance(config.filter_enabled, context, True)
        self.shadow_enabled = chance(config.shadow_enabled, context, False)
        self.alone = Effective.of((self,))


class Effective(NamedTuple):
    """The policies of all levels together. `enabled` and `shadow_enabled` are those of the innermost."""

    origins: Sequence[Callable[[str], bool]]
    allow_methods: str
    allow_headers: str
    expose_headers: str
    max_age: str
    allow_credentials: bool
    allow_private_network_access: bool
    forward_not_matching_preflights: bool
    enabled: Callable[[], bool]
    shadow_enabled: Callable[[], bool]

    @classmethod
    def of(cls, policies: Sequence[Policy]) -> Effective:
        """policies: the innermost first, at least one."""
        def text(name: str) -> str:
            return next((found for found in (getattr(one, name) for one in policies) if found), "")

        def switch(name: str, unset: bool) -> bool:
            return next((found for found in (getattr(one, name) for one in policies) if found is not None), unset)

        return cls(
            next((one.origins for one in policies if one.origins is not None), ()),
            text("allow_methods"), text("allow_headers"), text("expose_headers"), text("max_age"),
            switch("allow_credentials", False), switch("allow_private_network_access", False),
            switch("forward_not_matching_preflights", True), policies[0].enabled, policies[0].shadow_enabled,
        )

    def allows(self, origin: str) -> bool:
        """Whether the site of this origin may ask."""
        return any(matches(origin) for matches in self.origins)

    def describe_response(self, headers: Headers, origin: str) -> None:
        """What the response to a request of an allowed site says."""
        headers.set("access-control-allow-origin", origin)
        if self.allow_credentials:
            headers.set("access-control-allow-credentials", "true")
        if self.expose_headers:
            headers.set("access-control-expose-headers", self.expose_headers)

    def describe_preflight(self, headers: Headers, origin: str, private_network: bool) -> None:
        """What a preflight is answered with. origin: "" if the site may not ask."""
        if origin:
            headers.set("access-control-allow-origin", origin)
        if self.allow_credentials:
            headers.set("access-control-allow-credentials", "true")
        if self.allow_methods:
            headers.set("access-control-allow-methods", self.allow_methods)
        if self.allow_headers:
            headers.set("access-control-allow-headers", self.allow_headers)
        if self.max_age:
            headers.set("access-control-max-age", self.max_age)
        if private_network and self.allow_private_network_access:
            headers.set("access-control-allow-private-network", "true")
        if self.expose_headers and origin:
            headers.set("access-control-expose-headers", self.expose_headers)


class _Prepared:
    """What all requests share."""

    __slots__ = ("origin_valid", "origin_invalid", "_context", "_older")

    def __init__(self, context: HttpFactoryContext) -> None:
        scope: Scope = context.scope.scope("cors")
        self.origin_valid = scope.counter("origin_valid")
        self.origin_invalid = scope.counter("origin_invalid")
        self._context = context
        # By id: messages have no hash. The message is kept with its policy, so that no other one can get its id.
        self._older: Dict[int, Tuple[OlderCorsPolicy, Policy]] = {}

    def older(self, config: OlderCorsPolicy) -> Policy:
        """The policy of a route or virtual host, prepared when it is first needed."""
        known = self._older.get(id(config))
        if known is None:
            if len(self._older) >= MOST_OLDER_POLICIES:
                self._older.clear()
            known = self._older[id(config)] = (config, Policy(config, self._context))
        return known[1]


class CorsFilter(HttpFilter):
    """One request. A response is changed if `_origin` is set."""

    __slots__ = ("decoder", "encoder", "_prepared", "_policy", "_origin")

    def __init__(self, prepared: _Prepared) -> None:
        self._prepared = prepared
        self._policy: Effective
        self._origin = ""

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Count the site that asks, and answer a preflight."""
        origin = head.headers.get("origin")
        policies = self._policies() if origin else ()
        if not origin or not policies:
            return CONTINUE
        policy = policies[0].alone if len(policies) == 1 else Effective.of(policies)
        enabled = policy.enabled()
        if not enabled and not policy.shadow_enabled():
            return CONTINUE
        allowed = policy.allows(origin)
        (self._prepared.origin_valid if allowed else self._prepared.origin_invalid).inc()
        if not enabled:
            return CONTINUE
        if allowed:
            self._policy, self._origin = policy, origin
        is_preflight = head.method == "OPTIONS" and bool(head.headers.get("access-control-request-method"))
        if not is_preflight or not (allowed or not policy.forward_not_matching_preflights):
            return CONTINUE
        self._answer(policy, head)
        return STOP_ITERATION

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """Say that the site may see the response."""
        if self._origin:
            self._policy.describe_response(head.headers, self._origin)
        return CONTINUE

    def _policies(self) -> Sequence[Policy]:
        """Those of the route, the innermost first."""
        route = self.decoder.route
        if route is None:
            return ()
        policies: Sequence[Policy] = route.filter_configs(self.decoder.name)
        return [*reversed(policies)] if policies else [self._prepared.older(one) for one in reversed(route.cors)]

    def _answer(self, policy: Effective, head: RequestHead) -> None:
        response = ResponseHead(200)
        private_network = head.headers.get("access-control-request-private-network") == "true"
        policy.describe_preflight(response.headers, self._origin, private_network)
        self._origin = ""  # nothing is left to be said
        self.decoder.encode_headers(response, True, CORS_RESPONSE)


def build(config: Cors, context: HttpFactoryContext) -> HttpFilterFactory:
    """The factory."""
    prepared = _Prepared(context)
    return lambda: CorsFilter(prepared)


def build_route(config: CorsPolicy, context: HttpFactoryContext) -> Policy:
    """The policy of one level of a route."""
    return Policy(config, context)


EXTENSION = HttpExtension(Cors, build, CorsPolicy, build_route)
