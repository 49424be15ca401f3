"""envoy.config.rbac.v3: who may do what. Shared by the network filter and the HTTP filter of the name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

from ..descriptor import Message, Report, mapping, message, optional, plain, repeated
from ..kinds import Bool, Enum, UInt32
from ..nested import Nested
from .address import CidrRange
from .core import Int32Range, TypedExtensionConfig
from .matcher import FilterStateMatcher, HeaderMatcher, MetadataMatcher, PathMatcher, StringMatcher

_END_OF_PORTS = 65536  # of a half-open range


@message("envoy.config.rbac.v3.SourcedMetadata")
@dataclass(eq=False, repr=False)
class SourcedMetadata(Message):
    """A condition on metadata of a given origin."""

    metadata_matcher: Optional[MetadataMatcher] = optional(Nested(MetadataMatcher), required=True)
    metadata_source: str = plain(Enum(DYNAMIC=0, ROUTE=1), help="A TCP connection has no route, so ROUTE matches nothing there.")


@message("envoy.config.rbac.v3.Permission.Set")
@dataclass(eq=False, repr=False)
class PermissionSet(Message):
    """Several permissions."""

    rules: List[Permission] = repeated(Nested.later(lambda: Permission), min_items=1)


@message("envoy.config.rbac.v3.Permission", unsupported=("uri_template",), required_oneofs=("rule",))
@dataclass(eq=False, repr=False)
class Permission(Message):
    """A condition on what the client wants to do."""

    and_rules: Optional[PermissionSet] = optional(Nested(PermissionSet), oneof="rule")
    or_rules: Optional[PermissionSet] = optional(Nested(PermissionSet), oneof="rule")
    any: Optional[bool] = optional(Bool(), oneof="rule", help="Must be true.")
    header: Optional[HeaderMatcher] = optional(Nested(HeaderMatcher), oneof="rule", help="HTTP only.")
    destination_ip: Optional[CidrRange] = optional(Nested(CidrRange), oneof="rule")
    destination_port: Optional[int] = optional(UInt32(lte=65535), oneof="rule")
    metadata: Optional[MetadataMatcher] = optional(Nested(MetadataMatcher), oneof="rule")
    not_rule: Optional[Permission] = optional(Nested.later(lambda: Permission), oneof="rule")
    requested_server_name: Optional[StringMatcher] = optional(
        Nested(StringMatcher), oneof="rule", help="The SNI that a listener filter found; empty if none did."
    )
    url_path: Optional[PathMatcher] = optional(Nested(PathMatcher), oneof="rule", help="HTTP only.")
    destination_port_range: Optional[Int32Range] = optional(Nested(Int32Range), oneof="rule", help="The end is exclusive.")
    matcher: Optional[TypedExtensionConfig] = optional(Nested(TypedExtensionConfig), oneof="rule")
    sourced_metadata: Optional[SourcedMetadata] = optional(Nested(SourcedMetadata), oneof="rule")

    def check(self, report: Report) -> None:
        _check_any(self.any, report)
        if self.destination_port_range is not None:
            _check_ports(self.destination_port_range, report)


@message("envoy.config.rbac.v3.Principal.Set")
@dataclass(eq=False, repr=False)
class PrincipalSet(Message):
    """Several principals."""

    ids: List[Principal] = repeated(Nested.later(lambda: Principal), min_items=1)


@message("envoy.config.rbac.v3.Principal.Authenticated")
@dataclass(eq=False, repr=False)
class Authenticated(Message):
    """A client that came by TLS."""

    principal_name: Optional[StringMatcher] = optional(
        Nested(StringMatcher),
        help="On a URI SAN, a DNS SAN or the subject of its certificate. Unset: any TLS client, also one without a certificate.",
    )


@message("envoy.config.rbac.v3.Principal", unsupported=("custom",), required_oneofs=("identifier",))
@dataclass(eq=False, repr=False)
class Principal(Message):
    """A condition on who the client is."""

    and_ids: Optional[PrincipalSet] = optional(Nested(PrincipalSet), oneof="identifier")
    or_ids: Optional[PrincipalSet] = optional(Nested(PrincipalSet), oneof="identifier")
    any: Optional[bool] = optional(Bool(), oneof="identifier", help="Must be true.")
    authenticated: Optional[Authenticated] = optional(Nested(Authenticated), oneof="identifier")
    source_ip: Optional[CidrRange] = optional(
        Nested(CidrRange), oneof="identifier", deprecated=True, help="On a TCP connection the same as remote_ip."
    )
    header: Optional[HeaderMatcher] = optional(Nested(HeaderMatcher), oneof="identifier", help="HTTP only.")
    metadata: Optional[MetadataMatcher] = optional(Nested(MetadataMatcher), oneof="identifier")
    not_id: Optional[Principal] = optional(Nested.later(lambda: Principal), oneof="identifier")
    url_path: Optional[PathMatcher] = optional(Nested(PathMatcher), oneof="identifier", help="HTTP only.")
    direct_remote_ip: Optional[CidrRange] = optional(
        Nested(CidrRange), oneof="identifier", help="The peer of the TCP connection."
    )
    remote_ip: Optional[CidrRange] = optional(
        Nested(CidrRange), oneof="identifier", help="The client, as a PROXY header may have named it."
    )
    filter_state: Optional[FilterStateMatcher] = optional(Nested(FilterStateMatcher), oneof="identifier")
    sourced_metadata: Optional[SourcedMetadata] = optional(Nested(SourcedMetadata), oneof="identifier")

    def check(self, report: Report) -> None:
        _check_any(self.any, report)


@message("envoy.config.rbac.v3.Policy", unsupported=("condition", "checked_condition", "cel_config"))
@dataclass(eq=False, repr=False)
class Policy(Message):
    """Matches when one of its permissions and one of its principals match."""

    permissions: List[Permission] = repeated(Nested(Permission), min_items=1)
    principals: List[Principal] = repeated(Nested(Principal), min_items=1)


@message("envoy.config.rbac.v3.RBAC", unsupported=("audit_logging_options",))
@dataclass(eq=False, repr=False)
class Rbac(Message):
    """Policies, and what a match means."""

    action: str = plain(
        Enum(ALLOW=0, DENY=1, LOG=2),
        help="ALLOW: whom a policy matches, and nobody else. DENY: all but these. LOG: all, and metadata says who matched.",
    )
    policies: Dict[str, Policy] = mapping(Nested(Policy), help="Tried in the order of their names.")


def _check_any(value: Optional[bool], report: Report) -> None:
    if value is False:
        report("any", "value must equal true")


def _check_ports(ports: Int32Range, report: Report) -> None:
    field = "destination_port_range"
    if not 0 <= ports.start <= _END_OF_PORTS:
        report(f"{field}.start", f"range start {ports.start} is out of bounds")
    elif not 0 <= ports.end <= _END_OF_PORTS:
        report(f"{field}.end", f"range end {ports.end} is out of bounds")
    elif ports.start >= ports.end:
        text = f"range start {ports.start} cannot be greater or equal than range end {ports.end}"
        report(field, text, hint="the end is exclusive")
