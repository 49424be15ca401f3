"""The messages inside of HttpConnectionManager. Mirrors
`envoy.extensions.filters.network.http_connection_manager.v3`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, List, Optional

from ....config.fields import (
    AnyOf, AnyValue, Bool, Duration, Enum, Message, Nested, Report, String, UInt32, message, optional, plain, repeated,
)
from ....config.model.access_log import AccessLogFilter
from ....config.model.address import CidrRange
from ....config.model.config_source import ConfigSource
from ....config.model.core import DataSource, SubstitutionFormatString
from ....config.model.header_value import HeaderText, HeaderValueOption

PACKAGE: Final = "envoy.extensions.filters.network.http_connection_manager.v3."
_MANAGER: Final = PACKAGE + "HttpConnectionManager."


@message(PACKAGE + "Rds")
@dataclass(eq=False, repr=False)
class Rds(Message):
    """A route table that is discovered."""

    config_source: Optional[ConfigSource] = optional(Nested(ConfigSource), required=True)
    route_config_name: str = plain(String(), help="Its name among the resources.")


@message(PACKAGE + "HttpFilter", unsupported=("config_discovery",))
@dataclass(eq=False, repr=False)
class HttpFilter(Message):
    """One HTTP filter."""

    name: str = plain(String(min_len=1), help="By which routes refer to it; the type decides what it is.")
    typed_config: Optional[AnyValue] = optional(AnyOf(), oneof="config_type")
    is_optional: bool = plain(Bool(), help="Leave it out if there is no such filter.")
    disabled: bool = plain(Bool(), help="Off, unless a route switches it on.")

    def check(self, report: Report) -> None:
        if self.typed_config is None and not self.is_optional:
            report("typed_config", "`typed_config` is required")


@message(_MANAGER + "InternalAddressConfig")
@dataclass(eq=False, repr=False)
class InternalAddressConfig(Message):
    """Which clients count as internal."""

    unix_sockets: bool = plain(Bool(), help="Those of Unix sockets.")
    cidr_ranges: List[CidrRange] = repeated(Nested(CidrRange), help="Default: none.")


@message(_MANAGER + "SetCurrentClientCertDetails", unsupported=("chain", "format", "issuer"))
@dataclass(eq=False, repr=False)
class SetCurrentClientCertDetails(Message):
    """What x-forwarded-client-cert says of the client's certificate besides its hash."""

    subject: Optional[bool] = optional(Bool())
    cert: bool = plain(Bool(), help="The certificate, URL-encoded PEM.")
    dns: bool = plain(Bool())
    uri: bool = plain(Bool())


@message(_MANAGER + "UpgradeConfig")
@dataclass(eq=False, repr=False)
class UpgradeConfig(Message):
    """One protocol that requests may change to."""

    upgrade_type: str = plain(String(), help='"websocket", "CONNECT" ...; case does not count.')
    filters: List[HttpFilter] = repeated(Nested(HttpFilter), help="Default: the filters of all requests.")
    enabled: Optional[bool] = optional(Bool(), help="Default true; a route may say otherwise.")


@message(_MANAGER + "HcmAccessLogOptions")
@dataclass(eq=False, repr=False)
class AccessLogOptions(Message):
    """When access-log lines are written besides at the end of a request."""

    access_log_flush_interval: Optional[float] = optional(Duration(gte=0.001), help="A line this often.")
    flush_access_log_on_new_request: bool = plain(Bool(), help="A line when a request's head is there.")
    flush_log_on_tunnel_successfully_established: bool = plain(Bool(), help="A line when an upgrade is granted.")


@message(PACKAGE + "ResponseMapper")
@dataclass(eq=False, repr=False)
class ResponseMapper(Message):
    """What becomes of some of the answers that are made here."""

    filter: Optional[AccessLogFilter] = optional(Nested(AccessLogFilter), required=True, help="Of which.")
    status_code: Optional[int] = optional(UInt32(gte=200, lte=599))
    body: Optional[DataSource] = optional(Nested(DataSource), help="%LOCAL_REPLY_BODY% for formats.")
    body_format_override: Optional[SubstitutionFormatString] = optional(Nested(SubstitutionFormatString))
    headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=1000)


@message(PACKAGE + "LocalReplyConfig")
@dataclass(eq=False, repr=False)
class LocalReplyConfig(Message):
    """What becomes of the answers that are made here."""

    mappers: List[ResponseMapper] = repeated(Nested(ResponseMapper), help="The first whose filter passes decides.")
    body_format: Optional[SubstitutionFormatString] = optional(Nested(SubstitutionFormatString), help="Of all bodies.")


@message("envoy.config.core.v3.SchemeHeaderTransformation", unsupported=("match_upstream",))
@dataclass(eq=False, repr=False)
class SchemeHeaderTransformation(Message):
    """What :scheme says."""

    scheme_to_overwrite: Optional[str] = optional(String(choices=("http", "https")), oneof="transformation")


HEADER = HeaderText()
SERVER_HEADER = Enum(OVERWRITE=0, APPEND_IF_ABSENT=1, PASS_THROUGH=2)
CODEC_TYPE = Enum(AUTO=0, HTTP1=1, HTTP2=2, HTTP3=3)
CLIENT_CERT = Enum(SANITIZE=0, FORWARD_ONLY=1, APPEND_FORWARD=2, SANITIZE_SET=3, ALWAYS_FORWARD_ONLY=4)
ESCAPED_SLASHES = Enum(
    IMPLEMENTATION_SPECIFIC_DEFAULT=0, KEEP_UNCHANGED=1, REJECT_REQUEST=2, UNESCAPE_AND_REDIRECT=3, UNESCAPE_AND_FORWARD=4,
)
