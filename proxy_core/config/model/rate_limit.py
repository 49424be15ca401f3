"""envoy.config.route.v3.RateLimit: which descriptors a request has, for filters that limit by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Message, message, optional, plain, repeated
from ..kinds import Bool, Enum, String, UInt32
from ..nested import Nested
from .header_value import HeaderText
from .matcher import AddressMatcher, HeaderMatcher
from .metadata import MetadataKey
from .route_match import QueryParameterMatcher

_NAME = "envoy.config.route.v3.RateLimit"
_ACTION = f"{_NAME}.Action"


@message(f"{_ACTION}.SourceCluster")
@dataclass(eq=False, repr=False)
class SourceCluster(Message):
    """source_cluster: the proxy's own (--service-cluster)."""


@message(f"{_ACTION}.DestinationCluster")
@dataclass(eq=False, repr=False)
class DestinationCluster(Message):
    """destination_cluster: the route's."""


@message(f"{_ACTION}.RequestHeaders")
@dataclass(eq=False, repr=False)
class RequestHeaders(Message):
    """The value of a header."""

    header_name: str = plain(HeaderText(min_len=1))
    descriptor_key: str = plain(String(min_len=1))
    skip_if_absent: bool = plain(Bool(), help="Without the header the descriptor goes without this entry.")


@message(f"{_ACTION}.QueryParameters")
@dataclass(eq=False, repr=False)
class QueryParameters(Message):
    """The value of a parameter of the query."""

    query_parameter_name: str = plain(String(min_len=1))
    descriptor_key: str = plain(String(min_len=1))
    skip_if_absent: bool = plain(Bool(), help="Without the parameter the descriptor goes without this entry.")


@message(f"{_ACTION}.RemoteAddress")
@dataclass(eq=False, repr=False)
class RemoteAddress(Message):
    """remote_address: the client's IP address."""


@message(f"{_ACTION}.MaskedRemoteAddress")
@dataclass(eq=False, repr=False)
class MaskedRemoteAddress(Message):
    """masked_remote_address: the client's network."""

    v4_prefix_mask_len: Optional[int] = optional(UInt32(lte=32), help="Default 32.")
    v6_prefix_mask_len: Optional[int] = optional(UInt32(lte=128), help="Default 128.")


@message(f"{_ACTION}.GenericKey")
@dataclass(eq=False, repr=False)
class GenericKey(Message):
    """A fixed value."""

    descriptor_value: str = plain(String(min_len=1), help="May hold command operators.")
    descriptor_key: str = plain(String(), help="Default generic_key.")
    default_value: str = plain(String(), help="When the operators yield nothing.")


@message(f"{_ACTION}.HeaderValueMatch")
@dataclass(eq=False, repr=False)
class HeaderValueMatch(Message):
    """A fixed value for requests with certain headers."""

    descriptor_value: str = plain(String(min_len=1), help="May hold command operators.")
    expect_match: Optional[bool] = optional(Bool(), help="Default true; false: for all other requests.")
    headers: List[HeaderMatcher] = repeated(Nested(HeaderMatcher), min_items=1)
    descriptor_key: str = plain(String(), help="Default header_match.")
    default_value: str = plain(String(), help="When the operators yield nothing.")


@message(f"{_ACTION}.MetaData")
@dataclass(eq=False, repr=False)
class MetaData(Message):
    """A string in metadata."""

    descriptor_key: str = plain(String(min_len=1))
    metadata_key: Optional[MetadataKey] = optional(Nested(MetadataKey), required=True)
    default_value: str = plain(String())
    source: str = plain(Enum(DYNAMIC=0, ROUTE_ENTRY=1, CLUSTER_ENTRY=2, CLUSTER_LOCALITY_ENTRY=3))
    skip_if_absent: bool = plain(Bool())


@message(f"{_ACTION}.DynamicMetaData")
@dataclass(eq=False, repr=False)
class DynamicMetaData(Message):
    """A string in the metadata that filters left."""

    descriptor_key: str = plain(String(min_len=1))
    metadata_key: Optional[MetadataKey] = optional(Nested(MetadataKey), required=True)
    default_value: str = plain(String())


@message(f"{_ACTION}.QueryParameterValueMatch")
@dataclass(eq=False, repr=False)
class QueryParameterValueMatch(Message):
    """A fixed value for requests with certain parameters."""

    descriptor_value: str = plain(String(min_len=1), help="May hold command operators.")
    expect_match: Optional[bool] = optional(Bool(), help="Default true; false: for all other requests.")
    query_parameters: List[QueryParameterMatcher] = repeated(Nested(QueryParameterMatcher), min_items=1)
    descriptor_key: str = plain(String(), help="Default query_match.")
    default_value: str = plain(String(), help="When the operators yield nothing.")


@message(f"{_ACTION}.RemoteAddressMatch")
@dataclass(eq=False, repr=False)
class RemoteAddressMatch(Message):
    """A fixed value for clients of certain networks."""

    descriptor_value: str = plain(String(min_len=1), help="May hold command operators.")
    descriptor_key: str = plain(String(), help="Default remote_address_match.")
    default_value: str = plain(String(), help="When the operators yield nothing.")
    address_matcher: Optional[AddressMatcher] = optional(Nested(AddressMatcher), required=True)


@message(_ACTION, unsupported=("extension",), required_oneofs=("action_specifier",))
@dataclass(eq=False, repr=False)
class RateLimitAction(Message):
    """One entry of the descriptor."""

    source_cluster: Optional[SourceCluster] = optional(Nested(SourceCluster), oneof="action_specifier")
    destination_cluster: Optional[DestinationCluster] = optional(Nested(DestinationCluster), oneof="action_specifier")
    request_headers: Optional[RequestHeaders] = optional(Nested(RequestHeaders), oneof="action_specifier")
    remote_address: Optional[RemoteAddress] = optional(Nested(RemoteAddress), oneof="action_specifier")
    generic_key: Optional[GenericKey] = optional(Nested(GenericKey), oneof="action_specifier")
    header_value_match: Optional[HeaderValueMatch] = optional(Nested(HeaderValueMatch), oneof="action_specifier")
    dynamic_metadata: Optional[DynamicMetaData] = optional(
        Nested(DynamicMetaData), oneof="action_specifier", deprecated=True, help="Use metadata."
    )
    metadata: Optional[MetaData] = optional(Nested(MetaData), oneof="action_specifier")
    masked_remote_address: Optional[MaskedRemoteAddress] = optional(
        Nested(MaskedRemoteAddress), oneof="action_specifier"
    )
    query_parameter_value_match: Optional[QueryParameterValueMatch] = optional(
        Nested(QueryParameterValueMatch), oneof="action_specifier"
    )
    query_parameters: Optional[QueryParameters] = optional(Nested(QueryParameters), oneof="action_specifier")
    remote_address_match: Optional[RemoteAddressMatch] = optional(Nested(RemoteAddressMatch), oneof="action_specifier")


@message(_NAME, unsupported=("limit", "hits_addend", "apply_on_stream_done", "x_ratelimit_option"))
@dataclass(eq=False, repr=False)
class RateLimit(Message):
    """A descriptor: the entries of all its actions, or nothing if one of them yields none."""

    stage: Optional[int] = optional(UInt32(lte=10), help="Which filter asks for it; default 0.")
    disable_key: str = plain(String())
    actions: List[RateLimitAction] = repeated(Nested(RateLimitAction), min_items=1)
