"""envoy.config.accesslog.v3: which access log is written, and for which connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Empty, Message, message, optional, plain, repeated
from ..kinds import Bool, Enum, String
from ..nested import AnyOf, AnyValue, Nested
from .core import FractionalPercent, RuntimeUInt32
from .matcher import HeaderMatcher, MetadataMatcher

ACCESS_LOG_TYPE = Enum(
    NotSet=0, TcpUpstreamConnected=1, TcpPeriodic=2, TcpConnectionStart=14, TcpConnectionEnd=3,
    DownstreamStart=4, DownstreamPeriodic=5, DownstreamEnd=6, UpstreamPoolReady=7, UpstreamPeriodic=8,
    UpstreamEnd=9, DownstreamTunnelSuccessfullyEstablished=10, UdpTunnelUpstreamConnected=11, UdpPeriodic=12,
    UdpSessionEnd=13,
)
RESPONSE_FLAGS = (
    "LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO"
)


@message("envoy.config.accesslog.v3.ComparisonFilter")
@dataclass(eq=False, repr=False)
class ComparisonFilter(Message):
    """A comparison with a number."""

    op: str = plain(Enum(EQ=0, GE=1, LE=2, NE=3))
    value: Optional[RuntimeUInt32] = optional(Nested(RuntimeUInt32), required=True)


@message("envoy.config.accesslog.v3.StatusCodeFilter")
@dataclass(eq=False, repr=False)
class StatusCodeFilter(Message):
    """By HTTP status."""

    comparison: Optional[ComparisonFilter] = optional(Nested(ComparisonFilter), required=True)


@message("envoy.config.accesslog.v3.DurationFilter")
@dataclass(eq=False, repr=False)
class DurationFilter(Message):
    """By duration in milliseconds."""

    comparison: Optional[ComparisonFilter] = optional(Nested(ComparisonFilter), required=True)


@message("envoy.config.accesslog.v3.RuntimeFilter")
@dataclass(eq=False, repr=False)
class RuntimeFilter(Message):
    """A sample of all."""

    runtime_key: str = plain(String(min_len=1))
    percent_sampled: Optional[FractionalPercent] = optional(Nested(FractionalPercent), help="Default 0.")
    use_independent_randomness: bool = plain(Bool())


@message("envoy.config.accesslog.v3.AndFilter")
@dataclass(eq=False, repr=False)
class AndFilter(Message):
    """All of several filters."""

    filters: List[AccessLogFilter] = repeated(Nested.later(lambda: AccessLogFilter), min_items=2)


@message("envoy.config.accesslog.v3.OrFilter")
@dataclass(eq=False, repr=False)
class OrFilter(Message):
    """Any of several filters."""

    filters: List[AccessLogFilter] = repeated(Nested.later(lambda: AccessLogFilter), min_items=2)


@message("envoy.config.accesslog.v3.HeaderFilter")
@dataclass(eq=False, repr=False)
class HeaderFilter(Message):
    """By a request header."""

    header: Optional[HeaderMatcher] = optional(Nested(HeaderMatcher), required=True)


@message("envoy.config.accesslog.v3.ResponseFlagFilter")
@dataclass(eq=False, repr=False)
class ResponseFlagFilter(Message):
    """By response flag."""

    flags: List[str] = repeated(String(choices=RESPONSE_FLAGS.split()), help="Empty = any flag at all.")


@message("envoy.config.accesslog.v3.MetadataFilter")
@dataclass(eq=False, repr=False)
class MetadataFilter(Message):
    """By dynamic metadata."""

    matcher: Optional[MetadataMatcher] = optional(Nested(MetadataMatcher))
    match_if_key_not_found: Optional[bool] = optional(Bool(), help="Default true.")


@message("envoy.config.accesslog.v3.LogTypeFilter")
@dataclass(eq=False, repr=False)
class LogTypeFilter(Message):
    """By the kind of record."""

    types: List[str] = repeated(ACCESS_LOG_TYPE)
    exclude: bool = plain(Bool(), help="All kinds but these.")


@message(
    "envoy.config.accesslog.v3.AccessLogFilter",
    unsupported=("grpc_status_filter", "extension_filter"),
    required_oneofs=("filter_specifier",),
)
@dataclass(eq=False, repr=False)
class AccessLogFilter(Message):
    """Which records are written."""

    status_code_filter: Optional[StatusCodeFilter] = optional(
        Nested(StatusCodeFilter), oneof="filter_specifier"
    )
    duration_filter: Optional[DurationFilter] = optional(Nested(DurationFilter), oneof="filter_specifier")
    not_health_check_filter: Optional[Empty] = optional(Nested(Empty), oneof="filter_specifier")
    traceable_filter: Optional[Empty] = optional(
        Nested(Empty), oneof="filter_specifier", help="Requests that are traced: none are here."
    )
    runtime_filter: Optional[RuntimeFilter] = optional(Nested(RuntimeFilter), oneof="filter_specifier")
    and_filter: Optional[AndFilter] = optional(Nested(AndFilter), oneof="filter_specifier")
    or_filter: Optional[OrFilter] = optional(Nested(OrFilter), oneof="filter_specifier")
    header_filter: Optional[HeaderFilter] = optional(Nested(HeaderFilter), oneof="filter_specifier")
    response_flag_filter: Optional[ResponseFlagFilter] = optional(
        Nested(ResponseFlagFilter), oneof="filter_specifier"
    )
    metadata_filter: Optional[MetadataFilter] = optional(Nested(MetadataFilter), oneof="filter_specifier")
    log_type_filter: Optional[LogTypeFilter] = optional(Nested(LogTypeFilter), oneof="filter_specifier")


@message("envoy.config.accesslog.v3.AccessLog")
@dataclass(eq=False, repr=False)
class AccessLog(Message):
    """One access log."""

    name: str = plain(String(), help="Free text; the type decides.")
    filter: Optional[AccessLogFilter] = optional(Nested(AccessLogFilter), help="Default: every record.")
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True, oneof="config_type")
