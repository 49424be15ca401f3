"""The configuration messages of jwt_authn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Final, List, Optional

from ....config.fields import (
    Bool, Duration, Empty, Message, Nested, Report, String, UInt32, mapping, message, optional, plain, repeated,
)
from ....config.model.core import DataSource
from ....config.model.header_value import HeaderText
from ....config.model.http_uri import HttpUri
from ....config.model.matcher import StringMatcher
from ....config.model.route_match import RouteMatch

_PACKAGE: Final = "envoy.extensions.filters.http.jwt_authn.v3."


@message(f"{_PACKAGE}JwksAsyncFetch")
@dataclass(eq=False, repr=False)
class JwksAsyncFetch(Message):
    """Fetch the keys when the configuration is loaded, and again before they expire."""

    fast_listener: bool = plain(Bool(), help="Of no effect: the listener never waits for the keys, requests do.")
    failed_refetch_duration: Optional[float] = optional(Duration(gt=0), help="Default 1s: try again so long after a failure.")


@message(f"{_PACKAGE}RemoteJwks", unsupported=("retry_policy",))
@dataclass(eq=False, repr=False)
class RemoteJwks(Message):
    """Keys that a server has."""

    http_uri: Optional[HttpUri] = optional(Nested(HttpUri), required=True)
    cache_duration: Optional[float] = optional(Duration(gt=0), help="Default 10min.")
    async_fetch: Optional[JwksAsyncFetch] = optional(Nested(JwksAsyncFetch))


@message(f"{_PACKAGE}JwtHeader")
@dataclass(eq=False, repr=False)
class JwtHeader(Message):
    """A header with a token."""

    name: str = plain(HeaderText(min_len=1))
    value_prefix: str = plain(HeaderText(), help='What stands before the token: "Bearer ".')


@message(f"{_PACKAGE}JwtCacheConfig")
@dataclass(eq=False, repr=False)
class JwtCacheConfig(Message):
    """Remember tokens whose signature was good."""

    jwt_cache_size: int = plain(UInt32(), help="Default 100 tokens.")
    jwt_max_token_size: int = plain(UInt32(), help="Default 4096 bytes; longer ones are not remembered.")


@message(f"{_PACKAGE}JwtClaimToHeader.PathSegment")
@dataclass(eq=False, repr=False)
class PathSegment(Message):
    """One step down into a claim."""

    key: str = plain(String(min_len=1))


@message(f"{_PACKAGE}JwtClaimToHeader")
@dataclass(eq=False, repr=False)
class JwtClaimToHeader(Message):
    """A claim that the upstream is told."""

    header_name: str = plain(HeaderText(min_len=1))
    claim_name: str = plain(String(), help='With dots for claims in claims: "address.country".')
    claim_path: List[PathSegment] = repeated(Nested(PathSegment), help="Instead of claim_name, for names with dots.")


@message(f"{_PACKAGE}JwtProvider.NormalizePayload")
@dataclass(eq=False, repr=False)
class NormalizePayload(Message):
    """What is changed in the payload before it goes to the metadata."""

    space_delimited_claims: List[str] = repeated(String(), help='"a b" becomes ["a", "b"] in these.')


@message(f"{_PACKAGE}JwtProvider")
@dataclass(eq=False, repr=False)
class JwtProvider(Message):
    """One issuer of tokens: its keys, where its tokens are, what becomes of them."""

    issuer: str = plain(String(), help="Default: any.")
    audiences: List[str] = repeated(String(), help="One of these must be in the token. Default: any.")
    remote_jwks: Optional[RemoteJwks] = optional(Nested(RemoteJwks), oneof="jwks_source_specifier")
    local_jwks: Optional[DataSource] = optional(Nested(DataSource), oneof="jwks_source_specifier")
    forward: bool = plain(Bool(), help="Leave the token in the request.")
    from_headers: List[JwtHeader] = repeated(Nested(JwtHeader), help="Default: authorization, and the parameter access_token.")
    from_params: List[str] = repeated(String(), help="Parameters of the query.")
    forward_payload_header: str = plain(HeaderText(), help="A header that tells the upstream the payload.")
    payload_in_metadata: str = plain(String(), help="The payload's key in the dynamic metadata.")
    clock_skew_seconds: int = plain(UInt32(), help="Default 60.")
    pad_forward_payload_header: bool = plain(Bool(), help="With the padding of base64.")
    jwt_cache_config: Optional[JwtCacheConfig] = optional(Nested(JwtCacheConfig))
    from_cookies: List[str] = repeated(String())
    header_in_metadata: str = plain(String(), help="The key of the token's header in the dynamic metadata.")
    claim_to_headers: List[JwtClaimToHeader] = repeated(Nested(JwtClaimToHeader))
    failed_status_in_metadata: str = plain(String(), help="The key, in the dynamic metadata, of what was wrong.")
    clear_route_cache: bool = plain(Bool(), help="Choose the route again when claims have become headers.")
    normalize_payload_in_metadata: Optional[NormalizePayload] = optional(Nested(NormalizePayload))
    subjects: Optional[StringMatcher] = optional(Nested(StringMatcher))
    require_expiration: bool = plain(Bool())
    max_lifetime: Optional[float] = optional(Duration(), help="The longest time from now to the token's expiration.")

    def check(self, report: Report) -> None:
        if self.remote_jwks is None and self.local_jwks is None:
            report("local_jwks", "remote_jwks or local_jwks is required")
        for index, one in enumerate(self.claim_to_headers):
            if bool(one.claim_name) is bool(one.claim_path):
                text = f"header '{one.header_name}' which does not set exactly one of claim_name and claim_path"
                report(f"claim_to_headers[{index}]", f"has a claim_to_headers entry for {text}")


@message(f"{_PACKAGE}ProviderWithAudiences")
@dataclass(eq=False, repr=False)
class ProviderWithAudiences(Message):
    """A token of this provider for one of these audiences."""

    provider_name: str = plain(String())
    audiences: List[str] = repeated(String(), help="Instead of the provider's own.")


@message(f"{_PACKAGE}JwtRequirementOrList")
@dataclass(eq=False, repr=False)
class JwtRequirementOrList(Message):
    """One of several."""

    requirements: List[JwtRequirement] = repeated(Nested.later(lambda: JwtRequirement), min_items=2)


@message(f"{_PACKAGE}JwtRequirementAndList")
@dataclass(eq=False, repr=False)
class JwtRequirementAndList(Message):
    """All of several."""

    requirements: List[JwtRequirement] = repeated(Nested.later(lambda: JwtRequirement), min_items=2)


@message(f"{_PACKAGE}ExtractOnlyWithoutValidation")
@dataclass(eq=False, repr=False)
class ExtractOnlyWithoutValidation(Message):
    """Claims become headers whether they are true or not. Not supported."""

    verification_status_header: str = plain(HeaderText())


@message(f"{_PACKAGE}JwtRequirement")
@dataclass(eq=False, repr=False)
class JwtRequirement(Message):
    """What a request needs; nothing if it is empty."""

    provider_name: Optional[str] = optional(String(), oneof="requires_type")
    provider_and_audiences: Optional[ProviderWithAudiences] = optional(Nested(ProviderWithAudiences), oneof="requires_type")
    requires_any: Optional[JwtRequirementOrList] = optional(Nested(JwtRequirementOrList), oneof="requires_type")
    requires_all: Optional[JwtRequirementAndList] = optional(Nested(JwtRequirementAndList), oneof="requires_type")
    allow_missing_or_failed: Optional[Empty] = optional(Nested(Empty), oneof="requires_type", help="Pass whatever it carries.")
    allow_missing: Optional[Empty] = optional(Nested(Empty), oneof="requires_type", help="Pass without a token.")
    extract_only_without_validation: Optional[ExtractOnlyWithoutValidation] = optional(
        Nested(ExtractOnlyWithoutValidation), oneof="requires_type", help="Refused."
    )

    def check(self, report: Report) -> None:
        if self.extract_only_without_validation is not None:  # an empty one as well: it does not mean "nothing is required"
            name = "extract_only_without_validation"
            report(name, f"`{name}` is a field of Envoy's JwtRequirement that proxy_core does not support yet")


@message(f"{_PACKAGE}RequirementRule")
@dataclass(eq=False, repr=False)
class RequirementRule(Message):
    """What requests of some kind need."""

    match: Optional[RouteMatch] = optional(Nested(RouteMatch), required=True)
    requires: Optional[JwtRequirement] = optional(Nested(JwtRequirement), oneof="requirement_type")
    requirement_name: Optional[str] = optional(String(min_len=1), oneof="requirement_type", help="Of requirement_map.")


@message(f"{_PACKAGE}FilterStateRule")
@dataclass(eq=False, repr=False)
class FilterStateRule(Message):
    """What requests need by an object that another filter has left."""

    name: str = plain(String(min_len=1), help="The object's name.")
    requires: Dict[str, JwtRequirement] = mapping(Nested(JwtRequirement), help="By its text.")


@message(f"{_PACKAGE}JwtAuthentication")
@dataclass(eq=False, repr=False)
class JwtAuthentication(Message):
    """Requests need JSON Web Tokens."""

    providers: Dict[str, JwtProvider] = mapping(Nested(JwtProvider))
    rules: List[RequirementRule] = repeated(Nested(RequirementRule), help="The first that matches counts; none: pass.")
    filter_state_rules: Optional[FilterStateRule] = optional(Nested(FilterStateRule), help="Where no rule matches.")
    bypass_cors_preflight: bool = plain(Bool())
    requirement_map: Dict[str, JwtRequirement] = mapping(Nested(JwtRequirement), help="For rules and routes, by name.")
    strip_failure_response: bool = plain(Bool(), help="Don't tell the client what was wrong.")
    stat_prefix: str = plain(String(), help="Stats are named jwt_authn.<stat_prefix>.")


@message(f"{_PACKAGE}PerRouteConfig", required_oneofs=("requirement_specifier",))
@dataclass(eq=False, repr=False)
class PerRouteConfig(Message):
    """Off for a route, or another requirement."""

    disabled: Optional[bool] = optional(Bool(), oneof="requirement_specifier")
    requirement_name: Optional[str] = optional(String(min_len=1), oneof="requirement_specifier")

    def check(self, report: Report) -> None:
        if self.disabled is False:
            report("disabled", "expected true")
