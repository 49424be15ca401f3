"""envoy.config.route.v3.RouteMatch and its parts: which requests a route takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, List, Optional

from ..context import Wrong
from ..descriptor import Message, message, optional, plain, repeated
from ..kinds import Bool, String
from ..nested import Nested
from .core import RuntimeFractionalPercent
from .matcher import FilterStateMatcher, HeaderMatcher, MetadataMatcher, RegexMatcher, StringMatcher

_SEPARATED: Final = re.compile(r"[^?#]+[^?#/]")
_MOST_BYTES: Final = 1024


class SeparatedPrefix(String):
    """A path without query and fragment that does not end with a slash."""

    def constrain(self, value: str) -> None:
        if _SEPARATED.fullmatch(value) is None:
            raise Wrong('expected a path such as "/api": at least 2 characters, no "?" and "#", no "/" at its end')


@message("envoy.config.route.v3.QueryParameterMatcher")
@dataclass(eq=False, repr=False)
class QueryParameterMatcher(Message):
    """A condition on a parameter of the query, as it is written there; without a specifier: it is there."""

    name: str = plain(String(min_len=1, max_bytes=_MOST_BYTES))
    string_match: Optional[StringMatcher] = optional(Nested(StringMatcher), oneof="query_parameter_match_specifier")
    present_match: Optional[bool] = optional(Bool(), oneof="query_parameter_match_specifier")


@message("envoy.config.route.v3.CookieMatcher")
@dataclass(eq=False, repr=False)
class CookieMatcher(Message):
    """A condition on a cookie."""

    name: str = plain(String(min_len=1, max_bytes=_MOST_BYTES))
    string_match: Optional[StringMatcher] = optional(Nested(StringMatcher), required=True)
    invert_match: bool = plain(Bool())


@message("envoy.config.route.v3.RouteMatch.TlsContextMatchOptions")
@dataclass(eq=False, repr=False)
class TlsContextMatchOptions(Message):
    """Conditions on the client's certificate; there is none without TLS."""

    presented: Optional[bool] = optional(Bool(), help="The client showed a certificate.")
    validated: Optional[bool] = optional(Bool(), help="The certificate was checked and is good.")


@message("envoy.config.route.v3.RouteMatch.ConnectMatcher")
@dataclass(eq=False, repr=False)
class ConnectMatcher(Message):
    """CONNECT requests."""


@message("envoy.config.route.v3.RouteMatch", unsupported=("grpc", "path_match_policy"), required_oneofs=("path_specifier",))
@dataclass(eq=False, repr=False)
class RouteMatch(Message):
    """A path and further conditions; all of them must hold."""

    prefix: Optional[str] = optional(String(), oneof="path_specifier", help="What the path begins with.")
    path: Optional[str] = optional(String(), oneof="path_specifier", help="The whole path, without query.")
    case_sensitive: Optional[bool] = optional(Bool(), help="Default true. Not for safe_regex.")
    headers: List[HeaderMatcher] = repeated(Nested(HeaderMatcher))
    query_parameters: List[QueryParameterMatcher] = repeated(Nested(QueryParameterMatcher))
    runtime_fraction: Optional[RuntimeFractionalPercent] = optional(
        Nested(RuntimeFractionalPercent), help="The share of requests; the others go on to the next route."
    )
    safe_regex: Optional[RegexMatcher] = optional(
        Nested(RegexMatcher), oneof="path_specifier", help="Matches the whole path, without query."
    )
    tls_context: Optional[TlsContextMatchOptions] = optional(Nested(TlsContextMatchOptions))
    connect_matcher: Optional[ConnectMatcher] = optional(Nested(ConnectMatcher), oneof="path_specifier")
    dynamic_metadata: List[MetadataMatcher] = repeated(Nested(MetadataMatcher))
    path_separated_prefix: Optional[str] = optional(
        SeparatedPrefix(), oneof="path_specifier", help='"/api" takes "/api" and "/api/x", not "/apix".'
    )
    filter_state: List[FilterStateMatcher] = repeated(Nested(FilterStateMatcher))
    cookies: List[CookieMatcher] = repeated(Nested(CookieMatcher))
